package events

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
)

// budget is how much is recorded of a user, within a window that ends now, of what anybody can cause who knows a user's name: refused
// logins, and what clients tell of a login without having proven to be the user's. Each kind has the whole of it. What the history holds
// is what has been spent, so that it is one budget for all instances and outlives them; whoever causes more makes nobody's history longer,
// and is answered as before. Logins that succeed are no part of it.
type budget ratelimit.Limit

// DefaultUnproven is one a minute: far more than anybody's own failures in an hour, and few enough that somebody who never stops does not
// make a history that is slow to read before its owner or an operator has been told.
func DefaultUnproven() ratelimit.Limit { return ratelimit.Limit{Requests: 64, Per: time.Hour} }

// MaxUnproven is the largest budget: beyond, it would bound nothing.
const MaxUnproven = 1000

// ofProcess is the part of the budget that one process may have: a process that is tried again and again leaves room for others'.
const ofProcess = 4

// The kinds of events that a budget is for.
const (
	kindRefused  = "refused"
	kindUnproven = "unproven"
)

// kindOf returns the kind of an event, "" if it is none that anybody can cause.
func kindOf(e *event.Event) string {
	switch {
	case e.Type == event.LoginRefused:
		return kindRefused
	case e.Unproven():
		return kindUnproven
	default:
		return ""
	}
}

// nobodys is for events of which it makes no difference which environment they are of.
func nobodys(ident.EnvironmentID) ident.EnvironmentID { return "" }

// theirs returns what tells apart the environments that a user has signed in from: whoever has none of their handles cannot spend what is
// there for them. All others are one.
func theirs(a account.Account) func(ident.EnvironmentID) ident.EnvironmentID {
	return func(id ident.EnvironmentID) ident.EnvironmentID {
		if slices.ContainsFunc(a.Environments, func(known account.Environment) bool { return known.ID == id }) {
			return id
		}
		return ""
	}
}

// full returns how long it is until there is room for e beside the history, 0 if there is.
func (b budget) full(e event.Event, history []event.Event, from func(ident.EnvironmentID) ident.EnvironmentID) time.Duration {
	kind := kindOf(&e)
	if b.Requests == 0 || kind == "" {
		return 0
	}
	since := e.CreatedMs - b.Per.Milliseconds()
	var all, process []int64
	for i := range history {
		known := &history[i]
		if !b.near(known, e) || kindOf(known) != kind || from(known.Environment) != from(e.Environment) {
			continue
		}
		all = append(all, known.CreatedMs)
		if e.Process != "" && known.Process == e.Process {
			process = append(process, known.CreatedMs)
		}
	}
	return max(b.wait(all, b.Requests, since), b.wait(process, max(1, b.Requests/ofProcess), since))
}

// near reports whether known is in the window that ends with e. The clocks of instances differ, so what is a little later is in it too;
// what is later than a window is long was recorded by a clock that was wrong, and would fill it until then.
func (b budget) near(known *event.Event, e event.Event) bool {
	age, most := e.CreatedMs-known.CreatedMs, b.Per.Milliseconds()
	return -most < age && age < most
}

// wait returns how long it is until fewer than so many moments are in the window.
func (b budget) wait(at []int64, most int, since int64) time.Duration {
	if len(at) < most {
		return 0
	}
	slices.Sort(at)
	return time.Duration(at[len(at)-most]-since) * time.Millisecond
}

// mayTell lets who has proven nothing tell an event of a user, one at a time, or refuses. The caller calls leave when the event is stored.
func (s *Service) mayTell(ctx context.Context, e event.Event) (leave func(), err error) {
	// Where the user has just signed in, the log alone may say.
	a, _, err := s.deps.Accounts.Get(ctx, e.Project, e.User)
	if err != nil {
		return nil, err
	}
	if leave, err = s.turns.Take(ctx, string(e.Project)+"/"+string(e.User)); err != nil {
		return nil, err
	}
	events, err := s.live(ctx, e.Project, e.User)
	if err != nil {
		leave()
		return nil, err
	}
	wait := s.budget.full(e, events, theirs(a))
	if wait == 0 {
		return leave, nil
	}
	defer leave()
	s.withhold(ctx, e, events)
	return nil, &fault.Fault{
		Type: fault.TypeRateLimited, Status: http.StatusTooManyRequests, RetryAfter: max(wait, time.Second),
		Details: "so much has been told of the user's sign-ins without a proof that this was not recorded",
	}
}

// withhold counts an event that there is no room for, and tells of it once in a window. The call goes its way whether or not that can be
// done.
func (s *Service) withhold(ctx context.Context, e event.Event, history []event.Event) {
	s.withheld.WithLabelValues(kindOf(&e)).Inc()
	newest := ident.EventID("")
	for i := range history {
		if history[i].Type == event.LoginEventsLimited && s.budget.near(&history[i], e) {
			return
		}
		if kindOf(&history[i]) != "" && s.budget.near(&history[i], e) {
			newest = history[i].ID
		}
	}
	limited := event.Event{
		// Whoever sees the same history tells the same fact.
		ID: ident.Seed("limited/" + string(newest)).EventID(), Project: e.Project, User: e.User, Type: event.LoginEventsLimited,
		CreatedMs: e.CreatedMs, Process: e.Process,
	}
	if _, err := s.deps.Store.Append(ctx, limited); err != nil {
		s.deps.Log.WarnContext(
			ctx, "it could not be told that no more is recorded of a user's failed logins", "project", e.Project, "user", e.User, "error", err,
		)
	}
}

func newWithheld() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "keyward_events_withheld_total",
		Help: "Refused logins, and events without a proof, that were not recorded since the user had as many within the window of " +
			"unproven_events. Healthy: 0.",
	}, []string{"kind"})
}
