package process

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// ErrUnknown says that there is no such process, that it has expired, or that the token is not its own: nobody can tell which.
var ErrUnknown = fault.NoProcess("there is no such process, or it has expired").Named("process-unknown")

// Store is the bucket "processes". It is safe for concurrent use.
type Store struct{ processes kv.Bucket[Process] }

// NewStore returns a store on the bucket "processes".
func NewStore(bucket jetstream.KeyValue) *Store {
	return &Store{processes: kv.Bucket[Process]{KV: bucket, Name: "process", Missing: ErrUnknown}}
}

func key(project ident.ProjectID, id string) string { return string(project) + "." + id }

// Create stores a new process.
func (s *Store) Create(ctx context.Context, p Process) error {
	_, err := s.processes.Create(ctx, key(p.Project, p.ID), p)
	return err
}

// Get returns the process of a token, or ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time) (Process, error) {
	id, secret, ok := split(token)
	if !ok {
		return Process{}, ErrUnknown
	}
	e, err := s.processes.Get(ctx, key(project, id))
	if err == nil {
		err = admit(e.Value, kind, secret, now, Process.opens)
	}
	if err != nil {
		return Process{}, err
	}
	return e.Value, nil
}

// holds says whose token opens a process: Process.opens or Process.admits.
type holds func(p Process, secret string) bool

func admit(p Process, kind Kind, secret string, now time.Time, by holds) error {
	if !by(p, secret) || p.Kind != kind || now.UnixMilli() >= p.ExpiresMs {
		return ErrUnknown
	}
	return nil
}

// Update reads a process, applies change and stores the result; if another writer was faster it does so again, so change may be called
// several times. An error of change ends it and nothing is stored; what change leaves as it is, is not written.
func (s *Store) Update(
	ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, change func(*Process) error,
) (Process, error) {
	return s.update(ctx, project, kind, token, now, Process.opens, change)
}

// UpdateAsGuest is Update with the token of a guest.
func (s *Store) UpdateAsGuest(
	ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, change func(*Process) error,
) (Process, error) {
	return s.update(ctx, project, kind, token, now, Process.admits, change)
}

func (s *Store) update(
	ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time, by holds, change func(*Process) error,
) (Process, error) {
	id, secret, ok := split(token)
	if !ok {
		return Process{}, ErrUnknown
	}
	e, err := s.processes.Change(ctx, key(project, id), func(p *Process) error {
		if err := admit(*p, kind, secret, now, by); err != nil {
			return err
		}
		return change(p)
	})
	if err != nil {
		return Process{}, err
	}
	return e.Value, nil
}

// Delete removes the process of a token, or returns ErrUnknown.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, kind Kind, token string, now time.Time) error {
	p, err := s.Get(ctx, project, kind, token, now)
	if err != nil {
		return err
	}
	return s.processes.Delete(ctx, key(project, p.ID))
}

// Erase removes every process of a user. It reads all processes of the project: nothing leads from a user to them.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	for e, err := range s.processes.All(ctx, string(project)+".*") {
		if err == nil && e.Value.User == user {
			err = s.processes.Delete(ctx, e.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
