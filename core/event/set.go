package event

import (
	"cmp"
	"slices"

	"github.com/keyward/keyward/core/ident"
)

// Set is a user's events as they count: each ID once, without what was deleted and without the deletions themselves. The same events give
// the same set in whatever order and however often they came. The zero value is empty. A Set is not changed after NewSet. It points into
// the events that it was made of, which must not be changed either.
type Set struct {
	live []*Event // oldest first, then by ID
}

// NewSet applies the deletions among events to them. A deletion wins over its event even if it came first, and cannot itself be deleted.
// Should two events share an ID, one of them is kept, the same in every order. The argument is not changed.
func NewSet(events []Event) Set {
	// Pointers are sorted, since an event is large. What was sorted before, as a cache may keep it, is sorted again in one pass.
	sorted := make([]*Event, len(events))
	for i := range events {
		sorted[i] = &events[i]
	}
	slices.SortFunc(sorted, byAgeThenContent)

	gone := make(map[ident.EventID]struct{}, len(sorted)) // deleted, or there already
	for _, e := range sorted {
		if e.Type == Deleted {
			gone[e.Deletes] = struct{}{}
		}
	}
	sorted = slices.DeleteFunc(sorted, func(e *Event) bool {
		_, drop := gone[e.ID]
		gone[e.ID] = struct{}{}
		return drop || e.Type == Deleted
	})
	return Set{live: sorted}
}

// Live returns a copy of the events that count, oldest first, those of one millisecond by ID.
func (s Set) Live() []Event {
	live := make([]Event, len(s.live))
	for i, e := range s.live {
		live[i] = *e
	}
	return live
}

// Refs returns what Live returns, without copying: the caller must change neither the slice nor the events.
func (s Set) Refs() []*Event { return s.live }

// Find returns the event with the ID, or false if it never was or has been deleted.
func (s Set) Find(id ident.EventID) (Event, bool) {
	for _, e := range s.live {
		if e.ID == id {
			return *e, true
		}
	}
	return Event{}, false
}

// ByAge orders events oldest first, those of one millisecond by ID.
func ByAge(a, b Event) int { return byAge(&a, &b) }

func byAge(a, b *Event) int {
	if c := cmp.Compare(a.CreatedMs, b.CreatedMs); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// byAgeThenContent is total over everything an event holds, so that which of two events with one ID comes first does not depend on their
// order before.
func byAgeThenContent(a, b *Event) int {
	if c := byAge(a, b); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Type, b.Type),
		cmp.Compare(a.Project, b.Project),
		cmp.Compare(a.User, b.User),
		cmp.Compare(a.Expires, b.Expires),
		cmp.Compare(a.Process, b.Process),
		cmp.Compare(a.Environment, b.Environment),
		cmp.Compare(a.Credential, b.Credential),
		cmp.Compare(a.Challenge, b.Challenge),
		cmp.Compare(a.Ceremony, b.Ceremony),
		cmp.Compare(a.Route, b.Route),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.Attachment, b.Attachment),
		cmp.Compare(a.Decision, b.Decision),
		cmp.Compare(a.Deletes, b.Deletes),
	)
}
