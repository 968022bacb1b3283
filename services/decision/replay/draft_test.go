//go:build !race

// One thing after another: the race detector has nothing to find here, and makes it four times as dear.

package replay_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/decision/replay"
	"github.com/keyward/keyward/services/decision/scenario"
)

const asTokens = "where of addresses tokens are kept, and the network is barred"

func TestARecordedDecisionBecomesAScenarioThatIsAnsweredAlike(t *testing.T) {
	for name, parameters := range map[string]map[string]any{
		"with the figures of the default bundle": nil,
		asTokens:                                 {"blockedAddresses": []any{"203.0.113.0/24"}},
		"where users, browsers and identifiers are told apart": {
			"deviceLocalTreatmentShare": 5000,
			"rollout": map[string]any{
				"killSwitch":                   map[string]any{"login": false, "append": false, "manage": false},
				"rules":                        map[string]any{"some": map[string]any{"salience": 1, "verdict": "sample", "share": 5000}},
				"requireAllowlistedIdentifier": true, "allowedIdentifiers": []any{"ada@example.com"}, "allowedDomains": []any{},
				"invitations": map[string]any{},
			},
		},
		"where the network and the environment are barred": {
			"blockedAddresses": []any{"203.0.113.0/24"}, "blockedEnvironments": []any{"env-1"},
		},
		"where rules of risk bind": {"risk": map[string]any{"mode": "enforce"}},
	} {
		t.Run(name, func(t *testing.T) {
			b, dir := openBus(t), policyDir(t, parameters)
			drafts := replay.NewDrafts(replay.NewRecords(b.JS))
			bundle, err := scenario.Open(t.Context(), os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			stages := map[string]int{}
			named := 0 // passkeys whose provider the bundle knows
			kept, some := address.Truncated, decisions(t)/5
			if name == asTokens {
				kept, some = address.Token, some/5
			}
			for _, one := range recordAs(t, b.JS, dir, some, 11, kept) {
				found, err := replay.NewRecords(b.JS).Find(t.Context(), one.id)
				if err != nil {
					t.Fatal(err)
				}
				text, err := drafts.Write(t.Context(), &found)
				if err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				answeredBy(t, bundle, text, one.row)
				for _, stage := range []string{"login-finish", "append-finish", "evaluate"} {
					stages[stage] += strings.Count(string(text), "stage: "+stage)
				}
				if name == asTokens && strings.Contains(string(text), "env-blacklisted") {
					continue // why and until when follow from the address
				}
				if asked := found.Action == "login" || found.Action == "append"; asked != strings.Contains(string(text), "nextEligibleAt:") ||
					asked != strings.Contains(string(text), "reason:") && found.Action != "rollout" {
					t.Errorf("%s does not say why and until when:\n%s", one.id, text)
				}
				named += strings.Count(string(text), "provider: \"")
				for _, name := range []string{string(found.User), "cre-", "203.0.113", "ada@", string(one.id)} {
					if name != "" && strings.Contains(string(text), name) {
						t.Errorf("%s: %q is in\n%s", one.id, name, text)
					}
				}
			}
			if len(stages) != 3 || name != asTokens && (stages["login-finish"] == 0 || stages["append-finish"] == 0 || stages["evaluate"] == 0) {
				t.Errorf("of the stages that are judged alone were written %v", stages)
			}
			if named == 0 {
				t.Error("no passkey is told by its provider's name")
			}
		})
	}
}

// answeredBy runs the one scenario of a file.
func answeredBy(t *testing.T, bundle *scenario.Bundle, text []byte, row string) {
	t.Helper()
	suite, err := scenario.Parse("drafted", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed != 0 || report.Total != 1 || report.Scenarios[0].Rule != row {
		t.Errorf("%+v\n%s", report.Scenarios, text)
	}
}

func TestADecisionThatCannotBeWrittenDownSaysWhy(t *testing.T) {
	for why, c := range map[string]struct {
		spoil func(*replay.Record)
		want  error
	}{
		"it is of the version before":   {func(r *replay.Record) { r.Schema, r.Question = 0, nil }, replay.ErrRecordedBefore},
		"the safe default was answered": {func(r *replay.Record) { r.Answer = nil }, replay.ErrPolicyFailed},
		"a switch was on": {func(r *replay.Record) {
			r.Answer, r.Rule, r.Tag = nil, "switch:no-ios", rest.DecisionTagSwitchedOff
		}, replay.ErrSwitchedOff},
		"the revision is not archived":    {func(r *replay.Record) { r.PolicyHash = "other" }, replay.ErrNotArchived},
		"the answer was another":          {func(r *replay.Record) { r.Rule = "L99" }, replay.ErrNotStated},
		"events are no longer in the log": {func(*replay.Record) {}, replay.ErrEventsGone},
	} {
		t.Run(why, func(t *testing.T) {
			b := openBus(t)
			records := replay.NewRecords(b.JS)
			for _, one := range record(t, b.JS, "", 20, 12) {
				found, err := records.Find(t.Context(), one.id)
				if err != nil {
					t.Fatal(err)
				}
				if found.Action == "risk" || found.Question.Read == nil || found.Question.Read.Events == 0 {
					continue
				}
				if errors.Is(c.want, replay.ErrEventsGone) {
					purge(t, b)
				}
				c.spoil(&found)
				if text, err := replay.NewDrafts(records).Write(t.Context(), &found); !errors.Is(err, c.want) {
					t.Errorf("%v, not %v\n%s", err, c.want, text)
				}
				return
			}
			t.Fatal("no decision was made from events")
		})
	}
}

func purge(t *testing.T, b *bus.Bus) {
	t.Helper()
	stream, err := b.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}
