package share_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/index/internal/share"
)

// choose takes seconds of as many decisions of each group, and returns how many of each group of the last second were chosen.
func choose(c *share.Chooser, seconds int64, many [share.Groups]int) (chosen [share.Groups]int) {
	for second := range seconds {
		chosen = [share.Groups]int{}
		for g, n := range many {
			for i := range n {
				if c.Choose(1000+second, share.Group(g), fmt.Sprintf("dec-%d-%d-%d", second, g, i)) {
					chosen[g]++
				}
			}
		}
	}
	return chosen
}

func TestWhatMattersIsTakenFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate int
		many [share.Groups]int
		want [share.Groups]int // about
	}{
		"all, without a rate":                   {0, [3]int{100, 3000, 5000}, [3]int{100, 3000, 5000}},
		"all, where there are few":              {1000, [3]int{100, 300, 500}, [3]int{100, 300, 500}},
		"a share of those about nobody":         {1000, [3]int{100, 500, 2000}, [3]int{100, 500, 400}},
		"a share of those about users":          {1000, [3]int{100, 3000, 2000}, [3]int{100, 900, 0}},
		"a share of those that were doubted":    {1000, [3]int{5000, 3000, 2000}, [3]int{1000, 0, 0}},
		"nobody's where users fill it":          {1000, [3]int{0, 1000, 2000}, [3]int{0, 1000, 0}},
		"nobody's where there is nobody before": {1000, [3]int{0, 0, 2000}, [3]int{0, 0, 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := choose(&share.Chooser{Rate: c.rate}, 3, c.many)
			for g := range got {
				if off := got[g] - c.want[g]; off*off > c.want[g]*c.want[g]/100+25 {
					t.Errorf("group %d: %d, want about %d", g, got[g], c.want[g])
				}
			}
		})
	}
}

func TestNoSecondTakesMoreThanTwiceTheRate(t *testing.T) {
	t.Parallel()
	c := &share.Chooser{Rate: 100}
	if got := choose(c, 1, [3]int{1000, 1000, 0}); got[0]+got[1] != 200 {
		t.Errorf("%v of the first second", got)
	}
}

func TestInstancesThatBeganAtOtherPlacesChooseTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		early, late := &share.Chooser{Rate: 5}, &share.Chooser{Rate: 5}
		second := int64(100)
		began := rapid.Int64Range(100, 110).Draw(t, "the late one begins with")
		for i := range 300 {
			second += int64(rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 5}).Draw(t, "later"))
			group := share.Group(rapid.IntRange(0, share.Groups-1).Draw(t, "group"))
			id := fmt.Sprint("dec-", i)
			a, b := early.Choose(second, group, id), false
			if second >= began {
				b = late.Choose(second, group, id)
			}
			if second > began+1 && a != b {
				t.Fatalf("decision %d of second %d: %t and %t", i, second, a, b)
			}
		}
	})
}
