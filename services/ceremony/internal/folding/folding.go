// Package folding moves accounts forward: what logins say of them, which the log has alone at first, it stores in their documents every
// few minutes, once for all logins of a user. Nobody waits for it, and nobody needs it to know an account: who reads one takes up what it
// lacks. But an event must not grow too old and expire before then. It touches the bucket of accounts, reads the log, and keeps in the
// bucket "store-integrity" how far it has come.
//
// Instances do the same work and share how far it is done. Each run looks at every login after that, whoever has ended it, and notes a
// login when all accounts up to it have been stored. So a crash loses nothing, whenever it comes: the next run, of any instance, begins
// where the last one had come to its end.
package folding

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

const (
	every  = 10 * time.Minute // events are kept for an hour at least
	pause  = time.Minute      // until it is looked whether it is time again
	most   = 10_000           // logins that are gathered at a time
	keptAs = "logins-in-accounts"
)

// Log tells of logins. core/eventlog.Store does.
type Log interface {
	EachLogin(ctx context.Context, after uint64, visit func(ident.ProjectID, ident.UserID, uint64) error) error
}

// Deps is what a folder works with. All fields are required.
type Deps struct {
	Accounts *account.Store // that takes up what logins say
	Log      Log
	Bucket   jetstream.KeyValue // bus.IntegrityBucket
	Now      func() time.Time
	Logger   *slog.Logger
}

// Folder moves accounts forward.
type Folder struct {
	deps Deps
	come kv.Bucket[position]
}

// position is how far the accounts are known to have been moved.
type position struct {
	Sequence uint64 `json:"sequence"` // of the log
	AtMs     int64  `json:"atMs"`     // when that was found; Unix ms
}

// New returns a folder.
func New(d Deps) *Folder {
	return &Folder{deps: d, come: kv.Bucket[position]{KV: d.Bucket, Name: "position of the logins in accounts"}}
}

// Run moves accounts forward until ctx ends.
func (f *Folder) Run(ctx context.Context) {
	for {
		if err := f.Fold(ctx); err != nil && ctx.Err() == nil {
			f.deps.Logger.WarnContext(ctx, "what logins say could not be stored in all accounts yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Fold moves forward the accounts of all who have logged in since the last time, unless that was just now.
func (f *Folder) Fold(ctx context.Context) error {
	e, err := f.come.Get(ctx, keptAs)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("read how far it had come: %w", err)
	}
	now := f.deps.Now()
	if age := now.UnixMilli() - e.Value.AtMs; age >= 0 && age < every.Milliseconds() {
		return nil
	}
	last, err := f.after(ctx, e.Value)
	if err != nil {
		return err
	}
	return f.come.Put(ctx, keptAs, position{Sequence: last, AtMs: now.UnixMilli()})
}

// errEnough ends a reading of the log.
var errEnough = errors.New("enough for now")

// after moves forward who has logged in after a position, and returns that of the last login. What it has come to on a long way it notes,
// so that whoever is interrupted does not begin anew.
func (f *Folder) after(ctx context.Context, come position) (uint64, error) {
	for last := come.Sequence; ; {
		newest, seen := map[account.Ref]uint64{}, 0
		err := f.deps.Log.EachLogin(ctx, last, func(project ident.ProjectID, user ident.UserID, sequence uint64) error {
			if seen++; seen > most {
				return errEnough
			}
			newest[account.Ref{Project: project, User: user}] = sequence
			last = sequence
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return 0, fmt.Errorf("read the log: %w", err)
		}
		if stored := f.store(ctx, newest); stored != nil {
			return 0, stored
		}
		if err == nil {
			return last, nil
		}
		if err := f.come.Put(ctx, keptAs, position{Sequence: last, AtMs: come.AtMs}); err != nil {
			return 0, err
		}
	}
}

func (f *Folder) store(ctx context.Context, newest map[account.Ref]uint64) error {
	for ref, sequence := range newest {
		err := f.deps.Accounts.Fold(ctx, ref.Project, ref.User, sequence)
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, fault.TypeUnavailable), errors.Is(err, kv.ErrUnavailable):
			return fmt.Errorf("store what logins say of %s: %w", ref.User, err)
		default: // an account that cannot be read keeps no other from it
			f.deps.Logger.WarnContext(
				ctx, "what logins say could not be stored in an account", "project", ref.Project, "user", ref.User, "error", err,
			)
		}
	}
	return nil
}
