// Command bench measures login start on a whole Keyward, as users run it, beside a bare Fiber handler that parses the same body. All contenders run in
// turn within one invocation, several times over, and medians are compared: absolute figures of a noisy machine mean little, ratios within a run mean something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		exitOn(serveBare(os.Args[2]))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exitOn(run(ctx))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type settings struct {
	keyward, natsServer, redisServer string // paths of binaries
	attach                           string // measure only the server at this address
	connections, rounds              int
	duration                         time.Duration
}

func run(ctx context.Context) (err error) {
	var s settings
	flag.StringVar(&s.keyward, "keyward", "bin/keyward", "binary to measure")
	flag.StringVar(&s.natsServer, "nats-server", "bin/nats-server", "NATS server of the split shape")
	flag.StringVar(&s.redisServer, "redis-server", "redis-server", "Redis of every shape but the embedded one")
	flag.StringVar(&s.attach, "attach", "", "measure only the Keyward that runs at this address, with its first project and the bench's secret; for profiling")
	flag.IntVar(&s.connections, "connections", 32, "concurrent connections")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of every contender")
	flag.DurationVar(&s.duration, "duration", 3*time.Second, "length of a round")
	flag.Parse()

	dir, err := os.MkdirTemp("", "keyward-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	contenders, stop, err := startAll(ctx, s, dir)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	results := make([][]sample, len(contenders))
	for round := range s.rounds + 1 {
		for i, c := range contenders {
			got, err := load(ctx, c.request, s.connections, s.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 { // the first round warms up
				got.memory = c.memory()
				results[i] = append(results[i], got)
			}
		}
	}
	return report(s, contenders, results)
}

func report(s settings, contenders []*contender, results [][]sample) error {
	info, err := os.Stat(s.keyward)
	if err != nil {
		return fmt.Errorf("size of the binary: %w", err)
	}
	fmt.Printf("POST /v2/passkey/login/start, user with 3 passkeys and 20 events, %d connections, median of %d rounds of %s, load generator on the same cores\n\n", s.connections, s.rounds, s.duration)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tcalls/s\tof bare\tp50 ms\tp99 ms\tmemory MiB\tready ms\t")
	bare := median(results[0], func(x sample) float64 { return x.rate })
	for i, c := range contenders {
		r := results[i]
		rate := median(r, func(x sample) float64 { return x.rate })
		fmt.Fprintf(w, "%s\t%.0f\t%.0f %%\t%.2f\t%.2f\t%.0f\t%.0f\t\n", c.name, rate, 100*rate/bare,
			median(r, func(x sample) float64 { return x.p50 }), median(r, func(x sample) float64 { return x.p99 }),
			median(r, func(x sample) float64 { return x.memory }), float64(c.ready.Milliseconds()))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	fmt.Printf("\nbinary: %.1f MiB\n", float64(info.Size())/(1<<20))
	return nil
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
