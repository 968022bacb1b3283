package engine

import (
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/binding"
	"github.com/keyward/keyward/services/decision/internal/refusal"
)

// maxTurns bounds how often the rules are asked again.
const maxTurns = 40

// eligible returns when the same question is no longer refused for the same reason, if nothing else changes but the time; zero if it is not
// a matter of time. It asks the rules themselves, at each moment from which the history may mean something else, so it is true of any
// bundle. The moments are whole seconds, rounded up. Beside what the history knows, the answer may change at the given ones.
func (v *view) eligible(
	q service.Question, ev Evidence, reason string, again func(Evidence) (string, error), more ...time.Time,
) time.Time {
	cause, ends := refusal.Cause(reason)
	if !ends || q.Account == nil || !ev.Complete || ev.Found != nil {
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
		later.Now = binding.WholeSeconds(next)
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
