package workbench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/record"
	"github.com/keyward/keyward/services/decision/workbench"
)

func (b *bench) canary(ctx context.Context, by service.Operator, q operator.PolicyCanaryReq) (operator.PolicyChange, error) {
	return b.SteerCanary(ctx, service.ForOperator[operator.PolicyCanaryReq]{Operator: by, Body: q})
}

func (b *bench) shadow(ctx context.Context, by service.Operator, q operator.PolicyShadowReq) (operator.PolicyChange, error) {
	return b.SteerShadow(ctx, service.ForOperator[operator.PolicyShadowReq]{Operator: by, Body: q})
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// asks about a login of a user.
func login(user string) service.LoginQuestion {
	return service.LoginQuestion{Question: service.Question{
		Project: "pro-1", Account: &account.Account{ID: ident.UserID(user), Status: account.StatusActive}, Client: rest.ClientInformation{},
		Sighted: &event.Sighted{User: "t-" + user},
	}}
}

func TestACanaryJudgesItsShareAndTheEndOfACeremonyIsJudgedAsItsStart(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, rowed(t, "r1"))
	b.push(t, ada, rowed(t, "r2"))
	b.live(t, ada, 1)
	running := []*decision.Service{b.instance(t, nil), b.instance(t, nil)}
	share := 0.3
	begun := must[operator.PolicyChange](t)(b.canary(t.Context(), ada, operator.PolicyCanaryReq{
		Step: operator.PolicyCanaryReqStepBegin, Revision: new(int32(2)), Share: &share, Users: &[]string{"usr-7"},
	}))
	if begun.Revision != 1 || begun.Canary == nil || begun.Canary.Revision != 2 || begun.Canary.Share != share {
		t.Fatalf("%+v", begun)
	}
	for _, svc := range running {
		eventually(t, "the canary is taken up", func() bool { return side(t, svc, "usr-7") == event.Canary })
	}
	const users = 300
	tried := 0
	for i := range users {
		user := fmt.Sprint("usr-", i+100)
		first := side(t, running[0], user)
		if first != side(t, running[1], user) {
			t.Fatalf("%s is on two sides", user)
		}
		if first == event.Canary {
			tried++
		}
	}
	if tried < users/5 || tried > users*2/5 {
		t.Errorf("%d of %d are judged by the canary", tried, users)
	}
	v := must[service.LoginVerdict](t)(running[0].Login(t.Context(), login("usr-7")))
	if v.PolicyRevision != "r2" || v.PolicyNumber != 2 {
		t.Errorf("judged by %s, number %d", v.PolicyRevision, v.PolicyNumber)
	}
	// The canary ends while the user's ceremony is under way.
	must[operator.PolicyChange](t)(b.canary(t.Context(), ada, operator.PolicyCanaryReq{Step: operator.PolicyCanaryReqStepEnd}))
	for _, svc := range running {
		eventually(t, "the canary is over", func() bool { return side(t, svc, "usr-7") == "" })
	}
	q := login("usr-7")
	end := service.FinishQuestion{Question: q.Question, Arm: v.Arm, StartedMs: time.Now().UnixMilli(), Login: &service.FinishedLogin{}}
	end.Account.Credentials = []account.Credential{{ID: "cre-1"}}
	end.Passkey = end.Account.Credentials[0]
	if ended := must[service.Verdict](t)(running[1].Finish(t.Context(), end)); ended.PolicyRevision != "r2" || ended.Arm.Side != event.Canary {
		t.Errorf("what began by r2 ended by %s", ended.PolicyRevision)
	}
}

// metric is what a registry has of a metric with the values of labels, by the labels' names; 0 if it has none.
func metric(t *testing.T, of prometheus.Gatherer, name, labels string) float64 {
	t.Helper()
	for _, family := range must[[]*dto.MetricFamily](t)(of.Gather()) {
		for _, m := range family.GetMetric() {
			var values []string
			for _, label := range m.GetLabel() {
				values = append(values, label.GetValue())
			}
			if family.GetName() == name && strings.Join(values, " ") == labels {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// side is on which side a user is judged; empty = there is no canary.
func side(t testing.TB, svc *decision.Service, user string) event.Side {
	t.Helper()
	v, err := svc.Login(t.Context(), login(user))
	if err != nil {
		t.Fatal(err)
	}
	if v.Arm == nil {
		return ""
	}
	return v.Arm.Side
}

// errs is the default bundle that has two answers to one kind of question, which none of its own tests asks.
func errs(t *testing.T, name string) bundlefile.Files {
	t.Helper()
	return revised(t, name, func(files fstest.MapFS) {
		rule := "\n\n# METADATA\n# title: Two answers\n# scope: rule\n# custom:\n#   row: M9\n" +
			"decision := deny(\"M9\", \"default-deny\") if input.client.privateMode == true\n"
		files["mediation/mediation.rego"].Data = append(files["mediation/mediation.rego"].Data, rule...)
	})
}

// slow is the default bundle that does not come to an end in a private window.
func slow(t *testing.T, name string) bundlefile.Files {
	t.Helper()
	return revised(t, name, func(files fstest.MapFS) {
		rego := files["mediation/mediation.rego"]
		rego.Data = bytes.Replace(rego.Data, []byte("\ndefault_deny if not input.complete\n"), []byte(
			"\ndefault_deny if {\n\tinput.client.privateMode == true\n\tcount([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0\n}\n\n"+
				"default_deny if not input.complete\n",
		), 1)
	})
}

// A busy machine is no mistake in a policy: an evaluation that ran out of time is a slow one.
func TestACanaryThatRunsOutOfTimeIsAnsweredForByWhatIsLiveAndIsSlowNotWrong(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, revised(t, "r1", nil))
	b.push(t, ada, slow(t, "r2"))
	b.live(t, ada, 1)
	const limit = 2 * time.Second
	svc := b.instance(t, func(cfg *decision.Config, _ *decision.Deps) { cfg.EvalTimeout = limit })
	share := 1.0
	must[operator.PolicyChange](t)(b.canary(t.Context(), ada, operator.PolicyCanaryReq{
		Step: operator.PolicyCanaryReqStepBegin, Revision: new(int32(2)), Share: &share,
	}))
	eventually(t, "the canary is taken up", func() bool { return side(t, svc, "usr-1") == event.Canary })
	late := must[service.Verdict](t)(svc.Mediation(t.Context(), mediation("prc-1", true)))
	if late.PolicyRevision != "r1" || late.Rule == "default" || late.Arm == nil || late.Arm.Side != event.Base {
		t.Errorf("what takes too long is not answered by what is live: %+v", late)
	}
	var found operator.PolicyCanary
	eventually(t, "the evaluation is not counted", func() bool {
		found = must[operator.PolicyCanary](t)(b.GetCanary(t.Context(), service.ForOperator[service.Empty]{Operator: ada}))
		return found.Canary.P99Ms >= float64(limit.Milliseconds())*0.8
	})
	if found.Canary.Errors != 0 || side(t, svc, "usr-1") != event.Canary {
		t.Errorf("it counts as a mistake of the policy: %+v", found.Canary)
	}
}

// mediation asks in a journey; in a private window it is the question that errs.
func mediation(process string, private bool) service.Question {
	return service.Question{Project: "pro-1", Process: process, Client: rest.ClientInformation{PrivateMode: &private}}
}

func TestACanaryThatErrsIsReturnedFromWithinASecondAndCostsNobodyAnAnswer(t *testing.T) {
	t.Parallel()
	var told recorded
	b := open(t, workbench.Config{})
	b.push(t, ada, revised(t, "r1", nil))
	b.push(t, ada, errs(t, "r2"))
	b.live(t, ada, 1)
	var registries []prometheus.Gatherer
	watched := func(_ *decision.Config, d *decision.Deps) {
		d.Audit = &told
		registries = append(registries, d.Registry.(prometheus.Gatherer))
	}
	running := []*decision.Service{b.instance(t, watched), b.instance(t, watched)}
	share := 1.0
	must[operator.PolicyChange](t)(b.canary(t.Context(), ada, operator.PolicyCanaryReq{
		Step: operator.PolicyCanaryReqStepBegin, Revision: new(int32(2)), Share: &share,
	}))
	for _, svc := range running {
		eventually(t, "the canary is taken up", func() bool { return side(t, svc, "usr-1") == event.Canary })
	}
	sound := must[service.Verdict](t)(running[0].Mediation(t.Context(), mediation("prc-1", false)))
	if sound.PolicyRevision != "r2" || sound.Arm.Side != event.Canary {
		t.Fatalf("%+v", sound)
	}
	for n := range 999 { // one in a thousand is what most who look at a rate would not see
		if v := must[service.Verdict](t)(running[0].Mediation(t.Context(), mediation(fmt.Sprint("prc-", n+2), false))); v.Rule == "default" {
			t.Fatalf("%+v", v)
		}
	}
	began := time.Now()
	failed := must[service.Verdict](t)(running[0].Mediation(t.Context(), mediation("prc-1", true)))
	if failed.PolicyRevision != "r1" || failed.Rule == "default" || failed.Arm == nil || failed.Arm.Side != event.Base {
		t.Errorf("what fails is not answered by what is live: %+v", failed)
	}
	for _, svc := range running {
		eventually(t, "the canary is over", func() bool { return side(t, svc, "usr-1") == "" })
	}
	returned := 0.0
	for _, r := range registries {
		returned += metric(t, r, "keyward_canary_returns_total", "")
	}
	first := registries[0] // that was asked
	decided := func(labels string) float64 { return metric(t, first, "keyward_canary_decisions_total", labels) }
	if decided("allowed canary")+decided("denied canary") < 2 || decided("allowed base")+decided("denied base") < 1 || returned != 1 ||
		metric(t, first, "keyward_policy_tried_share", "canary") != 0 {
		t.Errorf("metrics tell of %g returns, and of the first instance otherwise than it was", returned)
	}
	t.Logf("from the first error until no instance judges by the canary: %s", time.Since(began).Round(time.Millisecond))
	changes := must[operator.PolicyChangeList](t)(
		b.ListPolicyChanges(t.Context(), service.ForOperator[service.Empty]{Operator: ada}),
	).Changes
	if last := changes[0]; last.Kind != operator.PolicyChangeKindCanaryReturned || last.Revision != 1 || last.Canary != nil ||
		!strings.HasPrefix(*last.Reason, "policy errors: 1") || last.By.Name != "keyward" {
		t.Errorf("%+v", last)
	}
}

func TestACanaryThatCompletesFewerLoginsIsReturnedFromByAllInstancesTogether(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, rowed(t, "r1"))
	b.push(t, ada, rowed(t, "r2"))
	b.live(t, ada, 1)
	running := []*decision.Service{b.instance(t, nil), b.instance(t, nil)}
	share := 0.5
	must[operator.PolicyChange](t)(b.canary(t.Context(), ada, operator.PolicyCanaryReq{
		Step: operator.PolicyCanaryReqStepBegin, Revision: new(int32(2)), Share: &share,
		Bounds: &operator.PolicyBounds{SettleSeconds: new(int32(1)), P99FloorMs: new(1e6)},
	}))
	for _, svc := range running {
		eventually(t, "the canary is taken up", func() bool { return side(t, svc, "usr-1") != "" })
	}
	users := 0
	eventually(t, "the canary is over", func() bool {
		for range 50 {
			users++
			svc := running[users%len(running)]
			q := able(fmt.Sprint("usr-", users))
			v := must[service.LoginVerdict](t)(svc.Login(t.Context(), q))
			if v.Arm == nil {
				return true
			}
			if !v.Allow {
				t.Fatalf("nothing is offered: %s", v.Rule)
			}
			if v.Arm.Side == event.Canary && users%4 != 0 {
				continue // what the canary offers is aborted, as a rule
			}
			must[service.Verdict](t)(running[0].Finish(t.Context(), service.FinishQuestion{
				Question: q.Question, Passkey: q.Account.Credentials[0], Arm: v.Arm, StartedMs: time.Now().UnixMilli(),
				Login: &service.FinishedLogin{Route: event.Local},
			}))
		}
		return false
	})
	changes := must[operator.PolicyChangeList](t)(
		b.ListPolicyChanges(t.Context(), service.ForOperator[service.Empty]{Operator: ada}),
	).Changes
	if last := changes[0]; last.Kind != operator.PolicyChangeKindCanaryReturned || !strings.HasPrefix(*last.Reason, "completed: ") {
		t.Errorf("%s %s", last.Kind, *last.Reason)
	}
	t.Logf("%d logins, %s", users, *changes[0].Reason)
}

// able is a login of a user with a passkey, on a device that can use it.
func able(user string) service.LoginQuestion {
	q := factstest.BusyUser(time.Now())
	who := *q.Account
	who.ID = ident.UserID(user)
	q.Account, q.Project = &who, "pro-1"
	return q
}

// recorded keeps what is told.
type recorded struct {
	mu   sync.Mutex
	told []audit.Event
}

func (r *recorded) Add(_ context.Context, events ...audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, events...)
}

func TestStepsThatDoNotFitAreRefusedWithTheField(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{FourEyes: true})
	b.push(t, ada, rowed(t, "r1"))
	b.push(t, ada, rowed(t, "r2"))
	share, none := 0.5, 0.0
	begin := operator.PolicyCanaryReq{Step: operator.PolicyCanaryReqStepBegin, Revision: new(int32(2)), Share: &share}
	if _, err := b.canary(t.Context(), bob, begin); fault.As(err).Status != http.StatusConflict {
		t.Errorf("a canary before anything is live: %v", err)
	}
	b.live(t, bob, 1)
	refused := func(name string, by service.Operator, q operator.PolicyCanaryReq, status int, want string) {
		t.Helper()
		_, err := b.canary(t.Context(), by, q)
		if f := fault.As(err); f.Status != status || !strings.Contains(fmt.Sprint(f.Details, f.Validation), want) {
			t.Errorf("%s: %d %v", name, f.Status, err)
		}
	}
	refused("nobody is judged", bob, operator.PolicyCanaryReq{Step: begin.Step, Revision: begin.Revision, Share: &none}, 400, "share")
	refused("no revision", bob, operator.PolicyCanaryReq{Step: begin.Step, Share: &share}, 400, "revision")
	refused("an unknown revision", bob, operator.PolicyCanaryReq{Step: begin.Step, Revision: new(int32(9)), Share: &share}, 404, "revision")
	refused("what is live", bob, operator.PolicyCanaryReq{Step: begin.Step, Revision: new(int32(1)), Share: &share}, 409, "live already")
	refused("one's own revision", ada, begin, 403, "same operator")
	must[operator.PolicyChange](t)(b.canary(t.Context(), bob, begin))
	refused("a second canary", bob, begin, 409, "under way")
	refused("a smaller share", bob, operator.PolicyCanaryReq{Step: "raise", Share: &none}, 400, "share")
	refused("a raise to nothing", bob, operator.PolicyCanaryReq{Step: "raise"}, 400, "share")
	refused("bounds of a raise", bob, operator.PolicyCanaryReq{Step: "raise", Share: &share, Bounds: &operator.PolicyBounds{}}, 400, "bounds")
	refused("one's own promotion", ada, operator.PolicyCanaryReq{Step: "promote"}, 403, "same operator")
	refused("an older state", bob, operator.PolicyCanaryReq{Step: "hold", Expected: new(int32(1))}, 409, "expected")
	must[operator.PolicyChange](t)(b.canary(t.Context(), bob, operator.PolicyCanaryReq{Step: "hold"}))
	refused("a promotion of what is held", bob, operator.PolicyCanaryReq{Step: "promote"}, 409, "held")
	raised := must[operator.PolicyChange](t)(b.canary(t.Context(), bob, operator.PolicyCanaryReq{Step: "raise", Share: &share}))
	if raised.Canary.Held {
		t.Error("it is held still")
	}
	promoted := must[operator.PolicyChange](t)(b.canary(t.Context(), bob, operator.PolicyCanaryReq{Step: "promote"}))
	if promoted.Revision != 2 || promoted.Canary != nil || *promoted.Before != 1 {
		t.Errorf("%+v", promoted)
	}
	refused("the end of none", bob, operator.PolicyCanaryReq{Step: "end"}, 409, "no canary")
	if back := b.live(t, bob, 0); back.Revision != 1 || back.Kind != operator.PolicyChangeKindRollback {
		t.Errorf("a promotion is not taken back: %+v", back)
	}
}

func TestAShadowSaysWhereItWouldAnswerOtherwiseAndDecidesNothing(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.push(t, ada, rowed(t, "r1"))
	b.push(t, ada, rowed(t, "r2")) // other rows of mediations, and of nothing else
	b.live(t, ada, 1)
	registry := prometheus.NewRegistry()
	svc := b.instance(t, func(_ *decision.Config, d *decision.Deps) { d.Registry = registry })
	must[operator.PolicyChange](t)(b.shadow(t.Context(), ada, operator.PolicyShadowReq{Step: "begin", Revision: new(int32(2))}))
	eventually(t, "the shadow judges", func() bool {
		_, _ = svc.Login(t.Context(), login("usr-1"))
		seen, err := b.GetShadow(t.Context(), service.ForOperator[service.Empty]{Operator: ada})
		return err == nil && seen.Compared > 0
	})
	const mediations = 20
	for range mediations {
		v := must[service.Verdict](t)(svc.Mediation(t.Context(), service.Question{Project: "pro-1"}))
		if v.PolicyRevision != "r1" || v.Arm != nil || !strings.HasSuffix(v.Rule, "-r1") {
			t.Fatalf("the shadow decides: %+v", v)
		}
	}
	var seen operator.PolicyShadow
	eventually(t, "all are compared", func() bool {
		seen, _ = b.GetShadow(t.Context(), service.ForOperator[service.Empty]{Operator: ada})
		return seen.Different == mediations
	})
	d := seen.Differences[0]
	if d.Action != "mediation" || !strings.HasSuffix(d.Live.Row, "-r1") || !strings.HasSuffix(d.Shadow.Row, "-r2") || len(d.Examples) != 5 ||
		seen.Same != seen.Compared-mediations || seen.Failed != 0 || seen.Skipped != 0 {
		t.Errorf("%+v", seen)
	}
	if different, same := metric(t, registry, "keyward_shadow_decisions_total", "different"),
		metric(t, registry, "keyward_shadow_decisions_total", "same"); different != mediations || same < float64(seen.Same) ||
		metric(t, registry, "keyward_policy_tried_share", "shadow") != 1 {
		t.Errorf("metrics tell of %g that are different and %g that are the same", different, same)
	}
	record := b.record(t, d.Examples[0])
	if s := record.Shadow; s == nil || s.Same || s.Number != 2 || s.Other.Rule != d.Shadow.Row || record.Rule != d.Live.Row {
		t.Errorf("%+v", record)
	}
	must[operator.PolicyChange](t)(b.shadow(t.Context(), ada, operator.PolicyShadowReq{Step: "end"}))
	if _, err := b.shadow(t.Context(), ada, operator.PolicyShadowReq{Step: "end"}); fault.As(err).Status != http.StatusConflict {
		t.Errorf("it ends twice: %v", err)
	}
}

// record is that of a decision.
func (b *bench) record(t *testing.T, id string) *record.Record {
	t.Helper()
	stream := must[jetstream.Stream](t)(b.js.Stream(t.Context(), bus.DecisionsStream))
	info := must[*jetstream.StreamInfo](t)(stream.Info(t.Context()))
	for at := info.State.FirstSeq; at <= info.State.LastSeq; at++ {
		msg := must[*jetstream.RawStreamMsg](t)(stream.GetMsg(t.Context(), at))
		if msg.Header.Get("ce-id") != id {
			continue
		}
		var kept record.Record
		if err := json.Unmarshal(msg.Data, &kept); err != nil {
			t.Fatal(err)
		}
		return &kept
	}
	t.Fatalf("there is no kept of %s", id)
	return nil
}
