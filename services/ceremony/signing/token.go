package signing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// ErrSignature says that a token is not one that the project has signed, as far as anybody can still tell.
var ErrSignature = errors.New("the signature is not one of the project's")

// maxToken bounds what is looked at, in bytes. What this package signs is a tenth of it.
const maxToken = 16 << 10

// Sign returns claims as a JWT (RFC 7519) in compact form, with the header fields alg, kid and typ, signed by the project's active key. The
// claims must not ask for a longer life than MaxLifetime.
func (s *Store) Sign(ctx context.Context, project ident.ProjectID, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	r, err := s.ring(ctx, project)
	if err != nil {
		return "", err
	}
	key := r.keys[r.keys.active(s.now())]
	headers := jws.NewHeaders()
	if err := errors.Join(headers.Set(jws.KeyIDKey, string(key.ID)), headers.Set(jws.TypeKey, "JWT")); err != nil {
		return "", fault.Internal(fmt.Errorf("sign: %w", err))
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.RS256(), r.ready[key.ID].private, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fault.Internal(fmt.Errorf("sign: %w", err))
	}
	return string(signed), nil
}

// Verify returns the claims of a token that the project has signed. What they say, also of time, is for the caller to judge. Everything
// else is ErrSignature: another project's token, a changed one, another algorithm, a key that is not published any more, something that is
// no token. Other errors are faults: nobody could tell.
func (s *Store) Verify(ctx context.Context, project ident.ProjectID, token string) (json.RawMessage, error) {
	id, ok := keyOf(token)
	if !ok {
		return nil, ErrSignature
	}
	key := s.kept(project).find(id, s.now())
	if key == nil {
		// Another instance may have made it a moment ago.
		r, err := s.read(ctx, project)
		if err != nil {
			return nil, err
		}
		if key = r.find(id, s.now()); key == nil {
			return nil, ErrSignature
		}
	}
	payload, err := jws.Verify([]byte(token), jws.WithCompact(), jws.WithKey(jwa.RS256(), &key.private.PublicKey))
	if err != nil {
		return nil, ErrSignature
	}
	return payload, nil
}

// keyOf returns the key that a token names. Only what Sign could have written passes: three parts, RS256, and no extension that would
// change how it is read.
func keyOf(token string) (ident.KeyID, bool) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return "", false
	}
	message, err := jws.Parse([]byte(token), jws.WithCompact())
	if err != nil || len(message.Signatures()) != 1 {
		return "", false
	}
	headers := message.Signatures()[0].ProtectedHeaders()
	if alg, ok := headers.Algorithm(); !ok || alg.String() != jwa.RS256().String() {
		return "", false
	}
	if headers.Has(jws.CriticalKey) || headers.Has("b64") {
		return "", false
	}
	id, ok := headers.KeyID()
	return ident.KeyID(id), ok && id != ""
}
