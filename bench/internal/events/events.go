package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
)

// publishers are the numbers of concurrent callers that appends are measured with.
var publishers = []int{1, 32, 256}

// storage is an embedded NATS and cache with the event log on them, in this process.
type storage struct {
	bus   *bus.Bus
	store *eventlog.Store
}

func openStorage(ctx context.Context, dir string) (s *storage, err error) {
	s = &storage{}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	config := bus.DefaultConfig()
	config.DataDir = dir
	if s.bus, err = bus.Open(ctx, config, slog.New(slog.DiscardHandler)); err != nil {
		return s, fmt.Errorf("open the bus: %w", err)
	}
	epochs, err := s.bus.Bucket(ctx, bus.EpochsBucket)
	if err != nil {
		return s, err
	}
	s.store, err = eventlog.Open(ctx, eventlog.Deps{
		JetStream: s.bus.JS,
		Epochs:    epochs,
		Metrics:   prometheus.NewRegistry(),
		Clock:     time.Now,
		Log:       slog.New(slog.DiscardHandler),
	}, historycache.DefaultConfig())
	return s, err
}

func (s *storage) close() {
	if s.bus != nil {
		s.bus.Close()
	}
}

// someEvent is one as an SDK reports it.
func someEvent(user int) event.Event {
	return event.Event{
		ID:          ident.NewEventID(),
		Project:     fleet.Project,
		User:        ident.UserID(fmt.Sprintf("usr-%d", user)),
		Type:        event.LoginError,
		CreatedMs:   time.Now().UnixMilli(),
		Environment: "env-1234567890",
		Process:     "prc-1234567890",
		Ceremony:    "was-1234567890",
		Route:       event.Local,
	}
}

// appendOne is what Keyward does with an event.
func (s *storage) appendOne(ctx context.Context, e event.Event) error {
	_, err := s.store.Append(ctx, e)
	return err
}

// wire returns an event as it is published.
func wire(e event.Event) *nats.Msg {
	return &nats.Msg{
		Subject: bus.EventsPrefix + "." + string(e.Project) + "." + string(e.User) + "." + string(e.Type),
		Header: nats.Header{
			"ce-specversion": {
				"1.0",
			},
			"ce-id":     {string(e.ID)},
			"ce-source": {"/keyward/projects/" + string(e.Project)},
			"ce-type":   {"keyward.passkey." + string(e.Type)},
			"ce-subject": {
				string(e.User),
			},
			"ce-time":            {"2026-11-22T12:00:00.000Z"},
			"ce-datacontenttype": {"application/json"},
			"content-type":       {"application/json"},
		},
		Data: fmt.Appendf(nil, `{"id":%q,"project":%q,"user":%q,"type":%q,"createdMs":%d,"process":%q,"environment":%q,"ceremony":%q,"route":%q}`,
			e.ID, e.Project, e.User, e.Type, e.CreatedMs, e.Process, e.Environment, e.Ceremony, e.Route),
	}
}

// publishOne is the least that can be done with an event: one synchronous publish of the same message, with an ID.
func (s *storage) publishOne(ctx context.Context, e event.Event) error {
	_, err := s.bus.JS.PublishMsg(ctx, wire(e), jetstream.WithMsgID(string(e.ID)))
	return err
}

// callers calls one over and over from a number of goroutines, and fails when one of them does.
func callers(ctx context.Context, count int, duration time.Duration, one func(ctx context.Context, n int64) error) (fleet.Sample, error) {
	ending, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		failure error
		next    atomic.Int64
	)
	total := fleet.Histogram()
	began := time.Now()
	for range count {
		all.Go(func() {
			seen := fleet.Histogram()
			var failed error
			for failed == nil && ending.Err() == nil {
				started := time.Now()
				if failed = one(ctx, next.Add(1)); failed == nil {
					failed = seen.RecordValue(time.Since(started).Microseconds())
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.Merge(seen)
			failure = errors.Join(failure, failed)
		})
	}
	all.Wait()
	took := time.Since(began)
	return fleet.Sample{
		Rate: float64(total.TotalCount()) / took.Seconds(),
		P50:  float64(total.ValueAtQuantile(50)) / 1000,
		P99:  float64(total.ValueAtQuantile(99)) / 1000,
	}, failure
}

// eventUsers are the users whose events are appended.
const eventUsers = 10_000

// measurement puts events into the contenders of a fleet and follows them.
type measurement struct{ *fleet.Fleet }

// Compare measures all that is to be said of events.
func Compare(ctx context.Context, of *fleet.Fleet) error {
	f := measurement{of}
	for _, compare := range []func(context.Context) error{f.compareAppends, f.compareCalls, f.compareLists, f.compareMany} {
		if err := compare(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compareAppends measures appends to the log beside raw publishing, in turn.
func (f measurement) compareAppends(ctx context.Context) (err error) {
	var ours, raw *storage
	for name, s := range map[string]**storage{"appends": &ours, "raw": &raw} {
		if *s, err = openStorage(ctx, filepath.Join(f.Dir, name)); err != nil {
			return err
		}
		defer (*s).close()
	}
	fmt.Printf(
		"Appends to the log (embedded NATS, every acknowledged write on disk, embedded cache) beside raw synchronous publishing of the same "+
			"messages with as many publishers to a server of its own; median of %d rounds of %s\n\n",
		f.Rounds, f.Duration,
	)
	t := fleet.NewTable("raw/s", "appends/s", "of raw", "raw p50 ms", "p50 ms", "raw p99 ms", "p99 ms")
	for _, count := range publishers {
		var results [2]fleet.Rounds
		for round := range f.Rounds + 1 {
			for i, one := range []func(context.Context, int64) error{
				func(ctx context.Context, n int64) error { return raw.publishOne(ctx, someEvent(int(n%eventUsers)+1)) },
				func(ctx context.Context, n int64) error { return ours.appendOne(ctx, someEvent(int(n%eventUsers)+1)) },
			} {
				got, err := callers(ctx, count, f.Duration, one)
				if err != nil {
					return err
				}
				if round > 0 {
					results[i] = append(results[i], got)
				}
			}
		}
		r, o := results[0], results[1]
		t.Row(
			fmt.Sprintf("%d", count), "%.0f", r.Rate(), "%.0f", o.Rate(), "%.0f %%", 100*o.Rate()/r.Rate(), "%.2f", r.P50(), "%.2f", o.P50(), "%.2f",
			r.P99(), "%.2f", o.P99(),
		)
	}
	return t.Print()
}
