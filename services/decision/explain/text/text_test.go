package text_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/explain/text"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// settled is a condition that says no more than the one that it asks.
func settled(reason string, line int) explain.Condition {
	inner := explain.Condition{Reason: reason, File: "lib.rego", Line: line}
	return explain.Condition{Reason: reason, File: "login.rego", Line: 1, Because: []explain.Condition{inner}}
}

func TestAnExplanationIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   explain.Explanation
		want string
	}{
		"with all that there is to say": {
			explain.Explanation{
				Action: "login", Revision: "abc", Answer: map[string]any{"allow": true}, Note: "Something is left out.",
				Row: explain.Row{
					Name: "L2", Tag: "ok", Title: "It works", File: "login.rego", Line: 7,
					Conditions: []explain.Condition{{Reason: "both", Because: []explain.Condition{
						{Reason: "streak is 1", File: "login.rego", Line: 8}, settled("count is 2", 9),
					}}},
					Details:    []explain.Condition{settled("gate is open", 3)},
					Facts:      []explain.Reading{{Name: "pair.streak", Value: 1, Given: true, Description: "In a row"}, {Name: "rollout"}},
					Parameters: []explain.Reading{{Name: "streakThreshold", Value: 2, Given: true}},
				},
				Above: []explain.Row{
					{Name: "L0", Tag: "first", Reason: "a is false", File: "login.rego", Line: 2},
					{Name: "L1", Tag: "bar", Reason: "b is false", File: "login.rego", Line: 4, Conditions: []explain.Condition{settled("b is false", 5)}},
				},
				Passkeys: []detect.Reach{
					{Credential: "cre-1", Class: facts.ClassApple, Authenticator: "iCloud", Availability: detect.Likely, Why: "iOS has it"},
				},
			},
			`login: allowed   row L2   tag ok   revision abc

Something is left out.

L2  ok answered   login.rego:7
    It works
    because streak is 1   login.rego:8
        and count is 2   lib.rego:9

What shaped its answer
    gate is open  lib.rego:3

Facts it read
    pair.streak  1  In a row
    rollout      not given

Parameters it read
    streakThreshold  2

Passkeys of the account
    cre-1  a passkey of Apple's (iCloud)  expected here: iOS has it

Rows above it
    L0  first  did not match: a is false  login.rego:2
    L1  bar    did not match: b is false  lib.rego:5
`,
		},
		"of a bundle without rules": {
			explain.Explanation{
				Action: "rollout", Revision: "abc", Answer: map[string]any{"allow": false},
				Row: explain.Row{Name: "none", Tag: "t", Reason: "the bundle has no rules for this action"},
			},
			"rollout: not allowed   row none   tag t   revision abc\n\nnone  t answered   \n    because the bundle has no rules for this action\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := text.Write(&out, &c.of); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			broken := &full{left: len(c.want) - 1}
			if err := text.Write(broken, &c.of); !errors.Is(err, errFull) {
				t.Errorf("to a writer that is full: %v", err)
			}
		})
	}
}

var errFull = errors.New("full")

// full takes so many bytes and no more.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, errFull
	}
	f.left -= len(p)
	return len(p), nil
}
