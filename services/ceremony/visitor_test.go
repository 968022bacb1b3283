package ceremony_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// partsOf returns header and claims of a token.
func partsOf(tb testing.TB, token string) (header, claims map[string]any) {
	tb.Helper()
	parts := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			tb.Fatal(err)
		}
	}
	return header, claims
}

func encoded(tb testing.TB, value any) string {
	tb.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestWhatIsNoSessionTokenOpensNothing is the attack table of session tokens.
func TestWhatIsNoSessionTokenOpensNothing(t *testing.T) {
	t.Parallel()
	const foreign = "the session token is not one of this project"
	other := newStack(t)
	theirs := other.logIn(t)
	for name, tc := range map[string]struct {
		token   func(*testing.T, *stack, loggedIn) string
		details string
	}{
		"nothing":                    {func(*testing.T, *stack, loggedIn) string { return "" }, "there is no session token"},
		"noise":                      {func(*testing.T, *stack, loggedIn) string { return "noise" }, foreign},
		"a token of another project": {func(*testing.T, *stack, loggedIn) string { return theirs.session }, foreign},
		"a changed claim": {func(t *testing.T, _ *stack, in loggedIn) string {
			_, claims := partsOf(t, in.session)
			claims["sub"] = "usr-1"
			parts := strings.Split(in.session, ".")
			return parts[0] + "." + encoded(t, claims) + "." + parts[2]
		}, foreign},
		"no algorithm": {func(t *testing.T, _ *stack, in loggedIn) string {
			header, claims := partsOf(t, in.session)
			header["alg"] = "none"
			return encoded(t, header) + "." + encoded(t, claims) + "."
		}, foreign},
		"the public key as an HMAC key": {func(t *testing.T, st *stack, in loggedIn) string {
			header, claims := partsOf(t, in.session)
			key, found := st.keySet(t).LookupKeyID(header["kid"].(string))
			if !found {
				t.Fatal("the key is not published")
			}
			var public rsa.PublicKey
			if err := jwk.Export(key, &public); err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKIXPublicKey(&public)
			if err != nil {
				t.Fatal(err)
			}
			return signedWith(t, jwa.HS256(), der, header["kid"].(string), claims)
		}, foreign},
		"another key under the same name": {func(t *testing.T, _ *stack, in loggedIn) string {
			header, claims := partsOf(t, in.session)
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			return signedWith(t, jwa.RS256(), key, header["kid"].(string), claims)
		}, foreign},
		"signed passkey data": {func(t *testing.T, st *stack, in loggedIn) string {
			d := phone()
			st.enroll(t, in.user, d)
			return signedLogin(t, st, in.user, d)
		}, "the token is not a session token of this project"},
		"a token that the backend made for other verifiers": {func(t *testing.T, st *stack, in loggedIn) string {
			long := st.longSession(t, in.user)
			return st.shortSession(t, in.user, ident.SessionID(long.LongSessionID), "https://other.example")
		}, "the token is not a session token of this project"},
		"a token that has expired": {func(_ *testing.T, st *stack, in loggedIn) string {
			st.clock.advance(15 * time.Minute)
			return in.session
		}, "the session token has expired"},
		"a token of before the clock was set back": {func(_ *testing.T, st *stack, in loggedIn) string {
			st.clock.advance(-5 * time.Minute)
			return in.session
		}, "the session token is not valid yet"},
		"a session that was revoked": {func(t *testing.T, st *stack, in loggedIn) string {
			_, claims := partsOf(t, in.session)
			if _, err := st.RevokeSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: ident.SessionID(claims["sid"].(string))}); err != nil {
				t.Fatal(err)
			}
			return in.session
		}, "the session has ended"},
		"a user who was deleted": {func(t *testing.T, st *stack, in loggedIn) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: in.user}); err != nil {
				t.Fatal(err)
			}
			return in.session
		}, "the session has ended"},
		"a user who was disabled": {func(t *testing.T, st *stack, in loggedIn) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: in.user, Body: rest.UserUpdateReq{Status: &disabled}}); err != nil {
				t.Fatal(err)
			}
			return in.session
		}, "the user is disabled"},
		"a token that is signed with a key that is not published any more": {func(t *testing.T, st *stack, in loggedIn) string {
			header, _ := partsOf(t, in.session)
			if _, err := st.signing.Rotate(t.Context(), st.project.ID, true); err != nil {
				t.Fatal(err)
			}
			if err := st.signing.Remove(t.Context(), st.project.ID, ident.KeyID(header["kid"].(string))); err != nil {
				t.Fatal(err)
			}
			return in.session
		}, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			in := st.logIn(t)
			if _, err := st.me(in.session); err != nil {
				t.Fatalf("before: %v", err)
			}
			_, err := st.me(tc.token(t, st, in))
			wantLogin(t, err, tc.details)
		})
	}
}

func TestASessionTokenSurvivesTheRotationOfItsKey(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	if _, err := st.signing.Rotate(t.Context(), st.project.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := st.me(in.session); err != nil {
		t.Error(err)
	}
	rsp, err := st.refreshWith(in.refresh)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := partsOf(t, in.session)
	after, _ := partsOf(t, rsp.Body.SessionToken)
	if before["kid"] == after["kid"] {
		t.Error("the new token is signed with the old key")
	}
	if _, err := st.me(rsp.Body.SessionToken); err != nil {
		t.Error(err)
	}
}

func TestAUserIsKnownByAnIssuerOfTheProject(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPrimary)
	req := visit(st, "", service.Empty{})
	req.User = user
	me, err := st.CurrentUserGet(t.Context(), req)
	if err != nil || me.ID != string(user) {
		t.Errorf("got %+v, %v", me, err)
	}
	req.User = ident.NewUserID()
	_, err = st.CurrentUserGet(t.Context(), req)
	wantLogin(t, err, "the user does not exist any more")
}

func TestTheNameOfTheFrontendIsTheIssuerOfSessions(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	st.change(func(p *project.Project) { p.CNAME = "login.example.com" })
	in := st.logIn(t)
	st.verified(t, in.session, "https://login.example.com")
	if !in.cookies.Secure {
		t.Error("the cookies of an https site are not secure")
	}
	if _, err := st.me(in.session); err != nil {
		t.Error(err)
	}
	st.change(func(p *project.Project) { p.CNAME = "other.example.com" })
	_, err := st.me(in.session)
	wantLogin(t, err, "the token is not a session token of this project")
}

func signedWith(tb testing.TB, algorithm jwa.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	tb.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	header := jws.NewHeaders()
	if err := header.Set("kid", id); err != nil {
		tb.Fatal(err)
	}
	text, err := jws.Sign(payload, jws.WithKey(algorithm, key, jws.WithProtectedHeaders(header)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
