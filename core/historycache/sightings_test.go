package historycache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/redistest"
	"github.com/keyward/keyward/core/sighting"
)

var named = sighting.NewNamer(make([]byte, sighting.KeySize), sighting.Version{})

// refused is a login that was refused just now, from an address.
func refused(user ident.UserID, address string) event.Event {
	e := some(entry.Of(someone.Project, user))
	e.Type, e.CreatedMs, e.Environment = event.LoginRefused, time.Now().UnixMilli(), "env-1"
	e.Sighted = named.Name(string(user), e.Environment, address)
	return e
}

const office = "203.0.113.10"

// asOf are the sets that a decision about someone at an address reads.
func asOf(address string) []sighting.Key {
	all := sighting.Keys(someone.Project, named.Name("", "env-1", address), sighting.Bad)
	return append([]sighting.Key{sighting.OfUser(someone.Project, someone.User, sighting.Bad), {}}, all...)
}

// everything is a counter of what happened within an hour.
func everything(what sighting.Counted) sighting.Counter {
	return sighting.Counter{Count: what, Of: sighting.TypesOf(sighting.LoginRefused, sighting.LoginUnknown), Window: time.Hour}
}

func (w *world) mustSee(t *testing.T, c *Cache, user ident.UserID, address string) sighting.Reading {
	t.Helper()
	read, err := c.ReadWith(t.Context(), someone.Project, user, "", asOf(address))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func complete(r *sighting.Reading) bool {
	return r.Since.Covers(sighting.TypesOf(sighting.LoginRefused), time.Hour, time.Now())
}

// whole waits until nothing is missing.
func (w *world) whole(t *testing.T, c *Cache) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if read := w.mustSee(t, c, someone.User, office); complete(&read) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("sets do not become whole")
		}
	}
}

func TestWhatWasSeenIsCountedWhereItConcernsSomebody(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		w.whole(t, w.two)
		for i := range 3 {
			w.mustAdd(t, w.one, refused(ident.UserID(fmt.Sprint("usr-", i+1)), office))
		}
		w.mustAdd(t, w.one, refused("usr-9", "198.51.100.1"))
		w.one.SeeUnknown(event.Event{
			ID: "x", Project: someone.Project, CreatedMs: time.Now().UnixMilli(), Sighted: named.Name("nobody", "", office),
		})
		for deadline := time.Now().Add(time.Minute); ; {
			read := w.mustSee(t, w.two, someone.User, office)
			user, address, network, environment := read.Sets[0], read.Sets[2], read.Sets[3], read.Sets[4]
			if address.Count(everything(sighting.Users), time.Now()) < 4 && time.Now().Before(deadline) {
				continue // names of nobody are written behind
			}
			if !complete(&read) || read.Events.Len() != 1 || user.Len() != 1 || address.Len() != 4 || network.Len() != 4 || environment.Len() != 4 {
				t.Fatalf("%d events; user %d, address %d, network %d, environment %d; complete %t",
					read.Events.Len(), user.Len(), address.Len(), network.Len(), environment.Len(), complete(&read))
			}
			break
		}
		if read := w.mustSee(t, w.two, "", office); read.Sets[2].Len() != 4 || !complete(&read) {
			t.Errorf("of no user: %d", read.Sets[2].Len())
		}
	})
}

func TestTotalsOfAProjectAreToldWithinASecondOrTwo(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		w.whole(t, w.two)
		for i := range 5 {
			w.mustAdd(t, w.one, refused(ident.UserID(fmt.Sprint("usr-", i+1)), office))
		}
		of := sighting.Tally{Of: sighting.TypesOf(sighting.LoginRefused), Window: 10 * time.Minute, Bucket: time.Minute}
		for deadline := time.Now().Add(time.Minute); ; {
			read := w.mustSee(t, w.two, someone.User, office)
			if n := read.Totals.Count(of, time.Now()); n == 5 {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("%d are told of", n)
			}
		}
	})
}

func TestNamesOfNobodyThatFindNoRoomAreCountedAndMissed(t *testing.T) {
	t.Parallel()
	const over = 3
	// Nothing runs that would take them up.
	c, err := New(Deps{Metrics: prometheus.NewRegistry(), Clock: time.Now, Logger: slog.New(slog.DiscardHandler)}, DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for i := range seenQueue + over {
		c.SeeUnknown(event.Event{
			ID: ident.EventID(fmt.Sprint("x", i)), Project: someone.Project, CreatedMs: time.Now().UnixMilli(),
			Sighted: named.Name(fmt.Sprint("nobody", i), "", office),
		})
	}
	if n := testutil.ToFloat64(c.metrics.LostSightings); n != over {
		t.Errorf("%v are counted as lost of %d", n, over)
	}
	if c.seen.lostMs.Load() == 0 {
		t.Error("nothing is said to be missing")
	}
}

// TestNothingIsSaidToBeCompleteThatIsNot loses what Redis has, again and again, while events come and are counted. Whoever reads counts
// what had been acknowledged before, or is told that something may be missing; and in the end all is there.
func TestNothingIsSaidToBeCompleteThatIsNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(context.Context, redis.UniversalClient)
		told *regexp.Regexp // what Redis says of itself afterwards
	}{
		"Redis is flushed": {
			func(ctx context.Context, c redis.UniversalClient) { _ = c.FlushAll(ctx).Err() }, regexp.MustCompile("cmdstat_flushall:"),
		},
		// It keeps nothing on disk, so that it comes back empty.
		"Redis is restarted": {
			func(ctx context.Context, c redis.UniversalClient) { _ = c.Do(ctx, "debug", "restart").Err() },
			regexp.MustCompile("uptime_in_seconds:[0-5]\r"),
		},
		"Redis evicts": {evict, regexp.MustCompile("evicted_keys:[1-9]")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, err := cache.Open(cache.Config{URL: redistest.Serve(t), Timeout: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = opened.Close() })
			w := newWorld(t, DefaultConfig(), opened.Client, nil)
			w.whole(t, w.one)
			w.losing(t, func(ctx context.Context) { c.lose(ctx, opened.Client) })
			if info := opened.Client.Info(t.Context(), "everything").Val(); !c.told.MatchString(info) {
				t.Errorf("nothing was lost: %s", info)
			}
		})
	}
}

// evict makes Redis evict all that it has, for want of memory, but for what is written meanwhile.
func evict(ctx context.Context, c redis.UniversalClient) {
	_ = c.ConfigSet(ctx, "maxmemory-policy", "allkeys-random").Err()
	_ = c.ConfigSet(ctx, "maxmemory", "1").Err()
	_ = c.Set(ctx, "junk", "x", time.Second).Err() // makes room first, and finds none
	_ = c.ConfigSet(ctx, "maxmemory", "0").Err()
}

// losing has events counted while Redis loses what it has every now and then.
func (w *world) losing(t *testing.T, all func(context.Context)) {
	t.Helper()
	const events = 40 // as many as a set holds would be 64
	done := make(chan struct{})
	var losing sync.WaitGroup
	losing.Go(func() {
		ticker := time.NewTicker(1500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				all(context.Background())
			}
		}
	})
	said := 0
	slowly := time.NewTicker(100 * time.Millisecond) // over more than two losses
	defer slowly.Stop()
	for i := range events {
		<-slowly.C
		w.mustAdd(t, w.one, refused(ident.UserID(fmt.Sprint("usr-", i+1)), office))
		for range 20 {
			read := w.mustSee(t, w.two, someone.User, office)
			if !complete(&read) {
				continue
			}
			said++
			if n := read.Sets[2].Count(everything(sighting.Users), time.Now()); n < i+1 {
				t.Fatalf("%d of %d, and it is said to be complete", n, i+1)
			}
		}
	}
	close(done)
	losing.Wait()
	w.whole(t, w.two)
	read := w.mustSee(t, w.two, someone.User, office)
	if n := read.Sets[2].Count(everything(sighting.Users), time.Now()); n != events {
		t.Errorf("%d of %d are there in the end", n, events)
	}
	if said == 0 {
		t.Error("it was never said to be complete")
	}
}

// TestWhatAWriterCouldNotAddIsFoundInTheLog lets a writer die between the log and Redis, and an events service start after it.
func TestWhatAWriterCouldNotAddIsFoundInTheLog(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		w.whole(t, w.one)
		w.append(w.events, refused(someone.User, office))
		if err := w.two.DistrustAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if read := w.mustSee(t, w.one, someone.User, office); complete(&read) && read.Sets[2].Len() != 1 {
			t.Error("it is said to be complete before it has been found")
		}
		w.whole(t, w.one)
		if read := w.mustSee(t, w.one, someone.User, office); read.Sets[0].Len() != 1 || read.Sets[2].Len() != 1 {
			t.Errorf("user %d, address %d", read.Sets[0].Len(), read.Sets[2].Len())
		}
	})
}

func TestNothingIsLeftOfWhoeverIsForgotten(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		w.whole(t, w.one)
		w.whole(t, w.two) // what it reads of the log, which keeps the event here, would be there again
		e := w.mustAdd(t, w.one, refused(someone.User, office))
		w.mustAdd(t, w.one, refused("usr-2", office))
		w.one.Forget(t.Context(), someone.Project, someone.User, []event.Event{e})
		read := w.mustSee(t, w.two, someone.User, office)
		if read.Sets[0].Len() != 0 || read.Sets[2].Len() != 1 || read.Sets[4].Len() != 1 {
			t.Errorf("user %d, address %d, environment %d", read.Sets[0].Len(), read.Sets[2].Len(), read.Sets[4].Len())
		}
		if w.client != nil {
			noTokens(t, w.client, e.Sighted)
		}
	})
}

// TestARebuildBringsNobodyBack erases somebody whose event a rebuild has read and not added yet.
func TestARebuildBringsNobodyBack(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(*world) *Cache{
		"whom one instance forgets": func(w *world) *Cache { return w.one }, "whom another forgets": func(w *world) *Cache { return w.two },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachShape(t, func(t *testing.T, w *world) {
				w.whole(t, w.one)
				e := w.mustAdd(t, w.one, refused(someone.User, office))
				reading, goOn := w.holdSeen()
				defer goOn()
				if err := w.one.DistrustAll(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-reading
				by(w).Forget(t.Context(), someone.Project, someone.User, []event.Event{e})
				w.erase(someone)
				by(w).Forget(t.Context(), someone.Project, someone.User, []event.Event{e})
				goOn()
				w.whole(t, w.two)
				for deadline := time.Now().Add(time.Minute); ; {
					read := w.mustSee(t, w.two, someone.User, office)
					if read.Sets[0].Len() == 0 && read.Sets[2].Len() == 0 {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("user %d, address %d", read.Sets[0].Len(), read.Sets[2].Len())
					}
					<-time.After(20 * time.Millisecond)
				}
				if w.client != nil {
					noTokens(t, w.client, e.Sighted)
				}
			})
		})
	}
}

// cut is a Redis that can be out of reach.
type cut struct{ off atomic.Bool }

var errCut = errors.New("out of reach")

func (c *cut) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cut) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.off.Load() {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (c *cut) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.off.Load() {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		return next(ctx, cmds)
	}
}

func TestWhoeverIsForgottenWhileRedisIsAwayIsRemovedOnceItIsBack(t *testing.T) {
	t.Parallel()
	c, err := cache.Open(cache.Config{URL: redistest.Serve(t), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	w := newWorld(t, DefaultConfig(), c.Client, nil)
	w.whole(t, w.one)
	e := w.mustAdd(t, w.one, refused(someone.User, office))
	away := &cut{}
	c.Client.AddHook(away)
	away.off.Store(true)
	w.erase(someone)
	w.one.Forget(t.Context(), someone.Project, someone.User, []event.Event{e})
	away.off.Store(false)
	for deadline := time.Now().Add(time.Minute); ; {
		read := w.mustSee(t, w.two, someone.User, office)
		if read.Sets[0].Len() == 0 && read.Sets[2].Len() == 0 && complete(&read) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("user %d, address %d", read.Sets[0].Len(), read.Sets[2].Len())
		}
		<-time.After(20 * time.Millisecond)
	}
	noTokens(t, c.Client, e.Sighted)
}

// noTokens scans all that Redis has.
func noTokens(t *testing.T, client redis.UniversalClient, of *event.Sighted) {
	t.Helper()
	member := (sighting.New(sighting.LoginRefused, &event.Event{Sighted: of})).Member()
	token := string(member[14:20]) // of the user
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		dumped, err := client.Dump(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(dumped, token) || strings.HasPrefix(key, "{pro-1/usr-1}:b") {
			t.Errorf("%s has the token of somebody who is forgotten", key)
		}
	}
}

// counted counts what is sent to Redis.
type counted struct {
	mu sync.Mutex
	n  int
}

func (c *counted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.sent(ctx); return next(ctx, cmd) }
}

func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.sent(ctx); return next(ctx, cmds) }
}

type mine struct{}

func (c *counted) sent(ctx context.Context) {
	if ctx.Value(mine{}) == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func TestSetsAreReadInTheRoundTripOfTheHistory(t *testing.T) {
	t.Parallel()
	c, err := cache.Open(cache.Config{URL: redistest.Serve(t), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	w := newWorld(t, DefaultConfig(), c.Client, nil)
	w.mustAdd(t, w.one, refused(someone.User, office))
	w.whole(t, w.one)
	w.known(t, w.one)
	sent := &counted{}
	c.Client.AddHook(sent)
	ctx := context.WithValue(t.Context(), mine{}, true)
	for range 10 {
		if _, err := w.one.ReadWith(ctx, someone.Project, someone.User, "", asOf(office)); err != nil {
			t.Fatal(err)
		}
	}
	if sent.n != 10 {
		t.Errorf("10 reads take %d round trips", sent.n)
	}
}

func TestNamesOfNobodyAreMissingSinceTheyCouldBeTakenUp(t *testing.T) {
	t.Parallel()
	began := time.Now().UnixMilli()
	sinceItBegan := func(since, looked int64) bool { return since >= began && since <= looked }
	for name, c := range map[string]struct {
		first int64
		since func(since, looked int64) bool
	}{
		"an installation that is new": {began + time.Hour.Milliseconds(), func(since, _ int64) bool { return since == 0 }},
		"one that was there before":   {began - time.Hour.Milliseconds(), sinceItBegan},
		"one whose beginning is gone": {0, sinceItBegan},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldOf(t, DefaultConfig(), nil, nil, func(l *memoryLog) {
				l.first = c.first
				l.append(l.events, refused(someone.User, office))
			})
			w.whole(t, w.one)
			read := w.mustSee(t, w.one, someone.User, office)
			if !c.since(read.Since.Unknown, time.Now().UnixMilli()) {
				t.Errorf("missing before %d, and it began at %d", read.Since.Unknown, began)
			}
		})
	}
}

func TestDoubtsThatGoOnDoNotKeepSetsFromBeingLookedAfter(t *testing.T) {
	t.Parallel()
	inEachShape(t, func(t *testing.T, w *world) {
		done := make(chan struct{})
		var doubting sync.WaitGroup
		doubting.Go(func() {
			often := time.NewTicker(time.Millisecond)
			defer often.Stop()
			for {
				select {
				case <-done:
					return
				case <-often.C:
					w.one.seen.doubt()
					w.two.seen.doubt()
				}
			}
		})
		defer doubting.Wait()
		defer close(done)
		w.whole(t, w.two)
	})
}
