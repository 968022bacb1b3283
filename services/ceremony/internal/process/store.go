package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// ErrUnknown says that there is no such process, that it has expired, or that the token is not its own: nobody can tell which.
var ErrUnknown = fault.NoProcess("there is no such process, or it has expired").Named("process-unknown")

// Store is the bucket "processes". It is safe for concurrent use.
type Store struct{ kv jetstream.KeyValue }

// NewStore returns a store on the bucket "processes".
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

func key(project ident.ProjectID, id string) string { return string(project) + "." + id }

// Create stores a new process.
func (s *Store) Create(ctx context.Context, p Process) error {
	raw, err := json.Marshal(p) //nolint:gosec // the secret is a hash
	if err != nil {
		return fmt.Errorf("encode process: %w", err)
	}
	if _, err := s.kv.Create(ctx, key(p.Project, p.ID), raw); err != nil {
		return unavailable("stored", err)
	}
	return nil
}

// Get returns the process of a token, or ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time) (Process, error) {
	p, _, err := s.get(ctx, project, kind, token, now, Process.opens)
	return p, err
}

// holds says whose token opens a process: Process.opens or Process.admits.
type holds func(p Process, secret string) bool

func (s *Store) get(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, by holds) (Process, jetstream.KeyValueEntry, error) {
	id, secret, ok := split(token)
	if !ok {
		return Process{}, nil, ErrUnknown
	}
	entry, err := s.kv.Get(ctx, key(project, id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Process{}, nil, ErrUnknown
	}
	if err != nil {
		return Process{}, nil, unavailable("read", err)
	}
	var p Process
	if err := json.Unmarshal(entry.Value(), &p); err != nil {
		return Process{}, nil, fault.Internal(fmt.Errorf("decode process: %w", err))
	}
	if !by(p, secret) || p.Kind != kind || now.UnixMilli() >= p.ExpiresMs {
		return Process{}, nil, ErrUnknown
	}
	return p, entry, nil
}

// Update reads a process, applies change and stores the result; if another writer was faster it does so again, so change may be called several times. An error of change
// ends it and nothing is stored; what change leaves as it is, is not written.
func (s *Store) Update(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, change func(*Process) error) (Process, error) {
	return s.update(ctx, project, kind, token, now, Process.opens, change)
}

// UpdateAsGuest is Update with the token of a guest.
func (s *Store) UpdateAsGuest(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, change func(*Process) error) (Process, error) {
	return s.update(ctx, project, kind, token, now, Process.admits, change)
}

func (s *Store) update(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, by holds, change func(*Process) error) (Process, error) {
	for {
		p, entry, err := s.get(ctx, project, kind, token, now, by)
		if err != nil {
			return Process{}, err
		}
		if err := change(&p); err != nil {
			return Process{}, err
		}
		raw, err := json.Marshal(p) //nolint:gosec // the secret is a hash
		if err != nil {
			return Process{}, fmt.Errorf("encode process: %w", err)
		}
		if bytes.Equal(raw, entry.Value()) {
			return p, nil
		}
		_, err = s.kv.Update(ctx, key(project, p.ID), raw, entry.Revision())
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return Process{}, unavailable("stored", err)
		}
	}
}

// Delete removes the process of a token, or returns ErrUnknown.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time) error {
	p, _, err := s.get(ctx, project, kind, token, now, Process.opens)
	if err != nil {
		return err
	}
	if err := s.kv.Purge(ctx, key(project, p.ID)); err != nil {
		return unavailable("deleted", err)
	}
	return nil
}

// Erase removes every process of a user. It reads all processes of the project: nothing leads from a user to them.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	watch, err := s.kv.Watch(ctx, string(project)+".*", jetstream.IgnoreDeletes())
	if err != nil {
		return unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fault.Unavailable(time.Second, "the processes could not be read").Because(ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return unavailable("read", errors.New("the watch ended"))
			}
			if entry == nil {
				return nil
			}
			if err := s.eraseIfOf(ctx, entry, user); err != nil {
				return err
			}
		}
	}
}

func (s *Store) eraseIfOf(ctx context.Context, entry jetstream.KeyValueEntry, user ident.UserID) error {
	var p struct {
		User ident.UserID `json:"user"`
	}
	if err := json.Unmarshal(entry.Value(), &p); err != nil {
		return fault.Internal(fmt.Errorf("decode process: %w", err))
	}
	if p.User != user {
		return nil
	}
	if err := s.kv.Purge(ctx, entry.Key()); err != nil {
		return unavailable("deleted", err)
	}
	return nil
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the process could not be %s", done).Because(err)
}
