package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// ErrUnknown says that the project has no such session.
var ErrUnknown = errors.New("there is no such session")

// Store keeps a session under its ID, and in the index, under its user, that it exists. It is safe for concurrent use.
type Store struct {
	sessions jetstream.KeyValue // bucket "sessions": <project>.<session>
	index    jetstream.KeyValue // bucket "session-index": <project>.<user>.<session>, without a value
}

// NewStore returns a store on its two buckets.
func NewStore(sessions, index jetstream.KeyValue) *Store {
	return &Store{sessions: sessions, index: index}
}

func key(project ident.ProjectID, id ident.SessionID) string {
	return string(project) + "." + string(id)
}

func indexKey(project ident.ProjectID, user ident.UserID, id ident.SessionID) string {
	return strings.Join([]string{string(project), string(user), string(id)}, ".")
}

// Create stores a new session and returns it. When it has returned without error, the session is on disk and EraseUser finds it. A session of the user that has the
// ID already is the sign of a repeated call: that one is returned.
func (s *Store) Create(ctx context.Context, made Session) (Session, error) {
	raw, err := json.Marshal(made)
	if err != nil {
		return Session{}, fmt.Errorf("encode session: %w", err)
	}
	// The index first: an entry of a session that never came to be does no harm, and a session that the erasure of its user does not find would.
	if _, err := s.index.Put(ctx, indexKey(made.Project, made.User, made.ID), nil); err != nil {
		return Session{}, unavailable("stored", err)
	}
	_, err = s.sessions.Create(ctx, key(made.Project, made.ID), raw)
	if errors.Is(err, jetstream.ErrKeyExists) {
		found, err := s.Get(ctx, made.Project, made.ID)
		if err == nil && found.User != made.User {
			return Session{}, fault.Conflict("sessionID", "is another user's")
		}
		return found, err
	}
	if err != nil {
		return Session{}, unavailable("stored", err)
	}
	return made, nil
}

// Get returns a session, or ErrUnknown.
func (s *Store) Get(ctx context.Context, project ident.ProjectID, id ident.SessionID) (Session, error) {
	found, _, err := s.get(ctx, project, id)
	return found, err
}

func (s *Store) get(ctx context.Context, project ident.ProjectID, id ident.SessionID) (Session, uint64, error) {
	if _, err := ident.ParseSessionID(string(id)); err != nil {
		return Session{}, 0, ErrUnknown
	}
	entry, err := s.sessions.Get(ctx, key(project, id))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Session{}, 0, ErrUnknown
	}
	if err != nil {
		return Session{}, 0, unavailable("read", err)
	}
	var found Session
	if err := json.Unmarshal(entry.Value(), &found); err != nil {
		return Session{}, 0, fault.Internal(fmt.Errorf("decode session: %w", err))
	}
	return found, entry.Revision(), nil
}

// Update reads a session, applies change and stores the result; if another writer was faster it does so again. An error of change ends it and nothing is
// stored; what change leaves as it is, is not written. The session may be ErrUnknown.
func (s *Store) Update(ctx context.Context, project ident.ProjectID, id ident.SessionID, change func(*Session) error) (Session, error) {
	for {
		found, revision, err := s.get(ctx, project, id)
		if err != nil {
			return Session{}, err
		}
		before := found
		if err := change(&found); err != nil || found == before {
			return found, err
		}
		raw, err := json.Marshal(found)
		if err != nil {
			return Session{}, fmt.Errorf("encode session: %w", err)
		}
		_, err = s.sessions.Update(ctx, key(project, id), raw, revision)
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return Session{}, unavailable("stored", err)
		}
	}
}

// EraseUser removes every session of a user. An interrupted erasure is repeated by asking for it again.
func (s *Store) EraseUser(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	ids, err := s.of(ctx, project, user)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.Erase(ctx, project, user, id); err != nil {
			return err
		}
	}
	return nil
}

// Erase removes one session of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.SessionID) error {
	// The index last: what is left of an interrupted erasure must be found again.
	if err := s.sessions.Purge(ctx, key(project, id)); err != nil {
		return unavailable("deleted", err)
	}
	if err := s.index.Purge(ctx, indexKey(project, user, id)); err != nil {
		return unavailable("deleted", err)
	}
	return nil
}

// of returns the sessions that the index has of a user.
func (s *Store) of(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]ident.SessionID, error) {
	watch, err := s.index.Watch(ctx, indexKey(project, user, "*"), jetstream.IgnoreDeletes(), jetstream.MetaOnly())
	if err != nil {
		return nil, unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	var ids []ident.SessionID
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read sessions: %w", ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return nil, fault.Unavailable(time.Second, "the sessions could not be read")
			}
			if entry == nil {
				return ids, nil
			}
			ids = append(ids, ident.SessionID(entry.Key()[strings.LastIndexByte(entry.Key(), '.')+1:]))
		}
	}
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the session could not be %s", done).Because(err)
}
