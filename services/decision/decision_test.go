package decision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// eventually waits until the condition holds. What it waits for comes from other goroutines and, in part, from the file system.
func eventually(t *testing.T, what string, within time.Duration, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s", what, within)
		case <-tick.C:
		}
	}
}

// run starts the service and stops it when the test ends.
func run(t *testing.T, svc *decision.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	owned.Go(func() {
		if err := svc.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); owned.Wait() }
	t.Cleanup(stop)
	return stop
}

func login(t *testing.T, svc service.Decision, q service.LoginQuestion) service.LoginVerdict {
	t.Helper()
	v, err := svc.Login(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestHistoryThatCannotBeReadMakesFactsIncomplete(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, registry: registry, events: fakeEvents{err: errors.New("the log is away")}})
	q := busyUser(noon)
	if v := login(t, svc, q); v.Allow || v.Rule != "L0" || v.Tag != rest.DecisionTagDefaultDeny || len(v.AllowCredentials) != 0 {
		t.Errorf("login: %+v", v)
	}
	v, err := svc.Append(t.Context(), service.AppendQuestion{Question: q.Question})
	if err != nil || v.Allow || v.Rule != "A0" || v.Reason != "data_incomplete" {
		t.Errorf("append: %+v, %v", v, err)
	}
	if got := counter(t, registry, "keyward_decision_lookup_failures_total"); got != 2 {
		t.Errorf("counted %v failures", got)
	}
}

func TestAccountsThatAreNotActiveGetNothing(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	for _, status := range []rest.UserStatus{rest.UserStatusDisabled, rest.UserStatusPending} {
		q := busyUser(noon)
		q.Account.Status = status
		if v := login(t, svc, q); v.Allow || v.Rule != "L0" {
			t.Errorf("%s: %+v", status, v)
		}
	}
}

func TestAnUnknownUserIsToldNoMoreThanOneWithoutPasskeys(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	empty, nobody := busyUser(noon), busyUser(noon)
	empty.Account.Credentials, nobody.Account = nil, nil
	a, b := login(t, svc, empty), login(t, svc, nobody)
	a.Decision, b.Decision = "", ""
	if diff := cmp.Diff(a, b); diff != "" || a.Rule != "L3" {
		t.Errorf("rule %s, difference:\n%s", a.Rule, diff)
	}
}

func TestMediation(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	yes := true
	for name, tc := range map[string]struct {
		change func(*service.Question)
		rule   string
		allow  bool
	}{
		"a capable browser":         {func(*service.Question) {}, "M4", true},
		"no WebAuthn":               {func(q *service.Question) { q.Client = rest.ClientInformation{} }, "M1", false},
		"no conditional mediation":  {func(q *service.Question) { q.Client = rest.ClientInformation{CanUsePasskeys: &yes} }, "M2", false},
		"automation":                {func(q *service.Question) { q.Client.Webdriver = &yes }, "M3", false},
		"a private window":          {func(q *service.Question) { q.Client.PrivateMode = &yes }, "M4", true},
		"a lookup that went astray": {func(q *service.Question) { q.LookupFailed = true }, "M0", false},
	} {
		q := busyUser(noon).Question
		tc.change(&q)
		v, err := svc.Mediation(t.Context(), q)
		if err != nil || v.Rule != tc.rule || v.Allow != tc.allow {
			t.Errorf("%s: rule %s, allow %t, error %v", name, v.Rule, v.Allow, err)
		}
		if len(v.Insights.CredentialIds) != 0 || len(v.Insights.ClientEnvIds) != 0 {
			t.Errorf("%s tells of an account: %+v", name, v.Insights)
		}
	}
}

func TestNoListOfAVerdictIsAbsent(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	raw := []any{}
	l := login(t, svc, service.LoginQuestion{})
	a, err := svc.Append(t.Context(), service.AppendQuestion{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := svc.Mediation(t.Context(), service.Question{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(raw, l, a, m) {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(body, []byte("null")) {
			t.Errorf("%T has an absent list: %s", v, body)
		}
	}
}

func TestOneQuestionHasOneAnswer(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon, events: fakeEvents{events: busyHistory(noon)}})
	q := busyUser(noon)
	want := login(t, svc, q)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 50 {
				got, err := svc.Login(context.Background(), q)
				got.Decision = want.Decision
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("error %v, difference:\n%s", err, diff)
					return
				}
			}
		})
	}
	callers.Wait()
}

const slowRule = `package keyward.login

# Pairs of a million numbers by a million.
slow if count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0
`

// slowUnderMaximize makes login decisions under maximize take for ever.
func slowUnderMaximize(t *testing.T, dir string) {
	t.Helper()
	if err := writeFile(dir, "login/slow.rego", []byte(slowRule)); err != nil {
		t.Fatal(err)
	}
	replace(t, dir, "login/login.rego", "default_deny if not input.complete", "default_deny if {\n\tinput.strategy == \"maximize\"\n\tslow\n}\n\ndefault_deny if not input.complete")
	replace(t, dir, "login/login_test.rego", "test_l7a_maximize_leaves", "l7a_maximize_leaves")
	replace(t, dir, "login/login_test.rego", "test_l9_maximize_hints", "l9_maximize_hints")
}

func replace(t *testing.T, dir, name, old, replacement string) {
	t.Helper()
	path := filepath.Join(dir, name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPolicyThatTakesTooLongIsAnsweredForSafely(t *testing.T) {
	t.Parallel()
	dir, registry := policyDir(t), prometheus.NewRegistry()
	slowUnderMaximize(t, dir)
	svc := newService(t, serviceOptions{dir: dir, registry: registry, cfg: decision.Config{EvalTimeout: 20 * time.Millisecond}})
	q := busyUser(time.Now())
	q.Strategy = rest.CrossDeviceAuthenticationStrategyMaximize
	start := time.Now()
	v := login(t, svc, q)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("the answer took %s", took)
	}
	if v.Allow || v.Rule != "default" || v.Tag != rest.DecisionTagDefaultDeny || v.AllowCredentials == nil || v.Hints == nil {
		t.Errorf("%+v", v)
	}
	if got := testutil.CollectAndCount(registry, "keyward_policy_errors_total"); got != 1 {
		t.Errorf("%d kinds of policy error", got)
	}
	expected := strings.NewReader(`# HELP keyward_policy_errors_total Decisions answered with the safe default because the policy failed, by cause; healthy is 0.
# TYPE keyward_policy_errors_total counter
keyward_policy_errors_total{action="login",cause="timeout"} 1
`)
	if err := testutil.GatherAndCompare(registry, expected, "keyward_policy_errors_total"); err != nil {
		t.Error(err)
	}
}

func TestAPolicyThatConflictsIsAnsweredForSafely(t *testing.T) {
	t.Parallel()
	dir, registry := policyDir(t), prometheus.NewRegistry()
	// Two values of one rule for a strategy that no test and no probe asks about: found only when it happens.
	replace(t, dir, "login/login.rego", "hints(\"security-key\") :=", "hints(\"local\") := [\"odd\"] if input.client.os == \"amiga\"\n\nhints(\"security-key\") :=")
	svc := newService(t, serviceOptions{dir: dir, registry: registry})
	q := busyUser(time.Now())
	device := *q.Client.ParsedDeviceInfo
	device.OSName = "Amiga"
	q.Client.ParsedDeviceInfo = &device
	q.Account.Credentials[0].AAGUID, q.Account.Credentials[0].BackupEligible = "bada5566-a7aa-401f-bd96-45619a55120d", true
	yes := true
	q.Client.PasswordManagerAvailable = &yes
	if v := login(t, svc, q); v.Allow || v.Rule != "default" {
		t.Errorf("%+v", v)
	}
	if got := counter(t, registry, "keyward_policy_errors_total"); got != 1 {
		t.Errorf("counted %v policy errors", got)
	}
}

func TestAnAnswerOfTheWrongFormIsRefusedAtLoad(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, old, replacement, want string }{
		"a missing field":      {"mediation/mediation.rego", `deny(row, tag) := {"rule": row, "allow": false, "tag": tag}`, `deny(row, tag) := {"rule": row, "tag": tag}`, "allow must be true or false"},
		"a tag off the wire":   {"mediation/mediation.rego", `deny("M1", "env-no-pk-support")`, `deny("M1", "no-way")`, "tag must be a decision tag of the wire"},
		"a row without a name": {"mediation/mediation.rego", `deny("M1", "env-no-pk-support")`, `deny("", "env-no-pk-support")`, "rule must be a name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := policyDir(t)
			replace(t, dir, tc.file, tc.old, tc.replacement)
			if err := os.Remove(filepath.Join(dir, "mediation", "mediation_test.rego")); err != nil {
				t.Fatal(err)
			}
			_, err := decision.New(decision.Config{PoliciesDir: dir}, decision.Deps{
				Events: fakeEvents{}, JS: noStream{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
			})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected %q, got %v", tc.want, err)
			}
		})
	}
}

func TestAChangedRuleAnswersWithinASecondAndABadOneNever(t *testing.T) {
	t.Parallel()
	dir, registry := policyDir(t), prometheus.NewRegistry()
	log := &lines{}
	svc := newService(t, serviceOptions{dir: dir, registry: registry, now: noon, log: slog.New(slog.NewJSONHandler(log, nil))})
	run(t, svc)
	q := busyUser(noon)
	q.Account.Credentials = nil
	first := svc.Status()
	if v := login(t, svc, q); v.Rule != "L3" || v.PolicyRevision != first.Revision {
		t.Fatalf("%+v", v)
	}

	replace(t, dir, "login/login_test.rego", `"L3"`, `"L3x"`)
	replace(t, dir, "login/login_test.rego", `"L3"`, `"L3x"`)
	replace(t, dir, "login/login.rego", `deny("L3"`, `deny("L3x"`)
	eventually(t, "the changed rule", time.Second, func() bool { return login(t, svc, q).Rule == "L3x" })
	changed := svc.Status()
	if changed.Revision == first.Revision || changed.Refused != nil {
		t.Errorf("status %+v", changed)
	}

	replace(t, dir, "login/login.rego", `deny("L3x"`, `deny("L3y"`)
	eventually(t, "the refusal", 5*time.Second, func() bool { return svc.Status().Refused != nil })
	refused := svc.Status()
	if !strings.Contains(refused.Refused.Error(), "login/login_test.rego:") || refused.Revision != changed.Revision || refused.RefusedAt.IsZero() {
		t.Errorf("status %+v", refused)
	}
	if v := login(t, svc, q); v.Rule != "L3x" {
		t.Errorf("the refused bundle answers: %+v", v)
	}
	if got := counter(t, registry, "keyward_policy_reload_failures_total"); got == 0 {
		t.Error("the refusal was not counted")
	}
	if text := log.String(); !strings.Contains(text, `"file":"login/login_test.rego","line":`) {
		t.Errorf("the log does not name the place: %s", text)
	}

	replace(t, dir, "login/login.rego", `deny("L3y"`, `deny("L3x"`)
	eventually(t, "the repaired bundle", 5*time.Second, func() bool { return svc.Status().Refused == nil })
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`# HELP keyward_policy_info 1 for the policy revision that answers.
# TYPE keyward_policy_info gauge
keyward_policy_info{revision="`+changed.Revision+`"} 1
`), "keyward_policy_info"); err != nil {
		t.Error(err)
	}
}

func TestNewDirectoriesOfABundleAreNoticed(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	svc := newService(t, serviceOptions{dir: dir})
	run(t, svc)
	before := svc.Status().Revision
	if err := writeFile(dir, "extra/deep/extra.rego", []byte("package keyward.extra\n\nx := 1\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new directory", 5*time.Second, func() bool { return svc.Status().Revision != before })
	before = svc.Status().Revision
	if err := writeFile(dir, "extra/deep/extra.rego", []byte("package keyward.extra\n\nx := 2\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change in the new directory", 5*time.Second, func() bool { return svc.Status().Revision != before })
}

// A mounted ConfigMap is a directory of links into ..data, itself a link that is replaced when the ConfigMap changes.
func TestAReplacedConfigMapIsNoticed(t *testing.T) {
	t.Parallel()
	mount := t.TempDir()
	first, second := policyDir(t), policyDir(t)
	override(t, second, map[string]any{"autoDesktop": true})
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(mount, name)); err != nil {
			t.Fatal(err)
		}
	}
	link(first, "..data")
	for _, name := range []string{".manifest", "data.json", "login", "append", "mediation", "schemas"} {
		link(filepath.Join("..data", name), name)
	}
	replace(t, second, "append/append_test.rego", `answer(ask_auto).kind == "default"`, `answer(ask_auto).kind == "auto"`)
	svc := newService(t, serviceOptions{dir: mount})
	run(t, svc)
	before := svc.Status().Revision
	link(second, "..data_tmp")
	if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new ConfigMap", 5*time.Second, func() bool { return svc.Status().Revision != before })
	if refused := svc.Status().Refused; refused != nil {
		t.Error(refused)
	}
}

func TestDecisionsAreRecorded(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, js: b.JS, registry: registry, events: fakeEvents{events: busyHistory(noon)}})
	stop := run(t, svc)
	q := busyUser(noon)
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
		"ce-specversion": "1.0", "ce-id": string(v.Decision), "ce-source": "/keyward/projects/pro-1", "ce-type": "keyward.decision.login",
		"ce-subject": "usr-1", "ce-time": "2026-11-22T12:00:00.000Z", "content-type": "application/json", "Nats-Msg-Id": string(v.Decision),
	}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
	var record struct {
		decision.Record
		Result service.LoginVerdict `json:"result"`
	}
	if err := json.Unmarshal(message.Data, &record); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, record.Result); diff != "" {
		t.Errorf("result (-want +got)\n%s", diff)
	}
	if record.ID != v.Decision || record.RequestID != "req-7" || record.Rule != "L6" || !record.Allow || record.PolicyRevision != v.PolicyRevision || !record.Time.Equal(noon) {
		t.Errorf("record %+v", record.Record)
	}
	if f := record.Facts; f == nil || f.Credentials.Total != 3 || f.Pair.LastRoute != event.Local || f.Strategy != "standard" {
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
		login(t, svc, busyUser(noon))
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
	login(t, svc, busyUser(noon))
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 1 {
		t.Errorf("after shutdown %v are lost, not 1", got)
	}
}

func TestAFullQueueLosesRecordsAndNeverDelaysAnswers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, registry: registry, cfg: decision.Config{RecordQueue: 3}})
	for range 5 {
		if v := login(t, svc, busyUser(noon)); !v.Allow {
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
	login(t, svc, busyUser(noon))
	stop()
	if got := counter(t, registry, "keyward_decisions_lost_total"); got != 1 {
		t.Errorf("%v are lost, not 1", got)
	}
}

func TestDecisionsAreCountedByRule(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, registry: registry})
	login(t, svc, busyUser(noon))
	login(t, svc, busyUser(noon))
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`# HELP keyward_decisions_total Decisions, by action and by the row of the decision table that answered.
# TYPE keyward_decisions_total counter
keyward_decisions_total{action="login",rule="L9"} 2
`), "keyward_decisions_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(registry, "keyward_decision_duration_seconds"); got != 3 {
		t.Errorf("%d duration histograms, not one for each action", got)
	}
}

func TestNewNeedsEveryDependency(t *testing.T) {
	t.Parallel()
	if _, err := decision.New(decision.Config{}, decision.Deps{}); err == nil {
		t.Error("a service without dependencies was made")
	}
	deps := decision.Deps{Events: fakeEvents{}, JS: noStream{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}
	if _, err := decision.New(decision.Config{PoliciesDir: filepath.Join(t.TempDir(), "none")}, deps); err == nil {
		t.Error("a service without a policy was made")
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
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

// counter adds up every value of a counter, whatever its labels.
func counter(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() == name {
			for _, metric := range family.GetMetric() {
				sum += metric.GetCounter().GetValue()
			}
		}
	}
	return sum
}
