package account

import (
	"context"
	"errors"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/patience"
)

// Store keeps accounts in the bucket "accounts", one entry a user, each write checked against the revision it was read at. It
// is safe for concurrent use.
type Store struct {
	accounts kv.Bucket[Account]
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

func stored(bucket jetstream.KeyValue) kv.Bucket[Account] {
	return kv.Bucket[Account]{
		KV: bucket, Name: "account", Missing: ErrUnknown,
		Decode: func(raw []byte, a *Account) error { return jsonv2.Unmarshal(raw, a) }, // every decision waits for it
	}
}

func key(project ident.ProjectID, user ident.UserID) string {
	return string(project) + "." + string(user)
}

// Get reads an account and its revision from the bucket. A user who is not there, or who is being deleted, is ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, uint64, error) {
	a, revision, err := s.Inspect(ctx, project, user)
	if err == nil && a.Erasing {
		return Account{}, 0, ErrUnknown
	}
	return a, revision, err
}

// Inspect is Get for those who finish what was begun: it reads the account of a user who is being deleted, too.
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

// Update reads the account, applies change and stores the result; if another writer was faster it does so again. An error of
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
// that decisions can see must set announce, or they may be made on the account as it was.
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
	e, err := s.accounts.Change(ctx, key(project, user), change)
	if errors.Is(err, kv.ErrUnavailable) {
		return Account{}, s.unsure(ctx, project, user, err)
	}
	if err != nil {
		return Account{}, err
	}
	return e.Value, nil
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
		s.near.drop(key(project, user))
		s.changes.AccountUncertain(ctx, project, user)
	}
	return err
}
