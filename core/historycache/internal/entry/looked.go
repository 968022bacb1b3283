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
	Seen    sighting.Seen  // what was found
}

// NewLooked returns a read that has found nothing yet: anything may be missing.
func NewLooked(project ident.ProjectID, keys []sighting.Key, epoch uint64) *Looked {
	const usual = 5
	whole := &struct { // at once: there is one for every decision
		Looked
		room [usual]sighting.Set
	}{Looked: Looked{Project: project, Keys: keys, Epoch: epoch, Seen: sighting.Seen{Since: sighting.NeverSince()}}}
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

// Finder hands all that was seen to add, and returns since when none of it is missing.
type Finder = func(ctx context.Context, add func(context.Context, ...Sighted) error) (sighting.Since, error)
