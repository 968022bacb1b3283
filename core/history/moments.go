package history

import (
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
)

// Cause is what a pause comes from.
type Cause int

// The causes of pauses that end.
const (
	Declined  Cause = iota // offers were declined, or shown lately
	Spent                  // offers of all kinds were shown as often as they may be
	Barred                 // an event bars, until it expires
	FailedRun              // ceremonies failed
)

// maxMoments bounds how many moments are told. What is further back than so many events of a cause is far beyond the counts that decide.
const maxMoments = 24

// Moments returns when the history can mean something else than now because an event of the cause no longer counts: sorted, each after now,
// and at most as many as are worth a look, of which the latest ones are kept.
func Moments(in Input, cause Cause, more ...time.Duration) []time.Time {
	nowMs := in.Now.UnixMilli()
	var all []int64
	note := func(atMs int64) {
		if atMs > nowMs {
			all = append(all, atMs)
		}
	}
	for _, e := range in.Events.Expiring() {
		note(e.ExpiresMs())
	}
	for _, part := range cause.parts(in.Events) {
		for _, e := range part {
			for _, window := range cause.windows(e, &in.Parameters) {
				note(min(e.CreatedMs, nowMs) + window*int64(time.Second/time.Millisecond))
			}
		}
	}
	for _, later := range more {
		note(in.Now.Add(later).UnixMilli())
	}
	slices.Sort(all)
	all = slices.Compact(all)
	moments := make([]time.Time, 0, min(len(all), maxMoments))
	for _, atMs := range all[max(0, len(all)-maxMoments):] {
		moments = append(moments, time.UnixMilli(atMs).UTC())
	}
	return moments
}

// parts returns the events that count for the cause.
func (c Cause) parts(events event.Set) [][]*event.Event {
	switch c {
	case Declined:
		return [][]*event.Event{events.Declines(), events.Of(event.AppendOffered)}
	case Spent:
		return [][]*event.Event{events.Of(event.AppendOffered)}
	case FailedRun:
		return [][]*event.Event{events.Failures(), events.Of(event.LoginNoCredentials)}
	default:
		return nil
	}
}

// windows returns how long such an event counts for the cause, in seconds.
func (c Cause) windows(e *event.Event, p *Parameters) []int64 {
	switch {
	case c == Declined && e.Type == event.AppendOffered:
		return []int64{p.ConditionalCreate.CooldownSeconds}
	case c == Declined:
		return []int64{
			p.Default.CooldownSeconds, p.AfterError.CooldownSeconds, p.AfterHybrid.CooldownSeconds, p.Auto.CooldownSeconds, p.CancelCooldownSeconds,
		}
	case c == Spent:
		return p.NudgeBudget.windows()
	case c == FailedRun:
		return []int64{p.StreakWindowSeconds, p.PositiveStreakWindowSeconds}
	default:
		return nil
	}
}
