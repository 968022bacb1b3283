package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Deps is what a store works with. All fields but Sealer are required.
type Deps struct {
	Bucket jetstream.KeyValue // bus.ProjectKeysBucket
	Sealer kv.Sealer          // nil = the bucket holds root secrets as they are
	Keep   time.Duration      // how long what is made may be valid; so long an older version verifies
	Now    func() time.Time
	Log    *slog.Logger
}

// Store keeps the rings of every project in memory, kept true by Run; what is not there is read. It is safe for concurrent use.
type Store struct {
	bucket kv.Bucket[Versions]
	keep   time.Duration
	now    func() time.Time
	log    *slog.Logger

	first singleflight.Group // of projects whose keys are looked for

	mu    sync.RWMutex
	rings map[ident.ProjectID]*Ring
}

// adopted is the key of the entry that says that no project's key of old is taken over any more. It is no project's ID.
const adopted = "adopted"

// Open loads all keys.
func Open(ctx context.Context, deps Deps) (*Store, error) {
	if deps.Bucket == nil || deps.Now == nil || deps.Log == nil || deps.Keep <= 0 {
		return nil, errors.New("keyring: a dependency is missing")
	}
	s := &Store{
		bucket: kv.Bucket[Versions]{KV: deps.Bucket, Name: "keys of the project", Sealer: deps.Sealer},
		keep:   deps.Keep, now: deps.Now, log: deps.Log, rings: make(map[ident.ProjectID]*Ring),
	}
	if err := s.bucket.Load(ctx, s.apply); err != nil {
		return nil, fmt.Errorf("load project keys: %w", err)
	}
	return s, nil
}

// maintainEvery is how often versions are looked at for their age.
const maintainEvery = 5 * time.Minute

// Run follows changes that any instance makes and drops versions of which all that they made has expired, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	return s.bucket.Keep(ctx, s.apply, maintainEvery, s.Maintain)
}

// Maintain drops versions of which all that they made has expired. What fails is logged and tried again the next time.
func (s *Store) Maintain(ctx context.Context) {
	s.mu.RLock()
	rings := maps.Clone(s.rings)
	s.mu.RUnlock()
	for project, r := range rings {
		if now := s.now(); len(r.versions.current(now, s.keep)) < len(r.versions) {
			_, err := s.change(ctx, project, func(v Versions) (Versions, error) { return v.current(now, s.keep), nil })
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "old keys of a project could not be dropped", "project", project, "error", err)
			}
		}
	}
}

// Ring returns the keys of a project, made now if there are none, and from memory after that. Of several instances that make them at once
// one wins. Its error is kv.ErrUnavailable.
func (s *Store) Ring(ctx context.Context, project ident.ProjectID) (*Ring, error) {
	if r := s.kept(project); r != nil {
		return r, nil
	}
	made, err, _ := s.first.Do(string(project), func() (any, error) {
		// Others wait for the outcome: who has asked first must not take it from them by going away.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstLimit)
		defer cancel()
		return s.begin(ctx, project, nil)
	})
	if err != nil {
		return nil, err
	}
	return made.(*Ring), nil
}

// firstLimit bounds the first look for the keys of a project, after which they are in memory.
const firstLimit = 10 * time.Second

// Adopt makes the keys of a project whose key an earlier Keyward kept elsewhere, and lets that one verify what it made. A
// project that has keys keeps those: whoever can write where the key of old was must not get one adopted.
func (s *Store) Adopt(ctx context.Context, project ident.ProjectID, legacy []byte) error {
	done, err := s.adoption(ctx)
	if err != nil {
		return err
	}
	if done {
		legacy = nil
	}
	_, err = s.begin(ctx, project, legacy)
	return err
}

// EndAdoption says, for good, that every project of an earlier Keyward has been adopted.
func (s *Store) EndAdoption(ctx context.Context) error {
	_, err := s.bucket.Create(ctx, adopted, nil)
	if errors.Is(err, kv.ErrExists) {
		return nil
	}
	return err
}

func (s *Store) adoption(ctx context.Context) (ended bool, err error) {
	_, err = s.bucket.Get(ctx, adopted)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// begin makes the first version of a project's keys, after that of old if there is one, unless it has some.
func (s *Store) begin(ctx context.Context, project ident.ProjectID, legacy []byte) (*Ring, error) {
	r, err := s.read(ctx, project)
	if !errors.Is(err, kv.ErrNotFound) {
		return r, err
	}
	now := s.now()
	var first Versions
	if len(legacy) > 0 {
		first = Versions{{Number: Legacy, Root: legacy, CreatedMs: now.UnixMilli()}}
	}
	if first, err = first.rotated(project, now); err != nil {
		return nil, err
	}
	revision, err := s.bucket.Create(ctx, string(project), first)
	if errors.Is(err, kv.ErrExists) {
		return s.read(ctx, project)
	}
	if err != nil {
		return nil, err
	}
	return s.remember(project, first, revision)
}

// Rotate makes another version, which makes what is new from now on, and returns the versions.
func (s *Store) Rotate(ctx context.Context, project ident.ProjectID) (Versions, error) {
	if _, err := s.Ring(ctx, project); err != nil {
		return nil, err
	}
	now := s.now()
	return s.change(ctx, project, func(v Versions) (Versions, error) {
		return v.current(now, s.keep).rotated(project, now)
	})
}

// Drop drops every version but the newest, for when somebody else may have them: what they made is refused from then on.
func (s *Store) Drop(ctx context.Context, project ident.ProjectID) (Versions, error) {
	if _, err := s.Ring(ctx, project); err != nil {
		return nil, err
	}
	return s.change(ctx, project, func(v Versions) (Versions, error) { return v[len(v)-1:], nil })
}

// List returns the versions of a project as they are stored.
func (s *Store) List(ctx context.Context, project ident.ProjectID) (Versions, error) {
	r, err := s.Ring(ctx, project)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.versions), nil
}

func (s *Store) change(
	ctx context.Context, project ident.ProjectID, change func(Versions) (Versions, error),
) (Versions, error) {
	e, err := s.bucket.Change(ctx, string(project), func(v *Versions) (err error) {
		*v, err = change(*v)
		return err
	})
	if err != nil {
		return nil, err
	}
	_, err = s.remember(project, e.Value, e.Revision)
	return slices.Clone(e.Value), err
}

// read reads the keys of a project from the bucket.
func (s *Store) read(ctx context.Context, project ident.ProjectID) (*Ring, error) {
	e, err := s.bucket.Get(ctx, string(project))
	if err != nil {
		return nil, err
	}
	return s.remember(project, e.Value, e.Revision)
}

// rereadLimit bounds the look for a version that is not known yet.
const rereadLimit = 5 * time.Second

// apply takes note of what the bucket tells.
func (s *Store) apply(e kv.Entry[Versions], err error) {
	project := ident.ProjectID(e.Key)
	switch {
	case e.Key == adopted:
		return
	case err == nil && e.Gone:
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.rings, project)
		return
	case err == nil:
		_, err = s.remember(project, e.Value, e.Revision)
	}
	if err != nil {
		s.log.Error("the stored keys of a project cannot be read", "project", project, "error", err)
	}
}

// remember puts keys in memory unless newer ones are there, and returns them ready for use.
func (s *Store) remember(project ident.ProjectID, versions Versions, revision uint64) (*Ring, error) {
	if len(versions) == 0 {
		return nil, fault.Internal(fmt.Errorf("the stored keys of %s have no version", project))
	}
	r, err := NewRing(project, versions)
	if err != nil {
		return nil, fault.Internal(err)
	}
	r.revision = revision
	r.reread = func() (*Ring, error) {
		ctx, cancel := context.WithTimeout(context.Background(), rereadLimit)
		defer cancel()
		newer, err := s.read(ctx, project)
		if errors.Is(err, kv.ErrNotFound) {
			return r, nil
		}
		return newer, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.rings[project]; kept == nil || kept.revision < revision {
		s.rings[project] = r
	}
	return r, nil
}

func (s *Store) kept(project ident.ProjectID) *Ring {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rings[project]
}
