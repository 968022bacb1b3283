// Package credindex answers whose a WebAuthn credential ID or a user handle is, and keeps both unique in a project. Store
// touches the key-value bucket "credential-index" and nothing else.
//
// The index points to accounts and is not the truth about them: an entry without a counterpart in its account, as an
// interrupted write may leave, means nothing.
package credindex

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
	"github.com/keyward/keyward/core/project"
)

// Entry says whose a credential ID or a user handle is. Times are Unix ms.
type Entry struct {
	User       ident.UserID       `json:"user"`
	Credential ident.CredentialID `json:"credential,omitempty"` // empty: the entry is of a user handle
	Created    int64              `json:"created"`
	Deleted    int64              `json:"deleted,omitempty"` // 0 = the credential is in use
}

// ErrTaken reports that the credential ID or the user handle is another's.
var ErrTaken = errors.New("taken already")

// Store is the index on the bucket "credential-index".
type Store struct{ entries kv.Bucket[Entry] }

// NewStore returns the index on the bucket "credential-index".
func NewStore(bucket jetstream.KeyValue) *Store {
	return &Store{entries: kv.Bucket[Entry]{KV: bucket, Name: "credential index"}}
}

// AddCredential enters a credential ID, or returns ErrTaken. A deleted credential's ID stays taken.
func (s *Store) AddCredential(ctx context.Context, project ident.ProjectID, credentialID []byte, e Entry) error {
	_, err := s.entries.Create(ctx, credentialKey(project, credentialID), e)
	if errors.Is(err, kv.ErrExists) {
		return ErrTaken
	}
	return err
}

// Credential returns the entry of a credential ID; ok is false if there is none.
func (s *Store) Credential(ctx context.Context, project ident.ProjectID, credentialID []byte) (e Entry, ok bool, err error) {
	found, err := s.entries.Get(ctx, credentialKey(project, credentialID))
	if errors.Is(err, kv.ErrNotFound) {
		return Entry{}, false, nil
	}
	return found.Value, err == nil, err
}

// In returns the first of projects in which a credential ID is in use; ok is false if there is none.
func (s *Store) In(ctx context.Context, projects []project.Project, credentialID []byte) (p project.Project, ok bool, err error) {
	for _, p := range projects {
		if e, ok, err := s.Credential(ctx, p.ID, credentialID); err != nil || ok && e.Deleted == 0 {
			return p, ok, err
		}
	}
	return p, false, nil
}

// MarkDeleted remembers that the credential was deleted, so that its later use is told apart from a credential nobody knows.
func (s *Store) MarkDeleted(ctx context.Context, project ident.ProjectID, credentialID []byte, e Entry) error {
	return s.entries.Put(ctx, credentialKey(project, credentialID), e)
}

// RemoveCredential removes the entry of a credential ID if it is the user's. One that is not there, or that is another's, is no error.
func (s *Store) RemoveCredential(ctx context.Context, project ident.ProjectID, credentialID []byte, user ident.UserID) error {
	return s.entries.DeleteIf(ctx, credentialKey(project, credentialID), func(e Entry) bool { return e.User == user })
}

// ReserveHandle enters a user handle, or returns ErrTaken. A reservation whose owner was never stored lapses: it is taken over
// when inUse denies its owner and it is older than grace, and by the same user at once.
func (s *Store) ReserveHandle(
	ctx context.Context, project ident.ProjectID, handle []byte, e Entry, grace time.Duration, inUse func(ident.UserID) (bool, error),
) error {
	_, err := s.entries.CreateOrChange(ctx, handleKey(project, handle), e, func(old *Entry) error {
		if old.User != e.User {
			if e.Created-old.Created < grace.Milliseconds() {
				return ErrTaken
			}
			if used, err := inUse(old.User); err != nil || used {
				return cmp.Or(err, ErrTaken)
			}
		}
		*old = e
		return nil
	})
	return err
}

// RemoveHandle releases a user handle if it is the user's. One that is not there, or that is another's, is no error.
func (s *Store) RemoveHandle(ctx context.Context, project ident.ProjectID, handle []byte, user ident.UserID) error {
	return s.entries.DeleteIf(ctx, handleKey(project, handle), func(e Entry) bool { return e.User == user })
}

// All yields every entry, in no particular order. Its key begins with the project. An error is the last that it yields.
func (s *Store) All(ctx context.Context) iter.Seq2[kv.Entry[Entry], error] {
	return s.entries.All(ctx, ">")
}

func credentialKey(project ident.ProjectID, credentialID []byte) string {
	return string(project) + "." + digest(credentialID)
}

func handleKey(project ident.ProjectID, handle []byte) string {
	return string(project) + ".handle." + digest(handle)
}

// digest gives outside bytes of any length a key of fixed length in a safe alphabet.
func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
