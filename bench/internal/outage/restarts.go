package outage

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// endLimit is for a process that was asked to end.
const endLimit = 2 * time.Minute

// ErrFailed is for calls that failed although nothing should.
var ErrFailed = errors.New("calls failed")

// leaving is how long a gateway that is to end goes on, many times what the balancer takes to notice.
const leaving = "KEYWARD_SHUTDOWN_DELAY=2s"

// Restarts restarts one instance after the other, of two of each service and of two gateways behind a balancer, while callers call, and
// fails if a call does: each is told to end (SIGTERM), waited for, and started anew, and the next has its turn when that is ready.
func Restarts(ctx context.Context, of *fleet.Fleet) error {
	in, _, err := pairs(ctx, of, leaving)
	if err != nil {
		return err
	}
	front, second, users, err := in.fronted(ctx, of)
	if err != nil {
		return err
	}
	defer front.close()
	fmt.Printf("two of each service, and two gateways behind a balancer; %d restarts, %d connections\n\n", of.Rounds, of.Connections)
	const gateways = "gateway"
	names := append(slices.Clone(serviceNames), gateways)
	in.services[gateways] = []*instance{in.gateway, second}
	calling := users.call(ctx, of.Connections)
	defer calling.stop()
	began := time.Now()
	var took []float64
	for round := range of.Rounds {
		name := names[round%len(names)]
		both := in.services[name]
		next := round / len(names) % len(both)
		at, old := time.Now(), both[next]
		if both[next], err = in.restart(ctx, old); err != nil {
			return err
		}
		if name == gateways {
			front.replace(old, both[next])
		}
		took = append(took, time.Since(at).Seconds())
	}
	pause(ctx, noticing)
	end := time.Now()
	calls := calling.finish()
	lost := failed(calls, began, end)
	fmt.Printf(
		"%d calls, %.0f a second; failed: %s; a restart took %.1f s (median), %.1f s at most\n", len(calls), rate(calls, began, end), tally(lost),
		median(took), quantile(took, 1),
	)
	tell(lost)
	if len(lost) > 0 {
		return fmt.Errorf("%w: %d of %d", ErrFailed, len(lost), len(calls))
	}
	return nil
}

func (in *installation) restart(ctx context.Context, i *instance) (*instance, error) {
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("tell a process to end: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- i.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return nil, fmt.Errorf("a process that was told to end: %w", err)
		}
	case <-time.After(endLimit):
		return nil, fmt.Errorf("a process that was told to end: %w", context.DeadlineExceeded)
	}
	in.Processes = slices.DeleteFunc(in.Processes, func(other *exec.Cmd) bool { return other == i.cmd })
	next, err := i.again()
	if err != nil {
		return nil, err
	}
	return next, next.answering(ctx)
}
