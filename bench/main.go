// Command bench measures login start on a whole Keyward, as users run it, beside what it is to be compared with: a bare Fiber handler that parses the same
// body, the same with a read from Redis, and the OPA server. All contenders run in turn within one invocation, several times over, and medians are compared:
// absolute figures of a noisy machine mean little, ratios within a run mean something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 1 && serves(os.Args[1]) {
		exitOn(serve(ctx, os.Args[1], os.Args[2:]))
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

type settings struct {
	keyward, natsServer, redisServer, opa string // paths of binaries
	attach                                string // measure only the server at this address
	connections, rounds                   int
	duration                              time.Duration
	decision, events                      bool
	population                            int
	sse, registrations, sessions          bool
	streams, eventRate                    int
}

func run(ctx context.Context) (err error) {
	var s settings
	flag.StringVar(&s.keyward, "keyward", "bin/keyward", "binary to measure")
	flag.StringVar(&s.natsServer, "nats-server", "bin/nats-server", "NATS server of the split shape")
	flag.StringVar(&s.redisServer, "redis-server", "redis-server", "Redis of every shape but the embedded one")
	flag.StringVar(&s.opa, "opa", "bin/opa", "OPA to compare with")
	flag.StringVar(&s.attach, "attach", "", "measure only the Keyward that runs at this address, with its first project and the bench's secret; for profiling")
	flag.IntVar(&s.connections, "connections", 32, "concurrent connections")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of every contender")
	flag.DurationVar(&s.duration, "duration", 3*time.Second, "length of a round")
	flag.BoolVar(&s.decision, "decision", false, "compare decisions: with the OPA server, and of several policies, histories and settings")
	flag.BoolVar(&s.events, "events", false, "measure events: appends beside raw publishing, and through HTTP")
	flag.IntVar(&s.population, "population", 10_000, "users of the demo whose logins are replayed for the hit ratio; 0 = none")
	flag.BoolVar(&s.sse, "sse", false, "measure clients that follow the event stream over HTTP")
	flag.BoolVar(&s.registrations, "registrations", false, "measure registrations of passkeys through the user service")
	flag.BoolVar(&s.sessions, "sessions", false, "measure the start of a passkey for the current user beside a bare handler that verifies the same JWT")
	flag.IntVar(&s.streams, "streams", 1000, "clients of the event stream")
	flag.IntVar(&s.eventRate, "event-rate", 1000, "events a second on the event stream")
	flag.Parse()

	dir, err := os.MkdirTemp("", "keyward-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := &fleet{settings: s, dir: dir}
	defer func() { err = errors.Join(err, f.stop()) }()
	switch {
	case s.decision:
		return f.compareDecisions(ctx)
	case s.events:
		return f.compareEvents(ctx)
	case s.sse:
		return f.fanOut(ctx)
	case s.sessions:
		return f.compareSessions(ctx)
	case s.registrations:
		return f.compareRegistrations(ctx)
	case s.attach != "":
		return f.compareShapes(ctx, f.attached)
	default:
		return f.compareShapes(ctx, f.bare, f.embedded, f.oneProcess, f.split)
	}
}

// compareShapes measures Keyward as it can be run.
func (f *fleet) compareShapes(ctx context.Context, starts ...func(context.Context) (*contender, error)) error {
	info, err := os.Stat(f.settings.keyward)
	if err != nil {
		return fmt.Errorf("size of the binary: %w", err)
	}
	contenders, err := f.all(ctx, starts...)
	if err != nil {
		return err
	}
	results, err := f.measure(ctx, contenders, f.connections)
	if err != nil {
		return err
	}
	fmt.Printf("POST %s, %d users with %d passkeys and %d events each, %d connections, median of %d rounds of %s, load generator on the same cores\n\n",
		path, usual.users, passkeys, usual.events, f.connections, f.rounds, f.duration)
	t := newTable("calls/s", "of bare", "p50 ms", "p99 ms", "memory MiB", "ready ms")
	for i, c := range contenders {
		r := results[i]
		t.row(c.name, "%.0f", r.rate(), "%.0f %%", 100*r.rate()/results[0].rate(), "%.2f", r.p50(), "%.2f", r.p99(), "%.0f", r.memory(), "%.0f", float64(c.ready.Milliseconds()))
	}
	if err := t.print(); err != nil {
		return err
	}
	fmt.Printf("\nbinary: %.1f MiB\n", float64(info.Size())/(1<<20))
	return nil
}

// rounds are what the rounds of one contender measured.
type rounds []sample

func (r rounds) rate() float64   { return r.median(func(s sample) float64 { return s.rate }) }
func (r rounds) p50() float64    { return r.median(func(s sample) float64 { return s.p50 }) }
func (r rounds) p99() float64    { return r.median(func(s sample) float64 { return s.p99 }) }
func (r rounds) memory() float64 { return r.median(func(s sample) float64 { return s.memory }) }

func (r rounds) median(of func(sample) float64) float64 {
	values := make([]float64, len(r))
	for i, s := range r {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// measure puts load on each contender in turn, several rounds, of which the first only warms up.
func (f *fleet) measure(ctx context.Context, contenders []*contender, connections int) ([]rounds, error) {
	results := make([]rounds, len(contenders))
	for round := range f.settings.rounds + 1 {
		for i, c := range contenders {
			got, err := load(ctx, c.requests, connections, f.duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				got.memory = c.memory()
				results[i] = append(results[i], got)
			}
		}
	}
	return results, nil
}
