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
	for _, e := range here {
		if !succeeded(e) || f.credential(e) == nil {
			continue
		}
		f.counts(e)
		if !f.younger(e.CreatedMs, f.parameters.PositiveSeconds) {
			p.PositiveStale = true
			continue
		}
		p.Positive = true
		p.LastRoute = f.route(e)
		p.PositiveSecurityKey = p.PositiveSecurityKey || f.route(e) == event.SecurityKey
	}
	p.PositiveStale = p.PositiveStale && !p.Positive
}

// failures fills in the streaks: the failed ceremonies of each route since its last success. A success ends a streak even if its credential is gone. The
// client's word that it holds a passkey of the account ends that of this device.
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
}

// noCredentials applies the client's word that it holds no credential. It weighs as much as failing often enough, also where passkeys usually work, and for the longer window.
func (f *folder) noCredentials(p *Pair, here []*event.Event, lastSuccess, newestFailure int64) {
	for _, e := range here {
		if e.Type != event.LoginNoCredentials || f.ofDeleted(e) || e.CreatedMs <= lastSuccess || !f.younger(e.CreatedMs, f.parameters.StreakWindowSeconds) {
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

// failedCeremonies returns the first failure of each ceremony that no success finished, oldest first.
func (f *folder) failedCeremonies(events []*event.Event) []*event.Event {
	failures := make([]*event.Event, 0, len(events))
	for _, e := range events {
		if failed(e) && !f.ofDeleted(e) && !f.loggedIn[ceremony(e)] {
			failures = append(failures, e)
		}
	}
	return firsts(failures)
}

// existence fills in whether a credential of the account is known to be here. Only what was made or used on this device is evidence.
func (f *folder) existence(p *Pair, here []*event.Event, environment ident.EnvironmentID) {
	recent := func(createdMs int64) bool { return f.younger(createdMs, f.parameters.PositiveSeconds) }
	for i := range f.credentials {
		if c := &f.credentials[i]; c.Environment == environment && c.CreatedBy() == event.Local && !f.createdElsewhere(c, here) {
			p.CreatedHere = true
			p.ExistsHere = p.ExistsHere || recent(c.CreatedMs)
		}
	}
	for _, e := range here {
		switch {
		case succeeded(e) && f.credential(e) != nil && f.route(e) == event.Local:
			p.CreatedHere = p.CreatedHere || e.Type == event.AppendCompleted
			p.ExistsHere = p.ExistsHere || recent(e.CreatedMs)
		case e.Type == event.AppendCredentialExists && f.heldAt(e.CreatedMs) && recent(e.CreatedMs):
			f.counts(e)
			p.ExistsHere = true
		}
	}
}

// createdElsewhere reports whether the event of a credential's creation says that it was not made on this device.
func (f *folder) createdElsewhere(c *account.Credential, here []*event.Event) bool {
	return slices.ContainsFunc(here, func(e *event.Event) bool {
		return e.Type == event.AppendCompleted && f.credential(e) == c && f.route(e) != event.Local
	})
}

// heldAt reports whether a credential that is still active existed then.
func (f *folder) heldAt(createdMs int64) bool {
	for _, c := range f.credentials {
		if c.CreatedMs <= createdMs {
			return true
		}
	}
	return false
}
