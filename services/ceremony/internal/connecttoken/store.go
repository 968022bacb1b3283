package connecttoken

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
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
type Store struct{ tokens kv.Bucket[Token] }

// NewStore returns a store on its bucket.
func NewStore(bucket jetstream.KeyValue) *Store {
	return &Store{tokens: kv.Bucket[Token]{KV: bucket, Name: "connect token", Missing: ErrUnknown}}
}

func key(project ident.ProjectID, id ident.ConnectTokenID) string {
	return string(project) + "." + string(id)
}

// Create stores a new token with the ID and the hash that follow from its secret, and returns it. A secret that a token was
// created with already is the sign of a repeated call: that token is returned.
func (s *Store) Create(ctx context.Context, t Token, secret string) (Token, error) {
	sum := sha256.Sum256([]byte(secret))
	t.ID, t.SecretHash = idOf(secret), sum[:]
	e, err := s.tokens.CreateOrChange(ctx, key(t.Project, t.ID), t, func(found *Token) error {
		if subtle.ConstantTimeCompare(found.SecretHash, t.SecretHash) != 1 {
			return fault.Conflict("secret", "the ID that follows from it is taken; try again")
		}
		return nil
	})
	if err != nil {
		return Token{}, err
	}
	return e.Value, nil
}

// NewSecret returns the secret of a new token. Only who knows the seed can derive it; from an empty one it is random.
func NewSecret(seed ident.Seed) string {
	return secretPrefix + seed.Alphanumeric("connect token", secretLength)
}

// idOf derives the ID of a token from a hash of its secret, so that a token is found by its secret without an index. An ID
// gives away no more of the secret than any hash does.
func idOf(secret string) ident.ConnectTokenID {
	sum := sha256.Sum256([]byte("connect token ID of " + secret))
	return ident.ConnectTokenID("ctk-" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>1, 10))
}

// Advance moves a token to a later status; the same is fine, and going back a fault of "status". The token may be ErrUnknown.
func (s *Store) Advance(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID, to rest.ConnectTokenStatus) error {
	_, err := s.tokens.Change(ctx, key(project, id), func(t *Token) error {
		if t.Status != to && to == rest.ConnectTokenStatusInitial {
			return fault.Field("status", "cannot go back from %s to %s", t.Status, to)
		}
		t.Status = to
		return nil
	})
	return err
}

// Redeem spends the token that a secret belongs to and returns it. Of any number of callers one succeeds, the others get ErrUsed. A
// token that is unknown, for something else or expired is one of the errors above, and nothing is spent.
func (s *Store) Redeem(
	ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, now time.Time,
) (Token, error) {
	return s.use(ctx, project, secret, want, now, func(t *Token) error {
		t.Status = rest.ConnectTokenStatusConsumed
		return nil
	})
}

// Bind returns the token that a secret belongs to without spending it. The process that is the first to do so is the only one that may.
// Its errors are those of Redeem and ErrProcess.
func (s *Store) Bind(
	ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, process string, now time.Time,
) (Token, error) {
	return s.use(ctx, project, secret, want, now, func(t *Token) error {
		if t.Process != "" && t.Process != process {
			return ErrProcess
		}
		t.Process = process
		return nil
	})
}

// Spend spends a token that a process has bound. What was begun with it before it expired may be finished.
func (s *Store) Spend(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID, process string) error {
	_, err := s.tokens.Change(ctx, key(project, id), func(t *Token) error {
		switch {
		case t.Process != process:
			return ErrProcess
		case t.Status != rest.ConnectTokenStatusInitial:
			return ErrUsed
		}
		t.Status = rest.ConnectTokenStatusConsumed
		return nil
	})
	return err
}

// use changes a token that is good, and returns it.
func (s *Store) use(
	ctx context.Context, project ident.ProjectID, secret string, want rest.ConnectTokenType, now time.Time, by func(*Token) error,
) (Token, error) {
	if len(secret) != len(secretPrefix)+secretLength || !strings.HasPrefix(secret, secretPrefix) {
		return Token{}, ErrUnknown
	}
	sum := sha256.Sum256([]byte(secret))
	used, err := s.tokens.Change(ctx, key(project, idOf(secret)), func(t *Token) error {
		switch {
		case subtle.ConstantTimeCompare(sum[:], t.SecretHash) != 1:
			return ErrUnknown
		case t.Type != want:
			return ErrType
		case t.Status != rest.ConnectTokenStatusInitial:
			return ErrUsed
		case now.UnixMilli() >= t.ExpiresMs:
			return ErrExpired
		}
		return by(t)
	})
	if err != nil {
		return Token{}, err
	}
	return used.Value, nil
}

// Delete removes a token. It may be ErrUnknown.
func (s *Store) Delete(ctx context.Context, project ident.ProjectID, id ident.ConnectTokenID) error {
	if _, err := s.tokens.Get(ctx, key(project, id)); err != nil {
		return err
	}
	return s.tokens.Delete(ctx, key(project, id))
}

// Erase removes every token of a project that matches says is to go. It reads all tokens of the project: nothing leads from an identifier
// to its tokens.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, matches func(Token) bool) error {
	for e, err := range s.tokens.All(ctx, string(project)+".*") {
		if err == nil && matches(e.Value) {
			err = s.tokens.Delete(ctx, e.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
