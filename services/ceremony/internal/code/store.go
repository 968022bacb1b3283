package code

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/ratelimit"
)

// Store is the buckets "codes" and "wrong-codes". It is safe for concurrent use.
type Store struct {
	codes   kv.Bucket[Entry]
	sends   kv.Bucket[sends]   // of the same bucket
	guesses kv.Bucket[guesses] // likewise
	nobody  kv.Bucket[missed]
}

// NewStore returns a store on the two buckets.
func NewStore(bucket, nobodies jetstream.KeyValue) *Store {
	return &Store{
		codes:   kv.Bucket[Entry]{KV: bucket, Name: "challenge", Missing: ErrUnknown},
		sends:   kv.Bucket[sends]{KV: bucket, Name: "challenge"},
		guesses: kv.Bucket[guesses]{KV: bucket, Name: "count of wrong codes"},
		nobody:  kv.Bucket[missed]{KV: nobodies, Name: "count of wrong codes in a row"},
	}
}

func (r Ref) key() string { return prefix(r.Project, r.User) + string(r.ID) }

func prefix(project ident.ProjectID, user ident.UserID) string {
	return string(project) + "." + string(user) + "."
}

// sendsKey is where the times of what was sent to an identifier are. No code has such an ID.
func sendsKey(project ident.ProjectID, user ident.UserID, identifier ident.IdentifierID) string {
	return prefix(project, user) + "sends-" + string(identifier)
}

// Put stores a new entry. One that a call with the same ID has left is replaced, unless its value has been used: then the error
// is ErrUsed.
func (s *Store) Put(ctx context.Context, ref Ref, e Entry) error {
	_, err := s.codes.CreateOrChange(ctx, ref.key(), e, func(old *Entry) error {
		if old.Completed {
			return ErrUsed
		}
		*old = e
		return nil
	})
	return err
}

// Change reads the entry, lets decide change it, and stores it if that has changed it, also if decide returned an error, which
// is Change's own then. If another writer was faster, it does so again, so decide may be called several times. An entry that is
// not there is ErrUnknown.
func (s *Store) Change(ctx context.Context, ref Ref, decide func(*Entry) error) error {
	var decided error
	_, err := s.codes.Change(ctx, ref.key(), func(e *Entry) error {
		decided = decide(e)
		return nil
	})
	if err != nil {
		return err
	}
	return decided
}

// Remove forgets a challenge. One that is not there is no error.
func (s *Store) Remove(ctx context.Context, ref Ref) error { return s.codes.Delete(ctx, ref.key()) }

// sends are the times, in Unix ms, at which something was sent to an identifier; those that still matter.
type sends struct {
	AtMs []int64 `json:"atMs"`
}

// Send notes that something is about to be sent to an identifier. If as much as the limit allows has been sent in the time before, wait
// says how long it is until there is room, and nothing is noted. The count is exact for all instances together.
func (s *Store) Send(
	ctx context.Context, ref Ref, identifier ident.IdentifierID, limit ratelimit.Limit, now time.Time,
) (wait time.Duration, err error) {
	_, err = s.sends.Upsert(ctx, sendsKey(ref.Project, ref.User, identifier), func(known *sends) error {
		wait = 0
		known.AtMs = slices.DeleteFunc(known.AtMs, func(at int64) bool { return at <= now.Add(-limit.Per).UnixMilli() })
		if over := len(known.AtMs) - limit.Requests; over >= 0 {
			slices.Sort(known.AtMs)
			wait = time.UnixMilli(known.AtMs[over]).Add(limit.Per).Sub(now)
			return nil
		}
		known.AtMs = append(known.AtMs, now.UnixMilli())
		return nil
	})
	return wait, err
}

// Unsend takes back what Send noted at a time, since nothing was sent.
func (s *Store) Unsend(ctx context.Context, ref Ref, identifier ident.IdentifierID, at time.Time) error {
	_, err := s.sends.Upsert(ctx, sendsKey(ref.Project, ref.User, identifier), func(known *sends) error {
		if i := slices.Index(known.AtMs, at.UnixMilli()); i >= 0 {
			known.AtMs = slices.Delete(known.AtMs, i, i+1)
		}
		return nil
	})
	return err
}

// Erase removes everything that is kept of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	return s.codes.DeleteAll(ctx, prefix(project, user)+"*")
}

// Newest returns the code or link that was sent last to an identifier of a user to prove it, used or not, or ErrUnknown.
func (s *Store) Newest(
	ctx context.Context, project ident.ProjectID, user ident.UserID, identifier ident.IdentifierID,
) (ident.CodeID, error) {
	newest, at := ident.CodeID(""), int64(0)
	for e, err := range s.codes.All(ctx, prefix(project, user)+"*") {
		if err != nil {
			return "", err
		}
		id, err := ident.ParseCodeID(strings.TrimPrefix(e.Key, prefix(project, user)))
		if err != nil {
			continue // the times of what was sent
		}
		if e.Value.Identifier == identifier && e.Value.Purpose == "" && e.Value.CreatedMs >= at {
			newest, at = id, e.Value.CreatedMs
		}
	}
	if newest == "" {
		return "", ErrUnknown
	}
	return newest, nil
}
