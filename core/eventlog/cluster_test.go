//go:build !race

// Three servers in the tests' own process would be watched for races of their own, which takes all of a machine. What is tested is what the
// log does when they lose a leader; that it does it without races is what the tests of one server show.

package eventlog

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/clustertest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func TestOnAClusterAppendsShareBatchesAndNoAcknowledgedOneIsLostWithTheLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	servers, address := clustertest.Start(t)
	config := bus.DefaultConfig()
	config.URL, config.Replicas, config.StartTimeout = address, 3, time.Minute
	b, err := bus.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	log, err := NewLog(t.Context(), b.JS)
	if err != nil {
		t.Fatal(err)
	}
	if !log.replicated {
		t.Fatal("the stream has one replica")
	}

	events := someOf(3 * minTogether)
	for i, o := range appendAll(t, log, events) {
		if o.err != nil || o.Duplicate {
			t.Errorf("event %d: duplicate %v, %v", i, o.Duplicate, o.err)
		}
	}
	again := append(someOf(minTogether), events[0])
	for i, o := range appendAll(t, log, again) {
		if o.err != nil || o.Duplicate != (i == minTogether) {
			t.Errorf("event %d of the second batch: duplicate %v, %v", i, o.Duplicate, o.err)
		}
	}

	// The leader goes away under load.
	stream, err := b.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	leader := stream.CachedInfo().Cluster.Leader
	var mu sync.Mutex
	acknowledged := make(map[ident.EventID]bool)
	var appending sync.WaitGroup
	const before, after = 200, 400
	halfway := make(chan struct{})
	for k := range 2 * minTogether {
		user := ident.UserID("usr-" + strconv.Itoa(k+1))
		appending.Go(func() {
			for {
				e := some(user)
				_, err := log.Append(t.Context(), e)
				mu.Lock()
				if err == nil {
					acknowledged[e.ID] = true
				}
				count := len(acknowledged)
				mu.Unlock()
				if err == nil && count == before {
					close(halfway)
				}
				if count >= after || t.Context().Err() != nil {
					return
				}
			}
		})
	}
	<-halfway
	for _, s := range servers {
		if s.Name() == leader {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	// One that comes while there is no leader goes through as soon as there is.
	lone, gone := some("usr-1"), time.Now()
	for try := 1; ; try++ {
		_, err := log.Append(t.Context(), lone)
		if err == nil {
			t.Logf("appended %s after the leader had gone, with call %d", time.Since(gone), try)
			break
		}
		if since := time.Since(gone); since < batchLimit || since > time.Minute {
			t.Fatalf("an append was given up %s after the leader had gone: %v", since, err)
		}
	}
	again = append(again, lone)
	appending.Wait()

	batched := false
	messages := logged(t, b.JS)
	for _, e := range append(events, again...) {
		acknowledged[e.ID] = true
	}
	for id := range acknowledged {
		if len(messages[id]) != 1 {
			t.Errorf("%s was acknowledged and is stored %d times", id, len(messages[id]))
			continue
		}
		batched = batched || messages[id][0].Header.Get(jetstreamext.BatchIDHeader) != ""
	}
	if !batched {
		t.Error("nothing was stored as a batch")
	}
}

func TestOfManyCallsOnAClusterOneEndsACeremonyThoughTheLeaderChanges(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	servers, address := clustertest.Start(t)
	config := bus.DefaultConfig()
	config.URL, config.Replicas, config.StartTimeout = address, 3, time.Minute
	var logs []*Log
	var js jetstream.JetStream
	for range 2 {
		b, err := bus.Open(t.Context(), config, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		log, err := NewLog(t.Context(), b.JS)
		if err != nil {
			t.Fatal(err)
		}
		logs, js = append(logs, log), b.JS
	}
	// Others write beside them, as they do.
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	defer writing.Wait()
	defer stop()
	for k := range 4 {
		writing.Go(func() {
			for ctx.Err() == nil {
				_, _ = logs[k%2].Append(ctx, some(ident.UserID("usr-"+strconv.Itoa(k+1))))
			}
		})
	}
	const users, calls = 4, 60
	var contesting sync.WaitGroup
	for u := range users {
		user := ident.UserID("usr-" + strconv.Itoa(u+1))
		contesting.Go(func() {
			if won := contested(t, logs, user, calls, nil); won != 1 {
				t.Errorf("%s: %d calls ended one ceremony", user, won)
			}
		})
	}
	stream := answered(t, func() (jetstream.Stream, error) { return js.Stream(t.Context(), bus.EventsStream) })
	leader := stream.CachedInfo().Cluster.Leader
	for _, s := range servers {
		if s.Name() == leader {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	contesting.Wait()
	stop()
	writing.Wait()
	for u := range users {
		user := ident.UserID("usr-" + strconv.Itoa(u+1))
		if found := answered(t, func() (Recent, error) {
			return logs[0].Recent(t.Context(), "pro-1", user, Span{Latest: true}, event.LoginCompleted)
		}); len(found.Events) != 1 {
			t.Errorf("%s: %d events end one ceremony", user, len(found.Events))
		}
	}
}
