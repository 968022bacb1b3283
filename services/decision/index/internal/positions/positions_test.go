package positions_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/index/internal/positions"
)

// drawn is a set, and what it is to hold.
func drawn(t *rapid.T, label string) (*positions.Set, map[uint16]bool) {
	top := rapid.SampledFrom([]int{8, 100, positions.Span}).Draw(t, label+" up to") - 1
	most := rapid.SampledFrom([]int{0, 3, 2000}).Draw(t, label+" about")
	set, want := &positions.Set{}, map[uint16]bool{}
	for _, place := range rapid.SliceOfN(rapid.Uint16Range(0, uint16(top)), most/2, most).Draw(t, label) {
		set.Add(place)
		want[place] = true
	}
	return set, want
}

func TestSetsAreWhatMapsAre(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, inA := drawn(t, "a")
		b, inB := drawn(t, "b")
		both, left := map[uint16]bool{}, map[uint16]bool{}
		for place := range inA {
			if inB[place] {
				both[place] = true
			} else {
				left[place] = true
			}
		}
		and, without := a.And(b), a.Without(b)
		for name, c := range map[string]struct {
			set  *positions.Set
			want map[uint16]bool
		}{"a": {a, inA}, "and": {&and, both}, "without": {&without, left}} {
			sorted := slices.Sorted(maps.Keys(c.want))
			if got := slices.Collect(c.set.Ascending()); !slices.Equal(got, sorted) || c.set.Len() != len(sorted) {
				t.Fatalf("%s: %d of %v, want %v", name, c.set.Len(), got, sorted)
			}
			slices.Reverse(sorted)
			if got := slices.Collect(c.set.Descending()); !slices.Equal(got, sorted) {
				t.Fatalf("%s backwards: %v, want %v", name, got, sorted)
			}
			back, err := positions.Decode(c.set.Encode())
			if err != nil || !slices.Equal(slices.Collect(back.Descending()), sorted) {
				t.Fatalf("%s, written and read: %v", name, err)
			}
			for _, place := range []uint16{0, 1, 63, 64, positions.Span - 1} {
				if c.set.Has(place) != c.want[place] {
					t.Fatalf("%s has %d: %t", name, place, c.set.Has(place))
				}
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 2, 0})
	f.Add(make([]byte, positions.Span/8))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := positions.Decode(raw)
		if err != nil {
			return
		}
		if again := set.Encode(); !bytes.Equal(again, raw) {
			t.Errorf("%x was read, %x written", raw, again)
		}
	})
}
