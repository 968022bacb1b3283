package retold

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/rollout"
)

// stated returns the parameters that a scenario has to state: those of the project, and what puts those whom it does not name where they
// were, on which side of an experiment, in which sample, on which list.
func stated(d *Decision, by *engine.Engine, found *facts.Facts) (map[string]any, error) {
	raw, err := json.Marshal(by.Bundle(d.Project).Parameters())
	if err != nil {
		return nil, fmt.Errorf("read the parameters: %w", err)
	}
	var known struct {
		experiment.Shares
		Rollout rollout.Parameters `json:"rollout"`
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return nil, fmt.Errorf("read the parameters: %w", err)
	}
	state := map[string]any{}
	switch found.Environment.Listed {
	case facts.ListedAddress:
		state["blockedAddresses"] = []any{draft.Address}
	case facts.ListedEnvironment:
		state["blockedEnvironments"] = []any{draft.Environment}
	}
	if found.AccountFacts != nil {
		sides(state, found.Experiments, &known.Shares)
	}
	if found.Rollout != nil {
		if let := letIn(found.Rollout, &known.Rollout); len(let) > 0 {
			state["rollout"] = let
		}
	}
	return bundle.Merge(by.Overrides(d.Project), state), nil
}

const everybody = 10_000

// share is the share of an arm that holds everybody, or nobody.
func share(arm facts.Arm) int {
	if arm == facts.Treatment {
		return everybody
	}
	return 0
}

func divides(share int) bool { return share > 0 && share < everybody }

func sides(state map[string]any, arms facts.Assignments, shares *experiment.Shares) {
	others := map[string]any{}
	for _, a := range arms {
		switch {
		case a.Experiment == facts.DeviceLocalPasskey && divides(shares.DeviceLocalTreatmentShare):
			state["deviceLocalTreatmentShare"] = share(a.Arm)
		case divides(shares.Experiments[a.Experiment]):
			others[a.Experiment] = share(a.Arm)
		}
	}
	if len(others) > 0 {
		state["experiments"] = others
	}
}

func letIn(found *facts.Rollout, parameters *rollout.Parameters) map[string]any {
	state, rules := map[string]any{}, map[string]any{}
	for _, sample := range found.Samples {
		if s := parameters.Rules[sample.Experiment].Share; s != nil && divides(*s) {
			rules[sample.Experiment] = map[string]any{"share": share(sample.Arm)}
		}
	}
	if len(rules) > 0 {
		state["rules"] = rules
	}
	if found.Identifier == facts.Listed {
		state["allowedIdentifiers"] = []any{listed}
	}
	if found.Invitation != "" {
		sum := sha256.Sum256([]byte(invitation))
		state["invitations"] = map[string]any{found.Invitation: hex.EncodeToString(sum[:])}
	}
	return state
}
