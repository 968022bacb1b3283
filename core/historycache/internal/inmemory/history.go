package inmemory

import (
	"slices"

	"github.com/keyward/keyward/core/event"
)

// history is what an entry of events holds. It is not changed after it was made.
type history struct {
	events    event.Set
	deletions []event.Event // among what events was made of
	bytes     int64         // of both
}

func historyOf(events []event.Event) history { return history{}.remade(events) }

// with returns the history with more events. One that no deletion is about takes a copy of what is there, anything else takes a sort.
func (h history) with(events []event.Event) history {
	if len(events) == 1 && !h.deletes(&events[0]) {
		more := h.events.With(events[0])
		if more.Len() > h.events.Len() { // it was not there before
			return history{more, h.deletions, h.bytes + weight(&events[0])}
		}
	}
	return h.remade(events)
}

// deletes reports whether an event is a deletion, or is or was one's business.
func (h history) deletes(e *event.Event) bool {
	return e.Type == event.Deleted ||
		slices.ContainsFunc(h.deletions, func(deletion event.Event) bool { return deletion.Deletes == e.ID || deletion.ID == e.ID })
}

func (h history) remade(events []event.Event) history {
	deletions := slices.Clip(h.deletions)
	for i := range events {
		if events[i].Type == event.Deleted {
			deletions = append(deletions, events[i])
		}
	}
	made := history{events: event.NewSet(slices.Concat(h.events.All(), h.deletions, events)), deletions: deletions}
	made.bytes = weigh(made.events.All()) + weigh(made.deletions)
	return made
}

// weigh returns about how many bytes events take.
func weigh(events []event.Event) (bytes int64) {
	for i := range events {
		bytes += weight(&events[i])
	}
	return bytes
}

// weight counts the texts that an event does not share with others of the user.
func weight(e *event.Event) int64 {
	return int64(perEvent + len(e.ID) + len(e.User) + len(e.Process) + len(e.Environment) + len(e.Credential) + len(e.Challenge) +
		len(e.Ceremony) + len(e.Decision) + len(e.Deletes))
}
