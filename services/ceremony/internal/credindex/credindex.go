// Package credindex answers whose a WebAuthn credential ID or a user handle is, and keeps both unique in a project. Store touches the key-value bucket
// "credential-index" and nothing else.
//
// The index points to accounts and is not the truth about them: an entry without a counterpart in its account, as an interrupted write may leave, means nothing.
package credindex

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
type Store struct{ kv jetstream.KeyValue }

// NewStore returns the index on the bucket "credential-index".
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

// AddCredential enters a credential ID, or returns ErrTaken. A deleted credential's ID stays taken.
func (s *Store) AddCredential(ctx context.Context, project ident.ProjectID, credentialID []byte, e Entry) error {
	return s.create(ctx, credentialKey(project, credentialID), e)
}

// Credential returns the entry of a credential ID; ok is false if there is none.
func (s *Store) Credential(ctx context.Context, project ident.ProjectID, credentialID []byte) (e Entry, ok bool, err error) {
	e, _, ok, err = s.get(ctx, credentialKey(project, credentialID))
	return e, ok, err
}

// MarkDeleted remembers that the credential was deleted, so that its later use is told apart from a credential nobody knows.
func (s *Store) MarkDeleted(ctx context.Context, project ident.ProjectID, credentialID []byte, e Entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode index entry: %w", err)
	}
	if _, err := s.kv.Put(ctx, credentialKey(project, credentialID), raw); err != nil {
		return unavailable("stored", err)
	}
	return nil
}

// RemoveCredential removes the entry of a credential ID if it is the user's. One that is not there, or that is another's, is no error.
func (s *Store) RemoveCredential(ctx context.Context, project ident.ProjectID, credentialID []byte, user ident.UserID) error {
	return s.remove(ctx, credentialKey(project, credentialID), user)
}

// ReserveHandle enters a user handle, or returns ErrTaken. A reservation whose owner was never stored lapses: it is taken over when inUse denies its
// owner and it is older than grace, and by the same user at once.
func (s *Store) ReserveHandle(ctx context.Context, project ident.ProjectID, handle []byte, e Entry, grace time.Duration, inUse func(ident.UserID) (bool, error)) error {
	k := handleKey(project, handle)
	err := s.create(ctx, k, e)
	if !errors.Is(err, ErrTaken) {
		return err
	}
	old, revision, ok, err := s.get(ctx, k)
	if err != nil {
		return err
	}
	if !ok {
		return ErrTaken
	}
	if old.User != e.User {
		if e.Created-old.Created < grace.Milliseconds() {
			return ErrTaken
		}
		used, err := inUse(old.User)
		if err != nil {
			return err
		}
		if used {
			return ErrTaken
		}
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode index entry: %w", err)
	}
	if _, err := s.kv.Update(ctx, k, raw, revision); err != nil {
		if errors.Is(err, jetstream.ErrKeyExists) {
			return ErrTaken
		}
		return unavailable("stored", err)
	}
	return nil
}

// RemoveHandle releases a user handle if it is the user's. One that is not there, or that is another's, is no error.
func (s *Store) RemoveHandle(ctx context.Context, project ident.ProjectID, handle []byte, user ident.UserID) error {
	return s.remove(ctx, handleKey(project, handle), user)
}

func (s *Store) create(ctx context.Context, key string, e Entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode index entry: %w", err)
	}
	if _, err := s.kv.Create(ctx, key, raw); err != nil {
		if errors.Is(err, jetstream.ErrKeyExists) {
			return ErrTaken
		}
		return unavailable("stored", err)
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

func (s *Store) remove(ctx context.Context, key string, user ident.UserID) error {
	e, revision, ok, err := s.get(ctx, key)
	if err != nil {
		return err
	}
	if !ok || e.User != user {
		return nil
	}
	if err := s.kv.Purge(ctx, key, jetstream.LastRevision(revision)); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return unavailable("deleted", err)
	}
	return nil
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

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the credential index could not be %s", done).Because(err)
}
