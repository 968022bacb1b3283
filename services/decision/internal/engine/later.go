package engine

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
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
	case userBarred:
		return history.Barred, true
	case failingHere:
		return history.FailedRun, true
	case coolingDown, spacedOut, budgetSpent, userBlacklisted:
		return history.Declined, true
	default:
		return 0, false
	}
}

// maxTurns bounds how often the rules are asked again.
const maxTurns = 40

// eligible returns when the same question is no longer refused for the same reason, if nothing else changes but the time; zero if it is not
// a matter of time. It asks the rules themselves, at each moment from which the history may mean something else, so it is true of any
// bundle. The moments are whole seconds, rounded up. Beside what the history knows, the answer may change at the given ones.
func (v *view) eligible(
	q service.Question, ev Evidence, reason string, again func(Evidence) (string, error), more ...time.Time,
) time.Time {
	cause, ends := causeOf(reason)
	if !ends || q.Account == nil || !ev.Complete {
		return time.Time{}
	}
	later := ev.At(ev.Now)
	for range maxTurns {
		next, changes := history.Turn(v.evidence(q, later), cause)
		for _, at := range more {
			if at.After(later.Now) && (!changes || at.Before(next)) {
				next, changes = at, true
			}
		}
		if !changes {
			return time.Time{}
		}
		later.Now = roundUp(next)
		if found, err := again(later); err != nil {
			return time.Time{}
		} else if found != reason {
			return later.Now
		}
	}
	return time.Time{}
}

// At returns the evidence as of a moment to come. The process stands still until then.
func (ev Evidence) At(later time.Time) Evidence {
	if ev.asked.IsZero() {
		ev.asked = ev.Now
	}
	ev.Now = later
	return ev
}

// roundUp returns the moment in whole seconds.
func roundUp(at time.Time) time.Time {
	if whole := at.Truncate(time.Second); !whole.Equal(at) {
		return whole.Add(time.Second)
	}
	return at
}

// offerEnds returns when the distance between offers ends that holds one back which was shown by this client or made in an app.
func (v *view) offerEnds(q service.AppendQuestion, ev Evidence) []time.Time {
	p := &v.knowledge.Parameters
	var ends []time.Time
	if offers := ev.Events.Of(event.AppendOffered); len(offers) > 0 {
		last := time.UnixMilli(offers[len(offers)-1].CreatedMs).UTC()
		ends = append(ends, last.Add(time.Duration(p.InAppSpacingSeconds)*time.Second))
	}
	if shown := q.Flags.AppendShown; shown != nil {
		ends = append(ends, time.Unix(*shown+p.ShownSpacingSeconds, 0).UTC())
	}
	return ends
}
