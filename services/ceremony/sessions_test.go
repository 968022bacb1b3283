package ceremony_test

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
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

const frontendURL = "http://localhost:8080" // the default of frontend_url

func (st *stack) longSession(tb testing.TB, user ident.UserID) rest.LongSession {
	tb.Helper()
	rsp, err := st.CreateLongSession(tb.Context(), st.longSessionReq(user))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp
}

func (st *stack) longSessionReq(user ident.UserID) service.ForUser[rest.LongSessionCreateReq] {
	return service.ForUser[rest.LongSessionCreateReq]{Project: st.project.ID, User: user, Body: rest.LongSessionCreateReq{
		AppType: rest.AppTypeWeb, IdentifierValue: "ada@example.com",
	}}
}

func (st *stack) shortSessionReq(user ident.UserID, id ident.SessionID, issuer string) service.ForUser[service.ShortSession] {
	return service.ForUser[service.ShortSession]{Project: st.project.ID, User: user, Body: service.ShortSession{
		ID: id, Request: rest.ShortSessionCreateReq{AppType: rest.AppTypeWeb, Issuer: issuer},
	}}
}

func (st *stack) shortSession(tb testing.TB, user ident.UserID, id ident.SessionID, issuer string) string {
	tb.Helper()
	rsp, err := st.CreateShortSession(tb.Context(), st.shortSessionReq(user, id, issuer))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Value
}

func (st *stack) session(tb testing.TB, id ident.SessionID) rest.LongSession {
	tb.Helper()
	rsp, err := st.GetLongSession(tb.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: id})
	if err != nil {
		tb.Fatal(err)
	}
	return rsp
}

func (st *stack) patchSession(user ident.UserID, id ident.SessionID, status rest.SessionStatus) (rest.LongSession, error) {
	return st.UpdateLongSession(context.Background(), service.ForUser[service.SessionPatch]{
		Project: st.project.ID, User: user, Body: service.SessionPatch{ID: id, Status: status},
	})
}

// fill gives a user a name and identifiers, as they are stored.
func (st *stack) fill(tb testing.TB, user ident.UserID, identifiers ...account.Identifier) {
	tb.Helper()
	name := "Ada Lovelace"
	if _, err := st.accounts.Update(tb.Context(), st.project.ID, user, func(a *account.Account) error {
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
		"in the name of the configuration":      {"", frontendURL},
		"in the name of the project's own host": {"login.example.com", "https://login.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			p := st.project
			p.CNAME = c.cname
			st.projects.set(p)
			user, d, _ := known(t, st)
			st.fill(t, user,
				identifier(account.IdentifierTypeEmail, "pending@example.com", account.IdentifierStatusPending),
				identifier(account.IdentifierTypeEmail, "verified@example.com", account.IdentifierStatusVerified),
				identifier(account.IdentifierTypeEmail, "primary@example.com", account.IdentifierStatusPrimary),
				identifier(account.IdentifierTypePhone, "+4915112345678", account.IdentifierStatusPending),
			)
			token := signedLogin(t, st, user, d)
			req := service.ForProject[rest.PostLoginReq]{Project: st.project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token}}
			rsp, err := st.PostLogin(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			claims := st.verified(t, rsp.Session, c.issuer)
			id, _ := claims["sid"].(string)
			want := map[string]any{
				"iss": c.issuer, "sub": string(user), "iat": float64(started.Unix()), "nbf": float64(started.Unix() - 10), "exp": float64(started.Unix() + 900),
				"name": "Ada Lovelace", "orig": "ada@example.com", "email": "primary@example.com", "version": float64(1), "sid": id, "jti": claims["jti"],
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Error(diff)
			}
			wantSession := rest.LongSession{LongSessionID: id, UserID: string(user), IdentifierValue: "ada@example.com", Status: rest.SessionStatusActive, Expires: "2026-12-22T12:00:00"}
			if diff := cmp.Diff(wantSession, st.session(t, ident.SessionID(id))); diff != "" {
				t.Error(diff)
			}
			_, err = st.PostLogin(t.Context(), req)
			wantField(t, err, 400, "signedPasskeyData", "has been used already")
			if result := st.verify(t, token); result != invalidChallenge {
				t.Errorf("verified as well: %s", result)
			}
		})
	}
}

func TestPostLoginIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change  func(t *testing.T, st *stack, user ident.UserID, token string) string
		message string
	}{
		"without data":               {func(*testing.T, *stack, ident.UserID, string) string { return "" }, "cannot be blank"},
		"with changed data":          {tampered, "is not signed by this project, or was changed"},
		"with another project's":     {foreign, "is not signed by this project, or was changed"},
		"with a session":             {ofSession, "is not signed by this project, or was changed"},
		"with data that has expired": {after(5 * time.Minute), "has expired"},
		"with data from the future":  {after(-time.Minute), "is not valid yet"},
		"of a user who was disabled": {func(t *testing.T, st *stack, user ident.UserID, token string) string {
			setStatus(t, st, user, rest.UserStatusDisabled)
			return token
		}, "belongs to a user who is disabled"},
		"of a user who was deleted": {func(t *testing.T, st *stack, user ident.UserID, token string) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
				t.Fatal(err)
			}
			return token
		}, "belongs to a user who does not exist any more"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d, _ := known(t, st)
			token := c.change(t, st, user, signedLogin(t, st, user, d))
			_, err := st.PostLogin(t.Context(), service.ForProject[rest.PostLoginReq]{Project: st.project.ID, Body: rest.PostLoginReq{SignedPasskeyData: token}})
			wantField(t, err, 400, "signedPasskeyData", c.message)
		})
	}
}

func TestALongSessionIsCreatedForAUserWhoIsThere(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, gone, disabled := st.user(t), ident.NewUserID(), st.user(t)
	setStatus(t, st, disabled, rest.UserStatusDisabled)
	cases := map[string]struct {
		change         func(*service.ForUser[rest.LongSessionCreateReq])
		field, message string
	}{
		"of an unknown user":        {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = gone }, "userID", "does not exist"},
		"of another project's user": {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = newStack(t).user(t) }, "userID", "does not exist"},
		"of a disabled user":        {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.User = disabled }, "userID", "is disabled"},
		"without an identifier":     {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.Body.IdentifierValue = " " }, "identifierValue", "cannot be blank"},
		"of an unknown app":         {func(r *service.ForUser[rest.LongSessionCreateReq]) { r.Body.AppType = "tv" }, "appType", "must be one of empty, web, native"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := st.longSessionReq(user)
			c.change(&req)
			_, err := st.CreateLongSession(t.Context(), req)
			wantField(t, err, 400, c.field, c.message)
		})
	}
	made := st.longSession(t, user)
	want := rest.LongSession{LongSessionID: made.LongSessionID, UserID: string(user), IdentifierValue: "ada@example.com", Status: rest.SessionStatusActive, Expires: "2026-12-22T12:00:00"}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	// What is stored is found after a restart.
	if diff := cmp.Diff(want, newSessionsOf(t, st).session(t, ident.SessionID(made.LongSessionID))); diff != "" {
		t.Error(diff)
	}
}

// newSessionsOf is another instance for the same project.
func newSessionsOf(t *testing.T, st *stack) *stack {
	t.Helper()
	again := newStackOn(t, st.buckets)
	again.projects.set(st.project)
	again.project = st.project
	return again
}

func TestARepeatedCreationFindsTheSession(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	first, err := st.CreateLongSession(ctx, st.longSessionReq(user))
	if err != nil {
		t.Fatal(err)
	}
	st.clock.advance(time.Second)
	again, err := st.CreateLongSession(ctx, st.longSessionReq(user))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error(diff)
	}
	_, err = st.CreateLongSession(ctx, st.longSessionReq(st.user(t)))
	wantField(t, err, 409, "sessionID", "is another user's")
}

func TestASessionIsKnownToItsUserAndProjectOnly(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, other := st.user(t), st.user(t)
	id := ident.SessionID(st.longSession(t, user).LongSessionID)
	unknown := map[string]func() error{
		"another user's": func() error {
			_, err := st.GetUserLongSession(t.Context(), service.ForUser[ident.SessionID]{Project: st.project.ID, User: other, Body: id})
			return err
		},
		"another project's": func() error {
			elsewhere := newStack(t)
			_, err := elsewhere.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: elsewhere.project.ID, Body: id})
			return err
		},
		"one of no form": func() error {
			_, err := st.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: "*"})
			return err
		},
		"one that never was": func() error {
			_, err := st.GetLongSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: ident.NewSessionID()})
			return err
		},
		"another user's, to change": func() error {
			_, err := st.patchSession(other, id, rest.SessionStatusRevoked)
			return err
		},
		"another user's, for a token": func() error {
			_, err := st.CreateShortSession(t.Context(), st.shortSessionReq(other, id, frontendURL))
			return err
		},
	}
	for name, call := range unknown {
		t.Run(name, func(t *testing.T) { wantField(t, call(), 400, "longSessionID", "does not exist") })
	}
	_, err := st.RevokeSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: ident.NewSessionID()})
	wantField(t, err, 400, "sessionID", "does not exist")
	if got, err := st.GetUserLongSession(t.Context(), service.ForUser[ident.SessionID]{Project: st.project.ID, User: user, Body: id}); err != nil || got.Status != rest.SessionStatusActive {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestHowASessionEnds(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	revoke := func(t *testing.T, st *stack, _ ident.UserID, id ident.SessionID) {
		if _, err := st.RevokeSession(t.Context(), service.ForProject[ident.SessionID]{Project: st.project.ID, Body: id}); err != nil {
			t.Fatal(err)
		}
	}
	patch := func(status rest.SessionStatus) func(*testing.T, *stack, ident.UserID, ident.SessionID) {
		return func(t *testing.T, st *stack, user ident.UserID, id ident.SessionID) {
			for range 2 { // repeating is fine
				if got, err := st.patchSession(user, id, status); err != nil || got.Status != status {
					t.Fatalf("%+v, %v", got, err)
				}
			}
		}
	}
	wait := func(d time.Duration) func(*testing.T, *stack, ident.UserID, ident.SessionID) {
		return func(_ *testing.T, st *stack, _ ident.UserID, _ ident.SessionID) { st.clock.advance(d) }
	}
	use := func(times int) func(*testing.T, *stack, ident.UserID, ident.SessionID) {
		return func(t *testing.T, st *stack, user ident.UserID, id ident.SessionID) {
			for range times {
				st.clock.advance(7*day - time.Second)
				st.shortSession(t, user, id, frontendURL)
			}
		}
	}
	cases := map[string]struct {
		do   func(*testing.T, *stack, ident.UserID, ident.SessionID)
		want rest.SessionStatus
	}{
		"it is revoked":                           {revoke, rest.SessionStatusRevoked},
		"its user logs out":                       {patch(rest.SessionStatusLoggedOut), rest.SessionStatusLoggedOut},
		"it is set to revoked":                    {patch(rest.SessionStatusRevoked), rest.SessionStatusRevoked},
		"it is set to expired":                    {patch(rest.SessionStatusExpired), rest.SessionStatusExpired},
		"it is set to inactive":                   {patch(rest.SessionStatusInactivityReached), rest.SessionStatusInactivityReached},
		"it is not used for a week":               {wait(7 * day), rest.SessionStatusInactivityReached},
		"it stays inactive when its time is over": {wait(31 * day), rest.SessionStatusInactivityReached},
		"it is used, and its time is over": {func(t *testing.T, st *stack, user ident.UserID, id ident.SessionID) {
			use(4)(t, st, user, id)
			st.clock.advance(2*day + 4*time.Second)
		}, rest.SessionStatusExpired},
		"not at all while it is used":     {use(4), rest.SessionStatusActive},
		"not at all while it is new":      {wait(7*day - time.Second), rest.SessionStatusActive},
		"not at all by being kept active": {patch(rest.SessionStatusActive), rest.SessionStatusActive},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.user(t)
			id := ident.SessionID(st.longSession(t, user).LongSessionID)
			c.do(t, st, user, id)
			if got := st.session(t, id).Status; got != c.want {
				t.Fatalf("it is %s, want %s", got, c.want)
			}
			if c.want == rest.SessionStatusActive {
				return
			}
			_, err := st.CreateShortSession(t.Context(), st.shortSessionReq(user, id, frontendURL))
			wantField(t, err, 400, "longSessionID", "is not active but "+string(c.want))
			for _, to := range []rest.SessionStatus{rest.SessionStatusActive, rest.SessionStatusRevoked, rest.SessionStatusLoggedOut} {
				if to == c.want {
					continue
				}
				_, err := st.patchSession(user, id, to)
				wantField(t, err, 400, "status", "cannot change from "+string(c.want)+" to "+string(to))
			}
			revoke(t, st, user, id)
			if got := st.session(t, id).Status; got != c.want {
				t.Errorf("after revoking it is %s, want %s", got, c.want)
			}
		})
	}
}

func TestAShortSessionIsIssuedByWhomTheCallerNames(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	st.fill(t, user, identifier(account.IdentifierTypePhone, "+4915112345678", account.IdentifierStatusVerified))
	id := ident.SessionID(st.longSession(t, user).LongSessionID)
	claims := st.verified(t, st.shortSession(t, user, id, "https://api.example.com/pro-1"), "https://api.example.com/pro-1")
	want := map[string]any{
		"iss": "https://api.example.com/pro-1", "sub": string(user), "iat": float64(started.Unix()), "nbf": float64(started.Unix() - 10), "exp": float64(started.Unix() + 900),
		"name": "Ada Lovelace", "orig": "ada@example.com", "phone_number": "+4915112345678", "version": float64(1), "sid": string(id), "jti": claims["jti"],
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Error(diff)
	}
	// No token outlives its session.
	st.clock.advance(6 * 24 * time.Hour)
	for range 3 {
		st.shortSession(t, user, id, frontendURL)
		st.clock.advance(6 * 24 * time.Hour)
	}
	st.shortSession(t, user, id, frontendURL)
	st.clock.advance(6*24*time.Hour - time.Minute)
	last := st.verified(t, st.shortSession(t, user, id, frontendURL), frontendURL)
	if last["exp"] != float64(started.Add(30*24*time.Hour).Unix()) {
		t.Errorf("it expires at %v", last["exp"])
	}
	_, err := st.CreateShortSession(t.Context(), st.shortSessionReq(user, id, " "))
	wantField(t, err, 400, "issuer", "cannot be blank")
	req := st.shortSessionReq(user, id, frontendURL)
	req.Body.Request.AppType = ""
	_, err = st.CreateShortSession(t.Context(), req)
	wantField(t, err, 400, "appType", "must be one of empty, web, native")
}

func TestSessionsOfAUserWhoIsGoneGiveNoTokens(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	id := ident.SessionID(st.longSession(t, user).LongSessionID)
	setStatus(t, st, user, rest.UserStatusDisabled)
	_, err := st.CreateShortSession(t.Context(), st.shortSessionReq(user, id, frontendURL))
	wantField(t, err, 400, "userID", "is disabled")
	setStatus(t, st, user, rest.UserStatusActive)
	st.shortSession(t, user, id, frontendURL)
	if err := st.accounts.Delete(t.Context(), st.project.ID, user); err != nil {
		t.Fatal(err)
	}
	_, err = st.CreateShortSession(t.Context(), st.shortSessionReq(user, id, frontendURL))
	wantField(t, err, 400, "userID", "does not exist")
}

func BenchmarkCreateShortSession(b *testing.B) {
	st := newStack(b)
	user := st.user(b)
	id := ident.SessionID(st.longSession(b, user).LongSessionID)
	b.ReportAllocs()
	for b.Loop() {
		st.shortSession(b, user, id, frontendURL)
	}
}

func TestSessionsGoWithTheirUser(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, other := st.user(t), st.user(t)
	for range 3 {
		st.longSession(t, user)
	}
	kept := ident.SessionID(st.longSession(t, other).LongSessionID)
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	for name, bucket := range map[string]jetstream.KeyValue{"sessions": st.buckets.sessions, "the index": st.buckets.sessionIDs} {
		all, err := keys{bucket}.ListKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, key := range all {
			if strings.HasPrefix(key, string(st.project.ID)+".") {
				left = append(left, key)
			}
		}
		if len(left) != 1 || !strings.HasSuffix(left[0], "."+string(kept)) {
			t.Errorf("%s: %v", name, left)
		}
	}
	if got := st.session(t, kept).Status; got != rest.SessionStatusActive {
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
	b := openBuckets(t)
	late := &lateBucket{KeyValue: b.sessions}
	b.sessions = late
	st := newStackOn(t, b)
	user := st.user(t)
	late.before = func() {
		late.before = nil
		if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
			t.Error(err)
		}
	}
	_, err := st.CreateLongSession(t.Context(), st.longSessionReq(user))
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != "userID" {
		t.Errorf("answer: %v", err)
	}
	for _, bucket := range []jetstream.KeyValue{b.sessions, b.sessionIDs} {
		all, err := keys{bucket}.ListKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if strings.HasPrefix(key, string(st.project.ID)+".") {
				t.Errorf("%s is left", key)
			}
		}
	}
}
