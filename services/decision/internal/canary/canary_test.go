package canary_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/canary"
)

func TestAUserStaysOnTheCanarysSideWhileTheShareGrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		salt, user := rapid.String().Draw(t, "salt"), rapid.StringMatching("usr-[0-9]{1,9}").Draw(t, "user")
		project := ident.ProjectID(rapid.StringMatching("pro-[0-9]").Draw(t, "project"))
		shares := []int{rapid.IntRange(0, canary.Whole).Draw(t, "share"), rapid.IntRange(0, canary.Whole).Draw(t, "another share")}
		few := canary.Division{Salt: salt, Share: min(shares[0], shares[1])}
		more := canary.Division{Salt: salt, Share: max(shares[0], shares[1])}
		if few.Side(project, ident.UserID(user), user) == event.Canary && more.Side(project, ident.UserID(user), user) != event.Canary {
			t.Fatalf("%s left the canary when it grew from %d to %d", user, few.Share, more.Share)
		}
	})
}

func TestWhoIsJudgedByTheCanary(t *testing.T) {
	t.Parallel()
	all := canary.Division{Salt: "s", Share: canary.Whole}
	named := canary.Division{Salt: "s", Users: []ident.UserID{"usr-1"}}
	one := canary.Division{Salt: "s", Share: canary.Whole, Projects: []ident.ProjectID{"pro-1"}}
	for name, c := range map[string]struct {
		division canary.Division
		project  ident.ProjectID
		user     ident.UserID
		subject  string
		want     event.Side
	}{
		"everybody, if the share is all":                        {all, "pro-2", "usr-1", "usr-1", event.Canary},
		"nobody, if the share is none":                          {canary.Division{Salt: "s"}, "pro-1", "usr-1", "usr-1", event.Base},
		"a user who is named, whatever the share":               {named, "pro-1", "usr-1", "usr-1", event.Canary},
		"nobody who is not named":                               {named, "pro-1", "usr-2", "usr-2", event.Base},
		"users of a project that is named":                      {one, "pro-1", "usr-1", "usr-1", event.Canary},
		"nobody of another project":                             {one, "pro-2", "usr-1", "usr-1", event.Base},
		"nobody whom nothing tells apart":                       {all, "pro-1", "", "", event.Base},
		"a browser of which no user is known, like any subject": {all, "pro-1", "", "env-1", event.Canary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.division.Side(c.project, c.user, c.subject); got != c.want {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestAShareIsThatManyUsersAndAnotherSaltShufflesThem(t *testing.T) {
	t.Parallel()
	const users = 20_000
	first, second := canary.Division{Salt: "a", Share: 1000}, canary.Division{Salt: "b", Share: 1000}
	in, both := 0, 0
	for i := range users {
		user := fmt.Sprint("usr-", i)
		if first.Side("pro-1", ident.UserID(user), user) == event.Canary {
			in++
			if second.Side("pro-1", ident.UserID(user), user) == event.Canary {
				both++
			}
		}
	}
	if in < 1850 || in > 2150 || both < 130 || both > 280 {
		t.Errorf("%d of %d, and %d of them in the other canary too", in, users, both)
	}
}

// counts draws n decisions of a side.
func counts(random *rand.Rand, n int, completed, denied float64) canary.Counts {
	c := canary.Counts{Decisions: n, Asked: n, Offered: n}
	for range n {
		if random.Float64() < completed {
			c.Completed++
		}
		if random.Float64() < denied {
			c.Denied++
		} else {
			c.Allowed++
		}
	}
	return c
}

func TestNoBoundIsPassedByChanceThoughItIsLookedAllTheTime(t *testing.T) {
	t.Parallel()
	bounds := canary.DefaultBounds()
	bounds.Completed, bounds.DefaultDeny, bounds.Allow, bounds.Confidence = 0, 0, 0, 0.9
	random := rand.New(rand.NewPCG(1, 2))
	const canaries, looks = 300, 80
	passed := 0
	for i := range canaries {
		var base, tried canary.Counts
		for range looks {
			rate, few := 0.3+0.65*float64(i)/canaries, 0.001+0.1*float64(i)/canaries
			base.Add(counts(random, 95, rate, few))
			tried.Add(counts(random, 25, rate, few))
			if bounds.Passed(base, tried) != "" {
				passed++
				break
			}
		}
	}
	if most := canaries / 10; passed > most {
		t.Errorf("%d of %d canaries that were no worse were ended; at most %d may be", passed, canaries, most)
	}
}

func TestACanaryThatIsWorseIsFound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for name, c := range map[string]struct {
		base, tried func(n int) canary.Counts
		within      int // offers of the canary
		want        string
	}{
		"fewer logins are completed": {
			func(n int) canary.Counts { return counts(random, n, 0.9, 0.01) }, func(n int) canary.Counts { return counts(random, n, 0.8, 0.01) },
			4000, "completed: ",
		},
		"more is denied by default": {
			func(n int) canary.Counts { return counts(random, n, 0.9, 0.005) }, func(n int) canary.Counts { return counts(random, n, 0.9, 0.05) },
			4000, "default-deny: ",
		},
		"far less is allowed": {
			func(n int) canary.Counts { return canary.Counts{Asked: n, Allowed: n * 9 / 10} },
			func(n int) canary.Counts { return canary.Counts{Asked: n, Allowed: n / 2} }, 400, "allowed: ",
		},
		"far more is allowed": {
			func(n int) canary.Counts { return canary.Counts{Asked: n, Allowed: n / 2} },
			func(n int) canary.Counts { return canary.Counts{Asked: n, Allowed: n * 9 / 10} }, 400, "allowed: ",
		},
		"the policy errs once": {
			func(n int) canary.Counts { return canary.Counts{} },
			func(n int) canary.Counts { return canary.Counts{Decisions: n, Errors: 1} }, 100, "policy errors: 1, more than 0",
		},
		"evaluations take ten times as long": {
			func(n int) canary.Counts { return evaluations(n, 2*time.Millisecond) },
			func(n int) canary.Counts { return evaluations(n, 20*time.Millisecond) }, 1100, "p99 of evaluation: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bounds := canary.DefaultBounds()
			var base, tried canary.Counts
			for tried.Decisions+tried.Asked < 2*c.within {
				base.Add(c.base(500))
				tried.Add(c.tried(100))
				if got := bounds.Passed(base, tried); got != "" {
					if !strings.HasPrefix(got, c.want) {
						t.Errorf("%s", got)
					}
					return
				}
			}
			t.Errorf("it is not found within %d: %+v, %+v", c.within, base, tried)
		})
	}
}

// evaluations of which each takes as long.
func evaluations(n int, took time.Duration) canary.Counts {
	tally := canary.NewTally(time.Minute)
	for range n {
		tally.Decided(time.Unix(0, 0), canary.Outcome{Took: took})
	}
	return tally.Counts(time.Unix(0, 0))
}

func TestQuantilesAreRightToAFifth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		took := time.Duration(rapid.Int64Range(1, int64(30*time.Second)).Draw(t, "took"))
		c := evaluations(rapid.IntRange(1, 5).Draw(t, "evaluations"), took)
		if got := c.Quantile(0.99); got < took-time.Nanosecond || float64(got) > 1.2*float64(max(took, time.Microsecond)) {
			t.Fatalf("%s is said to be %s", took, got)
		}
	})
}

func TestALoginCountsOnceItsTimeIsOver(t *testing.T) {
	t.Parallel()
	const settle = 60 * time.Second
	begun := time.Unix(1000, 0)
	tally := canary.NewTally(settle)
	offer := canary.Outcome{Asked: true, Login: true, Allowed: true}
	for i := range 3 {
		tally.Decided(begun.Add(time.Duration(i)*time.Second), offer)
	}
	tally.Completed(begun.Add(time.Second), begun.Add(20*time.Second))
	tally.Completed(begun, begun.Add(settle)) // too late
	// Counting settles what is old enough: the moments are asked in their order.
	if got := tally.Counts(begun.Add(settle)); got.Offered != 0 || got.Completed != 0 {
		t.Errorf("while the first may still be completed: %d offered, %d completed", got.Offered, got.Completed)
	}
	if got := tally.Counts(begun.Add(settle + time.Second)); got.Offered != 1 || got.Completed != 0 {
		t.Errorf("once the first has settled: %d offered, %d completed", got.Offered, got.Completed)
	}
	if got := tally.Counts(begun.Add(settle + 10*time.Second)); got.Offered != 3 || got.Completed != 1 || got.Decisions != 3 {
		t.Errorf("%+v", got)
	}
}
