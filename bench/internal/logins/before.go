package logins

import (
	"context"
	"fmt"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// CompareBefore measures full logins of this version beside those of an earlier one, whose binary Settings.Before is: in turn, each with
// users of its own, every write on disk. Each round has other users; then each of them comes once more.
func CompareBefore(ctx context.Context, f *fleet.Fleet) error {
	now := f.Settings.Keyward
	defer func() { f.Settings.Keyward = now }()
	var shapes []shape
	for _, of := range []struct{ name, binary string }{{"before", f.Before}, {"now", now}} {
		f.Settings.Keyward = of.binary
		c, err := f.Alone(ctx, of.name, append(unlimited(), "KEYWARD_SYNC_INTERVAL=always")...)
		if err != nil {
			return fmt.Errorf("%s: %w", of.name, err)
		}
		s := shape{Contender: c}
		if s.calls, s.users, err = crowdOf(ctx, c, crowd*f.Rounds, f.Connections); err != nil {
			return fmt.Errorf("%s: %w", of.name, err)
		}
		shapes = append(shapes, s)
	}
	fmt.Printf(
		"Full logins (start, a real ES256 signature, finish) of users with a passkey each, one process, every write on disk, %d connections, "+
			"median of %d rounds of %d users, load generator on the same cores\n\n", f.Connections, f.Rounds, crowd,
	)
	t := fleet.NewTable("logins/s", "of before", "p50 ms", "p99 ms", "CPU µs a login", "allocations a login")
	for _, which := range []string{"first", "second"} {
		rounds, spent := make([]fleet.Rounds, len(shapes)), make([]fleet.Spent, len(shapes))
		for round := range f.Rounds {
			for i, s := range shapes {
				before, err := fleet.ReadSpent(s.Admin)
				if err != nil {
					return err
				}
				got, err := fleet.EachOnce(ctx, f.Connections, s.users[round*crowd:][:crowd], s.calls.login)
				if err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
				after, err := fleet.ReadSpent(s.Admin)
				if err != nil {
					return err
				}
				rounds[i], spent[i] = append(rounds[i], got), after.Over(before, crowd)
			}
		}
		for i, s := range shapes {
			r := rounds[i]
			t.Row(
				s.Name+", each user's "+which, "%.0f", r.Rate(), "%.2f", r.Rate()/rounds[0].Rate(), "%.2f", r.P50(), "%.2f", r.P99(),
				"%.0f", 1e6*spent[i].Seconds, "%.0f", spent[i].Allocations,
			)
		}
	}
	return t.Print()
}
