package engine

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
)

// Reasons for which nothing is offered, beside those that policies give for creations.
const (
	environmentBarred = "environment_barred"
	userBarred        = "user_barred"
	failingHere       = "failing_here"
	unreachable       = "unreachable"
	noPasskeys        = "no_passkeys"
	unsupported       = "unsupported"
	dataIncomplete    = "data_incomplete"

	coolingDown     = "cooldown"
	spacedOut       = "spacing"
	budgetSpent     = "budget"
	userBlacklisted = "user_blacklisted"
)

// loginReason tells why a login is not offered, by the tag of the refusal; empty if one is.
func loginReason(v verdict) string {
	switch {
	case v.allow:
		return ""
	case v.tag == rest.DecisionTagEnvBlacklisted:
		return environmentBarred
	case v.tag == rest.DecisionTagUserLoginBlacklisted:
		return userBarred
	case v.tag == rest.DecisionTagUserNegativeEnvHistory:
		return failingHere
	case v.tag == rest.DecisionTagUserNoPks:
		return noPasskeys
	case v.tag == rest.DecisionTagEnvNoPkSupport, v.tag == rest.DecisionTagEnvNoPlatformPkSupport:
		return unsupported
	case v.tag == rest.DecisionTagUserEnvNoPks, v.tag == rest.DecisionTagUserSecurityKey:
		return unreachable
	default:
		return dataIncomplete
	}
}

// causeOf returns what a refusal that ends by itself comes from.
func causeOf(reason string) (history.Cause, bool) {
	switch reason {
	case userBarred, userBlacklisted:
		return history.Barred, true
	case failingHere:
		return history.FailedRun, true
	case coolingDown, spacedOut:
		return history.Declined, true
	case budgetSpent:
		return history.Spent, true
	default:
		return 0, false
	}
}

// eligible returns when the same question is no longer refused for the same reason, if nothing else changes but the time; zero if it is not
// a matter of time. It asks the rules themselves, at each moment at which an event of the cause ceases to count, so it is true of any
// bundle.
func (v *view) eligible(
	q service.Question, ev Evidence, reason string, again func(Evidence) (string, error), more ...time.Duration,
) time.Time {
	cause, ends := causeOf(reason)
	if !ends || q.Account == nil || !ev.Complete {
		return time.Time{}
	}
	for _, at := range history.Moments(v.evidence(q, ev), cause, more...) {
		later := ev
		later.Now, later.asked = at, ev.Now
		if found, err := again(later); err != nil {
			break
		} else if found != reason {
			return at.Truncate(time.Second).Add(roundUp(at))
		}
	}
	return time.Time{}
}

// roundUp is what a moment lacks of a whole second.
func roundUp(at time.Time) time.Duration {
	if at.Truncate(time.Second).Equal(at) {
		return 0
	}
	return time.Second
}

// offerEnds returns how long, from now on, the distance between offers holds one back that was shown by this client or made in an app.
func (v *view) offerEnds(q service.AppendQuestion, ev Evidence, last time.Time) []time.Duration {
	p := &v.knowledge.Parameters
	var ends []time.Duration
	if !last.IsZero() {
		ends = append(ends, last.Add(time.Duration(p.InAppSpacingSeconds)*time.Second).Sub(ev.Now))
	}
	if shown := q.Flags.AppendShown; shown != nil {
		ends = append(ends, time.Unix(*shown+p.ShownSpacingSeconds, 0).Sub(ev.Now))
	}
	return ends
}
