package decision_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

const slowRule = `package keyward.login

# Pairs of a million numbers by a million.
slow if count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0
`

// slowOnHarmonyOS makes login decisions for HarmonyOS take for ever, which no test of the bundle asks about.
func slowOnHarmonyOS(t *testing.T, dir string) {
	t.Helper()
	if err := writeFile(dir, "login/slow.rego", []byte(slowRule)); err != nil {
		t.Fatal(err)
	}
	replace(
		t, dir, "login/login.rego", "default_deny if not input.complete",
		"default_deny if {\n\tinput.client.os == \"harmonyos\"\n\tslow\n}\n\ndefault_deny if not input.complete",
	)
}

func onHarmonyOS(q service.LoginQuestion) service.LoginQuestion {
	device := *q.Client.ParsedDeviceInfo
	device.OSName = "HarmonyOS"
	q.Client.ParsedDeviceInfo = &device
	return q
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
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(content), old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPolicyThatTakesTooLongIsAnsweredForSafely(t *testing.T) {
	t.Parallel()
	dir, registry := policyDir(t), prometheus.NewRegistry()
	slowOnHarmonyOS(t, dir)
	svc := newService(t, serviceOptions{dir: dir, registry: registry, cfg: decision.Config{EvalTimeout: 20 * time.Millisecond}})
	q := onHarmonyOS(factstest.BusyUser(time.Now()))
	start := time.Now()
	v := login(t, svc, q)
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the answer took %s", took)
	}
	if v.Allow || v.Rule != "default" || v.Tag != rest.DecisionTagDefaultDeny || v.AllowCredentials == nil || v.Hints == nil {
		t.Errorf("%+v", v)
	}
	if got := testutil.CollectAndCount(registry, "keyward_policy_errors_total"); got != 1 {
		t.Errorf("%d kinds of policy error", got)
	}
	expected := strings.NewReader(
		`# HELP keyward_policy_errors_total Decisions answered with the safe default because the policy failed, by cause; healthy is 0.
# TYPE keyward_policy_errors_total counter
keyward_policy_errors_total{action="login",cause="timeout"} 1
`,
	)
	if err := testutil.GatherAndCompare(registry, expected, "keyward_policy_errors_total"); err != nil {
		t.Error(err)
	}
}

func TestAPolicyThatConflictsIsAnsweredForSafely(t *testing.T) {
	t.Parallel()
	dir, registry := policyDir(t), prometheus.NewRegistry()
	// Two values of one rule for a client that no test and no probe asks about: found only when it happens.
	const last = `default cross_platform_hints := ["hybrid"]`
	replace(t, dir, "login/login.rego", last, last+`

cross_platform_hints := ["odd"] if input.client.os == "harmonyos"

cross_platform_hints := ["odder"] if startswith(input.client.os, "harmony")`)
	svc := newService(t, serviceOptions{dir: dir, registry: registry})
	q := onHarmonyOS(factstest.BusyUser(time.Now()))
	q.Strategy = rest.CrossDeviceAuthenticationStrategyMaximize
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
		"a missing field": {
			"mediation/mediation.rego", `deny(row, tag) := {"rule": row, "allow": false, "tag": tag}`,
			`deny(row, tag) := {"rule": row, "tag": tag}`, "allow must be true or false",
		},
		"a tag off the wire": {
			"mediation/mediation.rego", `deny("M1", "env-no-pk-support")`, `deny("M1", "no-way")`,
			"tag must be a decision tag of the wire",
		},
		"a row without a name": {
			"mediation/mediation.rego", `deny("M1", "env-no-pk-support")`, `deny("", "env-no-pk-support")`, "rule must be a name",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := policyDir(t)
			replace(t, dir, tc.file, tc.old, tc.replacement)
			_, err := decision.New(decision.Config{PoliciesDir: dir}, decision.Deps{
				Events: fakeEvents{}, JS: noStream{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
			})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected %q, got %v", tc.want, err)
			}
		})
	}
}

// patience is for a busy machine; an idle one notices a change in a fifth of a second.
const patience = time.Minute

func TestAChangedRuleAnswersAndABadOneNever(t *testing.T) {
	t.Parallel()
	dir, registry := policiestest.Dir(t, policiestest.Tested(t)), prometheus.NewRegistry()
	log := &lines{}
	svc := newService(t, serviceOptions{dir: dir, registry: registry, now: noon, log: slog.New(slog.NewJSONHandler(log, nil))})
	run(t, svc)
	q := factstest.BusyUser(noon)
	q.Account.Credentials = nil
	first := svc.Status()
	if v := login(t, svc, q); v.Rule != "L3" || v.PolicyRevision != first.Revision {
		t.Fatalf("%+v", v)
	}

	replace(t, dir, "login/login_test.rego", `"L3"`, `"L3x"`)
	replace(t, dir, "login/login.rego", `deny("L3"`, `deny("L3x"`)
	eventually(t, "the changed rule", patience, func() bool { return login(t, svc, q).Rule == "L3x" })
	changed := svc.Status()
	if changed.Revision == first.Revision || changed.Refused != nil {
		t.Errorf("status %+v", changed)
	}

	replace(t, dir, "login/login.rego", `deny("L3x"`, `deny("L3y"`)
	eventually(t, "the refusal", patience, func() bool { return svc.Status().Refused != nil })
	refused := svc.Status()
	if !strings.Contains(refused.Refused.Error(), "login/login_test.rego:") || refused.Revision != changed.Revision ||
		refused.RefusedAt.IsZero() {
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
	eventually(t, "the repaired bundle", patience, func() bool { return svc.Status().Refused == nil })
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
	eventually(t, "the new directory", patience, func() bool { return svc.Status().Revision != before })
	before = svc.Status().Revision
	if err := writeFile(dir, "extra/deep/extra.rego", []byte("package keyward.extra\n\nx := 2\n")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change in the new directory", patience, func() bool { return svc.Status().Revision != before })
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
	for _, name := range []string{".manifest", "data.json", "aaguids.json", "login", "append", "mediation", "rollout", "schemas"} {
		link(filepath.Join("..data", name), name)
	}
	svc := newService(t, serviceOptions{dir: mount})
	run(t, svc)
	before := svc.Status().Revision
	link(second, "..data_tmp")
	if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new ConfigMap", patience, func() bool { return svc.Status().Revision != before })
	if refused := svc.Status().Refused; refused != nil {
		t.Error(refused)
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
