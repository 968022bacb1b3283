package ceremony_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/aaguid"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	st := newStack(t)
	whole := func() (ceremony.Config, ceremony.Deps) {
		return ceremony.DefaultConfig(), ceremony.Deps{
			Projects: st.projects, Keys: st.keys, Accounts: st.accounts, Challenges: b.challenges, Marks: b.marks, Index: b.index, Names: b.names,
			Sessions: b.sessions, SessionIDs: b.sessionIDs, Tokens: b.tokens, Codes: b.codes, Delivery: st.delivery, Spent: b.spent, Processes: b.processes, Signing: st.signing, Events: st.events, Offers: st.events, Positions: st.events,
			ChallengeMaxAge: time.Minute, Lists: lists, Decision: st.decision, Now: st.clock.Now, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
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

func TestAAGUIDNamesComeFromTheBundle(t *testing.T) {
	t.Parallel()
	names, err := aaguid.LoadAAGUIDNames(os.DirFS("../../policies"))
	if err != nil {
		t.Fatal(err)
	}
	if got := names.Name(phoneAAGUID); got != "Apple Passwords" {
		t.Errorf("got %q", got)
	}
	if got := names.Name("00000000-0000-0000-0000-000000000000"); got != "" {
		t.Errorf("got %q", got)
	}
	if none, err := aaguid.LoadAAGUIDNames(fstest.MapFS{}); err != nil || none.Name(phoneAAGUID) != "" {
		t.Errorf("a bundle without data.json: %v, %v", none, err)
	}
	if _, err := aaguid.LoadAAGUIDNames(fstest.MapFS{"data.json": {Data: []byte("{")}}); err == nil {
		t.Error("broken data: no error")
	}
}

func TestAChangedBundleShowsItsNamesWithoutARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), &clock{now: started}
	write := func(content string) {
		t.Helper()
		c.advance(time.Second)
		path := filepath.Join(dir, "data.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		// Some file systems keep times to the second.
		if err := os.Chtimes(path, c.Now(), c.Now()); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name string) string {
		return fmt.Sprintf(`{"keyward":{"aaguids":{%q:{"name":%q}}}}`, strings.ToUpper(phoneAAGUID), name)
	}
	write(named("one"))
	var log syncBuffer
	names, err := aaguid.NewBundleNames(os.DirFS(dir), c.Now, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if got := names.Name(phoneAAGUID); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	expect("one")
	write(named("two"))
	expect("one") // a second later nobody has looked
	c.advance(time.Second)
	expect("two")
	write(`{"keyward":`)
	c.advance(time.Minute)
	expect("two")
	if !strings.Contains(log.String(), "stay as they were") {
		t.Errorf("log: %s", log.String())
	}
	write(named("four"))
	c.advance(2 * time.Second)
	expect("four")
	if err := os.Remove(filepath.Join(dir, "data.json")); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Second)
	expect("")

	write(`[`)
	if _, err := aaguid.NewBundleNames(os.DirFS(dir), c.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("broken data at the start: no error")
	}
}

func TestCallsAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	options := st.loginStart(t, user, d).AssertionOptions
	d.origin = "https://evil.example"
	if _, err := st.loginFinish(t, user, d, d.get(t, options)); err == nil {
		t.Fatal("another origin was accepted")
	}
	want := `
# HELP keyward_ceremony_calls_total Ceremony calls by step and outcome: allowed or denied (starts), completed (finishes), refused (the caller's fault), failed (ours).
# TYPE keyward_ceremony_calls_total counter
keyward_ceremony_calls_total{call="append-finish",outcome="completed"} 1
keyward_ceremony_calls_total{call="append-start",outcome="allowed"} 1
keyward_ceremony_calls_total{call="login-finish",outcome="refused"} 1
keyward_ceremony_calls_total{call="login-start",outcome="allowed"} 1
`
	if err := testutil.GatherAndCompare(st.registry, strings.NewReader(want), "keyward_ceremony_calls_total"); err != nil {
		t.Error(err)
	}
}
