package code

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var tenFree = Guesses{Free: 10, First: 30 * time.Second, Longest: time.Hour, Forget: 24 * time.Hour}

// Two people at one address may give their codes in the same millisecond, and the call whose clock was read first may be counted last.
func TestNobodyWaitsBelowTheLimitInWhateverOrderCallsAreCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var known guesses
		out := 0 // values that are being looked at
		for range rapid.IntRange(1, 60).Draw(t, "calls") {
			if out > 0 && rapid.Bool().Draw(t, "one was right") {
				known.refund()
				out--
				continue
			}
			if out == tenFree.Free-1 {
				continue
			}
			now := time.UnixMicro(1_000_000 + rapid.Int64Range(0, 5000).Draw(t, "µs"))
			if wait := known.charge(tenFree, now); wait > 0 {
				t.Fatalf("with %d values under way, the next waits %s", out, wait)
			}
			out++
		}
	})
}

func TestAWaitHoldsForCallsOfTheSameMoment(t *testing.T) {
	t.Parallel()
	now := time.UnixMicro(1_000_500)
	var known guesses
	for range tenFree.Free {
		if wait := known.charge(tenFree, now); wait > 0 {
			t.Fatalf("a free one waits %s", wait)
		}
	}
	for name, at := range map[string]time.Time{
		"now": now, "a little before": now.Add(-time.Millisecond), "before the end": now.Add(29 * time.Second),
	} {
		if wait := known.charge(tenFree, at); wait <= 0 {
			t.Errorf("%s: it is looked at", name)
		}
	}
	if wait := known.charge(tenFree, now.Add(tenFree.First)); wait > 0 {
		t.Errorf("once the wait is over there are %s left", wait)
	}
}
