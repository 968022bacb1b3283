package test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/policies/policiestest"
)

// drawn is what every answer draws anew: challenges, handles, the IDs of what there is, and when a pause ends.
var drawn = regexp.MustCompile(`[A-Za-z0-9_-]{40,}|\b[a-z]{3}-[0-9]+\b|\\"id\\":\\"[A-Za-z0-9_-]+\\"|"nextEligibleAt":"[^"]+"`)

// Strict clients see nothing of rules that observe, whatever these say: the bodies of starts are as without them, byte for byte.
func TestWithoutRulesOfRiskTheBodiesOfStartsAreTheSame(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	bundles := []string{policiestest.Dir(t, files)}
	for name := range files {
		if strings.HasPrefix(name, "risk/") {
			delete(files, name)
		}
	}
	bundles = append(bundles, policiestest.Dir(t, files))
	var bodies, judged [2][]string
	for i, bundle := range bundles {
		st := shape{name: "one process"}.start(t, func(c *settings.Config) { c.Decision.PoliciesDir = bundle })
		fresh, owner := st.newPerson(t), st.newPerson(t)
		owner.createPasskey(t)
		for _, p := range []*person{fresh, owner} {
			for _, client := range suspects() {
				for _, start := range []string{"login", "append", "mediation"} {
					body := map[string]any{
						"userID": p.id, "processID": p.nextProcess(), "clientInformation": client, "crossDeviceAuthenticationStrategy": "standard",
						"username": "ada@example.com", "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
					}
					for _, foreign := range foreignTo()[start] {
						delete(body, foreign)
					}
					got := p.call(t, http.MethodPost, "/v2/passkey/"+start+"/start", body)
					if got.status != http.StatusOK {
						t.Fatalf("%s: %d %s", start, got.status, got.body)
					}
					bodies[i] = append(bodies[i], drawn.ReplaceAllString(string(got.body), "…"))
					judged[i] = append(judged[i], got.header.Get("X-Keyward-Risk"))
				}
			}
		}
	}
	actions := map[string]bool{}
	for n, body := range bodies[0] {
		if body != bodies[1][n] {
			t.Errorf("start %d, judged %s, is answered\n%s\nwithout rules of risk\n%s", n, judged[0][n], body, bodies[1][n])
		}
		action, _, _ := strings.Cut(judged[0][n], ";")
		actions[action] = true
	}
	if !actions["allow"] || !actions["review"] || !actions["challenge"] {
		t.Errorf("the starts are judged all too alike: %v", actions)
	}
}

// foreignTo names the members that a start does not have.
func foreignTo() map[string][]string {
	return map[string][]string{
		"login": {"username", "passkeyIntelFlags"}, "append": {"crossDeviceAuthenticationStrategy"},
		"mediation": {"userID", "username", "passkeyIntelFlags", "crossDeviceAuthenticationStrategy"},
	}
}

// suspects are clients that rules of risk tell apart.
func suspects() []map[string]any {
	with := func(member string, value any) map[string]any {
		client := mac("")
		client[member] = value
		return client
	}
	return []map[string]any{
		mac(""), with("webdriver", true), with("privateMode", true),
		{"remoteAddress": "198.51.100.9", "userAgent": "curl/8.5.0"},
		{"remoteAddress": "192.0.2.8", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/142.0.0.0 Safari/537.36"},
	}
}
