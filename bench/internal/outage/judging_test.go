package outage

import (
	"errors"
	"testing"
	"time"
)

// steady answers one call every 10 ms from one moment to another.
func steady(from, to time.Time, status int) (calls []call) {
	for at := from; at.Before(to); at = at.Add(10 * time.Millisecond) {
		calls = append(calls, call{began: at, ended: at, status: status})
	}
	return calls
}

func TestNearOutageIsWhatIsAnsweredByNextToNothing(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	began, end := at.Add(-2*time.Second), at.Add(10*time.Second)
	usual := steady(began, at, 200)
	for name, c := range map[string]struct {
		after []call
		want  time.Duration
	}{
		"nothing happens":                 {steady(at, end, 200), 0},
		"three seconds without an answer": {steady(at.Add(3*time.Second), end, 200), 3 * time.Second},
		"three seconds of refusals": {
			append(steady(at, at.Add(3*time.Second), 503), steady(at.Add(3*time.Second), end, 200)...), 3 * time.Second,
		},
		"two pauses are added up": {
			append(steady(at.Add(time.Second), at.Add(2*time.Second), 200), steady(at.Add(3*time.Second), end, 200)...), 2 * time.Second,
		},
		"nothing is answered any more":       {nil, 10 * time.Second},
		"what ends after the time is no use": {steady(end, end.Add(time.Second), 200), 10 * time.Second},
	} {
		if got := nearOutage(append(usual[:len(usual):len(usual)], c.after...), began, at, end); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMemoryIsFlatUnlessItRisesByMoreThanATwentieth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values []float64
		rises  bool
	}{
		"it rises at first and then no more": {[]float64{10, 50, 90, 100, 100, 100, 105, 104, 103}, false},
		"it rises by little":                 {[]float64{90, 90, 90, 100, 100, 100, 106, 107, 108}, true},
		"it goes on rising":                  {[]float64{10, 20, 30, 40, 50, 60, 70, 80, 90}, true},
		"one sample is an outlier":           {[]float64{100, 100, 100, 100, 100, 100, 100, 300, 100}, false},
	} {
		if err := flat(name, c.values); errors.Is(err, ErrRises) != c.rises {
			t.Errorf("%s: %v", name, err)
		}
	}
}
