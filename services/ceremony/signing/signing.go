// Package signing keeps the keys that a project signs with, and signs and verifies with them: RS256 and nothing else (RFC 7518
// §3.3). Store touches the bucket "signing-keys" and nothing else.
//
// Whether a key signs follows from the clock, so that instances change keys together without telling each other. Private keys
// are stored as the sealer makes them: without one, who can read the bucket can sign. They are never logged.
package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Audit is told of keys that the store publishes by itself; it answers at once. audit.Queue is one.
type Audit interface {
	Add(ctx context.Context, events ...audit.Event)
}

// Deps is what a store works with. All fields but Sealer and Audit are required.
type Deps struct {
	Bucket jetstream.KeyValue // bus.KeysBucket
	Sealer kv.Sealer          // nil = private keys are stored as they are
	MaxAge time.Duration      // how long a key signs
	Now    func() time.Time
	Log    *slog.Logger
	Audit  Audit // nil = nobody is told
}

// Store keeps the keys of every project in memory, kept true by a watch; what is not there is read. It is safe for concurrent use.
type Store struct {
	keys   kv.Bucket[Keys]
	maxAge time.Duration
	now    func() time.Time
	log    *slog.Logger
	audit  Audit
	first  singleflight.Group // by project: making a key takes a tenth of a second of a processor

	mu    sync.RWMutex
	rings map[ident.ProjectID]*ring // of a project without keys: one without keys, which keeps the revision
}

// Open loads all keys. Run keeps them true and rotates them.
func Open(ctx context.Context, deps Deps) (*Store, error) {
	if deps.Bucket == nil || deps.Now == nil || deps.Log == nil || deps.MaxAge <= 0 {
		return nil, errors.New("signing: a dependency is missing")
	}
	s := &Store{
		keys:   kv.Bucket[Keys]{KV: deps.Bucket, Name: "signing keys", Sealer: deps.Sealer},
		maxAge: deps.MaxAge, now: deps.Now, log: deps.Log, audit: deps.Audit, rings: make(map[ident.ProjectID]*ring),
	}
	if err := s.keys.Load(ctx, s.apply); err != nil {
		return nil, fmt.Errorf("load signing keys: %w", err)
	}
	return s, nil
}

// maintainEvery is how often keys are looked at for their age.
const maintainEvery = 5 * time.Minute

// Run follows changes that any instance makes and rotates keys by their age, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	if err := s.keys.Keep(ctx, s.apply, maintainEvery, s.Maintain); err != nil {
		return fmt.Errorf("watch signing keys: %w", err)
	}
	return nil
}

// Maintain publishes the next key of every project whose active key is about to be too old, and removes keys that nobody needs.
// What fails is logged and tried again the next time.
func (s *Store) Maintain(ctx context.Context) {
	s.mu.RLock()
	rings := maps.Clone(s.rings)
	s.mu.RUnlock()
	for project, r := range rings {
		now := s.now()
		if len(r.keys) == 0 || (len(r.keys.current(now)) == len(r.keys) && !r.keys.due(now, s.maxAge)) {
			continue
		}
		if err := s.maintain(ctx, project, now); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "signing keys could not be rotated", "project", project, "error", err)
		}
	}
}

// maintain does so for one project. Of several instances that publish a key at once one does, and tells.
func (s *Store) maintain(ctx context.Context, project ident.ProjectID, now time.Time) error {
	published := false
	r, err := s.update(ctx, project, func(keys Keys) (Keys, error) {
		if published = len(keys) > 0 && keys.due(now, s.maxAge); !published {
			return keys.current(now), nil
		}
		return keys.rotated(now, false, generate)
	})
	if err == nil && published && s.audit != nil {
		s.audit.Add(ctx, audit.Event{Type: audit.SigningKeyRotated, Project: project, SigningKey: r.keys[len(r.keys)-1].ID})
	}
	return err
}

// Rotate publishes another key, which signs after Lead or, if wanted, at once; and returns the keys. Nobody keeps verifiers
// that have not fetched the key set since from meeting a key that they do not know if it signs at once.
func (s *Store) Rotate(ctx context.Context, project ident.ProjectID, immediately bool) (Keys, error) {
	now := s.now()
	r, err := s.update(ctx, project, func(keys Keys) (Keys, error) {
		return keys.rotated(now, immediately || len(keys) == 0, generate)
	})
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.keys), nil
}

// The reasons why a key cannot be removed.
var (
	ErrUnknownKey = errors.New("the project has no such key")
	ErrActiveKey  = errors.New("the key signs; rotate first, at once")
)

// Remove unpublishes a key that does not sign, for when somebody else may have it: what it signed is refused from now on, by
// whoever does not keep an old key set.
func (s *Store) Remove(ctx context.Context, project ident.ProjectID, id ident.KeyID) error {
	now := s.now()
	_, err := s.update(ctx, project, func(keys Keys) (Keys, error) {
		i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
		if i < 0 {
			return nil, ErrUnknownKey
		}
		if keys.StateOf(i, now) == Active {
			return nil, ErrActiveKey
		}
		return slices.Delete(slices.Clone(keys), i, i+1), nil
	})
	return err
}

// List returns the keys of a project as they are stored, or none if it has never signed anything.
func (s *Store) List(ctx context.Context, project ident.ProjectID) (Keys, error) {
	r, err := s.read(ctx, project)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.keys.current(s.now())), nil
}

// Public returns the public keys of a project as a JSON Web Key Set (RFC 7517 §5), those that are to sign and those that have
// signed included. A project without keys gets its first.
func (s *Store) Public(ctx context.Context, project ident.ProjectID) (json.RawMessage, error) {
	r, err := s.ring(ctx, project)
	if err != nil {
		return nil, err
	}
	return keySet(r.public(nil, s.now()))
}

func keySet(keys []json.RawMessage) (json.RawMessage, error) {
	if keys == nil {
		keys = []json.RawMessage{}
	}
	raw, err := json.Marshal(map[string][]json.RawMessage{"keys": keys})
	if err != nil {
		return nil, fmt.Errorf("encode the key set: %w", err)
	}
	return raw, nil
}

// ring returns the keys of a project, made now if there are none.
func (s *Store) ring(ctx context.Context, project ident.ProjectID) (*ring, error) {
	if r := s.kept(project); r != nil && len(r.keys) > 0 {
		return r, nil
	}
	made, err, _ := s.first.Do(string(project), func() (any, error) {
		// Others wait for the outcome: who has asked first must not take it from them by going away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstLimit)
		defer cancel()
		return s.begin(ctx, project)
	})
	if err != nil {
		return nil, err
	}
	return made.(*ring), nil
}

const firstLimit = 10 * time.Second

// begin reads the keys of a project, or makes the first. Of several instances that do so at once one wins and tells, and the others
// take its key.
func (s *Store) begin(ctx context.Context, project ident.ProjectID) (*ring, error) {
	r, err := s.read(ctx, project)
	if err != nil || len(r.keys) > 0 {
		return r, err
	}
	now, made := s.now(), false
	r, err = s.update(ctx, project, func(keys Keys) (Keys, error) {
		if made = len(keys) == 0; !made {
			return keys, nil
		}
		return keys.rotated(now, true, generate)
	})
	if err == nil && made && s.audit != nil {
		s.audit.Add(ctx, audit.Event{Type: audit.SigningKeyCreated, Project: project, SigningKey: r.keys[0].ID})
	}
	return r, err
}

// update changes the stored keys of a project under their revision. What change leaves as it is, is not written.
func (s *Store) update(ctx context.Context, project ident.ProjectID, change func(Keys) (Keys, error)) (*ring, error) {
	e, err := s.keys.Upsert(ctx, string(project), func(keys *Keys) (err error) {
		*keys, err = change(*keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.keep(project, e.Value, e.Revision)
}

// read reads the keys of a project from the bucket; none if it has none.
func (s *Store) read(ctx context.Context, project ident.ProjectID) (*ring, error) {
	e, err := s.keys.Get(ctx, string(project))
	if errors.Is(err, kv.ErrNotFound) {
		return &ring{}, nil
	}
	if err != nil {
		return nil, err
	}
	return s.keep(project, e.Value, e.Revision)
}

// apply takes note of what the watch tells.
func (s *Store) apply(e kv.Entry[Keys], err error) {
	if err == nil {
		_, err = s.keep(ident.ProjectID(e.Key), e.Value, e.Revision)
	}
	if err != nil {
		s.log.Error("stored signing keys cannot be read", "project", e.Key, "error", err)
	}
}

// keep puts keys in memory unless newer ones are there, and returns them ready for use.
func (s *Store) keep(project ident.ProjectID, keys Keys, revision uint64) (*ring, error) {
	r, err := newRing(keys, revision, s.kept(project))
	if err != nil {
		return nil, fault.Internal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.rings[project]; kept == nil || kept.revision < revision {
		s.rings[project] = r
	}
	return r, nil
}

func (s *Store) kept(project ident.ProjectID) *ring {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rings[project]
}
