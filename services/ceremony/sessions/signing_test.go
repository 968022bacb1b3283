package sessions_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

// signedLogin logs a user in and returns what was signed of it.
func signedLogin(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) string {
	tb.Helper()
	req := st.LoginFinishReq(user, d, d.Get(tb, st.BeginLogin(tb, user, d).AssertionOptions))
	wanted := true
	req.Body.SignPasskeyData = &wanted
	rsp, err := st.LoginFinish(tb.Context(), req)
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.Body.SignedPasskeyData == nil {
		tb.Fatal("nothing was signed")
	}
	return *rsp.Body.SignedPasskeyData
}

func TestALoginIsSignedOnRequest(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, created := ceremonytest.Known(t, st)
	credential := base64.RawURLEncoding.EncodeToString(st.Account(t, user).Credentials[0].CredentialID)

	plain, err := st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)))
	if err != nil || plain.Body.SignedPasskeyData != nil {
		t.Fatalf("nobody asked: %v, %v", plain.Body.SignedPasskeyData, err)
	}
	if keys, err := st.Signing.List(t.Context(), st.Project.ID); err != nil || len(keys) != 0 {
		t.Errorf("a key was made for nothing: %v, %v", keys, err)
	}

	want := func(isCUI bool) map[string]any {
		return map[string]any{
			"iss": string(
				st.Project.ID,
			),
			"aud":        string(st.Project.ID),
			"sub":        string(user),
			"iat":        float64(ceremonytest.Started.Unix()),
			"nbf":        float64(ceremonytest.Started.Unix() - 10),
			"exp":        float64(ceremonytest.Started.Unix() + 300),
			"processId":  ceremonytest.Process,
			"username":   "ada@example.com",
			"credential": created.ID,
			"webauthnId": credential,
			"isCUI":      isCUI,
		}
	}
	check := func(t *testing.T, token string, isCUI bool) {
		t.Helper()
		claims := st.Verified(t, token, string(st.Project.ID))
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
		if result := st.Verify(t, token, "ada@example.com"); result != ceremonytest.Success {
			t.Errorf("verified: %s", result)
		}
	}
	check(t, signedLogin(t, st, user, d), false)

	wanted := true
	mediated, err := st.MediationFinish(t.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID:         ceremonytest.Process,
			AssertionResponse: d.Get(t, st.BeginMediation(t, d).AssertionOptions),
			ClientInformation: d.Client(),
			SignPasskeyData:   &wanted,
		},
	})
	if err != nil || mediated.Body.SignedPasskeyData == nil {
		t.Fatalf("%+v, %v", mediated, err)
	}
	check(t, *mediated.Body.SignedPasskeyData, true)
	if strings.Contains(st.Log.String(), "PRIVATE") || strings.Contains(st.Log.String(), *mediated.Body.SignedPasskeyData) {
		t.Errorf("the log tells: %s", st.Log)
	}
}

func TestSignedDataIsVerified(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change   func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string
		username string
		want     rest.VerifySignedDataRspVerificationResult
		leaves   rest.VerifySignedDataRspVerificationResult // of the data as it was signed, afterwards
	}{
		"as it is":               {nil, "", ceremonytest.Success, ceremonytest.InvalidChallenge},
		"for its user name":      {nil, "ada@example.com", ceremonytest.Success, ceremonytest.InvalidChallenge},
		"for another user name":  {nil, "eve@example.com", ceremonytest.UserMismatch, ceremonytest.Success},
		"for a name in capitals": {nil, "ADA@example.com", ceremonytest.UserMismatch, ceremonytest.Success},
		"with a changed payload": {tampered, "", ceremonytest.InvalidSignature, ceremonytest.Success},
		"when it is not a token": {
			func(*testing.T, *ceremonytest.Stack, ident.UserID, string) string { return "signed" }, "",
			ceremonytest.InvalidSignature, ceremonytest.Success,
		},
		"of another project":      {foreign, "", ceremonytest.InvalidSignature, ceremonytest.Success},
		"when it is a session":    {ofSession, "", ceremonytest.InvalidSignature, ceremonytest.Success},
		"just before it expires":  {after(5*time.Minute - time.Second), "", ceremonytest.Success, ceremonytest.InvalidChallenge},
		"when it has expired":     {after(5 * time.Minute), "", ceremonytest.InvalidChallenge, ceremonytest.InvalidChallenge},
		"before it was signed":    {after(-11 * time.Second), "", ceremonytest.InvalidChallenge, ceremonytest.InvalidChallenge},
		"by a clock a bit behind": {after(-10 * time.Second), "", ceremonytest.Success, ceremonytest.InvalidChallenge},
		"after the key was rotated": {func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID, token string) string {
			if _, err := st.Signing.Rotate(t.Context(), st.Project.ID, true); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", ceremonytest.Success, ceremonytest.InvalidChallenge},
		"of a user who was disabled": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string {
			ceremonytest.SetStatus(t, st, user, rest.UserStatusDisabled)
			return token
		}, "", ceremonytest.GenericError, ceremonytest.GenericError},
		"of a user who was deleted": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", ceremonytest.GenericError, ceremonytest.GenericError},
		"of a passkey that was deleted": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string {
			id := st.Account(t, user).Credentials[0].ID
			if _, err := st.DeleteCredential(
				t.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: id},
			); err != nil {
				t.Fatal(err)
			}
			return token
		}, "", ceremonytest.GenericError, ceremonytest.GenericError},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			token := signedLogin(t, st, user, d)
			sent := token
			if c.change != nil {
				sent = c.change(t, st, user, token)
			}
			if got := st.Verify(t, sent, c.username); got != c.want {
				t.Errorf("verified: %s, want %s", got, c.want)
			}
			if got := st.Verify(t, token); got != c.leaves {
				t.Errorf("verified afterwards: %s, want %s", got, c.leaves)
			}
		})
	}
}

func after(d time.Duration) func(*testing.T, *ceremonytest.Stack, ident.UserID, string) string {
	return func(_ *testing.T, st *ceremonytest.Stack, _ ident.UserID, token string) string {
		st.Clock.Advance(d)
		return token
	}
}

func tampered(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, token string) string {
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

func foreign(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, _ string) string {
	other := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, other)
	return signedLogin(t, other, user, d)
}

// ofSession is a session that an earlier version has issued in the name of signed data.
func ofSession(t *testing.T, st *ceremonytest.Stack, user ident.UserID, _ string) string {
	id := ident.SessionID(longSession(t, st, user).LongSessionID)
	return resigned(t, st, shortSession(t, st, user, id, ceremonytest.FrontendURL), "iss", string(st.Project.ID))
}

func TestOfManyVerificationsAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	token := signedLogin(t, st, user, d)
	// Two instances on one bucket, and both ways to spend.
	again := ceremonytest.NewOn(t, st.Buckets)
	again.Projects.Set(st.Project)
	again.Project = st.Project
	const callers = 30
	var (
		succeeded atomic.Int32
		wait      sync.WaitGroup
	)
	for i := range callers {
		wait.Go(func() {
			instance := []*ceremonytest.Stack{st, again}[i%2]
			if i%3 == 0 {
				if _, err := instance.PostLogin(
					context.Background(),
					service.ForProject[rest.PostLoginReq]{Project: st.Project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token}},
				); err == nil {
					succeeded.Add(1)
				}
				return
			}
			if instance.Verify(t, token) == ceremonytest.Success {
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
	b := ceremonytest.OpenBuckets(t)
	spent := &faulty.Bucket{KeyValue: b.Spent}
	b.Spent = spent
	st := ceremonytest.NewOn(t, b)
	user, d, _ := ceremonytest.Known(t, st)
	token := signedLogin(t, st, user, d)
	spent.FailCreates(1)
	if _, err := st.VerifySignedData(
		t.Context(),
		service.ForProject[rest.VerifySignedDataReq]{Project: st.Project.ID, Body: rest.VerifySignedDataReq{SignedPasskeyData: token}},
	); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("it was judged: %v", err)
	}
	if result := st.Verify(t, token); result != ceremonytest.Success {
		t.Errorf("verified afterwards: %s", result)
	}
}

func TestKeysOfAnUnknownProjectAreNotMade(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	unknown := ident.NewProjectID()
	if _, err := st.Keys(t.Context(), service.ForProject[service.Empty]{Project: unknown}); err == nil {
		t.Error("there are some")
	}
	if keys, err := st.Signing.List(t.Context(), unknown); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
	if _, err := st.Keys(t.Context(), service.ForProject[service.Empty]{Project: st.Project.ID}); err != nil {
		t.Error(err)
	}
	if all, err := st.Keys(t.Context(), service.ForProject[service.Empty]{}); err == nil {
		t.Errorf("of no project in particular: %s", all)
	}
}

// The cost of a verification that succeeds and spends what it verified, without flushing disks.
func BenchmarkVerifySignedData(b *testing.B) {
	st := ceremonytest.New(b)
	user, d := st.NewUser(b), authenticator.Phone()
	st.Enroll(b, user, d)
	claims := st.Verified(b, signedLogin(b, st, user, d), string(st.Project.ID))
	var tokens []string
	b.ReportAllocs()
	for b.Loop() {
		if len(tokens) == 0 {
			b.StopTimer()
			for range 200 {
				claims["jti"] = ident.Alphanumeric(30)
				token, err := st.Signing.Sign(b.Context(), st.Project.ID, claims)
				if err != nil {
					b.Fatal(err)
				}
				tokens = append(tokens, token)
			}
			b.StartTimer()
		}
		if got := st.Verify(b, tokens[0]); got != ceremonytest.Success {
			b.Fatal(got)
		}
		tokens = tokens[1:]
	}
}
