// Package growth measures whether a login start costs the same however much there is: of events of a user, of users, and of projects. It
// touches the servers of a fleet, and writes the projects before one of them starts.
package growth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
)

const (
	active      = 20   // users who call: their histories are in the caches, also the long ones
	usualEvents = 20   // of a user
	manyEvents  = 2000 // of a user
	fewUsers    = 1000
	projects    = 1000
	mostInTurn  = 60_000 // users of whom each calls once a round, more than a process has room for by default
)

// settling is how long NATS keeps in memory what it has looked up of what was imported.
const settling = 130 * time.Second

// maxGrowth is how much more a start may allocate than that of the first contender: counts do not depend on how busy the machine is.
const maxGrowth = 1.2

// contender is a Keyward that has more of something than the first one.
type contender struct {
	name            string
	events          int // of each of the active users
	users, projects int
}

// Compare prints what becomes of login starts with more events a user, more users and more projects. An error says what makes them
// allocate more.
func Compare(ctx context.Context, f *fleet.Fleet) error {
	grown := []contender{
		{fmt.Sprintf("%d events a user, %d users, 1 project", usualEvents, fewUsers), usualEvents, fewUsers, 1},
		{fmt.Sprintf("%d events a user", manyEvents), manyEvents, fewUsers, 1},
		{fmt.Sprintf("%d users", f.Users), usualEvents, f.Users, 1},
		{fmt.Sprintf("%d projects", projects), usualEvents, fewUsers, projects},
	}
	started := make([]*fleet.Contender, len(grown))
	for i, of := range grown {
		var err error
		if started[i], err = of.start(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", of.name, err)
		}
	}
	select {
	case <-time.After(settling):
	case <-ctx.Done():
		return ctx.Err()
	}
	results, err := f.Measure(ctx, started, f.Connections)
	if err != nil {
		return err
	}
	fmt.Printf(
		"POST %s, %d active users with %d passkeys each, one process, %d connections, median of %d rounds of %s, load generator on the same "+
			"cores\n\n", fleet.Path, active, fleet.Passkeys, f.Connections, f.Rounds, f.Duration,
	)
	t := fleet.NewTable("calls/s", "of the first", "p50 ms", "p99 ms", "CPU µs a call", "allocations a call", "of the first", "memory MiB")
	var errs []error
	for i, c := range started {
		r, was := results[i], results[0]
		t.Row(
			c.Name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/was.Rate(), "%.2f", r.P50(), "%.2f", r.P99(), "%.0f", r.Micros(),
			"%.0f", r.Allocations(), "%.2f", r.Allocations()/was.Allocations(), "%.0f", r.Memory(),
		)
		if growth := r.Allocations() / was.Allocations(); growth > maxGrowth {
			errs = append(errs, fmt.Errorf("%s: a login start allocates %.2f times as much", c.Name, growth))
		}
	}
	return errors.Join(append([]error{t.Print(), compareTurns(ctx, f, started[0], started[2])}, errs...)...)
}

// start starts a Keyward, and makes what it has.
func (of contender) start(ctx context.Context, f *fleet.Fleet) (*fleet.Contender, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if of.projects > 1 {
		if err := makeProjects(ctx, data, of.projects); err != nil {
			return nil, err
		}
	}
	c, err := f.In(
		ctx, data, of.name, "KEYWARD_SYNC_INTERVAL=2m", "KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
	)
	if err != nil {
		return nil, err
	}
	if err := f.Import(ctx, c, data, of.users-active); err != nil {
		return nil, err
	}
	return f.Populate(c, c.Address, fleet.Crowd{Users: active, Events: of.events, Projects: of.projects})
}

// makeProjects writes projects where a Keyward is to start, all with one secret.
func makeProjects(ctx context.Context, data string, n int) error {
	config := bus.DefaultConfig()
	config.DataDir, config.SyncInterval = data, time.Minute
	b, err := bus.Open(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("open the bus: %w", err)
	}
	defer b.Close()
	bucket, err := kv.Open(ctx, b.JS, bus.ProjectsBucket)
	if err != nil {
		return fmt.Errorf("open projects: %w", err)
	}
	store, err := project.NewStore(ctx, bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("open projects: %w", err)
	}
	for i := range n {
		id := ident.ProjectID(fmt.Sprint("pro-", i+1))
		p, err := project.New(id, "Bench", "localhost", "Bench", []string{fleet.Origin}, fleet.Secret, time.Now())
		if err == nil {
			err = store.Create(ctx, p)
		}
		if err != nil {
			return fmt.Errorf("make a project: %w", err)
		}
	}
	return nil
}

// compareTurns has each of the users who were imported call once a round: of many, none is in a cache when the turn comes.
func compareTurns(ctx context.Context, f *fleet.Fleet, of ...*fleet.Contender) error {
	fmt.Printf("\nThe same of users with a passkey and no events, each once a round, in a browser that has not been seen\n\n")
	t := fleet.NewTable("users", "calls/s", "of the first", "p50 ms", "p99 ms", "CPU µs a call", "allocations a call")
	first := 0.0
	for i, c := range of {
		users := min([]int{fewUsers, f.Users}[i]-active, mostInTurn)
		r, spent, err := turns(ctx, f, c, users)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if i == 0 {
			first = r.Rate()
		}
		t.Row(
			c.Name, "%d", users, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/first, "%.2f", r.P50(), "%.2f", r.P99(),
			"%.0f", 1e6*spent.Seconds, "%.0f", spent.Allocations,
		)
	}
	return t.Print()
}

// turns lets each of so many users start a login, several rounds, of which the first only warms up.
func turns(ctx context.Context, f *fleet.Fleet, c *fleet.Contender, users int) (rounds fleet.Rounds, spent fleet.Spent, err error) {
	requests := make([]*fasthttp.Request, users)
	for i := range requests {
		requests[i] = fleet.ImportedStart(c.Address, i)
	}
	client := &fasthttp.HostClient{Addr: c.Address, MaxConns: f.Connections}
	defer client.CloseIdleConnections()
	call := func(_ context.Context, req *fasthttp.Request) error {
		rsp := fasthttp.AcquireResponse()
		defer fasthttp.ReleaseResponse(rsp)
		if err := client.Do(req, rsp); err != nil {
			return fmt.Errorf("call: %w", err)
		}
		if rsp.StatusCode() != http.StatusOK {
			return fmt.Errorf("status %d: %s", rsp.StatusCode(), rsp.Body())
		}
		return nil
	}
	var before fleet.Spent
	for round := range f.Rounds + 1 {
		if round == 1 {
			if before, err = fleet.ReadSpent(c.Admin); err != nil {
				return nil, spent, err
			}
		}
		got, err := fleet.EachOnce(ctx, f.Connections, requests, call)
		if err != nil {
			return nil, spent, err
		}
		if round > 0 {
			rounds = append(rounds, got)
		}
	}
	after, err := fleet.ReadSpent(c.Admin)
	return rounds, after.Over(before, users*f.Rounds), err
}
