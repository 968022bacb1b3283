package velocity

import (
	"math"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/sighting"
)

// mostOwn is how many of the user's own successes are looked at: more than a set holds.
const mostOwn = 2 * sighting.Cap

// own is what the newest of a user's successes are counted as.
type own struct {
	set  sighting.Set
	lost int64 // Unix ms: the newest of them that are of an earlier version, which named nothing
}

// ownOf works it out.
func ownOf(events event.Set) *own {
	o := &own{lost: math.MinInt64}
	var members []sighting.Sighting
	for _, e := range slices.Backward(events.Successes()) { // newest first
		if len(members) >= mostOwn {
			break
		}
		if one, counts := sighting.Of(e); counts {
			members = append(members, one)
		} else {
			o.lost = max(o.lost, e.CreatedMs)
		}
	}
	o.set = sighting.NewSet(members)
	return o
}

// successes returns what the user's own events say, with the logins that were reported and are no events of theirs. It is not all that is
// known if some are of an earlier version.
func (p *Plan) successes(in *Input) (all sighting.Set, known bool) {
	if p.own == 0 {
		return sighting.Set{}, true
	}
	since, told := in.Now.Add(-p.own).UnixMilli(), event.Derived(in.Events, ownOf)
	reported := p.set(in, Set{Subject: sighting.User, Family: sighting.Good})
	if reported.Len() == 0 {
		return told.set, told.lost <= since
	}
	return sighting.NewSet(append(reported.Members(), told.set.Members()...)), told.lost <= since
}
