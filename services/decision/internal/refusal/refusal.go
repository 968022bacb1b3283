// Package refusal knows why nothing is offered: what callers are told of it, and which refusals end by themselves. It is pure.
package refusal

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/history"
)

// Reasons for which nothing is offered, beside those that policies give for creations.
const (
	EnvironmentBarred = "environment_barred"
	UserBarred        = "user_barred"

	failingHere    = "failing_here"
	unreachable    = "unreachable"
	noPasskeys     = "no_passkeys"
	unsupported    = "unsupported"
	dataIncomplete = "data_incomplete"

	coolingDown     = "cooldown"
	spacedOut       = "spacing"
	budgetSpent     = "budget"
	userBlacklisted = "user_blacklisted"
)

// OfLogin tells why a login is refused, by the tag of the refusal; empty if it is not.
func OfLogin(allowed bool, tag rest.DecisionTag) string {
	if allowed {
		return ""
	}
	switch tag {
	case rest.DecisionTagEnvBlacklisted:
		return EnvironmentBarred
	case rest.DecisionTagUserLoginBlacklisted:
		return UserBarred
	case rest.DecisionTagUserNegativeEnvHistory:
		return failingHere
	case rest.DecisionTagUserNoPks:
		return noPasskeys
	case rest.DecisionTagEnvNoPkSupport, rest.DecisionTagEnvNoPlatformPkSupport:
		return unsupported
	case rest.DecisionTagUserEnvNoPks, rest.DecisionTagUserSecurityKey:
		return unreachable
	default:
		return dataIncomplete
	}
}

// Cause returns what a refusal that ends by itself comes from.
func Cause(reason string) (history.Cause, bool) {
	switch reason {
	case UserBarred:
		return history.Barred, true
	case failingHere:
		return history.FailedRun, true
	case coolingDown, spacedOut, budgetSpent, userBlacklisted:
		return history.Declined, true
	default:
		return 0, false
	}
}
