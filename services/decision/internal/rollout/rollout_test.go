package rollout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/rollout"
)

const token = "Aiy3Ohxe"

// digest is what the parameters hold of a token.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func learn(t *testing.T, parameters map[string]any) *rollout.Rollout {
	t.Helper()
	r, err := read(t, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

// read reads parameters as they stand in a bundle.
func read(t *testing.T, parameters map[string]any) (rollout.Rollout, error) {
	t.Helper()
	raw, err := json.Marshal(parameters)
	if err != nil {
		t.Fatal(err)
	}
	var p rollout.Parameters
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return rollout.Learn(&p, experiment.Division{Salt: "salt"})
}

func TestIdentifiersAreListedWholeOrByDomain(t *testing.T) {
	t.Parallel()
	r := learn(t, map[string]any{
		"allowedIdentifiers": []string{"Ada@example.org", "+4915112345678", "grace"}, "allowedDomains": []string{"Example.com", "müller.example"},
	})
	for identifier, want := range map[string]facts.Membership{
		"":                          facts.NotNamed,
		"  ":                        facts.NotNamed,
		"ada@example.org":           facts.Listed,
		" ADA@EXAMPLE.ORG ":         facts.Listed,
		"bob@example.org":           facts.Unlisted,
		"bob@EXAMPLE.com":           facts.Listed,
		"bob@shop.example.com":      facts.Unlisted,
		"bob@notexample.com":        facts.Unlisted,
		"bob@MÜLLER.example":        facts.Listed,
		"\"a@b\"@example.com":       facts.Listed,
		"eve@example.com@evil.test": facts.Unlisted,
		"@example.com":              facts.Unlisted,
		"example.com":               facts.Unlisted,
		"+4915112345678":            facts.Listed,
		"+491511234567":             facts.Unlisted,
		"Grace":                     facts.Listed,
	} {
		if got := r.Facts(service.RolloutQuestion{Identifier: identifier}, 0).Identifier; got != want {
			t.Errorf("%q is %s, want %s", identifier, got, want)
		}
	}
}

func TestAnInvitationIsKnownByItsTokenAndAFlagIfARuleAsksForIt(t *testing.T) {
	t.Parallel()
	r := learn(t, map[string]any{
		"invitations": map[string]any{"friends": digest(token), "press": digest("other")},
		"rules": map[string]any{
			"beta": map[string]any{"salience": 1, "verdict": "allow", "flags": map[string]any{"beta": "on", "shop": "de"}},
			"shop": map[string]any{"salience": 0, "verdict": "allow", "flags": map[string]any{"shop": "at"}},
		},
	})
	for _, tc := range []struct {
		token, invitation string
	}{{token, "friends"}, {"other", "press"}, {"", ""}, {"Other", ""}, {digest(token), ""}} {
		if got := r.Facts(service.RolloutQuestion{Invitation: tc.token}, 0).Invitation; got != tc.invitation {
			t.Errorf("%q is the token of %q, want %q", tc.token, got, tc.invitation)
		}
	}
	sent := map[string]string{"shop": "at", "beta": "on", "theme": "dark", "": ""}
	want := facts.Assignments{{Experiment: "beta", Arm: "on"}, {Experiment: "shop", Arm: "at"}}
	if diff := cmp.Diff(want, r.Facts(service.RolloutQuestion{Flags: sent}, 0).Flags); diff != "" {
		t.Error(diff)
	}
	if got := r.Facts(service.RolloutQuestion{Flags: map[string]string{"beta": "ON", "shop": "fr"}}, 0).Flags; len(got) != 0 {
		t.Errorf("values that no rule asks for are facts: %v", got)
	}
}

// Facts are recorded, and neither who somebody is nor what lets them in belongs into a record.
func TestFactsOfARolloutHoldNeitherIdentifierNorToken(t *testing.T) {
	t.Parallel()
	r := learn(t, map[string]any{"invitations": map[string]any{"friends": digest(token)}, "allowedIdentifiers": []string{"ada@example.org"}})
	found := facts.Facts{Rollout: r.Facts(service.RolloutQuestion{
		Question: service.Question{
			Environment: service.Environment{ID: "env-4711", Known: true},
		},
		Identifier: "ada@example.org",
		Invitation: token,
		Flags:      map[string]string{"secret": "value"},
	}, 142)}
	written := string(found.AppendJSON(nil))
	for _, secret := range []string{"ada", "example.org", token, digest(token), "4711", "secret", "value"} {
		if strings.Contains(written, secret) {
			t.Errorf("%s tells %q", written, secret)
		}
	}
}

func sampling(share int) map[string]any {
	return map[string]any{"rules": map[string]any{
		"few":   map[string]any{"salience": 1, "verdict": "sample", "share": share},
		"other": map[string]any{"salience": 0, "verdict": "sample", "share": 3_000},
		"all":   map[string]any{"salience": 0, "verdict": "allow"},
	}}
}

// few is the side of rule few that somebody is on.
func few(r *rollout.Rollout, project, environment, identifier string) facts.Arm {
	q := service.RolloutQuestion{Identifier: identifier}
	q.Project, q.Environment.ID = ident.ProjectID(project), ident.EnvironmentID(environment)
	return r.Facts(q, 0).Samples[0].Arm
}

func TestASampleHoldsItsShareAndKeepsWhomItHas(t *testing.T) {
	t.Parallel()
	const clients, share = 20_000, 3_000
	r, grown := learn(t, sampling(share)), learn(t, sampling(2*share))
	var sampled, other, elsewhere int
	for i := range clients {
		environment := "env-" + strconv.Itoa(i)
		if few(r, "pro-1", environment, "") != facts.Treatment {
			continue
		}
		sampled++
		q := service.RolloutQuestion{}
		q.Project, q.Environment.ID = "pro-1", ident.EnvironmentID(environment)
		other += is(r.Facts(q, 0).Samples[1].Arm)
		elsewhere += is(few(r, "pro-2", environment, ""))
		if few(grown, "pro-1", environment, "") != facts.Treatment {
			t.Fatalf("%s left when the share grew", environment)
		}
	}
	for name, got := range map[string]float64{
		"sampled": float64(sampled) / clients, "by another rule, too": float64(other) / float64(sampled),
		"in another project, too": float64(elsewhere) / float64(sampled),
	} {
		if math.Abs(got-float64(share)/10_000) > 0.02 {
			t.Errorf("%s: %.3f", name, got)
		}
	}
}

func TestABrowserIsSampledTheSameWhoeverIsNamedInIt(t *testing.T) {
	t.Parallel()
	r := learn(t, sampling(5_000))
	sides := map[facts.Arm]bool{}
	for i := range 100 {
		environment := "env-" + strconv.Itoa(i)
		nobody := few(r, "pro-1", environment, "")
		if few(r, "pro-1", environment, "ada@example.org") != nobody || few(r, "pro-1", environment, "") != nobody {
			t.Fatalf("%s is told different things", environment)
		}
		// Where there is no browser to tell by, who is named decides, in whatever case.
		named := few(r, "pro-1", "", "user"+strconv.Itoa(i))
		if few(r, "pro-1", "", " USER"+strconv.Itoa(i)) != named {
			t.Fatalf("user %d is told different things", i)
		}
		sides[nobody], sides[named] = true, true
	}
	if len(sides) != 2 {
		t.Errorf("everybody is on the same side: %v", sides)
	}
	if few(r, "pro-1", "", "") != facts.Control || few(learn(t, sampling(9_999)), "pro-1", "", "") != facts.Control {
		t.Error("a client that cannot be told apart is in a sample")
	}
	if few(learn(t, sampling(10_000)), "pro-1", "", "") != facts.Treatment ||
		few(learn(t, sampling(0)), "pro-1", "env-1", "") != facts.Control {
		t.Error("all and none are not what they say")
	}
}

func TestWhatARolloutCannotMeanIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	rule := func(rule map[string]any) map[string]any { return map[string]any{"rules": map[string]any{"few": rule}} }
	for name, tc := range map[string]struct {
		rollout map[string]any
		at      string
	}{
		"a sample without a share":    {rule(map[string]any{"salience": 1, "verdict": "sample"}), "rollout.rules.few"},
		"a share that samples nobody": {rule(map[string]any{"salience": 1, "verdict": "allow", "share": 10}), "rollout.rules.few"},
		"an invitation of another name": {
			rule(map[string]any{"salience": 1, "verdict": "allow", "invitations": []string{"friend"}}),
			"rollout.rules.few.invitations",
		},
		"a token instead of its sum": {map[string]any{"invitations": map[string]any{"friends": token}}, "rollout.invitations.friends"},
		"one token for two": {
			map[string]any{"invitations": map[string]any{"a": digest(token), "b": digest(token)}}, "rollout.invitations.b",
		},
	} {
		_, err := read(t, tc.rollout)
		var misfit *document.MisfitError
		if !errors.As(err, &misfit) || strings.Join(misfit.Keys, ".") != "keyward.parameters."+tc.at {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func is(a facts.Arm) int {
	if a == facts.Treatment {
		return 1
	}
	return 0
}
