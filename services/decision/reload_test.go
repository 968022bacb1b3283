package decision_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// reloadsVariable says how often the bundle is changed under load. A thousand times takes minutes, so that the usual run makes do with
// fewer.
const (
	reloadsVariable = "KEYWARD_RELOADS"
	usualReloads    = 5
)

func reloads(t *testing.T) int {
	t.Helper()
	text := os.Getenv(reloadsVariable)
	if text == "" {
		return usualReloads
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number above 0, got %q", reloadsVariable, text)
	}
	return n
}

// changing is a bundle in a directory whose row L3 gets another name with every revision.
type changing struct {
	dir      string
	original string
}

func newChanging(t *testing.T) *changing {
	t.Helper()
	c := &changing{dir: policyDir(t)}
	raw, err := os.ReadFile(filepath.Join(c.dir, "login", "login.rego"))
	if err != nil {
		t.Fatal(err)
	}
	if c.original = string(raw); strings.Count(c.original, `"L3"`) != 1 {
		t.Fatal("the row L3 is written otherwise")
	}
	return c
}

// write replaces the rules at once, as an editor or a deployment would, and returns the revision that they are.
func (c *changing) write(t *testing.T, row, more string) string {
	t.Helper()
	text := strings.Replace(c.original, `"L3"`, strconv.Quote(row), 1) + more
	temporary := filepath.Join(c.dir, "login", "login.rego.new")
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temporary, filepath.Join(c.dir, "login", "login.rego")); err != nil {
		t.Fatal(err)
	}
	hash, err := bundlefile.Hash(os.DirFS(c.dir))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// tally is what the callers were answered.
type tally struct {
	asked atomic.Int64
	mu    sync.Mutex
	rows  map[string]map[string]int // by revision
}

func (a *tally) add(revision, row string) {
	a.asked.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rows[revision] == nil {
		a.rows[revision] = map[string]int{}
	}
	a.rows[revision][row]++
}

// ask puts questions until ctx ends. Half of them have the same facts.
func (a *tally) ask(ctx context.Context, t *testing.T, svc service.Decision, q service.LoginQuestion) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%2 == 0 {
			q.Process = strconv.Itoa(n)
		}
		v, err := svc.Login(ctx, q)
		if err != nil || v.PolicyRevision == "" {
			t.Errorf("asked in vain: %+v, %v", v, err)
			return
		}
		a.add(v.PolicyRevision, v.Rule)
	}
}

func TestReloadsUnderLoadFailNoQuestion(t *testing.T) {
	t.Parallel()
	c, registry := newChanging(t), prometheus.NewRegistry()
	want := map[string]string{c.write(t, "L3-0", ""): "L3-0"}
	svc := newService(
		t,
		serviceOptions{dir: c.dir, now: noon, registry: registry, cfg: decision.Config{Debounce: 5 * time.Millisecond, EvalTimeout: time.Minute}},
	)
	stop := run(t, svc)
	q := factstest.BusyUser(noon)
	q.Account.Credentials = nil

	answers := &tally{rows: map[string]map[string]int{}}
	asking, enough := context.WithCancel(context.Background())
	defer enough()
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() { answers.ask(asking, t, svc, q) })
	}
	broken := 0
	for i := 1; i <= reloads(t); i++ {
		before := answers.asked.Load()
		if i%5 == 0 {
			broken++
			c.write(t, "L3-broken", "\ndecision := {\n")
			eventually(t, "the refusal of reload "+strconv.Itoa(i), patience, func() bool { return svc.Status().Refused != nil })
		} else {
			row := fmt.Sprintf("L3-%d", i)
			revision := c.write(t, row, "")
			want[revision] = row
			eventually(t, "the activation of reload "+strconv.Itoa(i), patience, func() bool { return svc.Status().Revision == revision })
		}
		eventually(t, "questions in between", patience, func() bool { return answers.asked.Load() > before })
	}
	enough()
	callers.Wait()
	stop()

	for revision, rows := range answers.rows {
		for row := range rows {
			if row != want[revision] {
				t.Errorf("revision %s answered %s, not %s", revision, row, want[revision])
			}
		}
	}
	if got := counter(t, registry, "keyward_policy_reload_failures_total"); int(got) < broken {
		t.Errorf("%v refusals were counted, %d bundles were broken", got, broken)
	}
	if got := counter(t, registry, "keyward_policy_errors_total"); got != 0 {
		t.Errorf("the policy failed %v times", got)
	}
	t.Logf("%d questions over %d revisions, %d of %d bundles broken", answers.asked.Load(), len(answers.rows), broken, reloads(t))
}
