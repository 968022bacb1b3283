package study_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/scenario"
	"github.com/keyward/keyward/services/decision/study"
)

// Storing an object may leave this goroutine of the client behind.
const forgotten = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(forgotten)) }

// nobody has no history.
type nobody struct{}

func (nobody) Read(context.Context, ident.ProjectID, ident.UserID, string) (event.Reading, error) {
	return event.Reading{}, nil
}

func (nobody) Offers(context.Context, ident.ProjectID, ident.UserID, ...string) ([]event.Event, error) {
	return nil, nil
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// decided has a decision recorded: a Mac asks in a private window whether it may make a passkey.
func decided(t *testing.T, b *bus.Bus) service.AppendVerdict {
	t.Helper()
	cfg := decision.DefaultConfig()
	cfg.EvalTimeout = time.Minute // what is slow on a busy machine is not the policy
	svc, err := decision.New(
		cfg, decision.Deps{Events: nobody{}, JS: b.JS, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()},
	)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	yes := true
	verdict, err := svc.Append(t.Context(), service.AppendQuestion{Question: service.Question{
		Project: "pro-1", Account: &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive}, Process: "visit",
		Environment: service.Environment{ID: "env-1", Known: true},
		Client: rest.ClientInformation{
			RemoteAddress: "203.0.113.10", PrivateMode: &yes, UserVerifyingPlatformAuthenticatorAvailable: &yes,
			UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return verdict
}

// pushed puts a revision of the default policy into the store, in which private windows are no reason to offer nothing.
func pushed(t *testing.T, b *bus.Bus) int {
	t.Helper()
	files := policiestest.Files(t)
	files[".manifest"] = &fstest.MapFile{Data: fmt.Appendf(nil, `{"revision": "bold", "rego_version": 1, "roots": [""]}`)}
	changed := 0
	for name, file := range files {
		if edited := strings.ReplaceAll(string(file.Data), "input.client.privateMode == true", "false"); edited != string(file.Data) {
			files[name] = &fstest.MapFile{Data: []byte(edited)}
			changed++
		}
	}
	if changed == 0 {
		t.Fatal("no rule asks for private windows")
	}
	read, err := bundlefile.Read(files)
	if err != nil {
		t.Fatal(err)
	}
	store, err := release.Open(t.Context(), b.JS)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := store.Push(t.Context(), release.Revision{Name: "bold", Message: "private windows are welcome"}, read)
	if err != nil {
		t.Fatal(err)
	}
	return kept.Number
}

// judged asks until the decision is recorded.
func judged(t *testing.T, s *study.Study, asked inquiry.Judge) operator.DecisionExplanation {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-again.C {
		told, err := s.Judge(t.Context(), service.ForOperator[inquiry.Judge]{Body: asked})
		if err == nil {
			return told
		}
		if f := fault.As(err); f.Status != http.StatusNotFound || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestADecisionIsExplainedAndJudgedByOtherFactsAndRevisions(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	verdict := decided(t, b)
	s, err := study.New(t.Context(), b.JS, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	was := judged(t, s, inquiry.Judge{Decision: verdict.Decision})
	if was.Allow || was.Row != verdict.Rule || was.Same == nil || !*was.Same || was.Title == "" || was.Reason == "" {
		t.Fatalf("as it was: %+v, decided %+v", was, verdict)
	}
	if last := was.Rows[len(was.Rows)-1]; !last.Answered || last.Row != was.Row || len(was.Rows) < 2 || was.Rows[0].Answered {
		t.Errorf("rows: %+v", was.Rows)
	}
	if was.Facts[0].Path != "client.privateMode" || was.Facts[0].Value != "true" {
		t.Errorf("facts: %+v", was.Facts)
	}
	for _, fact := range was.Facts {
		if fact.Source == nil || fact.Source.Text == "" {
			t.Errorf("%s comes from nowhere", fact.Path)
		}
	}
	if from := was.Facts[0].Source; from != nil && from.Kind != operator.ExplainedSourceKindClient {
		t.Errorf("whether a window is private is said to come from %+v", from)
	}
	seen := judged(t, s, inquiry.Judge{Decision: verdict.Decision, Facts: map[string]any{"client.privateMode": false}})
	if !seen.Allow || *seen.Same || seen.PolicyRevision != was.PolicyRevision {
		t.Errorf("in a window that is not private: %+v", seen)
	}
	number := pushed(t, b)
	bold := judged(t, s, inquiry.Judge{Decision: verdict.Decision, Revision: number})
	if !bold.Allow || bold.PolicyRevision != "bold" {
		t.Errorf("by another revision: %+v", bold)
	}
	with := func(path string, value any) inquiry.Judge {
		return inquiry.Judge{Decision: verdict.Decision, Facts: map[string]any{path: value}}
	}
	for name, c := range map[string]struct {
		asked  inquiry.Judge
		status int
	}{
		"a decision that there is not":  {inquiry.Judge{Decision: "dec-1"}, http.StatusNotFound},
		"a revision that there is not":  {inquiry.Judge{Decision: verdict.Decision, Revision: number + 1}, http.StatusNotFound},
		"a fact that no rule can read":  {with("client.mood", "good"), http.StatusBadRequest},
		"a path through what is no map": {with("client.privateMode.x", 1), http.StatusBadRequest},
		"a value of another kind":       {with("client.privateMode", "yes"), http.StatusBadRequest},
	} {
		if _, err := s.Judge(t.Context(), service.ForOperator[inquiry.Judge]{Body: c.asked}); err == nil || fault.As(err).Status != c.status {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADecisionIsWrittenDownAsAScenario(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	verdict := decided(t, b)
	s, err := study.New(t.Context(), b.JS, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	judged(t, s, inquiry.Judge{Decision: verdict.Decision}) // it is recorded
	written, err := s.DraftScenario(t.Context(), service.ForOperator[ident.DecisionID]{Body: verdict.Decision})
	if err != nil {
		t.Fatal(err)
	}
	suite, err := scenario.Parse(written.File, []byte(written.Text))
	if err != nil || suite.Len() != 1 || !strings.Contains(written.Text, verdict.Rule) || strings.Contains(written.Text, "usr-1\"") {
		t.Errorf("%v\n%s", err, written.Text)
	}
	_, err = s.DraftScenario(t.Context(), service.ForOperator[ident.DecisionID]{Body: "dec-1"})
	if f := fault.As(err); err == nil || f.Status != http.StatusNotFound {
		t.Errorf("a decision that there is not: %v", err)
	}
}

func TestARevisionIsTriedOnWhatWasDecided(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	verdict := decided(t, b)
	s, err := study.New(t.Context(), b.JS, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	judged(t, s, inquiry.Judge{Decision: verdict.Decision}) // it is recorded
	number := int32(pushed(t, b))
	told, err := s.ReplayPolicy(t.Context(), service.ForOperator[operator.PolicyReplayReq]{Body: operator.PolicyReplayReq{Revision: number}})
	if err != nil {
		t.Fatal(err)
	}
	if told.Decisions != 1 || told.Different != 1 || len(told.Changes) != 1 || told.Changes[0].From != verdict.Rule ||
		told.Changes[0].Examples[0].DecisionID != string(verdict.Decision) {
		t.Errorf("%+v", told)
	}
	_, err = s.ReplayPolicy(t.Context(), service.ForOperator[operator.PolicyReplayReq]{Body: operator.PolicyReplayReq{Revision: number + 1}})
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != http.StatusNotFound {
		t.Errorf("a revision that there is not: %v", err)
	}
}
