package history

import "github.com/keyward/keyward/core/event"

// process folds what the process has seen. A login start speaks for its process until it is ProcessSeconds old; where the start itself is
// no longer known, the events that belong to it stand for it. An event belongs to the process by its processID, or by its ceremony if it
// names no process.
func (f *folder) process(id string) Process {
	p := Process{Outcome: OutcomeNotOffered}
	if id == "" {
		return p
	}
	var starts map[string]int64 // when the ceremony was offered
	offers := event.NewSet(f.offers).All()
	for i := range offers {
		o := &offers[i]
		if o.Type != event.LoginOffered || o.Process != id || f.over(o) {
			continue
		}
		if starts == nil {
			starts = make(map[string]int64)
		}
		key := o.Prompt()
		if o.Ceremony == "" {
			key = string(o.ID)
		}
		starts[key] = o.CreatedMs
		if f.younger(o.CreatedMs, f.parameters.ProcessSeconds) {
			p.Outcome = OutcomeIncomplete
		}
	}

	tried := f.events.Tried()
	if len(starts) == 0 { // then an event speaks for itself, and those that are too old are those before a place
		tried = tried[f.since(tried, f.parameters.ProcessSeconds):]
	}
	var current []*event.Event
	for _, e := range f.unexpired(tried) {
		if len(starts) == 0 && e.Process != id {
			continue
		}
		started, known := starts[e.Prompt()]
		if !known {
			started = e.CreatedMs
		}
		if (known || e.Process == id) && f.younger(started, f.parameters.ProcessSeconds) {
			current = append(current, e)
		}
	}
	f.outcome(&p, current)
	f.evidence(&p, current)
	return p
}

func (f *folder) outcome(p *Process, current []*event.Event) {
	for _, e := range current {
		switch e.Type {
		case event.LoginCompleted:
			f.counts(e)
			p.Credential = e.Credential
			p.Outcome = completedBy(f.route(e))
		case event.LoginError, event.LoginExplicitAbort, event.LoginNoCredentials:
			// Only an event that was joined proves that a login was offered.
			if e.Ceremony != "" && p.Outcome == OutcomeNotOffered {
				f.counts(e)
				p.Outcome = OutcomeIncomplete
			}
		}
	}
}

func (f *folder) evidence(p *Process, current []*event.Event) {
	failed := kept(current, func(e *event.Event) bool { return e.Type == event.LoginError || e.Type == event.LoginExplicitAbort })
	for _, e := range f.failedCeremonies(failed, 0) {
		if f.route(e) == event.Local {
			f.counts(e)
			p.FailedLocal++
		}
	}
	p.MissingEvidence = p.FailedLocal >= f.parameters.StreakThreshold
	for _, e := range current {
		if e.Type == event.LoginNoCredentials && !f.ofDeleted(e) {
			f.counts(e)
			p.MissingEvidence = true
		}
	}
}

func completedBy(r event.Route) Outcome {
	switch r {
	case event.SecurityKey:
		return OutcomeSecurityKey
	case event.CDA:
		return OutcomeCDA
	default:
		return OutcomeLocal
	}
}
