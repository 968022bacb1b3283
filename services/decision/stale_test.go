package decision_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// stampedEvents vouches for accounts with the stamp now.
type stampedEvents struct {
	fakeEvents
	now string
}

func (s stampedEvents) Read(_ context.Context, _ ident.ProjectID, _ ident.UserID, stamp string) (event.Reading, error) {
	return event.Reading{Events: event.NewSet(s.events), AccountStamp: s.now, AccountStale: stamp != "" && stamp != s.now}, s.err
}

func TestAQuestionWithAnAccountOutOfDateIsNotJudged(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc, err := decision.New(decision.Config{EvalTimeout: time.Minute}, decision.Deps{
		Events: stampedEvents{
			fakeEvents: fakeEvents{events: factstest.BusyHistory(noon, 20)}, now: "b",
		},
		JS:       noStream{},
		Now:      func() time.Time { return noon },
		Log:      slog.New(slog.DiscardHandler),
		Registry: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	q := factstest.BusyUser(noon)
	q.AccountStamp = "a"
	loginVerdict := login(t, svc, q)
	if diff := cmp.Diff(service.LoginVerdict{Verdict: service.Verdict{Stale: true, AccountStamp: "b"}}, loginVerdict); diff != "" {
		t.Error(diff)
	}
	appendVerdict, err := svc.Append(t.Context(), service.AppendQuestion{Question: q.Question})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(service.AppendVerdict{Verdict: service.Verdict{Stale: true, AccountStamp: "b"}}, appendVerdict); diff != "" {
		t.Error(diff)
	}
	if n, err := testutil.GatherAndCount(registry, "keyward_decisions_total"); err != nil || n != 0 {
		t.Errorf("%d decisions were counted, %v", n, err)
	}
	for _, stamp := range []string{"", "b"} {
		q.AccountStamp = stamp
		if v := login(t, svc, q); v.Stale || v.AccountStamp != "b" || v.Rule == "" {
			t.Errorf("with stamp %q: stale %v, stamp %q, rule %q", stamp, v.Stale, v.AccountStamp, v.Rule)
		}
	}
}

// stalled never answers.
type stalled struct{ fakeEvents }

func (stalled) Read(ctx context.Context, _ ident.ProjectID, _ ident.UserID, _ string) (event.Reading, error) {
	<-ctx.Done()
	return event.Reading{}, ctx.Err()
}

func TestAHistoryThatCannotBeReadInTimeIsAnsweredBySafeDefaultWhileTheCallerWaits(t *testing.T) {
	t.Parallel()
	config := decision.Config{EvalTimeout: time.Minute, LookupTimeout: 10 * time.Millisecond}
	d := deps(serviceOptions{now: noon})
	d.Events = stalled{}
	svc, err := decision.New(config, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	v, err := svc.Append(ctx, service.AppendQuestion{Question: factstest.BusyUser(noon).Question})
	if err != nil || v.Allow || v.Rule != "A0" || ctx.Err() != nil {
		t.Errorf("allow %v by %s, %v", v.Allow, v.Rule, err)
	}
}
