package inmemory

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
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

func (m *Memory) mustRead(t testing.TB, user ident.UserID) (event.Reading, entry.Trust) {
	t.Helper()
	read, result, err := m.History(t.Context(), entry.Of("pro-1", user), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	return read, result
}

func (m *Memory) mustAdd(t testing.TB, e event.Event) {
	t.Helper()
	if err := m.Add(t.Context(), &e, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAFullMemoryKeepsWhatWasAskedForLast(t *testing.T) {
	t.Parallel()
	const part = Least / entry.Shares
	now := time.Now()
	m := bounded(t, Least, func() time.Time { return now })
	for _, step := range []struct {
		name string
		do   func()
		want string // users of one letter
	}{
		{
			"fifteen have room", func() {
				for _, user := range "abcdefghijklmno" {
					m.fillTo(t, ident.UserID(user), part)
				}
			}, "abcdefghijklmno",
		},
		{"the one that was written first goes", func() { m.fillTo(t, "p", part) }, "bcdefghijklmnop"},
		{"one that was read stays", func() { m.mustRead(t, "b"); m.fillTo(t, "q", part) }, "bdefghijklmnopq"},
		{
			"what was removed makes room", func() {
				if err := m.Remove(t.Context(), entry.Of("pro-1", "b"), true); err != nil {
					t.Fatal(err)
				}
				m.fillTo(t, "a", part)
			}, "adefghijklmnopq",
		},
		{"of one that is too large only that is kept", func() { m.fillTo(t, "x", 2*Least) }, "adefghijklmnopqx"},
		{"it may become small", func() { m.fillTo(t, "x", part/2) }, "adefghijklmnopqx"},
		{"what has expired goes", func() { now = now.Add(m.ttl); m.fillTo(t, "e", 1) }, "e"},
	} {
		step.do()
		var got strings.Builder
		for _, user := range m.users() {
			got.WriteString(string(user))
		}
		if got.String() != step.want {
			t.Fatalf("%s: %s, want %s", step.name, &got, step.want)
		}
	}
}

// TestAHistoryBeyondItsShareCostsOthersNothing lets one account's history become too large, at once and event by event.
func TestAHistoryBeyondItsShareCostsOthersNothing(t *testing.T) {
	t.Parallel()
	const others = 100
	large := entry.Of("pro-1", "large")
	many := make([]event.Event, 10_000)
	for i := range many {
		many[i] = some(large)
	}
	for name, grow := range map[string]func(*testing.T, *Memory){
		"as it is filled": func(t *testing.T, m *Memory) {
			more := func() ([]event.Event, error) { t.Error("the log is read again for what is not kept"); return nil, nil }
			if stamp, err := m.Fill(t.Context(), entry.Shelf{Owner: large}, 0, many, more); stamp != "" || err != nil {
				t.Errorf("stamp %q, %v", stamp, err)
			}
		},
		"by what came while it was filled": func(t *testing.T, m *Memory) {
			more := func() ([]event.Event, error) { return many[1:], nil }
			if stamp, err := m.Fill(t.Context(), entry.Shelf{Owner: large}, 0, many[:1], more); stamp != "" || err != nil {
				t.Errorf("stamp %q, %v", stamp, err)
			}
		},
		"event by event": func(t *testing.T, m *Memory) {
			m.fillTo(t, large.User, 0)
			for i := range many {
				m.mustAdd(t, many[i])
				if read, result := m.mustRead(t, large.User); result == entry.Large {
					return
				} else if read.Events.Len() != i+2 || result != entry.Trusted {
					t.Fatalf("%s with %d events, want %d", result, read.Events.Len(), i+2)
				}
			}
			t.Error("it grows without a bound")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			m := bounded(t, Least, func() time.Time { return now })
			for i := range others {
				m.fillTo(t, ident.UserID(fmt.Sprint(i)), 0)
			}
			grow(t, m)
			drawn, taken := m.drawn, m.taken
			for range 5 {
				m.mustAdd(t, some(large))
				if stamp, err := m.AccountChanged(t.Context(), large); stamp != "" || err != nil {
					t.Errorf("the account has stamp %q, %v", stamp, err)
				}
				if read, result := m.mustRead(t, large.User); result != entry.Large || read.Events.Len() > 0 || read.AccountStamp != "" {
					t.Errorf("%s: %d events, stamp %q", result, read.Events.Len(), read.AccountStamp)
				}
			}
			if m.drawn != drawn || m.taken != taken {
				t.Errorf("%d numbers were drawn and %d bytes taken for what is not kept", m.drawn-drawn, m.taken-taken)
			}
			for i := range others {
				if _, result := m.mustRead(t, ident.UserID(fmt.Sprint(i))); result != entry.Trusted {
					t.Errorf("the entry of user %d is gone: %s", i, result)
				}
			}
			now = now.Add(m.ttl)
			if _, result := m.mustRead(t, large.User); result != entry.Absent {
				t.Errorf("that it was too large is remembered for longer than an entry: %s", result)
			}
		})
	}
}

// TestWritersOfOneUserLoseNothingOfEachOther lets each make the history anew from what it found.
func TestWritersOfOneUserLoseNothingOfEachOther(t *testing.T) {
	t.Parallel()
	const writers, rounds = 8, 40
	of := entry.Of("pro-1", "a")
	m := bounded(t, 64*Least, time.Now)
	m.fillTo(t, of.User, 0)
	first, _ := m.mustRead(t, of.User)
	all := make([]event.Event, writers*rounds)
	var writing sync.WaitGroup
	for n := range writers {
		writing.Go(func() {
			for i := range all[n*rounds : (n+1)*rounds] {
				e := some(of)
				if i%10 == 9 { // each tenth takes the one before away
					e.Type, e.Deletes = event.Deleted, all[n*rounds+i-1].ID
				}
				all[n*rounds+i] = e
				if err := m.Add(t.Context(), &e, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	read, result := m.mustRead(t, of.User)
	want := event.NewSet(append(first.Events.Live(), all...)).Live()
	if result != entry.Trusted || !slices.Equal(read.Events.Live(), want) {
		t.Errorf("%s with %d events, want %d", result, read.Events.Len(), len(want))
	}
}

// TestPropertyAHistoryIsTheSameInWhateverStepsItCame compares what is added one by one with what is made at once.
func TestPropertyAHistoryIsTheSameInWhateverStepsItCame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		ids := rapid.SampledFrom([]ident.EventID{"a", "b", "c", "d", "e"})
		events := rapid.SliceOf(rapid.Custom(func(r *rapid.T) event.Event {
			e := event.Event{ID: ids.Draw(r, "ID"), Type: event.LoginError, CreatedMs: rapid.Int64Range(1, 3).Draw(r, "time")}
			if rapid.Bool().Draw(r, "deletion") {
				e.Type, e.Deletes = event.Deleted, ids.Draw(r, "deletes")
			}
			return e
		})).Draw(r, "events")
		var stepwise history
		for rest := events; len(rest) > 0; {
			n := rapid.IntRange(1, min(2, len(rest))).Draw(r, "together")
			stepwise, rest = stepwise.with(rest[:n]), rest[n:]
			if weighed := weigh(stepwise.events.All()) + weigh(stepwise.deletions); stepwise.bytes != weighed {
				r.Fatalf("it is said to take %d and takes %d", stepwise.bytes, weighed)
			}
		}
		if want := event.NewSet(events).Live(); !slices.Equal(stepwise.events.Live(), want) {
			r.Fatalf("%v, want %v", stepwise.events.Live(), want)
		}
	})
}

// TestPropertyWhatIsTakenIsWhatThereIs writes, reads, removes and lets expire, in any order.
func TestPropertyWhatIsTakenIsWhatThereIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		const most = 3 * entry.Shares * perEvent // so that a history has two events or three
		now := time.Now()
		m := bounded(t, most, func() time.Time { return now })
		user := rapid.SampledFrom([]ident.UserID{"a", "b", "c", "d", "e", "f"})
		r.Repeat(map[string]func(*rapid.T){
			"fill": func(r *rapid.T) { m.fillTo(t, user.Draw(r, "user"), rapid.IntRange(0, 6*perEvent).Draw(r, "bytes")) },
			"add": func(r *rapid.T) {
				e := some(entry.Of("pro-1", user.Draw(r, "user")))
				if read, _ := m.mustRead(t, e.User); read.Events.Len() > 0 && rapid.Bool().Draw(r, "deletion") {
					e.Type, e.Deletes = event.Deleted, read.Events.All()[0].ID
				}
				m.mustAdd(t, e)
			},
			"offer": func(r *rapid.T) {
				e := some(entry.Of("pro-1", user.Draw(r, "user")))
				if _, err := m.AddOffer(t.Context(), &e); err != nil {
					r.Fatal(err)
				}
			},
			"read": func(r *rapid.T) { m.mustRead(t, user.Draw(r, "user")) },
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
					if sum += k.takes; k.at != at {
						r.Fatalf("%v lies where %v is", k.at, at)
					}
					history := weigh(k.events.All()) + weigh(k.deletions)
					if history > m.share || k.takes != perEntry+history+weigh(k.offers) || (k.large && history > 0) {
						r.Fatalf("%v takes %d with a history of %d, and says %d (large: %t)", at, k.takes, history, k.history.bytes, k.large)
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
