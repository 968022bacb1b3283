package written

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/scenario/internal/counted"
	"github.com/keyward/keyward/services/decision/scenario/internal/logged"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
)

// maxEntries bounds what one entry stands for.
const maxEntries = 10_000

// namer names what is counted. What the key is does not matter, as everything is named by it.
var namer = sighting.NewNamer(make([]byte, sighting.KeySize), sighting.Version{})

// repeated returns the entries that one stands for: itself, itself so many times, or as many of other users.
func (l *library) repeated(e entry, fields map[string]*yaml.Node) []entry {
	times, others := fields["times"], fields["others"]
	given := times
	if others != nil {
		given = others
		if times != nil {
			l.Refuse(times, "times beside others, which says it too")
		}
	}
	if given == nil {
		if every := fields["every"]; every != nil {
			l.Refuse(every, "every is of entries that stand for several: give times or others")
		}
		return []entry{e}
	}
	n := l.Integer(given, "the number of entries")
	if n < 1 || n > maxEntries {
		l.Refuse(given, "an entry stands for 1 to %d", maxEntries)
		return nil
	}
	if e.event.ID != "" && n > 1 {
		l.Refuse(fields["id"], "entries that are different have no ID in common")
	}
	apart := l.Duration(fields["every"], "every").Milliseconds()
	all := make([]entry, n)
	for i := range all {
		all[i] = e
		all[i].event.CreatedMs += int64(i) * apart
		if others != nil {
			all[i].foreign, all[i].who = true, fmt.Sprintf("other %d of line %d", i, given.Line)
		}
	}
	return all
}

// see keeps what is counted, of the user's own entries and those of others.
func (s *Scenario) see(entries []entry) {
	s.Question.Sighted = namer.Name(string(userID), known(s), s.Question.Client.RemoteAddress)
	nowMs := s.Now.UnixMilli()
	for i := range entries {
		e := &entries[i]
		of := logged.CountedAs(&e.event)
		if of == 0 || takenBack(e, entries) || e.event.CreatedMs > nowMs || (e.deletedMs != 0 && e.deletedMs <= nowMs) || s.lost(e) {
			continue
		}
		if e.event.ID == "" {
			e.event.ID = ident.EventID("seen-" + padded(i))
		}
		s.Seen = append(s.Seen, counted.Seen{
			Sighting: sighting.New(of, &e.event), Keys: sighting.KeysOf(&e.event, of.Family()),
		})
	}
}

// takenBack reports whether a later word of the same decision stands instead of this one.
func takenBack(e *entry, entries []entry) bool {
	return e.event.Feedback != nil && slices.ContainsFunc(entries, func(later entry) bool {
		return later.event.Feedback != nil && later.event.Decision == e.event.Decision && later.event.Decision != "" &&
			later.event.CreatedMs > e.event.CreatedMs
	})
}

// lost reports whether what was seen was lost with all sets.
func (s *Scenario) lost(e *entry) bool {
	return s.Since.Logged != 0 && e.event.CreatedMs <= s.Since.Logged
}

func known(s *Scenario) ident.EnvironmentID {
	if s.Question.Environment.Known {
		return s.Question.Environment.ID
	}
	return ""
}

// name gives an entry the tokens of what it is counted for.
func (e *entry) name(remote string) {
	if logged.CountedAs(&e.event) == 0 {
		return
	}
	who := string(userID)
	switch {
	case e.foreign:
		who = e.who
		e.event.User = ident.UserID(who)
	case e.event.Type == "login-unknown":
		who, e.event.User = "nobody", ""
	}
	e.event.Sighted = namer.Name(who, e.event.Environment, remote)
}

// velocityOf reads since when nothing is missing from what is counted.
func (l *library) velocityOf(s *Scenario, n *yaml.Node) {
	if n == nil || strictyaml.IsNull(n) {
		return
	}
	if given := l.Object(n, "velocity", []string{"lost"})["lost"]; given != nil {
		at := l.Moment(given, "lost", s.Now).UnixMilli()
		s.Since = sighting.Since{Logged: at, Unknown: at}
	}
}
