package ceremony_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

const (
	success          = rest.VerifySignedDataRspVerificationResultSuccess
	invalidSignature = rest.VerifySignedDataRspVerificationResultInvalidSignature
	invalidChallenge = rest.VerifySignedDataRspVerificationResultInvalidChallenge
	userMismatch     = rest.VerifySignedDataRspVerificationResultUserMismatch
	genericError     = rest.VerifySignedDataRspVerificationResultGenericError
)

// signedLogin logs a user in and returns what was signed of it.
func signedLogin(tb testing.TB, st *stack, user ident.UserID, d *device) string {
	tb.Helper()
	req := st.loginFinishReq(user, d, d.get(tb, st.loginStart(tb, user, d).AssertionOptions))
	wanted := true
	req.Body.SignPasskeyData = &wanted
	rsp, err := st.LoginFinish(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.SignedPasskeyData == nil {
		tb.Fatal("nothing was signed")
	}
	return *rsp.SignedPasskeyData
}

func (st *stack) verify(tb testing.TB, token string, username ...string) rest.VerifySignedDataRspVerificationResult {
	tb.Helper()
	req := service.ForProject[rest.VerifySignedDataReq]{Project: st.project.ID, Body: rest.VerifySignedDataReq{SignedPasskeyData: token}}
	if len(username) > 0 {
		req.Body.Username = &username[0]
	}
	rsp, err := st.VerifySignedData(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.VerificationResult
}

func (st *stack) keySet(tb testing.TB) jwk.Set {
	tb.Helper()
	raw, err := st.Keys(tb.Context(), service.ForProject[service.Empty]{Project: st.project.ID})
	if err != nil {
		tb.Fatal(err)
	}
	set, err := jwk.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// verified checks a token as any verifier would, and returns its claims.
func (st *stack) verified(tb testing.TB, token, issuer string) map[string]any {
	tb.Helper()
	_, err := jwt.Parse([]byte(token), jwt.WithKeySet(st.keySet(tb)), jwt.WithIssuer(issuer), jwt.WithClock(jwt.ClockFunc(st.clock.Now)), jwt.WithRequiredClaim("jti"))
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		tb.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		tb.Fatal(err)
	}
	return claims
}

func TestALoginIsSignedOnRequest(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d, created := known(t, st)
	credential := base64.RawURLEncoding.EncodeToString(st.get(t, user).Credentials[0].CredentialID)

	plain, err := st.LoginFinish(t.Context(), st.loginFinishReq(user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions)))
	if err != nil || plain.SignedPasskeyData != nil {
		t.Fatalf("nobody asked: %v, %v", plain.SignedPasskeyData, err)
	}
	if keys, err := st.signing.List(t.Context(), st.project.ID); err != nil || len(keys) != 0 {
		t.Errorf("a key was made for nothing: %v, %v", keys, err)
	}

	want := func(isCUI bool) map[string]any {
		return map[string]any{
			"iss": string(st.project.ID), "sub": string(user), "iat": float64(started.Unix()), "nbf": float64(started.Unix() - 10), "exp": float64(started.Unix() + 300),
			"processId": process, "username": "ada@example.com", "credential": created.ID, "webauthnId": credential, "isCUI": isCUI,
		}
	}
	check := func(t *testing.T, token string, isCUI bool) {
		t.Helper()
		claims := st.verified(t, token, string(st.project.ID))
		if id, _ := claims["jti"].(string); len(id) != 30 {
			t.Errorf("jti %v", claims["jti"])
		}
		if _, err := ident.ParseChallengeID(claims["challengeId"].(string)); err != nil {
			t.Errorf("challengeId: %v", err)
		}
		delete(claims, "jti")
		delete(claims, "challengeId")
		if diff := cmp.Diff(want(isCUI), claims); diff != "" {
			t.Error(diff)
		}
		if result := st.verify(t, token, "ada@example.com"); result != success {
			t.Errorf("verified: %s", result)
		}
	}
	check(t, signedLogin(t, st, user, d), false)

	wanted := true
	mediated, err := st.MediationFinish(t.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{Project: st.project.ID, Body: rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: d.get(t, st.mediationStart(t, d).AssertionOptions), ClientInformation: d.client(), SignPasskeyData: &wanted,
	}})
	if err != nil || mediated.SignedPasskeyData == nil {
		t.Fatalf("%+v, %v", mediated, err)
	}
	check(t, *mediated.SignedPasskeyData, true)
	if strings.Contains(st.log.String(), "PRIVATE") || strings.Contains(st.log.String(), *mediated.SignedPasskeyData) {
		t.Errorf("the log tells: %s", st.log)
	}
}

func TestSignedDataIsVerified(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change   func(t *testing.T, st *stack, user ident.UserID, token string) string
		username string
		want     rest.VerifySignedDataRspVerificationResult
		leaves   rest.VerifySignedDataRspVerificationResult // of the data as it was signed, afterwards
	}{
		"as it is":                {nil, "", success, invalidChallenge},
		"for its user name":       {nil, "ada@example.com", success, invalidChallenge},
		"for another user name":   {nil, "eve@example.com", userMismatch, success},
		"for a name in capitals":  {nil, "ADA@example.com", userMismatch, success},
		"with a changed payload":  {tampered, "", invalidSignature, success},
		"when it is not a token":  {func(*testing.T, *stack, ident.UserID, string) string { return "signed" }, "", invalidSignature, success},
		"of another project":      {foreign, "", invalidSignature, success},
		"when it is a session":    {ofSession, "", invalidSignature, success},
		"just before it expires":  {after(5*time.Minute - time.Second), "", success, invalidChallenge},
		"when it has expired":     {after(5 * time.Minute), "", invalidChallenge, invalidChallenge},
		"before it was signed":    {after(-11 * time.Second), "", invalidChallenge, invalidChallenge},
		"by a clock a bit behind": {after(-10 * time.Second), "", success, invalidChallenge},
		"after the key was rotated": {func(t *testing.T, st *stack, _ ident.UserID, token string) string {
			if _, err := st.signing.Rotate(t.Context(), st.project.ID, true); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", success, invalidChallenge},
		"of a user who was disabled": {func(t *testing.T, st *stack, user ident.UserID, token string) string {
			setStatus(t, st, user, rest.UserStatusDisabled)
			return token
		}, "", genericError, genericError},
		"of a user who was deleted": {func(t *testing.T, st *stack, user ident.UserID, token string) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", genericError, genericError},
		"of a passkey that was deleted": {func(t *testing.T, st *stack, user ident.UserID, token string) string {
			id := st.get(t, user).Credentials[0].ID
			if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: id}); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", genericError, genericError},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d, _ := known(t, st)
			token := signedLogin(t, st, user, d)
			sent := token
			if c.change != nil {
				sent = c.change(t, st, user, token)
			}
			if got := st.verify(t, sent, c.username); got != c.want {
				t.Errorf("verified: %s, want %s", got, c.want)
			}
			if got := st.verify(t, token); got != c.leaves {
				t.Errorf("verified afterwards: %s, want %s", got, c.leaves)
			}
		})
	}
}

func after(d time.Duration) func(*testing.T, *stack, ident.UserID, string) string {
	return func(_ *testing.T, st *stack, _ ident.UserID, token string) string {
		st.clock.advance(d)
		return token
	}
}

func tampered(t *testing.T, _ *stack, _ ident.UserID, token string) string {
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(payload), "ada@", "eve@", 1)
	if changed == string(payload) {
		t.Fatal("nothing was changed")
	}
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + parts[2]
}

func foreign(t *testing.T, _ *stack, _ ident.UserID, _ string) string {
	other := newStack(t)
	user, d, _ := known(t, other)
	return signedLogin(t, other, user, d)
}

// ofSession is a session that was issued, as far as a caller can, in the name of signed data.
func ofSession(t *testing.T, st *stack, user ident.UserID, _ string) string {
	return st.shortSession(t, user, ident.SessionID(st.longSession(t, user).LongSessionID), string(st.project.ID))
}

func setStatus(t *testing.T, st *stack, user ident.UserID, status rest.UserStatus) {
	t.Helper()
	if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: user, Body: rest.UserUpdateReq{Status: &status}}); err != nil {
		t.Fatal(err)
	}
}

func TestOfManyVerificationsAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d, _ := known(t, st)
	token := signedLogin(t, st, user, d)
	// Two instances on one bucket, and both ways to spend.
	again := newStackOn(t, st.buckets)
	again.projects.set(st.project)
	again.project = st.project
	const callers = 30
	var (
		succeeded atomic.Int32
		wait      sync.WaitGroup
	)
	for i := range callers {
		wait.Go(func() {
			instance := []*stack{st, again}[i%2]
			if i%3 == 0 {
				if _, err := instance.PostLogin(context.Background(), service.ForProject[rest.PostLoginReq]{Project: st.project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token}}); err == nil {
					succeeded.Add(1)
				}
				return
			}
			if instance.verify(t, token) == success {
				succeeded.Add(1)
			}
		})
	}
	wait.Wait()
	if succeeded.Load() != 1 {
		t.Errorf("%d of %d succeeded", succeeded.Load(), callers)
	}
}

func TestSignedDataIsNotJudgedWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	spent := &faulty{KeyValue: b.spent}
	b.spent = spent
	st := newStackOn(t, b)
	user, d, _ := known(t, st)
	token := signedLogin(t, st, user, d)
	spent.failCreates(1)
	if _, err := st.VerifySignedData(t.Context(), service.ForProject[rest.VerifySignedDataReq]{Project: st.project.ID, Body: rest.VerifySignedDataReq{SignedPasskeyData: token}}); err == nil {
		t.Error("it was judged")
	}
	if result := st.verify(t, token); result != success {
		t.Errorf("verified afterwards: %s", result)
	}
}

func TestKeysOfAnUnknownProjectAreNotMade(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	unknown := ident.NewProjectID()
	if _, err := st.Keys(t.Context(), service.ForProject[service.Empty]{Project: unknown}); err == nil {
		t.Error("there are some")
	}
	if keys, err := st.signing.List(t.Context(), unknown); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
	raw, err := st.Keys(t.Context(), service.ForProject[service.Empty]{Project: st.project.ID})
	if err != nil {
		t.Fatal(err)
	}
	all, err := st.Keys(t.Context(), service.ForProject[service.Empty]{})
	if err != nil || !strings.Contains(string(all), strings.TrimSuffix(strings.TrimPrefix(string(raw), `{"keys":[`), "]}")) {
		t.Errorf("all keys lack the project's: %s, %v", all, err)
	}
}

// The cost of a verification that succeeds and spends what it verified, without flushing disks.
func BenchmarkVerifySignedData(b *testing.B) {
	st := newStack(b)
	user, d := st.user(b), phone()
	st.enroll(b, user, d)
	claims := st.verified(b, signedLogin(b, st, user, d), string(st.project.ID))
	var tokens []string
	b.ReportAllocs()
	for b.Loop() {
		if len(tokens) == 0 {
			b.StopTimer()
			for range 200 {
				claims["jti"] = ident.Alphanumeric(30)
				token, err := st.signing.Sign(b.Context(), st.project.ID, claims)
				if err != nil {
					b.Fatal(err)
				}
				tokens = append(tokens, token)
			}
			b.StartTimer()
		}
		if got := st.verify(b, tokens[0]); got != success {
			b.Fatal(got)
		}
		tokens = tokens[1:]
	}
}
