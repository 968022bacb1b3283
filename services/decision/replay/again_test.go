//go:build !race

// One thing after another: the race detector has nothing to find here, and makes it four times as dear.

package replay_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/decision/replay"
)

// A bundle whose rules read nothing else, but that detects by other parameters, has every fact found anew: if one came out otherwise, so
// would an answer.
func TestDecisionsThatAreMadeAnewFromWhatWasKeptAreTheSame(t *testing.T) {
	b := openBus(t)
	record(t, b.JS, "", 400, 8)
	candidate := load(t, policyDir(t, map[string]any{"blockedBrowsers": []any{map[string]any{"name": "Nobody's"}}}))
	summary, err := replay.NewRecords(b.JS).Replay(t.Context(), replay.Options{Candidate: candidate})
	if err != nil {
		t.Fatal(err)
	}
	if summary.Same != 400 || summary.Different != 0 || len(summary.NotJudged) != 0 {
		t.Errorf("made anew: %+v", summary)
	}
}

func TestFactsThatAreFoundAnewAreThoseThatWereRecorded(t *testing.T) {
	b := openBus(t)
	records := replay.NewRecords(b.JS)
	all := append(record(t, b.JS, "", 24, 9), recordAs(t, b.JS, "", 24, 19, address.Token)...)
	candidate := load(t, policyDir(t, map[string]any{"blockedBrowsers": []any{map[string]any{"name": "Nobody's"}}}))
	for _, one := range all {
		found, err := records.Find(t.Context(), one.id)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := records.Facts(t.Context(), &found, candidate)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(found.Facts), string(facts)); diff != "" {
			t.Fatalf("%s of %s: (-recorded +anew)\n%s", found.Action, found.ID, diff)
		}
	}
}

// Of an address that was kept as a token nobody can tell whether it is one that another bundle bars; what was found of it then counts.
func TestOfAnAddressThatWasKeptAsATokenItIsSaidWhatCannotBeJudged(t *testing.T) {
	b := openBus(t)
	records := replay.NewRecords(b.JS)
	recordAs(t, b.JS, "", 60, 13, address.Token)
	for why, c := range map[string]struct {
		parameters map[string]any
		judged     int
	}{
		"an address is barred, wherever that is": {map[string]any{"blockedAddresses": []any{"198.51.100.0/24"}}, 0},
		"another figure":                         {map[string]any{"blockedBrowsers": []any{map[string]any{"name": "Nobody's"}}}, 60},
	} {
		summary, err := records.Replay(t.Context(), replay.Options{Candidate: load(t, policyDir(t, c.parameters))})
		if err != nil {
			t.Fatal(err)
		}
		if summary.Same != c.judged || summary.NotJudged[replay.AddressNotKept] != 60-c.judged || summary.Different != 0 {
			t.Errorf("%s: %+v", why, summary)
		}
	}
}

func TestADecisionThatCannotBeMadeAnewIsCountedByWhy(t *testing.T) {
	for why, c := range map[string]struct {
		parameters map[string]any
		spoil      func(t *testing.T, b *bus.Bus)
		want       replay.Reason
		all        bool // every decision, not only some
	}{
		"the records are of the version before": {
			map[string]any{"streakThreshold": 1},
			func(t *testing.T, b *bus.Bus) {
				t.Helper()
				rewrite(t, b.JS, func(record map[string]any) { delete(record, "schema"); delete(record, "question") })
			},
			replay.RecordedBefore, true,
		},
		"the events have been dropped": {
			map[string]any{"streakThreshold": 1},
			purge,
			replay.EventsGone, false,
		},
		"an address of the network is barred": {
			map[string]any{"blockedAddresses": []any{"203.0.113.77"}}, func(*testing.T, *bus.Bus) {}, replay.AddressNotKept, true,
		},
		"another invitation lets in": {
			map[string]any{"rollout": map[string]any{
				"killSwitch": map[string]any{"login": false, "append": false, "manage": false}, "rules": map[string]any{},
				"requireAllowlistedIdentifier": false, "allowedIdentifiers": []any{}, "allowedDomains": []any{},
				"invitations": map[string]any{"friends": strings.Repeat("ab", 32)},
			}},
			func(*testing.T, *bus.Bus) {}, replay.RolloutNotKept, false,
		},
	} {
		t.Run(why, func(t *testing.T) {
			b := openBus(t)
			record(t, b.JS, "", 60, 10)
			c.spoil(t, b)
			summary, err := replay.NewRecords(b.JS).Replay(t.Context(), replay.Options{Candidate: load(t, policyDir(t, c.parameters))})
			if err != nil {
				t.Fatal(err)
			}
			left := summary.NotJudged[c.want]
			if left == 0 || left+summary.Decisions != 60 || (c.all && left != 60) || len(summary.NotJudged) != 1 {
				t.Errorf("%+v", summary)
			}
			// Other rules judge the same facts, whatever is lacking.
			rules, err := replay.NewRecords(b.JS).Replay(t.Context(), replay.Options{Candidate: load(t, policyDir(t, nil))})
			if err != nil {
				t.Fatal(err)
			}
			if rules.Same != 60 || len(rules.NotJudged) != 0 {
				t.Errorf("with the same parameters: %+v", rules)
			}
		})
	}
}

// rewrite replaces every record by a changed one.
func rewrite(t *testing.T, js jetstream.JetStream, change func(map[string]any)) {
	t.Helper()
	stream, err := js.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		msg, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		var record map[string]any
		if err := json.Unmarshal(msg.Data, &record); err != nil {
			t.Fatal(err)
		}
		change(record)
		data, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), msg.Subject, data); err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), sequence); err != nil {
			t.Fatal(err)
		}
	}
}
