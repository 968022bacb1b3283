package directory

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/transfer"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// importedAtOnce is how many users of one call are stored at a time.
const importedAtOnce = 16

// ImportUsers implements service.UserImporter. No event tells of an imported user.
func (s *Service) ImportUsers(ctx context.Context, req service.ForProject[transfer.UserImport]) ([]transfer.Imported, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return nil, err
	}
	results := make([]transfer.Imported, len(req.Body.Users))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importedAtOnce)
	for i, u := range req.Body.Users {
		group.Go(func() error {
			a, faults := u.Account(p.ID, p.RPID, s.now().UnixMilli())
			faults = append(faults, keyFaults(u)...)
			if len(faults) > 0 {
				results[i] = transfer.Imported{Outcome: transfer.ImportRefused, Faults: faults}
				return nil
			}
			var err error
			results[i], err = s.importUser(ctx, u, a, req.Body.DryRun)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// keyFaults says which public keys cannot verify anything.
func keyFaults(u transfer.User) []fault.FieldError {
	var faults []fault.FieldError
	for i, c := range u.Credentials {
		if len(c.PublicKey) == 0 {
			continue // said already
		}
		if err := relyingparty.CheckPublicKey(c.PublicKey); err != nil {
			faults = append(
				faults,
				fault.FieldError{Field: fmt.Sprintf("credentials.%d.publicKey", i), Message: "must be a COSE key of an algorithm that is offered"},
			)
		}
	}
	return faults
}

// importUser stores one user. The account goes last: until it is there, what was reserved for it means nothing, and another attempt takes
// it over.
func (s *Service) importUser(ctx context.Context, u transfer.User, a account.Account, dryRun bool) (transfer.Imported, error) {
	ctx, cancel := context.WithTimeout(ctx, nameLimit)
	defer cancel()
	known, _, err := s.accounts.Inspect(ctx, a.Project, a.ID)
	switch {
	case err == nil && known.Erasing:
		return refusedImport(fault.FieldError{Field: "userID", Message: "is being deleted"}), nil
	case err == nil:
		return transfer.Imported{Outcome: transfer.ImportUnchanged}, nil
	case !errors.Is(err, account.ErrUnknown):
		return transfer.Imported{}, err
	}
	m := move{s: s, account: a}
	if err := m.check(ctx); err != nil || len(m.faults) > 0 || dryRun {
		return m.outcome(), err
	}
	if err := m.reserve(ctx); err != nil || len(m.faults) > 0 {
		return m.outcome(), errors.Join(err, m.giveBack(ctx))
	}
	if err := s.statements.Import(ctx, u, &a); err != nil {
		return transfer.Imported{}, errors.Join(err, m.giveBack(ctx))
	}
	err = s.accounts.Create(ctx, a)
	if errors.Is(err, account.ErrExists) {
		return transfer.Imported{Outcome: transfer.ImportUnchanged}, nil
	}
	return m.outcome(), err
}

func refusedImport(faults ...fault.FieldError) transfer.Imported {
	return transfer.Imported{Outcome: transfer.ImportRefused, Faults: faults}
}

// move is the import of one user.
type move struct {
	s       *Service
	account account.Account
	faults  []fault.FieldError
	undo    []func(context.Context) error
}

func (m *move) outcome() transfer.Imported {
	if len(m.faults) > 0 {
		return refusedImport(m.faults...)
	}
	return transfer.Imported{Outcome: transfer.ImportCreated}
}

func (m *move) taken(field string) {
	m.faults = append(m.faults, fault.FieldError{Field: field, Message: "is another user's already"})
}

// owned is a name that the user has, and nobody else of the project may have.
type owned struct {
	field string
	name  identindex.Name
	id    string
	has   func(*account.Account) bool
}

func (m *move) names() []owned {
	var all []owned
	for i, one := range m.account.Identifiers {
		all = append(all, owned{
			fmt.Sprintf("identifiers.%d.value", i), identifierName(m.account.Project, one.Type, one.Value), string(one.ID),
			func(other *account.Account) bool { return other.Identifier(one.Type, one.Value) != nil },
		})
	}
	for i, one := range m.account.SocialAccounts {
		all = append(all, owned{
			fmt.Sprintf("socialAccounts.%d.foreignID", i), socialName(m.account.Project, one.Provider, one.ForeignID), string(one.ID),
			func(other *account.Account) bool { return other.SocialAccount(one.Provider, one.ForeignID) != nil },
		})
	}
	return all
}

// passkey is a credential ID that is in use or was.
type passkey struct {
	field string
	id    []byte
	entry credindex.Entry
}

func (m *move) passkeys() []passkey {
	var all []passkey
	for i, c := range m.account.Credentials {
		all = append(
			all,
			passkey{
				fmt.Sprintf("credentials.%d.credentialID", i), c.CredentialID,
				credindex.Entry{User: m.account.ID, Credential: c.ID, Created: c.CreatedMs},
			},
		)
	}
	for i, c := range m.account.Deleted {
		if c.GivenUp() {
			continue
		}
		all = append(
			all,
			passkey{
				fmt.Sprintf("deletedCredentials.%d.credentialID", i), c.CredentialID,
				credindex.Entry{User: m.account.ID, Credential: c.ID, Created: c.DeletedMs, Deleted: c.DeletedMs},
			},
		)
	}
	return all
}

// check finds what is another user's, and changes nothing.
func (m *move) check(ctx context.Context) error {
	for _, o := range m.names() {
		entry, found, err := m.s.names.Find(ctx, o.name)
		if err != nil {
			return err
		}
		if !found || entry.Owner == string(m.account.ID) {
			continue
		}
		has, err := m.owns(ctx, ident.UserID(entry.Owner), o.has)
		if err != nil {
			return err
		}
		if has {
			m.taken(o.field)
		}
	}
	for _, c := range m.passkeys() {
		entry, found, err := m.s.index.Credential(ctx, m.account.Project, c.id)
		if err != nil {
			return err
		}
		if found && entry.User != m.account.ID {
			m.taken(c.field)
		}
	}
	return nil
}

func (m *move) owns(ctx context.Context, owner ident.UserID, has func(*account.Account) bool) (bool, error) {
	other, _, err := m.s.accounts.Inspect(ctx, m.account.Project, owner)
	if errors.Is(err, account.ErrUnknown) {
		return false, nil
	}
	return err == nil && has(&other), err
}

// reserve takes every name for the user. What turns out to be another's now is a fault.
func (m *move) reserve(ctx context.Context) error {
	project, user := m.account.Project, m.account.ID
	for _, o := range m.names() {
		entry := identindex.Entry{Owner: string(user), ID: o.id, Created: m.s.now().UnixMilli()}
		err := m.s.names.Reserve(
			ctx, o.name, entry, nameLapsesIn, func(owner string) (bool, error) { return m.owns(ctx, ident.UserID(owner), o.has) },
		)
		if errors.Is(err, identindex.ErrTaken) {
			m.taken(o.field)
			return nil
		}
		if err != nil {
			return err
		}
		m.undo = append(m.undo, func(ctx context.Context) error { return m.s.names.Release(ctx, o.name, string(user), o.id) })
	}
	for _, c := range m.passkeys() {
		err := m.s.index.AddCredential(ctx, project, c.id, c.entry)
		if errors.Is(err, credindex.ErrTaken) {
			known, found, err := m.s.index.Credential(ctx, project, c.id)
			if err != nil {
				return err
			}
			if !found || known.User != user {
				m.taken(c.field)
				return nil
			}
			continue // of an attempt that was interrupted
		}
		if err != nil {
			return err
		}
		m.undo = append(m.undo, func(ctx context.Context) error { return m.s.index.RemoveCredential(ctx, project, c.id, user) })
	}
	if m.account.ExplicitWebauthnID == nil {
		return nil
	}
	reservation := m.account
	reservation.CreatedMs = m.s.now().UnixMilli()
	err := m.s.reserveHandle(ctx, reservation)
	if errors.Is(err, errHandleTaken) {
		m.taken("userHandle")
		return nil
	}
	return err
}

func (m *move) giveBack(ctx context.Context) error {
	var errs []error
	for _, undo := range m.undo {
		errs = append(errs, undo(ctx))
	}
	return errors.Join(errs...)
}
