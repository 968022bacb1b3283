package logins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// maxGrowth is how much more a call may allocate after the most login starts than before them.
const maxGrowth = 1.2

// perLogin is what a full login allocates more for each login of the user within the last minutes, which it reads one by one: what was
// begun costs nothing of that.
const perLogin = 100

// figures are of calls of one kind after so many login starts.
type figures struct {
	fleet.Sample
	fleet.Spent
}

// growth measures the start of a passkey and full logins of users of whom nothing was begun yet, and of the same users after each
// has begun many logins without an end. What was begun must not make what comes after it dearer: an error says that it did. Allocations
// are compared, since they do not depend on how busy the machine is.
func growth(ctx context.Context, f *fleet.Fleet) error {
	contender, err := f.Alone(ctx, "", append(unlimited(), "KEYWARD_SYNC_INTERVAL=always")...)
	if err != nil {
		return err
	}
	c, users, err := crowdOf(ctx, contender, crowd, f.Connections)
	if err != nil {
		return err
	}
	workloads := map[string]func(context.Context, user) error{"append start": c.appendStart, "full login": c.login}
	fmt.Printf(
		"%d users with a passkey each, one process, every write on disk, %d connections, each user once, load generator on the same cores\n\n",
		crowd, f.Connections,
	)
	t := fleet.NewTable("calls/s", "of fresh", "p50 ms", "p99 ms", "CPU µs a call", "allocations a call", "of fresh")
	first, grown := map[string]figures{}, []error(nil)
	begun, earlier := 0, map[string]float64{} // what a user's logins of before are read for
	for _, starts := range []int{0, 14, 50} {
		for ; begun < starts; begun++ {
			if _, err := fleet.EachOnce(ctx, f.Connections, users, c.loginStart); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(workloads)) {
			got, err := c.measure(ctx, f.Connections, users, workloads[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if starts == 0 {
				first[name] = got
			}
			was := first[name]
			t.Row(
				fmt.Sprintf("%s, %d login starts a user before", name, starts),
				"%.0f", got.Rate, "%.0f %%", 100*got.Rate/was.Rate, "%.2f", got.P50, "%.2f", got.P99,
				"%.0f", 1e6*got.Seconds, "%.0f", got.Allocations, "%.2f", got.Allocations/was.Allocations,
			)
			if growth := (got.Allocations - earlier[name]) / was.Allocations; growth > maxGrowth {
				grown = append(grown, fmt.Errorf("%s allocates %.2f times as much after %d login starts a user", name, growth, starts))
			}
		}
		earlier["full login"] += perLogin
	}
	return errors.Join(append([]error{t.Print()}, grown...)...)
}

// measure makes a call for each user and returns what one cost on average.
func (c *caller) measure(
	ctx context.Context, connections int, users []user, call func(context.Context, user) error,
) (figures, error) {
	before, err := fleet.ReadSpent(c.admin)
	if err != nil {
		return figures{}, err
	}
	sample, err := fleet.EachOnce(ctx, connections, users, call)
	if err != nil {
		return figures{}, err
	}
	after, err := fleet.ReadSpent(c.admin)
	return figures{sample, after.Over(before, len(users))}, err
}
