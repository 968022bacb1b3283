package scenario_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/scenario"
)

// Whoever changes a rule finds out by the bundle's scenarios, if there is one for it.
func TestAScenarioOfTheBundleReachesEveryReason(t *testing.T) {
	t.Parallel()
	content, err := fs.ReadFile(policies.Bundle, "scenarios/risk/scenarios.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	if failure := fails(t, bundle, content); failure != "" {
		t.Fatal(failure)
	}
	var file struct {
		Scenarios []struct {
			Expect struct {
				Reasons []string `yaml:"reasons"`
			} `yaml:"expect"`
		} `yaml:"scenarios"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{}
	for _, s := range file.Scenarios {
		for _, reason := range s.Expect.Reasons {
			reached[reason] = true
		}
	}
	declared := policiestest.Data(t)["keyward"].(map[string]any)["reasons"].(map[string]any)
	for _, reason := range slices.Sorted(maps.Keys(declared)) {
		if !reached[reason] {
			t.Errorf("no scenario comes to the reason %s", reason)
		}
	}
}

const somebody = `now: 2026-11-25T14:00:00Z
clients: { MAC: { remoteAddress: "203.0.113.10", userAgent: "curl/8.5.0" } }
credentials: { icloud: { credentialID: aWNsb3Vk, backupEligible: true, backupState: true, created: -200d, env: HERE } }
scenarios:
  - name: it
    action: risk
    client: MAC
    env: HERE
    user: { created: -400d }
    passkeys: [icloud]
`

// What happened can be written down by the names that events have, and by those by which people look for them.
func TestEveryEventOfRiskCanBeWrittenDown(t *testing.T) {
	t.Parallel()
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	for entry, facts := range map[string]string{
		"login-refused, step: signature":                                       "velocity.userFailures: 0",
		"counter-regressed, credential: icloud, before: 7, after: 3":           "user.alerts.counterRegressedHours: 4",
		"passkey-counter-regressed, credential: icloud":                        "user.alerts.counterRegressedHours: 4",
		"backup-eligibility-changed, before: true, after: false":               "user.alerts.backupEligibilityHours: 4",
		"passkey-backup-changed, credential: icloud":                           "user.alerts.backupEligibilityHours: 4",
		"backup-state-changed, credential: icloud, before: false, after: true": "user.alerts.backupEligibilityHours: 99999",
		"new-environment, env: HERE":                                           "familiar.successes: 0",
		"new-country, country: DE":                                             "familiar.successes: 0",
		"authenticator-status-changed, status: revoked, mdsNo: 3":              "user.alerts.authenticatorStatusHours: 4",
		"risk-decided, action: challenge, level: high, reasons: [bot]":         "user.alerts.fraudConfirmedHours: 99999",
		"step-up-started, stepUp: stu-1":                                       "velocity.userFailures: 0",
		"step-up-passed, stepUp: stu-1, method: email-code":                    "velocity.userFailures: 0",
		"step-up-failed, stepUp: stu-1, method: email-code":                    "velocity.userFailures: 0",
		"risk-feedback, decision: dec-1, outcome: fraud-confirmed":             "user.alerts.fraudConfirmedHours: 4",
		"risk-feedback, decision: dec-1, outcome: fraud-suspected":             "user.alerts.fraudConfirmedHours: 99999",
		`fraud-confirmed, address: "203.0.113.10", times: 2`:                   "user.alerts.fraudConfirmedHours: 4",
		"fraud-confirmed, user: somebody else":                                 "user.alerts.fraudConfirmedHours: 99999",
		"fraud-confirmed, deleted: -1h":                                        "user.alerts.fraudConfirmedHours: 99999",
		"user-labelled, labels: [admin]":                                       "user.labels.admin: true",
		"auth-success, env: HERE":                                              "velocity.userEnvironments: 1",
		"auth-failure, env: HERE":                                              "velocity.userFailures: 0",
		`login-unknown, address: "203.0.113.10"`:                               "velocity.addressUsers: 0",
		"code-wrong":                                                           "velocity.userFailures: 0",
	} {
		t.Run(entry, func(t *testing.T) {
			t.Parallel()
			file := somebody + fmt.Sprintf("    log: [{ at: -5h, type: %s }]\n", entry) +
				fmt.Sprintf("    parameters: { labels: [admin] }\n    expect: { facts: { %s } }\n", facts)
			if failure := fails(t, bundle, []byte(file)); failure != "" {
				t.Error(failure)
			}
		})
	}
}

// A fraud counts for where it came from as well, and no more when it was none.
func TestAConfirmedFraudCountsUntilItIsTakenBack(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	const failures = `["login-refused", "auth-failure", "code-wrong", "step-up-failed"]`
	policiestest.Edit(t, files, "data.json", failures, `["fraud-confirmed"]`)
	bundle, err := scenario.Open(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	const fraud = "{ at: -5m, type: fraud-confirmed, decision: dec-1 }"
	for log, frauds := range map[string]int{
		fraud: 1,
		fraud + ", { at: -4m, type: risk-feedback, decision: dec-1, outcome: legitimate }": 0,
		fraud + ", { at: -4m, type: risk-feedback, decision: dec-2, outcome: legitimate }": 1,
	} {
		file := somebody + fmt.Sprintf("    log: [%s]\n    expect: { facts: { velocity.userFailures: %d } }\n", log, frauds)
		if failure := fails(t, bundle, []byte(file)); failure != "" {
			t.Error(failure)
		}
	}
}

func TestWhatAnEventOfRiskCannotSayIsRefusedWithWhatItCan(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"counter-regresed":                     `did you mean "counter-regressed"?`,
		"risk-feedback, outcome: fraud":        `unknown outcome "fraud"`,
		"counter-regressed, before: -1":        "before must be a signature counter",
		"authenticator-status-changed, mds: 3": `has no key "mds"`,
		"step-up-passed, method: e-mail-code":  `did you mean "email-code"?`,
		"new-environment, country: DE":         `a log entry of type new-environment has no key "country"`,
	} {
		_, err := scenario.Parse("x.yaml", []byte(somebody+"    log: [{ at: -5h, type: "+entry+" }]\n    expect: { level: low }\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", entry, want, err)
		}
	}
}

func TestWhenThePasskeyWasUsedBeforeFollowsFromTheLog(t *testing.T) {
	t.Parallel()
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	file := somebody + "    stage: login-finish\n    used: { passkey: icloud }\n" +
		"    log: [{ at: -49h, type: login-completed, credential: icloud, env: HERE }]\n    expect: { facts: { used.usedHours: 48 } }\n"
	if failure := fails(t, bundle, []byte(file)); failure != "" {
		t.Error(failure)
	}
}
