package index_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/index"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a bus with a stream of decisions, and what is recorded there.
type world struct {
	t     *testing.T
	js    jetstream.JetStream
	made  int
	begin time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	stored := bus.DefaultConfig()
	stored.DataDir, stored.SyncInterval = t.TempDir(), time.Minute
	opened, err := bus.Open(t.Context(), stored, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	return &world{t: t, js: opened.JS, begin: time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond)}
}

// record records decisions, every third of which was doubted and every fourth about nobody.
func (w *world) record(n int) {
	w.t.Helper()
	for range n {
		w.made++
		at := w.begin.Add(time.Duration(w.made) * time.Second)
		user, subject := "", "_"
		if w.made%4 > 0 {
			subject = fmt.Sprintf("usr-%d", w.made%5)
			user = fmt.Sprintf(`,"user":%q,"process":"p-%d"`, subject, w.made/2)
		}
		verdict := "allow"
		if w.made%3 == 0 {
			verdict = "deny"
		}
		record := fmt.Sprintf(`{"schema":2,"id":"dec-%013d%012d","time":%q,"project":"pro-%d"%s,"action":"login","policyRevision":"r1",`+
			`"policyHash":"h",`+
			`"rule":"L%d","tag":"user-positive","allow":%t,"durationMicros":7,"memoised":false,"outline":{"os":"ios","browser":"safari",`+
			`"device":"phone","route":"local","reasons":["bot","velocity"],"verdict":%q,"level":"low"},"question":null,"facts":{},"answer":null}`,
			at.UnixMilli(), w.made, at.Format(time.RFC3339Nano), 1+w.made%2, user, w.made%7, w.made%2 == 0, verdict)
		w.publish(fmt.Sprintf("%s.pro-%d.%s.login", bus.DecisionsPrefix, 1+w.made%2, subject), record)
	}
}

func (w *world) publish(subject, data string) {
	w.t.Helper()
	if _, err := w.js.Publish(w.t.Context(), subject, []byte(data)); err != nil {
		w.t.Fatal(err)
	}
}

// indexed is an index that is kept up, until stop.
type indexed struct {
	*index.Index
	dir  string
	stop func()
}

func (w *world) index(cfg index.Config, dir string) *indexed {
	w.t.Helper()
	i, err := index.New(cfg, index.Deps{
		Dir: dir, JS: w.js, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Version: "1.2.3",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = i.Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	w.t.Cleanup(stop)
	return &indexed{Index: i, dir: dir, stop: stop}
}

func asking[T any](body T) service.ForOperator[T] {
	return service.ForOperator[T]{Operator: service.Operator{ID: "opr-1", Name: "Ada"}, Body: body}
}

func (i *indexed) list(t *testing.T, list service.List) operator.DecisionList {
	t.Helper()
	found, err := i.ListDecisions(t.Context(), asking(list))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// until waits until the index has as many decisions as that of a list.
func (i *indexed) until(t *testing.T, want int, filter ...string) {
	t.Helper()
	var got any
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
		found, err := i.ListDecisions(t.Context(), asking(service.List{Filter: filter}))
		if err == nil && int(found.Paging.TotalItems) == want {
			return
		}
		if got = err; err == nil {
			got = found.Paging.TotalItems
		}
	}
	t.Fatalf("%v of %d decisions are indexed", got, want)
}

func TestDecisionsAreListedByWhatTheyHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(120)
	i := w.index(index.DefaultConfig(), t.TempDir())
	i.until(t, 120)
	newest := i.list(t, service.List{PageSize: 1}).Decisions[0]
	for filter, want := range map[string]int{
		"projectID:eq:pro-1": 60, "userID:eq:usr-2": 18, "processID:eq:p-3": 2, "action:eq:login": 120, "action:eq:append": 0,
		"allow:eq:true":        60,
		"tag:eq:user-positive": 120, "tag:eq:none": 0, "rule:eq:L3": 17, "reason:eq:velocity": 120, "reason:eq:none": 0, "verdict:eq:deny": 40,
		"level:eq:low": 120, "device:eq:phone": 120, "os:eq:ios": 120, "browser:eq:safari": 120, "route:eq:local": 120, "revision:eq:r1": 120,
		"arm:eq:canary": 0, "decisionID:eq:" + newest.DecisionID: 1, "decisionID:eq:dec-7": 0,
		"created:gt:" + newest.Created.Add(-10*time.Second).Format(time.RFC3339Nano): 10,
		"created:lt:" + newest.Created.Add(-10*time.Second).Format(time.RFC3339Nano): 109,
	} {
		found := i.list(t, service.List{Filter: []string{filter}, PageSize: 200})
		if int(found.Paging.TotalItems) != want || len(found.Decisions) != want {
			t.Errorf("%s: %d of %d, want %d", filter, len(found.Decisions), found.Paging.TotalItems, want)
		}
	}
	page := i.list(t, service.List{Filter: []string{"allow:eq:true", "verdict:eq:deny"}, Page: 2, PageSize: 7, Sort: "created:asc"})
	if page.Paging != (operator.Paging{Page: 2, TotalItems: 20, TotalPages: 3}) || len(page.Decisions) != 7 ||
		!slices.IsSortedFunc(page.Decisions, func(a, b operator.DecisionSummary) int { return a.Created.Compare(b.Created) }) {
		t.Errorf("%+v", page)
	}
	want := operator.DecisionSummary{
		DecisionID: newest.DecisionID, ProjectID: "pro-1", Created: newest.Created, Action: "login", Allow: true, Rule: "L1",
		Tag: "user-positive", Reasons: new([]string{"bot", "velocity"}), Verdict: new(operator.DecisionSummaryVerdictDeny),
		Level:  new(operator.DecisionSummaryLevelLow),
		Device: new("phone"), OS: new("ios"), Browser: new("safari"), Route: new("local"), PolicyRevision: "r1", DurationMicros: 7,
	}
	if diff := cmp.Diff(want, newest); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if c := page.Coverage; c.From == nil || c.Indexed != 120 || c.Omitted != 0 || c.Behind != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAListThatCannotBeIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.index(index.DefaultConfig(), t.TempDir())
	i.until(t, 0)
	for name, c := range map[string]struct {
		list  service.List
		field string
		says  string
	}{
		"an unknown field":          {service.List{Filter: []string{"colour:eq:red"}}, "filter[]", "must filter by one of action, allow"},
		"a word that is more":       {service.List{Filter: []string{"tag:gt:a"}}, "filter[]", "tag must be compared with eq"},
		"a truth that is none":      {service.List{Filter: []string{"allow:eq:maybe"}}, "filter[]", "must be true or false"},
		"a time that is none":       {service.List{Filter: []string{"created:gt:noon"}}, "filter[]", "created must be a time"},
		"a sort by a word":          {service.List{Sort: "tag:asc"}, "tag", "not sortable"},
		"a page before the first":   {service.List{Page: -1}, "page", "must be from 1"},
		"a page larger than may be": {service.List{PageSize: 1001}, "pageSize", "must be from 1"},
	} {
		_, err := i.ListDecisions(t.Context(), asking(c.list))
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != c.field || !strings.Contains(f.Validation[0].Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := i.FollowDecisions(t.Context(), asking(inquiry.DecisionsAfter{Filter: []string{"tag:gt:a"}})); err == nil {
		t.Error("what cannot be is followed")
	}
}

func TestDecisionsAreCountedByTheValuesOfAField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(120)
	i := w.index(index.DefaultConfig(), t.TempDir())
	i.until(t, 120)
	verdicts, err := i.CountDecisions(t.Context(), asking(inquiry.DecisionCounts{By: "verdict", Filter: []string{"projectID:eq:pro-1"}}))
	if err != nil {
		t.Fatal(err)
	}
	want := []operator.DecisionCount{{Value: "allow", Count: 40}, {Value: "deny", Count: 20}}
	if diff := cmp.Diff(want, verdicts.Counts); diff != "" || verdicts.Total != 60 || verdicts.Coverage.Indexed != 120 {
		t.Errorf("%+v\n%s", verdicts, diff)
	}
	hourly, err := i.CountDecisions(t.Context(), asking(inquiry.DecisionCounts{By: "reason", Unit: "hour"}))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, one := range hourly.Counts {
		if one.Start == nil || !one.Start.Equal(one.Start.Truncate(time.Hour)) {
			t.Errorf("an hour begins at %v", one.Start)
		}
		sum += one.Count
	}
	if sum != 240 { // each for two reasons
		t.Errorf("%d in all hours", sum)
	}
	for field, asked := range map[string]inquiry.DecisionCounts{
		"by":       {By: "userID"},
		"unit":     {By: "verdict", Unit: "minute"},
		"filter[]": {By: "verdict", Filter: []string{"tag:gt:a"}},
	} {
		_, err := i.CountDecisions(t.Context(), asking(asked))
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestAnIndexThatIsLostIsMadeAnewAndAnswersTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(300)
	cfg := index.DefaultConfig()
	i := w.index(cfg, t.TempDir())
	i.until(t, 300)
	asked := service.List{Filter: []string{"verdict:eq:deny", "userID:eq:usr-2"}, PageSize: 100}
	want := i.list(t, asked)
	same := func(t *testing.T, i *indexed) {
		t.Helper()
		i.until(t, 300)
		if diff := cmp.Diff(want, i.list(t, asked)); diff != "" {
			t.Errorf("(-before +after)\n%s", diff)
		}
	}
	file := filepath.Join(i.dir, "decisions.db")
	t.Run("removed while it is used", func(t *testing.T) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(10 * time.Millisecond) {
			if _, err := os.Stat(file); err == nil {
				break
			}
		}
		same(t, i)
	})
	t.Run("opened again", func(t *testing.T) {
		i.stop()
		i = w.index(cfg, i.dir)
		same(t, i)
	})
	t.Run("damaged while it was away", func(t *testing.T) {
		i.stop()
		if err := os.WriteFile(file, []byte(strings.Repeat("no database at all ", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
		i = w.index(cfg, i.dir)
		same(t, i)
	})
	t.Run("behind after it was away", func(t *testing.T) {
		i.stop()
		w.record(50)
		i = w.index(cfg, i.dir)
		i.until(t, 350)
		other := w.index(cfg, t.TempDir())
		other.until(t, 350)
		if diff := cmp.Diff(other.list(t, asked), i.list(t, asked)); diff != "" {
			t.Errorf("two instances differ (-one +other)\n%s", diff)
		}
	})
	t.Run("of another stream", func(t *testing.T) {
		i.stop()
		stream, err := w.js.Stream(t.Context(), bus.DecisionsStream)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.js.DeleteStream(t.Context(), bus.DecisionsStream); err != nil {
			t.Fatal(err)
		}
		if _, err := w.js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
			t.Fatal(err)
		}
		w.record(5)
		w.index(cfg, i.dir).until(t, 5)
	})
}

func TestAUserWhoWasDeletedIsFoundNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(100)
	i := w.index(index.DefaultConfig(), t.TempDir())
	i.until(t, 100)
	i.until(t, 15, "userID:eq:usr-1")
	w.publish(bus.EventsPrefix+".pro-1.usr-1.user-deleted", "{}")
	w.publish(bus.EventsPrefix+".pro-2.usr-1.user-deleted", "{}")
	i.until(t, 0, "userID:eq:usr-1")
	i.until(t, 85)
	w.record(20) // three of them are of the user's last calls
	i.until(t, 102)
	i.stop()
	w.index(index.DefaultConfig(), i.dir).until(t, 0, "userID:eq:usr-1")
}

func TestDecisionsAreFollowedWithoutAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(30)
	one, other := w.index(index.DefaultConfig(), t.TempDir()), w.index(index.DefaultConfig(), t.TempDir())
	one.until(t, 30)
	other.until(t, 30)
	now, err := one.FollowDecisions(t.Context(), asking(inquiry.DecisionsAfter{}))
	if err != nil || len(now.Decisions) != 0 || now.Position != 30 {
		t.Fatalf("%+v, %v", now, err)
	}
	w.record(250)
	var got []string
	at := now.Position
	for turn := 0; len(got) < 125; turn++ {
		from := []*indexed{one, other}[turn%2] // whoever answers
		found, err := from.FollowDecisions(t.Context(), asking(inquiry.DecisionsAfter{After: &at, Filter: []string{"allow:eq:true"}}))
		if err != nil || turn > 200 {
			t.Fatalf("%d are told, %v", len(got), err)
		}
		for _, d := range found.Decisions {
			var told operator.DecisionSummary
			if err := json.Unmarshal(d.Summary, &told); err != nil || !told.Allow || d.Position <= at {
				t.Errorf("%s, %v", d.Summary, err)
			}
			got = append(got, told.DecisionID)
			at = d.Position
		}
		at = found.Position
	}
	if !slices.IsSorted(got) || len(slices.Compact(got)) != 125 {
		t.Errorf("%d: %v", len(got), got)
	}
}

func TestTheRecordOfADecisionIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.record(3)
	i := w.index(index.DefaultConfig(), t.TempDir())
	i.until(t, 3)
	newest := i.list(t, service.List{}).Decisions[0]
	if newest.UserID == nil {
		t.Fatalf("%+v", newest)
	}
	got, err := i.GetDecision(t.Context(), asking(ident.DecisionID("dec-1795348800000123456789012")))
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 404 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnIndexThatIsOffSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.index(index.Config{MaxSize: 1 << 30}, t.TempDir())
	_, err := i.ListDecisions(t.Context(), asking(service.List{}))
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != 503 || !strings.Contains(f.Details, "decision_index is off") {
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(i.dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
