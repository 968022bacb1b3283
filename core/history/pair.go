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
	here := make([]*event.Event, 0, len(f.events))
	for _, e := range f.events {
		if e.Environment == environment {
			here = append(here, e)
		}
	}
	var p Pair
	f.successes(&p, here)
	f.failures(&p, here)
	f.existence(&p, here, environment)
	return p
}

func succeeded(e *event.Event) bool {
	return e.Type == event.LoginCompleted || e.Type == event.AppendCompleted
}

func failed(e *event.Event) bool {
	return e.Type == event.LoginError || e.Type == event.LoginExplicitAbort
}

// successes fills in what follows from ceremonies that an active credential finished here.
func (f *folder) successes(p *Pair, here []*event.Event) {
	for _, e := range slices.Backward(here) {
		if !succeeded(e) {
			continue
		}
		c := f.credential(e)
		if c == nil {
			continue
		}
		f.counts(e)
		if !f.younger(e.CreatedMs, f.parameters.PositiveSeconds) {
			p.PositiveStale = true
			continue
		}
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
func (f *folder) failures(p *Pair, here []*event.Event) {
	lastSuccess := map[event.Route]int64{event.Local: beginning, event.CDA: beginning, event.SecurityKey: beginning}
	for _, e := range here {
		switch {
		case succeeded(e):
			lastSuccess[f.route(e)] = max(lastSuccess[f.route(e)], e.CreatedMs)
		case e.Type == event.AppendCredentialExists:
			lastSuccess[event.Local] = max(lastSuccess[event.Local], e.CreatedMs)
		}
	}
	window := f.parameters.StreakWindowSeconds
	if p.Positive {
		window = f.parameters.PositiveStreakWindowSeconds
	}
	streaks := make(map[event.Route]int, len(lastSuccess))
	newest := beginning
	for _, e := range f.failedCeremonies(here) {
		route := f.route(e)
		if e.CreatedMs <= lastSuccess[route] || !f.younger(e.CreatedMs, window) {
			continue
		}
		f.counts(e)
		streaks[route]++
		p.LastFailedRoute, newest = route, e.CreatedMs
	}
	p.LocalStreak, p.CDAStreak, p.SecurityKeyStreak = streaks[event.Local], streaks[event.CDA], streaks[event.SecurityKey]
	f.noCredentials(p, here, lastSuccess[event.Local], newest)
	p.Lost = f.parameters.StreakThreshold > 0 && p.LocalStreak >= f.parameters.StreakThreshold
}

// noCredentials applies the client's word that it holds no credential. It weighs as much as failing often enough, also where passkeys
// usually work, and for the longer window.
func (f *folder) noCredentials(p *Pair, here []*event.Event, lastSuccess, newestFailure int64) {
	for _, e := range here {
		if e.Type != event.LoginNoCredentials || f.ofDeleted(e) || e.CreatedMs <= lastSuccess ||
			!f.younger(e.CreatedMs, f.parameters.StreakWindowSeconds) {
			continue
		}
		f.counts(e)
		p.NoCredentials = true
		p.LocalStreak = max(p.LocalStreak, f.parameters.StreakThreshold)
		if e.CreatedMs >= newestFailure {
			p.LastFailedRoute, newestFailure = event.Local, e.CreatedMs
		}
	}
}

// failedCeremonies returns the first failure of each ceremony that no success finished, oldest first. That the user cancelled what they
// had asked for themselves says nothing of their passkeys.
func (f *folder) failedCeremonies(events []*event.Event) []*event.Event {
	failures := make([]*event.Event, 0, len(events))
	for _, e := range events {
		if failed(e) && !f.ofDeleted(e) && !f.loggedIn[ceremony(e)] && !slices.Contains(f.parameters.ExplicitSources, e.Source) {
			failures = append(failures, e)
		}
	}
	return firsts(failures)
}

// existence fills in which credentials are known or said to be here. Only what was made or used on this device is evidence.
func (f *folder) existence(p *Pair, here []*event.Event, environment ident.EnvironmentID) {
	recent := func(createdMs int64) bool { return f.younger(createdMs, f.parameters.PositiveSeconds) }
	for i := range f.credentials {
		if c := &f.credentials[i]; c.Environment == environment && f.createdBy(c) == event.Local && !f.createdElsewhere(c, here) {
			p.CreatedHere = true
			if recent(c.CreatedMs) {
				p.Proven = add(p.Proven, c.ID)
			}
		}
	}
	for _, e := range here {
		switch {
		case succeeded(e) && f.route(e) == event.Local:
			c := f.credential(e)
			if c == nil {
				continue
			}
			p.CreatedHere = p.CreatedHere || e.Type == event.AppendCompleted
			if recent(e.CreatedMs) {
				p.Proven = add(p.Proven, c.ID)
			}
		case e.Type == event.AppendCredentialExists && recent(e.CreatedMs):
			f.said(p, e)
		}
	}
	slices.Sort(p.Proven)
	slices.Sort(p.Said)
}

// createdElsewhere reports whether the event of a credential's creation says that it was not made on this device.
func (f *folder) createdElsewhere(c *account.Credential, here []*event.Event) bool {
	return slices.ContainsFunc(here, func(e *event.Event) bool {
		return e.Type == event.AppendCompleted && f.credential(e) == c && f.route(e) != event.Local
	})
}

// said notes the credentials that are still active and existed when the client said that it holds one.
func (f *folder) said(p *Pair, e *event.Event) {
	for i := range f.credentials {
		if c := &f.credentials[i]; c.CreatedMs <= e.CreatedMs {
			f.counts(e)
			p.Said = add(p.Said, c.ID)
		}
	}
}
