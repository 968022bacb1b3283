package signin_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

const ownPhone = "+4915112345678"

func phoneOf(value string) frontend.LoginIdentifier {
	return frontend.LoginIdentifier{Type: rest.IdentifierTypePhone, Identifier: value}
}

// mixed makes the project verify addresses and phones at different times.
func mixed(email, phone project.Verification) func(*project.Frontend) {
	return func(f *project.Frontend) {
		f.Identifiers = []project.IdentifierRule{
			{Type: account.IdentifierTypeEmail, Verify: email}, {Type: account.IdentifierTypePhone, Verify: phone},
			{Type: account.IdentifierTypeUsername},
		}
	}
}

func (b *browser) phoneCode(tb testing.TB, value string, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: value, IdentifierType: rest.IdentifierTypePhone, VerificationType: frontend.VerificationMethodPhoneOtp,
	}, want)
}

func (b *browser) phoneLogIn(tb testing.TB, value string, want frontend.BlockType) {
	tb.Helper()
	do(tb, b, b.LoginInit, frontend.LoginInitReq{IdentifierValue: value, IsPhone: true}, want)
}

// received returns the newest message after the first n.
func received(tb testing.TB, st *ceremonytest.Stack, n *int) string {
	tb.Helper()
	*n++
	return st.Delivery.Inbox(tb, *n).Value
}

// intruding signs up with the address of another and everything else of one's own, with a passkey, and leaves the address to its owner.
func intruding(
	t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, phone project.Verification, n *int,
) (*browser, ident.UserID) {
	t.Helper()
	b := from(t, st, d)
	given := []frontend.LoginIdentifier{emailOf(ceremonytest.Email), phoneOf(ownPhone), usernameOf("mallory")}
	if phone == project.VerifySignUp {
		b.signUp(t, frontend.BlockTypePhoneVerify, given...)
		b.phoneCode(t, received(t, st, n), frontend.BlockTypePasskeyAppend)
	} else {
		b.signUp(t, frontend.BlockTypePasskeyAppend, given...)
	}
	b.append(t, d)
	made := st.Events.OfType(event.AppendCompleted)
	user := made[len(made)-1].User
	d.Options.UserHandle = st.Account(t, user).UserHandle
	if a := st.Account(t, user); !a.Waits() {
		t.Fatalf("the user does not wait: %+v", a)
	}
	return b, user
}

// owning logs the owner of the address in, in a browser of their own, and returns the account that they get.
func owning(t *testing.T, st *ceremonytest.Stack, n *int) account.Account {
	t.Helper()
	owner := from(t, st, authenticator.Phone())
	owner.logIn(t, ceremonytest.Email, frontend.BlockTypeEmailVerify)
	owner.code(t, received(t, st, n), frontend.BlockTypePasskeyAppend)
	owner.skip(t, frontend.BlockTypeCompleted)
	return st.Account(t, userNamed(t, st, whose(t, st, owner.session(t).SessionToken).ID))
}

func TestWhoLogsInWithTheirAddressKeepsNothingOfWhoSignedUpWithIt(t *testing.T) {
	t.Parallel()
	for name, phone := range map[string]project.Verification{
		"a phone that is verified at the sign-up":     project.VerifySignUp,
		"a phone that is verified after the passkey":  project.VerifyAfterPasskey,
		"a phone that is never verified at a sign-up": project.VerifyNever,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, theirs, n := meeting(ceremonytest.New(t), mixed(project.VerifyAfterPasskey, phone)), authenticator.Phone(), 0
			onlyActive(st)
			_, user := intruding(t, st, theirs, phone, &n)
			if _, err := st.CreateSocialAccount(t.Context(), service.ForUser[rest.SocialAccountCreateReq]{
				Project: st.Project.ID, User: user, Body: rest.SocialAccountCreateReq{
					ProviderType: rest.SocialProviderTypeGithub, ForeignID: "7", IdentifierValue: "mallory", FullName: "Mallory",
				},
			}); err != nil {
				t.Fatal(err)
			}
			// The control: until the owner comes, these are ways to be found.
			if a := st.Account(t, user); len(a.Identifiers) != 3 || len(a.SocialAccounts) != 1 || len(a.Credentials) != 1 {
				t.Fatalf("the account of the intruder: %+v", a)
			}
			a := owning(t, st, &n)
			if a.ID != user || a.Active() != nil || len(a.Credentials)+len(a.SocialAccounts) != 0 || a.SignUpUntilMs != 0 {
				t.Errorf("the owner's account: %+v", a)
			}
			if len(a.Identifiers) != 1 || a.Identifiers[0].Value != ceremonytest.Email ||
				a.Identifiers[0].Status == account.IdentifierStatusPending {
				t.Errorf("the owner's identifiers: %+v", a.Identifiers)
			}
			if len(st.Events.OfType(event.PasskeyDeleted)) != 1 || len(st.Events.OfType(event.UserUpdated)) == 0 {
				t.Error("nobody was told of what is gone")
			}

			// Two days later the intruder comes by their own phone: it is nobody's, and free for them alone.
			st.Clock.Advance(48 * time.Hour)
			again := from(t, st, theirs)
			again.phoneLogIn(t, ownPhone, frontend.BlockTypePhoneVerify)
			err := try(t, again, again.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
				Code: "000000", IdentifierType: rest.IdentifierTypePhone, VerificationType: frontend.VerificationMethodPhoneOtp,
			})
			if err != nil || again.body.Block != frontend.BlockTypePhoneVerify {
				t.Errorf("the intruder's phone leads to %s: %v", again.body.Block, err)
			}
			for kind, value := range map[account.IdentifierType]string{
				account.IdentifierTypePhone: ownPhone, account.IdentifierTypeUsername: "mallory",
			} {
				if owner, err := st.Owner(t.Context(), st.Project.ID, kind, value); err != nil || owner != "" {
					t.Errorf("%s is held for %s: %v", value, owner, err)
				}
			}
		})
	}
}

func TestWhoVerifiesTheirOwnPhoneAloneGivesTheAddressBack(t *testing.T) {
	t.Parallel()
	st, theirs, n := meeting(ceremonytest.New(t), mixed(project.VerifyAfterPasskey, project.VerifyAfterPasskey)), authenticator.Phone(), 0
	onlyActive(st)
	_, user := intruding(t, st, theirs, project.VerifyAfterPasskey, &n)
	login := from(t, st, theirs)
	login.phoneLogIn(t, ownPhone, frontend.BlockTypePhoneVerify)
	login.phoneCode(t, received(t, st, &n), frontend.BlockTypePasskeyAppend)
	login.skip(t, frontend.BlockTypeCompleted)
	a := st.Account(t, user)
	if a.Active() != nil || len(a.Identifiers) != 1 || a.Identifiers[0].Value != ownPhone || len(a.Credentials) != 1 {
		t.Errorf("the intruder's account: %+v", a)
	}

	// The owner of the address signs up at once, and gets an account of their own.
	owner := from(t, st, authenticator.Phone())
	owner.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	owner.skip(t, frontend.BlockTypeEmailVerify)
	owner.code(t, received(t, st, &n), frontend.BlockTypeCompleted)
	if me := whose(t, st, owner.session(t).SessionToken); me.ID == string(user) {
		t.Error("the owner is in the intruder's account")
	}
}

func TestAPhoneOfASignUpDoesNotVouchForItsAddress(t *testing.T) {
	t.Parallel()
	st, theirs, n := meeting(ceremonytest.New(t), mixed(project.VerifyAfterPasskey, project.VerifySignUp)), authenticator.Phone(), 0
	onlyActive(st)
	_, user := intruding(t, st, theirs, project.VerifySignUp, &n)
	mediated := from(t, st, theirs)
	options := dataOf(t, mediated.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	answer := frontend.PasskeyFinishReq{SignedChallenge: theirs.Get(t, *options)}
	do(t, mediated, mediated.PasskeyMediationFinish, answer, frontend.BlockTypeLoginInit)

	st.Clock.Advance(account.SignUpHold)
	owner := from(t, st, authenticator.Phone())
	owner.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	if _, _, err := st.Accounts.Get(t.Context(), st.Project.ID, user); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("the sign-up that nobody verified is there still: %v", err)
	}
}

func TestASignUpEndsItsWaitingWhenItOwesNothingMore(t *testing.T) {
	t.Parallel()
	for name, phone := range map[string]project.Verification{
		"the phone is verified first":        project.VerifySignUp,
		"the phone is verified after it too": project.VerifyAfterPasskey,
		"the phone is never verified":        project.VerifyNever,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d, n := meeting(ceremonytest.New(t), mixed(project.VerifyAfterPasskey, phone)), authenticator.Phone(), 0
			onlyActive(st)
			b, user := intruding(t, st, d, phone, &n)
			b.skip(t, frontend.BlockTypeEmailVerify)
			if phone == project.VerifyAfterPasskey {
				b.code(t, received(t, st, &n), frontend.BlockTypePhoneVerify)
				if a := st.Account(t, user); !a.Waits() || a.SignUpUntilMs == 0 {
					t.Errorf("with the phone still owed: %+v", a)
				}
				b.phoneCode(t, received(t, st, &n), frontend.BlockTypeCompleted)
			} else {
				b.code(t, received(t, st, &n), frontend.BlockTypeCompleted)
			}
			a := st.Account(t, user)
			if a.Active() != nil || a.Unverified || a.SignUpUntilMs != 0 || len(a.Identifiers) != 3 || len(a.Credentials) != 1 {
				t.Errorf("after the sign-up: %+v", a)
			}
			pending := slices.ContainsFunc(a.Identifiers, func(i account.Identifier) bool {
				return i.Status == account.IdentifierStatusPending
			})
			if pending != (phone == project.VerifyNever) {
				t.Errorf("the identifiers are %+v", a.Identifiers)
			}
		})
	}
}

// Nothing of a sign-up but a phone is owed, and the owner of the address comes first. The phone is the account's no longer, so
// its code leads nowhere.
func TestASignUpWhoseIdentifiersAreGoneOpensNothing(t *testing.T) {
	t.Parallel()
	st, theirs, n := meeting(ceremonytest.New(t), mixed(project.VerifyNever, project.VerifyAfterPasskey)), authenticator.Phone(), 0
	onlyActive(st)
	b, user := intruding(t, st, theirs, project.VerifyAfterPasskey, &n)
	b.skip(t, frontend.BlockTypePhoneVerify)
	value := received(t, st, &n)
	if a := owning(t, st, &n); a.ID != user {
		t.Fatalf("the owner is in %s", a.ID)
	}
	wantGone(t, try(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: value, IdentifierType: rest.IdentifierTypePhone, VerificationType: frontend.VerificationMethodPhoneOtp,
	}))
	if got := sessionsOf(t, st, user); got != 1 {
		t.Errorf("%d sessions, want the owner's", got)
	}
}
