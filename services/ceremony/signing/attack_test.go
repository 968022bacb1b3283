package signing_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/signing"
)

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestAStandardVerifierAcceptsWhatIsSigned(t *testing.T) {
	t.Parallel()
	c, project := newClock(t), ident.NewProjectID()
	s := open(t, c)
	token, err := s.Sign(
		t.Context(), project,
		map[string]any{"iss": "https://login.example.com", "sub": "usr-1", "iat": started.Unix(), "exp": started.Unix() + 300},
	)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.Parse(
		[]byte(token), jwt.WithKeySet(keySet(t, s, project)), jwt.WithIssuer("https://login.example.com"),
		jwt.WithClock(jwt.ClockFunc(c.Now)),
	)
	if err != nil {
		t.Fatal(err)
	}
	if subject, _ := parsed.Subject(); subject != "usr-1" {
		t.Errorf("subject %s", subject)
	}
	if _, err := jwt.Parse([]byte(token), jwt.WithKeySet(keySet(t, s, ident.NewProjectID())), jwt.WithValidate(false)); err == nil {
		t.Error("the key set of another project verifies it too")
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	c, project, other := newClock(t), ident.NewProjectID(), ident.NewProjectID()
	s := open(t, c)
	good := sign(t, s, project)
	parts := strings.Split(good, ".")
	kid := keyID(t, good)
	published, ok := keySet(t, s, project).LookupKeyID(kid)
	if !ok {
		t.Fatal("the key is not published")
	}
	var public rsa.PublicKey
	if err := jwk.Export(published, &public); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&public)
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(published)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signedWith := func(alg jwa.SignatureAlgorithm, key any, headers map[string]any) string {
		h := jws.NewHeaders()
		for name, value := range headers {
			if err := h.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
		token, err := jws.Sign([]byte(`{"sub":"usr-1"}`), jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		return string(token)
	}
	symmetric := func(key []byte) string {
		signed := part(`{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	embedded, err := jwk.Import(&mine.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"nothing":                          "",
		"no token":                         "hello",
		"dots only":                        "..",
		"a token of another project":       sign(t, s, other),
		"alg none":                         part(`{"alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + ".",
		"alg none with a signature":        part(`{"alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
		"alg None in capitals":             part(`{"alg":"NONE","kid":"`+kid+`"}`) + "." + parts[1] + ".",
		"no alg":                           part(`{"kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
		"HS256 with the public key in DER": symmetric(der),
		"HS256 with the public key in PEM": symmetric(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 with the JWK":               symmetric(document),
		"HS256 with the modulus":           symmetric(public.N.Bytes()),
		"somebody's key under our kid":     signedWith(jwa.RS256(), mine, map[string]any{"kid": kid}),
		"somebody's key, embedded":         signedWith(jwa.RS256(), mine, map[string]any{"kid": kid, "jwk": embedded}),
		"somebody's key, at a URL":         signedWith(jwa.RS256(), mine, map[string]any{"kid": kid, "jku": "https://evil.example/jwks"}),
		"somebody's key, with PS256":       signedWith(jwa.PS256(), mine, map[string]any{"kid": kid}),
		"somebody's key, with RS512":       signedWith(jwa.RS512(), mine, map[string]any{"kid": kid}),
		"an unknown kid":                   signedWith(jwa.RS256(), mine, map[string]any{"kid": "pki-1"}),
		"a kid that is a path":             signedWith(jwa.RS256(), mine, map[string]any{"kid": "../../>"}),
		"no kid":                           signedWith(jwa.RS256(), mine, nil),
		"another payload":                  parts[0] + "." + part(`{"sub":"usr-2"}`) + "." + parts[2],
		"another header":                   part(`{"alg":"RS256","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
		"a critical extension":             part(`{"alg":"RS256","kid":"`+kid+`","crit":["x"],"x":1}`) + "." + parts[1] + "." + parts[2],
		"an unencoded payload": part(
			`{"alg":"RS256","kid":"`+kid+`","crit":["b64"],"b64":false}`,
		) + "." + parts[1] + "." + parts[2],
		"no signature":                           parts[0] + "." + parts[1] + ".",
		"half a signature":                       parts[0] + "." + parts[1] + "." + parts[2][:100],
		"four parts":                             good + "." + parts[2],
		"five parts":                             good + "." + parts[2] + "." + parts[1],
		"the JSON form":                          `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"a token of endless length":              good + strings.Repeat("A", 1<<20),
		"a header that is no object":             part(`[]`) + "." + parts[1] + "." + parts[2],
		"a header with two algorithms, bad last": part(`{"alg":"RS256","alg":"none","kid":"`+kid+`"}`) + "." + parts[1] + "." + parts[2],
	}
	for name, token := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Verify(t.Context(), project, token); !errors.Is(err, signing.ErrSignature) {
				t.Errorf("%v", err)
			}
		})
	}
	if !verifies(t, s, project, good) {
		t.Error("the token that was not forged is refused")
	}
	if verifies(t, s, ident.NewProjectID(), good) {
		t.Error("a project without keys accepts it")
	}
}

// Whatever a token looks like, it is refused, or its claims are what was signed.
func FuzzVerify(f *testing.F) {
	s, project := open(f, newClock(f)), ident.NewProjectID()
	good := sign(f, s, project)
	parts := strings.Split(good, ".")
	f.Add("H.P.S")
	f.Add("H.P.")
	f.Add(part(`{"alg":"none"}`) + ".P.")
	f.Add("H.P.S=")
	f.Fuzz(func(t *testing.T, token string) {
		// The fuzzer cannot know today's key, so it shows by a mark where to put its parts.
		token = strings.NewReplacer("H", parts[0], "P", parts[1], "S", parts[2]).Replace(token)
		payload, err := s.Verify(t.Context(), project, token)
		if err == nil && string(payload) != `{"sub":"usr-1"}` {
			t.Errorf("%q verifies as %s", token, payload)
		}
		if err != nil && !errors.Is(err, signing.ErrSignature) {
			t.Errorf("%q: %v", token, err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s, project := open(b, newClock(b)), ident.NewProjectID()
	sign(b, s, project)
	b.ReportAllocs()
	for b.Loop() {
		sign(b, s, project)
	}
}

func BenchmarkVerify(b *testing.B) {
	s, project := open(b, newClock(b)), ident.NewProjectID()
	token := sign(b, s, project)
	b.ReportAllocs()
	for b.Loop() {
		if !verifies(b, s, project, token) {
			b.Fatal("it does not verify")
		}
	}
}
