package sessions_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

func TestNothingThatIsIssuedOfALoginLivesLongerThanThePolicyObliges(t *testing.T) {
	t.Parallel()
	const month, decade = 30 * 24 * 60 * 60, 10 * 365 * 24 * 60 * 60
	for name, c := range map[string]struct {
		seconds                int
		enforced               bool
		signed, token, session int64 // how long they live, in seconds
	}{
		"shorter than anything":                 {60, true, 60, 60, 60},
		"longer than signed data":               {600, true, 300, 600, 600},
		"longer than a token of a session":      {3600, true, 300, 900, 3600},
		"longer than a session":                 {decade, true, 300, 900, month},
		"no bound":                              {0, true, 300, 900, month},
		"a bound that is told, and not binding": {60, false, 300, 900, month},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			st.Oblige(c.seconds, c.enforced)
			signed := signedLogin(t, st, user, d)
			started := ceremonytest.Started.Unix()
			claims := st.Verified(t, signed, string(st.Project.ID))
			if claims["exp"] != float64(started+c.signed) {
				t.Errorf("signed data lives %v seconds", claims["exp"].(float64)-float64(started))
			}
			if told, bound := claims["maxSessionSeconds"]; bound != (c.enforced && c.seconds > 0) || bound && told != float64(c.seconds) {
				t.Errorf("signed data says %v of how long a session may live", told)
			}
			rsp, err := st.PostLogin(t.Context(), service.ForProject[rest.PostLoginReq]{
				Project: st.Project.ID, Body: rest.PostLoginReq{SignedPasskeyData: signed},
			})
			if err != nil {
				t.Fatal(err)
			}
			claims = st.Verified(t, rsp.Session, ceremonytest.FrontendURL)
			if claims["exp"] != float64(started+c.token) {
				t.Errorf("the token lives %v seconds", claims["exp"].(float64)-float64(started))
			}
			id, _ := claims["sid"].(string)
			ends := ceremonytest.Started.Add(time.Duration(c.session) * time.Second).Format("2006-01-02T15:04:05")
			if got := st.Session(t, ident.SessionID(id)).Expires; got != ends {
				t.Errorf("the session ends %s, want %s", got, ends)
			}
		})
	}
}

func TestABrowserKeepsNoCookieLongerThanItsSessionLives(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * 60 * 60
	for bound, want := range map[int]int{0: month, 60: 60, 3600: 3600, 2 * month: month} {
		st := ceremonytest.New(t)
		user, _, _ := ceremonytest.Known(t, st)
		login, err := st.LogIn(t.Context(), st.Project, st.Account(t, user), sessions.Proof{MaxSessionSeconds: bound})
		if err != nil || login.Cookies.Seconds != want {
			t.Errorf("of a session that is bound to %d s it is kept for %d s, %v", bound, login.Cookies.Seconds, err)
		}
	}
}
