package engine

import (
	"encoding/json"
	"slices"

	"github.com/keyward/keyward/core/service"
)

// What is answered to rollout by a bundle that has no package for it, and the same as a document.
const (
	unruledRow    = "none"
	unruledAnswer = `{"rule":"none","allow":true,"tag":"rollout-allowed","reason":""}`
)

// unruledRisk is answered to what is no ceremony by a bundle that has no rules of risk.
func unruledRisk() *Risk {
	return &Risk{
		Verdict: service.Risk{Rule: unruledRow, Action: service.RiskAllow, Level: service.RiskLow, Reasons: []service.RiskReason{}},
		Answer:  json.RawMessage(`{"rule":"none","action":"allow","level":"low","reasons":[]}`),
	}
}

func unruled() verdict {
	return verdict{rule: unruledRow, allow: true, tag: service.TagRolloutAllowed}
}

// Undefined returns the answer document to an action that the bundle has no package for and may lack. It returns nil if the bundle's rules
// answer.
func (e *Engine) Undefined(action string) map[string]any {
	q := slices.Index(actions[:], action)
	if q < int(rollout) || e.base.Defines(entrypoints[q]) {
		return nil
	}
	if q == int(risky) {
		return map[string]any{
			"rule": unruledRow, "action": string(service.RiskAllow), "level": string(service.RiskLow), "reasons": []any{},
		}
	}
	v := unruled()
	return map[string]any{"rule": v.rule, "allow": v.allow, "tag": string(v.tag), "reason": ""}
}
