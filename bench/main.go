// Command bench measures login start on a whole Keyward, as users run it, beside what it is to be compared with: a bare Fiber handler
// that parses the same body, the same with a read from Redis, and the OPA server. All contenders run in turn within one invocation,
// several times over, and medians are compared: absolute figures of a noisy machine mean little, ratios within a run mean something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/keyward/keyward/bench/internal/disturbed"
	"github.com/keyward/keyward/bench/internal/events"
	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/bench/internal/growth"
	"github.com/keyward/keyward/bench/internal/logins"
	"github.com/keyward/keyward/bench/internal/outage"
	"github.com/keyward/keyward/bench/internal/stages"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 1 && fleet.Serves(os.Args[1]) {
		exitOn(fleet.Serve(ctx, os.Args[1], os.Args[2:]))
		return
	}
	exitOn(run(ctx))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// asked reads the command line.
func asked() (s fleet.Settings) {
	flag.StringVar(&s.Keyward, "keyward", "bin/keyward", "binary to measure")
	flag.StringVar(&s.NatsServer, "nats-server", "bin/nats-server", "NATS server of the split shape")
	flag.StringVar(&s.RedisServer, "redis-server", "redis-server", "Redis of every shape but the embedded one")
	flag.StringVar(&s.Opa, "opa", "bin/opa", "OPA to compare with")
	flag.StringVar(
		&s.Attach, "attach", "",
		"measure only the Keyward that runs at this address, with its first project and the bench's secret; for profiling",
	)
	flag.IntVar(&s.Connections, "connections", 32, "concurrent connections")
	flag.IntVar(&s.Rounds, "rounds", 5, "rounds of every contender")
	flag.DurationVar(&s.Duration, "duration", 3*time.Second, "length of a round")
	flag.BoolVar(&s.Decision, "decision", false, "compare decisions: with the OPA server, and of several policies, histories and settings")
	flag.BoolVar(&s.Events, "events", false, "measure events: appends beside raw publishing, and through HTTP")
	flag.IntVar(&s.Population, "population", 10_000, "users of the demo whose logins are replayed for the hit ratio; 0 = none")
	flag.BoolVar(&s.Sse, "sse", false, "measure clients that follow the event stream over HTTP")
	flag.BoolVar(&s.Registrations, "registrations", false, "measure registrations of passkeys through the user service")
	flag.BoolVar(
		&s.Sessions, "sessions", false, "measure the start of a passkey for the current user beside a bare handler that verifies the same JWT",
	)
	flag.BoolVar(
		&s.Logins, "logins", false,
		"measure full logins of every shape beside verification alone, and before and after many were begun; fails if they allocate more then",
	)
	flag.StringVar(&s.Before, "before", "", "compare full logins with those of an earlier version, of which this is the binary")
	flag.BoolVar(
		&s.Stages, "stages", false, "measure only what one call of each kind costs; fails if a bound of what can be counted is passed",
	)
	flag.BoolVar(
		&s.Growth, "growth", false,
		"measure login starts with more events a user, more users and more projects; fails if they allocate more then",
	)
	flag.BoolVar(
		&s.Disturbed, "disturbed", false,
		"measure login starts while the policy is loaded anew, users are exported or a webhook is dead; fails if their p99 doubles",
	)
	flag.IntVar(&s.Users, "users", 100_000, "with -growth: how many users are many; with -disturbed: how many are exported, 30,000 at most")
	flag.StringVar(
		&s.Profiles, "profiles", "",
		"with -stages: write to this directory, for each kind of call, profiles of every allocation before and after (pprof -base)",
	)
	flag.IntVar(&s.Streams, "streams", 1000, "clients of the event stream")
	flag.IntVar(&s.EventRate, "event-rate", 1000, "events a second on the event stream")
	flag.StringVar(
		&s.Outage, "outage", "",
		"measure what is left while one of two instances hangs (hung), leaders of NATS are killed (leaders) or instances restarted "+
			"(restarts), or the memory of long use (soak)",
	)
	flag.IntVar(&s.CallRate, "call-rate", 100, "calls a second of a soak")
	flag.Parse()
	return s
}

func run(ctx context.Context) (err error) {
	s := asked()
	dir, err := os.MkdirTemp("", "keyward-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := bench{fleet.New(s, dir)}
	defer func() { err = errors.Join(err, f.Stop()) }()
	switch {
	case s.Outage != "":
		return outage.Measure(ctx, f.Fleet)
	case s.Decision:
		return f.compareDecisions(ctx)
	case s.Events:
		return events.Compare(ctx, f.Fleet)
	case s.Sse:
		return events.FanOut(ctx, f.Fleet)
	case s.Sessions:
		return f.compareSessions(ctx)
	case s.Before != "":
		return logins.CompareBefore(ctx, f.Fleet)
	case s.Logins:
		return logins.Compare(ctx, f.Fleet)
	case s.Registrations:
		return f.compareRegistrations(ctx)
	case s.Attach != "":
		return f.compareShapes(ctx, f.Attached)
	case s.Growth:
		return growth.Compare(ctx, f.Fleet)
	case s.Disturbed:
		return disturbed.Compare(ctx, f.Fleet)
	case s.Stages:
		return stages.Measure(ctx, f.Fleet)
	default:
		return errors.Join(f.compareShapes(ctx, f.Bare, f.Embedded, f.OneProcess, f.Split), stages.Measure(ctx, f.Fleet))
	}
}

// bench measures the contenders of a fleet.
type bench struct{ *fleet.Fleet }

// compareShapes measures Keyward as it can be run.
func (f bench) compareShapes(ctx context.Context, starts ...func(context.Context) (*fleet.Contender, error)) error {
	info, err := os.Stat(f.Settings.Keyward)
	if err != nil {
		return fmt.Errorf("size of the binary: %w", err)
	}
	contenders, err := f.All(ctx, starts...)
	if err != nil {
		return err
	}
	results, err := f.Measure(ctx, contenders, f.Connections)
	if err != nil {
		return err
	}
	fmt.Printf(
		"POST %s, %d users with %d passkeys and %d events each, %d connections, median of %d rounds of %s, load generator on the same cores\n\n",
		fleet.Path, fleet.Usual.Users, fleet.Passkeys, fleet.Usual.Events, f.Connections, f.Rounds, f.Duration,
	)
	t := fleet.NewTable("calls/s", "of bare", "p50 ms", "p99 ms", "memory MiB", "ready ms")
	for i, c := range contenders {
		r := results[i]
		t.Row(
			c.Name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/results[0].Rate(), "%.2f", r.P50(), "%.2f", r.P99(), "%.0f", r.Memory(), "%.0f",
			float64(c.Ready.Milliseconds()),
		)
	}
	if err := t.Print(); err != nil {
		return err
	}
	fmt.Printf("\nbinary: %.1f MiB\n", float64(info.Size())/(1<<20))
	return nil
}
