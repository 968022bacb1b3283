package issuer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestTokensOfAllAlgorithmsInUseAreVerified(t *testing.T) {
	t.Parallel()
	p384, p521 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	signers := []signer{
		{"rs256", jwa.RS256(), rsaKey()}, {"rs384", jwa.RS384(), rsaKey()}, {"rs512", jwa.RS512(), rsaKey()},
		{"ps256", jwa.PS256(), rsaKey()}, {"ps384", jwa.PS384(), rsaKey()}, {"ps512", jwa.PS512(), rsaKey()},
		ecKey("es256"), {"es384", jwa.ES384(), p384}, {"es512", jwa.ES512(), p521}, edKey("eddsa"),
	}
	p := newProvider(t, signers...)
	s := verifier(t, p)
	for _, with := range signers {
		accepted(t, s, with.sign(p.claims(nil), nil))
	}
	if p.discoveries.Load() != 1 || p.fetches.Load() != 1 {
		t.Errorf("fetched %d times, the keys %d times", p.discoveries.Load(), p.fetches.Load())
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	with, other := signer{"one", jwa.RS256(), rsaKey()}, ecKey("two")
	p := newProvider(t, with, other)
	s := verifier(t, p)
	good := with.sign(p.claims(nil), nil)
	parts := strings.Split(good, ".")
	mine := must(rsa.GenerateKey(rand.Reader, 2048))
	header := func(text string) string { return part(text) + "." + parts[1] + "." + parts[2] }
	symmetric := func(key []byte) string {
		signed := part(`{"alg":"HS256","kid":"one"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	const unreadable, algorithm, extension, signature, unknown = "not a JWT", "algorithm", "extension", "the signature", "does not publish"
	for name, c := range map[string]struct{ token, says string }{
		"nothing":                    {"", unreadable},
		"no token":                   {"swordfish", unreadable},
		"dots only":                  {"..", unreadable},
		"two parts":                  {parts[0] + "." + parts[1], unreadable},
		"five parts, encrypted":      {good + ".a.b", unreadable},
		"a huge one":                 {good + strings.Repeat("A", 16<<10), "longer than 16384 bytes"},
		"padding":                    {parts[0] + "=." + parts[1] + "." + parts[2], unreadable},
		"a line break":               {parts[0] + "." + parts[1] + ".\n" + parts[2], unreadable},
		"a header that is no object": {header(`"swordfish"`), unreadable},
		"a header that is no JSON":   {header(`swordfish`), unreadable},
		"alg twice":                  {header(`{"alg":"RS256","alg":"none"}`), unreadable},
		"alg in another case":        {header(`{"Alg":"RS256","kid":"one"}`), algorithm},
		"claims that are no JSON":    {parts[0] + "." + part("swordfish") + "." + parts[2], unreadable},
		"claims that are no object":  {parts[0] + "." + part("[1]") + "." + parts[2], unreadable},
		"claims that are null":       {parts[0] + "." + part("null") + "." + parts[2], "names no issuer"},
		"a claim twice":              {parts[0] + "." + part(`{"iss":"a","iss":"b"}`) + "." + parts[2], unreadable},
		"no issuer":                  {with.sign(p.claims(map[string]any{"iss": nil}), nil), "names no issuer"},
		"an issuer that is a number": {with.sign(p.claims(map[string]any{"iss": 1}), nil), "names no issuer"},
		"an issuer that nobody knows": {
			with.sign(p.claims(map[string]any{"iss": "https://swordfish.example.com"}), nil),
			"of an issuer that no project takes tokens of",
		},
		"the issuer with a slash": {
			with.sign(p.claims(map[string]any{"iss": p.URL + "/"}), nil), "of an issuer that no project takes tokens of",
		},
		"alg none":                      {part(`{"alg":"none","kid":"one"}`) + "." + parts[1] + ".", algorithm},
		"alg none with a signature":     {header(`{"alg":"none","kid":"one"}`), algorithm},
		"alg None in capitals":          {header(`{"alg":"NONE","kid":"one"}`), algorithm},
		"no alg":                        {header(`{"kid":"one"}`), algorithm},
		"ES256K":                        {header(`{"alg":"ES256K","kid":"one"}`), algorithm},
		"HS256 with the modulus":        {symmetric(rsaKey().N.Bytes()), algorithm},
		"HS256 with the JWK":            {symmetric(must(json.Marshal(with.publish(nil)))), algorithm},
		"a critical extension":          {header(`{"alg":"RS256","kid":"one","crit":["x"],"x":1}`), extension},
		"a payload that is not encoded": {header(`{"alg":"RS256","kid":"one","b64":false}`), extension},
		"a logout token": {
			with.sign(p.claims(nil), map[string]any{"typ": "logout+jwt"}), "something else than an access token",
		},
		"somebody's key under a known kid": {signer{"one", jwa.RS256(), mine}.sign(p.claims(nil), nil), signature},
		"somebody's key, at a URL": {
			signer{"one", jwa.RS256(), mine}.sign(p.claims(nil), map[string]any{"jku": "https://evil.example/keys"}), signature,
		},
		"somebody's key, embedded": {
			signer{"one", jwa.RS256(), mine}.sign(p.claims(nil), map[string]any{"jwk": must(jwk.Import(&mine.PublicKey))}),
			signature,
		},
		"an unknown kid":                   {signer{"swordfish", jwa.RS256(), mine}.sign(p.claims(nil), nil), unknown},
		"the kid of a key of another kind": {signer{"two", jwa.RS256(), rsaKey()}.sign(p.claims(nil), nil), unknown},
		"no kid and somebody's key":        {signer{"", jwa.RS256(), mine}.sign(p.claims(nil), nil), signature},
		"another payload": {
			parts[0] + "." + part(string(must(json.Marshal(p.claims(map[string]any{"sub": "usr-2"}))))) + "." + parts[2], signature,
		},
		"another header":                  {header(`{"kid":"one","alg":"RS256"}`), signature},
		"a signature that is not encoded": {parts[0] + "." + parts[1] + ".a", signature},
		"no signature":                    {parts[0] + "." + parts[1] + ".", signature},
		"the signature of another token": {
			parts[0] + "." + parts[1] + "." + strings.Split(with.sign(p.claims(map[string]any{"sub": "usr-2"}), nil), ".")[2],
			signature,
		},
		"RSA PSS in place of PKCS #1 v1.5 ": {header(`{"alg":"PS256","kid":"one"}`), signature},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), c.token, "")
			refused(t, err, http.StatusUnauthorized, c.says)
		})
	}
	accepted(t, s, good)
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestATokenIsGoodInItsTime(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	now := started.Unix()
	for name, c := range map[string]struct {
		changes map[string]any
		says    string // empty: it is good
	}{
		"an hour left":                   {nil, ""},
		"it has just expired":            {map[string]any{"exp": now - 59}, ""},
		"it has expired":                 {map[string]any{"exp": now - 60}, "the access token has expired"},
		"it has long expired":            {map[string]any{"exp": 1}, "the access token has expired"},
		"a time with a fraction":         {map[string]any{"exp": float64(now) + 0.5, "iat": float64(now) - 0.5}, ""},
		"a time beyond all bounds":       {map[string]any{"exp": json.RawMessage("1e300")}, ""},
		"a time beyond all numbers":      {map[string]any{"exp": json.RawMessage("1e999")}, "not a JWT"},
		"it never expires":               {map[string]any{"exp": nil}, "never expires"},
		"a time that is a text":          {map[string]any{"exp": fmt.Sprint(now + 60)}, "not a JWT"},
		"a time that is null":            {map[string]any{"exp": json.RawMessage("null")}, "not a JWT"},
		"it begins in a minute":          {map[string]any{"nbf": now + 60}, ""},
		"it begins later":                {map[string]any{"nbf": now + 61}, "not valid yet"},
		"a beginning that is a text":     {map[string]any{"nbf": "swordfish"}, "not a JWT"},
		"it is issued in a minute":       {map[string]any{"iat": now + 60}, ""},
		"it is issued later":             {map[string]any{"iat": now + 61}, "issued in the future"},
		"it does not say when it issued": {map[string]any{"iat": nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := with.sign(p.claims(c.changes), nil)
			if c.says == "" {
				accepted(t, s, token)
				return
			}
			_, err := s.Verify(t.Context(), token, "")
			refused(t, err, http.StatusUnauthorized, c.says)
		})
	}
}

func TestATokenIsReadAsTheProjectSays(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	long, tooLong := strings.Repeat("ü", 200), strings.Repeat("ü", 201)
	roles := project.IssuerOptions{Scopes: []string{}, UserClaim: "keyward_user", PermissionClaim: "https://example.com/roles"}
	none := project.IssuerOptions{Scopes: []string{}}
	for name, c := range map[string]struct {
		options project.IssuerOptions
		changes map[string]any
		want    issuer.Identity
		status  int
		says    string
	}{
		"a user":                     {project.IssuerOptions{}, nil, issuer.Identity{User: "usr-1"}, 0, ""},
		"an audience that is a text": {project.IssuerOptions{}, map[string]any{"aud": "keyward"}, issuer.Identity{User: "usr-1"}, 0, ""},
		"an ID of another form": {
			none, map[string]any{"sub": "163840776835432705"}, issuer.Identity{User: "163840776835432705"}, 0, "",
		},
		"an ID of the longest": {none, map[string]any{"sub": long}, issuer.Identity{User: ident.UserID(long)}, 0, ""},
		"an ID that is too long": {
			none, map[string]any{"sub": tooLong, "permissions": "a"}, issuer.Identity{}, 401,
			"the claim sub of the access token is longer than 200 characters",
		},
		"permissions in an array": {
			none, map[string]any{"permissions": []string{"a:b", "", "c"}},
			issuer.Identity{User: "usr-1", Permissions: []string{"a:b", "c"}}, 0, "",
		},
		"permissions in a text": {
			none, map[string]any{"permissions": " a:b  c "}, issuer.Identity{User: "usr-1", Permissions: []string{"a:b", "c"}}, 0,
			"",
		},
		"permissions that are an object": {
			none, map[string]any{"permissions": map[string]any{"a:b": 1}}, issuer.Identity{User: "usr-1"}, 0, "",
		},
		"permissions that are not all texts": {none, map[string]any{"permissions": []any{"a:b", 1}}, issuer.Identity{User: "usr-1"}, 0, ""},
		"other claims": {
			roles, map[string]any{"keyward_user": "usr-2", "https://example.com/roles": "x", "permissions": "y"},
			issuer.Identity{User: "usr-2", Permissions: []string{"x"}}, 0, "",
		},
		"claims within a claim": {
			project.IssuerOptions{Scopes: []string{}, UserClaim: "a.b"}, map[string]any{"a": map[string]any{"b": "swordfish"}},
			issuer.Identity{}, 401, "no user",
		},
		"a service user": {
			roles, map[string]any{"https://example.com/roles": []string{"x"}}, issuer.Identity{Permissions: []string{"x"}}, 0, "",
		},
		"a user that is a number":     {none, map[string]any{"sub": 1, "permissions": "x"}, issuer.Identity{Permissions: []string{"x"}}, 0, ""},
		"neither user nor permission": {roles, nil, issuer.Identity{}, 401, "the claims keyward_user and https://example.com/roles"},
		"an empty user":               {none, map[string]any{"sub": ""}, issuer.Identity{}, 401, "names no user and grants no permission"},
		"an empty user and no words": {
			none, map[string]any{"sub": "", "permissions": " "}, issuer.Identity{}, 401, "names no user and grants no permission",
		},
		"no scope": {
			project.IssuerOptions{}, map[string]any{"scope": nil}, issuer.Identity{}, 403,
			"lacks the scope openid urn:zitadel:iam:org:project:id:zitadel:aud",
		},
		"one scope missing": {
			project.IssuerOptions{}, map[string]any{"scope": "openid openid2"}, issuer.Identity{}, 403,
			"lacks the scope urn:zitadel:iam:org:project:id:zitadel:aud",
		},
		"scopes in an array": {
			project.IssuerOptions{Scopes: []string{"a", "b"}}, map[string]any{"scope": []string{"b", "a"}},
			issuer.Identity{User: "usr-1"}, 0, "",
		},
		"scopes in scp": {
			project.IssuerOptions{Scopes: []string{"a", "b"}}, map[string]any{"scope": nil, "scp": []string{"b", "a"}},
			issuer.Identity{User: "usr-1"}, 0, "",
		},
		"scopes in scp, in a text": {
			project.IssuerOptions{Scopes: []string{"a", "b"}}, map[string]any{"scope": nil, "scp": "a b"},
			issuer.Identity{User: "usr-1"}, 0, "",
		},
		"another audience": {none, map[string]any{"aud": "swordfish"}, issuer.Identity{}, 401, "not for an audience of any project"},
		"no audience":      {none, map[string]any{"aud": nil}, issuer.Identity{}, 401, "not for an audience of any project"},
		"audiences that are no texts": {
			none, map[string]any{"aud": []any{"keyward", 1}}, issuer.Identity{}, 401, "not for an audience of any project",
		},
		"an audience that begins like ours": {
			none, map[string]any{"aud": "keyward "}, issuer.Identity{}, 401, "not for an audience of any project",
		},
		"an audience that contains ours": {
			none, map[string]any{"aud": "other keyward"}, issuer.Identity{}, 401, "not for an audience of any project",
		},
		"the client that asked is no audience": {
			none, map[string]any{"aud": "other", "azp": "keyward", "client_id": "keyward"}, issuer.Identity{}, 401,
			"not for an audience of any project",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := verifier(t, nil)
			s.projects.take(t, "pro-1", p.URL, "keyward", c.options)
			got, err := s.Verify(t.Context(), with.sign(p.claims(c.changes), nil), "")
			if c.status != 0 {
				refused(t, err, c.status, c.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Project = "pro-1"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATokenIsOfOneProject(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, nil)
	for _, c := range []struct {
		id       ident.ProjectID
		audience string
		scopes   []string
	}{
		{"pro-1", "first", []string{}}, {"pro-1", "shared", []string{}}, {"pro-2", "second", []string{"admin"}},
		{"pro-2", "shared", []string{}}, {"pro-2", "third", []string{}},
	} {
		s.projects.take(t, c.id, p.URL, c.audience, project.IssuerOptions{Scopes: c.scopes})
	}
	s.projects.take(t, "pro-3", "https://elsewhere.example.com", "first", project.IssuerOptions{Scopes: []string{}})
	for name, c := range map[string]struct {
		audience []string
		hint     ident.ProjectID
		want     ident.ProjectID
		status   int
		says     string
	}{
		"the only one that takes it":       {[]string{"first"}, "", "pro-1", 0, ""},
		"the same, named":                  {[]string{"first"}, "pro-1", "pro-1", 0, ""},
		"two audiences of the same":        {[]string{"shared", "first"}, "pro-1", "pro-1", 0, ""},
		"several":                          {[]string{"shared"}, "", "", 401, "send the ID of the one that is meant as x-zitadel-orgid"},
		"several, for different audiences": {[]string{"first", "second"}, "", "", 401, "x-zitadel-orgid"},
		"several, one of them named":       {[]string{"shared"}, "pro-2", "pro-2", 0, ""},
		"another one named": {
			[]string{"first"}, "pro-2", "", 401, "not for an audience of the project that the request names",
		},
		"one that takes none of the issuer's":       {[]string{"first"}, "pro-3", "", 401, "takes no tokens of this issuer"},
		"one that is not there":                     {[]string{"first"}, "swordfish", "", 401, "takes no tokens of this issuer"},
		"an audience whose scope is missing":        {[]string{"second"}, "", "", 403, "lacks the scope admin"},
		"that audience and one that needs no scope": {[]string{"second", "third"}, "", "pro-2", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.Verify(t.Context(), with.sign(p.claims(map[string]any{"aud": c.audience}), nil), c.hint)
			if c.status != 0 {
				refused(t, err, c.status, c.says)
				return
			}
			if err != nil || got.Project != c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("without a signature nothing is told of projects", func(t *testing.T) {
		forged := ecKey("one").sign(p.claims(map[string]any{"aud": "shared"}), nil)
		_, err := s.Verify(t.Context(), forged, "pro-3")
		refused(t, err, http.StatusUnauthorized, "the signature")
	})
}

func TestAnIssuerThatIsRemovedIsNoLongerTrusted(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p, other := newProvider(t, with), newProvider(t, with)
	s := verifier(t, p)
	token := with.sign(p.claims(nil), nil)
	accepted(t, s, token)
	s.projects.mu.Lock()
	s.projects.all = nil
	s.projects.mu.Unlock()
	_, err := s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusUnauthorized, "no project takes tokens of")
	s.projects.take(t, "pro-1", other.URL, "keyward", project.IssuerOptions{})
	accepted(t, s, with.sign(other.claims(nil), nil))
	if n := s.Sources(); n != 1 {
		t.Errorf("the keys of %d issuers are kept", n)
	}
}

func TestKeysAreNotTakenForTokens(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{
		"a.b.c":     true,
		"..":        true,
		"a.b.":      true,
		"":          false,
		"a.b":       false,
		"a.b.c.d.e": false,
		"kwk1_1_abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZ": false,
	} {
		if got := issuer.LooksLikeJWT(token); got != want {
			t.Errorf("%q: %v", token, got)
		}
	}
}

func FuzzATokenIsReadOrRefused(f *testing.F) {
	with := ecKey("one")
	good := with.sign(map[string]any{"iss": "https://id.example.com", "aud": "keyward", "exp": started.Add(time.Hour).Unix()}, nil)
	for _, seed := range []string{
		good, "", "..", "a.b.c", part(`{"alg":"none"}`) + "." + part(`{"iss":"a"}`) + ".",
		part(`{"alg":"RS256","crit":["b64"],"b64":false}`) + ".." + "a",
		part(`{"alg":"RS256","alg":"HS256"}`) + "." + part(`{"iss":{"iss":["a"]}}`) + ".a", strings.Repeat("A", 17<<10),
	} {
		f.Add(seed)
	}
	algorithms := "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA"
	f.Fuzz(func(t *testing.T, text string) {
		algorithm, from, err := issuer.Parse(text)
		if err != nil {
			refused(t, err, http.StatusUnauthorized, "token")
			return
		}
		head, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[0])
		if err != nil || !bytes.Contains(head, []byte("alg")) || from == "" || !strings.Contains(algorithms, algorithm) ||
			!issuer.LooksLikeJWT(text) {
			t.Errorf("%q is read as %s of %q, %v", text, algorithm, from, err)
		}
	})
}
