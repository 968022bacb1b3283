package issuer

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v3/jwa"

	"github.com/keyward/keyward/core/fault"
)

// maxToken bounds what is looked at, in bytes.
const maxToken = 16 << 10

// LooksLikeJWT reports whether a bearer token has the form of a signed JWT (RFC 7515 §7.1), three parts with dots between, whatever they
// hold. An API key never has it.
func LooksLikeJWT(token string) bool { return strings.Count(token, ".") == 2 }

// token is what a JWT says. Nothing of it is known to be true until its signature has been verified.
type token struct {
	text      string
	algorithm jwa.SignatureAlgorithm
	keyID     string // empty: it names none
	issuer    string
	payload   []byte // the claims, as they are signed
	claims    claims
}

// header is the part of a JOSE header that matters here (RFC 7515 §4.1).
type header struct {
	Algorithm string         `json:"alg"`
	KeyID     string         `json:"kid"`
	Type      string         `json:"typ"`
	Critical  jsontext.Value `json:"crit"`
	Unencoded jsontext.Value `json:"b64"` // RFC 7797
}

// parse reads a token. The errors are faults, 401.
func parse(text string) (token, error) {
	if len(text) > maxToken {
		return token{}, fault.Login("the access token is longer than %d bytes", maxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || strings.ContainsFunc(text, foreign) {
		return token{}, malformed()
	}
	raw, ok := decode(parts[0])
	if !ok {
		return token{}, malformed()
	}
	var head header
	// Names that occur twice are an error: other readers might see the other one (RFC 8725 §2.4).
	if json.Unmarshal(raw, &head) != nil {
		return token{}, malformed()
	}
	algorithm, err := head.check()
	if err != nil {
		return token{}, err
	}
	payload, ok := decode(parts[1])
	if !ok {
		return token{}, malformed()
	}
	said := claims{}
	if json.Unmarshal(payload, &said) != nil {
		return token{}, malformed()
	}
	issuer, ok := said.text("iss")
	if !ok || issuer == "" {
		return token{}, fault.Login("the access token names no issuer")
	}
	return token{text: text, algorithm: algorithm, keyID: head.KeyID, issuer: issuer, payload: payload, claims: said}, nil
}

func malformed() error { return fault.Login("the access token is not a JWT that can be read") }

// check refuses what is no access token, and what asks to be read in another way than it is here.
func (h header) check() (jwa.SignatureAlgorithm, error) {
	algorithm, ok := accepted(h.Algorithm)
	if !ok {
		return algorithm, fault.Login(
			"the access token is signed with an algorithm that is not accepted: it must be RS, PS or ES with 256, 384 or 512, or EdDSA",
		)
	}
	// RFC 8725 §3.11: tokens that the same issuer signs for other ends, such as logout tokens, say so.
	switch strings.TrimPrefix(strings.ToLower(h.Type), "application/") {
	case "", "jwt", "at+jwt":
	default:
		return algorithm, fault.Login("the token says that it is something else than an access token")
	}
	if h.Critical != nil || h.Unencoded != nil {
		return algorithm, fault.Login("the access token needs an extension that is not known here")
	}
	return algorithm, nil
}

// accepted returns the algorithm of a name: those with a public key, and of them those that are in use (RFC 7518 §3.1, RFC 8037 §3.1).
func accepted(name string) (jwa.SignatureAlgorithm, bool) {
	for _, algorithm := range []jwa.SignatureAlgorithm{
		jwa.RS256(), jwa.RS384(), jwa.RS512(), jwa.PS256(), jwa.PS384(), jwa.PS512(), jwa.ES256(), jwa.ES384(), jwa.ES512(), jwa.EdDSA(),
	} {
		if algorithm.String() == name {
			return algorithm, true
		}
	}
	return jwa.EmptySignatureAlgorithm(), false
}

// decode is base64url without padding, in the one way that a text can be written.
func decode(part string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return raw, err == nil && len(raw) > 0
}

// foreign is what a compact JWT does not hold. The decoder of the library would pass over line breaks.
func foreign(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

// issuerOf returns the issuer that a token names; empty if it names none.
func issuerOf(text string) string {
	parsed, err := parse(text)
	if err != nil {
		return ""
	}
	return parsed.issuer
}
