package ceremony_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	st := ceremonytest.New(t)
	whole := func() (ceremony.Config, ceremony.Deps) {
		return ceremony.DefaultConfig(), ceremony.Deps{
			Projects:        st.Projects,
			Keys:            st.Keyring,
			Accounts:        st.Accounts,
			Challenges:      b.Challenges,
			Marks:           b.Marks,
			Index:           b.Index,
			Names:           b.Names,
			Sessions:        b.Sessions,
			SessionIDs:      b.SessionIDs,
			Tokens:          b.Tokens,
			Codes:           b.Codes,
			Nobodies:        b.Nobodies,
			Delivery:        st.Delivery,
			Spent:           b.Spent,
			Processes:       b.Processes,
			StepUps:         b.StepUps,
			Attested:        b.Attested,
			Signing:         st.Signing,
			Events:          st.Events,
			Offers:          st.Events,
			Positions:       st.Events,
			DNS:             st.DNS,
			ChallengeMaxAge: time.Minute,
			Lists:           st.Lists,
			Decision:        st.Decision,
			Records:         st.Decision,
			Now:             st.Clock.Now,
			Log:             slog.New(slog.DiscardHandler),
			Metrics:         prometheus.NewRegistry(),
		}
	}
	if _, err := ceremony.New(whole()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*ceremony.Config, *ceremony.Deps){
		"challenge_ttl":          func(c *ceremony.Config, _ *ceremony.Deps) { c.ChallengeTTL = time.Second },
		"handle_max_age":         func(c *ceremony.Config, _ *ceremony.Deps) { c.HandleMaxAge = 0 },
		"user_verification":      func(c *ceremony.Config, _ *ceremony.Deps) { c.UserVerification = "" },
		"session_lifetime":       func(c *ceremony.Config, _ *ceremony.Deps) { c.SessionLifetime = 0 },
		"session_inactivity":     func(c *ceremony.Config, _ *ceremony.Deps) { c.SessionInactivity = c.SessionLifetime + 1 },
		"short_session_lifetime": func(c *ceremony.Config, _ *ceremony.Deps) { c.ShortSessionLifetime = 25 * time.Hour },
		"signing_key_max_age":    func(c *ceremony.Config, _ *ceremony.Deps) { c.SigningKeyMaxAge = time.Hour },
		"frontend_url":           func(c *ceremony.Config, _ *ceremony.Deps) { c.FrontendURL = "login.example.com" },
		"code_sends":             func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeSends.Requests = 1001 },
		"code_sends_total":       func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeSendsTotal.Requests = 1001 },
		"code_guesses":           func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeGuesses.Requests = 101 },
		"code_guesses_from":      func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeGuessesFrom.Per = time.Millisecond },
		"code_guesses_stop":      func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeGuessesStop = 101 },
		"code_guesses_wait":      func(c *ceremony.Config, _ *ceremony.Deps) { c.CodeGuessesWait = time.Second },
		"host_proof":             func(c *ceremony.Config, _ *ceremony.Deps) { c.HostProof = "trust" },
		"dependency":             func(_ *ceremony.Config, d *ceremony.Deps) { d.Decision = nil },
		"metrics": func(_ *ceremony.Config, d *ceremony.Deps) {
			d.Metrics.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyward_ceremony_calls_total"}, []string{"other"}))
		},
	} {
		cfg, deps := whole()
		change(&cfg, &deps)
		if _, err := ceremony.New(cfg, deps); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestCallsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	options := st.BeginLogin(t, user, d).AssertionOptions
	d.Origin = "https://evil.example"
	if _, err := st.FinishLogin(t, user, d, d.Get(t, options)); err == nil {
		t.Fatal("another origin was accepted")
	}
	want := `
# HELP keyward_ceremony_calls_total Ceremony calls by step and outcome: allowed or denied (starts), completed (finishes), ` +
		`refused (the caller's fault), failed (ours).
# TYPE keyward_ceremony_calls_total counter
keyward_ceremony_calls_total{call="append-finish",outcome="completed"} 1
keyward_ceremony_calls_total{call="append-start",outcome="allowed"} 1
keyward_ceremony_calls_total{call="login-finish",outcome="refused"} 1
keyward_ceremony_calls_total{call="login-start",outcome="allowed"} 1
`
	if err := testutil.GatherAndCompare(st.Registry, strings.NewReader(want), "keyward_ceremony_calls_total"); err != nil {
		t.Error(err)
	}
}
