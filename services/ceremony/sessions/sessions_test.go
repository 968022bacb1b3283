package sessions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func longSession(tb testing.TB, st *ceremonytest.Stack, user ident.UserID) rest.LongSession {
	tb.Helper()
	rsp, err := st.CreateLongSession(tb.Context(), longSessionReq(st, user))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp
}

func longSessionReq(st *ceremonytest.Stack, user ident.UserID) service.ForUser[rest.LongSessionCreateReq] {
	return service.ForUser[rest.LongSessionCreateReq]{Project: st.Project.ID, User: user, Body: rest.LongSessionCreateReq{
		AppType: rest.AppTypeWeb, IdentifierValue: "ada@example.com",
	}}
}

func shortSessionReq(st *ceremonytest.Stack, user ident.UserID, id ident.SessionID, issuer string) service.ForUser[service.ShortSession] {
	return service.ForUser[service.ShortSession]{Project: st.Project.ID, User: user, Body: service.ShortSession{
		ID: id, Request: rest.ShortSessionCreateReq{AppType: rest.AppTypeWeb, Issuer: issuer},
	}}
}

func shortSession(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, id ident.SessionID, issuer string) string {
	tb.Helper()
	rsp, err := st.CreateShortSession(tb.Context(), shortSessionReq(st, user, id, issuer))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Value
}

func patchSession(st *ceremonytest.Stack, user ident.UserID, id ident.SessionID, status rest.SessionStatus) (rest.LongSession, error) {
	return st.UpdateLongSession(context.Background(), service.ForUser[patch.Session]{
		Project: st.Project.ID, User: user, Body: patch.Session{ID: id, Status: status},
	})
}

// fill gives a user a name and identifiers, as they are stored.
func fill(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, identifiers ...account.Identifier) {
	tb.Helper()
	name := "Ada Lovelace"
	if _, err := st.Accounts.Update(tb.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.FullName, a.Identifiers = &name, identifiers
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

func identifier(kind account.IdentifierType, value string, status account.IdentifierStatus) account.Identifier {
	return account.Identifier{ID: ident.NewIdentifierID(), Type: kind, Value: value, Status: status}
}

func TestPostLoginTurnsSignedDataIntoASession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cname, issuer string }{
		"in the name of the configuration":      {"", ceremonytest.FrontendURL},
		"in the name of the project's own host": {"login.example.com", "https://login.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			p := st.Project
			p.CNAME = c.cname
			st.Projects.Set(p)
			user, d, _ := ceremonytest.Known(t, st)
			fill(t, st, user,
				identifier(account.IdentifierTypeEmail, "pending@example.com", account.IdentifierStatusPending),
				identifier(account.IdentifierTypeEmail, "verified@example.com", account.IdentifierStatusVerified),
				identifier(account.IdentifierTypeEmail, "primary@example.com", account.IdentifierStatusPrimary),
				identifier(account.IdentifierTypePhone, "+4915112345678", account.IdentifierStatusPending),
			)
			token := signedLogin(t, st, user, d)
			req := service.ForProject[rest.PostLoginReq]{Project: st.Project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token}}
			rsp, err := st.PostLogin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			claims := st.Verified(t, rsp.Session, c.issuer)
			id, _ := claims["sid"].(string)
			want := map[string]any{
				"iss":     c.issuer,
				"aud":     string(st.Project.ID),
				"sub":     string(user),
				"iat":     float64(ceremonytest.Started.Unix()),
				"nbf":     float64(ceremonytest.Started.Unix() - 10),
				"exp":     float64(ceremonytest.Started.Unix() + 900),
				"name":    "Ada Lovelace",
				"orig":    "ada@example.com",
				"email":   "primary@example.com",
				"version": float64(1),
				"sid":     id,
				"jti":     claims["jti"],
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Error(diff)
			}
			wantSession := rest.LongSession{
				LongSessionID: id, UserID: string(user), IdentifierValue: "ada@example.com", Status: rest.SessionStatusActive,
				Expires: "2026-12-22T12:00:00",
			}
			if diff := cmp.Diff(wantSession, st.Session(t, ident.SessionID(id))); diff != "" {
				t.Error(diff)
			}
			_, err = st.PostLogin(t.Context(), req)
			ceremonytest.WantField(t, err, 400, "signedPasskeyData", "has been used already")
			if result := st.Verify(t, token); result != ceremonytest.InvalidChallenge {
				t.Errorf("verified as well: %s", result)
			}
		})
	}
}

func TestPostLoginIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change  func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string
		message string
	}{
		"without data":               {func(*testing.T, *ceremonytest.Stack, ident.UserID, string) string { return "" }, "cannot be blank"},
		"with changed data":          {tampered, "is not signed by this project, or was changed"},
		"with another project's":     {foreign, "is not signed by this project, or was changed"},
		"with a session":             {ofSession, "is not signed by this project, or was changed"},
		"with data that has expired": {after(5 * time.Minute), "has expired"},
		"with data from the future":  {after(-time.Minute), "is not valid yet"},
		"of a user who was disabled": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string {
			ceremonytest.SetStatus(t, st, user, rest.UserStatusDisabled)
			return token
		}, "belongs to a user who is disabled"},
		"of a user who was deleted": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, token string) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
				t.Fatal(err)
			}
			return token
		}, "belongs to a user who does not exist any more"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			token := c.change(t, st, user, signedLogin(t, st, user, d))
			_, err := st.PostLogin(t.Context(), service.ForProject[rest.PostLoginReq]{
				Project: st.Project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token},
			})
			ceremonytest.WantField(t, err, 400, "signedPasskeyData", c.message)
		})
	}
}

func TestALongSessionIsCreatedForAUserWhoIsThere(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, gone, disabled := st.NewUser(t), ident.NewUserID(), st.NewUser(t)
	ceremonytest.SetStatus(t, st, disabled, rest.UserStatusDisabled)
	cases := map[string]struct {
		change         func(*service.ForUser[rest.LongSessionCreateReq])
		field, message string
	}{
		"of an unknown user": {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = gone }, "userID", "does not exist"},
		"of another project's user": {
			func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = ceremonytest.New(t).NewUser(t) }, "userID",
			"does not exist",
		},
		"of a disabled user": {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = disabled }, "userID", "is disabled"},
		"without an identifier": {
			func(r *service.ForUser[rest.LongSessionCreateReq]) { r.Body.IdentifierValue = " " }, "identifierValue",
			"cannot be blank",
		},
		"of an unknown app": {
			func(r *service.ForUser[rest.LongSessionCreateReq]) { r.Body.AppType = "tv" }, "appType", "must be a valid value",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := longSessionReq(st, user)
			c.change(&req)
			_, err := st.CreateLongSession(t.Context(), req)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
	made := longSession(t, st, user)
	want := rest.LongSession{
		LongSessionID: made.LongSessionID, UserID: string(user), IdentifierValue: "ada@example.com",
		Status: rest.SessionStatusActive, Expires: "2026-12-22T12:00:00",
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	// What is stored is found after a restart.
	if diff := cmp.Diff(want, newSessionsOf(t, st).Session(t, ident.SessionID(made.LongSessionID))); diff != "" {
		t.Error(diff)
	}
}

// newSessionsOf is another instance for the same project.
func newSessionsOf(t *testing.T, st *ceremonytest.Stack) *ceremonytest.Stack {
	t.Helper()
	again := ceremonytest.NewOn(t, st.Buckets)
	again.Projects.Set(st.Project)
	again.Project = st.Project
	return again
}

func TestARepeatedCreationFindsTheSession(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	first, err := st.CreateLongSession(ctx, longSessionReq(st, user))
	if err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(time.Second)
	again, err := st.CreateLongSession(ctx, longSessionReq(st, user))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	_, err = st.CreateLongSession(ctx, longSessionReq(st, st.NewUser(t)))
	ceremonytest.WantField(t, err, 409, "sessionID", "is another user's")
}

func TestASessionIsKnownToItsUserAndProjectOnly(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, other := st.NewUser(t), st.NewUser(t)
	id := ident.SessionID(longSession(t, st, user).LongSessionID)
	unknown := map[string]func() error{
		"another user's": func() error {
			_, err := st.GetUserLongSession(t.Context(), service.ForUser[ident.SessionID]{Project: st.Project.ID, User: other, Body: id})
			return err
		},
		"another project's": func() error {
			elsewhere := ceremonytest.New(t)
			_, err := elsewhere.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: elsewhere.Project.ID, Body: id})
			return err
		},
		"one of no form": func() error {
			_, err := st.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: "*"})
			return err
		},
		"one that never was": func() error {
			_, err := st.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: ident.NewSeed().SessionID()})
			return err
		},
		"another user's, to change": func() error {
			_, err := patchSession(st, other, id, rest.SessionStatusRevoked)
			return err
		},
		"another user's, for a token": func() error {
			_, err := st.CreateShortSession(t.Context(), shortSessionReq(st, other, id, ceremonytest.FrontendURL))
			return err
		},
	}
	for name, call := range unknown {
		t.Run(name, func(t *testing.T) { ceremonytest.WantField(t, call(), 400, "longSessionID", "does not exist") })
	}
	_, err := st.RevokeSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: ident.NewSeed().SessionID()})
	ceremonytest.WantField(t, err, 400, "sessionID", "does not exist")
	if got, err := st.GetUserLongSession(
		t.Context(), service.ForUser[ident.SessionID]{Project: st.Project.ID, User: user, Body: id},
	); err != nil ||
		got.Status != rest.SessionStatusActive {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHowASessionEnds(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	revoke := func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID, id ident.SessionID) {
		if _, err := st.RevokeSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.Project.ID, Body: id}); err != nil {
			t.Fatal(err)
		}
	}
	patch := func(status rest.SessionStatus) func(*testing.T, *ceremonytest.Stack, ident.UserID, ident.SessionID) {
		return func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, id ident.SessionID) {
			for range 2 { // repeating is fine
				if got, err := patchSession(st, user, id, status); err != nil || got.Status != status {
					t.Fatalf("%+v, %v", got, err)
				}
			}
		}
	}
	wait := func(d time.Duration) func(*testing.T, *ceremonytest.Stack, ident.UserID, ident.SessionID) {
		return func(_ *testing.T, st *ceremonytest.Stack, _ ident.UserID, _ ident.SessionID) { st.Clock.Advance(d) }
	}
	use := func(times int) func(*testing.T, *ceremonytest.Stack, ident.UserID, ident.SessionID) {
		return func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, id ident.SessionID) {
			for range times {
				st.Clock.Advance(7*day - time.Second)
				shortSession(t, st, user, id, ceremonytest.FrontendURL)
			}
		}
	}
	cases := map[string]struct {
		do   func(*testing.T, *ceremonytest.Stack, ident.UserID, ident.SessionID)
		want rest.SessionStatus
	}{
		"it is revoked":                           {revoke, rest.SessionStatusRevoked},
		"its user logs out":                       {patch(rest.SessionStatusLoggedOut), rest.SessionStatusLoggedOut},
		"it is set to revoked":                    {patch(rest.SessionStatusRevoked), rest.SessionStatusRevoked},
		"it is set to expired":                    {patch(rest.SessionStatusExpired), rest.SessionStatusExpired},
		"it is set to inactive":                   {patch(rest.SessionStatusInactivityReached), rest.SessionStatusInactivityReached},
		"it is not used for a week":               {wait(7 * day), rest.SessionStatusInactivityReached},
		"it stays inactive when its time is over": {wait(31 * day), rest.SessionStatusInactivityReached},
		"it is used, and its time is over": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, id ident.SessionID) {
			use(4)(t, st, user, id)
			st.Clock.Advance(2*day + 4*time.Second)
		}, rest.SessionStatusExpired},
		"not at all while it is used":     {use(4), rest.SessionStatusActive},
		"not at all while it is new":      {wait(7*day - time.Second), rest.SessionStatusActive},
		"not at all by being kept active": {patch(rest.SessionStatusActive), rest.SessionStatusActive},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NewUser(t)
			id := ident.SessionID(longSession(t, st, user).LongSessionID)
			c.do(t, st, user, id)
			if got := st.Session(t, id).Status; got != c.want {
				t.Fatalf("it is %s, want %s", got, c.want)
			}
			if c.want == rest.SessionStatusActive {
				return
			}
			_, err := st.CreateShortSession(t.Context(), shortSessionReq(st, user, id, ceremonytest.FrontendURL))
			ceremonytest.WantField(t, err, 400, "longSessionID", "is not active but "+string(c.want))
			for _, to := range []rest.SessionStatus{rest.SessionStatusActive, rest.SessionStatusRevoked, rest.SessionStatusLoggedOut} {
				if to == c.want {
					continue
				}
				_, err := patchSession(st, user, id, to)
				ceremonytest.WantField(t, err, 400, "status", "cannot change from "+string(c.want)+" to "+string(to))
			}
			revoke(t, st, user, id)
			if got := st.Session(t, id).Status; got != c.want {
				t.Errorf("after revoking it is %s, want %s", got, c.want)
			}
		})
	}
}

func TestAShortSessionIsIssuedByWhomTheCallerNames(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	fill(t, st, user, identifier(account.IdentifierTypePhone, "+4915112345678", account.IdentifierStatusVerified))
	id := ident.SessionID(longSession(t, st, user).LongSessionID)
	st.ChangeProject(func(p *project.Project) { p.Frontend.Hosts = []string{"api.example.com"} })
	claims := st.Verified(t, shortSession(t, st, user, id, "https://api.example.com"), "https://api.example.com")
	want := map[string]any{
		"iss":          "https://api.example.com",
		"aud":          string(st.Project.ID),
		"sub":          string(user),
		"iat":          float64(ceremonytest.Started.Unix()),
		"nbf":          float64(ceremonytest.Started.Unix() - 10),
		"exp":          float64(ceremonytest.Started.Unix() + 900),
		"name":         "Ada Lovelace",
		"orig":         "ada@example.com",
		"phone_number": "+4915112345678",
		"version":      float64(1),
		"sid":          string(id),
		"jti":          claims["jti"],
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	// No token outlives its session.
	st.Clock.Advance(6 * 24 * time.Hour)
	for range 3 {
		shortSession(t, st, user, id, ceremonytest.FrontendURL)
		st.Clock.Advance(6 * 24 * time.Hour)
	}
	shortSession(t, st, user, id, ceremonytest.FrontendURL)
	st.Clock.Advance(6*24*time.Hour - time.Minute)
	last := st.Verified(t, shortSession(t, st, user, id, ceremonytest.FrontendURL), ceremonytest.FrontendURL)
	if last["exp"] != float64(ceremonytest.Started.Add(30*24*time.Hour).Unix()) {
		t.Errorf("it expires at %v", last["exp"])
	}
	_, err := st.CreateShortSession(t.Context(), shortSessionReq(st, user, id, " "))
	ceremonytest.WantField(t, err, 400, "issuer", "cannot be blank")
	req := shortSessionReq(st, user, id, ceremonytest.FrontendURL)
	req.Body.Request.AppType = ""
	_, err = st.CreateShortSession(t.Context(), req)
	ceremonytest.WantField(t, err, 400, "appType", "must be a valid value")
}

func TestSessionsOfAUserWhoIsGoneGiveNoTokens(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	id := ident.SessionID(longSession(t, st, user).LongSessionID)
	ceremonytest.SetStatus(t, st, user, rest.UserStatusDisabled)
	_, err := st.CreateShortSession(t.Context(), shortSessionReq(st, user, id, ceremonytest.FrontendURL))
	ceremonytest.WantField(t, err, 400, "userID", "is disabled")
	ceremonytest.SetStatus(t, st, user, rest.UserStatusActive)
	shortSession(t, st, user, id, ceremonytest.FrontendURL)
	if err := st.Accounts.Delete(t.Context(), st.Project.ID, user); err != nil {
		t.Fatal(err)
	}
	_, err = st.CreateShortSession(t.Context(), shortSessionReq(st, user, id, ceremonytest.FrontendURL))
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
}

func BenchmarkCreateShortSession(b *testing.B) {
	st := ceremonytest.New(b)
	user := st.NewUser(b)
	id := ident.SessionID(longSession(b, st, user).LongSessionID)
	b.ReportAllocs()
	for b.Loop() {
		shortSession(b, st, user, id, ceremonytest.FrontendURL)
	}
}

func TestSessionsGoWithTheirUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, other := st.NewUser(t), st.NewUser(t)
	for range 3 {
		longSession(t, st, user)
	}
	kept := ident.SessionID(longSession(t, st, other).LongSessionID)
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	for name, bucket := range map[string]jetstream.KeyValue{"sessions": st.Buckets.Sessions, "the index": st.Buckets.SessionIDs} {
		all, err := faulty.Keys{KeyValue: bucket}.ListKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, key := range all {
			if strings.HasPrefix(key, string(st.Project.ID)+".") {
				left = append(left, key)
			}
		}
		if len(left) != 1 || !strings.HasSuffix(left[0], "."+string(kept)) {
			t.Errorf("%s: %v", name, left)
		}
	}
	if got := st.Session(t, kept).Status; got != rest.SessionStatusActive {
		t.Errorf("the other user's session is %s", got)
	}
}

// lateBucket lets something happen right before a write.
type lateBucket struct {
	jetstream.KeyValue
	before func()
}

func (l *lateBucket) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	if l.before != nil {
		l.before()
	}
	return l.KeyValue.Create(ctx, key, value, opts...)
}

func TestASessionCreatedWhileItsUserIsDeletedIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	late := &lateBucket{KeyValue: b.Sessions}
	b.Sessions = late
	st := ceremonytest.NewOn(t, b)
	user := st.NewUser(t)
	late.before = func() {
		late.before = nil
		if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
			t.Error(err)
		}
	}
	_, err := st.CreateLongSession(t.Context(), longSessionReq(st, user))
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != "userID" {
		t.Errorf("answer: %v", err)
	}
	for _, bucket := range []jetstream.KeyValue{b.Sessions, b.SessionIDs} {
		all, err := faulty.Keys{KeyValue: bucket}.ListKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if strings.HasPrefix(key, string(st.Project.ID)+".") {
				t.Errorf("%s is left", key)
			}
		}
	}
}
