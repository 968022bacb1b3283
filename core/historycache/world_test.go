package historycache

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/inmemory"
	"github.com/keyward/keyward/core/historycache/internal/inredis"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/redistest"
	"github.com/keyward/keyward/core/sighting"
)

// shapes are what can keep entries. What this suite says holds of each.
var shapes = map[string]func(testing.TB) (redis.UniversalClient, func(...entry.Owner)){
	"the memory of one process": func(testing.TB) (redis.UniversalClient, func(...entry.Owner)) { return nil, nil },
	"a Redis": func(tb testing.TB) (redis.UniversalClient, func(...entry.Owner)) {
		tb.Helper()
		c, err := cache.Open(cache.Config{URL: redistest.Serve(tb), Timeout: time.Minute})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = c.Close() })
		return c.Client, func(gone ...entry.Owner) {
			if gone == nil {
				if err := c.Client.FlushAll(context.Background()).Err(); err != nil {
					tb.Error(err)
				}
			}
			for _, of := range gone {
				keys := []string{inredis.Key(entry.Shelf{Owner: of}), inredis.Key(entry.Shelf{Owner: of, Offers: true})}
				if err := c.Client.Del(context.Background(), keys...).Err(); err != nil {
					tb.Error(err)
				}
			}
		}
	},
}

// inEachShape runs a test once for each shape.
func inEachShape(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	inEachShapeOf(t, DefaultConfig(), run)
}

// small returns a config with which a few events are too many for a user, in memory if they are as long as text.
func small() (config Config, text string) {
	const few = 4
	config = DefaultConfig()
	config.Memory, config.Near = inmemory.Least, few*entry.Shares
	return config, strings.Repeat("x", inmemory.Least/entry.Shares/few)
}

func inEachShapeOf(t *testing.T, config Config, run func(t *testing.T, w *world)) {
	t.Helper()
	for name, open := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, lose := open(t)
			run(t, newWorld(t, config, client, lose))
		})
	}
}

// world is a log with two caches of it, as two instances have them; in memory there is one process alone, so both are the same.
type world struct {
	*memoryLog
	one, two *Cache
	lose     func(...entry.Owner) // loses the entries of users, or of all
	client   redis.UniversalClient
}

func newWorld(tb testing.TB, config Config, client redis.UniversalClient, lose func(...entry.Owner)) *world {
	tb.Helper()
	return newWorldOf(tb, config, client, lose, func(*memoryLog) {})
}

// newWorldOf is newWorld with a log that holds something before anybody asks.
func newWorldOf(tb testing.TB, config Config, client redis.UniversalClient, lose func(...entry.Owner), fill func(*memoryLog)) *world {
	tb.Helper()
	settings := bus.DefaultConfig()
	settings.DataDir = tb.TempDir()
	b, err := bus.Open(tb.Context(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	epochs, err := b.Bucket(tb.Context(), bus.EpochsBucket)
	if err != nil {
		tb.Fatal(err)
	}
	log := &memoryLog{events: map[entry.Owner][]event.Event{}, offers: map[entry.Owner][]event.Event{}}
	fill(log)
	w := &world{memoryLog: log, lose: lose, client: client}
	w.one = w.open(tb, config, epochs, client)
	if client != nil {
		w.two = w.open(tb, config, epochs, client)
		return w
	}
	w.two = w.one
	w.lose = w.remove
	return w
}

// remove drops the entries of users, or of all that the log knows, as if there had been no room for them.
func (w *world) remove(gone ...entry.Owner) {
	if gone == nil {
		gone = append(w.owners(), someone)
	}
	for _, of := range gone {
		_ = w.one.kept.Remove(context.Background(), of, true)
	}
}

func (w *world) open(tb testing.TB, config Config, epochs jetstream.KeyValue, client redis.UniversalClient) *Cache {
	tb.Helper()
	c, err := New(Deps{
		Log: w.memoryLog, Epochs: epochs, Redis: client, Metrics: prometheus.NewRegistry(), Clock: time.Now,
		Logger: slog.New(slog.DiscardHandler),
	}, config)
	if err != nil {
		tb.Fatal(err)
	}
	c.Want(sighting.EveryKind)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { c.Run(ctx) })
	tb.Cleanup(func() { stop(); running.Wait() })
	return c
}

// memoryLog is a log that holds what it was given.
type memoryLog struct {
	mu             sync.Mutex
	events, offers map[entry.Owner][]event.Event
	reads          int
	first          int64 // when the first event was stored
	held           chan<- struct{}
	goOn           <-chan struct{}
}

// holdSeen has what is read next of all users wait, until goOn is called, and tells when it does.
func (l *memoryLog) holdSeen() (reading <-chan struct{}, goOn func()) {
	held, going := make(chan struct{}), make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.goOn = held, going
	return held, sync.OnceFunc(func() { close(going) })
}

func (l *memoryLog) Read(_ context.Context, project ident.ProjectID, user ident.UserID, from uint64) ([]event.Event, uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	all := l.events[entry.Of(project, user)]
	return slices.Clone(all[min(int(from)-1, len(all)):]), uint64(len(all)) + 1, nil
}

func (l *memoryLog) Offers(_ context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	all := slices.Clone(l.offers[entry.Of(project, user)])
	slices.Reverse(all)
	return all, nil
}

func (l *memoryLog) Seen(_ context.Context, from time.Time, visit func(event.Event) error) (since, first int64, err error) {
	l.mu.Lock()
	var all []event.Event
	for _, events := range l.events {
		all = append(all, events...)
	}
	held, goOn := l.held, l.goOn
	l.held = nil
	l.mu.Unlock()
	if held != nil {
		close(held)
		<-goOn
	}
	if len(all) == 0 {
		return 0, math.MaxInt64, nil
	}
	for i := range all {
		if all[i].CreatedMs >= from.UnixMilli() {
			if err := visit(all[i]); err != nil {
				return 0, 0, err
			}
		}
	}
	return from.UnixMilli(), l.first, nil
}

func (l *memoryLog) append(to map[entry.Owner][]event.Event, e event.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to[entry.OwnerOf(&e)] = append(to[entry.OwnerOf(&e)], e)
}

func (l *memoryLog) erase(of entry.Owner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.events, of)
	delete(l.offers, of)
}

func (l *memoryLog) owners() []entry.Owner {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(slices.Collect(maps.Keys(l.events)), slices.Collect(maps.Keys(l.offers))...)
}

// asked returns how often the log has been read.
func (l *memoryLog) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

var someone = entry.Of("pro-1", "usr-1")

func some(of entry.Owner) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: of.Project, User: of.User, Type: event.LoginError, CreatedMs: 1_764_000_000_000}
}

func deletionOf(e event.Event) event.Event {
	deletion := some(entry.OwnerOf(&e))
	deletion.Type, deletion.Deletes = event.Deleted, e.ID
	return deletion
}

// add stores an event and tells a cache.
func (w *world) add(ctx context.Context, c *Cache, e event.Event) error {
	w.append(w.events, e)
	raw, err := jsonOf(e)
	if err != nil {
		return err
	}
	return c.Add(ctx, e, raw)
}

func (w *world) mustAdd(t *testing.T, c *Cache, e event.Event) event.Event {
	t.Helper()
	if err := w.add(t.Context(), c, e); err != nil {
		t.Fatal(err)
	}
	return e
}

// offer stores an offer and tells a cache.
func (w *world) offer(ctx context.Context, c *Cache, e event.Event) error {
	w.append(w.offers, e)
	return c.AddOffer(ctx, e)
}

func (w *world) mustRead(t *testing.T, c *Cache, stamp string) event.Reading {
	t.Helper()
	read, err := c.Read(t.Context(), someone.Project, someone.User, stamp)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// known makes sure that a cache answers without the log.
func (w *world) known(t *testing.T, c *Cache) event.Reading {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		before := w.asked()
		if read := w.mustRead(t, c, ""); w.asked() == before {
			return read
		}
		if time.Now().After(deadline) {
			t.Fatal("the log is asked each time")
		}
	}
}
