package decision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
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
	q := factstest.BusyUser(noon)
	if v := login(t, svc, q); v.Allow || v.Rule != "L0" || v.Tag != rest.DecisionTagDefaultDeny || len(v.AllowCredentials) != 0 ||
		!v.Incomplete {
		t.Errorf("login: %+v", v)
	}
	v, err := svc.Append(t.Context(), service.AppendQuestion{Question: q.Question})
	if err != nil || v.Allow || v.Rule != "A0" || v.Reason != "data_incomplete" || !v.Incomplete {
		t.Errorf("append: %+v, %v", v, err)
	}
	if got := counter(t, registry, "keyward_decision_lookup_failures_total"); got != 2 {
		t.Errorf("counted %v failures", got)
	}
}

func TestAccountsThatAreNotActiveGetNothing(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	for _, status := range []account.Status{account.StatusDisabled, account.StatusPending} {
		q := factstest.BusyUser(noon)
		q.Account.Status = status
		if v := login(t, svc, q); v.Allow || v.Rule != "L0" || v.Incomplete {
			t.Errorf("%s: %+v", status, v)
		}
	}
}

func TestAnUnknownUserIsToldNoMoreThanOneWithoutPasskeys(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	empty, nobody := factstest.BusyUser(noon), factstest.BusyUser(noon)
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
		q := factstest.BusyUser(noon).Question
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

// rolledOut are parameters of the rollout for the tests below.
var rolledOut = map[string]any{
	"killSwitch": map[string]any{"login": false, "append": false, "manage": true},
	"rules": map[string]any{
		"friends": map[string]any{"salience": 30, "verdict": "allow", "invitations": []string{"friends"}},
		"robots":  map[string]any{"salience": 20, "verdict": "block", "webdriver": true},
		"macs": map[string]any{
			"salience": 10, "verdict": "allow", "os": []string{"macos"},
			"osVersion": map[string]any{"atLeast": 15, "atMost": 16},
		},
		"windows": map[string]any{"salience": 10, "verdict": "sample", "share": 5_000, "os": []string{"windows"}},
		"rest":    map[string]any{"salience": 0, "verdict": "block"},
	},
	"invitations":                  map[string]any{"friends": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}, // of test
	"requireAllowlistedIdentifier": true,
	"allowedIdentifiers":           []string{"ada@example.org"},
	"allowedDomains":               []string{"example.com"},
}

func TestRollout(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	override(t, dir, map[string]any{"rollout": rolledOut})
	svc := newService(t, serviceOptions{dir: dir, now: noon})
	yes := true
	sends := func(os, version string) func(*service.RolloutQuestion) {
		return func(q *service.RolloutQuestion) {
			q.Client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: os, OSVersion: version, BrowserName: "Chrome", BrowserVersion: "142.0"}
		}
	}
	in := func(environment ident.EnvironmentID) func(*service.RolloutQuestion) {
		return func(q *service.RolloutQuestion) { sends("Windows", "11")(q); q.Environment.ID = environment }
	}
	names := func(identifier string) func(*service.RolloutQuestion) {
		return func(q *service.RolloutQuestion) { q.Identifier = identifier }
	}
	for name, tc := range map[string]struct {
		change func(*service.RolloutQuestion)
		rule   string
		tag    rest.DecisionTag
	}{
		"a Mac":                {func(*service.RolloutQuestion) {}, "R5", service.TagRolloutAllowed},
		"an old Mac":           {sends("macOS", "14.7"), "R2", service.TagRolloutRuleBlocked},
		"a Mac of tomorrow":    {sends("macOS", "26"), "R2", service.TagRolloutRuleBlocked},
		"a Mac of unknown age": {sends("macOS", ""), "R2", service.TagRolloutRuleBlocked},
		"a robot on a Mac":     {func(q *service.RolloutQuestion) { q.Client.Webdriver = &yes }, "R2", service.TagRolloutRuleBlocked},
		"a friend, whatever the client": {
			func(q *service.RolloutQuestion) { sends("Linux", "")(q); q.Invitation = "test" }, "R5", service.TagRolloutAllowed,
		},
		"a forged invitation": {
			func(q *service.RolloutQuestion) { sends("Linux", "")(q); q.Invitation = "tset" }, "R2", service.TagRolloutRuleBlocked,
		},
		"a machine in the sample":     {in("env-2"), "R5", service.TagRolloutAllowed},
		"a machine outside of it":     {in("env-1"), "R3", service.TagRolloutSampledOut},
		"a machine that is not known": {in(""), "R3", service.TagRolloutSampledOut},
		"a listed identifier":         {names("Ada@Example.org"), "R5", service.TagRolloutAllowed},
		"a listed domain":             {names("grace@EXAMPLE.COM"), "R5", service.TagRolloutAllowed},
		"an identifier that is not":   {names("eve@example.org"), "R4", service.TagRolloutIdentifierNotListed},
		"the list of passkeys": {
			func(q *service.RolloutQuestion) { q.Action = service.RolloutManage }, "R1", service.TagRolloutKillSwitch,
		},
		"the creation of one": {
			func(q *service.RolloutQuestion) { q.Action = service.RolloutAppend }, "R5", service.TagRolloutAllowed,
		},
		"an action that there is not": {func(q *service.RolloutQuestion) { q.Action = "remove" }, "R0", rest.DecisionTagDefaultDeny},
		"no action":                   {func(q *service.RolloutQuestion) { q.Action = "" }, "R0", rest.DecisionTagDefaultDeny},
		"a lookup that went astray":   {func(q *service.RolloutQuestion) { q.LookupFailed = true }, "R0", rest.DecisionTagDefaultDeny},
		"an account that must not matter": {
			func(q *service.RolloutQuestion) { q.Account = &account.Account{Status: account.StatusDisabled} }, "R5",
			service.TagRolloutAllowed,
		},
	} {
		q := service.RolloutQuestion{Question: factstest.BusyUser(noon).Question, Action: service.RolloutLogin}
		tc.change(&q)
		v, err := svc.Rollout(t.Context(), q)
		if err != nil || v.Rule != tc.rule || v.Tag != tc.tag || v.Allow != (tc.rule == "R5") || v.Decision == "" || v.PolicyRevision == "" {
			t.Errorf("%s: rule %s, tag %s, allow %t, error %v", name, v.Rule, v.Tag, v.Allow, err)
		}
		if len(v.Insights.CredentialIds) != 0 || len(v.Insights.ClientEnvIds) != 0 {
			t.Errorf("%s tells of an account: %+v", name, v.Insights)
		}
	}
}

func TestByDefaultPasskeysAreSwitchedOnForEverybody(t *testing.T) {
	t.Parallel()
	svc := newService(t, serviceOptions{now: noon})
	for _, action := range []string{service.RolloutLogin, service.RolloutAppend, service.RolloutManage} {
		for _, identifier := range []string{"", "eve@example.org"} {
			v, err := svc.Rollout(t.Context(), service.RolloutQuestion{Action: action, Identifier: identifier})
			if err != nil || !v.Allow || v.Rule != "R5" {
				t.Errorf("%s of %q: %+v, %v", action, identifier, v, err)
			}
		}
	}
}

func TestAProjectRollsOutAtItsOwnPace(t *testing.T) {
	t.Parallel()
	dir := policyDir(t)
	replace(t, dir, "data.json", `"projects": {}`, `"projects": {"pro-2": {"parameters": {"rollout": {"killSwitch": {"append": true}}}}}`)
	svc := newService(t, serviceOptions{dir: dir, now: noon})
	for project, want := range map[ident.ProjectID]string{"pro-1": "R5", "pro-2": "R1"} {
		q := service.RolloutQuestion{Action: service.RolloutAppend}
		q.Project = project
		if v, err := svc.Rollout(t.Context(), q); err != nil || v.Rule != want {
			t.Errorf("%s: %+v, %v", project, v, err)
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
	r, err := svc.Rollout(t.Context(), service.RolloutQuestion{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range append(raw, l, a, m, r) {
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
	svc := newService(t, serviceOptions{now: noon, events: fakeEvents{events: factstest.BusyHistory(noon, 20)}})
	q := factstest.BusyUser(noon)
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

func TestDecisionsAreCountedByRule(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	svc := newService(t, serviceOptions{now: noon, registry: registry})
	login(t, svc, factstest.BusyUser(noon))
	login(t, svc, factstest.BusyUser(noon))
	if err := testutil.GatherAndCompare(
		registry,
		strings.NewReader(`# HELP keyward_decisions_total Decisions, by action and by the row of the decision table that answered.
# TYPE keyward_decisions_total counter
keyward_decisions_total{action="login",rule="L9"} 2
`),
		"keyward_decisions_total",
	); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(registry, "keyward_decision_duration_seconds"); got != 5 {
		t.Errorf("%d duration histograms, not one for each action", got)
	}
}

func TestNewNeedsEveryDependency(t *testing.T) {
	t.Parallel()
	if _, err := decision.New(decision.Config{}, decision.Deps{}); err == nil {
		t.Error("a service without dependencies was made")
	}
	deps := decision.Deps{
		Events: fakeEvents{}, JS: noStream{}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Registry: prometheus.NewRegistry(),
	}
	if _, err := decision.New(decision.Config{PoliciesDir: filepath.Join(t.TempDir(), "none")}, deps); err == nil {
		t.Error("a service without a policy was made")
	}
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
