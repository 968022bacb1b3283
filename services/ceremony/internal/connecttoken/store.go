package connecttoken

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// The reasons why there is nothing to do for a token.
var (
	ErrUnknown = fault.Refuse("there is no such connect token")
	ErrType    = fault.Refuse("the connect token is for something else")
	ErrUsed    = fault.Refuse("the connect token has been used already")
	ErrExpired = fault.Refuse("the connect token has expired")
	ErrProcess = fault.Refuse("the connect token is in use by another process")
)

// The form of a secret: 30 letters and digits, 178 bits.
const (
	secretPrefix = "ctk1_"
	secretLength = 30
)

// Store keeps connect tokens in the bucket "connect-tokens" under <project>.<connect token>. It is safe for concurrent use.
type Store struct{ kv jetstream.KeyValue }

// NewStore returns a store on its bucket.
func NewStore(kv jetstream.KeyValue) *Store { return &Store{kv: kv} }

func key(project ident.ProjectID, id ident.ConnectTokenID) string {
	return string(project) + "." + string(id)
}

// Create stores a new token with the ID and the hash that follow from its secret, and returns it. A secret that a token was created with already is the sign of a
// repeated call: that token is returned.
func (s *Store) Create(ctx context.Context, t Token, secret string) (Token, error) {
	sum := sha256.Sum256([]byte(secret))
	t.ID, t.SecretHash = idOf(secret), sum[:]
	raw, err := json.Marshal(t)
	if err != nil {
		return Token{}, fmt.Errorf("encode connect token: %w", err)
	}
	_, err = s.kv.Create(ctx, key(t.Project, t.ID), raw)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return s.again(ctx, t)
	}
	if err != nil {
		return Token{}, unavailable("stored", err)
	}
	return t, nil
}

func (s *Store) again(ctx context.Context, t Token) (Token, error) {
	found, _, err := s.get(ctx, t.Project, t.ID)
	if err != nil {
		return Token{}, err
	}
	if subtle.ConstantTimeCompare(found.SecretHash, t.SecretHash) != 1 {
		return Token{}, fault.Conflict("secret", "the ID that follows from it is taken; try again")
	}
	return found, nil
}

// NewSecret returns the secret of a new token. Only who knows the seed can derive it; from an empty one it is random.
func NewSecret(seed ident.Seed) string {
	return secretPrefix + seed.Alphanumeric("connect token", secretLength)
}

// idOf derives the ID of a token from a hash of its secret, so that a token is found by its secret without an index. An ID gives away no more of the secret than
// any hash does.
func idOf(secret string) ident.ConnectTokenID {
	sum := sha256.Sum256([]byte("connect token ID of " + secret))
	return ident.ConnectTokenID("ctk-" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>1, 10))
}

// Advance moves a token to a later status; the same is fine, and going back a fault of "status". The token may be ErrUnknown.
func (s *Store) Advance(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID, to rest.ConnectTokenStatus) error {
	return s.update(ctx, project, id, func(t *Token) (bool, error) {
		if t.Status == to {
			return false, nil
		}
		if to == rest.ConnectTokenStatusInitial {
			return false, fault.Field("status", "cannot go back from %s to %s", t.Status, to)
		}
		t.Status = to
		return true, nil
	})
}

// Redeem spends the token that a secret belongs to and returns it. Of any number of callers one succeeds, the others get ErrUsed. A token that is unknown, for
// something else or expired is one of the errors above, and nothing is spent.
func (s *Store) Redeem(ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, now time.Time) (Token, error) {
	return s.use(ctx, project, secret, want, now, func(t *Token) (bool, error) {
		t.Status = rest.ConnectTokenStatusConsumed
		return true, nil
	})
}

// Bind returns the token that a secret belongs to without spending it. The process that is the first to do so is the only one that may. Its errors are those of Redeem
// and ErrProcess.
func (s *Store) Bind(ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, process string, now time.Time) (Token, error) {
	return s.use(ctx, project, secret, want, now, func(t *Token) (bool, error) {
		if t.Process != "" && t.Process != process {
			return false, ErrProcess
		}
		changed := t.Process == ""
		t.Process = process
		return changed, nil
	})
}

// Spend spends a token that a process has bound. What was begun with it before it expired may be finished.
func (s *Store) Spend(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID, process string) error {
	return s.update(ctx, project, id, func(t *Token) (bool, error) {
		switch {
		case t.Process != process:
			return false, ErrProcess
		case t.Status != rest.ConnectTokenStatusInitial:
			return false, ErrUsed
		}
		t.Status = rest.ConnectTokenStatusConsumed
		return true, nil
	})
}

// use changes a token that is good, if by says that there is something to change, and returns it.
func (s *Store) use(ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, now time.Time, by func(*Token) (bool, error)) (Token, error) {
	if len(secret) != len(secretPrefix)+secretLength || !strings.HasPrefix(secret, secretPrefix) {
		return Token{}, ErrUnknown
	}
	sum := sha256.Sum256([]byte(secret))
	var used Token
	err := s.update(ctx, project, idOf(secret), func(t *Token) (bool, error) {
		switch {
		case subtle.ConstantTimeCompare(sum[:], t.SecretHash) != 1:
			return false, ErrUnknown
		case t.Type != want:
			return false, ErrType
		case t.Status != rest.ConnectTokenStatusInitial:
			return false, ErrUsed
		case now.UnixMilli() >= t.ExpiresMs:
			return false, ErrExpired
		}
		changed, err := by(t)
		used = *t
		return changed, err
	})
	if err != nil {
		return Token{}, err
	}
	return used, nil
}

// Delete removes a token. It may be ErrUnknown.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID) error {
	if _, _, err := s.get(ctx, project, id); err != nil {
		return err
	}
	if err := s.kv.Purge(ctx, key(project, id)); err != nil {
		return unavailable("deleted", err)
	}
	return nil
}

// update changes a stored token under its revision, if change says so.
func (s *Store) update(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID, change func(*Token) (bool, error)) error {
	for {
		t, revision, err := s.get(ctx, project, id)
		if err != nil {
			return err
		}
		if changed, err := change(&t); err != nil || !changed {
			return err
		}
		raw, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("encode connect token: %w", err)
		}
		_, err = s.kv.Update(ctx, key(project, id), raw, revision)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return unavailable("stored", err)
		}
	}
}

func (s *Store) get(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID) (Token, uint64, error) {
	entry, err := s.kv.Get(ctx, key(project, id))
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return Token{}, 0, ErrUnknown
	}
	if err != nil {
		return Token{}, 0, unavailable("read", err)
	}
	var t Token
	if err := json.Unmarshal(entry.Value(), &t); err != nil {
		return Token{}, 0, fault.Internal(fmt.Errorf("decode connect token: %w", err))
	}
	return t, entry.Revision(), nil
}

func unavailable(done string, err error) error {
	return fault.Unavailable(time.Second, "the connect token could not be %s", done).Because(err)
}
