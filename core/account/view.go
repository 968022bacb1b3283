package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patience"
)

// Changes is told of every change of an account before anybody else is, and gives accounts stamps. A stamp names a state of one
// user's account: what was read after a stamp was told is good for a decision as long as the decision service, which knows of
// the changes, finds that the stamp still holds. eventlog.Store implements it, and says there why that is so.
type Changes interface {
	// AccountChanged returns when nobody any longer takes an earlier stamp of the account for current, and returns its stamp
	// now, or "" if that is not known.
	AccountChanged(ctx context.Context, project ident.ProjectID, user ident.UserID) (stamp string, err error)
	// AccountGone is AccountChanged for an account that has been removed. It leaves nothing of the user where changes are announced.
	AccountGone(ctx context.Context, project ident.ProjectID, user ident.UserID) error
	// AccountUncertain is for a change of which nobody knows whether it was stored.
	AccountUncertain(ctx context.Context, project ident.ProjectID, user ident.UserID)
	// AccountVouched reports whether a stamp still holds, if that is known here without asking anybody.
	AccountVouched(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) bool
	// AccountUsed is AccountChanged if AccountVouched, in one step: nobody else's change comes between. Otherwise it does nothing, and
	// returns "".
	AccountUsed(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) (now string)
}

// Deps is what a store works with that keeps accounts in memory. All are required but Logins and Wait.
type Deps struct {
	Bucket  jetstream.KeyValue // "accounts"; its reads must come from the leader
	Changes Changes
	Logins  Logins // nil: accounts are taken as they are stored
	Metrics prometheus.Registerer
	Wait    time.Duration // how long View and Again wait for the bucket at most; 0 = a second
}

// Open returns a store that announces changes, and keeps up to a number of usual accounts in memory for View; 0 = none, Auto = DefaultNear.
func Open(deps Deps, size int) (*Store, error) {
	if deps.Bucket == nil || deps.Changes == nil || deps.Metrics == nil {
		return nil, errors.New("account: a dependency is missing")
	}
	kept, err := newNear(size)
	if err != nil {
		return nil, fmt.Errorf("make room for accounts: %w", err)
	}
	m, views := newMetrics()
	if err := deps.Metrics.Register(views); err != nil {
		return nil, fmt.Errorf("register metrics of accounts: %w", err)
	}
	return &Store{
		accounts: stored(deps.Bucket), logins: deps.Logins, changes: deps.Changes, near: kept, metrics: m,
		patience: patience.New(cmp.Or(deps.Wait, usualWait)),
	}, nil
}

// View is an account for a decision. The account is shared by all who view it and must not be changed.
type View struct {
	Account *Account
	Stamp   string // the account was read after this stamp was told; empty = it was read just now

	stored *Account // the document, which may lack logins
	unsure bool     // a write of which nobody knows may still be under way: what was read is good for decisions, and no more
}

// usualWait is how long a decision waits for an account at most. It can be made without.
const usualWait = time.Second

// View returns an account from memory, if there is one with a stamp, or else from the bucket, which is not waited for to the end of the
// caller's time. What has a stamp may be out of date and must be used only if the stamp still holds; see Again. A user who is not there is
// ErrUnknown.
func (s *Store) View(ctx context.Context, project ident.ProjectID, user ident.UserID) (View, error) {
	kept := s.near.get(key(project, user))
	if kept != nil && kept.Account != nil {
		s.metrics.near.Inc()
		return *kept, nil
	}
	return s.read(ctx, project, user, kept)
}

// Again reads the account from the bucket because the one at hand is out of date. The stamp is what was told instead; "" = nothing.
func (s *Store) Again(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) (View, error) {
	s.metrics.stale.Inc()
	s.near.told(key(project, user), stamp)
	return s.read(ctx, project, user, s.near.get(key(project, user)))
}

// Told takes note of the stamp that came with a decision on the account; "" = none.
func (s *Store) Told(project ident.ProjectID, user ident.UserID, stamp string) {
	s.near.told(key(project, user), stamp)
}

// read reads the bucket and keeps the account under the stamp that had been told before.
func (s *Store) read(ctx context.Context, project ident.ProjectID, user ident.UserID, told *View) (View, error) {
	var stored, a Account
	err := s.patience.Wait(ctx, func(ctx context.Context) (err error) {
		if stored, _, err = s.Stored(ctx, project, user); err != nil {
			return err
		}
		lacking, err := s.lacking(ctx, &stored)
		if a = stored; len(lacking) > 0 {
			a = stored.Knowing(lacking...)
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	s.metrics.bucket.Inc()
	if told != nil && told.Stamp != "" {
		s.near.keep(key(project, user), &View{Account: &a, Stamp: told.Stamp, stored: &stored, unsure: told.unsure})
	}
	return View{Account: &a}, nil
}

// Present is Stored, but from memory where it is known there that nobody has changed the account: where one process is all there is. Like
// Stored it sees every change that was acknowledged before the call, other than those that Amend does not announce.
func (s *Store) Present(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, error) {
	if a, known := s.vouched(ctx, project, user); known {
		return a, nil
	}
	a, _, err := s.Stored(ctx, project, user)
	return a, err
}

// vouched returns the account as it is stored, if it is in memory and its stamp holds. It may be changed.
func (s *Store) vouched(ctx context.Context, project ident.ProjectID, user ident.UserID) (Account, bool) {
	kept := s.near.get(key(project, user))
	if !kept.present() || !s.changes.AccountVouched(ctx, project, user, kept.Stamp) {
		return Account{}, false
	}
	s.metrics.near.Inc()
	return kept.stored.Knowing(), true
}

// used announces a login and returns the account as it is stored, as vouched does. Memory has the account with that login afterwards.
func (s *Store) used(ctx context.Context, project ident.ProjectID, user ident.UserID, login event.Found) (Account, bool) {
	kept := s.near.get(key(project, user))
	if !kept.present() {
		return Account{}, false
	}
	now := s.changes.AccountUsed(ctx, project, user, kept.Stamp)
	if now == "" {
		return Account{}, false
	}
	s.metrics.near.Inc()
	s.near.keep(key(project, user), kept.with(login, now))
	return kept.stored.Knowing(), true
}

// present reports whether the view has the account as it was stored when its stamp was told.
func (v *View) present() bool { return v != nil && v.stored != nil && !v.unsure }

// with returns the view under another stamp, after a login that is all that the stored account lacks. One that came later is known then,
// and says all that this one does.
func (v *View) with(login event.Found, stamp string) *View {
	after := *v
	after.Stamp = stamp
	if v.Account.UsedTo < login.Sequence {
		a := v.stored.Knowing(login)
		after.Account = &a
	}
	return &after
}
