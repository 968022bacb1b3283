package history

import (
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Cause is what a refusal that ends by itself comes from.
type Cause int

// The causes.
const (
	Barred    Cause = iota // an event bars logins, until it expires
	FailedRun              // ceremonies failed
	Declined               // offers were declined, shown lately, shown as often as they may be, or barred
)

// maxOfPart bounds how many of each part are looked at, unless the parameters count further. What is further back than so many is far
// beyond what decides.
const maxOfPart = 8

// Turn returns the next moment after in.Now from which the history may mean something else, as far as that matters to the cause; false if
// there is none. Time moves nothing else, so a policy that answers otherwise later does so from a Turn on, or from a Turn after that.
func Turn(in Input, cause Cause) (time.Time, bool) {
	nowMs := in.Now.UnixMilli()
	ends := map[source][]int64{}
	note := func(from source, atMs int64) {
		if atMs > nowMs {
			ends[from] = append(ends[from], atMs)
		}
	}
	_, told := Tell(in)
	for i := range told {
		if c := &told[i]; cause.concerns(c.Part) {
			note(c.source(), c.UntilMs)
		}
	}
	// What ends something, such as a success, may end itself.
	for _, e := range in.Events.Expiring() {
		note(source{}, e.ExpiresMs())
	}
	var next int64
	for from, all := range ends {
		slices.Sort(all)
		if first := all[max(0, len(all)-in.Parameters.most(from.part))]; next == 0 || first < next {
			next = first
		}
	}
	return time.UnixMilli(next).UTC(), next != 0
}

// source is what makes a part what it is: all of it together, but of what worked each passkey on each route by itself.
type source struct {
	part       Part
	credential ident.CredentialID
	route      event.Route
}

func (c *Counted) source() source {
	if c.Part == Worked || c.Part == Made {
		return source{c.Part, c.Credential, c.Route}
	}
	return source{part: c.Part}
}

// concerns reports whether a part of the history has to do with the cause. What is known to be here has to do with all of them.
func (c Cause) concerns(part Part) bool {
	switch part {
	case Worked, Made, SaidToExist, Doubted:
		return true
	case LoginBarred:
		return c == Barred
	case FailedLocal, FailedCDA, FailedSecurityKey, SaidNone:
		return c != Barred
	default:
		return c == Declined
	}
}

// most is how many of a part are looked at.
func (p *Parameters) most(of Part) int { return max(p.Threshold(of), maxOfPart) }
