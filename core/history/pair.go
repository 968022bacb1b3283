package history

import (
	"math"
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// beginning is before every event.
const beginning = int64(math.MinInt64)

// pair folds the history of the user in one environment.
func (f *folder) pair(environment ident.EnvironmentID) Pair {
	forgotten := f.forgotten(environment)
	here := func(events []*event.Event) []*event.Event {
		return kept(f.unexpired(events), func(e *event.Event) bool { return e.Environment == environment && e.CreatedMs > forgotten })
	}
	at := place{
		environment: environment, forgotten: forgotten, successes: here(f.events.Successes()), failures: here(f.events.Failures()),
		exists: here(f.events.Of(event.AppendCredentialExists)), none: here(f.events.Of(event.LoginNoCredentials)),
	}
	var p Pair
	if forgotten != beginning {
		p.ForgottenMs = forgotten
	}
	f.successes(&p, at.successes)
	f.failures(&p, &at)
	f.existence(&p, &at)
	return p
}

// forgotten returns when what is remembered of an environment was forgotten last, or the beginning of time: what happened there until then
// no longer counts. Bars are no memory, and stay.
func (f *folder) forgotten(environment ident.EnvironmentID) int64 {
	for _, e := range slices.Backward(f.of(event.EnvironmentForgotten)) {
		if e.Environment == environment {
			f.counts(e)
			return e.CreatedMs
		}
	}
	return beginning
}

// place is what happened in one environment since it was forgotten last, oldest first.
type place struct {
	environment         ident.EnvironmentID
	forgotten           int64
	successes, failures []*event.Event
	exists, none        []*event.Event // the client said that it holds a credential of the account, and that it holds none
}

// kept returns the events for which keep is true: all of them, not copied, if it is for all.
func kept(events []*event.Event, keep func(*event.Event) bool) []*event.Event {
	for i, e := range events {
		if keep(e) {
			continue
		}
		found := slices.Clone(events[:i])
		for _, e := range events[i+1:] {
			if keep(e) {
				found = append(found, e)
			}
		}
		return found
	}
	return events
}

// successes fills in what follows from ceremonies that an active credential finished here.
func (f *folder) successes(p *Pair, here []*event.Event) {
	for _, e := range slices.Backward(here) {
		c := f.credential(e)
		if c == nil {
			continue
		}
		f.counts(e)
		if !f.younger(e.CreatedMs, f.parameters.PositiveSeconds) {
			p.PositiveStale = true
			continue
		}
		f.tells(Worked, e, f.parameters.PositiveSeconds)
		won := Win{Route: f.route(e), Credential: c.ID, AtMs: e.CreatedMs}
		known := func(w Win) bool { return w.Route == won.Route && w.Credential == won.Credential }
		if !slices.ContainsFunc(p.Wins, known) {
			p.Wins = append(p.Wins, won)
		}
		p.PositiveSecurityKey = p.PositiveSecurityKey || won.Route == event.SecurityKey
	}
	if p.Positive = len(p.Wins) > 0; p.Positive {
		p.LastRoute = p.Wins[0].Route
	}
	p.PositiveStale = p.PositiveStale && !p.Positive
}

// failures fills in the streaks: the failed ceremonies of each route since its last success. A success ends a streak even if its credential
// is gone. The client's word that it holds a passkey of the account ends that of this device.
func (f *folder) failures(p *Pair, at *place) {
	lastSuccess := map[event.Route]int64{event.Local: beginning, event.CDA: beginning, event.SecurityKey: beginning}
	for _, e := range at.successes {
		lastSuccess[f.route(e)] = e.CreatedMs
	}
	for _, e := range at.exists {
		lastSuccess[event.Local] = max(lastSuccess[event.Local], e.CreatedMs)
	}
	window := f.parameters.StreakWindowSeconds
	if p.Positive {
		window = f.parameters.PositiveStreakWindowSeconds
	}
	streaks := make(map[event.Route]int, len(lastSuccess))
	newest := beginning
	for _, e := range f.failedCeremonies(at.failures, f.since(at.failures, window)) {
		route := f.route(e)
		if e.CreatedMs <= lastSuccess[route] {
			continue
		}
		f.counts(e)
		f.tells(failed(route), e, window)
		streaks[route]++
		p.LastFailedRoute, newest = route, e.CreatedMs
	}
	p.LocalStreak, p.CDAStreak, p.SecurityKeyStreak = streaks[event.Local], streaks[event.CDA], streaks[event.SecurityKey]
	f.noCredentials(p, at.none, lastSuccess[event.Local], newest)
	p.Lost = f.parameters.StreakThreshold > 0 && p.LocalStreak >= f.parameters.StreakThreshold
}

// noCredentials applies the client's word that it holds no credential. It weighs as much as failing often enough, also where passkeys
// usually work, and for the longer window.
func (f *folder) noCredentials(p *Pair, said []*event.Event, lastSuccess, newestFailure int64) {
	for _, e := range said {
		if f.ofDeleted(e) || e.CreatedMs <= lastSuccess || !f.younger(e.CreatedMs, f.parameters.StreakWindowSeconds) {
			continue
		}
		f.counts(e)
		f.tells(SaidNone, e, f.parameters.StreakWindowSeconds)
		p.NoCredentials = true
		p.LocalStreak = max(p.LocalStreak, f.parameters.StreakThreshold)
		if e.CreatedMs >= newestFailure {
			p.LastFailedRoute, newestFailure = event.Local, e.CreatedMs
		}
	}
}

// failedCeremonies returns, of failures at a place or after it, the first of each ceremony that no success finished, oldest first. That the
// user cancelled what they had asked for themselves says nothing of their passkeys.
func (f *folder) failedCeremonies(failures []*event.Event, from int) []*event.Event {
	loggedIn := f.loggedIn()
	return firsts(failures, from, func(e *event.Event) bool {
		return !f.ofDeleted(e) && !loggedIn[e.Prompt()] && !slices.Contains(f.parameters.ExplicitSources, e.Source)
	}, (*event.Event).Prompt)
}

// existence fills in which credentials are known or said to be here. Only what was made or used on this device is evidence.
func (f *folder) existence(p *Pair, at *place) {
	recent := func(createdMs int64) bool { return f.younger(createdMs, f.parameters.PositiveSeconds) }
	for i := range f.credentials {
		if c := &f.credentials[i]; c.Environment == at.environment && c.CreatedMs > at.forgotten && f.createdBy(c) == event.Local &&
			!f.createdElsewhere(c, at) {
			p.CreatedHere = true
			if recent(c.CreatedMs) {
				f.tellsMade(c.ID, c.CreatedMs, f.parameters.PositiveSeconds)
				p.Proven = add(p.Proven, c.ID)
			}
		}
	}
	for _, e := range at.successes {
		if f.route(e) != event.Local {
			continue
		}
		c := f.credential(e)
		if c == nil {
			continue
		}
		p.CreatedHere = p.CreatedHere || e.Type == event.AppendCompleted
		if recent(e.CreatedMs) {
			p.Proven = add(p.Proven, c.ID)
		}
	}
	for _, e := range at.exists {
		if recent(e.CreatedMs) {
			f.said(p, e)
		}
	}
	slices.Sort(p.Proven)
	slices.Sort(p.Said)
}

// createdElsewhere reports whether the event of a credential's creation says that it was not made on this device.
func (f *folder) createdElsewhere(c *account.Credential, at *place) bool {
	return slices.ContainsFunc(at.successes, func(e *event.Event) bool {
		return e.Type == event.AppendCompleted && f.credential(e) == c && f.route(e) != event.Local
	})
}

// said notes the credentials that are still active and existed when the client said that it holds one.
func (f *folder) said(p *Pair, e *event.Event) {
	for i := range f.credentials {
		if c := &f.credentials[i]; c.CreatedMs <= e.CreatedMs {
			f.counts(e)
			f.tellsSaid(e, c.ID)
			p.Said = add(p.Said, c.ID)
		}
	}
}
