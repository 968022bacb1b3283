package entry

import (
	"context"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// Looked is a read of sets of sightings.
type Looked struct {
	Project ident.ProjectID
	Keys    []sighting.Key // a zero one of what is not named
	Epoch   uint64         // under which what they hold may be whole
	Wanted  Generations    // for which it may be
	Seen    sighting.Seen  // what was found
}

// Generations are those of the kinds of sets, by their numbers; 0 = the kind is not wanted. See package wanted.
type Generations [sighting.KindCount]uint64

// Kinds returns those that are wanted.
func (g *Generations) Kinds() sighting.Kinds {
	var some sighting.Kinds
	for i, generation := range g {
		if generation != 0 {
			some |= 1 << i
		}
	}
	return some
}

// Settled are generations of kinds that no writer leaves out.
type Settled struct {
	Generations
	SinceMs [sighting.KindCount]int64 // since when none does, in Unix ms
}

// Whole says of the kinds of sets for which generations they are whole, and since when nothing is missing.
type Whole [sighting.KindCount]struct {
	Generation uint64
	Since      sighting.Since
}

// Lacks returns those kinds that are wanted and not whole.
func (w *Whole) Lacks(wanted *Generations) sighting.Kinds {
	var lacking sighting.Kinds
	for i, generation := range wanted {
		if generation != 0 && w[i].Generation != generation {
			lacking |= 1 << i
		}
	}
	return lacking
}

// Found notes that kinds were made whole.
func (w *Whole) Found(kinds sighting.Kinds, by *Settled, since sighting.Since) {
	for i := range w {
		if kinds&(1<<i) != 0 {
			w[i].Generation, w[i].Since = by.Generations[i], since
			w[i].Since.Unknown = max(since.Unknown, by.SinceMs[i])
		}
	}
}

// Of returns since when nothing is missing from a set for a generation of its kind that is wanted.
func (w *Whole) Of(k sighting.Kind, wanted *Generations) sighting.Since {
	if i := k.Number(); wanted[i] != 0 && w[i].Generation == wanted[i] {
		return w[i].Since
	}
	return sighting.NeverSince()
}

// Later returns the later of two moments, for each.
func Later(a, b sighting.Since) sighting.Since {
	return sighting.Since{Logged: max(a.Logged, b.Logged), Unknown: max(a.Unknown, b.Unknown)}
}

// NewLooked returns a read that has found nothing yet: anything may be missing.
func NewLooked(project ident.ProjectID, keys []sighting.Key, epoch uint64, wanted Generations) *Looked {
	const usual = 5
	whole := &struct { // at once: there is one for every decision
		Looked
		room [usual]sighting.Set
	}{Looked: Looked{
		Project: project, Keys: keys, Epoch: epoch, Wanted: wanted, Seen: sighting.Seen{Since: sighting.NeverSince()},
	}}
	if whole.Seen.Sets = whole.room[:min(len(keys), usual)]; len(keys) > usual {
		whole.Seen.Sets = make([]sighting.Set, len(keys))
	}
	return &whole.Looked
}

// Sighted is something that was seen, with the sets that it belongs into.
type Sighted struct {
	sighting.Sighting
	Project ident.ProjectID
	Keys    []sighting.Key
}

// SightedIn returns what is to be counted of an event; false = nothing.
func SightedIn(e *event.Event) (Sighted, bool) {
	s, counts := sighting.Of(e)
	if !counts {
		return Sighted{}, false
	}
	return Sighted{Sighting: s, Project: e.Project, Keys: keysOf(e, s.Type)}, true
}

// keysOf leaves out the set of a user's successes, which the user's own events tell, but for those that were only reported.
func keysOf(e *event.Event, of sighting.Type) []sighting.Key {
	keys := sighting.KeysOf(e, of.Family())
	if of.Family() == sighting.Good && of != sighting.AuthSuccess && len(keys) > 0 && keys[0].Subject == sighting.User {
		return keys[1:]
	}
	return keys
}

// Horizon is how long what was seen is kept. No counter that looks further back is ever complete.
const Horizon = 7 * 24 * time.Hour

// RebuildLimit is how long it may take to find again what was seen. Beyond, what is counted is complete from its beginning on.
const RebuildLimit = 120 * time.Second

// Finder hands what was seen that belongs into sets of the kinds to add, and returns since when none of it is missing.
type Finder = func(ctx context.Context, kinds sighting.Kinds, add func(context.Context, ...Sighted) error) (sighting.Since, error)
