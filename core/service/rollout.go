package service

import "github.com/keyward/keyward/api/rest"

// What a RolloutQuestion may be about.
const (
	RolloutLogin  = "login"
	RolloutAppend = "append"
	RolloutManage = "manage"
)

// The tags of a Verdict on a RolloutQuestion, besides default-deny. They are no tags of the wire, which has words only for decisions about
// users.
const (
	TagRolloutAllowed             rest.DecisionTag = "rollout-allowed"
	TagRolloutKillSwitch          rest.DecisionTag = "rollout-kill-switch"
	TagRolloutRuleBlocked         rest.DecisionTag = "rollout-rule-blocked"
	TagRolloutSampledOut          rest.DecisionTag = "rollout-sampled-out"
	TagRolloutIdentifierNotListed rest.DecisionTag = "rollout-identifier-not-listed"
)

// RolloutQuestion asks whether passkeys are switched on: for a client when a Connect process begins, when nobody is named yet, and for an
// identifier when a login or append starts. Neither the identifier nor the invitation is recorded. A rule that samples draws by
// Environment.ID, so that one browser hears the same at both times, and by the identifier where there is no environment; without either the
// client is in no sample.
type RolloutQuestion struct {
	Question                     // Account is not used
	Action     string            `json:"action"`               // RolloutLogin, RolloutAppend or RolloutManage
	Identifier string            `json:"identifier,omitempty"` // empty: not named yet
	Invitation string            `json:"invitation,omitempty"` // invitation token that the client sent
	Flags      map[string]string `json:"flags,omitempty"`
}
