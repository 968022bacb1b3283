// Package enrolment makes a passkey that was created a user's. It touches the bucket of accounts, through credindex that of credential IDs,
// and through attestation that of what authenticators say of themselves, which is there before the account is.
//
// Two writes make it: the entry of its credential ID, so that no two accounts have the same one, and then the account, which is the truth.
// The account spends the challenge, too. A passkey has the ID that comes of its ceremony (challenge.Record.PasskeyID); it is taken in only
// if the account has none of that ID, and remembers none that was deleted or given up. An account is written upon the revision that this
// was looked up in, or looked up again. So take any two answers to one challenge, on whichever instances: whichever account was stored
// later was made from one that has the earlier passkey, or its tombstone, and there is no such account. Answers that name one credential do
// not even come that far: the second finds the entry of the first.
//
// An entry without an account, as a crash between the two writes leaves, means nothing but that this very answer is not taken again. Nobody
// takes such an entry over: whoever made it might give it back when somebody else has put the passkey into the account.
//
// With the event that tells of it, a creation is three flushed writes, and none of them can go as it is. What is unique over all users of a
// project no condition on one user's document or subject can say, so the entry has to be won first. An account that followed from the event
// would have to be looked for in the log by whoever does not find a passkey in it, also by instances of the version before, which do not:
// they would refuse a passkey that was acknowledged, and bring back deleted ones, since they drop how far the document knows the log. An
// event that followed from the account, as those do that are for subscribers alone (outbox), would be missing in the log for a moment, and
// after a crash until somebody repairs it. That is where the next decision looks for it if Redis lacks it, and where lists of a user's
// events do, who know no account. A test crashes each of the three writes, and finds what is acknowledged before the third.
package enrolment

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
)

// Deps is what a store works with. All fields are required.
type Deps struct {
	Accounts *account.Store
	Index    *credindex.Store
	// Of what authenticators say of themselves
	Statements *attestation.Store
	Most       int // passkeys of one user
	Log        *slog.Logger
}

// Store makes passkeys users' own.
type Store struct{ Deps }

// New returns a store on what it works with.
func New(d Deps) *Store { return &Store{d} }

// Passkey is one that was created, and whose answer was verified.
type Passkey struct {
	account.Credential
	Record   challenge.Record
	Field    string                 // of the request, where the answer came in
	Remember func(*account.Account) // what else the account is to know
	// What the authenticator said of itself; nil = it is not to be kept
	Statement *attestation.Statement
}

// Ended reports whether a creation has made a passkey of the account, also if that was deleted since, or has been given up.
func Ended(a *account.Account, r challenge.Record) bool {
	return r.Outcome(a) != rest.PasskeyChallengeStatusPending
}

// Full reports whether an account has as many passkeys as one may have.
func (s *Store) Full(a *account.Account) bool { return len(a.Credentials) >= s.Most }

// Keep stores a new passkey: its name first, then the account. Without the account the name means nothing and is given back. Of any number
// of answers to one challenge one is kept, the others get challenge.ErrUsed.
func (s *Store) Keep(ctx context.Context, p Passkey) error {
	r := p.Record
	if err := s.name(ctx, p); err != nil {
		return err
	}
	if p.Statement != nil {
		if err := s.Statements.Put(ctx, p.statement(), p.Statement); err != nil {
			return errors.Join(err, s.Index.RemoveCredential(ctx, r.Project, p.CredentialID, r.User))
		}
	}
	_, err := s.Accounts.Update(ctx, r.Project, r.User, func(a *account.Account) error { return s.takeIn(a, p) })
	if err == nil {
		return nil
	}
	now, _, unread := s.Accounts.Inspect(ctx, r.Project, r.User)
	if unread != nil && !errors.Is(unread, account.ErrUnknown) || has(&now, p.CredentialID) {
		// The account was stored after all, or nobody knows. An entry without an account means nothing; an account without its entry would
		// be a passkey that no mediation finds.
		return err
	}
	cleanup := s.Index.RemoveCredential(ctx, r.Project, p.CredentialID, r.User)
	if p.Statement != nil {
		cleanup = errors.Join(cleanup, s.Statements.Forget(ctx, r.Project, r.User, &p.Credential))
	}
	if cleanup != nil {
		s.Log.WarnContext(ctx, "an index entry without an account is left over", "credential", p.ID, "error", cleanup)
	}
	return err
}

func (p *Passkey) statement() attestation.Ref {
	return attestation.Ref{Project: p.Record.Project, User: p.Record.User, Passkey: p.ID}
}

// name enters a credential ID, or says why it is not to be had: the same answer has come before, or the passkey is there already.
func (s *Store) name(ctx context.Context, p Passkey) error {
	mine := credindex.Entry{User: p.Record.User, Credential: p.ID, Created: p.CreatedMs}
	for {
		err := s.Index.AddCredential(ctx, p.Record.Project, p.CredentialID, mine)
		if !errors.Is(err, credindex.ErrTaken) {
			return err
		}
		entry, known, err := s.Index.Credential(ctx, p.Record.Project, p.CredentialID)
		switch {
		case err != nil:
			return err
		case !known: // it was given back meanwhile
			continue
		case entry.User == mine.User && entry.Credential == mine.Credential:
			return fault.At(p.Field, challenge.ErrUsed)
		}
		return fault.Conflict(p.Field, "the credential is registered already").Named(service.ReasonPasskeyExists)
	}
}

func (s *Store) takeIn(a *account.Account, p Passkey) error {
	if err := a.Active(); err != nil && !a.Waits() {
		return err
	}
	if Ended(a, p.Record) {
		return fault.At(p.Field, challenge.ErrUsed)
	}
	if p.Record.Unverified && !a.Waits() {
		return fault.Refuse("the user has been verified since; whoever did is to create the passkey")
	}
	if forget(a, p.CreatedMs-lately(p.Record)); len(a.Deleted) >= maxYoung {
		return fault.Conflict(p.Field, tooMany)
	}
	if s.Full(a) {
		return fault.Conflict(p.Field, "the user has %d passkeys, which is the most", len(a.Credentials))
	}
	a.Credentials = append(a.Credentials, p.Credential)
	p.Remember(a)
	a.UpdatedMs = p.CreatedMs
	return nil
}

func has(a *account.Account, credentialID []byte) bool {
	return slices.ContainsFunc(a.Credentials, func(c account.Credential) bool { return bytes.Equal(c.CredentialID, credentialID) })
}

// maxTombstones bounds what an account remembers of deleted passkeys; the index remembers the rest. Those that are young stay all the
// same: their challenges are not to be had again before they have expired. So they are bounded by what may be created: an account is one
// document, and whoever creates and deletes passkeys without end must not make it one that cannot be stored.
const (
	maxTombstones = 100
	maxYoung      = 1000
	tooMany       = "too many passkeys of the user were deleted within minutes"
)

// lately is for how long what has ended a challenge is remembered in any case, in ms. The clocks of instances may differ by half of it.
func lately(r challenge.Record) int64 { return 2 * (r.Expires - r.Created) }

// Bury takes a passkey out of an account, which remembers it. What was deleted since is remembered in any case: the challenge may be valid
// yet. Times are Unix ms.
func Bury(a *account.Account, id ident.CredentialID, nowMs, since int64) (gone account.Credential, err error) {
	i := slices.IndexFunc(a.Credentials, func(c account.Credential) bool { return c.ID == id })
	if i < 0 {
		return account.Credential{}, account.ErrUnknownCredential
	}
	gone = a.Credentials[i]
	a.Credentials = slices.Delete(a.Credentials, i, i+1)
	remember(a, account.Tombstone{ID: gone.ID, CredentialID: gone.CredentialID, DeletedMs: nowMs}, since)
	return gone, nil
}

func remember(a *account.Account, t account.Tombstone, since int64) {
	a.Deleted = append(a.Deleted, t)
	forget(a, since)
}

// forget drops the oldest that are too many and not young.
func forget(a *account.Account, since int64) {
	over := 0
	for over < len(a.Deleted)-maxTombstones && a.Deleted[over].DeletedMs < since {
		over++
	}
	a.Deleted = slices.Delete(a.Deleted, 0, over)
}

// GiveUp ends a creation that has made no passkey yet: of an account that is stored so, none comes. If one has, it is challenge.ErrUsed.
func GiveUp(a *account.Account, r challenge.Record, nowMs int64) error {
	if Ended(a, r) {
		return challenge.ErrUsed
	}
	if forget(a, nowMs-lately(r)); len(a.Deleted) >= maxYoung {
		return fault.Precondition(tooMany)
	}
	remember(a, account.Tombstone{ID: r.PasskeyID(), DeletedMs: nowMs}, nowMs-lately(r))
	return nil
}
