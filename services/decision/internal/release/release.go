// Package release keeps the revisions of the policy that were pushed, which of them is live, and by which each instance answers.
//
// A revision is its files, and is never changed. What is live is a log: each change has the number after the one before it, and is one
// write that fails if somebody else made that change first. So of two who make a revision live at once one does, and the other is told;
// and an instance that has been away finds every change that it missed.
//
// The package touches the buckets policy-releases, policy-instances and policy-trials, and the packed files in the object store
// policy-bundles.
package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// What cannot be done. Every other error is that the store cannot be reached.
var (
	ErrUnknown  = errors.New("there is no such revision")
	ErrNoneLive = errors.New("no revision was made live")
	ErrConflict = errors.New("another revision was made live meanwhile")
	// ErrDamaged says that what is stored is not what was pushed.
	ErrDamaged = errors.New("the files of the revision are not those that were pushed")
)

// schema is the version of what is stored.
const schema = 1

// Actor is the operator who did it.
type Actor struct {
	ID   ident.OperatorID `json:"id"`
	Name string           `json:"name"`
}

// Scenarios is what came of the scenarios, as whoever pushed has run them.
type Scenarios struct {
	Passed int `json:"passed"`
	Failed int `json:"failed"`
}

// Revision is what is known of files that were pushed.
type Revision struct {
	Schema    int        `json:"schema"`
	Number    int        `json:"number"`
	Name      string     `json:"name"`    // as decisions name it
	Content   string     `json:"content"` // as records of decisions name the files
	Digest    string     `json:"digest"`
	Size      int        `json:"size"`
	Parent    int        `json:"parent,omitempty"` // 0 = none
	Author    Actor      `json:"author"`
	Message   string     `json:"message"`
	CreatedMs int64      `json:"createdMs"`
	CheckedBy string     `json:"checkedBy"` // the version of the program that found it good
	Tests     int        `json:"tests"`     // of its own that it passed
	Scenarios *Scenarios `json:"scenarios,omitempty"`
	Advice    []string   `json:"advice,omitempty"`
	// Signatures are the IDs of the keys by which the files were signed when they were pushed. Whoever takes them up verifies them anew.
	Signatures []string `json:"signatures,omitempty"`
}

// Kind is why a revision became live.
type Kind string

// The kinds of changes.
const (
	Activation Kind = "activation"
	Rollback   Kind = "rollback"
)

// Change is a revision becoming live, or being tried. It says what goes on since then, so that the latest one says all.
type Change struct {
	Schema   int    `json:"schema"`
	Number   int    `json:"number"`
	Revision int    `json:"revision"`
	Digest   string `json:"digest"`           // of the revision
	Before   int    `json:"before,omitempty"` // the revision that was live until then; 0 = none, or this one
	Kind     Kind   `json:"kind"`
	By       Actor  `json:"by"`
	Reason   string `json:"reason,omitempty"`
	AtMs     int64  `json:"atMs"`
	// What is tried beside what is live; nil = nothing
	Shadow *Shadow `json:"shadow,omitempty"`
	Canary *Canary `json:"canary,omitempty"`
	Tried  int     `json:"tried,omitempty"` // the revision that is tried no more; 0 = of another kind of change
}

// Source is what an instance follows.
type Source string

// The sources.
const (
	FromStore     Source = "store"
	FromDirectory Source = "directory"
	FromRemote    Source = "remote" // whoever serves the bundle
	FromBinary    Source = "binary" // a store in which nothing is live leaves it to that
)

// Instance is by what one answers.
type Instance struct {
	Schema   int    `json:"schema"`
	ID       string `json:"id"`
	Host     string `json:"host"`
	Version  string `json:"version,omitempty"` // of the program
	Source   Source `json:"source"`
	Change   int    `json:"change,omitempty"`   // the latest that it has looked at
	Revision int    `json:"revision,omitempty"` // 0 = none of the store
	Content  string `json:"content"`
	Name     string `json:"name"`
	SinceMs  int64  `json:"sinceMs"`
	Refused  string `json:"refused,omitempty"`
	Tried    int    `json:"tried,omitempty"`  // the revision that judges some users; 0 = none
	Shadow   int    `json:"shadow,omitempty"` // the revision that judges beside what is live; 0 = none
	Lapsed   bool   `json:"lapsed,omitempty"`
	Set      uint64 `json:"set,omitempty"` // the revision of the bucket up to which it knows lists and switches
	// Lists that the bundle declares, by name: of what kind each is. nil = not told, by an earlier version
	Lists   map[string]string `json:"lists,omitzero"`
	HeardMs int64             `json:"heardMs"`
}

const (
	revisionKey = "revision."
	changeKey   = "change."
)

// Store is where it is kept. It is safe for concurrent use.
type Store struct {
	js        jetstream.JetStream
	revisions *kv.Bucket[Revision]
	changes   *kv.Bucket[Change]
	instances *kv.Bucket[Instance]
	trials    *kv.Bucket[Told]
	shadows   *kv.Bucket[Seen]
}

// Open returns the store.
func Open(ctx context.Context, js jetstream.JetStream) (*Store, error) {
	kept, err := kv.Open(ctx, js, bus.ReleasesBucket)
	if err != nil {
		return nil, err
	}
	heard, err := kv.Open(ctx, js, bus.InstancesBucket)
	if err != nil {
		return nil, err
	}
	tried, err := kv.Open(ctx, js, bus.TrialsBucket)
	if err != nil {
		return nil, err
	}
	return &Store{
		js:        js,
		revisions: &kv.Bucket[Revision]{KV: kept, Name: "policy revision", Missing: ErrUnknown},
		changes:   &kv.Bucket[Change]{KV: kept, Name: "change of the policy", Missing: ErrNoneLive},
		trials:    &kv.Bucket[Told]{KV: tried, Name: "counts of a canary"},
		shadows:   &kv.Bucket[Seen]{KV: tried, Name: "counts of a shadow"},
		instances: &kv.Bucket[Instance]{KV: heard, Name: "instance of the decision service"},
	}, nil
}

// Push stores files under the next number, and returns what is known of them: if they are there already, what was known before. The number,
// the content, the digest and the size of r are given to it.
func (s *Store) Push(ctx context.Context, r Revision, files bundlefile.Files) (Revision, error) {
	r.Schema, r.Content, r.Digest, r.Size = schema, files.Hash(), files.Digest(), files.Size()
	packed, err := archive.Pack(files)
	if err != nil {
		return Revision{}, err
	}
	for {
		known, err := s.Revisions(ctx)
		if err != nil {
			return Revision{}, err
		}
		if at := slices.IndexFunc(known, func(k Revision) bool { return k.Digest == r.Digest }); at >= 0 {
			return known[at], nil
		}
		if r.Parent != 0 && !slices.ContainsFunc(known, func(k Revision) bool { return k.Number == r.Parent }) {
			return Revision{}, fmt.Errorf("parent %d: %w", r.Parent, ErrUnknown)
		}
		// The files first: a revision that is listed can be made live.
		if err := archive.Release(ctx, s.js, r.Digest, r.Name, packed); err != nil {
			return Revision{}, err
		}
		r.Number = 1
		if len(known) > 0 {
			r.Number = known[0].Number + 1
		}
		_, err = s.revisions.Create(ctx, revisionKey+strconv.Itoa(r.Number), r)
		if !errors.Is(err, kv.ErrExists) {
			return r, err
		}
	}
}

// Revisions returns what is known of all, the newest first.
func (s *Store) Revisions(ctx context.Context) ([]Revision, error) {
	all, err := collect(s.revisions.All(ctx, revisionKey+"*"))
	slices.SortFunc(all, func(a, b Revision) int { return b.Number - a.Number })
	return all, err
}

// Revision returns what is known of one. The error is or wraps ErrUnknown.
func (s *Store) Revision(ctx context.Context, number int) (Revision, error) {
	e, err := s.revisions.Get(ctx, revisionKey+strconv.Itoa(number))
	return e.Value, err
}

// Files returns the files of a revision, which are what was pushed, and packed.
func (s *Store) Files(ctx context.Context, r Revision) (bundlefile.Files, []byte, error) {
	packed, err := archive.Released(ctx, s.js, r.Digest)
	if err != nil {
		return nil, nil, err
	}
	unpacked, err := archive.Unpack(packed)
	if err != nil {
		return nil, nil, fmt.Errorf("revision %d: %w: %w", r.Number, ErrDamaged, err)
	}
	files, err := bundlefile.Read(unpacked)
	if err != nil {
		return nil, nil, fmt.Errorf("revision %d: %w: %w", r.Number, ErrDamaged, err)
	}
	if files.Digest() != r.Digest {
		return nil, nil, fmt.Errorf("revision %d: %w", r.Number, ErrDamaged)
	}
	return files, packed, nil
}

// Changes returns all, the latest first.
func (s *Store) Changes(ctx context.Context) ([]Change, error) {
	all, err := collect(s.changes.All(ctx, changeKey+"*"))
	slices.SortFunc(all, func(a, b Change) int { return b.Number - a.Number })
	return all, err
}

// Latest returns the latest change after one that is known; 0 = none is. The error is ErrNoneLive if there is none after it.
func (s *Store) Latest(ctx context.Context, known int) (Change, error) {
	if known > 0 {
		return s.after(ctx, known)
	}
	keys, err := s.changes.Keys(ctx, changeKey+"*")
	if err != nil {
		return Change{}, err
	}
	for _, key := range keys {
		if number, err := strconv.Atoi(strings.TrimPrefix(key, changeKey)); err == nil {
			known = max(known, number)
		}
	}
	if known == 0 {
		return Change{}, ErrNoneLive
	}
	return s.after(ctx, known-1)
}

func (s *Store) after(ctx context.Context, known int) (Change, error) {
	found, err := s.changes.Get(ctx, changeKey+strconv.Itoa(known+1))
	if err != nil {
		return Change{}, err
	}
	for latest := found.Value; ; latest = found.Value {
		if found, err = s.changes.Get(ctx, changeKey+strconv.Itoa(latest.Number+1)); errors.Is(err, ErrNoneLive) {
			return latest, nil
		} else if err != nil {
			return Change{}, err
		}
	}
}

// Make makes a change the latest. Its number, and what was live before, follow from the one that was; before is the change that the caller
// has seen as the latest. The error is or wraps ErrConflict if another one is.
func (s *Store) Make(ctx context.Context, c Change, before Change) (Change, error) {
	c.Schema, c.Number = schema, before.Number+1
	if c.Revision != before.Revision {
		c.Before = before.Revision
	}
	_, err := s.changes.Create(ctx, changeKey+strconv.Itoa(c.Number), c)
	if errors.Is(err, kv.ErrExists) {
		return Change{}, ErrConflict
	}
	return c, err
}

// Report says by what an instance answers.
func (s *Store) Report(ctx context.Context, i Instance) error {
	i.Schema = schema
	return s.instances.Put(ctx, i.ID, i)
}

// Withdraw says that an instance has ended.
func (s *Store) Withdraw(ctx context.Context, id string) error { return s.instances.Delete(ctx, id) }

// Instances returns those that were heard of lately, by host and ID.
func (s *Store) Instances(ctx context.Context) ([]Instance, error) {
	all, err := collect(s.instances.All(ctx, "*"))
	slices.SortFunc(all, func(a, b Instance) int {
		if c := strings.Compare(a.Host, b.Host); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, err
}

// Signs calls sign whenever something was pushed or made live, until ctx ends. Signs may be missed.
func (s *Store) Signs(ctx context.Context, sign func()) error {
	return s.changes.Follow(ctx, func(kv.Entry[Change], error) { sign() })
}

func collect[T any](entries func(func(kv.Entry[T], error) bool)) ([]T, error) {
	all := []T{}
	for e, err := range entries {
		if err != nil {
			return nil, err
		}
		all = append(all, e.Value)
	}
	return all, nil
}

// Silence is how often an instance is to report at least, so that it counts.
const Silence = bus.InstancesMaxAge / 3

// Time is a moment as it is stored.
func Time(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// Stack returns the numbers of the revisions that were made live and not taken back, the one that is live last. The changes come the latest
// first.
func Stack(changes []Change) []int {
	var live []int
	for _, c := range slices.Backward(changes) {
		if at := slices.Index(live, c.Revision); at >= 0 {
			live = live[:at]
		}
		live = append(live, c.Revision)
	}
	return live
}
