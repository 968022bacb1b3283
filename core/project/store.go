package project

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/sighting"
)

// SecretPrefix starts every API secret; existing SDKs insist on it.
const SecretPrefix = "corbado1_"

// NewSecret returns a random API secret of over 125 bits.
func NewSecret() string { return SecretPrefix + rand.Text() }

// HashSecret hashes a secret for keeping. One round of SHA-256 is enough because a secret is random and long; a password would need more.
func HashSecret(secret string) SecretHash {
	salt := make([]byte, 16)
	rand.Read(salt)
	return SecretHash{Salt: salt, Sum: sum(salt, secret)}
}

// Matches compares in constant time.
func (h SecretHash) Matches(secret string) bool {
	return subtle.ConstantTimeCompare(h.Sum, sum(h.Salt, secret)) == 1
}

func sum(salt []byte, secret string) []byte {
	const usual = 128 // bytes
	digest := sha256.Sum256(append(append(make([]byte, 0, usual), salt...), secret...))
	return digest[:]
}

// Store keeps projects in the bucket "projects". Look-ups are answered from memory, kept true by a watch; what is not there yet is read.
type Store struct {
	projects kv.Bucket[Project]
	claims   kv.Bucket[[]claim]
	log      *slog.Logger
	home     string // host of the installation itself, in lower case; empty = none
	audit    Audit  // nil = nobody is told
	snapshot atomic.Pointer[snapshot]
}

// Audit is told of each change that this store makes, when it is stored; nil is no project. audit.Queue is one.
type Audit interface {
	Changed(ctx context.Context, before, after *Project)
}

type snapshot struct {
	projects  map[ident.ProjectID]Project
	revisions map[ident.ProjectID]uint64 // the newest that was applied, of deleted projects too: an older one must not bring a project back
	origins   map[string]int             // how many projects list it
	issuers   map[string][]Candidate     // by the issuer's URL
	hosts     map[string]ident.ProjectID // by host name or pattern
}

// NewStore loads all projects. Run keeps them true.
func NewStore(ctx context.Context, bucket jetstream.KeyValue, log *slog.Logger) (*Store, error) {
	s := &Store{
		projects: kv.Bucket[Project]{KV: bucket, Name: "project", Missing: ErrUnknown},
		claims:   kv.Bucket[[]claim]{KV: bucket, Name: "claim of host names"}, log: log,
	}
	s.snapshot.Store(&snapshot{revisions: map[ident.ProjectID]uint64{}})
	if err := s.projects.Load(ctx, s.apply); err != nil {
		return nil, fmt.Errorf("load projects: %w", err)
	}
	return s, nil
}

// LiveAt says which host is the installation's own. It comes before any look-up.
func (s *Store) LiveAt(host string) { s.home = strings.ToLower(host) }

// TellTo says who is told of what this store changes. It comes before any change.
func (s *Store) TellTo(audit Audit) { s.audit = audit }

func (s *Store) tell(ctx context.Context, before, after *Project) {
	if s.audit != nil {
		s.audit.Changed(ctx, before, after)
	}
}

// Run follows changes that any instance makes, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	if err := s.projects.Follow(ctx, s.apply); err != nil {
		return fmt.Errorf("watch projects: %w", err)
	}
	return nil
}

func (s *Store) apply(e kv.Entry[Project], err error) {
	id := ident.ProjectID(e.Key)
	switch {
	case e.Key == claimsKey:
	case err != nil:
		s.log.Error("a stored project cannot be read", "project", id, "error", err)
	case e.Gone:
		s.replace(id, nil, e.Revision)
	default:
		s.replace(id, &e.Value, e.Revision)
	}
}

// replace swaps in a new snapshot unless a newer revision was applied already; p nil removes the project. Concurrent callers retry.
func (s *Store) replace(id ident.ProjectID, p *Project, revision uint64) {
	for {
		old := s.snapshot.Load()
		if revision <= old.revisions[id] {
			return
		}
		next := &snapshot{
			projects: make(map[ident.ProjectID]Project, len(old.projects)+1), revisions: maps.Clone(old.revisions), origins: map[string]int{},
		}
		next.revisions[id] = revision
		for k, v := range old.projects {
			if k != id {
				next.projects[k] = v
			}
		}
		if p != nil {
			p.namer = sighting.NewNamer(p.SightingKey, p.SightingVersion)
			next.projects[id] = *p
		}
		for _, v := range next.projects {
			for _, origin := range v.Origins {
				next.origins[origin]++
			}
		}
		next.issuers, next.hosts = candidates(next.projects), hostsOf(next.projects)
		if s.snapshot.CompareAndSwap(old, next) {
			return
		}
	}
}

// Lookup returns a project from memory.
func (s *Store) Lookup(id ident.ProjectID) (Project, bool) {
	p, ok := s.snapshot.Load().projects[id]
	return p, ok
}

// Find returns a project from memory. One that is not there is asked for in the bucket: another instance may have created it a moment
// ago. Its errors are ErrUnknown, and kv.ErrUnavailable if the bucket does not say.
func (s *Store) Find(ctx context.Context, id ident.ProjectID) (Project, error) {
	if p, ok := s.Lookup(id); ok {
		return p, nil
	}
	if _, err := ident.ParseProjectID(string(id)); err != nil {
		return Project{}, ErrUnknown
	}
	e, err := s.projects.Get(ctx, string(id))
	if err != nil {
		return Project{}, err
	}
	s.apply(e, nil)
	if p, ok := s.Lookup(id); ok {
		return p, nil
	}
	return Project{}, ErrUnknown
}

// OriginAllowed reports whether any project lists the origin.
func (s *Store) OriginAllowed(origin string) bool { return s.snapshot.Load().origins[origin] > 0 }

// All returns every project, ordered by ID.
func (s *Store) All() []Project {
	projects := s.snapshot.Load().projects
	all := make([]Project, 0, len(projects))
	for _, p := range projects {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Project) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// Create stores a new project. A project that exists already is ErrExists; a host that overlaps with another project's is a conflict of its
// field.
func (s *Store) Create(ctx context.Context, p Project) error {
	ctx, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	if err := s.claim(ctx, Project{}, p); err != nil {
		return err
	}
	revision, err := s.projects.Create(ctx, string(p.ID), p)
	if errors.Is(err, kv.ErrExists) {
		return fault.Conflict("id", "%s exists already", p.ID).Named(ErrExists.Reason)
	}
	if err != nil {
		return err
	}
	s.replace(p.ID, &p, revision)
	s.tell(ctx, nil, &p)
	return nil
}

// Update changes a stored project under its revision. An unknown project is ErrUnknown. A host that overlaps with another project's, or
// with the installation's own, is a conflict of its field; of several projects that want one at the same time one gets it.
func (s *Store) Update(ctx context.Context, id ident.ProjectID, change func(*Project)) error {
	return s.Change(ctx, id, func(p *Project) error {
		change(p)
		return nil
	})
}

// Change is Update by a function that may refuse; then nothing is stored.
func (s *Store) Change(ctx context.Context, id ident.ProjectID, change func(*Project) error) error {
	ctx, cancel := context.WithTimeout(ctx, claimLimit)
	defer cancel()
	before, err := s.projects.Get(ctx, string(id))
	if err != nil {
		return err
	}
	after := before.Value.copied()
	if err := change(&after); err != nil {
		return err
	}
	if err := s.claim(ctx, before.Value, after); err != nil {
		return err
	}
	var replaced Project
	e, err := s.projects.Change(ctx, string(id), func(p *Project) error {
		replaced = p.copied()
		return change(p)
	})
	if err != nil {
		return err
	}
	s.replace(id, &e.Value, e.Revision)
	s.tell(ctx, &replaced, &e.Value)
	return s.giveUp(ctx, before.Value, e.Value)
}

// copied returns the project with lists of its own: those of the other may be changed in place.
func (p Project) copied() Project {
	p.Origins, p.Keys, p.Issuers = slices.Clone(p.Origins), slices.Clone(p.Keys), slices.Clone(p.Issuers)
	p.Frontend.Hosts = slices.Clone(p.Frontend.Hosts)
	return p
}

// Delete removes a project: its credentials stop working at once. Accounts and events of the project are left in the store, out of reach.
func (s *Store) Delete(ctx context.Context, id ident.ProjectID) error {
	e, err := s.projects.Get(ctx, string(id))
	if err != nil {
		return err
	}
	if err := s.projects.Delete(ctx, string(id)); err != nil {
		return err
	}
	s.replace(id, nil, e.Revision+1) // the purge's own revision is at least that
	s.tell(ctx, &e.Value, nil)
	return nil
}
