package inmemory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/inmemory"
	"github.com/keyward/keyward/core/sighting"
)

// Whatever goes for want of room: who is told that nothing is missing counts all that there was, and of the newest that is said.
func TestPropertyWhatIsDroppedForWantOfRoomIsSaidToBeMissing(t *testing.T) {
	t.Parallel()
	const project, second = "pro-1", int64(1000)
	now := time.UnixMilli(1_764_000_000_000)
	all := func(context.Context, sighting.Kinds, func(context.Context, ...entry.Sighted) error) (sighting.Since, error) {
		return sighting.Since{}, nil
	}
	wanted := entry.Settled{Generations: entry.Generations{1, 1, 1, 1, 1, 1, 1, 1}}
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.Int64Range(1, 20).Draw(t, "room") * 500
		sets := inmemory.NewSets(room, func() time.Time { return now }, func() sighting.Kinds { return sighting.EveryKind })
		if err := sets.Rebuild(t.Context(), 1, &wanted, all); err != nil {
			t.Fatal(err)
		}
		key := func(n int) sighting.Key {
			return sighting.Key{Project: project, Subject: sighting.Address, Token: fmt.Sprint("a", n), Family: sighting.Bad}
		}
		happened := map[int][]int64{}
		events := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int64 {
			return [2]int64{rapid.Int64Range(0, 7).Draw(t, "address"), rapid.Int64Range(1, 3000).Draw(t, "age")}
		}), 1, 60).Draw(t, "events")
		for i, e := range events {
			ms := now.UnixMilli() - e[1]*second
			happened[int(e[0])] = append(happened[int(e[0])], ms)
			one := sighting.Sighting{Ms: ms, Type: sighting.LoginRefused, Event: uint64(i + 1), User: uint64(i + 1)}
			seen := entry.Sighted{Sighting: one, Project: project, Keys: []sighting.Key{key(int(e[0]))}}
			if err := sets.See(t.Context(), time.Hour, true, seen); err != nil {
				t.Fatal(err)
			}
		}
		window := time.Duration(rapid.Int64Range(1, 3600).Draw(t, "window")) * time.Second
		of := sighting.Counter{Count: sighting.Events, Of: sighting.TypesOf(sighting.LoginRefused), Window: window}
		said := 0
		for n := range 8 {
			l := entry.NewLooked(project, []sighting.Key{key(n)}, 1, wanted.Generations)
			if err := sets.Look(t.Context(), l); err != nil {
				t.Fatal(err)
			}
			there, want := l.Seen.Sets[0].Count(of, now), 0
			for _, ms := range happened[n] {
				if ms > now.Add(-window).UnixMilli() {
					want++
				}
			}
			if complete := l.Seen.Since.Covers(of.Of, window, now); there > want || complete && there < want {
				t.Fatalf("%d of %d are counted, complete %t", there, want, complete)
			} else if complete {
				said++
			}
		}
		if room >= 60*(112+300) && said == 0 {
			t.Fatal("nothing was dropped, and it is not said to be complete")
		}
	})
}
