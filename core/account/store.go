package account

import (
	"context"
	"errors"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/patience"
)

// Store keeps accounts in the bucket "accounts", one entry a user, each write checked against the revision it was read at. It
// is safe for concurrent use.
type Store struct {
	accounts kv.Bucket[Account]
	logins   Logins // nil: accounts are taken as they are stored
	changes  Changes
	near     near
	metrics  *metrics
	patience *patience.Patience // of View and Again
}

// NewStore returns a store on the bucket "accounts" that keeps nothing in memory, and waits for it as its caller does. Where others read
// accounts through View, nobody may write through it.
func NewStore(bucket jetstream.KeyValue) *Store {
	m, _ := newMetrics()
	return &Store{accounts: stored(bucket), metrics: m, patience: patience.New(time.Minute)}
}

// With returns the same store, but that its accounts have taken up what logins say; see Get.
func (s *Store) With(logins Logins) *Store {
	folding := *s
	folding.logins = logins
	return &folding
}

func stored(bucket jetstream.KeyValue) kv.Bucket[Account] {
	return kv.Bucket[Account]{
		KV: bucket, Name: "account", Missing: ErrUnknown,
		Decode: func(raw []byte, a *Account) error { return jsonv2.Unmarshal(raw, a) }, // every decision waits for it
	}
}

func key(project ident.ProjectID, user ident.UserID) string {
	return string(project) + "." + string(user)
}

// Get reads an account and its revision from the bucket. What logins say of it that is in the log alone, it has taken up: how passkeys were
// used, and where. A user who is not there, or who is being deleted, is ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, uint64, error) {
	a, revision, err := s.Stored(ctx, project, user)
	if err != nil {
		return Account{}, 0, err
	}
	if err := s.takeUp(ctx, &a); err != nil {
		return Account{}, 0, err
	}
	return a, revision, nil
}

// Stored is Get for those who do not look at what logins say: it reads the bucket alone.
func (s *Store) Stored(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, uint64, error) {
	a, revision, err := s.Inspect(ctx, project, user)
	if err == nil && a.Erasing {
		return Account{}, 0, ErrUnknown
	}
	return a, revision, err
}

// takeUp has an account that was read take up the logins that it lacks.
func (s *Store) takeUp(ctx context.Context, a *Account) error {
	lacking, err := s.lacking(ctx, a)
	if err != nil {
		return err
	}
	a.TakeUp(lacking)
	return nil
}

func (s *Store) lacking(ctx context.Context, a *Account) ([]event.Found, error) {
	if s.logins == nil {
		return nil, nil
	}
	return s.logins.Logins(ctx, a.Project, a.ID, a.UsedTo)
}

// Inspect is Stored for those who finish what was begun: it reads the account of a user who is being deleted, too.
func (s *Store) Inspect(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, uint64, error) {
	e, err := s.accounts.Get(ctx, key(project, user))
	return e.Value, e.Revision, err
}

// Create stores a new account. When it has returned without error, the account is on disk. A user who is there already is ErrExists.
func (s *Store) Create(ctx context.Context, a Account) error {
	_, err := s.accounts.Create(ctx, key(a.Project, a.ID), a)
	if errors.Is(err, kv.ErrExists) {
		return fault.Conflict("userID", "%s exists already", a.ID).Named(ErrExists.Reason)
	}
	if err != nil {
		return s.unsure(ctx, a.Project, a.ID, err)
	}
	return s.changed(ctx, a.Project, a.ID)
}

// Update reads the account as Get does, applies change and stores the result; if another writer was faster it does so again. So what is
// changed comes after the logins before it: an environment that is forgotten stays forgotten. An error of
// change ends it and nothing is stored. When Update has returned without error, no decision that begins afterwards is made on
// the account as it was.
func (s *Store) Update(ctx context.Context, project ident.ProjectID, user ident.UserID, change func(*Account) error) (Account, error) {
	a, err := s.write(ctx, project, user, func(a *Account) error {
		if a.Erasing {
			return ErrUnknown
		}
		return change(a)
	})
	if err != nil {
		return Account{}, err
	}
	return a, s.changed(ctx, project, user)
}

// Amend is Update for those who finish what was begun: it changes the account of a user who is being deleted, too. A change
// that decisions can see, or who asks for the account by Present, must set announce, or they may be told of the account as it was.
func (s *Store) Amend(
	ctx context.Context, project ident.ProjectID, user ident.UserID, announce bool, change func(*Account) error,
) (Account, error) {
	a, err := s.write(ctx, project, user, change)
	if err != nil || !announce {
		return a, err
	}
	return a, s.changed(ctx, project, user)
}

func (s *Store) write(ctx context.Context, project ident.ProjectID, user ident.UserID, change func(*Account) error) (Account, error) {
	e, err := s.accounts.Change(ctx, key(project, user), func(a *Account) error {
		if err := s.takeUp(ctx, a); err != nil {
			return err
		}
		return change(a)
	})
	if errors.Is(err, kv.ErrUnavailable) {
		return Account{}, s.unsure(ctx, project, user, err)
	}
	if err != nil {
		return Account{}, err
	}
	return e.Value, nil
}

// Used announces a login that the log has and the account need not (see MayLack): no decision that begins afterwards is made on the account
// as it was. Then it hands over the account as it is stored, of which nothing is written: what change makes of it is as if Update had been
// called and nothing stored, and its error is returned. So it sees every change that was acknowledged before the login was.
func (s *Store) Used(
	ctx context.Context, project ident.ProjectID, user ident.UserID, login event.Found, change func(*Account) error,
) (Account, error) {
	if a, known := s.used(ctx, project, user, login); known {
		return a, change(&a)
	}
	if err := s.changed(ctx, project, user); err != nil {
		return Account{}, err
	}
	a, _, err := s.Stored(ctx, project, user)
	if err != nil {
		return Account{}, err
	}
	return a, change(&a)
}

// Fold stores what logins up to a sequence of the log say, if the account lacks one of them. One that is not there lacks none.
func (s *Store) Fold(ctx context.Context, project ident.ProjectID, user ident.UserID, sequence uint64) error {
	a, _, err := s.Stored(ctx, project, user)
	if err == nil && a.UsedTo >= sequence {
		return nil
	}
	known := a.UsedTo
	if err == nil {
		err = s.takeUp(ctx, &a)
	}
	if err == nil && a.UsedTo != known {
		_, err = s.Update(ctx, project, user, func(*Account) error { return nil })
	}
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	return err
}

// Delete removes the account and every trace of it from the bucket. A user who is not there is no error.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := s.accounts.Delete(ctx, key(project, user)); err != nil {
		return s.unsure(ctx, project, user, err)
	}
	if s.changes == nil {
		return nil
	}
	s.near.drop(key(project, user))
	return s.changes.AccountGone(ctx, project, user)
}

// All calls visit for every account of the project but those that are being deleted, in no particular order, until visit returns false.
func (s *Store) All(ctx context.Context, project ident.ProjectID, visit func(Account) bool) error {
	for e, err := range s.accounts.All(ctx, string(project)+".*") {
		if err != nil {
			return err
		}
		if !e.Value.Erasing && !visit(e.Value) {
			return nil
		}
	}
	return nil
}

// changed announces what has been stored.
func (s *Store) changed(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if s.changes == nil {
		return nil
	}
	stamp, err := s.changes.AccountChanged(ctx, project, user)
	if err != nil {
		return err
	}
	s.near.told(key(project, user), stamp)
	return nil
}

// unsure is for a write that failed, with err. It may have been stored all the same.
func (s *Store) unsure(ctx context.Context, project ident.ProjectID, user ident.UserID, err error) error {
	if s.changes != nil {
		s.near.keep(key(project, user), &View{unsure: true})
		s.changes.AccountUncertain(ctx, project, user)
	}
	return err
}
