package event

import (
	"encoding/hex"
	"hash/fnv"

	"github.com/keyward/keyward/core/ident"
)

// index holds parts of a set, each in the set's order, by what decisions ask for.
type index struct {
	types                                map[Type][]*Event
	successes, failures, declines, tried []*Event
	loggedIn, created                    map[string]bool // prompts that a login and a creation completed
	expiring                             []*Event
	tally                                Tally
}

func newIndex(live []Event) index {
	x := index{types: map[Type][]*Event{}}
	for i := range live {
		e := &live[i]
		x.types[e.Type] = append(x.types[e.Type], e)
		switch e.Type {
		case LoginCompleted:
			x.successes, x.tried = append(x.successes, e), append(x.tried, e)
		case AppendCompleted:
			x.successes = append(x.successes, e)
		case LoginError, LoginExplicitAbort:
			x.failures, x.tried = append(x.failures, e), append(x.tried, e)
		case LoginNoCredentials:
			x.tried = append(x.tried, e)
		case AppendExplicitAbort, AppendError:
			x.declines = append(x.declines, e)
		}
		if e.Expires != 0 {
			x.expiring = append(x.expiring, e)
		}
		x.tally.Toggle(e.ID, 1)
	}
	x.loggedIn, x.created = prompts(x.types[LoginCompleted]), prompts(x.types[AppendCompleted])
	return x
}

func prompts(events []*Event) map[string]bool {
	if len(events) == 0 {
		return nil
	}
	of := make(map[string]bool, len(events))
	for _, e := range events {
		of[e.Prompt()] = true
	}
	return of
}

// indexed returns the index. The caller must change neither its slices nor the events. Each part has a method that asks for it without a
// function: a decision asks for a dozen.
func (s Set) indexed() *index {
	if s.set == nil {
		return &index{}
	}
	s.once.Do(func() { s.index = newIndex(s.live) })
	return &s.index
}

// Of returns the events of a type, oldest first. Neither they nor the slice may be changed; so it is with the other parts of a set.
func (s Set) Of(t Type) []*Event { return s.indexed().types[t] }

// Successes returns the completed logins and creations.
func (s Set) Successes() []*Event { return s.indexed().successes }

// Failures returns the logins that failed or were cancelled.
func (s Set) Failures() []*Event { return s.indexed().failures }

// Declines returns the refusals of offers to create a passkey.
func (s Set) Declines() []*Event { return s.indexed().declines }

// Tried returns how logins ended: completed, failed, cancelled, or for want of a passkey.
func (s Set) Tried() []*Event { return s.indexed().tried }

// Expiring returns the events that have an effect until some moment only.
func (s Set) Expiring() []*Event { return s.indexed().expiring }

// LoggedIn returns the prompts, see Event.Prompt, that a login completed.
func (s Set) LoggedIn() map[string]bool { return s.indexed().loggedIn }

// Created returns the prompts that a creation completed.
func (s Set) Created() map[string]bool { return s.indexed().created }

// Tally returns the tally of all events.
func (s Set) Tally() Tally { return s.indexed().tally }

// Tally counts events and mixes their IDs, in whatever order they come.
type Tally struct {
	Events int
	mixed  [8]byte
}

// Toggle adds an event (by is 1) or takes one away (-1).
func (t *Tally) Toggle(id ident.EventID, by int) {
	t.Events += by
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(id))
	var room [8]byte
	for i, b := range sum.Sum(room[:0]) {
		t.mixed[i] ^= b
	}
}

// Hash returns the mixed IDs as text.
func (t *Tally) Hash() string { return hex.EncodeToString(t.mixed[:]) }

// Prompt names what several events of one prompt have in common: the joined ceremony, else the challenge, else the event is alone.
func (e *Event) Prompt() string {
	switch {
	case e.Ceremony != "":
		return string(e.Ceremony)
	case e.Challenge != "":
		return Canonical(e.Challenge)
	default:
		return string(e.ID)
	}
}
