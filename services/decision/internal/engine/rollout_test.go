package engine

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// halved lets in half of the iPhones, whoever was flagged, and nobody else; and of those who are named only colleagues.
func halved(tb testing.TB) *Engine {
	tb.Helper()
	e, err := defaultEngine(tb, Options{MemoEntries: entries, EvalTimeout: unhurried}).With(map[string]any{"rollout": map[string]any{
		"rules": map[string]any{
			"flagged": map[string]any{"salience": 2, "verdict": "allow", "flags": map[string]any{"beta": "on"}},
			"iphones": map[string]any{"salience": 1, "verdict": "sample", "share": 5_000, "os": []string{"ios"}},
			"rest":    map[string]any{"salience": 0, "verdict": "block"},
		},
		"requireAllowlistedIdentifier": true, "allowedDomains": []string{"example.com"},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// visitor draws somebody who asks for passkeys.
func visitor(t *rapid.T) service.RolloutQuestion {
	q := service.RolloutQuestion{
		Action:     rapid.SampledFrom([]string{service.RolloutLogin, service.RolloutAppend, service.RolloutManage}).Draw(t, "action"),
		Identifier: rapid.SampledFrom([]string{"", "ada@example.com", "eve@example.org"}).Draw(t, "identifier"),
		Flags:      map[string]string{"beta": rapid.SampledFrom([]string{"on", "off"}).Draw(t, "flag")},
	}
	q.Project = "pro-1"
	q.Environment.ID = ident.EnvironmentID(rapid.SampledFrom([]string{"", "env-1", "env-2", "env-3", "env-4"}).Draw(t, "environment"))
	q.Client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{
		OSName: rapid.SampledFrom([]string{"iOS", "macOS"}).Draw(t, "os"), OSVersion: "18.1", BrowserName: "Safari", BrowserVersion: "18.1",
	}
	return q
}

// elsewise changes what no rule of the rollout can turn on.
func elsewise(t *rapid.T, q service.RolloutQuestion) service.RolloutQuestion {
	yesOrNo := func(name string) *bool {
		drawn := rapid.Bool().Draw(t, name)
		return &drawn
	}
	q.Process, q.RequestID = rapid.String().Draw(t, "process"), "req-1"
	q.Client.BluetoothAvailable, q.Client.ConditionalMediationAvailable = yesOrNo("bluetooth"), yesOrNo("mediation")
	q.Client.UserVerifyingPlatformAuthenticatorAvailable, q.Client.PrivateMode = yesOrNo("uvpaa"), yesOrNo("private")
	q.Client.RemoteAddress, q.Invitation = rapid.String().Draw(t, "address"), rapid.String().Draw(t, "invitation")
	q.Environment.Known, q.Environment.Rejected = *yesOrNo("known"), *yesOrNo("rejected")
	q.Flags = map[string]string{"beta": q.Flags["beta"], rapid.StringN(5, 20, -1).Draw(t, "flag"): "on"}
	if user, domain, named := strings.Cut(q.Identifier, "@"); named {
		// Somebody else of the same standing, in the same browser.
		q.Identifier = strings.ToUpper(user) + "x@" + domain
		if q.Environment.ID == "" {
			q.Identifier = strings.ToUpper(user) + "@" + domain
		}
	}
	return q
}

func TestWhatDoesNotMatterToARolloutChangesNeitherAnswerNorMemoKey(t *testing.T) {
	t.Parallel()
	e := halved(t)
	key := func(q service.RolloutQuestion) string {
		d := e.view(q.Project).knowledge.Rollout(q)
		return string(e.base.keys[rollout].Append(nil, &d.Facts))
	}
	rules := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		q := visitor(t)
		other := elsewise(t, q)
		if key(q) != key(other) {
			t.Fatalf("%+v and %+v are told apart", q, other)
		}
		v, basis, err := e.Rollout(context.Background(), q)
		same, again, sameErr := e.Rollout(context.Background(), other)
		if err != nil || sameErr != nil || v.Rule != same.Rule || string(basis.Answer) != string(again.Answer) || !again.Memoised {
			t.Fatalf("%+v (%v) and %+v (%v)", v, err, same, sameErr)
		}
		rules[v.Rule] = true
	})
	for _, rule := range []string{"R2", "R3", "R4", "R5"} {
		if !rules[rule] && !testing.Short() { // few are drawn then
			t.Errorf("no question led to %s", rule)
		}
	}
}

func TestARolloutReadsWhatItsRulesCanAskFor(t *testing.T) {
	t.Parallel()
	want := []string{
		"complete",
		"client.os",
		"client.osVersion",
		"client.browser",
		"client.webdriver",
		"rollout.action",
		"rollout.identifier",
		"rollout.invitation",
		"rollout.browserVersion",
		"rollout.samples",
		"rollout.flags",
	}
	if diff := cmp.Diff(want, defaultEngine(t, Options{}).MemoPaths()[ActionRollout]); diff != "" {
		t.Error(diff)
	}
}

const answersLogin = `package keyward.login

decision := {
	"rule": "L", "allow": false, "tag": "default-deny", "route": "", "isCDACandidate": false, "preferImmediatelyAvailable": false,
	"credentials": [], "hints": [],
}
`

func TestABundleWithoutRolloutLetsEverybodyIn(t *testing.T) {
	t.Parallel()
	e, err := Load(t.Context(), small(t, answersLogin), Options{MemoEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	q := service.RolloutQuestion{Action: service.RolloutLogin, Identifier: "eve@example.org"}
	v, basis, err := e.Rollout(t.Context(), q)
	if err != nil || !v.Allow || v.Rule != unruledRow || v.Tag != service.TagRolloutAllowed || v.PolicyRevision != e.Revision() ||
		basis.Facts.Rollout == nil {
		t.Errorf("%+v, %v", v, err)
	}
	// What is recorded is what evaluating it again gives.
	var recorded map[string]any
	if err := json.Unmarshal(basis.Answer, &recorded); err != nil {
		t.Fatal(err)
	}
	again, err := e.Evaluate(t.Context(), ActionRollout, "pro-1", basis.Facts)
	if diff := cmp.Diff(recorded, again); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if paths := e.MemoPaths()[ActionRollout]; len(paths) != 0 {
		t.Errorf("it reads %v", paths)
	}
	if e.Undefined(ActionLogin) != nil || defaultEngine(t, Options{}).Undefined(ActionRollout) != nil {
		t.Error("an action that has rules counts as undefined")
	}
}

func TestARolloutThatAnswersAmissIsRefused(t *testing.T) {
	t.Parallel()
	schema := small(t, answersLogin)["schemas/login.jsonschema"]
	for answer, want := range map[string]string{
		`{"rule": "R", "allow": true, "tag": "rollout-allowed"}`:                     "reason must be a string",
		`{"rule": "R", "allow": true, "tag": "user-no-pks", "reason": ""}`:           "tag must be a tag of rollout",
		`{"rule": "R", "allow": "yes", "tag": "rollout-allowed", "reason": ""}`:      "allow must be true or false",
		`{"rule": "R", "allow": false, "tag": "rollout-rule-blocked", "reason": ""}`: "",
		`{"rule": "R", "allow": false, "tag": "default-deny", "reason": ""}`:         "",
	} {
		files := small(t, answersLogin)
		files["rollout/rollout.rego"] = &fstest.MapFile{Data: []byte("package keyward.rollout\n\ndecision := " + answer + "\n")}
		files["schemas/rollout.jsonschema"] = schema
		_, err := Load(t.Context(), files, Options{})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", answer, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), "rollout/rollout.rego:3: ") || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: expected %q, got %v", answer, want, err)
		}
	}
}

func TestARolloutThatCannotBeJudgedIsDenied(t *testing.T) {
	t.Parallel()
	files := small(t, answersLogin)
	files["rollout/rollout.rego"] = &fstest.MapFile{Data: []byte(`package keyward.rollout

decision := {"rule": "R", "allow": true, "tag": "rollout-allowed", "reason": ""} if input.client.os != "harmonyos"
`)}
	files["schemas/rollout.jsonschema"] = files["schemas/login.jsonschema"]
	e, err := Load(t.Context(), files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := service.RolloutQuestion{Action: service.RolloutLogin}
	q.Client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: "HarmonyOS", BrowserName: "AWeb"}
	v, basis, err := e.Rollout(t.Context(), q)
	if err == nil || v.Allow || v.Rule != "default" || v.Tag != rest.DecisionTagDefaultDeny || basis.Answer != nil ||
		basis.Facts.Rollout == nil {
		t.Errorf("%+v, %+v, %v", v, basis, err)
	}
}

func TestActionsAreAllThatThereAre(t *testing.T) {
	t.Parallel()
	want := []string{ActionLogin, ActionAppend, ActionMediation, ActionRollout, ActionRisk}
	if got := Actions(); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	Actions()[0] = "changed"
	if Actions()[0] != ActionLogin {
		t.Error("the list can be changed")
	}
}
