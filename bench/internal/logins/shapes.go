package logins

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// Compare measures full logins of Keyward as it can be run beside go-webauthn's verification of such answers alone; and then what logins
// that were begun and not finished make of those that come after them.
func Compare(ctx context.Context, f *fleet.Fleet) error {
	if err := compareShapes(ctx, f); err != nil {
		return err
	}
	if err := f.Stop(); err != nil {
		return err
	}
	fmt.Println()
	return growth(ctx, f)
}

// shape is a Keyward with its users.
type shape struct {
	*fleet.Contender
	calls *caller
	users []user
}

// compareShapes has the shapes take turns, several rounds, of which the first only warms up; in each, each user logs in once.
func compareShapes(ctx context.Context, f *fleet.Fleet) error {
	floor, err := newVerifier()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	shapes, err := startShapes(ctx, f)
	if err != nil {
		return err
	}
	alone, rounds := make(fleet.Rounds, 0, f.Rounds), make([]fleet.Rounds, len(shapes))
	for round := range f.Rounds + 1 {
		verified, err := floor.round(ctx, f.Duration)
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		if round > 0 {
			alone = append(alone, verified)
		}
		for i, s := range shapes {
			got, err := fleet.EachOnce(ctx, f.Connections, s.users, s.calls.login)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if round > 0 {
				rounds[i] = append(rounds[i], got)
			}
		}
	}
	fmt.Printf(
		"Full logins (start, a real ES256 signature, finish) of %d users with a passkey each, %d connections, median of %d rounds, "+
			"load generator on the same cores\n\n", crowd, f.Connections, f.Rounds,
	)
	t := fleet.NewTable("logins/s", "of verification", "of the first shape", "p50 ms", "p99 ms")
	t.Row("go-webauthn alone, every core", "%.0f", alone.Rate(), "%.0f %%", 100.0, "%s", "", "%s", "", "%s", "")
	for i, s := range shapes {
		r := rounds[i]
		t.Row(
			s.Name, "%.0f", r.Rate(), "%.1f %%", 100*r.Rate()/alone.Rate(), "%.0f %%", 100*r.Rate()/rounds[0].Rate(), "%.2f", r.P50(),
			"%.2f", r.P99(),
		)
	}
	return t.Print()
}

// startShapes starts one process and a split, of each one that flushes every write and one that flushes every two seconds.
func startShapes(ctx context.Context, f *fleet.Fleet) ([]shape, error) {
	var shapes []shape
	for _, flushed := range []struct{ name, sync string }{{"every write on disk", "always"}, {"flushed every 2 s", "2s"}} {
		one, err := f.Alone(ctx, "one process, "+flushed.name, append(unlimited(), "KEYWARD_SYNC_INTERVAL="+flushed.sync)...)
		split, failed := f.Services(ctx, "split, "+flushed.name, flushed.sync, unlimited()...)
		if err := errors.Join(err, failed); err != nil {
			return nil, err
		}
		shapes = append(shapes, shape{Contender: one}, shape{Contender: split})
	}
	for i := range shapes {
		var err error
		if shapes[i].calls, shapes[i].users, err = crowdOf(ctx, shapes[i].Contender, crowd, f.Connections); err != nil {
			return nil, fmt.Errorf("%s: %w", shapes[i].Name, err)
		}
	}
	return shapes, nil
}
