package eventlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/redistest"
	"github.com/keyward/keyward/core/sighting"
)

const (
	benchUsers  = 100
	benchEvents = 20
)

// BenchmarkEvents reads the histories of 100 users with 20 events each, by one caller and by 32.
func BenchmarkEvents(b *testing.B) {
	for _, server := range []string{"redis", "memory"} {
		w := open(b, server)
		for _, callers := range []int{1, 32} {
			run := func(name string, store func(testing.TB) *eventlog.Store, before func()) {
				b.Run(fmt.Sprintf("%s/%s/callers=%d", server, name, callers), func(b *testing.B) {
					s := store(b)
					readAll(b, s)
					var next atomic.Int64
					var work sync.WaitGroup
					b.ReportAllocs()
					b.ResetTimer()
					for range callers {
						work.Go(func() {
							for {
								k := next.Add(1)
								if k > int64(b.N) {
									return
								}
								if before != nil {
									before()
								}
								if events, err := s.Events(b.Context(), project, benchUser(k%benchUsers)); err != nil || len(events) != benchEvents {
									b.Errorf("%d events, %v", len(events), err)
									return
								}
							}
						})
					}
					work.Wait()
				})
			}
			run("hit", w.store, nil)
			if w.redis != nil {
				run("miss", w.store, func() { _ = w.redis.Client.FlushAll(b.Context()) })
			}
		}
	}
}

func benchUser(k int64) ident.UserID { return ident.UserID(fmt.Sprintf("usr-%d", k+1)) }

type benchWorld struct {
	bus   *bus.Bus
	redis *cache.Cache // nil = the memory of the process takes its place
}

func open(b *testing.B, server string) *benchWorld {
	b.Helper()
	w := &benchWorld{bus: opened(b)}
	if server == "redis" {
		w.serveRedis(b)
	}
	s := w.store(b)
	for user := range int64(benchUsers) {
		for k := range benchEvents {
			e := event.Event{
				ID:          ident.NewEventID(),
				Project:     project,
				User:        benchUser(user),
				Type:        event.LoginError,
				CreatedMs:   int64(1_764_000_000_000 + k),
				Environment: "env-1234567890",
				Process:     "prc-1234567890",
				Ceremony:    "was-1234567890",
				Challenge:   "Y2hhbGxlbmdlLW9mLTMyLWJ5dGVzLWxlbmd0aC1oZXJl",
				Route:       event.Local,
			}
			if _, err := s.Append(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
	}
	return w
}

func opened(b *testing.B) *bus.Bus {
	b.Helper()
	config := bus.DefaultConfig()
	config.DataDir = b.TempDir()
	opened, err := bus.Open(b.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(opened.Close)
	return opened
}

func (w *benchWorld) serveRedis(b *testing.B) {
	b.Helper()
	config := cache.DefaultConfig()
	config.URL = redistest.Serve(b)
	var err error
	if w.redis, err = cache.Open(config); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.redis.Close() })
}

func (w *benchWorld) store(tb testing.TB) *eventlog.Store {
	tb.Helper()
	epochs, err := w.bus.Bucket(tb.Context(), bus.EpochsBucket)
	if err != nil {
		tb.Fatal(err)
	}
	deps := eventlog.Deps{
		JetStream: w.bus.JS,
		Epochs:    epochs,
		Metrics:   prometheus.NewRegistry(),
		Clock:     time.Now,
		Log:       slog.New(slog.DiscardHandler),
	}
	if w.redis != nil {
		deps.Redis = w.redis.Client
	}
	s, err := eventlog.Open(tb.Context(), deps, historycache.DefaultConfig())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func readAll(b *testing.B, s *eventlog.Store) {
	b.Helper()
	for range 2 {
		for user := range int64(benchUsers) {
			if _, err := s.Events(b.Context(), project, benchUser(user)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRebuild finds again what was seen, of 100,000 failed logins of a week: in Redis, after it has lost all of it, and in the memory
// of a process that starts.
func BenchmarkRebuild(b *testing.B) {
	const failures, users, addresses = 100_000, 20_000, 5_000
	named := sighting.NewNamer(make([]byte, sighting.KeySize), sighting.Version{})
	w := &benchWorld{bus: opened(b)}
	now, sent := time.Now(), 0
	for k := range failures {
		user := benchUser(int64(k) % users)
		address := fmt.Sprintf("198.18.%d.%d", k%addresses/250, 1+k%addresses%250)
		environment := ident.EnvironmentID(fmt.Sprint("env-", k%users))
		e := event.Event{
			ID: ident.NewEventID(), Project: project, User: user, Type: event.LoginRefused, Environment: environment, Process: "prc-1234567890",
			Ceremony: "was-1234567890", CreatedMs: now.Add(time.Duration(k-failures) * 6 * time.Second).UnixMilli(),
			Sighted: named.Name(string(user), environment, address),
		}
		msg, err := cloudevent.Message(b.Context(), bus.EventsPrefix, &event.Offer{Event: e})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.bus.JS.PublishMsgAsync(msg); err != nil {
			b.Fatal(err)
		}
		if sent++; sent%200 == 0 {
			<-w.bus.JS.PublishAsyncComplete()
		}
	}
	<-w.bus.JS.PublishAsyncComplete()
	for _, server := range []string{"redis", "memory"} {
		b.Run(server, func(b *testing.B) {
			if server == "redis" {
				w.serveRedis(b)
			} else {
				w.redis = nil
			}
			for range b.N {
				if w.redis != nil {
					_ = w.redis.Client.FlushAll(b.Context())
				}
				s := w.store(b)
				s.Want(sighting.EveryKind)
				ctx, stop := context.WithCancel(b.Context())
				var running sync.WaitGroup
				running.Go(func() { s.Run(ctx) })
				looks := time.NewTicker(10 * time.Millisecond)
				for complete := false; !complete; <-looks.C {
					keys := sighting.Keys(project, named.Name("", "", "198.18.0.1"), sighting.Bad)
					read, err := s.ReadWith(b.Context(), project, "", "", keys[:1])
					if err != nil {
						b.Fatal(err)
					}
					complete = read.Since.Covers(sighting.TypesOf(sighting.LoginRefused), time.Hour, time.Now())
				}
				looks.Stop()
				stop()
				running.Wait()
			}
			b.ReportMetric(failures*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
