package adoption_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/adoption"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a bus with what is counted, and a count of it.
type world struct {
	t      testing.TB
	js     jetstream.JetStream
	rand   *rand.Rand
	now    time.Time
	counts map[string]int64 // by <os>/<action>/<outcome>
	causes map[string]int64
	has    map[string]map[string]bool
	others int64 // logins by other means
}

func newWorld(t testing.TB) *world {
	t.Helper()
	stored := bus.DefaultConfig()
	stored.DataDir, stored.SyncInterval = t.TempDir(), time.Minute
	opened, err := bus.Open(t.Context(), stored, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return &world{
		t: t, js: opened.JS, rand: rand.New(rand.NewPCG(3, 4)), now: time.Now().Add(-3 * time.Hour), counts: map[string]int64{},
		causes: map[string]int64{}, has: map[string]map[string]bool{},
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func (w *world) publish(subject string, data []byte) {
	w.t.Helper()
	if _, err := w.js.PublishAsync(subject, data); err != nil {
		w.t.Fatal(err)
	}
}

// live has n sign-ins and creations happen, as they do: a decision, and what somebody answers.
func (w *world) live(n int) {
	w.t.Helper()
	for range n {
		w.now = w.now.Add(time.Duration(w.rand.IntN(500)) * time.Millisecond)
		action, os, allow := pick(w.rand, "login", "login", "append"), pick(w.rand, "ios", "android", "windows"), w.rand.IntN(4) > 0
		id := ident.NewDecisionID(w.now)
		project, user := ident.ProjectID(pick(w.rand, "pro-1", "pro-2")), ident.UserID(fmt.Sprintf("usr-%d", 1+w.rand.IntN(200)))
		w.counts[os+"/"+action+"/asked"]++
		w.publish(fmt.Sprintf("%s.%s.%s.%s", bus.DecisionsPrefix, project, user, action), fmt.Appendf(nil,
			`{"schema":2,"id":%q,"time":%q,"project":%q,"user":%q,"action":%q,"policyRevision":"r1","policyHash":"h","rule":"L%d",`+
				`"tag":"t","allow":%t,`+
				`"durationMicros":7,"memoised":false,"outline":{"os":%q,"browser":"safari","route":"local"},"question":null}`,
			id, w.now.UTC().Format(time.RFC3339Nano), project, user, action, w.rand.IntN(5), allow, os))
		if allow {
			w.counts[os+"/"+action+"/offered"]++
			w.answer(event.Event{
				ID: ident.NewEventID(), Project: project, User: user, Decision: id, CreatedMs: w.now.UnixMilli() + w.rand.Int64N(9000),
			}, action, os)
		}
	}
	<-w.js.PublishAsyncComplete()
}

// answer is what somebody answers to an offer, or nothing.
func (w *world) answer(e event.Event, action, os string) {
	types := map[string][]event.Type{
		"login": {
			event.LoginCompleted, event.LoginCompleted, event.LoginCompleted, event.LoginExplicitAbort, event.LoginErrorUntyped,
			event.LoginNoCredentials, event.LoginOneTapSwitch, "",
		},
		"append": {event.AppendCompleted, event.AppendExplicitAbort, event.AppendError, ""},
	}
	e.Type = pick(w.rand, types[action]...)
	outcome := map[event.Type]string{
		event.LoginCompleted: "completed", event.AppendCompleted: "completed", event.LoginExplicitAbort: "declined",
		event.AppendExplicitAbort: "declined", event.LoginErrorUntyped: "failed", event.LoginNoCredentials: "failed", event.AppendError: "failed",
		event.LoginOneTapSwitch: "fell-back",
	}[e.Type]
	if e.Type == "" {
		w.leave(e, action, os)
		return
	}
	w.counts[os+"/"+action+"/"+outcome]++
	if outcome == "failed" {
		w.causes[strings.TrimPrefix(strings.TrimPrefix(string(e.Type), "login-"), "append-")]++
	}
	if outcome == "completed" {
		e.Credential = fmt.Sprintf("cre-%d", w.rand.IntN(3))
		whose := string(e.Project) + string(e.User)
		if w.has[whose] == nil {
			w.has[whose] = map[string]bool{}
		}
		w.has[whose][e.Credential] = true
	}
	w.publish(fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, e.Project, e.User, e.Type), e.AppendJSON(nil))
}

// leave has a user log in by other means in the place of a login that was offered, perhaps more than once. Of what nobody left, a
// caller may report as much.
func (w *world) leave(e event.Event, action, os string) {
	e.Type, e.Auth = event.AuthLogin, &event.Auth{Method: pick[event.AuthMethod](w.rand, "password", "email_otp"), Status: event.AuthSuccess}
	if action != "login" {
		e.Decision = "" // events of before were joined to no offer either
	}
	times := w.rand.IntN(3)
	for n := range times {
		e.ID, e.CreatedMs = ident.NewEventID(), e.CreatedMs+int64(n)
		w.publish(fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, e.Project, e.User, e.Type), e.AppendJSON(nil))
	}
	w.others += int64(times)
	if times > 0 && action == "login" {
		w.counts[os+"/login/fell-back"]++
	}
}

// counted is what counts, until stop.
type counted struct {
	*adoption.Adoption
	dir  string
	stop func()
}

func (w *world) count(cfg adoption.Config, dir string) *counted {
	w.t.Helper()
	a, err := adoption.New(cfg, adoption.Deps{
		Dir: dir, JS: w.js, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = a.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	w.t.Cleanup(stop)
	return &counted{Adoption: a, dir: dir, stop: stop}
}

func (c *counted) report(t testing.TB, q inquiry.Adoption) operator.AdoptionReport {
	t.Helper()
	var r operator.AdoptionReport
	var err error
	for range 100 {
		if r, err = c.GetAdoption(t.Context(), service.ForOperator[inquiry.Adoption]{Body: q}); err == nil {
			return r
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatal(err)
	return r
}

// sums are a report as the world counts.
func sums(r operator.AdoptionReport) (counts, causes map[string]int64) {
	counts, causes = map[string]int64{}, map[string]int64{}
	for _, g := range r.Groups {
		for action, f := range map[string]operator.AdoptionFunnel{"login": g.Logins, "append": g.Creations} {
			for outcome, n := range map[string]int64{
				"asked": f.Asked, "offered": f.Offered, "completed": f.Completed, "declined": f.Declined, "failed": f.Failed, "fell-back": f.FellBack,
			} {
				if n > 0 {
					counts[g.Of["os"]+"/"+action+"/"+outcome] += n
				}
			}
			for cause, n := range f.Failures {
				causes[cause] += n
			}
		}
	}
	return counts, causes
}

// exact waits until what is counted is all that there is, and fails if it ever is more.
func (c *counted) exact(t *testing.T, w *world, unit string) operator.AdoptionReport {
	t.Helper()
	var r operator.AdoptionReport
	diff := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		r = c.report(t, inquiry.Adoption{Unit: unit, By: []string{"os"}})
		counts, causes := sums(r)
		others := int64(0)
		for _, g := range r.Groups {
			others += g.OtherMeans
		}
		if diff = cmp.Diff(w.counts, counts) + cmp.Diff(w.causes, causes) + cmp.Diff(w.others, others); diff == "" {
			break
		}
	}
	if diff != "" {
		t.Fatalf("by %s (-count over the streams +report)\n%s", unit, diff)
	}
	users, passkeys := int64(0), int64(0)
	for _, has := range w.has {
		users, passkeys = users+1, passkeys+int64(len(has))
	}
	if r.Passkeys.Users != users || r.Passkeys.Passkeys != passkeys {
		t.Errorf("%+v, want %d users with %d passkeys", r.Passkeys, users, passkeys)
	}
	if r.Coverage.Unattributed+r.Coverage.Unreadable+r.Coverage.Others != 0 {
		t.Errorf("%+v", r.Coverage)
	}
	return r
}

func TestAReportIsWhatACountOverTheStreamsGives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(1000)
	c := w.count(adoption.DefaultConfig(), t.TempDir())
	c.exact(t, w, "hour")
	for range 4 { // while it runs, and is stopped amid it
		w.live(300)
		c.stop()
		c = w.count(adoption.DefaultConfig(), c.dir)
	}
	c.exact(t, w, "minute")
	kept := c.exact(t, w, "day")
	t.Run("made anew after its file is lost", func(t *testing.T) {
		if err := os.Remove(filepath.Join(c.dir, "adoption.db")); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
			if _, err := os.Stat(filepath.Join(c.dir, "adoption.db")); err == nil {
				break
			}
		}
		made := c.exact(t, w, "day")
		if diff := cmp.Diff(kept, made); diff != "" {
			t.Errorf("(-before +after)\n%s", diff)
		}
	})
	t.Run("of another instance", func(t *testing.T) {
		other := w.count(adoption.DefaultConfig(), t.TempDir())
		if diff := cmp.Diff(kept, other.exact(t, w, "day")); diff != "" {
			t.Errorf("(-one +other)\n%s", diff)
		}
	})
	t.Run("damaged while it was away", func(t *testing.T) {
		c.stop()
		if err := os.WriteFile(filepath.Join(c.dir, "adoption.db"), []byte(strings.Repeat("no database ", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
		w.count(adoption.DefaultConfig(), c.dir).exact(t, w, "hour")
	})
}

func TestReportsAreOfWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(600)
	c := w.count(adoption.DefaultConfig(), t.TempDir())
	whole := c.exact(t, w, "hour")
	middle := w.now.Add(-time.Minute)
	total := func(r operator.AdoptionReport) (n int64) {
		for _, g := range r.Groups {
			n += g.Logins.Asked
		}
		return n
	}
	for name, q := range map[string]inquiry.Adoption{
		"by all there is":            {Unit: "hour", By: strings.Split("project,action,route,rule,tag,os,browser,class,revision,arm", ",")},
		"by nothing":                 {Unit: "day"},
		"as a series":                {Unit: "minute", Series: true},
		"before and since a release": {Unit: "minute", At: middle},
	} {
		if r := c.report(t, q); total(r) != total(whole) {
			t.Errorf("%s: %d, want %d", name, total(r), total(whole))
		}
	}
	halves := c.report(t, inquiry.Adoption{Unit: "minute", At: middle}).Groups
	if len(halves) != 2 || *halves[0].Cohort != "before" || *halves[1].Cohort != "since" || halves[1].Logins.Asked == 0 {
		t.Errorf("%+v", halves)
	}
	one := c.report(t, inquiry.Adoption{Unit: "hour", Filter: []string{"os:eq:ios", "action:eq:login"}})
	if len(one.Groups) != 1 || one.Groups[0].Logins.Asked != w.counts["ios/login/asked"] || one.Groups[0].Creations.Asked != 0 {
		t.Errorf("%+v", one.Groups)
	}
	if took := one.Groups[0].TimeToSignIn; took == nil || took.P50 < 2000 || took.P50 > 7000 || took.P90 <= took.P50 || took.P90 > 9500 {
		t.Errorf("%+v", took)
	}
}

func TestAQuestionThatCannotBeIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.count(adoption.DefaultConfig(), t.TempDir())
	now := time.Now()
	for name, q := range map[string]struct {
		q     inquiry.Adoption
		field string
	}{
		"a unit that is none":     {inquiry.Adoption{Unit: "week"}, "unit"},
		"a dimension":             {inquiry.Adoption{Unit: "day", By: []string{"colour"}}, "by"},
		"a filter":                {inquiry.Adoption{Unit: "day", Filter: []string{"colour:eq:red"}}, "filter[]"},
		"a filter that compares":  {inquiry.Adoption{Unit: "day", Filter: []string{"os:gt:a"}}, "filter[]"},
		"an end before the start": {inquiry.Adoption{Unit: "hour", Since: now, Until: now.Add(-2 * time.Hour)}, "since"},
		"a release before all":    {inquiry.Adoption{Unit: "hour", At: now.Add(-9999 * time.Hour)}, "at"},
	} {
		_, err := c.GetAdoption(t.Context(), service.ForOperator[inquiry.Adoption]{Body: q.q})
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != q.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	off := w.count(adoption.Config{Combinations: 1}, t.TempDir())
	_, err := off.GetAdoption(t.Context(), service.ForOperator[inquiry.Adoption]{Body: inquiry.Adoption{Unit: "day"}})
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 503 {
		t.Errorf("off: %v", err)
	}
}

func TestWhatThereAreTooManyKindsOfIsCountedAsOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(800)
	c := w.count(adoption.Config{On: true, Combinations: 10}, t.TempDir())
	var asked, others int64
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && asked < 800; <-time.After(20 * time.Millisecond) {
		r := c.report(t, inquiry.Adoption{Unit: "day", By: []string{"os"}})
		asked, others = 0, r.Coverage.Others
		for _, g := range r.Groups {
			asked += g.Logins.Asked + g.Creations.Asked
		}
	}
	names := slices.Sorted(maps.Keys(w.counts))
	if asked != 800 || others == 0 {
		t.Errorf("%d are counted, %d as other, of %v", asked, others, names)
	}
}

func TestAUserWhoIsDeletedHasNoPasskeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live(200)
	c := w.count(adoption.DefaultConfig(), t.TempDir())
	before := c.exact(t, w, "day").Passkeys
	for whose, has := range w.has {
		project, user := whose[:5], whose[5:]
		e := event.Event{ID: ident.NewEventID(), Project: ident.ProjectID(project), User: ident.UserID(user), Type: event.UserDeleted}
		w.publish(fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, project, user, e.Type), e.AppendJSON(nil))
		before.Users, before.Passkeys = before.Users-1, before.Passkeys-int64(len(has))
		delete(w.has, whose)
		break
	}
	var after operator.AdoptionPasskeys
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		if after = c.report(t, inquiry.Adoption{Unit: "day"}).Passkeys; after.Users == before.Users {
			break
		}
	}
	if after.Users != before.Users || after.Passkeys != before.Passkeys {
		t.Errorf("%+v, want %+v", after, before)
	}
}

// asked is how many decisions there are.
func (w *world) asked() (n int64) {
	for name, counted := range w.counts {
		if strings.HasSuffix(name, "/asked") {
			n += counted
		}
	}
	return n
}

// asked is how many decisions are counted.
func (c *counted) asked(t testing.TB) (n int64) {
	for _, g := range c.report(t, inquiry.Adoption{Unit: "day"}).Groups {
		n += g.Logins.Asked + g.Creations.Asked
	}
	return n
}
