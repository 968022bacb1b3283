package situation

import (
	"slices"
	"strconv"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/invariant/internal/population"
)

// A story is what leads to an answer that rests on several things at once: chance alone hardly ever has them all.

// ending is how the login of the process that asks ended: on a route, unfinished, or, with neither, without having been offered.
type ending struct {
	route event.Route
	end   event.Type
	asked event.Kind // what is offered then, and pauses if it was turned down often
}

func endings() []ending {
	return []ending{
		{event.CDA, event.LoginCompleted, event.KindAfterHybrid},
		{event.Local, event.LoginError, event.KindAfterError},
		{event.SecurityKey, event.LoginCompleted, event.KindDefault},
		{event.Local, event.LoginCompleted, event.KindDefault},
		{"", "", event.KindDefault},
		{"", "", event.KindAuto},
		{"", "", event.KindAfterError},
	}
}

// turnedDown tells of a login that ended just now, and of offers of the kind that follows it, which were turned down.
func (g *generator) turnedDown() {
	of := one(g, endings())
	switch {
	case of.end != "":
		g.ended(of)
	case of.asked == event.KindAfterError:
		g.failing(event.Local) // an offer of this kind follows where the passkey is lost
	}
	for range g.IntN(5) {
		g.declined(of.asked)
	}
}

// declined tells of an offer on this client that was turned down: seldom longer ago than it counts.
func (g *generator) declined(kind event.Kind) {
	most := 29 * day
	if g.often(10) {
		most = always
	}
	offer := g.attempt(event.AppendOffered, most)
	offer.Kind = kind
	answer := answering(&offer, event.AppendExplicitAbort)
	if g.often(30) {
		answer.Type = event.AppendError
	}
	g.s.Log = append(g.s.Log, offer, answer)
}

// ended tells of the login of the process that asks.
func (g *generator) ended(of ending) {
	offer := g.attempt(event.LoginOffered, 55*time.Minute)
	offer.Process, offer.Route = g.s.Process, of.route
	answer := answering(&offer, of.end)
	if of.end == event.LoginCompleted {
		answer.Route, answer.Credential = of.route, string(g.owned(of.route).ID)
	}
	g.s.Log = append(g.s.Log, offer)
	if of.end == event.LoginCompleted || g.often(70) {
		g.s.Log = append(g.s.Log, answer)
	}
}

// failing tells of logins that failed on this client, one after the other, on a route to a passkey of the account.
func (g *generator) failing(route event.Route) {
	if kept := g.owned(route); g.often(50) {
		g.s.Passkeys, g.s.Log = []Passkey{kept}, nil // there is no other way
	}
	for range g.IntN(4) {
		offer := g.attempt(event.LoginOffered, 29*day)
		offer.Route = route
		g.s.Log = append(g.s.Log, offer, answering(&offer, one(g, []event.Type{event.LoginError, event.LoginExplicitAbort})))
	}
}

// attempt is an offer on this client, in a process of its own.
func (g *generator) attempt(offer event.Type, most time.Duration) event.Event {
	n := strconv.Itoa(len(g.s.Log) + 1)
	return event.Event{
		Type: offer, Process: "process-" + n, Challenge: "challenge-" + n, Environment: here, CreatedMs: g.ago(most).UnixMilli(),
	}
}

// answering is how what was offered ended, some seconds later.
func answering(offer *event.Event, end event.Type) event.Event {
	answer := *offer
	answer.Type, answer.Kind, answer.Route, answer.CreatedMs = end, "", "", offer.CreatedMs+20*time.Second.Milliseconds()
	return answer
}

// owned returns a passkey of the account that can be used on the route, which it is given if it has none.
func (g *generator) owned(route event.Route) Passkey {
	active := g.s.active()
	for i := range active {
		if leads(&active[i], route) {
			return active[i]
		}
	}
	p := g.passkey(len(g.s.Passkeys) + 1)
	for !leads(&p, route) {
		p.Credential = g.held(p.Credential)
	}
	g.s.Passkeys = append(g.s.Passkeys, p)
	return p
}

func leads(p *Passkey, route event.Route) bool {
	return slices.Contains(p.Routes(), route)
}

// held is the passkey in the keeping of another provider.
func (g *generator) held(was account.Credential) account.Credential {
	c := one(g, population.Passkeys())
	c.ID, c.CredentialID, c.Environment = was.ID, was.CredentialID, was.Environment
	c.CreatedMs, c.LastUsedMs = was.CreatedMs, was.LastUsedMs
	return c
}
