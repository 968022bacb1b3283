// Package identindex keeps unique what there may be one of: identifiers and social accounts in a project, host names among all
// projects. Store touches the key-value bucket "identifier-index" and nothing else.
//
// An entry is reserved before its owner says that it has the name, and the owner is the truth: an entry whose owner does not
// have the name, as an interrupted write may leave, means nothing and lapses.
package identindex

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Name is what there may be one of.
type Name struct {
	Scope string // where it is unique: a project, or Everywhere
	Kind  string // letters and dashes
	Value string // any text; equal for equal names

	// Forms are the values under which versions before may have entered the name, Value among them, in the order to look. Empty: Value alone.
	Forms []string
}

func (n Name) keys() []string {
	if len(n.Forms) == 0 {
		return []string{n.key(n.Value)}
	}
	keys := make([]string, len(n.Forms))
	for i, form := range n.Forms {
		keys[i] = n.key(form)
	}
	return keys
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

// Store is the index on the bucket "identifier-index".
type Store struct{ entries kv.Bucket[Entry] }

// NewStore returns the index on the bucket "identifier-index".
func NewStore(bucket jetstream.KeyValue) *Store {
	return &Store{entries: kv.Bucket[Entry]{KV: bucket, Name: "identifier index"}}
}

// Find returns the entry of a name; ok is false if there is none. Whether the owner really has the name, only the owner can tell.
func (s *Store) Find(ctx context.Context, n Name) (e Entry, ok bool, err error) {
	for _, key := range n.keys() {
		found, err := s.entries.Get(ctx, key)
		if !errors.Is(err, kv.ErrNotFound) {
			return found.Value, err == nil, err
		}
	}
	return Entry{}, false, nil
}

// Reserve enters a name, or returns ErrTaken. The caller has seen that e.Owner does not have the name, so an older reservation
// of the same owner gives way. One of another owner does when it is older than grace and has denies that its owner has the
// name. Whoever reserves must have made the name the owner's, or have given up for good, before grace is over.
func (s *Store) Reserve(ctx context.Context, n Name, e Entry, grace time.Duration, has func(owner string) (bool, error)) error {
	own := n.key(n.Value)
	for _, key := range n.keys() {
		if key == own {
			continue
		}
		found, err := s.entries.Get(ctx, key)
		if err == nil {
			err = lapsed(found.Value, e, grace, has)
		}
		if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
	}
	_, err := s.entries.CreateOrChange(ctx, own, e, func(old *Entry) error {
		if err := lapsed(*old, e, grace, has); err != nil {
			return err
		}
		*old = e
		return nil
	})
	return err
}

func lapsed(old, e Entry, grace time.Duration, has func(owner string) (bool, error)) error {
	if old.Owner == e.Owner {
		return nil
	}
	if e.Created-old.Created < grace.Milliseconds() {
		return ErrTaken
	}
	if taken, err := has(old.Owner); err != nil || taken {
		return cmp.Or(err, ErrTaken)
	}
	return nil
}

// Release frees a name, if its entry is the owner's and, unless id is empty, has that ID. An entry that somebody else has taken
// over meanwhile stays.
func (s *Store) Release(ctx context.Context, n Name, owner, id string) error {
	for _, key := range n.keys() {
		if err := s.entries.DeleteIf(ctx, key, func(e Entry) bool { return e.Owner == owner && (id == "" || e.ID == id) }); err != nil {
			return err
		}
	}
	return nil
}

// All yields every entry, in no particular order. Its key begins with the scope. An error is the last that it yields.
func (s *Store) All(ctx context.Context) iter.Seq2[kv.Entry[Entry], error] {
	return s.entries.All(ctx, ">")
}

// key gives outside text of any length a key of fixed length in a safe alphabet.
func (n Name) key(form string) string {
	sum := sha256.Sum256([]byte(form))
	return n.Scope + "." + n.Kind + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}
