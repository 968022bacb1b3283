package scenario_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/scenario"
)

// TestAScenarioSaysWhatSubscribersAreTold holds what each stage tells, and that a scenario which wants what is not told fails.
func TestAScenarioSaysWhatSubscribersAreTold(t *testing.T) {
	t.Parallel()
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	const head = `
now: 2026-11-25T14:00:00Z
clients:
  MAC:
    userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"
credentials:
  key:
    { credentialID: a2V5, aaguid: cb69481e-8ff7-4039-93ec-0a2729a154a8, transports: [usb], backupEligible: false, backupState: false,
      created: -300d }
scenarios:
  - name: "one"
    action: risk
    client: MAC
    user: { created: -400d }
    passkeys: [key]
`
	const login = "    stage: login-finish\n"
	const used = "    used: { passkey: key, route: security-key, counter: "
	for name, c := range map[string]struct{ more, told, not string }{
		"a start with which nothing is wrong": {"    stage: login-start\n", "login-denied", "risk-decided"},
		"a start that is barred": {
			"    stage: login-start\n    parameters: { risk: { mode: enforce, severities: { bot: 4 } } }\n" +
				"    client: { use: MAC, userAgent: curl/8.5.0 }\n", "login-denied, risk-decided", "login-offered",
		},
		"a login": {login + used + "ok }\n", "login-completed", "risk-decided"},
		"a counter that is at 0 again": {
			login + used + "reset }\n", "login-completed, counter-regressed, passkey-counter-regressed", "login-refused",
		},
		"a counter that went back, observed": {
			login + used + "regressed }\n", "login-refused, counter-regressed, risk-decided", "login-completed",
		},
		"a counter that went back, enforced": {
			login + used + "regressed }\n    parameters: { risk: { mode: enforce, severities: { counter-regressed: 4 } } }\n",
			"counter-regressed, risk-decided", "step-up-started",
		},
	} {
		file := strings.Replace(head, "    client: MAC\n", "", 1)
		if !strings.Contains(c.more, "    client:") {
			file = head
		}
		if failure := fails(t, bundle, []byte(file+c.more+"    expect: { events: ["+c.told+"] }\n")); failure != "" {
			t.Errorf("%s: %s", name, failure)
		}
		if failure := fails(t, bundle, []byte(file+c.more+"    expect: { events: ["+c.not+"] }\n")); !strings.Contains(failure, "events") {
			t.Errorf("%s is said to tell %s: %s", name, c.not, failure)
		}
	}
	if failure := fails(t, bundle, []byte(head+login+used+"ok }\n    expect: { events: [login-compleated] }\n")); !strings.Contains(
		failure, "did you mean",
	) {
		t.Errorf("an event that there is not: %s", failure)
	}
}

// TestAScenarioSaysThatALoginIsAProof has the same login once for itself, and once for something else that waits for it.
func TestAScenarioSaysThatALoginIsAProof(t *testing.T) {
	t.Parallel()
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	const file = `
now: 2026-11-25T14:00:00Z
clients:
  MAC:
    userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"
credentials:
  key:
    { credentialID: a2V5, aaguid: cb69481e-8ff7-4039-93ec-0a2729a154a8, transports: [usb], backupEligible: false, backupState: false,
      created: -300d }
scenarios:
  - { name: "one", action: risk, stage: login-finish, client: MAC, user: { created: -400d }, passkeys: [key],
      context: { externalScore: 90 }, parameters: { risk: { mode: enforce } }, `
	for used, verdict := range map[string]string{"": "challenge", ", proof: true": "review"} {
		text := file + "used: { passkey: key, route: security-key" + used + " },\n      " +
			"expect: { verdict: " + verdict + ", reasons: [external-score] } }\n"
		if failure := fails(t, bundle, []byte(text)); failure != "" {
			t.Errorf("%q: %s", used, failure)
		}
	}
}
