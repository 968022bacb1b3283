package contradiction_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/contradiction"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

const (
	windows10  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	windows7   = "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	oldChrome  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36"
	macChrome  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	macFrozen  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	phone      = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
	desktop    = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	safari     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"
	television = "Mozilla/5.0 (Linux; Android 12; BRAVIA 4K UR2) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 SMART-TV"
	newer      = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
)

func tables(t testing.TB) *agent.Tables {
	t.Helper()
	raw, err := policies.Bundle.ReadFile("data.json")
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	rules, err := recognition.Learn(data["keyward"], recognition.Bars{}, recognition.MinimumVersions{})
	if err != nil {
		t.Fatal(err)
	}
	return &rules.Agents
}

func find(known *agent.Tables, said rest.ClientInformation) (facts.Agent, facts.Contradictions) {
	read := known.Read(said.UserAgent)
	return contradiction.Find(&read, known, &said)
}

func hint(platform string, mobile bool) *rest.JavaScriptHighEntropy {
	return &rest.JavaScriptHighEntropy{Platform: platform, PlatformVersion: "15.0.0", Mobile: mobile}
}

func TestAClientIsHeldAgainstItself(t *testing.T) {
	t.Parallel()
	known := tables(t)
	for name, tc := range map[string]struct {
		said  rest.ClientInformation
		agent facts.Agent
		want  facts.Contradictions
	}{
		"a user agent alone agrees with nothing": {rest.ClientInformation{UserAgent: windows10}, "unknown", facts.Contradictions{}},
		"hints that name the same system agree": {
			rest.ClientInformation{UserAgent: windows10, JavaScriptHighEntropy: hint("Windows", false)}, "consistent", facts.Contradictions{},
		},
		"hints of another system": {
			rest.ClientInformation{UserAgent: windows10, JavaScriptHighEntropy: hint("Linux", false)},
			"contradicting", facts.Contradictions{OSHint: true},
		},
		"a phone's browser that asks for the desktop site agrees": {
			rest.ClientInformation{UserAgent: desktop, JavaScriptHighEntropy: hint("Android", false)}, "consistent", facts.Contradictions{},
		},
		"a system that no table knows may be any": {
			rest.ClientInformation{UserAgent: windows10, JavaScriptHighEntropy: hint("Fuchsia", false)}, "consistent", facts.Contradictions{},
		},
		"a phone whose hints do not say that it is one agrees": {
			rest.ClientInformation{UserAgent: phone, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "Android"}},
			"consistent", facts.Contradictions{},
		},
		"a computer that its hints call a phone": {
			rest.ClientInformation{UserAgent: windows10, JavaScriptHighEntropy: hint("Windows", true)},
			"contradicting", facts.Contradictions{MobileHint: true},
		},
		"Safari has no hints": {
			rest.ClientInformation{UserAgent: safari, JavaScriptHighEntropy: hint("macOS", false)},
			"contradicting", facts.Contradictions{BrowserHint: true},
		},
		"Firefox has none either": {
			rest.ClientInformation{UserAgent: newer, JavaScriptHighEntropy: hint("Windows", false)},
			"contradicting", facts.Contradictions{BrowserHint: true},
		},
		"a phone has a touch screen": {
			rest.ClientInformation{UserAgent: phone, MaxTouchPoints: new(int32(5))}, "consistent", facts.Contradictions{},
		},
		"a phone without one": {
			rest.ClientInformation{UserAgent: phone, MaxTouchPoints: new(int32(0))}, "contradicting", facts.Contradictions{Touch: true},
		},
		"a television without one": {
			rest.ClientInformation{UserAgent: television, MaxTouchPoints: new(int32(0))}, "unknown", facts.Contradictions{},
		},
		"a computer may have one or not": {
			rest.ClientInformation{UserAgent: windows10, MaxTouchPoints: new(int32(10))}, "unknown", facts.Contradictions{},
		},
		"Chrome 142 does not run on Windows 7": {
			rest.ClientInformation{UserAgent: windows7}, "contradicting", facts.Contradictions{FrozenVersion: true},
		},
		"Chrome writes one version of macOS": {
			rest.ClientInformation{UserAgent: macChrome}, "contradicting", facts.Contradictions{FrozenVersion: true},
		},
		"and that one contradicts no hint": {
			rest.ClientInformation{UserAgent: macFrozen, JavaScriptHighEntropy: hint("macOS", false)}, "consistent", facts.Contradictions{},
		},
		"Chrome 109 creates no passkeys unasked": {
			rest.ClientInformation{UserAgent: oldChrome, ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: new(true)}},
			"contradicting", facts.Contradictions{Capability: true},
		},
		"and says so": {
			rest.ClientInformation{UserAgent: oldChrome, ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: new(false)}},
			"consistent", facts.Contradictions{},
		},
		"Firefox has no immediate requests": {
			rest.ClientInformation{UserAgent: newer, ClientCapabilities: &rest.ClientCapabilities{ImmediateGet: new(true)}},
			"contradicting", facts.Contradictions{Capability: true},
		},
		"nor has Safari": {
			rest.ClientInformation{UserAgent: safari, ClientCapabilities: &rest.ClientCapabilities{ImmediateGet: new(true)}},
			"contradicting", facts.Contradictions{Capability: true},
		},
		"newer ones can": {
			rest.ClientInformation{
				UserAgent: macFrozen, ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: new(true), ImmediateGet: new(true)},
			},
			"consistent", facts.Contradictions{},
		},
		"capabilities of which none is told are none": {
			rest.ClientInformation{UserAgent: oldChrome, ClientCapabilities: &rest.ClientCapabilities{}}, "unknown", facts.Contradictions{},
		},
		"an app speaks in a form of its own": {
			rest.ClientInformation{UserAgent: windows7, IsNative: new(true), JavaScriptHighEntropy: hint("Linux", true)},
			"unknown", facts.Contradictions{},
		},
		"nothing that was said": {rest.ClientInformation{JavaScriptHighEntropy: hint("Windows", false)}, "unknown", facts.Contradictions{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agent, found := find(known, tc.said)
			if diff := cmp.Diff(tc.want, found); agent != tc.agent || diff != "" {
				t.Errorf("%s, want %s (-want +got)\n%s", agent, tc.agent, diff)
			}
		})
	}
}

// True clients of the corpora of detection, with all that they send.
func TestNoTrueClientContradictsItself(t *testing.T) {
	t.Parallel()
	known, seen := tables(t), 0
	for _, file := range []string{"../detect/testdata/devices.json", "../detect/testdata/more-devices.json"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var corpus struct {
			Devices []struct {
				Name   string                 `json:"name"`
				Client rest.ClientInformation `json:"client"`
			} `json:"devices"`
		}
		if err := json.Unmarshal(raw, &corpus); err != nil {
			t.Fatal(err)
		}
		for _, d := range corpus.Devices {
			if seen++; d.Name == "an iPhone that hints Windows" {
				continue // it is there to be caught
			}
			if agent, found := find(known, d.Client); agent == facts.AgentContradicting {
				t.Errorf("%s: %+v\n%s", d.Name, found, d.Client.UserAgent)
			}
		}
	}
	const many = 100
	if seen < many {
		t.Errorf("only %d devices were seen", seen)
	}
}
