package outage

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// noticing is how long the callers may need to leave what hangs: call_silence, and a call that was under way then.
const noticing = 6 * time.Second

// Hung measures how much of the throughput of two of each service is left when one of each hangs: at once, and after what hangs has been
// noticed. The gateway is left alone, since callers are bound to it.
func Hung(ctx context.Context, of *fleet.Fleet) error {
	in, users, err := pairs(ctx, of)
	if err != nil {
		return err
	}
	fmt.Printf(
		"two of each service and a gateway; one events, decision and ceremony service is stopped (SIGSTOP) for %s; %d connections\n"+
			"calls/s answered well: before, from the stop on, from %s after it, after SIGCONT\n\n",
		noticing+of.Duration, of.Connections, noticing,
	)
	t := fleet.NewTable("before", "at once", "of before", "noticed", "of before", "after", "of before", "failed", "of them writes")
	var atOnce, noticed, after []float64
	for round := range of.Rounds + 1 {
		r, err := in.hang(ctx, users, of.Connections, of.Duration, round)
		if err != nil {
			return err
		}
		if round == 0 {
			continue // warms up
		}
		atOnce, noticed, after = append(atOnce, r.atOnce/r.before), append(noticed, r.noticed/r.before), append(after, r.after/r.before)
		t.Row(
			fmt.Sprint("round ", round), "%.0f", r.before, "%.0f", r.atOnce, "%.0f %%", 100*r.atOnce/r.before, "%.0f", r.noticed, "%.0f %%",
			100*r.noticed/r.before, "%.0f", r.after, "%.0f %%", 100*r.after/r.before, "%d", r.failed, "%d", r.writes,
		)
	}
	t.Row(
		"median", "%s", "", "%s", "", "%.0f %%", 100*median(atOnce), "%s", "", "%.0f %%", 100*median(noticed), "%s", "", "%.0f %%",
		100*median(after), "%s", "", "%s", "",
	)
	return t.Print()
}

type hungRound struct {
	before, atOnce, noticed, after float64 // calls a second
	failed, writes                 int     // from the stop to the end
}

func (in *installation) hang(ctx context.Context, users crowd, connections int, d time.Duration, round int) (r hungRound, err error) {
	calling := users.call(ctx, connections)
	defer calling.stop()
	pause(ctx, noticing) // for what the round before left behind
	began := time.Now()
	pause(ctx, d)
	stopped := time.Now()
	for _, both := range in.services {
		one := both[round%len(both)].cmd.Process
		if err := one.Signal(syscall.SIGSTOP); err != nil {
			return r, fmt.Errorf("stop a process: %w", err)
		}
		defer func() { _ = one.Signal(syscall.SIGCONT) }()
	}
	pause(ctx, noticing)
	known := time.Now()
	pause(ctx, d)
	goOn := time.Now()
	for _, both := range in.services {
		if err := both[round%len(both)].cmd.Process.Signal(syscall.SIGCONT); err != nil {
			return r, fmt.Errorf("let a process go on: %w", err)
		}
	}
	pause(ctx, noticing)
	back := time.Now()
	pause(ctx, d)
	end := time.Now()
	calls := calling.finish()
	lost := failed(calls, stopped, end)
	return hungRound{
		before: rate(calls, began, stopped), atOnce: rate(calls, stopped, goOn), noticed: rate(calls, known, goOn),
		after: rate(calls, back, end), failed: len(lost), writes: len(only(lost, appends)),
	}, ctx.Err()
}
