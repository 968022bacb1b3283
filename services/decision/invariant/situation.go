package invariant

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

// Everybody is this user, in a project that no server creates, as in scenario files: overrides for a project do not reach it.
const (
	projectID = ident.ProjectID("pro-0")
	userID    = ident.UserID("usr-1")
)

// Environments. What a client has without a handle, or with one that does not verify, is none.
const (
	here      = ident.EnvironmentID("HERE")
	elsewhere = ident.EnvironmentID("ELSEWHERE")
	phone     = ident.EnvironmentID("PHONE")
	never     = ident.EnvironmentID("NEVER-SEEN")
)

// handle is what the client brought to name its environment.
type handle int

const (
	good handle = iota
	absent
	forged
)

// passkey is a credential of the account; deleted is zero while it is one.
type passkey struct {
	account.Credential
	deleted time.Time
}

// routes are those on which the passkey can be used, one client or another.
func (p *passkey) routes() []event.Route {
	switch {
	case p.Roaming():
		return []event.Route{event.SecurityKey}
	case p.Hybrid():
		return []event.Route{event.Local, event.CDA}
	default:
		return []event.Route{event.Local}
	}
}

// situation is everything that a question is asked with. The methods that change something return a copy.
type situation struct {
	now          time.Time
	client       rest.ClientInformation
	handle       handle
	env          ident.EnvironmentID // that a good handle names
	status       account.Status
	unknown      bool // there is no such user
	lookupFailed bool
	passkeys     []passkey
	log          []event.Event // joined, offers included, oldest first
	strategy     rest.CrossDeviceAuthenticationStrategy
	source       event.Source
	flags        rest.PasskeyIntelFlags
	entry        string // the situation of an append
	process      string
	parameters   map[string]any

	more passkey // one that the account could have besides
}

func (s *situation) copied() *situation {
	c := *s
	return &c
}

// private reports whether the client says that it keeps nothing.
func (s *situation) private() bool { return s.client.PrivateMode != nil && *s.client.PrivateMode }

// known reports whether the client's environment is known, so that its history counts.
func (s *situation) known() bool { return s.handle == good && !s.private() }

func (s *situation) question() service.Question {
	q := service.Question{Project: projectID, Client: s.client, LookupFailed: s.lookupFailed, Process: s.process}
	switch s.handle {
	case good:
		q.Environment = service.Environment{ID: s.env, Known: !s.private()}
	case forged:
		q.Environment = service.Environment{Rejected: true}
	}
	if s.unknown {
		return q
	}
	a := &account.Account{Project: projectID, ID: userID, Status: s.status}
	for i := range s.passkeys {
		p := &s.passkeys[i]
		if !p.deleted.IsZero() {
			a.Deleted = append(
				a.Deleted, account.Tombstone{ID: p.ID, CredentialID: p.CredentialID, DeletedMs: p.deleted.UnixMilli()},
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
func (s *situation) usedOn(id ident.CredentialID) []string {
	var systems []string
	for i := range s.log {
		e := &s.log[i]
		if e.Type != event.LoginCompleted || e.Route != event.Local || e.Credential != string(id) {
			continue
		}
		for j := range s.passkeys {
			if p := &s.passkeys[j]; p.Environment != "" && p.Environment == e.Environment && p.CreatedOS != "" &&
				!slices.Contains(systems, p.CreatedOS) {
				systems = append(systems, p.CreatedOS)
			}
		}
	}
	return systems
}

func (s *situation) evidence() engine.Evidence {
	ev := engine.Evidence{Complete: !s.lookupFailed, Now: s.now}
	var events []event.Event
	for i := range s.log {
		switch s.log[i].Type {
		case event.LoginOffered, event.LoginDenied:
			ev.Offers = append(ev.Offers, s.log[i])
		default:
			events = append(events, s.log[i])
		}
	}
	ev.Events = event.NewSet(events)
	return ev
}

// happened adds events at the end of the log, the oldest of them first, each joined to the offer that it answers, as when it is stored.
func (s *situation) happened(events ...event.Event) *situation {
	c := s.copied()
	c.log = slices.Grow(slices.Clip(s.log), len(events))
	for _, e := range events {
		n := strconv.Itoa(len(c.log))
		e.ID, e.Project, e.User, e.Ceremony = ident.EventID("log-"+n), projectID, userID, ""
		if e.Type == event.LoginOffered || e.Type == event.AppendOffered {
			e.Ceremony = ident.ChallengeID("was-" + n)
		}
		c.log = append(c.log, event.JoinTold(e, c.log))
	}
	return c
}

// joined is the situation with a log of these events alone, in any order.
func (s *situation) joined(log []event.Event) *situation {
	c := s.copied()
	c.log = nil
	slices.SortStableFunc(log, func(a, b event.Event) int { return cmp.Compare(a.CreatedMs, b.CreatedMs) })
	return c.happened(log...)
}

// without leaves out the events that match.
func (s *situation) without(match func(*event.Event) bool) *situation {
	var kept []event.Event
	for i := range s.log {
		if e := s.log[i]; !match(&e) {
			// Of which kind and route it is, its offer says, which may be gone.
			if e.Type.AnswersLogin() {
				e.Route, e.Source = "", ""
			}
			kept = append(kept, e)
		}
	}
	return s.joined(kept)
}

// having changes the passkeys, and leaves out what happened with those that are gone.
func (s *situation) having(passkeys []passkey) *situation {
	kept := map[string]bool{"": true}
	for i := range passkeys {
		kept[string(passkeys[i].ID)] = true
	}
	c := s.copied()
	c.passkeys = passkeys
	return c.without(func(e *event.Event) bool { return !kept[e.Credential] })
}

// active returns the passkeys that the account has.
func (s *situation) active() []passkey {
	return slices.DeleteFunc(slices.Clone(s.passkeys), func(p passkey) bool { return !p.deleted.IsZero() })
}

// scenario writes the situation down.
func (s *situation) scenario(name, action string, expect ...draft.Expected) draft.Scenario {
	d := draft.Scenario{
		Name: name, Action: action, Now: s.now, Question: s.question(), Strategy: s.strategy, Source: s.source, Flags: s.flags,
		Situation: s.entry, Parameters: maps.Clone(s.parameters), Events: s.log, Expect: expect,
	}
	for i := range s.passkeys {
		if p := &s.passkeys[i]; !p.deleted.IsZero() {
			d.Deleted = append(d.Deleted, draft.Deleted{Credential: p.Credential, At: p.deleted})
		}
	}
	return d
}
