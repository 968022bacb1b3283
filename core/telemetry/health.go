package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// Seldom makes a check that looks at most once a pause, however often it is asked: for one that costs the dependency something.
func Seldom(pause time.Duration, check Check) Check {
	var mu sync.Mutex
	var last Status
	var at time.Time
	return func(ctx context.Context) Status {
		mu.Lock()
		defer mu.Unlock()
		if at.IsZero() || time.Since(at) >= pause {
			last, at = check(ctx), time.Now()
		}
		return last
	}
}

// Finding is the status of one dependency by name.
type Finding struct {
	Name string
	Status
}

// checkTimeout bounds a report, so that a probe with the usual timeout of a few seconds is answered rather than cut off.
const checkTimeout = 900 * time.Millisecond

// watchInterval is how often Watch looks: seldom enough to cost nothing, and often enough for a metric that is read every 15 seconds.
const watchInterval = 5 * time.Second

// Health holds the checks of a process. The zero value has none and is healthy. It is safe for concurrent use.
type Health struct {
	mu       sync.Mutex
	checks   []namedCheck
	draining bool
}

// Watch looks at every dependency until ctx ends: it tells a change of state, with its cause, and keeps keyward_dependency_state up
// to date.
func (h *Health) Watch(ctx context.Context, registerer prometheus.Registerer, log *slog.Logger) error {
	states := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "keyward_dependency_state", Help: "What /readyz says of each dependency: 0 ok, 1 degraded, 2 down.",
	}, []string{"name"})
	if err := registerer.Register(states); err != nil {
		return fmt.Errorf("register the state of dependencies: %w", err)
	}
	known := make(map[string]State)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		_, findings := h.Report(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, f := range findings {
			states.WithLabelValues(f.Name).Set(f.State.number())
			tell(ctx, log, known[f.Name], f)
			known[f.Name] = f.State
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func tell(ctx context.Context, log *slog.Logger, before State, f Finding) {
	switch {
	case f.State == before, before == "" && f.State == OK:
	case f.State == OK:
		log.InfoContext(ctx, "a dependency is well again", "dependency", f.Name, "before", string(before))
	default:
		log.WarnContext(ctx, "a dependency is not well", "dependency", f.Name, "state", string(f.State), "cause", f.Detail)
	}
}

func (s State) number() float64 {
	switch s {
	case OK:
		return 0
	case Degraded:
		return 1
	default:
		return 2
	}
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

// Report runs all checks at once and returns the worst state and each finding. Checks have under a second; what a check says of a
// dependency that did not answer by then stands.
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
