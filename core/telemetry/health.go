package telemetry

import (
	"context"
	"sync"
	"time"
)

// State of a dependency, or of the whole process.
type State string

// The states, from good to bad.
const (
	OK       State = "ok"
	Degraded State = "degraded" // slower or with less, but every answer is right
	Down     State = "down"     // calls fail
)

func (s State) worse(other State) State {
	if s == Down || other == Down {
		return Down
	}
	if s == Degraded || other == Degraded {
		return Degraded
	}
	return OK
}

// Status is what a check found. Detail is for an operator's eye and holds no secret.
type Status struct {
	State  State
	Detail string
}

// Check finds out how a dependency is. It returns when ctx ends.
type Check func(ctx context.Context) Status

// PingCheck makes a check of a call that fails when the dependency is away; away is what that means for the process.
func PingCheck(ping func(context.Context) error, away State) Check {
	return func(ctx context.Context) Status {
		if err := ping(ctx); err != nil {
			return Status{State: away, Detail: err.Error()}
		}
		return Status{State: OK}
	}
}

// Finding is the status of one dependency by name.
type Finding struct {
	Name string
	Status
}

// checkTimeout bounds a report, so that a probe with the usual timeout of a few seconds is answered rather than cut off.
const checkTimeout = 900 * time.Millisecond

// Health holds the checks of a process. The zero value has none and is healthy. It is safe for concurrent use.
type Health struct {
	mu       sync.Mutex
	checks   []namedCheck
	draining bool
}

type namedCheck struct {
	name  string
	check Check
}

// Register adds a check. Reports list checks in the order of their registration.
func (h *Health) Register(name string, check Check) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, namedCheck{name, check})
}

// Drain makes every further report say down, so that load balancers send no more calls.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Report runs all checks at once and returns the worst state and each finding. Checks have under a second; what a check says of a dependency that did not answer by then stands.
func (h *Health) Report(ctx context.Context) (State, []Finding) {
	h.mu.Lock()
	checks, draining := h.checks, h.draining
	h.mu.Unlock()
	if draining {
		return Down, []Finding{{"shutdown", Status{Down, "draining"}}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	findings := make([]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { findings[i] = Finding{c.name, c.check(ctx)} })
	}
	all.Wait()
	worst := OK
	for _, f := range findings {
		worst = worst.worse(f.State)
	}
	return worst, findings
}
