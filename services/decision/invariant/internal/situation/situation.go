// Package situation holds what questions are asked about: a client, an account and what has happened. Some are made by a generator with a
// seed, and plausible; others differ from one of them in one thing. It is pure.
package situation

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// Everybody is User, in a Project that no server creates, as in scenario files: overrides for a project do not reach it.
const (
	Project = ident.ProjectID("pro-0")
	User    = ident.UserID("usr-1")
)

// Environments. What a client has without a handle, or with one that does not verify, is none.
const (
	here      = ident.EnvironmentID("HERE")
	elsewhere = ident.EnvironmentID("ELSEWHERE")
	phone     = ident.EnvironmentID("PHONE")
	Never     = ident.EnvironmentID("NEVER-SEEN")
)

// Handle is what the client brought to name its environment.
type Handle int

// What a client may bring.
const (
	Good Handle = iota
	Absent
	Forged
)

// Passkey is a credential of the account; Deleted is zero while it is one.
type Passkey struct {
	account.Credential
	Deleted time.Time
}

// Routes are those on which the passkey can be used, one client or another.
func (p *Passkey) Routes() []event.Route {
	switch {
	case p.Roaming():
		return []event.Route{event.SecurityKey}
	case p.Hybrid():
		return []event.Route{event.Local, event.CDA}
	default:
		return []event.Route{event.Local}
	}
}

// Situation is everything that a question is asked with. The methods that change something return a copy.
type Situation struct {
	Now          time.Time
	Client       rest.ClientInformation
	Handle       Handle
	Env          ident.EnvironmentID // that a good handle names
	Status       account.Status
	Unknown      bool // there is no such user
	LookupFailed bool
	Passkeys     []Passkey
	Log          []event.Event // joined, offers included, oldest first
	Strategy     rest.CrossDeviceAuthenticationStrategy
	Source       event.Source
	Flags        rest.PasskeyIntelFlags
	Entry        string // the situation of an append
	Process      string
	Parameters   map[string]any

	More Passkey // one that the account could have besides
}

func (s *Situation) Copied() *Situation {
	c := *s
	return &c
}

// private reports whether the client says that it keeps nothing.
func (s *Situation) private() bool { return s.Client.PrivateMode != nil && *s.Client.PrivateMode }

// Known reports whether the client's environment is known, so that its history counts.
func (s *Situation) Known() bool { return s.Handle == Good && !s.private() }

func (s *Situation) Question() service.Question {
	q := service.Question{Project: Project, Client: s.Client, LookupFailed: s.LookupFailed, Process: s.Process}
	switch s.Handle {
	case Good:
		q.Environment = service.Environment{ID: s.Env, Known: !s.private()}
	case Forged:
		q.Environment = service.Environment{Rejected: true}
	}
	if s.Unknown {
		return q
	}
	a := &account.Account{Project: Project, ID: User, Status: s.Status}
	for i := range s.Passkeys {
		p := &s.Passkeys[i]
		if !p.Deleted.IsZero() {
			a.Deleted = append(
				a.Deleted, account.Tombstone{ID: p.ID, CredentialID: p.CredentialID, DeletedMs: p.Deleted.UnixMilli()},
			)
			continue
		}
		c := p.Credential
		c.UsedOn = s.usedOn(c.ID)
		a.Credentials = append(a.Credentials, c)
	}
	q.Account = a
	return q
}

// usedOn returns the systems that finished a local login with a passkey: those on which passkeys were made in the same environment.
func (s *Situation) usedOn(id ident.CredentialID) []string {
	var systems []string
	for i := range s.Log {
		e := &s.Log[i]
		if e.Type != event.LoginCompleted || e.Route != event.Local || e.Credential != string(id) {
			continue
		}
		for j := range s.Passkeys {
			if p := &s.Passkeys[j]; p.Environment != "" && p.Environment == e.Environment && p.CreatedOS != "" &&
				!slices.Contains(systems, p.CreatedOS) {
				systems = append(systems, p.CreatedOS)
			}
		}
	}
	return systems
}

func (s *Situation) Evidence() engine.Evidence {
	ev := engine.Evidence{Complete: !s.LookupFailed, Now: s.Now}
	events := make([]event.Event, 0, len(s.Log))
	for i := range s.Log {
		switch s.Log[i].Type {
		case event.LoginOffered, event.LoginDenied:
			ev.Offers = append(ev.Offers, s.Log[i])
		default:
			events = append(events, s.Log[i])
		}
	}
	ev.Events = event.NewSet(events)
	return ev
}

// Happened adds events at the end of the log, the oldest of them first, each joined to the offer that it answers, as when it is stored.
func (s *Situation) Happened(events ...event.Event) *Situation {
	c := s.Copied()
	c.Log = slices.Grow(slices.Clip(s.Log), len(events))
	for _, e := range events {
		n := strconv.Itoa(len(c.Log))
		e.ID, e.Project, e.User, e.Ceremony = ident.EventID("log-"+n), Project, User, ""
		if e.Type == event.LoginOffered || e.Type == event.AppendOffered {
			e.Ceremony = ident.ChallengeID("was-" + n)
		}
		c.Log = append(c.Log, event.JoinTold(e, c.Log))
	}
	return c
}

// joined is the situation with a log of these events alone, in any order.
func (s *Situation) joined(log []event.Event) *Situation {
	c := s.Copied()
	c.Log = nil
	slices.SortStableFunc(log, func(a, b event.Event) int { return cmp.Compare(a.CreatedMs, b.CreatedMs) })
	return c.Happened(log...)
}

// without leaves out the events that match.
func (s *Situation) without(match func(*event.Event) bool) *Situation {
	var kept []event.Event
	for i := range s.Log {
		if e := s.Log[i]; !match(&e) {
			// Of which kind and route it is, its offer says, which may be gone.
			if e.Type.AnswersLogin() {
				e.Route, e.Source = "", ""
			}
			kept = append(kept, e)
		}
	}
	return s.joined(kept)
}

// Having changes the passkeys, and leaves out what happened with those that are gone.
func (s *Situation) Having(passkeys []Passkey) *Situation {
	kept := map[string]bool{"": true}
	for i := range passkeys {
		kept[string(passkeys[i].ID)] = true
	}
	c := s.Copied()
	c.Passkeys = passkeys
	return c.without(func(e *event.Event) bool { return !kept[e.Credential] })
}

// active returns the passkeys that the account has.
func (s *Situation) active() []Passkey {
	return slices.DeleteFunc(slices.Clone(s.Passkeys), func(p Passkey) bool { return !p.Deleted.IsZero() })
}

// Scenario writes the situation down.
func (s *Situation) Scenario(name, action string, expect ...draft.Expected) draft.Scenario {
	d := draft.Scenario{
		Name: name, Action: action, Now: s.Now, Question: s.Question(), Strategy: s.Strategy, Source: s.Source, Flags: s.Flags,
		Situation: s.Entry, Parameters: maps.Clone(s.Parameters), Events: s.Log, Expect: expect,
	}
	for i := range s.Passkeys {
		if p := &s.Passkeys[i]; !p.Deleted.IsZero() {
			d.Deleted = append(d.Deleted, draft.Deleted{Credential: p.Credential, At: p.Deleted})
		}
	}
	return d
}
