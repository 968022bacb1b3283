package release_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/release"
)

func TestStepsOfWhatIsTried(t *testing.T) {
	t.Parallel()
	live := release.Change{Number: 4, Revision: 2, Digest: "two"}
	third := release.Revision{Number: 3, Digest: "three"}
	trying, err := live.BeginCanary(third, canary.Division{Share: 500}, canary.DefaultBounds(), 1)
	if err != nil || trying.Revision != 2 || trying.Canary.Revision != 3 || trying.Canary.Change != 5 {
		t.Fatalf("%+v, %v", trying, err)
	}
	trying.Number = 5
	held, err := trying.HoldCanary()
	if err != nil || !held.Canary.Held || trying.Canary.Held {
		t.Fatalf("%+v, %v", held, err)
	}
	for name, c := range map[string]struct {
		step func() (release.Change, error)
		want error
	}{
		"no canary before anything is live": {func() (release.Change, error) {
			return release.Change{}.BeginCanary(third, canary.Division{}, canary.Bounds{}, 1)
		}, release.ErrNoneLive},
		"one canary at a time": {func() (release.Change, error) {
			return trying.BeginCanary(third, canary.Division{}, canary.Bounds{}, 1)
		}, release.ErrCanary},
		"no canary of what is live": {func() (release.Change, error) {
			return live.BeginCanary(release.Revision{Number: 2}, canary.Division{}, canary.Bounds{}, 1)
		}, release.ErrLive},
		"no shadow of what is live": {func() (release.Change, error) {
			return live.BeginShadow(release.Revision{Number: 2}, 1, 1)
		}, release.ErrLive},
		"no smaller share":                {func() (release.Change, error) { return trying.RaiseCanary(499) }, release.ErrShrinks},
		"nothing to raise":                {func() (release.Change, error) { return live.RaiseCanary(1) }, release.ErrNoCanary},
		"nothing to hold":                 {live.HoldCanary, release.ErrNoCanary},
		"nothing to promote":              {live.Promote, release.ErrNoCanary},
		"nothing to end":                  {func() (release.Change, error) { return live.EndCanary(release.CanaryEnded) }, release.ErrNoCanary},
		"no promotion of what is held":    {held.Promote, release.ErrHeld},
		"no end of a shadow that is none": {live.EndShadow, release.ErrNoShadow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := c.step(); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	raised, err := held.RaiseCanary(500)
	if err != nil || raised.Canary.Held {
		t.Errorf("it is held still: %+v, %v", raised.Canary, err)
	}
	promoted, err := raised.Promote()
	if err != nil || promoted.Revision != 3 || promoted.Digest != "three" || promoted.Canary != nil {
		t.Errorf("%+v, %v", promoted, err)
	}
}

func TestWhateverIsDoneWhatIsLiveIsNotTriedBesideItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := release.Change{Number: 1, Revision: 1}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			r := release.Revision{Number: rapid.IntRange(1, 4).Draw(t, "revision")}
			share := rapid.IntRange(1, canary.Whole).Draw(t, "share")
			next, err := rapid.SampledFrom([]func() (release.Change, error){
				func() (release.Change, error) { return c.BeginShadow(r, share, 1) },
				func() (release.Change, error) {
					return c.BeginCanary(r, canary.Division{Share: share}, canary.Bounds{}, 1)
				},
				func() (release.Change, error) { return c.RaiseCanary(share) },
				func() (release.Change, error) { return c.EndCanary(release.CanaryReturned) },
				func() (release.Change, error) { return c.GoLive(r, release.Activation), nil },
				c.EndShadow, c.HoldCanary, c.Promote,
			}).Draw(t, "step")()
			if err != nil {
				continue
			}
			next.Number = c.Number + 1
			if s := next.Shadow; s != nil && s.Revision == next.Revision {
				t.Fatalf("the shadow is what is live: %+v", next)
			}
			if k := next.Canary; k != nil && (k.Revision == next.Revision || k.Change > next.Number) {
				t.Fatalf("the canary is what is live: %+v", next)
			}
			if (next.Kind == release.Activation || next.Kind == release.Promotion) && next.Canary != nil {
				t.Fatalf("a canary outlives what it was held against: %+v", next)
			}
			c = next
		}
	})
}
