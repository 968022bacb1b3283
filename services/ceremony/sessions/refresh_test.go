package sessions_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func refreshWith(st *ceremonytest.Stack, token string) (service.Answered[frontend.MeRefreshRsp], error) {
	return st.CurrentUserSessionRefresh(context.Background(), ceremonytest.Visit(st, token, service.Empty{}))
}

func TestARefreshTokenIsSpentAndReplaced(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	if in.Cookies.RefreshToken != in.Refresh || in.Cookies.SessionToken != in.Session || in.Cookies.Domain != authenticator.RPID ||
		in.Cookies.Secure {
		t.Errorf("cookies are %+v", in.Cookies)
	}
	st.Clock.Advance(time.Hour)
	ceremonytest.WantLogin(t, func() error { _, err := st.Me(in.Session); return err }(), "the session token has expired")

	second, err := refreshWith(st, in.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if second.Body.RefreshToken != nil || second.Body.SessionToken != second.Cookies.SessionToken ||
		second.Body.ShortSession != second.Body.SessionToken {
		t.Errorf("got %+v with %+v", second.Body, second.Cookies)
	}
	if claims := st.Verified(
		t, second.Body.SessionToken, ceremonytest.FrontendURL,
	); claims["sub"] != string(in.User) || claims["email"] != ceremonytest.Email ||
		claims["orig"] != ceremonytest.Email {
		t.Errorf("claims are %v", claims)
	}
	if _, err := st.Me(second.Body.SessionToken); err != nil {
		t.Error(err)
	}
	third, err := refreshWith(st, second.Cookies.RefreshToken)
	if err != nil || third.Cookies.RefreshToken == second.Cookies.RefreshToken {
		t.Errorf("got %+v, %v", third.Cookies, err)
	}
}

func TestTheRefreshTokenOfTheCookieIsTakenIfTheBearerIsNone(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	req := ceremonytest.Visit(st, in.Session, service.Empty{})
	req.Refresh = in.Refresh
	if _, err := st.CurrentUserSessionRefresh(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestOfSeveralRefreshCookiesTheGoodOneIsSpentWhereverItStands(t *testing.T) {
	t.Parallel()
	for name, goodFirst := range map[string]bool{"first": true, "last": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			in := st.OpenSession(t)
			second, err := refreshWith(st, in.Refresh)
			if err != nil {
				t.Fatal(err)
			}
			st.Clock.Advance(time.Minute) // the first one is spent for good
			req := ceremonytest.Visit(st, in.Session, service.Empty{})
			req.Refresh, req.OtherRefresh = in.Refresh, []string{"another's", second.Cookies.RefreshToken}
			if goodFirst {
				req.Refresh, req.OtherRefresh = second.Cookies.RefreshToken, []string{in.Refresh}
			}
			if _, err := st.CurrentUserSessionRefresh(t.Context(), req); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSpendingARefreshTokenTwiceEndsTheSessionOfBoth(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	second, err := refreshWith(st, in.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(11 * time.Second)
	_, err = refreshWith(st, in.Refresh)
	ceremonytest.WantLogin(t, err, "the refresh token has been used before, so that the session has been ended")
	_, err = refreshWith(st, second.Cookies.RefreshToken)
	ceremonytest.WantLogin(t, err, "the session has ended")
	_, err = st.Me(second.Body.SessionToken)
	ceremonytest.WantLogin(t, err, "the session has ended")
	if !strings.Contains(st.Log.String(), "used twice") {
		t.Errorf("nothing was logged: %s", st.Log)
	}
	if strings.Contains(st.Log.String(), in.Refresh) {
		t.Error("the token was logged")
	}
}

func TestTwoTabsThatRefreshAtOnceBothGoOn(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	var tabs sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		tabs.Go(func() {
			rsp, err := refreshWith(st, in.Refresh)
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
	st.Clock.Advance(time.Minute)
	if _, err := refreshWith(st, got[0]); err != nil {
		t.Error(err)
	}
}

func TestARefreshTokenProvesTheUserUntilItIsSpent(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	if _, err := st.Me(in.Refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := refreshWith(st, in.Refresh); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Me(in.Refresh); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	st.Clock.Advance(11 * time.Second)
	_, err := st.Me(in.Refresh)
	ceremonytest.WantLogin(t, err, "the refresh token has been used already")
}

func TestAProjectMayGiveRefreshTokensToScripts(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	st.ChangeProject(func(p *project.Project) { p.Frontend.RefreshTokenInBody = true })
	in := st.OpenSession(t)
	if in.Cookies.RefreshToken != "" {
		t.Error("it is in a cookie as well")
	}
	rsp, err := refreshWith(st, in.Refresh)
	if err != nil || rsp.Body.RefreshToken == nil || *rsp.Body.RefreshToken == in.Refresh {
		t.Fatalf("got %+v, %v", rsp.Body, err)
	}
	st.ChangeProject(func(p *project.Project) { p.Frontend.RefreshTokenFixed = true })
	fixed := *rsp.Body.RefreshToken
	for range 3 {
		st.Clock.Advance(time.Hour)
		if rsp, err = refreshWith(st, fixed); err != nil || *rsp.Body.RefreshToken != fixed {
			t.Fatalf("got %+v, %v", rsp.Body, err)
		}
	}
}

func TestASessionThatMayNotGoOnIsNotRefreshed(t *testing.T) {
	t.Parallel()
	other := ceremonytest.New(t)
	foreign := other.OpenSession(t)
	for name, tc := range map[string]struct {
		token   func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string
		details string
	}{
		"of another project": {
			func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string { return foreign.Refresh },
			"the refresh token is not one of this project",
		},
		"with another generation": {func(_ *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			return strings.Replace(in.Refresh, "_0_", "_1_", 1)
		}, "the refresh token is not one of this project"},
		"cut off": {func(_ *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			return in.Refresh[:len(in.Refresh)-1]
		}, "the refresh token is not one of this project"},
		"that is a session token": {
			func(_ *testing.T, _ *ceremonytest.Stack, in ceremonytest.LoggedIn) string { return in.Session },
			"the refresh token is not one of this project",
		},
		"that is not there": {
			func(*testing.T, *ceremonytest.Stack, ceremonytest.LoggedIn) string { return "" },
			"the refresh token is not one of this project",
		},
		"after it was not used for too long": {func(_ *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			st.Clock.Advance(8 * 24 * time.Hour)
			return in.Refresh
		}, "the session has ended"},
		"after its end": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			for range 5 {
				st.Clock.Advance(6 * 24 * time.Hour)
				rsp, err := refreshWith(st, in.Refresh)
				if err != nil {
					return in.Refresh
				}
				in.Refresh = rsp.Cookies.RefreshToken
			}
			st.Clock.Advance(24 * time.Hour)
			return in.Refresh
		}, "the session has ended"},
		"after a logout": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			if _, err := st.CurrentUserSessionLogout(t.Context(), ceremonytest.Visit(st, in.Refresh, service.Empty{})); err != nil {
				t.Error(err)
			}
			return in.Refresh
		}, "the session has ended"},
		"of a user who is disabled": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(
				t.Context(),
				service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: in.User, Body: rest.UserUpdateReq{Status: &disabled}},
			); err != nil {
				t.Error(err)
			}
			return in.Refresh
		}, "the user may not have sessions"},
		"of a user who is gone": {func(t *testing.T, st *ceremonytest.Stack, in ceremonytest.LoggedIn) string {
			if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: in.User}); err != nil {
				t.Error(err)
			}
			return in.Refresh
		}, "the session has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			_, err := refreshWith(st, tc.token(t, st, st.OpenSession(t)))
			ceremonytest.WantLogin(t, err, tc.details)
		})
	}
}

func TestALogoutEndsTheSessionAtOnceWhicheverTokenComes(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]func(ceremonytest.LoggedIn) service.Visit{
		"a session token": func(in ceremonytest.LoggedIn) service.Visit { return service.Visit{Token: in.Session} },
		"a refresh token": func(in ceremonytest.LoggedIn) service.Visit { return service.Visit{Token: in.Refresh} },
		"the cookies": func(in ceremonytest.LoggedIn) service.Visit {
			return service.Visit{Token: in.Session, Refresh: in.Refresh}
		},
		"the refresh cookie alone":   func(in ceremonytest.LoggedIn) service.Visit { return service.Visit{Refresh: in.Refresh} },
		"a session that ended today": func(in ceremonytest.LoggedIn) service.Visit { return service.Visit{Token: in.Session} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			in := st.OpenSession(t)
			req := service.ForVisit[service.Empty]{Visit: token(in)}
			req.Project = st.Project.ID
			for range 2 { // a second one does no harm
				rsp, err := st.CurrentUserSessionLogout(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(&service.Cookies{Domain: authenticator.RPID, SameSite: "lax", Seconds: 2592000}, rsp.Cookies); d != "" {
					t.Error(d)
				}
			}
			_, err := st.Me(in.Session)
			ceremonytest.WantLogin(t, err, "the session has ended")
		})
	}
}
