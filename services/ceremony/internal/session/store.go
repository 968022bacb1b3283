package session

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// ErrUnknown says that the project has no such session.
var ErrUnknown = errors.New("there is no such session")

// Store keeps a session under its ID, and in the index, under its user, that it exists. It is safe for concurrent use.
type Store struct {
	sessions kv.Bucket[Session]  // <project>.<session>
	index    kv.Bucket[struct{}] // <project>.<user>.<session>, without a value
}

// NewStore returns a store on the buckets "sessions" and "session-index".
func NewStore(sessions, index jetstream.KeyValue) *Store {
	nothing := func(struct{}) ([]byte, error) { return nil, nil }
	return &Store{
		sessions: kv.Bucket[Session]{KV: sessions, Name: "session", Missing: ErrUnknown},
		index:    kv.Bucket[struct{}]{KV: index, Name: "session", Encode: nothing},
	}
}

func key(project ident.ProjectID, id ident.SessionID) string {
	return string(project) + "." + string(id)
}

func indexKey(project ident.ProjectID, user ident.UserID, id ident.SessionID) string {
	return strings.Join([]string{string(project), string(user), string(id)}, ".")
}

// Create stores a new session and returns it. When it has returned without error, the session is on disk and EraseUser finds it. A
// session of the user that has the ID already is the sign of a repeated call: that one is returned.
func (s *Store) Create(ctx context.Context, made Session) (Session, error) {
	// The index first: an entry of a session that never came to be does no harm, and a session that the erasure of its user
	// does not find would.
	if err := s.index.Put(ctx, indexKey(made.Project, made.User, made.ID), struct{}{}); err != nil {
		return Session{}, err
	}
	e, err := s.sessions.CreateOrChange(ctx, key(made.Project, made.ID), made, func(found *Session) error {
		if found.User != made.User {
			return fault.Conflict("sessionID", "is another user's")
		}
		return nil
	})
	if err != nil {
		return Session{}, err
	}
	return e.Value, nil
}

// Get returns a session, or ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, id ident.SessionID) (Session, error) {
	if _, err := ident.ParseSessionID(string(id)); err != nil {
		return Session{}, ErrUnknown
	}
	e, err := s.sessions.Get(ctx, key(project, id))
	return e.Value, err
}

// Update reads a session, applies change and stores the result; if another writer was faster it does so again. An error of change ends
// it and nothing is stored; what change leaves as it is, is not written. The session may be ErrUnknown.
func (s *Store) Update(ctx context.Context, project ident.ProjectID, id ident.SessionID, change func(*Session) error) (Session, error) {
	if _, err := ident.ParseSessionID(string(id)); err != nil {
		return Session{}, ErrUnknown
	}
	e, err := s.sessions.Change(ctx, key(project, id), change)
	return e.Value, err
}

// EraseUser removes every session of a user. An interrupted erasure is repeated by asking for it again.
func (s *Store) EraseUser(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	keys, err := s.index.Keys(ctx, indexKey(project, user, "*"))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := s.Erase(ctx, project, user, ident.SessionID(k[strings.LastIndexByte(k, '.')+1:])); err != nil {
			return err
		}
	}
	return nil
}

// Erase removes one session of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.SessionID) error {
	// The index last: what is left of an interrupted erasure must be found again.
	if err := s.sessions.Delete(ctx, key(project, id)); err != nil {
		return err
	}
	return s.index.Delete(ctx, indexKey(project, user, id))
}
