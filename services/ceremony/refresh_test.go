package ceremony_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// loggedIn is a user with a session.
type loggedIn struct {
	user             ident.UserID
	session, refresh string
	cookies          service.Cookies
}

func (st *stack) logIn(tb testing.TB) loggedIn {
	tb.Helper()
	user := st.named(tb, account.IdentifierStatusPrimary)
	return st.logInAs(tb, user)
}

func (st *stack) logInAs(tb testing.TB, user ident.UserID) loggedIn {
	tb.Helper()
	a, err := st.Enabled(tb.Context(), st.project.ID, user)
	if err != nil {
		tb.Fatal(err)
	}
	made, err := st.LogIn(tb.Context(), st.project, a, email)
	if err != nil {
		tb.Fatal(err)
	}
	return loggedIn{user, made.Session, made.Refresh, made.Cookies}
}

// visit is a call with a token.
func visit[T any](st *stack, token string, body T) service.ForVisit[T] {
	return service.ForVisit[T]{Visit: service.Visit{Project: st.project.ID, Token: token, RemoteAddress: "203.0.113.7", UserAgent: phone().client().UserAgent}, Body: body}
}

func (st *stack) me(token string) (frontend.MeRsp, error) {
	return st.CurrentUserGet(context.Background(), visit(st, token, service.Empty{}))
}

func (st *stack) refreshWith(token string) (service.Answered[frontend.MeRefreshRsp], error) {
	return st.CurrentUserSessionRefresh(context.Background(), visit(st, token, service.Empty{}))
}

// change changes the project, as an operator would.
func (st *stack) change(change func(*project.Project)) {
	change(&st.project)
	st.projects.set(st.project)
}

func wantLogin(tb testing.TB, err error, details string) {
	tb.Helper()
	f := fault.As(err)
	if err == nil || f.Status != http.StatusUnauthorized || f.Type != fault.TypeLoginError || f.Details != details {
		tb.Errorf("got %v, want a 401: %s", err, details)
	}
}

func TestARefreshTokenIsSpentAndReplaced(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	if in.cookies.RefreshToken != in.refresh || in.cookies.SessionToken != in.session || in.cookies.Domain != rpID || in.cookies.Secure {
		t.Errorf("cookies are %+v", in.cookies)
	}
	st.clock.advance(time.Hour)
	wantLogin(t, func() error { _, err := st.me(in.session); return err }(), "the session token has expired")

	second, err := st.refreshWith(in.refresh)
	if err != nil {
		t.Fatal(err)
	}
	if second.Body.RefreshToken != nil || second.Body.SessionToken != second.Cookies.SessionToken || second.Body.ShortSession != second.Body.SessionToken {
		t.Errorf("got %+v with %+v", second.Body, second.Cookies)
	}
	if claims := st.verified(t, second.Body.SessionToken, frontendURL); claims["sub"] != string(in.user) || claims["email"] != email || claims["orig"] != email {
		t.Errorf("claims are %v", claims)
	}
	if _, err := st.me(second.Body.SessionToken); err != nil {
		t.Error(err)
	}
	third, err := st.refreshWith(second.Cookies.RefreshToken)
	if err != nil || third.Cookies.RefreshToken == second.Cookies.RefreshToken {
		t.Errorf("got %+v, %v", third.Cookies, err)
	}
}

func TestTheRefreshTokenOfTheCookieIsTakenIfTheBearerIsNone(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	req := visit(st, in.session, service.Empty{})
	req.Refresh = in.refresh
	if _, err := st.CurrentUserSessionRefresh(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestSpendingARefreshTokenTwiceEndsTheSessionOfBoth(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	second, err := st.refreshWith(in.refresh)
	if err != nil {
		t.Fatal(err)
	}
	st.clock.advance(11 * time.Second)
	_, err = st.refreshWith(in.refresh)
	wantLogin(t, err, "the refresh token has been used before, so that the session has been ended")
	_, err = st.refreshWith(second.Cookies.RefreshToken)
	wantLogin(t, err, "the session has ended")
	_, err = st.me(second.Body.SessionToken)
	wantLogin(t, err, "the session has ended")
	if !strings.Contains(st.log.String(), "used twice") {
		t.Errorf("nothing was logged: %s", st.log)
	}
	if strings.Contains(st.log.String(), in.refresh) {
		t.Error("the token was logged")
	}
}

func TestTwoTabsThatRefreshAtOnceBothGoOn(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	var tabs sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		tabs.Go(func() {
			rsp, err := st.refreshWith(in.refresh)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = rsp.Cookies.RefreshToken
		})
	}
	tabs.Wait()
	for _, token := range got {
		if token != got[0] {
			t.Fatalf("the tabs got different tokens: %v", got)
		}
	}
	st.clock.advance(time.Minute)
	if _, err := st.refreshWith(got[0]); err != nil {
		t.Error(err)
	}
}

func TestARefreshTokenProvesTheUserUntilItIsSpent(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	if _, err := st.me(in.refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := st.refreshWith(in.refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := st.me(in.refresh); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	st.clock.advance(11 * time.Second)
	_, err := st.me(in.refresh)
	wantLogin(t, err, "the refresh token has been used already")
}

func TestAProjectMayGiveRefreshTokensToScripts(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	st.change(func(p *project.Project) { p.Frontend.RefreshTokenInBody = true })
	in := st.logIn(t)
	if in.cookies.RefreshToken != "" {
		t.Error("it is in a cookie as well")
	}
	rsp, err := st.refreshWith(in.refresh)
	if err != nil || rsp.Body.RefreshToken == nil || *rsp.Body.RefreshToken == in.refresh {
		t.Fatalf("got %+v, %v", rsp.Body, err)
	}
	st.change(func(p *project.Project) { p.Frontend.RefreshTokenFixed = true })
	fixed := *rsp.Body.RefreshToken
	for range 3 {
		st.clock.advance(time.Hour)
		if rsp, err = st.refreshWith(fixed); err != nil || *rsp.Body.RefreshToken != fixed {
			t.Fatalf("got %+v, %v", rsp.Body, err)
		}
	}
}

func TestASessionThatMayNotGoOnIsNotRefreshed(t *testing.T) {
	t.Parallel()
	other := newStack(t)
	foreign := other.logIn(t)
	for name, tc := range map[string]struct {
		token   func(*testing.T, *stack, loggedIn) string
		details string
	}{
		"of another project":      {func(*testing.T, *stack, loggedIn) string { return foreign.refresh }, "the refresh token is not one of this project"},
		"with another generation": {func(_ *testing.T, _ *stack, in loggedIn) string { return strings.Replace(in.refresh, "_0_", "_1_", 1) }, "the refresh token is not one of this project"},
		"cut off":                 {func(_ *testing.T, _ *stack, in loggedIn) string { return in.refresh[:len(in.refresh)-1] }, "the refresh token is not one of this project"},
		"that is a session token": {func(_ *testing.T, _ *stack, in loggedIn) string { return in.session }, "the refresh token is not one of this project"},
		"that is not there":       {func(*testing.T, *stack, loggedIn) string { return "" }, "the refresh token is not one of this project"},
		"after it was not used for too long": {func(_ *testing.T, st *stack, in loggedIn) string {
			st.clock.advance(8 * 24 * time.Hour)
			return in.refresh
		}, "the session has ended"},
		"after its end": {func(t *testing.T, st *stack, in loggedIn) string {
			for range 5 {
				st.clock.advance(6 * 24 * time.Hour)
				rsp, err := st.refreshWith(in.refresh)
				if err != nil {
					return in.refresh
				}
				in.refresh = rsp.Cookies.RefreshToken
			}
			st.clock.advance(24 * time.Hour)
			return in.refresh
		}, "the session has ended"},
		"after a logout": {func(t *testing.T, st *stack, in loggedIn) string {
			if _, err := st.CurrentUserSessionLogout(t.Context(), visit(st, in.refresh, service.Empty{})); err != nil {
				t.Error(err)
			}
			return in.refresh
		}, "the session has ended"},
		"of a user who is disabled": {func(t *testing.T, st *stack, in loggedIn) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: in.user, Body: rest.UserUpdateReq{Status: &disabled}}); err != nil {
				t.Error(err)
			}
			return in.refresh
		}, "the user may not have sessions"},
		"of a user who is gone": {func(t *testing.T, st *stack, in loggedIn) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: in.user}); err != nil {
				t.Error(err)
			}
			return in.refresh
		}, "the session has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			_, err := st.refreshWith(tc.token(t, st, st.logIn(t)))
			wantLogin(t, err, tc.details)
		})
	}
}

func TestALogoutEndsTheSessionAtOnceWhicheverTokenComes(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]func(loggedIn) service.Visit{
		"a session token":            func(in loggedIn) service.Visit { return service.Visit{Token: in.session} },
		"a refresh token":            func(in loggedIn) service.Visit { return service.Visit{Token: in.refresh} },
		"the cookies":                func(in loggedIn) service.Visit { return service.Visit{Token: in.session, Refresh: in.refresh} },
		"the refresh cookie alone":   func(in loggedIn) service.Visit { return service.Visit{Refresh: in.refresh} },
		"a session that ended today": func(in loggedIn) service.Visit { return service.Visit{Token: in.session} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			in := st.logIn(t)
			req := service.ForVisit[service.Empty]{Visit: token(in)}
			req.Project = st.project.ID
			for range 2 { // a second one does no harm
				rsp, err := st.CurrentUserSessionLogout(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(&service.Cookies{Domain: rpID, SameSite: "lax", Seconds: 2592000}, rsp.Cookies); d != "" {
					t.Error(d)
				}
			}
			_, err := st.me(in.session)
			wantLogin(t, err, "the session has ended")
		})
	}
}
