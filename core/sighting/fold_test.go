package sighting

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.UnixMilli(1_764_000_000_000)

// model counts by the words of the package, one question after the other.
func model(members []Sighting, c Counter, now time.Time) int {
	byContent := map[[MemberSize]byte]Sighting{}
	for _, m := range members {
		byContent[m.Member()] = m
	}
	var all [][MemberSize]byte
	for content := range byContent {
		all = append(all, content)
	}
	slices.SortFunc(all, func(a, b [MemberSize]byte) int { return cmp.Compare(string(b[:]), string(a[:])) })
	all = all[:min(len(all), Cap)]
	gone, oldest := map[uint64]bool{}, map[uint64]Sighting{}
	for _, content := range all {
		m := byContent[content]
		if m.TakenBack {
			gone[m.Event] = true
		} else {
			oldest[m.Event] = m
		}
	}
	distinct := map[uint64]bool{}
	for event, m := range oldest {
		age := now.UnixMilli() - m.Ms
		switch {
		case gone[event], age >= c.Window.Milliseconds(), !c.Of.Has(m.Type), int(m.Key) != c.By.Number:
		case c.Credential != 0 && c.Credential != m.Credential:
		case c.Count == Users && m.User != 0:
			distinct[m.User] = true
		case c.Count == Environments && m.Environment != 0:
			distinct[uint64(m.Environment)] = true
		case c.Count == Networks && m.Network != 0:
			distinct[uint64(m.Network)] = true
		case c.Count == Events:
			distinct[m.Event] = true
		}
	}
	return len(distinct)
}

const window = 1000 // ms

func drawn(r *rand.Rand) []Sighting {
	all := make([]Sighting, r.IntN(2*Cap))
	for i := range all {
		all[i] = Sighting{
			Ms: noon.UnixMilli() - window + 1 - r.Int64N(3), Type: []Type{LoginRefused, LoginUnknown, CodeWrong}[r.IntN(3)],
			TakenBack: r.IntN(8) == 0, Event: 1 + r.Uint64N(60), User: r.Uint64N(5), Environment: r.Uint32N(4), Network: r.Uint32N(3),
			Credential: r.Uint32N(3), Key: uint8(r.IntN(2)),
		}
		if r.IntN(3) == 0 {
			all[i].Ms += r.Int64N(2 * window)
		}
	}
	return slices.Concat(all, all[:len(all)/3]) // as they come again
}

func TestASetCountsAsItsWordsSay(t *testing.T) {
	t.Parallel()
	const sets = 10_000
	r := rand.New(rand.NewPCG(1, 2))
	for range sets {
		members := drawn(r)
		c := Counter{
			Count: Counted(Counteds()[r.IntN(4)]), Of: TypesOf(LoginRefused, CodeWrong), Window: window * time.Millisecond,
			Credential: r.Uint32N(2), By: Version{Number: r.IntN(2)},
		}
		want := model(members, c, noon)
		r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		if got := NewSet(members).Count(c, noon); got != want {
			t.Fatalf("%d, want %d of %v in %v", got, want, c, members)
		}
	}
}

// TestPropertyItIsNeverTooHighAndExactBelowTheCap compares with what happened, each event having been told of once or more.
func TestPropertyItIsNeverTooHighAndExactBelowTheCap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 2*Cap).Draw(r, "events")
		var members []Sighting
		users := map[uint64]bool{}
		events := 0
		for i := range n {
			// A clock may be ahead, by decades.
			age := rapid.OneOf(rapid.Int64Range(-1, 2*window), rapid.Int64Range(-1<<40, -1)).Draw(r, "age")
			m := Sighting{Ms: noon.UnixMilli() - age, Type: LoginRefused, Event: uint64(i + 1), User: 1 + rapid.Uint64Range(0, 9).Draw(r, "user")}
			members = append(members, m)
			if rapid.Bool().Draw(r, "again") {
				members = append(members, m)
			}
			if age < window {
				users[m.User], events = true, events+1
			}
		}
		set := NewSet(members)
		of := Counter{Of: TypesOf(LoginRefused), Window: window * time.Millisecond}
		for what, truth := range map[Counted]int{Events: events, Users: len(users)} {
			of.Count = what
			got := set.Count(of, noon)
			if got > truth || (n <= Cap && got != truth) || (what == Events && got != min(truth, Cap)) {
				r.Fatalf("%s: %d, and there were %d", what, got, truth)
			}
		}
	})
}

func BenchmarkFold(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	four := drawn(r)[:4]
	of := Counter{Count: Users, Of: TypesOf(LoginRefused), Window: time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		NewSet(four).Count(of, noon)
	}
}
