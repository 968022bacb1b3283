package inmemory

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
)

func bounded(t testing.TB, most int64, clock func() time.Time) *Memory {
	t.Helper()
	counted, err := entry.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New(time.Hour, most, clock, counted)
}

func some(of entry.Owner) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: of.Project, User: of.User, Type: event.LoginError, CreatedMs: 1_764_000_000_000}
}

// fillTo makes an entry whole that takes about so many bytes.
func (m *Memory) fillTo(t testing.TB, user ident.UserID, bytes int) {
	t.Helper()
	e := some(entry.Of("pro-1", user))
	e.Process = strings.Repeat("x", max(0, bytes-perEntry-perEvent))
	nothing := func() ([]event.Event, error) { return nil, nil }
	if _, err := m.Fill(t.Context(), entry.Shelf{Owner: entry.OwnerOf(&e)}, 0, []event.Event{e}, nothing); err != nil {
		t.Fatal(err)
	}
}

func (m *Memory) users() (there []ident.UserID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at := range m.all {
		there = append(there, at.User)
	}
	slices.Sort(there)
	return there
}

func TestAFullMemoryKeepsWhatWasAskedForLast(t *testing.T) {
	t.Parallel()
	const half = Least/2 - 1000
	now := time.Now()
	m := bounded(t, Least, func() time.Time { return now })
	for _, step := range []struct {
		name string
		do   func()
		want []ident.UserID
	}{
		{"two have room", func() { m.fillTo(t, "a", half/2); m.fillTo(t, "b", half) }, []ident.UserID{"a", "b"}},
		{"the one that was written first goes", func() { m.fillTo(t, "c", half) }, []ident.UserID{"b", "c"}},
		{
			"one that was read stays", func() {
				if _, _, err := m.History(t.Context(), entry.Of("pro-1", "b"), 0, ""); err != nil {
					t.Fatal(err)
				}
				m.fillTo(t, "d", half/2)
			}, []ident.UserID{"b", "d"},
		},
		{
			"what was removed makes room", func() {
				if err := m.Remove(t.Context(), entry.Of("pro-1", "b"), true); err != nil {
					t.Fatal(err)
				}
				m.fillTo(t, "a", half)
			}, []ident.UserID{"a", "d"},
		},
		{"one alone may take more", func() { m.fillTo(t, "c", 2*Least) }, []ident.UserID{"c"}},
		{"it goes for the next", func() { m.fillTo(t, "d", 1) }, []ident.UserID{"d"}},
		{"what has expired goes", func() { now = now.Add(m.ttl); m.fillTo(t, "e", 1) }, []ident.UserID{"e"}},
	} {
		step.do()
		if got := m.users(); !slices.Equal(got, step.want) {
			t.Fatalf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestPropertyWhatIsTakenIsWhatThereIs writes, reads, removes and lets expire, in any order.
func TestPropertyWhatIsTakenIsWhatThereIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		const most = 5 * (perEntry + perEvent)
		now := time.Now()
		m := bounded(t, most, func() time.Time { return now })
		user := rapid.SampledFrom([]ident.UserID{"a", "b", "c", "d", "e", "f"})
		r.Repeat(map[string]func(*rapid.T){
			"fill": func(r *rapid.T) { m.fillTo(t, user.Draw(r, "user"), rapid.IntRange(0, 3*perEvent).Draw(r, "bytes")) },
			"add": func(r *rapid.T) {
				e := some(entry.Of("pro-1", user.Draw(r, "user")))
				if err := m.Add(t.Context(), &e, nil); err != nil {
					r.Fatal(err)
				}
			},
			"offer": func(r *rapid.T) {
				e := some(entry.Of("pro-1", user.Draw(r, "user")))
				if _, err := m.AddOffer(t.Context(), &e); err != nil {
					r.Fatal(err)
				}
			},
			"read": func(r *rapid.T) {
				if _, _, err := m.History(t.Context(), entry.Of("pro-1", user.Draw(r, "user")), 0, ""); err != nil {
					r.Fatal(err)
				}
			},
			"remove": func(r *rapid.T) {
				if err := m.Remove(t.Context(), entry.Of("pro-1", user.Draw(r, "user")), rapid.Bool().Draw(r, "offers too")); err != nil {
					r.Fatal(err)
				}
			},
			"wait": func(*rapid.T) { now = now.Add(m.ttl / 3) },
			"": func(r *rapid.T) {
				var sum int64
				for at, element := range m.all {
					k := element.Value.(*kept)
					if sum += k.bytes; k.at != at {
						r.Fatalf("%v lies where %v is", k.at, at)
					}
				}
				if sum != m.taken || (sum > most && len(m.all) > 1) || len(m.all) != m.order.Len() {
					r.Fatalf("%d of %d are taken by %d in an order of %d; it says %d", sum, most, len(m.all), m.order.Len(), m.taken)
				}
			},
		})
	})
}

// TestTheBoundIsWhatTheHeapGrowsBy fills the memory several times over. It is alone, since it measures what all tests allocate.
func TestTheBoundIsWhatTheHeapGrowsBy(t *testing.T) { //nolint:paralleltest // see above
	const most = 8 << 20
	for _, events := range []int{1, 10, 100} {
		m := bounded(t, most, time.Now)
		before := heap()
		for user := range 3 * most / (events * perEvent) {
			of := entry.Of("pro-1", ident.UserID(fmt.Sprintf("usr-%020d", user)))
			all := make([]event.Event, events)
			for k := range all {
				all[k] = event.Event{
					ID: ident.NewEventID(), Project: ident.ProjectID(strings.Clone("pro-1")), User: ident.UserID(strings.Clone(string(of.User))),
					Type: event.Type(strings.Clone(string(event.LoginError))), CreatedMs: int64(k),
					Environment: ident.EnvironmentID(fmt.Sprintf("env-%020d", k)), Process: fmt.Sprintf("prc-%020d", k),
					Ceremony: ident.ChallengeID(fmt.Sprintf("was-%020d", k)), Challenge: strings.Repeat("x", 43),
				}
			}
			if _, err := m.Fill(t.Context(), entry.Shelf{Owner: of}, 0, all, func() ([]event.Event, error) { return nil, nil }); err != nil {
				t.Fatal(err)
			}
			read, _, err := m.History(t.Context(), of, 0, "")
			if err != nil {
				t.Fatal(err)
			}
			read.Events.Tally() // what is worked out with the first question stays
		}
		taken := heap() - before
		t.Logf("%d events a user: the heap grew by %.2f of the bound", events, float64(taken)/most)
		if taken > most*5/4 {
			t.Errorf("%d events a user: the heap grew by %d, and the bound is %d", events, taken, most)
		}
		runtime.KeepAlive(m)
	}
}

// heap returns what is in use of it.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what a pool had kept goes with the second
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
