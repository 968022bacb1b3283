package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/loopbacktest"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a feed on a server of its own.
type harness struct {
	*feed.Feed
	t   *testing.T
	bus *bus.Bus
	run func() // starts the feed
}

func configuration(t *testing.T) bus.Config {
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	return cfg
}

func start(t *testing.T) *harness {
	t.Helper()
	return open(t, configuration(t))
}

func open(t *testing.T, cfg bus.Config) *harness {
	t.Helper()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	f, err := feed.Open(t.Context(), b.JS, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return &harness{Feed: f, t: t, bus: b, run: func() { running.Go(func() { f.Run(ctx) }) }}
}

// publish appends an event and returns its position.
func (h *harness) publish(project, user string, kind event.Type) uint64 {
	h.t.Helper()
	id := ident.NewEventID()
	body, err := json.Marshal(event.Event{ID: id, Project: ident.ProjectID(project), User: ident.UserID(user), Type: kind, CreatedMs: 1})
	if err != nil {
		h.t.Fatal(err)
	}
	var ack *jetstream.PubAck
	h.eventually("an event could not be published", func() bool {
		ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
		defer cancel()
		ack, err = h.bus.JS.Publish(ctx, bus.EventsPrefix+"."+project+"."+user+"."+string(kind), body, jetstream.WithMsgID(string(id)))
		return err == nil
	})
	return ack.Sequence
}

func (h *harness) eventually(complaint string, holds func() bool) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			h.t.Fatal(complaint)
		}
	}
}

func (h *harness) subscribe(project string, filter feed.Filter, from feed.Start) *feed.Subscription {
	h.t.Helper()
	s, err := h.Subscribe(h.t.Context(), ident.ProjectID(project), filter, from)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(s.Close)
	return s
}

// receive waits for n events and returns their positions.
func (h *harness) receive(s *feed.Subscription, n int) []uint64 {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	var got []uint64
	for len(got) < n {
		messages, err := s.Next(ctx)
		if err != nil {
			h.t.Fatalf("after %d of %d: %v", len(got), n, err)
		}
		for _, m := range messages {
			var e event.Event
			if err := json.Unmarshal(m.Data, &e); err != nil || e.Type != m.Type || e.User != m.User {
				h.t.Errorf("message %d says %s of %s, its body %s: %v", m.Sequence, m.Type, m.User, m.Data, err)
			}
			got = append(got, m.Sequence)
		}
	}
	return got
}

// nothing fails if an event comes before the next one that is published for everybody does.
func (h *harness) nothing(s *feed.Subscription) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Millisecond)
	defer cancel()
	if messages, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		h.t.Errorf("got %d events and %v, want none", len(messages), err)
	}
}

func TestASubscriberGetsWhatItsFilterLetsThrough(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("from the stream %v", late), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			h.run()
			cases := map[string]struct {
				project string
				filter  feed.Filter
				want    []int
			}{
				"all of a project":            {"pro-1", feed.Filter{}, []int{0, 1, 2, 4}},
				"of another project":          {"pro-2", feed.Filter{}, []int{3}},
				"of one user":                 {"pro-1", feed.Filter{User: "usr-1"}, []int{0, 1, 4}},
				"of one type":                 {"pro-1", feed.Filter{Types: []event.Type{event.LoginError}}, []int{0, 2}},
				"of two types":                {"pro-1", feed.Filter{Types: []event.Type{event.LoginError, event.Deleted}}, []int{0, 2, 4}},
				"of one user and one type":    {"pro-1", feed.Filter{User: "usr-1", Types: []event.Type{event.LoginError}}, []int{0}},
				"of one user and other types": {"pro-1", feed.Filter{User: "usr-2", Types: []event.Type{event.Deleted, event.LoginError}}, []int{2}},
			}
			subscriptions := map[string]*feed.Subscription{}
			subscribe := func(from feed.Start) {
				for name, c := range cases {
					subscriptions[name] = h.subscribe(c.project, c.filter, from)
				}
			}
			if !late {
				subscribe(feed.Start{})
			}
			published := []uint64{
				h.publish(
					"pro-1", "usr-1", event.LoginError,
				),
				h.publish("pro-1", "usr-1", event.LoginCompleted),
				h.publish("pro-1", "usr-2", event.LoginError),
				h.publish("pro-2", "usr-1", event.LoginError),
				h.publish("pro-1", "usr-1", event.Deleted),
			}
			if late {
				subscribe(feed.After(0))
			}
			for name, c := range cases {
				var want []uint64
				for _, i := range c.want {
					want = append(want, published[i])
				}
				if diff := cmp.Diff(want, h.receive(subscriptions[name], len(want))); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				h.nothing(subscriptions[name])
			}
		})
	}
}

func TestASubscriptionBeginsWhereItIsTold(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.run()
	first, second := h.publish("pro-1", "usr-1", event.LoginError), h.publish("pro-1", "usr-1", event.LoginError)
	stream, err := h.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := stream.GetMsg(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	now := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
	if diff := cmp.Diff([]uint64{first, second}, h.receive(h.subscribe("pro-1", feed.Filter{}, feed.After(0)), 2)); diff != "" {
		t.Errorf("from the oldest: %s", diff)
	}
	if diff := cmp.Diff([]uint64{second}, h.receive(h.subscribe("pro-1", feed.Filter{}, feed.After(first)), 1)); diff != "" {
		t.Errorf("after the first: %s", diff)
	}
	if diff := cmp.Diff([]uint64{second}, h.receive(h.subscribe("pro-1", feed.Filter{}, feed.Since(raw.Time)), 1)); diff != "" {
		t.Errorf("since the second: %s", diff)
	}
	later := h.subscribe("pro-1", feed.Filter{}, feed.Since(raw.Time.Add(time.Nanosecond)))
	h.nothing(later)
	third := h.publish("pro-1", "usr-1", event.LoginError)
	for name, s := range map[string]*feed.Subscription{
		"now":                         now,
		"after the end":               h.subscribe("pro-1", feed.Filter{}, feed.After(second)),
		"since a time without events": later,
	} {
		if diff := cmp.Diff([]uint64{third}, h.receive(s, 1)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if _, err := h.Subscribe(t.Context(), "pro-1", feed.Filter{}, feed.After(third+1)); !errors.Is(err, feed.ErrBeyond) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestASubscriberLearnsThatItsPlaceIsNoLongerKept(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.run()
	for range 3 {
		h.publish("pro-1", "usr-1", event.LoginError)
	}
	last := h.publish("pro-1", "usr-2", event.LoginError)
	if _, missed := h.subscribe("pro-1", feed.Filter{}, feed.After(1)).Missed(); missed {
		t.Error("a place that is kept is said to be missed")
	}
	stream, err := h.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(last)); err != nil {
		t.Fatal(err)
	}
	s := h.subscribe("pro-1", feed.Filter{}, feed.After(1))
	if oldest, missed := s.Missed(); !missed || oldest != last {
		t.Errorf("oldest %d, missed %v", oldest, missed)
	}
	if diff := cmp.Diff([]uint64{last}, h.receive(s, 1)); diff != "" {
		t.Error(diff)
	}
}

// Positions are those of the stream, so what was published is what each must get.
func TestNothingIsLostOrRepeatedHoweverSlowASubscriberIs(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.Shrink(16)
	h.run()
	const events, pauses = 600, 7
	var want []uint64
	slow := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
	quick := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
	var all sync.WaitGroup
	var fromQuick []uint64
	all.Go(func() { fromQuick = h.receive(quick, events) })
	var fromSlow []uint64
	for i := range events {
		want = append(want, h.publish("pro-1", "usr-"+strconv.Itoa(1+i%3), event.LoginError))
		if i%(events/pauses) == 0 {
			fromSlow = append(fromSlow, h.receive(slow, 1)...)
		}
	}
	all.Wait()
	fromSlow = append(fromSlow, h.receive(slow, events-len(fromSlow))...)
	for name, got := range map[string][]uint64{"slow": fromSlow, "quick": fromQuick} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if held, bytes := h.Held(); held > 16 || bytes > 16*1024 {
		t.Errorf("the ring holds %d messages, %d bytes", held, bytes)
	}
}

func TestManySubscribersGetEverythingWhileSomeComeAndGo(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.Shrink(64)
	h.run()
	const subscribers, events = 60, 500
	var all sync.WaitGroup
	got := make([][]uint64, subscribers)
	for i := range got {
		s := h.subscribe("pro-1", feed.Filter{}, feed.After(0))
		all.Go(func() { got[i] = h.receive(s, events) })
		if i%3 == 0 {
			other := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
			all.Go(func() {
				if _, err := other.Next(h.t.Context()); err != nil && !errors.Is(err, feed.ErrClosed) {
					h.t.Error(err)
				}
				other.Close()
			})
		}
	}
	var want []uint64
	for range events {
		want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
	}
	all.Wait()
	for i := range got {
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Fatalf("subscriber %d: %s", i, diff)
		}
	}
}

func TestWhatWasErasedIsNotInMemoryEither(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.run()
	witness := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
	s := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
	h.publish("pro-1", "usr-1", event.LoginError)
	kept := h.publish("pro-1", "usr-2", event.LoginError)
	h.receive(witness, 2) // both are in the ring now
	stream, err := h.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSubject(bus.EventsPrefix+".pro-1.usr-1.>")); err != nil {
		t.Fatal(err)
	}
	gone := h.publish("pro-1", "usr-1", event.UserDeleted)
	h.receive(witness, 1)
	if diff := cmp.Diff([]uint64{kept, gone}, h.receive(s, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestTheStreamIsFollowedOnlyWhileThereAreSubscribers(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.Linger(100 * time.Millisecond)
	h.run()
	for range 2 {
		s := h.subscribe("pro-1", feed.Filter{}, feed.Start{})
		h.eventually("nobody follows the stream", func() bool { return h.Live() })
		h.publish("pro-1", "usr-1", event.LoginError)
		h.receive(s, 1)
		s.Close()
		h.eventually("the stream is followed for nobody", func() bool { return !h.Live() })
		if held, _ := h.Held(); held != 0 {
			t.Errorf("the ring still holds %d messages", held)
		}
	}
}

func TestASubscriptionEndsWithItsContextItselfAndItsFeed(t *testing.T) {
	t.Parallel()
	h := start(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	calls := map[string]func(*feed.Subscription) error{
		"its context": func(s *feed.Subscription) error {
			own, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := s.Next(own)
			return err
		},
		"itself": func(s *feed.Subscription) error {
			s.Close()
			s.Close()
			_, err := s.Next(t.Context())
			return err
		},
		"its feed": func(s *feed.Subscription) error {
			stop()
			_, err := s.Next(t.Context())
			return err
		},
	}
	for _, name := range []string{"its context", "itself", "its feed"} {
		err := calls[name](h.subscribe("pro-1", feed.Filter{}, feed.Start{}))
		if want := map[bool]error{true: context.Canceled, false: feed.ErrClosed}[name == "its context"]; !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	running.Wait()
	if _, err := h.Subscribe(t.Context(), "pro-1", feed.Filter{}, feed.Start{}); !errors.Is(err, feed.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

func TestNothingIsLostWhenNATSRestarts(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	cfg.Addr = loopbacktest.Address(t)
	server, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	outside := bus.DefaultConfig()
	if outside.URL, err = bus.ServerURL(cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	h := open(t, outside)
	h.run()
	live, behind := h.subscribe("pro-1", feed.Filter{}, feed.Start{}), h.subscribe("pro-1", feed.Filter{}, feed.After(0))
	want := []uint64{h.publish("pro-1", "usr-1", event.LoginError)}
	got := h.receive(live, 1)
	for range 2 {
		server.Close()
		h.eventually("the connection did not notice", func() bool { return h.bus.Conn.Status() != nats.CONNECTED })
		if _, err := h.Subscribe(t.Context(), "pro-1", feed.Filter{}, feed.Start{}); err == nil {
			t.Error("a subscription began although NATS is away")
		}
		if server, err = bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
		}
		got = append(got, h.receive(live, 3)...)
	}
	for name, got := range map[string][]uint64{"live": got, "behind": h.receive(behind, len(want))} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
