package event

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/keyward/keyward/core/ident"
)

// Set is a user's events as they count: each ID once, without what was deleted and without the deletions themselves. The same events give
// the same set in whatever order and however often they came. The zero value is empty. A Set is not changed after it was made, and may be
// shared: what is asked of it often is worked out once, when it is first asked for.
type Set struct{ *set }

type set struct {
	live []Event // oldest first, then by ID

	once  sync.Once
	index index // once it was asked for

	derived atomic.Pointer[[]any] // see Derived
}

// NewSet applies the deletions among events to them. A deletion wins over its event even if it came first, and cannot itself be deleted.
// Should two events share an ID, one of them is kept, the same in every order. The argument is not changed.
func NewSet(events []Event) Set {
	if len(events) == 0 {
		return Set{}
	}
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
	live := make([]Event, 0, len(sorted))
	for _, e := range sorted {
		_, drop := gone[e.ID]
		gone[e.ID] = struct{}{}
		if !drop && e.Type != Deleted {
			live = append(live, *e)
		}
	}
	return Set{&set{live: live}}
}

// With returns the set of the events and one more. Of deletions that s was made with it knows no more: an event that they deleted and that
// comes again is there again.
func (s Set) With(e Event) Set {
	before := s.All()
	if e.Type == Deleted || slices.ContainsFunc(before, func(known Event) bool { return known.ID == e.ID }) {
		return NewSet(append(slices.Clip(before), e))
	}
	at, _ := slices.BinarySearchFunc(before, e, ByAge)
	live := make([]Event, 0, len(before)+1)
	live = append(append(append(live, before[:at]...), e), before[at:]...)
	return Set{&set{live: live}}
}

// Without returns the set of the other events than the one with the ID.
func (s Set) Without(id ident.EventID) Set {
	if _, there := s.Find(id); !there {
		return s
	}
	return Set{&set{live: slices.DeleteFunc(s.Live(), func(e Event) bool { return e.ID == id })}}
}

// All returns the events that count, oldest first, those of one millisecond by ID. The caller must not change them.
func (s Set) All() []Event {
	if s.set == nil {
		return nil
	}
	return slices.Clip(s.live)
}

// Live returns a copy of what All returns.
func (s Set) Live() []Event { return append([]Event{}, s.All()...) }

// Len returns how many events count.
func (s Set) Len() int { return len(s.All()) }

// Find returns the event with the ID, or false if it never was or has been deleted.
func (s Set) Find(id ident.EventID) (Event, bool) {
	all := s.All()
	for i := range all {
		if all[i].ID == id {
			return all[i], true
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
