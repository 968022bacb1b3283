package ratelimit

import (
	"math"
	"time"
)

// Verdict says whether a call may go on, in the terms of the RateLimit headers.
type Verdict struct {
	Allowed   bool
	Limit     int           // calls per window; 0 = there is no limit, and what follows says nothing
	Remaining int           // calls that may still be made now
	Reset     time.Duration // of an allowed call: until the window ends; of a refused one: until a call can go on
}

// window holds what has been counted of one key: in the current window, and in the one before it.
type window struct {
	index     int64 // of the current window: Unix time divided by its length
	cur, prev tally
}

// tally is a count. The server's answers and what this instance has not told it yet make up the whole.
type tally struct {
	known   int64 // of all instances, as far as this one knows, with its own share
	pending int64 // of this instance, not yet told
}

func (t tally) sum() int64 { return t.known + t.pending }

// turn makes the window that nowNs is in the current one, and returns how much of it has passed. A clock that went back a little stays at
// the begin of the current window; one that went back further starts anew, since it would refuse for as long otherwise.
func (w *window) turn(nowNs, per int64) (elapsed int64) {
	index := nowNs / per
	switch index {
	case w.index:
	case w.index + 1:
		w.index, w.prev, w.cur = index, w.cur, tally{}
	case w.index - 1:
		return 0
	default:
		*w = window{index: index}
	}
	return nowNs - index*per
}

// tally returns the count of the window with an index, or nil if it is past.
func (w *window) tally(index int64) *tally {
	switch index {
	case w.index:
		return &w.cur
	case w.index - 1:
		return &w.prev
	}
	return nil
}

// judge weighs both windows. Of the window before, as much counts as a sliding window would still cover if its calls were spread evenly;
// rounded up, so that a burst at the turn of windows cannot exceed the limit.
func judge(limit Limit, cur, prev, elapsed int64) Verdict {
	per, requests := int64(limit.Per), int64(limit.Requests)
	used := cur + int64(math.Ceil(float64(prev)*float64(per-elapsed)/float64(per)))
	if used < requests {
		return Verdict{Allowed: true, Limit: limit.Requests, Remaining: int(requests - used), Reset: time.Duration(per - elapsed)}
	}
	return Verdict{Limit: limit.Requests, Reset: time.Duration(reopens(requests, cur, prev, per) - elapsed)}
}

// reopens returns how long after the begin of the current window one more call fits.
func reopens(requests, cur, prev, per int64) int64 {
	if cur < requests {
		return passed(prev, requests-1-cur, per)
	}
	return per + passed(cur, requests-1, per)
}

// passed returns how much of a window must have passed until no more than left of the count before it still weigh.
func passed(count, left, per int64) int64 {
	if count <= left {
		return 0
	}
	at := int64(math.Ceil(float64(per) * (1 - float64(left)/float64(count))))
	return min(at, per)
}
