// Package identindex keeps unique what there may be one of: identifiers and social accounts in a project, host names among all projects. Store touches the
// key-value bucket "identifier-index" and nothing else.
//
// An entry is reserved before its owner says that it has the name, and the owner is the truth: an entry whose owner does not have the name, as an interrupted
// write may leave, means nothing and lapses.
package identindex

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Name is what there may be one of.
type Name struct {
	Scope string // where it is unique: a project, or Everywhere
	Kind  string // letters and dashes
	Value string // any text; equal for equal names
}

// Everywhere is the scope of all projects together. No project has such an ID.
const Everywhere = "_"

// InProject returns a name that is unique in one project.
func InProject(project ident.ProjectID, kind, value string) Name {
	return Name{Scope: string(project), Kind: kind, Value: value}
}

// Entry says who has a name. Created is in Unix ms.
type Entry struct {
	Owner   string `json:"owner"`        // a user, or a project
	ID      string `json:"id,omitempty"` // of the identifier or social account
	Created int64  `json:"created"`      // when it was reserved
}

// ErrTaken reports that the name is another's.
var ErrTaken = errors.New("taken already")

// attempts bounds how often a reservation is tried again that others have come before.
const attempts = 5

// Store is the index on the bucket "identifier-index".
type Store struct{ kv jetstream.KeyValue }

// NewStore returns the index on the bucket "identifier-index".
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

// Find returns the entry of a name; ok is false if there is none. Whether the owner really has the name, only the owner can tell.
func (s *Store) Find(ctx context.Context, n Name) (e Entry, ok bool, err error) {
	e, _, ok, err = s.get(ctx, key(n))
	return e, ok, err
}

// Reserve enters a name, or returns ErrTaken. The caller has seen that e.Owner does not have the name, so an older reservation of the same owner gives way. One of
// another owner does when it is older than grace and has denies that its owner has the name. Whoever reserves must have made the name the owner's, or
// have given up for good, before grace is over.
func (s *Store) Reserve(ctx context.Context, n Name, e Entry, grace time.Duration, has func(owner string) (bool, error)) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode index entry: %w", err)
	}
	for range attempts {
		_, err := s.kv.Create(ctx, key(n), raw)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return unavailable("stored", err)
		}
		old, revision, ok, err := s.get(ctx, key(n))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := lapsed(old, e, grace, has); err != nil {
			return err
		}
		_, err = s.kv.Update(ctx, key(n), raw, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return unavailable("stored", err)
		}
	}
	return ErrTaken
}

func lapsed(old, e Entry, grace time.Duration, has func(owner string) (bool, error)) error {
	if old.Owner == e.Owner {
		return nil
	}
	if e.Created-old.Created < grace.Milliseconds() {
		return ErrTaken
	}
	taken, err := has(old.Owner)
	if err != nil {
		return err
	}
	if taken {
		return ErrTaken
	}
	return nil
}

// Release frees a name, if its entry is the owner's and, unless id is empty, has that ID. An entry that somebody else has taken over meanwhile stays.
func (s *Store) Release(ctx context.Context, n Name, owner, id string) error {
	e, revision, ok, err := s.get(ctx, key(n))
	if err != nil {
		return err
	}
	if !ok || e.Owner != owner || (id != "" && e.ID != id) {
		return nil
	}
	if err := s.kv.Purge(ctx, key(n), jetstream.LastRevision(revision)); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return unavailable("deleted", err)
	}
	return nil
}

func (s *Store) get(ctx context.Context, key string) (e Entry, revision uint64, ok bool, err error) {
	stored, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Entry{}, 0, false, nil
	}
	if err != nil {
		return Entry{}, 0, false, unavailable("read", err)
	}
	if err := json.Unmarshal(stored.Value(), &e); err != nil {
		return Entry{}, 0, false, fault.Internal(fmt.Errorf("decode index entry: %w", err))
	}
	return e, stored.Revision(), true, nil
}

// key gives outside text of any length a key of fixed length in a safe alphabet.
func key(n Name) string {
	sum := sha256.Sum256([]byte(n.Value))
	return n.Scope + "." + n.Kind + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the identifier index could not be %s", done).Because(err)
}
