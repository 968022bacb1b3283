package record

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/shadow"
)

func TestARecordIsWrittenAsEncodingJSONDoes(t *testing.T) {
	t.Parallel()
	text := rapid.SampledFrom([]string{"", "plain", "ü \"<", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		r := &Record{Facts: factstest.Facts().Draw(t, "facts"), Judgement: Judgement{
			Schema:  kept.Schema,
			ID:      ident.DecisionID(text.Draw(t, "id")),
			Time:    time.Unix(0, rapid.Int64Range(0, 4e18).Draw(t, "time")).UTC(),
			Project: ident.ProjectID(text.Draw(t, "project")),
			User: ident.UserID(
				text.Draw(t, "user"),
			),
			RequestID: ident.RequestID(text.Draw(t, "request")),
			Process:   text.Draw(t, "process"),
			Action:    text.Draw(t, "action"),
			PolicyRevision: text.Draw(
				t, "revision",
			),
			PolicyHash:   text.Draw(t, "hash"),
			PolicyNumber: rapid.IntRange(0, 1000).Draw(t, "number"),
			Arm:          rapid.SampledFrom([]*event.Arm{nil, {Side: event.Canary, Change: 3}}).Draw(t, "arm"),
			Shadow: rapid.SampledFrom([]*shadow.Answer{
				nil, {Change: 2, Number: 3, Same: true}, {Change: 2, Number: 3, Other: &release.Answer{Rule: "L1", Reasons: []string{"bot"}}},
			}).Draw(t, "shadow"),
			Rule:           text.Draw(t, "rule"),
			Tag:            rest.DecisionTag(text.Draw(t, "tag")),
			Allow:          rapid.Bool().Draw(t, "allow"),
			DurationMicros: rapid.Int64().Draw(t, "took"),
			Memoised:       rapid.Bool().Draw(t, "memoised"),
			Files:          rapid.MapOfN(text, text, 0, 3).Draw(t, "files"),
		}}
		if rapid.Bool().Draw(t, "asked about a user") {
			q := factstest.BusyUser(time.UnixMilli(1e12))
			r.Question = kept.Keep(&q.Question, nil)
			r.Question.Read = kept.NewRead(event.NewSet(factstest.BusyHistory(time.UnixMilli(1e12), 3)), nil, "")
		}
		if rapid.Bool().Draw(t, "outlined") {
			r.Outline = &outline.Said{
				OS: text.Draw(t, "os"), Browser: text.Draw(t, "browser"), Device: text.Draw(t, "device"), Route: text.Draw(t, "route"),
				Kind: text.Draw(t, "kind"), Reasons: rapid.SliceOfN(text, 0, 3).Draw(t, "reasons"), Verdict: text.Draw(t, "verdict"),
				Level: text.Draw(t, "level"),
			}
		}
		if rapid.Bool().Draw(t, "answered") {
			r.Answer = json.RawMessage(`{"rule":"L1","hints":["a"]}`)
		}
		want, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		got := r.appendJSON(nil)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("(-encoding/json +by hand)\n%s", diff)
		}
		var back Record
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(back.appendJSON(nil))); diff != "" {
			t.Fatalf("decoded and written again\n%s", diff)
		}
	})
}

func TestTheMessageOfADecisionCarriesTheTraceOfItsCallOn(t *testing.T) {
	t.Parallel()
	of := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	into := &nats.Msg{} // for all, as a flow has it
	for _, c := range []struct {
		want string
		of   context.Context
	}{
		{"", t.Context()},
		{"00-01000000000000000000000000000000-0200000000000000-01", trace.ContextWithSpanContext(t.Context(), of)},
		{"", t.Context()},
	} {
		r := &Record{Facts: &facts.Facts{}, Trace: span.Parent(c.of)}
		r.render(into)
		if got := into.Header.Get("traceparent"); got != c.want {
			t.Errorf("traceparent %q, not %q", got, c.want)
		}
	}
}

// BenchmarkRecord makes the message of a decision.
func BenchmarkRecord(b *testing.B) {
	facts := &facts.Facts{Complete: true, Account: "active", Strategy: "standard", AccountFacts: &facts.AccountFacts{
		Experiments: facts.Assignments{{Experiment: facts.DeviceLocalPasskey, Arm: facts.Control}},
	}}
	asked := factstest.BusyUser(time.Now())
	r := &Record{Question: kept.Keep(&asked.Question, nil), Facts: facts, Judgement: Judgement{
		Schema:         kept.Schema,
		ID:             ident.NewDecisionID(time.Now()),
		Time:           time.Now().UTC(),
		Project:        "pro-1234567890123456789",
		User:           "usr-1234567890123456789",
		RequestID:      "req-1234567890123456789",
		Process:        "4a7f2c5d-5f0e-4a8b-9d55-2d8c1d3c8a11",
		Action:         "login",
		PolicyRevision: "0123456789ab",
		PolicyHash:     "0123456789ab",
		Rule:           "L13",
		Tag:            rest.DecisionTagUserEnvNoPks,
	}, Answer: json.RawMessage(
		`{"allow":false,"credentials":[],"hints":[],"isCDACandidate":false,"preferImmediatelyAvailable":false,"route":"","rule":"L13",` +
			`"tag":"user-env-no-pks"}`,
	)}
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		into := &nats.Msg{}
		for b.Loop() {
			r.render(into)
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
