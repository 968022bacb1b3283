package strictyaml

import (
	"testing"
	"time"
)

func TestOffsetsAddUp(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0s": 0, "5s": 5 * time.Second, "-5m": -5 * time.Minute, "3h": 3 * time.Hour, "-180d": -180 * day,
		"-179d23h59m59s": -180*day + time.Second,
		"1h1h":           2 * time.Hour, "-1m5ms": -time.Minute - 5*time.Millisecond, "7ms": 7 * time.Millisecond,
		"30m1d": day + 30*time.Minute, "-36500d": -36500 * day,
	} {
		if got, err := parseOffset(text); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "-", "5", "d", "-d", "+5d", "--5d", "5 d", "1.5h", "5us",
		"5D", "-5d-3h", "99999999999999999999d", "36600d1d",
	} {
		if got, err := parseOffset(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}
