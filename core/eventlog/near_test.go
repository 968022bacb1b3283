package eventlog_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
)

func TestWhatAProcessHasDecodedIsUsedWhileNothingHasChanged(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	first, second := failure("usr-1"), failure("usr-1")
	mustAppend(t, n, first)
	for range 5 { // from the log, from Redis, and then from memory
		expect(t, n, "usr-1", first)
	}
	if got := n.reads(t); got["untrusted"] != 1 || got["hit"] != 1 || got["near"] != 3 {
		t.Errorf("want one read of the log, one of Redis and three from memory: %v", got)
	}
	mustAppend(t, n, second)
	expect(t, n, "usr-1", first, second)
	if got := n.reads(t); got["hit"] != 1 || got["near"] != 4 {
		t.Errorf("what this process appended itself was to be in memory: %v", got)
	}
}

func TestNothingIsKeptWithoutRoom(t *testing.T) {
	t.Parallel()
	config := quick()
	config.Near = 0
	n := install(t).start(config)
	e := failure("usr-1")
	mustAppend(t, n, e)
	for range 3 {
		expect(t, n, "usr-1", e)
	}
	if got := n.reads(t); got["hit"] != 2 || got["near"] != 0 {
		t.Errorf("%v", got)
	}
}

func TestAnEntryTooLargeForTheRoomIsReadFromRedis(t *testing.T) {
	t.Parallel()
	config := quick()
	config.Near = 3
	n := install(t).start(config)
	var all []event.Event
	for range 5 {
		all = append(all, failure("usr-1"))
		mustAppend(t, n, all[len(all)-1])
	}
	for range 4 {
		expect(t, n, "usr-1", all...)
	}
	if got := n.reads(t); got["near"] != 0 {
		t.Errorf("%v", got)
	}
}

// TestWhatAProcessHasDecodedIsNotUsedAfter lets things happen while a reader keeps an entry decoded.
func TestWhatAProcessHasDecodedIsNotUsedAfter(t *testing.T) {
	t.Parallel()
	type scene struct {
		*installation
		reader, other *instance
		first         event.Event
	}
	appended := func(t *testing.T, n *instance) event.Event {
		e := failure("usr-1")
		mustAppend(t, n, e)
		return e
	}
	for name, happens := range map[string]func(*testing.T, *scene) []event.Event{
		"another process appended": func(t *testing.T, s *scene) []event.Event {
			return []event.Event{s.first, appended(t, s.other)}
		},
		"another process appended, then this one": func(t *testing.T, s *scene) []event.Event {
			return []event.Event{s.first, appended(t, s.other), appended(t, s.reader)}
		},
		"this process appended, then another": func(t *testing.T, s *scene) []event.Event {
			return []event.Event{s.first, appended(t, s.reader), appended(t, s.other)}
		},
		"the cache was flushed": func(t *testing.T, s *scene) []event.Event {
			flush(t, s.installation)
			return []event.Event{s.first}
		},
		"another process appended and the cache was flushed": func(t *testing.T, s *scene) []event.Event {
			e := appended(t, s.other)
			flush(t, s.installation)
			return []event.Event{s.first, e}
		},
		"the entry was filled again and reached the same version": func(t *testing.T, s *scene) []event.Event {
			flush(t, s.installation)
			expect(t, s.other, "usr-1", s.first)
			return []event.Event{s.first, appended(t, s.other)}
		},
		"this process appended to an entry filled again, which then had the next version": func(t *testing.T, s *scene) []event.Event {
			flush(t, s.installation)
			expect(t, s.other, "usr-1", s.first)
			return []event.Event{s.first, appended(t, s.other), appended(t, s.reader)}
		},
		"another process deleted": func(t *testing.T, s *scene) []event.Event {
			deletion := failure("usr-1")
			deletion.Type, deletion.Deletes = event.Deleted, s.first.ID
			mustAppend(t, s.other, deletion)
			return nil
		},
		"this process deleted what another appends only then": func(t *testing.T, s *scene) []event.Event {
			late := failure("usr-1")
			deletion := failure("usr-1")
			deletion.Type, deletion.Deletes = event.Deleted, late.ID
			mustAppend(t, s.reader, deletion)
			expect(t, s.reader, "usr-1", s.first)
			mustAppend(t, s.reader, late)
			return []event.Event{s.first}
		},
		"another process erased the user": func(t *testing.T, s *scene) []event.Event {
			if err := s.other.Erase(t.Context(), project, "usr-1"); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"another process appended without Redis": func(t *testing.T, s *scene) []event.Event {
			s.other.cutOff()
			return []event.Event{s.first, appended(t, s.other)}
		},
		"Redis came back with a snapshot": func(t *testing.T, s *scene) []event.Event {
			restarted := snapshot(t, s.installation)
			e := appended(t, s.other)
			s.reader.server.Store(restarted)
			s.reader.cutOff()
			s.reader.cut.Store(false)
			return []event.Event{s.first, e}
		},
		"an events service started": func(t *testing.T, s *scene) []event.Event {
			log, err := eventlog.NewLog(t.Context(), s.bus.JS)
			if err != nil {
				t.Fatal(err)
			}
			lost := failure("usr-1")
			if _, err := log.Append(t.Context(), lost); err != nil {
				t.Fatal(err)
			}
			if err := s.other.DistrustAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			return []event.Event{s.first, lost}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			s := &scene{installation: i, reader: i.start(quick()), other: i.start(quick()), first: failure("usr-1")}
			mustAppend(t, s.other, s.first)
			for range 3 {
				expect(t, s.reader, "usr-1", s.first)
			}
			if got := s.reader.reads(t); got["near"] != 1 {
				t.Fatalf("the reader was to have the entry in memory: %v", got)
			}
			want := happens(t, s)
			for range 3 {
				expect(t, s.reader, "usr-1", want...)
			}
		})
	}
}

func TestWhatIsReadCanBeAddedToWithoutAnybodyElseSeeingIt(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	e := failure("usr-1")
	mustAppend(t, n, e)
	for range 3 {
		got, err := n.Events(t.Context(), project, "usr-1")
		if err != nil || len(got) != 1 || cap(got) != 1 {
			t.Fatalf("%d events in room for %d, %v", len(got), cap(got), err)
		}
	}
}

// accounts is what a ceremony service of the instance keeps accounts in.
func (i *installation) accounts(n *instance) *account.Store {
	i.t.Helper()
	bucket, err := i.bus.Bucket(i.t.Context(), bus.AccountsBucket)
	if err != nil {
		i.t.Fatal(err)
	}
	s, err := account.Open(account.Deps{Bucket: bucket, Changes: n, Metrics: prometheus.NewRegistry()}, 100)
	if err != nil {
		i.t.Fatal(err)
	}
	return s
}

// deciding returns the account that a decision is made on: the ceremony service runs beside accounts, the decision service beside reader.
func deciding(
	ctx context.Context, accounts *account.Store, reader *instance, user ident.UserID,
) (a *account.Account, fromMemory bool, err error) {
	view, err := accounts.View(ctx, project, user)
	if err != nil {
		return nil, false, err
	}
	read, err := reader.Read(ctx, project, user, view.Stamp)
	if err != nil {
		return nil, false, err
	}
	if read.AccountStale {
		if view, err = accounts.Again(ctx, project, user, read.AccountStamp); err != nil {
			return nil, false, err
		}
		if read, err = reader.Read(ctx, project, user, view.Stamp); err != nil {
			return nil, false, err
		}
		if read.AccountStale {
			return nil, false, fmt.Errorf("the account of %s was read just now and is said to be out of date", user)
		}
	}
	accounts.Told(project, user, read.AccountStamp)
	return view.Account, view.Stamp != "", nil
}

func TestAnAccountInMemoryIsUsedWhileItsStampHolds(t *testing.T) {
	t.Parallel()
	i := install(t)
	reader, writer := i.start(quick()), i.start(quick())
	accounts, others := i.accounts(reader), i.accounts(writer)
	if err := others.Create(t.Context(), account.Account{Project: project, ID: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	change := func() {
		if _, err := others.Update(t.Context(), project, "usr-1", func(a *account.Account) error { a.UpdatedMs++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	decide := func(wantUpdated int64, wantMemory bool) {
		t.Helper()
		a, memory, err := deciding(t.Context(), accounts, reader, "usr-1")
		if err != nil || a.UpdatedMs != wantUpdated || memory != wantMemory {
			t.Fatalf("got %+v, from memory %v, %v; want change %d, from memory %v", a, memory, err, wantUpdated, wantMemory)
		}
	}
	decide(0, false) // fills the entry and is told its stamp
	decide(0, false) // reads the account after that
	decide(0, true)
	mustAppend(t, writer, failure("usr-1"))
	decide(0, true) // an event is no change of the account
	change()
	decide(1, false)
	decide(1, true)
	flush(t, i)
	decide(1, false)
	change()
	flush(t, i)
	decide(2, false)
	decide(2, false)
	decide(2, true)
	writer.cutOff()
	change()
	decide(3, false)
	reader.cutOff()
	decide(3, false)
	decide(3, false)
	if err := others.Delete(t.Context(), project, "usr-1"); err != nil {
		t.Fatal(err)
	}
	if a, _, err := deciding(t.Context(), accounts, reader, "usr-1"); err == nil {
		t.Errorf("decided on the deleted %+v", a)
	}
}

// TestEveryReadSeesWhatWasWritten tries sequences of what may happen, on instances of which one may lose Redis.
func TestEveryReadSeesWhatWasWritten(t *testing.T) {
	t.Parallel()
	i := install(t)
	config := quick()
	config.Lease, config.Poll, config.BreakerPause = 5*time.Millisecond, time.Millisecond, time.Millisecond
	instances := []*instance{i.start(config), i.start(config), i.start(config)}
	accounts := make([]*account.Store, len(instances))
	for k, n := range instances {
		accounts[k] = i.accounts(n)
	}
	var users atomic.Int64
	rapid.Check(t, func(r *rapid.T) {
		user := ident.UserID(fmt.Sprintf("usr-%d", users.Add(1)))
		instances[2].cut.Store(false)
		if err := accounts[0].Create(t.Context(), account.Account{Project: project, ID: user}); err != nil {
			r.Fatal(err)
		}
		var all []event.Event
		var changes int64
		which := rapid.IntRange(0, len(instances)-1)
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				e := failure(user)
				if _, err := instances[which.Draw(r, "writer")].Append(t.Context(), e); err != nil {
					r.Fatal(err)
				}
				all = append(all, e)
			},
			"delete": func(r *rapid.T) {
				if len(all) == 0 {
					r.Skip("nothing to delete")
				}
				deletion := failure(user)
				deletion.Type, deletion.Deletes = event.Deleted, rapid.SampledFrom(all).Draw(r, "event").ID
				if _, err := instances[which.Draw(r, "writer")].Append(t.Context(), deletion); err != nil {
					r.Fatal(err)
				}
				all = append(all, deletion)
			},
			"change the account": func(r *rapid.T) {
				store := accounts[which.Draw(r, "writer")]
				if _, err := store.Update(t.Context(), project, user, func(a *account.Account) error { a.UpdatedMs++; return nil }); err != nil {
					r.Fatal(err)
				}
				changes++
			},
			"flush": func(r *rapid.T) {
				if err := i.redis.Client.FlushAll(t.Context()).Err(); err != nil {
					r.Fatal(err)
				}
			},
			"lose the entry": func(r *rapid.T) {
				if err := i.redis.Client.Del(t.Context(), "{"+string(project)+"/"+string(user)+"}:events").Err(); err != nil {
					r.Fatal(err)
				}
			},
			"cut one off": func(*rapid.T) { instances[2].cutOff() },
			"reconnect":   func(*rapid.T) { instances[2].cut.Store(false) },
			"read": func(r *rapid.T) {
				n := instances[which.Draw(r, "reader")]
				got, err := n.Events(t.Context(), project, user)
				if err != nil {
					r.Fatal(err)
				}
				if want, got := ids(all), ids(got); fmt.Sprint(want) != fmt.Sprint(got) {
					r.Fatalf("got %v, want %v", got, want)
				}
			},
			"decide": func(r *rapid.T) {
				a, _, err := deciding(t.Context(), accounts[which.Draw(r, "asker")], instances[which.Draw(r, "decider")], user)
				if err != nil {
					r.Fatal(err)
				}
				if a.UpdatedMs != changes {
					r.Fatalf("decided on the account after %d changes of %d", a.UpdatedMs, changes)
				}
			},
		})
	})
}

// TestADecisionIsMadeOnTheNewestAccountWithConcurrentWritersAndFlushes lets several instances, one of which cannot always reach Redis,
// change one account while entries vanish.
func TestADecisionIsMadeOnTheNewestAccountWithConcurrentWritersAndFlushes(t *testing.T) {
	t.Parallel()
	i := install(t)
	config := quick()
	config.Lease, config.Poll = 100*time.Millisecond, 20*time.Millisecond
	instances := []*instance{i.start(config), i.start(config), i.start(config)}
	accounts := make([]*account.Store, len(instances))
	for k, n := range instances {
		accounts[k] = i.accounts(n)
	}
	if err := accounts[0].Create(t.Context(), account.Account{Project: project, ID: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	const writers, rounds = 4, 30
	var (
		acknowledged, fromMemory atomic.Int64
		work                     sync.WaitGroup
	)
	end := i.disturb(instances[2], 11, 7, 3)
	for w := range writers {
		work.Go(func() {
			for r := range rounds {
				writer := (w + r) % 3
				a, err := accounts[writer].Update(t.Context(), project, "usr-1", func(a *account.Account) error { a.UpdatedMs++; return nil })
				if err != nil {
					t.Error(err)
					return
				}
				for {
					known := acknowledged.Load()
					if known >= a.UpdatedMs || acknowledged.CompareAndSwap(known, a.UpdatedMs) {
						break
					}
				}
				for k := range 4 {
					atLeast := acknowledged.Load()
					a, memory, err := deciding(t.Context(), accounts[(writer+1)%3], instances[(writer+k)%3], "usr-1")
					if err != nil || a.UpdatedMs < atLeast {
						t.Errorf("decided on change %+v although change %d was acknowledged before: %v", a, atLeast, err)
						return
					}
					if memory {
						fromMemory.Add(1)
					}
				}
			}
		})
	}
	work.Wait()
	end()
	if fromMemory.Load() == 0 {
		t.Error("no decision was made on an account in memory")
	}
}
