package signin

import (
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
)

// Joining is the account of a sign-up, without a user handle. It is active from the beginning, since it is to have a passkey before the
// sign-up is complete, unless something that it is known by is verified after the passkey: then it waits for that.
func (s State) Joining(project ident.ProjectID, user ident.UserID, now time.Time, hold time.Duration) account.Account {
	a := account.Account{
		Project: project, ID: user, Status: account.StatusActive, CreatedMs: now.UnixMilli(), UpdatedMs: now.UnixMilli(),
		SignUpUntilMs: now.Add(hold).UnixMilli(),
	}
	if a.Unverified = s.Entry.Unverified(); a.Unverified {
		a.Status = account.StatusPending
	}
	if name := s.Entry.FullName; name != "" {
		a.FullName = &name
	}
	for _, f := range s.Entry.Fields {
		if f.Value == "" {
			continue
		}
		id := ident.Seed(string(s.Seed) + "/" + string(f.Type)).IdentifierID()
		a.Identifiers = append(
			a.Identifiers, account.Identifier{ID: id, Type: f.Type, Value: f.Value, Status: joiningStatus(f), CreatedMs: a.CreatedMs},
		)
	}
	return a
}

func joiningStatus(f Field) account.IdentifierStatus {
	if f.Proven || f.Type == account.IdentifierTypeUsername {
		return account.IdentifierStatusPrimary
	}
	return account.IdentifierStatusPending
}

// Prove gives an account what the process has proven of it: the identifiers of its sign-up that were verified since, or the one that a code
// was sent to. It reports whether that changes anything, and false if the account has no longer what the proof is of. A user who waits does
// so until the sign-up owes nothing more, or until a login: then nothing is left but what the login has proven, since another may have
// entered the rest.
func (s State) Prove(a *account.Account) (changed, stands bool) {
	switch {
	case s.Auth == SignUp:
		return s.proveSignUp(a)
	case s.Proof == ByCode:
		return s.proveLogin(a)
	default:
		return false, true
	}
}

func (s State) proveSignUp(a *account.Account) (changed, stands bool) {
	for _, f := range s.Entry.Fields {
		if !f.Later || !f.Proven {
			continue
		}
		i := a.Identifier(f.Type, f.Value)
		if i == nil {
			return false, false
		}
		if i.Status == account.IdentifierStatusPending {
			i.Status, changed = account.IdentifierStatusPrimary, true
		}
	}
	if a.Waits() && !s.Entry.Unverified() {
		a.EndWaiting()
		changed = true
	}
	return changed, true
}

func (s State) proveLogin(a *account.Account) (changed, stands bool) {
	i := a.Identifier(s.Current.Type, s.Current.Value)
	if i == nil {
		return false, false
	}
	if changed = i.Status == account.IdentifierStatusPending; changed {
		i.Status = account.IdentifierStatusVerified
	}
	if a.Waits() {
		a.Identifiers, a.SocialAccounts = []account.Identifier{*i}, nil
		a.EndWaiting()
		changed = true
	}
	return changed, true
}

// Doubtful returns the passkeys that a login takes from a user whom it verifies: those that were not created in its environment. An empty
// environment is none.
func (s State) Doubtful(a account.Account, here ident.EnvironmentID) []ident.CredentialID {
	if s.Auth != Login || !a.Waits() {
		return nil
	}
	var all []ident.CredentialID
	for i := range a.Credentials {
		if c := &a.Credentials[i]; here == "" || c.Environment != here {
			all = append(all, c.ID)
		}
	}
	return all
}
