package decision_test

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/record"
)

func TestDecisionsAreRecorded(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, js: b.JS, registry: registry, events: fakeEvents{events: factstest.BusyHistory(noon, 20)}})
	stop := run(t, svc)
	q := factstest.BusyUser(noon)
	q.RequestID = "req-7"
	v := login(t, svc, q)
	nobody := q
	nobody.Account = nil
	unknown := login(t, svc, nobody)
	stop()

	stream, err := b.JS.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	message, err := stream.GetLastMsgForSubject(t.Context(), "passkey.decisions.pro-1.usr-1.login")
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]string{}
	for name, values := range message.Header {
		headers[name] = values[0]
	}
	// A direct get adds where the message was found.
	for _, added := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} {
		delete(headers, added)
	}
	want := map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              string(v.Decision),
		"ce-source":          "/keyward/projects/pro-1",
		"ce-type":            "keyward.decision.login",
		"ce-subject":         "usr-1",
		"ce-time":            "2026-11-22T12:00:00.000Z",
		"content-type":       "application/json",
		"ce-datacontenttype": "application/json",
	}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
	var kept record.Record
	if err := json.Unmarshal(message.Data, &kept); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Rule, Route string
		Hints       []string
	}
	if err := json.Unmarshal(
		kept.Answer, &answer,
	); err != nil || answer.Rule != "L6" || answer.Route != "local" ||
		!slices.Equal(answer.Hints, v.Hints) {
		t.Errorf("answer %s, %v", kept.Answer, err)
	}
	if kept.ID != v.Decision || kept.RequestID != "req-7" || kept.Rule != "L6" || !kept.Allow ||
		kept.PolicyRevision != v.PolicyRevision ||
		kept.PolicyHash == "" ||
		!kept.Time.Equal(noon) {
		t.Errorf("kept %+v", kept)
	}
	if f := kept.Facts; f == nil || f.Credentials.Total != 3 || f.Pair.LastRoute != event.Local || f.Strategy != "standard" {
		t.Errorf("facts %+v", f)
	}
	if _, err := stream.GetLastMsgForSubject(t.Context(), "passkey.decisions.pro-1._.login"); err != nil {
		t.Errorf("decision %s about nobody: %v", unknown.Decision, err)
	}
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 0 {
		t.Errorf("%v decisions were lost", got)
	}
}

func TestWhatWaitsIsRecordedOnShutdown(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, js: b.JS, registry: registry})
	const decisions = 300
	for range decisions {
		login(t, svc, factstest.BusyUser(noon))
	}
	run(t, svc)()
	stream, err := b.JS.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != decisions || counter(t, registry, "keyward_decisions_lost_total") != 0 {
		t.Errorf("%d of %d were recorded, %v lost", info.State.Msgs, decisions, counter(t, registry, "keyward_decisions_lost_total"))
	}
	login(t, svc, factstest.BusyUser(noon))
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 1 {
		t.Errorf("after shutdown %v are lost, not 1", got)
	}
}

func TestAFullQueueLosesRecordsAndNeverDelaysAnswers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, registry: registry, cfg: decision.Config{RecordQueue: 3}})
	for range 5 {
		if v := login(t, svc, factstest.BusyUser(noon)); !v.Allow {
			t.Errorf("%+v", v)
		}
	}
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 2 {
		t.Errorf("%v are lost, not 2", got)
	}
}

func TestAStreamThatIsAwayLosesRecords(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	if err := b.JS.DeleteStream(t.Context(), bus.DecisionsStream); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, js: b.JS, registry: registry})
	stop := run(t, svc)
	login(t, svc, factstest.BusyUser(noon))
	stop()
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 1 {
		t.Errorf("%v are lost, not 1", got)
	}
}

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
