package code

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
)

// Store is the bucket "codes". It is safe for concurrent use.
type Store struct{ kv jetstream.KeyValue }

// NewStore returns a store on the bucket "codes".
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

func (r Ref) key() string { return prefix(r.Project, r.User) + string(r.ID) }

func prefix(project ident.ProjectID, user ident.UserID) string {
	return string(project) + "." + string(user) + "."
}

// sendsKey is where the times of what was sent to an identifier are. No code has such an ID.
func sendsKey(project ident.ProjectID, user ident.UserID, identifier ident.IdentifierID) string {
	return prefix(project, user) + "sends-" + string(identifier)
}

// Put stores a new entry. One that a call with the same ID has left is replaced, unless its value has been used: then the error is ErrUsed.
func (s *Store) Put(ctx context.Context, ref Ref, e Entry) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode a challenge: %w", err)
	}
	_, err = s.kv.Create(ctx, ref.key(), raw)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return s.Change(ctx, ref, func(old *Entry) error {
			if old.Completed {
				return ErrUsed
			}
			*old = e
			return nil
		})
	}
	if err != nil {
		return unavailable("stored", err)
	}
	return nil
}

// Change reads the entry, lets decide change it, and stores it if that has changed it, also if decide returned an error, which is Change's own then. If another writer was faster,
// it does so again, so decide may be called several times. An entry that is not there is ErrUnknown.
func (s *Store) Change(ctx context.Context, ref Ref, decide func(*Entry) error) error {
	for {
		stored, err := s.kv.Get(ctx, ref.key())
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return ErrUnknown
		}
		if err != nil {
			return unavailable("read", err)
		}
		var e Entry
		if err := json.Unmarshal(stored.Value(), &e); err != nil {
			return fault.Internal(fmt.Errorf("decode challenge %s: %w", ref.ID, err))
		}
		decided := decide(&e)
		raw, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode a challenge: %w", err)
		}
		if bytes.Equal(raw, stored.Value()) {
			return decided
		}
		_, err = s.kv.Update(ctx, ref.key(), raw, stored.Revision())
		if err == nil {
			return decided
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return unavailable("stored", err)
		}
	}
}

// Remove forgets a challenge. One that is not there is no error.
func (s *Store) Remove(ctx context.Context, ref Ref) error {
	if err := s.kv.Purge(ctx, ref.key()); err != nil {
		return unavailable("deleted", err)
	}
	return nil
}

// sends are the times, in Unix ms, at which something was sent to an identifier; those that still matter.
type sends struct {
	AtMs []int64 `json:"atMs"`
}

// Send notes that something is about to be sent to an identifier. If as much as the limit allows has been sent in the time before, wait says how long it is until
// there is room, and nothing is noted. The count is exact for all instances together.
func (s *Store) Send(ctx context.Context, ref Ref, identifier ident.IdentifierID, limit ratelimit.Limit, now time.Time) (wait time.Duration, err error) {
	err = s.changeSends(ctx, sendsKey(ref.Project, ref.User, identifier), func(known *sends) {
		wait = 0
		known.AtMs = slices.DeleteFunc(known.AtMs, func(at int64) bool { return at <= now.Add(-limit.Per).UnixMilli() })
		if over := len(known.AtMs) - limit.Requests; over >= 0 {
			slices.Sort(known.AtMs)
			wait = time.UnixMilli(known.AtMs[over]).Add(limit.Per).Sub(now)
			return
		}
		known.AtMs = append(known.AtMs, now.UnixMilli())
	})
	return wait, err
}

// Unsend takes back what Send noted at a time, since nothing was sent.
func (s *Store) Unsend(ctx context.Context, ref Ref, identifier ident.IdentifierID, at time.Time) error {
	return s.changeSends(ctx, sendsKey(ref.Project, ref.User, identifier), func(known *sends) {
		if i := slices.Index(known.AtMs, at.UnixMilli()); i >= 0 {
			known.AtMs = slices.Delete(known.AtMs, i, i+1)
		}
	})
}

func (s *Store) changeSends(ctx context.Context, key string, change func(*sends)) error {
	for {
		var known sends
		var revision uint64
		var before []byte
		stored, err := s.kv.Get(ctx, key)
		switch {
		case err == nil:
			revision, before = stored.Revision(), stored.Value()
			if err := json.Unmarshal(before, &known); err != nil {
				return fault.Internal(fmt.Errorf("decode the sends of an identifier: %w", err))
			}
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return unavailable("read", err)
		}
		change(&known)
		raw, err := json.Marshal(known)
		if err != nil {
			return fmt.Errorf("encode the sends of an identifier: %w", err)
		}
		if bytes.Equal(raw, before) {
			return nil
		}
		if before == nil {
			_, err = s.kv.Create(ctx, key, raw)
		} else {
			_, err = s.kv.Update(ctx, key, raw, revision)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return unavailable("stored", err)
		}
	}
}

// Erase removes everything that is kept of a user.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	watch, err := s.kv.Watch(ctx, prefix(project, user)+"*", jetstream.IgnoreDeletes(), jetstream.MetaOnly())
	if err != nil {
		return unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("erase challenges: %w", ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return unavailable("read", nil)
			}
			if entry == nil {
				return nil
			}
			if err := s.kv.Purge(ctx, entry.Key()); err != nil {
				return unavailable("deleted", err)
			}
		}
	}
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the challenge could not be %s", done).Because(err)
}

// Newest returns the code or link that was sent last to an identifier of a user to prove it, used or not, or ErrUnknown.
func (s *Store) Newest(ctx context.Context, project ident.ProjectID, user ident.UserID, identifier ident.IdentifierID) (ident.CodeID, error) {
	watch, err := s.kv.Watch(ctx, prefix(project, user)+"*", jetstream.IgnoreDeletes())
	if err != nil {
		return "", unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	var newest ident.CodeID
	var at int64
	for {
		select {
		case <-ctx.Done():
			return "", unavailable("read", ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return "", unavailable("read", errors.New("the watch ended"))
			}
			if entry == nil {
				if newest == "" {
					return "", ErrUnknown
				}
				return newest, nil
			}
			id, err := ident.ParseCodeID(strings.TrimPrefix(entry.Key(), prefix(project, user)))
			if err != nil {
				continue // the times of what was sent
			}
			var e Entry
			if err := json.Unmarshal(entry.Value(), &e); err != nil {
				return "", fault.Internal(fmt.Errorf("decode a challenge: %w", err))
			}
			if e.Identifier == identifier && e.Purpose == "" && e.CreatedMs >= at {
				newest, at = id, e.CreatedMs
			}
		}
	}
}
