package sessions_test

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
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
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
	other := ceremonytest.New(t)
	theirs := other.OpenSession(t)
	for name, tc := range map[string]struct {
		token   func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string
		details string
	}{
		"nothing": {
			func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string { return "" }, "there is no session token",
		},
		"noise":                      {func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string { return "noise" }, foreign},
		"a token of another project": {func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string { return theirs.Session }, foreign},
		"a changed claim": {func(t *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			_, claims := partsOf(t, in.Session)
			claims["sub"] = "usr-1"
			parts := strings.Split(in.Session, ".")
			return parts[0] + "." + encoded(t, claims) + "." + parts[2]
		}, foreign},
		"no algorithm": {func(t *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			header, claims := partsOf(t, in.Session)
			header["alg"] = "none"
			return encoded(t, header) + "." + encoded(t, claims) + "."
		}, foreign},
		"the public key as an HMAC key": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			header, claims := partsOf(t, in.Session)
			key, found := st.KeySet(t).LookupKeyID(header["kid"].(string))
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
		"another key under the same name": {func(t *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			header, claims := partsOf(t, in.Session)
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			return signedWith(t, jwa.RS256(), key, header["kid"].(string), claims)
		}, foreign},
		"signed passkey data": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			d := authenticator.Phone()
			st.Enroll(t, in.User, d)
			return signedLogin(t, st, in.User, d)
		}, "the token is not a session token of this project"},
		"a token that an earlier version made for other verifiers": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			return resigned(t, st, in.Session, "iss", "https://other.example")
		}, "the token is not a session token of this project"},
		"a token for another project": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			return resigned(t, st, in.Session, "aud", "pro-9")
		}, "the token is not a session token of this project"},
		"a token for several projects": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			return resigned(t, st, in.Session, "aud", []string{string(st.Project.ID), "pro-9"})
		}, "the token is not a session token of this project"},
		"a token that has expired": {func(_ *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			st.Clock.Advance(15 * time.Minute)
			return in.Session
		}, "the session token has expired"},
		"a token of before the clock was set back": {func(_ *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			st.Clock.Advance(-5 * time.Minute)
			return in.Session
		}, "the session token is not valid yet"},
		"a session that was revoked": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			_, claims := partsOf(t, in.Session)
			if _, err := st.RevokeSession(
				t.Context(),
				service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: ident.SessionID(claims["sid"].(string))},
			); err != nil {
				t.Fatal(err)
			}
			return in.Session
		}, "the session has ended"},
		"a user who was deleted": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: in.User}); err != nil {
				t.Fatal(err)
			}
			return in.Session
		}, "the session has ended"},
		"a user who was disabled": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(
				t.Context(),
				service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: in.User, Body: rest.UserUpdateReq{Status: &disabled}},
			); err != nil {
				t.Fatal(err)
			}
			return in.Session
		}, "the user is disabled"},
		"a token of a key that is not published any more": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			header, _ := partsOf(t, in.Session)
			if _, err := st.Signing.Rotate(t.Context(), st.Project.ID, true); err != nil {
				t.Fatal(err)
			}
			if err := st.Signing.Remove(t.Context(), st.Project.ID, ident.KeyID(header["kid"].(string))); err != nil {
				t.Fatal(err)
			}
			return in.Session
		}, foreign},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			in := st.OpenSession(t)
			if _, err := st.Me(in.Session); err != nil {
				t.Fatalf("before: %v", err)
			}
			_, err := st.Me(tc.token(t, st, in))
			ceremonytest.WantLogin(t, err, tc.details)
		})
	}
}

func TestASessionTokenSurvivesTheRotationOfItsKey(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	if _, err := st.Signing.Rotate(t.Context(), st.Project.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Me(in.Session); err != nil {
		t.Error(err)
	}
	rsp, err := refreshWith(st, in.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := partsOf(t, in.Session)
	after, _ := partsOf(t, rsp.Body.SessionToken)
	if before["kid"] == after["kid"] {
		t.Error("the new token is signed with the old key")
	}
	if _, err := st.Me(rsp.Body.SessionToken); err != nil {
		t.Error(err)
	}
}

func TestAUserIsKnownByAnIssuerOfTheProject(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPrimary)
	req := ceremonytest.Visit(st, "", service.Empty{})
	req.User = user
	me, err := st.CurrentUserGet(t.Context(), req)
	if err != nil || me.ID != string(user) {
		t.Errorf("got %+v, %v", me, err)
	}
	req.User = ident.NewUserID()
	_, err = st.CurrentUserGet(t.Context(), req)
	ceremonytest.WantLogin(t, err, "the user does not exist any more")
}

func TestTheNameOfTheFrontendIsTheIssuerOfSessions(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	st.ChangeProject(func(p *project.Project) { p.CNAME = "login.example.com" })
	in := st.OpenSession(t)
	st.Verified(t, in.Session, "https://login.example.com")
	if !in.Cookies.Secure {
		t.Error("the cookies of an https site are not secure")
	}
	if _, err := st.Me(in.Session); err != nil {
		t.Error(err)
	}
	st.ChangeProject(func(p *project.Project) { p.CNAME = "other.example.com" })
	_, err := st.Me(in.Session)
	ceremonytest.WantLogin(t, err, "the token is not a session token of this project")
}

func TestATokenWithoutAnAudienceIsOfAnEarlierVersionAndIsTaken(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	if _, err := st.Me(resigned(t, st, in.Session, "aud", nil)); err != nil {
		t.Errorf("a session: %v", err)
	}
	d := authenticator.Phone()
	st.Enroll(t, in.User, d)
	if result := st.Verify(t, resigned(t, st, signedLogin(t, st, in.User, d), "aud", nil)); result != ceremonytest.Success {
		t.Errorf("signed data: %s", result)
	}
	if result := st.Verify(t, resigned(t, st, signedLogin(t, st, in.User, d), "aud", "pro-9")); result != ceremonytest.InvalidSignature {
		t.Errorf("signed data for another project: %s", result)
	}
}

func TestAProjectMayLeaveTheAudienceOut(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	st.ChangeProject(func(p *project.Project) { p.Frontend.NoAudience = true })
	in := st.OpenSession(t)
	if _, claims := partsOf(t, in.Session); claims["aud"] != nil {
		t.Errorf("the audience is %v", claims["aud"])
	}
	if _, err := st.Me(in.Session); err != nil {
		t.Error(err)
	}
}

func TestTokensAreIssuedInTheNameOfTheProjectsOwnHosts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cname, issuer string
		taken         bool
	}{
		"of the configuration":                        {"", ceremonytest.FrontendURL, true},
		"of the configuration, with a slash":          {"", ceremonytest.FrontendURL + "/", false},
		"of the configuration, beside the own":        {"login.example.com", ceremonytest.FrontendURL, false},
		"of the project's CNAME":                      {"login.example.com", "https://login.example.com", true},
		"of a host of the project":                    {"", "https://id.example.com", true},
		"of a host, as the configured URL is written": {"", "http://id.example.com:8080", true},
		"of a host in the clear":                      {"", "http://id.example.com", false},
		"of a host at another port":                   {"", "https://id.example.com:8443", false},
		"of a host, with a path":                      {"", "https://id.example.com/pro-1", false},
		"of a host, with a user":                      {"", "https://ada@id.example.com", false},
		"of a host, with a query":                     {"", "https://id.example.com?a", false},
		"of a host in capitals":                       {"", "https://ID.example.com", false},
		"of a host under a pattern of the project":    {"", "https://munich.shop.example", true},
		"of a host two labels under a pattern":        {"", "https://a.munich.shop.example", false},
		"of the parent of a pattern":                  {"", "https://shop.example", false},
		"of a host of nobody":                         {"", "https://mallory.example", false},
		"of a host of nobody that begins with an own": {"", "https://id.example.com.mallory.example", false},
		"of no host":                                  {"", "https://", false},
		"of what is no URL":                           {"", "pro-1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			st.ChangeProject(func(p *project.Project) {
				p.CNAME, p.Frontend.Hosts = c.cname, []string{"id.example.com", "*.shop.example"}
			})
			user := st.NewUser(t)
			id := ident.SessionID(longSession(t, st, user).LongSessionID)
			made, err := st.CreateShortSession(t.Context(), shortSessionReq(st, user, id, c.issuer))
			if !c.taken {
				ceremonytest.WantField(
					t,
					err,
					400,
					"issuer",
					"must be "+map[bool]string{true: ceremonytest.FrontendURL, false: "https://" + c.cname}[c.cname == ""]+
						", or the URL of a host of the project",
				)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			st.Verified(t, made.Value, c.issuer)
			if _, err := st.Me(made.Value); err != nil {
				t.Errorf("it is not taken back: %v", err)
			}
		})
	}
}

// resigned changes a claim of a token, or removes it, and signs it with the project's key, as an earlier version may have done.
func resigned(tb testing.TB, st *ceremonytest.Stack, token, claim string, value any) string {
	tb.Helper()
	_, claims := partsOf(tb, token)
	claims[claim] = value
	if value == nil {
		delete(claims, claim)
	}
	text, err := st.Signing.Sign(tb.Context(), st.Project.ID, claims)
	if err != nil {
		tb.Fatal(err)
	}
	return text
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
