package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Store keeps accounts in the bucket "accounts", one entry a user, each write checked against the revision it was read at. It is safe for concurrent use.
type Store struct {
	kv      jetstream.KeyValue
	changes Changes
	near    near
	metrics *metrics
}

// NewStore returns a store on the bucket "accounts" that keeps nothing in memory. Where others read accounts through View, nobody may write through it.
func NewStore(kv jetstream.KeyValue) *Store {
	m, _ := newMetrics()
	return &Store{kv: kv, metrics: m}
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
	entry, err := s.kv.Get(ctx, key(project, user))
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return Account{}, 0, ErrUnknown
	}
	if err != nil {
		return Account{}, 0, fault.Unavailable(time.Second, "the account could not be read").Because(err)
	}
	var a Account
	if err := jsonv2.Unmarshal(entry.Value(), &a); err != nil {
		return Account{}, 0, fault.Internal(fmt.Errorf("decode account %s: %w", user, err))
	}
	return a, entry.Revision(), nil
}

// Create stores a new account. When it has returned without error, the account is on disk. A user who is there already is ErrExists.
func (s *Store) Create(ctx context.Context, a Account) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	if _, err := s.kv.Create(ctx, key(a.Project, a.ID), raw); err != nil {
		if errors.Is(err, jetstream.ErrKeyExists) {
			return fault.Conflict("userID", "%s exists already", a.ID).Named(ErrExists.Reason)
		}
		return s.unsure(ctx, a.Project, a.ID, err)
	}
	return s.changed(ctx, a.Project, a.ID)
}

// Update reads the account, applies change and stores the result; if another writer was faster it does so again. An error of change ends it and nothing is
// stored. When Update has returned without error, no decision that begins afterwards is made on the account as it was.
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

// Amend is Update for those who finish what was begun: it changes the account of a user who is being deleted, too. A change that decisions can see must set
// announce, or they may be made on the account as it was.
func (s *Store) Amend(ctx context.Context, project ident.ProjectID, user ident.UserID, announce bool, change func(*Account) error) (Account, error) {
	a, err := s.write(ctx, project, user, change)
	if err != nil || !announce {
		return a, err
	}
	return a, s.changed(ctx, project, user)
}

func (s *Store) write(ctx context.Context, project ident.ProjectID, user ident.UserID, change func(*Account) error) (Account, error) {
	for {
		a, revision, err := s.Inspect(ctx, project, user)
		if err != nil {
			return Account{}, err
		}
		if err := change(&a); err != nil {
			return Account{}, err
		}
		raw, err := json.Marshal(a)
		if err != nil {
			return Account{}, fmt.Errorf("encode account: %w", err)
		}
		_, err = s.kv.Update(ctx, key(project, user), raw, revision)
		if err == nil {
			return a, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return Account{}, s.unsure(ctx, project, user, err)
		}
	}
}

// Delete removes the account and every trace of it from the bucket. A user who is not there is no error.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := s.kv.Purge(ctx, key(project, user)); err != nil {
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
	watch, err := s.kv.Watch(ctx, string(project)+".*", jetstream.IgnoreDeletes())
	if err != nil {
		return fault.Unavailable(time.Second, "the accounts could not be read").Because(err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read accounts: %w", ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return fault.Unavailable(time.Second, "the accounts could not be read")
			}
			if entry == nil {
				return nil
			}
			var a Account
			if err := jsonv2.Unmarshal(entry.Value(), &a); err != nil {
				return fault.Internal(fmt.Errorf("decode account %s: %w", entry.Key(), err))
			}
			if !a.Erasing && !visit(a) {
				return nil
			}
		}
	}
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

// unsure returns what to answer when a write failed. It may have been stored all the same.
func (s *Store) unsure(ctx context.Context, project ident.ProjectID, user ident.UserID, err error) error {
	if s.changes != nil {
		s.near.drop(key(project, user))
		s.changes.AccountUncertain(ctx, project, user)
	}
	return fault.Unavailable(time.Second, "the account could not be stored").Because(err)
}
