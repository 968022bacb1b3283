package causes

import (
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// failures tells of one passkey what failed on the ways to it from this client, when, and until when that closes the way.
func (f *Found) failures(r *detect.Reach) []string {
	var all []string
	for i := range f.Counted {
		c := &f.Counted[i]
		way := way(c.Of, r)
		if way == "" {
			continue
		}
		var at []string
		for n := range c.Events {
			if e := &c.Events[n]; e.Credential == "" || e.Credential == r.Credential {
				at = append(at, e.At.Format(time.RFC3339))
			}
		}
		if len(at) == 0 {
			continue
		}
		all = append(all, failed(c.Of, way, at)+closedUntil(c.Until))
	}
	return all
}

// way names the way to a passkey that a part of the history is about, and is empty where it is not a way to this one.
func way(part history.Part, r *detect.Reach) string {
	possible := func(value string) bool { return value != "" && value != string(detect.AvailabilityNot) }
	switch {
	case r.Class == facts.ClassSecurityKey:
		if part == history.FailedSecurityKey {
			return "by security key"
		}
	case part == history.FailedLocal || part == history.SaidNone:
		if possible(r.Local) {
			return "on this device"
		}
	case part == history.FailedCDA && possible(r.ByPhone):
		return "by another device"
	}
	return ""
}

// most is how many moments are told of each way; what was counted has them all.
const most = 3

// failed says what happened, newest first.
func failed(part history.Part, way string, at []string) string {
	last := strings.Join(at[:min(len(at), most)], ", ")
	switch {
	case part == history.SaidNone:
		return "the client said that it holds no passkey: " + last
	case len(at) == 1:
		return fmt.Sprintf("a login %s failed: %s", way, last)
	case len(at) > most:
		return fmt.Sprintf("%d logins %s failed, the last ones: %s", len(at), way, last)
	default:
		return fmt.Sprintf("%d logins %s failed: %s", len(at), way, last)
	}
}

// closedUntil says how long the way is closed; nothing if it is open, or has no end that is known.
func closedUntil(until *time.Time) string {
	if until == nil {
		return ""
	}
	return fmt.Sprintf("; this way is closed until %s, unless the user presses for it", ending(*until))
}
