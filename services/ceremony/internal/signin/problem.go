package signin

import "github.com/keyward/keyward/api/frontend"

// The problems that blocks show. Existing clients have a text of their own for each code; where a message is shown, it follows the name of
// its field, or stands alone, and says what is wrong and what would do.

// ProblemMissing is of an identifier that is required and was not given.
func ProblemMissing() *frontend.RequestError {
	return problem("missing_identifier_type", "cannot be blank")
}

// ProblemFormat is of an identifier that Clean refuses for the reason why.
func ProblemFormat(why error) *frontend.RequestError {
	return problem("identifier_invalid_format", why.Error())
}

// ProblemTaken is of an identifier that another user has.
func ProblemTaken() *frontend.RequestError {
	return problem("identifier_already_in_use", "belongs to an account already; log in with it, or sign up with another")
}

// ProblemNotAllowed is of an identifier that nobody signs up with here.
func ProblemNotAllowed() *frontend.RequestError {
	return problem("identifier_not_allowed", "is none that users of this project sign up with; leave it out")
}

// ProblemFullName is of a full name that is missing, too short or too long.
func ProblemFullName() *frontend.RequestError {
	return problem("missing_full_name", "must have 3 to 255 characters")
}

// ProblemClosed is of a sign-up where nobody can sign up.
func ProblemClosed() *frontend.RequestError {
	return problem("identifier_not_allowed", "nobody can sign up here; whoever runs this project makes accounts")
}

// ProblemNoLogin is of an identifier that leads to no login: whether there is such a user is not said.
func ProblemNoLogin() *frontend.RequestError {
	return problem("login_identifier_unknown_user", "leads to no login here; see that it is written as at the sign-up, or sign up with it")
}

// ProblemPasskeyGone is of a passkey that the login form was given and that the project does not have, or has no longer.
func ProblemPasskeyGone() *frontend.RequestError {
	return problem(
		"invalid_conditional_ui_login", "this passkey is not known here any more; log in another way, and delete it where it is kept",
	)
}

// ProblemPasskeyLate is of a passkey that was picked when the login form had been open for too long, or a second time. Nothing is wrong
// with it.
func ProblemPasskeyLate() *frontend.RequestError {
	return problem("conditional_ui_challenge_expired", "the form was open for too long; pick the passkey once more")
}

// ProblemPasskeyRefused is of a passkey whose answer did not pass. Whether the passkey is to blame is not known.
func ProblemPasskeyRefused() *frontend.RequestError {
	return problem("conditional_ui_login_refused", "the login with the passkey did not work; try again or log in another way")
}

// ProblemPasskeyWaits is of a passkey whose user has not been verified yet.
func ProblemPasskeyWaits() *frontend.RequestError {
	return problem("conditional_ui_login_unverified", "this passkey waits for the code that was sent at the sign-up; log in with a code first")
}

// ProblemNoPasskey is of a login with a passkey that is offered no longer.
func ProblemNoPasskey() *frontend.RequestError {
	return problem("noPasskeyAvailable", "a login with a passkey is not offered any more; log in another way")
}

// ProblemNoAppend is of the creation of a passkey that is offered no longer.
func ProblemNoAppend() *frontend.RequestError {
	return problem("unknown", "the creation of a passkey is not offered any more; go on without")
}

// ProblemCode is of a code or link that is wrong, has expired, was used, or was never sent.
func ProblemCode(method frontend.VerificationMethod) *frontend.RequestError {
	message := "is wrong or has expired; enter the newest that came, or have another sent"
	if method == frontend.VerificationMethodEmailLink {
		message = "this link is wrong or has expired; open the newest that came, or have another sent"
	}
	return problem("invalid_challenge_solution_"+string(method), message)
}

func problem(code, message string) *frontend.RequestError {
	return &frontend.RequestError{Code: code, Message: message}
}
