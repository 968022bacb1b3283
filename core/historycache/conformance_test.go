package historycache

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
)

func jsonOf(e event.Event) ([]byte, error) { return json.Marshal(e) }

// TestAnEntryIsTrustedOnlyIfItIsWhole lets things happen at each point of a fill: before is after the filler has read the log, during after
// it has written the entry.
func TestAnEntryIsTrustedOnlyIfItIsWhole(t *testing.T) {
	t.Parallel()
	at := entry.Shelf{Owner: someone}
	early, late := some(someone), some(someone)
	type scene struct {
		*world
		t    *testing.T
		late []event.Event // what the second read of the log finds
	}
	nothing := func(*scene) {}
	flush := func(s *scene) { s.lose() }
	add := func(s *scene) {
		s.late = []event.Event{late}
		raw, err := jsonOf(late)
		if err != nil {
			s.t.Fatal(err)
		}
		if err := s.two.kept.Add(s.t.Context(), &late, raw); err != nil {
			s.t.Fatal(err)
		}
	}
	other := func(s *scene) {
		if _, err := s.two.kept.Fill(s.t.Context(), at, 7, []event.Event{early}, func() ([]event.Event, error) { return nil, nil }); err != nil {
			s.t.Fatal(err)
		}
	}
	changed := func(s *scene) {
		if _, err := s.two.kept.AccountChanged(s.t.Context(), someone); err != nil {
			s.t.Fatal(err)
		}
	}
	gone := func(s *scene) {
		if err := s.two.kept.Remove(s.t.Context(), someone, true); err != nil {
			s.t.Fatal(err)
		}
	}
	both := []event.Event{early, late}
	for _, c := range []struct {
		name           string
		before, during func(*scene)
		whole          bool
		events         []event.Event
	}{
		{"undisturbed", nothing, nothing, true, both[:1]},
		{"a writer adds before the entry is written", add, nothing, true, both},
		{"a writer adds and the entry vanishes before it is written", func(s *scene) { add(s); flush(s) }, nothing, true, both},
		{"a writer adds while it is filled", nothing, add, true, both},
		{"the account changes while it is filled", nothing, changed, true, both[:1]},
		{"the entry vanishes while it is filled", nothing, flush, false, nil},
		{"the entry is removed while it is filled", nothing, gone, false, nil},
		{"a writer adds and the entry vanishes while it is filled", nothing, func(s *scene) { add(s); flush(s) }, false, nil},
		{"the entry vanishes and the account changes while it is filled", nothing, func(s *scene) { flush(s); changed(s) }, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inEachShape(t, func(t *testing.T, w *world) {
				s := &scene{world: w, t: t}
				c.before(s)
				stamp, err := w.one.kept.Fill(t.Context(), at, 7, []event.Event{early}, func() ([]event.Event, error) {
					c.during(s)
					if _, result, err := w.two.kept.History(t.Context(), someone, 7, ""); err != nil || result == entry.Trusted {
						t.Errorf("it is trusted before it is whole: %s, %v", result, err)
					}
					return s.late, nil
				})
				if err != nil || (stamp != "") != c.whole {
					t.Fatalf("stamp %q, %v", stamp, err)
				}
				for _, keeper := range []keeper{w.one.kept, w.two.kept} {
					got, result, err := keeper.History(t.Context(), someone, 7, "")
					if err != nil || (result == entry.Trusted) != c.whole || got.AccountStamp != stamp {
						t.Fatalf("%s, stamp %q for %q, %v", result, got.AccountStamp, stamp, err)
					}
					if diff := cmp.Diff(event.NewSet(c.events).Live(), got.Events.Live(), cmpopts.EquateEmpty()); diff != "" {
						t.Error(diff)
					}
					if _, result, _ := keeper.History(t.Context(), someone, 8, ""); result == entry.Trusted {
						t.Error("it is trusted under another epoch")
					}
				}
			})
		})
	}
	t.Run("another filler is faster", func(t *testing.T) {
		t.Parallel()
		inEachShape(t, func(t *testing.T, w *world) {
			s := &scene{world: w, t: t}
			_, err := w.one.kept.Fill(t.Context(), at, 7, nil, func() ([]event.Event, error) {
				other(s)
				return []event.Event{late}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, result, err := w.two.kept.History(t.Context(), someone, 7, "")
			_, found := got.Events.Find(early.ID)
			if err != nil || result == entry.Trusted && !found {
				t.Errorf("%s with %v, %v: it lacks what the other filler found", result, got.Events.All(), err)
			}
		})
	})
}

func TestWhatWasAddedIsReadAfterwards(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(t *testing.T, w *world, first event.Event) []event.Event{
		"it was added": func(t *testing.T, w *world, first event.Event) []event.Event {
			return []event.Event{first, w.mustAdd(t, w.one, some(someone))}
		},
		"it was added elsewhere, then here": func(t *testing.T, w *world, first event.Event) []event.Event {
			return []event.Event{first, w.mustAdd(t, w.two, some(someone)), w.mustAdd(t, w.one, some(someone))}
		},
		"it was added and the entry was lost": func(t *testing.T, w *world, first event.Event) []event.Event {
			second := w.mustAdd(t, w.two, some(someone))
			w.lose(someone)
			return []event.Event{first, second}
		},
		"the entry was lost and it was added": func(t *testing.T, w *world, first event.Event) []event.Event {
			w.lose(someone)
			return []event.Event{first, w.mustAdd(t, w.two, some(someone))}
		},
		"the entry was lost, filled again, and it was added": func(t *testing.T, w *world, first event.Event) []event.Event {
			w.lose()
			w.mustRead(t, w.two, "")
			return []event.Event{first, w.mustAdd(t, w.two, some(someone))}
		},
		"the first was deleted": func(t *testing.T, w *world, first event.Event) []event.Event {
			w.mustAdd(t, w.two, deletionOf(first))
			return nil
		},
		"one was deleted before it was added": func(t *testing.T, w *world, first event.Event) []event.Event {
			late := some(someone)
			w.mustAdd(t, w.one, deletionOf(late))
			w.mustRead(t, w.one, "")
			w.mustAdd(t, w.one, late)
			return []event.Event{first}
		},
		"one was deleted, and the entry filled, before it was added": func(t *testing.T, w *world, first event.Event) []event.Event {
			late := some(someone)
			w.mustAdd(t, w.two, deletionOf(late))
			w.lose(someone)
			w.known(t, w.two)
			w.mustAdd(t, w.two, late)
			return []event.Event{first, w.mustAdd(t, w.two, some(someone))}
		},
		"nobody knows whether it was stored": func(t *testing.T, w *world, first event.Event) []event.Event {
			second := some(someone)
			w.append(w.events, second)
			w.two.Uncertain(t.Context(), someone.Project, someone.User)
			return []event.Event{first, second}
		},
		"it was there already": func(t *testing.T, w *world, first event.Event) []event.Event {
			second := some(someone)
			w.append(w.events, second)
			if err := w.two.Remove(t.Context(), someone.Project, someone.User); err != nil {
				t.Fatal(err)
			}
			return []event.Event{first, second}
		},
		"its writer died, and an events service started": func(t *testing.T, w *world, first event.Event) []event.Event {
			second := some(someone)
			w.append(w.events, second)
			if err := w.two.DistrustAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			return []event.Event{first, second}
		},
		"the user was erased": func(t *testing.T, w *world, _ event.Event) []event.Event {
			w.erase(someone)
			if err := w.two.AccountGone(t.Context(), someone.Project, someone.User); err != nil {
				t.Fatal(err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachShape(t, func(t *testing.T, w *world) {
				first := w.mustAdd(t, w.two, some(someone))
				if got := w.known(t, w.one); got.Events.Len() != 1 {
					t.Fatalf("%d events", got.Events.Len())
				}
				want := event.NewSet(happens(t, w, first)).Live()
				for _, c := range []*Cache{w.one, w.two, w.one} {
					if diff := cmp.Diff(want, w.mustRead(t, c, "").Events.Live(), cmpopts.EquateEmpty()); diff != "" {
						t.Error(diff)
					}
				}
				if diff := cmp.Diff(want, w.known(t, w.one).Events.Live(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("from memory: %s", diff)
				}
			})
		})
	}
}

func TestAStampHoldsUntilTheAccountChanges(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(t *testing.T, w *world) (holds bool){
		"nothing":                func(*testing.T, *world) bool { return true },
		"an event was added":     func(t *testing.T, w *world) bool { w.mustAdd(t, w.two, some(someone)); return true },
		"an event was deleted":   func(t *testing.T, w *world) bool { w.mustAdd(t, w.two, deletionOf(some(someone))); return true },
		"the entry was lost":     func(_ *testing.T, w *world) bool { w.lose(someone); return false },
		"it was lost and filled": func(t *testing.T, w *world) bool { w.lose(); w.known(t, w.two); return false },
		"it changed": func(t *testing.T, w *world) bool {
			stamp, err := w.two.AccountChanged(t.Context(), someone.Project, someone.User)
			if err != nil {
				t.Fatal(err)
			}
			if read := w.mustRead(t, w.one, stamp); read.AccountStale {
				t.Errorf("the stamp that the change was told does not hold: %+v", read)
			}
			return false
		},
		"it may have changed": func(t *testing.T, w *world) bool {
			w.two.AccountUncertain(t.Context(), someone.Project, someone.User)
			return false
		},
		"it is gone": func(t *testing.T, w *world) bool {
			if err := w.two.AccountGone(t.Context(), someone.Project, someone.User); err != nil {
				t.Fatal(err)
			}
			return false
		},
		"everything is distrusted": func(t *testing.T, w *world) bool {
			if err := w.two.DistrustAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachShape(t, func(t *testing.T, w *world) {
				w.mustAdd(t, w.two, some(someone))
				stamp := w.known(t, w.one).AccountStamp
				if stamp == "" {
					t.Fatal("there is no stamp")
				}
				holds := happens(t, w)
				read := w.mustRead(t, w.one, stamp)
				if read.AccountStale == holds || !holds && read.AccountStamp == stamp {
					t.Errorf("%+v", read)
				}
				alone := w.one == w.two
				if vouched := w.one.AccountVouched(t.Context(), someone.Project, someone.User, stamp); vouched != (holds && alone) {
					t.Errorf("vouched for without asking: %t", vouched)
				}
				used := w.one.AccountUsed(t.Context(), someone.Project, someone.User, stamp)
				if (used != "") != (holds && alone) || used == stamp {
					t.Errorf("a login makes of stamp %q %q", stamp, used)
				}
				if used != "" {
					if late := w.one.AccountUsed(t.Context(), someone.Project, someone.User, stamp); late != "" {
						t.Errorf("another login, with the stamp of before, got %q", late)
					}
					stamp = used
				}
				if again := w.known(t, w.one); (again.AccountStamp == stamp) != holds {
					t.Errorf("afterwards the stamp is %q, and was %q", again.AccountStamp, stamp)
				}
			})
		})
	}
}

func TestWhatSomebodyGotIsNotChangedByWhatIsAdded(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		first := w.mustAdd(t, w.one, some(someone))
		got := w.known(t, w.one).Events.All()
		w.mustAdd(t, w.one, some(someone))
		if diff := cmp.Diff([]event.Event{first}, got); diff != "" || cap(got) != 1 {
			t.Errorf("room for %d, %s", cap(got), diff)
		}
	})
}

func TestOffersAreKnownNewestFirstAndBounded(t *testing.T) {
	t.Parallel()
	for _, read := range []int{0, 1, 10, 100} { // how many there are when somebody reads for the first time
		t.Run(fmt.Sprint(read), func(t *testing.T) {
			t.Parallel()
			inEachShape(t, func(t *testing.T, w *world) {
				var all []ident.EventID
				for k := range 3*RecentOffers + 1 {
					if k == read {
						offersOf(t, w.two)
					}
					e := some(someone)
					e.Type, e.CreatedMs = event.LoginOffered, e.CreatedMs+int64(k)
					if err := w.offer(t.Context(), []*Cache{w.one, w.two}[k%2], e); err != nil {
						t.Fatal(err)
					}
					all = append([]ident.EventID{e.ID}, all...)
				}
				for _, c := range []*Cache{w.one, w.two} {
					if diff := cmp.Diff(all[:RecentOffers], offersOf(t, c)); diff != "" {
						t.Error(diff)
					}
				}
				if w.asked() > 2 {
					t.Errorf("the log was read %d times", w.asked())
				}
				w.erase(someone)
				if err := w.one.AccountGone(t.Context(), someone.Project, someone.User); err != nil {
					t.Fatal(err)
				}
				if got := offersOf(t, w.two); len(got) != 0 {
					t.Errorf("%d offers of somebody who was erased", len(got))
				}
			})
		})
	}
}

func offersOf(t *testing.T, c *Cache) []ident.EventID {
	t.Helper()
	offers, err := c.Offers(t.Context(), someone.Project, someone.User)
	if err != nil {
		t.Fatal(err)
	}
	ids := []ident.EventID{}
	for _, o := range offers {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestOffersWithATextAreAmongThoseThatAreFoundByIt(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		const odd = `a "process" with <odd> letters \ ü`
		e := some(someone)
		e.Type, e.Process = event.LoginOffered, odd
		offersOf(t, w.one)
		if err := w.offer(t.Context(), w.two, e); err != nil {
			t.Fatal(err)
		}
		got, err := w.one.Offers(t.Context(), someone.Project, someone.User, "", odd)
		if diff := cmp.Diff([]event.Event{e}, got); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
	})
}

func TestAnEntryExpires(t *testing.T) {
	t.Parallel()
	for name, open := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := DefaultConfig()
			config.TTL = time.Second
			client, lose := open(t)
			w := newWorld(t, config, client, lose)
			w.known(t, w.one)
			lost := some(someone)
			w.append(w.events, lost) // its writer died before it could tell
			for deadline := time.Now().Add(time.Minute); w.mustRead(t, w.one, "").Events.Len() == 0; {
				if time.Now().After(deadline) {
					t.Fatal("it is trusted however old it is")
				}
			}
		})
	}
}

// TestPropertyWhatIsReadIsWhatTheLogHolds does anything in any order.
func TestPropertyWhatIsReadIsWhatTheLogHolds(t *testing.T) {
	t.Parallel()
	t.Run("with room", func(t *testing.T) {
		t.Parallel()
		inEachShape(t, func(t *testing.T, w *world) { readsWhatTheLogHolds(t, w, "") })
	})
	t.Run("with room for a few events", func(t *testing.T) {
		t.Parallel()
		config, text := small()
		inEachShapeOf(t, config, func(t *testing.T, w *world) {
			if w.one == w.two {
				readsWhatTheLogHolds(t, w, text)
				return
			}
			readsWhatTheLogHolds(t, w, "") // beside Redis events are counted
		})
	})
}

// readsWhatTheLogHolds adds events with a text.
func readsWhatTheLogHolds(t *testing.T, w *world, text string) {
	t.Helper()
	users := 0
	rapid.Check(t, func(r *rapid.T) {
		users++
		of := entry.Of("pro-1", ident.UserID(fmt.Sprintf("usr-%d", users)))
		cache := rapid.SampledFrom([]*Cache{w.one, w.two})
		var all []event.Event
		var version, stampOf int // of the account; the version that the stamp was told with
		var stamp string
		r.Repeat(map[string]func(*rapid.T){
			"add": func(r *rapid.T) {
				e := some(of)
				e.Process = text
				all = append(all, e)
				if err := w.add(t.Context(), cache.Draw(r, "writer"), e); err != nil {
					r.Fatal(err)
				}
			},
			"delete": func(r *rapid.T) {
				if len(all) == 0 {
					r.Skip("nothing to delete")
				}
				e := deletionOf(rapid.SampledFrom(all).Draw(r, "event"))
				all = append(all, e)
				if err := w.add(t.Context(), cache.Draw(r, "writer"), e); err != nil {
					r.Fatal(err)
				}
			},
			"change the account": func(r *rapid.T) {
				version++
				if _, err := cache.Draw(r, "writer").AccountChanged(t.Context(), of.Project, of.User); err != nil {
					r.Fatal(err)
				}
			},
			"lose":     func(*rapid.T) { w.lose(of) },
			"lose all": func(*rapid.T) { w.lose() },
			"read": func(r *rapid.T) {
				read, err := cache.Draw(r, "reader").Read(t.Context(), of.Project, of.User, stamp)
				if err != nil {
					r.Fatal(err)
				}
				if read.AccountStale {
					stamp, stampOf = read.AccountStamp, version
					return
				}
				if stamp != "" && stampOf != version {
					r.Fatalf("an account of version %d is vouched for, and there is %d", stampOf, version)
				}
				stamp, stampOf = read.AccountStamp, version
				if diff := cmp.Diff(event.NewSet(all).Live(), read.Events.Live(), cmpopts.EquateEmpty()); diff != "" {
					r.Fatal(diff)
				}
			},
		})
	})
}

// TestAHistoryBeyondItsShareIsReadFromWhereItIs compares it with what others have.
func TestAHistoryBeyondItsShareIsReadFromWhereItIs(t *testing.T) {
	t.Parallel()
	config, text := small()
	w := newWorld(t, config, nil, nil)
	const others, events = 10, 20
	read := func(user ident.UserID, stamp string) event.Reading {
		got, err := w.one.Read(t.Context(), someone.Project, user, stamp)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	other := func(i int) ident.UserID { return ident.UserID(fmt.Sprintf("usr-other-%d", i)) }
	stamps := make([]string, others)
	for i := range others {
		stamps[i] = read(other(i), "").AccountStamp
	}
	stamp, grown := w.known(t, w.one).AccountStamp, 0
	for n := range events {
		e := some(someone)
		e.Process = text
		w.mustAdd(t, w.one, e)
		if got := read(someone.User, stamp); got.AccountStale {
			stamp = "" // none vouches for the account any more
			grown++
		}
		before := w.asked()
		got := read(someone.User, stamp)
		if got.Events.Len() != n+1 || (stamp == "" && got.AccountStamp != "") {
			t.Fatalf("%d events, want %d, and stamp %q", got.Events.Len(), n+1, got.AccountStamp)
		}
		if reads := w.asked() - before; (stamp == "") != (reads == 1) {
			t.Errorf("with stamp %q the log is read %d times", stamp, reads)
		}
	}
	if grown != 1 {
		t.Errorf("it became too large %d times", grown)
	}
	before := w.asked()
	for i := range others {
		if got := read(other(i), stamps[i]); got.AccountStale || got.AccountStamp != stamps[i] {
			t.Errorf("the stamp of another user does not hold: %+v", got)
		}
	}
	if reads := w.asked() - before; reads != 0 {
		t.Errorf("the log is read %d times for others", reads)
	}
}

// TestReadYourWritesWithConcurrentWritersFillersAndLosses lets each writer look for what it has written, while entries vanish.
func TestReadYourWritesWithConcurrentWritersFillersAndLosses(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		const writers, rounds = 4, 200
		ctx, stop := context.WithCancel(t.Context())
		var losing, writing sync.WaitGroup
		losing.Go(func() {
			ticker := time.NewTicker(time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					w.lose()
				}
			}
		})
		for n := range writers {
			writing.Go(func() {
				var mine []ident.EventID
				for k := range rounds {
					e := some(entry.Of("pro-1", ident.UserID(fmt.Sprintf("usr-%d", 1+n%2)))) // two write to each
					caches := []*Cache{w.one, w.two}
					if err := w.add(t.Context(), caches[k%2], e); err != nil {
						t.Error(err)
						return
					}
					mine = append(mine, e.ID)
					read, err := caches[(k+1)%2].Read(t.Context(), e.Project, e.User, "")
					if err != nil {
						t.Error(err)
						return
					}
					for _, id := range mine {
						if _, is := read.Events.Find(id); !is {
							t.Errorf("round %d: what was written before is not there", k)
							return
						}
					}
				}
			})
		}
		writing.Wait()
		stop()
		losing.Wait()
	})
}
