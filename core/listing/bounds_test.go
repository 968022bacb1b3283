package listing_test

import (
	"cmp"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/listing"
)

func TestBoundsHoldWhatTheComparisonHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.OneOf(rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}), rapid.Int64())
		term := listing.Term{
			Op:     rapid.SampledFrom([]listing.Op{listing.Equal, listing.Greater, listing.Less}).Draw(t, "op"),
			Number: numbers.Draw(t, "number"), Unit: 1,
		}
		value := numbers.Draw(t, "value")
		compared := cmp.Compare(value, term.Number)
		want := map[listing.Op]bool{listing.Equal: compared == 0, listing.Greater: compared > 0, listing.Less: compared < 0}[term.Op]
		lowest, highest := term.Bounds()
		if got := lowest <= value && value <= highest; got != want {
			t.Fatalf("%d %s %d: got %t", value, term.Op, term.Number, got)
		}
	})
}
