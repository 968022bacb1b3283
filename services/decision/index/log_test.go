package index_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"github.com/open-policy-agent/opa/v1/plugins/logs"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/services/decision/index"
)

// logged reads a page of the decision log by OPA's own type.
func (i *indexed) logged(t *testing.T, asked inquiry.DecisionLogAsked) []logs.EventV1 {
	t.Helper()
	page, err := i.LogDecisions(t.Context(), asking(asked))
	if err != nil {
		t.Fatal(err)
	}
	all := make([]logs.EventV1, len(page.Events))
	for n, raw := range page.Events {
		if err := json.Unmarshal(raw, &all[n]); err != nil {
			t.Fatalf("OPA cannot read %s: %v", raw, err)
		}
	}
	return all
}

func positions(all []logs.EventV1) []string {
	at := []string{}
	for _, e := range all {
		at = append(at, e.Custom["position"].(string))
	}
	return at
}

func TestARecordIsReadByOPAsOwnType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.index(index.Config{MaxSize: 1 << 30}, t.TempDir()) // it needs no index
	at := w.begin
	msg := nats.NewMsg(bus.DecisionsPrefix + ".pro-1.usr-1.login")
	msg.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	msg.Data = []byte(`{"schema":2,"id":"dec-7","time":"` + at.Format(time.RFC3339Nano) + `","project":"pro-1","user":"usr-1",` +
		`"process":"p-1","requestID":"req-1","action":"login",` +
		`"policyRevision":"r1","policyHash":"h","rule":"L4","tag":"user-positive","allow":true,` +
		`"durationMicros":7,"memoised":true,"arm":{"side":"canary","change":3},"shadow":{"change":4,"number":9,"same":true},` +
		`"files":{"bad":"0a"},"question":null,"facts":{"user":{"big":9007199254740993}},` +
		`"answer":{"rule":"L4","allow":true},"risk":{"verdict":"allow"},"enforced":true}`)
	if _, err := w.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	w.publish(bus.DecisionsPrefix+".pro-1.usr-1.append", `{`) // what cannot be read does not end the log
	w.publish(bus.DecisionsPrefix+".pro-1._.append", `{"id":"dec-8",`+
		`"time":"`+at.Format(time.RFC3339Nano)+`","project":"pro-1",`+
		`"action":"append","policyRevision":"r1","rule":"switch:no-ios","tag":"switched-off","allow":false,"durationMicros":5,"facts":{},`+
		`"answer":null}`)
	got := i.logged(t, inquiry.DecisionLogAsked{Limit: 10})
	var input, result any = map[string]any{"user": map[string]any{"big": 9007199254740993.0}}, map[string]any{"rule": "L4", "allow": true}
	var empty any = map[string]any{}
	labels := map[string]string{"id": "keyward", "version": "1.2.3"}
	bundles := map[string]logs.BundleInfoV1{"keyward": {Revision: "r1"}}
	want := []logs.EventV1{{
		Labels: labels, Bundles: bundles, DecisionID: "dec-7", Path: "keyward/login/decision", Input: &input, Result: &result, Timestamp: at,
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7", Metrics: map[string]any{"timer_server_handler_ns": 7000.0},
		Custom: map[string]any{
			"position": "1", "project": "pro-1", "user": "usr-1", "process": "p-1", "requestID": "req-1", "rule": "L4", "tag": "user-positive",
			"allow": true, "memoised": true, "files": map[string]any{"bad": "0a"}, "risk": map[string]any{"verdict": "allow"}, "enforced": true,
			"arm":    map[string]any{"side": "canary", "change": 3.0},
			"shadow": map[string]any{"change": 4.0, "number": 9.0, "same": true},
		},
	}, {
		Labels: labels, Bundles: bundles, DecisionID: "dec-8", Path: "keyward/append/decision", Input: &empty, Timestamp: at,
		Metrics: map[string]any{"timer_server_handler_ns": 5000.0},
		Custom: map[string]any{
			"position": "3", "project": "pro-1", "rule": "switch:no-ios", "tag": "switched-off", "allow": false,
		},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(logs.EventV1{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	page, err := i.LogDecisions(t.Context(), asking(inquiry.DecisionLogAsked{Limit: 1}))
	if err != nil || !strings.Contains(string(page.Events[0]), `"big":9007199254740993`) {
		t.Errorf("a number is another one: %s, %v", page.Events, err)
	}
}

func TestTheDecisionLogIsReadPageByPageWithoutAGap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.index(index.Config{MaxSize: 1 << 30}, t.TempDir())
	if got := i.logged(t, inquiry.DecisionLogAsked{Limit: 10}); len(got) != 0 {
		t.Errorf("of none there are %v", positions(got))
	}
	w.record(600)
	stream, err := w.js.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 300); err != nil { // as if its user had been deleted
		t.Fatal(err)
	}
	moment := func(sequence uint64) time.Time {
		msg, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		return msg.Time
	}
	var all []string
	for asked := (inquiry.DecisionLogAsked{Limit: 250}); ; {
		got := positions(i.logged(t, asked))
		if len(got) == 0 {
			break
		}
		all = append(all, got...)
		asked.After, _ = strconv.ParseUint(all[len(all)-1], 10, 64)
	}
	if len(all) != 599 || slices.Contains(all, "300") || all[0] != "1" || all[598] != "600" {
		t.Errorf("%d: %v", len(all), all)
	}
	for name, c := range map[string]struct {
		asked       inquiry.DecisionLogAsked
		first, last string
	}{
		"since a record":              {inquiry.DecisionLogAsked{Since: moment(400)}, "400", "600"},
		"until a record":              {inquiry.DecisionLogAsked{Until: moment(400)}, "1", "399"},
		"after, of what came later":   {inquiry.DecisionLogAsked{After: 10, Since: moment(400)}, "400", "600"},
		"after what came later":       {inquiry.DecisionLogAsked{After: 500, Since: moment(400)}, "501", "600"},
		"between":                     {inquiry.DecisionLogAsked{Since: moment(400), Until: moment(410)}, "400", "409"},
		"after one that was erased":   {inquiry.DecisionLogAsked{After: 300}, "301", "600"},
		"before everything":           {inquiry.DecisionLogAsked{Until: w.begin}, "", ""},
		"since later than everything": {inquiry.DecisionLogAsked{Since: time.Now().Add(time.Hour)}, "", ""},
		"after everything":            {inquiry.DecisionLogAsked{After: 600}, "", ""},
	} {
		c.asked.Limit = 1000
		got := append(positions(i.logged(t, c.asked)), "")
		if got[0] != c.first || len(got) > 1 && got[len(got)-2] != c.last {
			t.Errorf("%s: %v", name, got)
		}
	}
	for field, asked := range map[string]inquiry.DecisionLogAsked{
		"until": {Since: w.begin.Add(time.Second), Until: w.begin, Limit: 1},
		"after": {After: 601, Limit: 1},
	} {
		_, err := i.LogDecisions(t.Context(), asking(asked))
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != 400 || f.Validation[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestAnAnswerOfTheDecisionLogIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.index(index.Config{MaxSize: 1 << 30}, t.TempDir())
	facts := strings.Repeat("x", 900_000)
	for n := range 5 {
		w.publish(bus.DecisionsPrefix+".pro-1._.login", `{"id":"dec-`+strconv.Itoa(n)+`","action":"login","facts":"`+facts+`"}`)
	}
	asked := inquiry.DecisionLogAsked{Limit: 10}
	first := positions(i.logged(t, asked))
	asked.After = 2
	if second := positions(i.logged(t, asked)); len(first) != 2 || !slices.Equal(second, []string{"3", "4"}) {
		t.Errorf("%v, %v", first, second)
	}
}
