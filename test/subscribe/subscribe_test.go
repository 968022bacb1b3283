package subscribe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	stored "github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a server with the stream of events.
type harness struct {
	t   *testing.T
	bus *bus.Bus
}

func start(t *testing.T) *harness {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &harness{t: t, bus: b}
}

func (h *harness) publish(project, user string, kind event.Type) uint64 {
	h.t.Helper()
	id := ident.NewEventID()
	body, err := json.Marshal(stored.Event{
		ID: id, Project: ident.ProjectID(project), User: ident.UserID(user), Type: stored.Type(kind), CreatedMs: 1,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.publishRaw(project, user, kind, body)
}

func (h *harness) publishRaw(project, user string, kind event.Type, body []byte) uint64 {
	h.t.Helper()
	var sequence uint64
	h.eventually("an event could not be published", func() bool {
		ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
		defer cancel()
		ack, err := h.bus.JS.Publish(ctx, bus.EventsPrefix+"."+project+"."+user+"."+string(kind), body)
		if err == nil {
			sequence = ack.Sequence
		}
		return err == nil
	})
	return sequence
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

func (h *harness) open(cfg subscribe.Config) *subscribe.Subscriber {
	h.t.Helper()
	s, err := subscribe.Open(h.t.Context(), h.bus.JS, cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// run runs a subscriber until stop is called, which returns what Run returned.
func (h *harness) run(s *subscribe.Subscriber, handle subscribe.Handler) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, handle) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	h.t.Cleanup(func() { _ = stop() })
	return stop
}

// notebook keeps what handlers have seen.
type notebook struct {
	mu   sync.Mutex
	seen []subscribe.Event
}

func (n *notebook) note(e subscribe.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen = append(n.seen, e)
}

func (n *notebook) all() []subscribe.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.seen)
}

func (n *notebook) sequences() []uint64 {
	var all []uint64
	for _, e := range n.all() {
		all = append(all, e.Sequence)
	}
	return all
}

func (n *notebook) handle(_ context.Context, e subscribe.Event) error {
	n.note(e)
	return nil
}

func sorted(numbers []uint64) []uint64 {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func TestAHandlerGetsWhatTheFiltersLetThroughAndGoesOnAfterAStop(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  subscribe.Config
		want []int
	}{
		"everything":        {subscribe.Config{}, []int{0, 1, 2, 3}},
		"of one project":    {subscribe.Config{Project: "pro-1"}, []int{0, 1, 3}},
		"of one user":       {subscribe.Config{User: "usr-1"}, []int{0, 2}},
		"of two types":      {subscribe.Config{Types: []event.Type{event.LoginError, event.Deleted, event.LoginError}}, []int{0, 2, 3}},
		"of all three":      {subscribe.Config{Project: "pro-1", User: "usr-2", Types: []event.Type{event.Deleted}}, []int{3}},
		"in order per user": {subscribe.Config{Project: "pro-1", Order: subscribe.PerUser}, []int{0, 1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			c.cfg.Name, c.cfg.Since = "reader", subscribe.Beginning
			var book notebook
			var want []uint64
			for round := range 2 {
				published := []uint64{
					h.publish("pro-1", "usr-1", event.LoginError), h.publish("pro-1", "usr-2", event.LoginCompleted),
					h.publish("pro-2", "usr-1", event.LoginError), h.publish("pro-1", "usr-2", event.Deleted),
				}
				for _, i := range c.want {
					want = append(want, published[i])
				}
				stop := h.run(h.open(c.cfg), book.handle)
				h.eventually("not everything came", func() bool { return len(book.all()) >= len(want) })
				if err := stop(); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				// A request that the server has yet to hear the end of would be given the next event, which then comes a second time.
				h.eventually("the last request is still there", func() bool {
					consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
					return err == nil && consumer.CachedInfo().NumWaiting == 0
				})
			}
			if diff := cmp.Diff(want, sorted(book.sequences())); diff != "" {
				t.Error(diff)
			}
			for _, e := range book.all() {
				if e.Attempt != 1 || e.Key() != string(e.ID) || e.ID == "" || e.Type == "" {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

func TestANewConsumerBeginsWhereItIsToldAndAnOldOneWhereItWas(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.publish("pro-1", "usr-1", event.LoginError)
	var book notebook
	now := h.open(subscribe.Config{Name: "now"})
	second := h.publish("pro-1", "usr-1", event.LoginError)
	stop := h.run(now, book.handle)
	h.eventually("the second event did not come", func() bool { return len(book.all()) == 1 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	third := h.publish("pro-1", "usr-1", event.LoginError)
	// With other settings, and a start that no longer matters.
	h.run(
		h.open(subscribe.Config{Name: "now", Since: subscribe.Beginning, AckWait: time.Minute, Types: []event.Type{event.LoginError}}),
		book.handle,
	)
	h.eventually("the third event did not come", func() bool { return len(book.all()) == 2 })
	if diff := cmp.Diff([]uint64{second, third}, book.sequences()); diff != "" {
		t.Error(diff)
	}
}

func TestAnEventWhoseHandlerFailsComesAgainAndHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			bad, good := h.publish("pro-1", "usr-1", event.LoginError), h.publish("pro-1", "usr-2", event.LoginError)
			var book, done notebook
			h.run(
				h.open(
					subscribe.Config{
						Name: "reader", Since: subscribe.Beginning, Order: order, MinBackoff: time.Millisecond,
						MaxBackoff: 5 * time.Millisecond, Parallel: 1,
					},
				),
				func(_ context.Context, e subscribe.Event) error {
					book.note(e)
					if e.Sequence == bad && (e.Attempt < 4 || len(done.all()) == 0) {
						if e.Attempt == 2 {
							panic("no")
						}
						return errors.New("not now")
					}
					done.note(e)
					return nil
				},
			)
			h.eventually("the events were not handled", func() bool { return len(done.all()) == 2 })
			if diff := cmp.Diff([]uint64{good, bad}, done.sequences()); diff != "" {
				t.Error(diff)
			}
			attempt := 0
			for _, e := range book.all() {
				if e.Sequence == bad {
					if attempt++; e.Attempt != attempt {
						t.Errorf("attempt %d is called %d", attempt, e.Attempt)
					}
				}
			}
		})
	}
}

func TestWhatCannotBeHandledIsGivenUpAndToldOf(t *testing.T) {
	t.Parallel()
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			broken := h.publishRaw("pro-1", "usr-1", event.LoginError, []byte(`{"id":`))
			poison := h.publish("pro-1", "usr-1", event.LoginError)
			next := h.publish("pro-1", "usr-1", event.LoginCompleted)
			var book, given notebook
			cfg := subscribe.Config{
				Name: "reader", Since: subscribe.Beginning, Order: order, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, Attempts: 3,
				OnPoison: func(_ context.Context, e subscribe.Event, cause error) {
					if cause == nil || len(e.Raw) == 0 {
						t.Errorf("given up without a cause or a body: %v, %q", cause, e.Raw)
					}
					given.note(e)
				},
			}
			h.run(h.open(cfg), func(_ context.Context, e subscribe.Event) error {
				book.note(e)
				if e.Sequence == poison {
					return errors.New("never")
				}
				return nil
			})
			h.eventually("not everything was answered", func() bool {
				consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
				return err == nil && consumer.CachedInfo().AckFloor.Stream == next
			})
			if diff := cmp.Diff([]uint64{broken, poison}, sorted(given.sequences())); diff != "" {
				t.Error(diff)
			}
			tries := 0
			for _, sequence := range book.sequences() {
				if sequence == poison {
					tries++
				}
			}
			if tries != 3 {
				t.Errorf("the poison was tried %d times", tries)
			}
		})
	}
}

// A handler that kills its process answers nothing; its event was delivered all the same.
func TestAnEventThatEndsItsProcessEachTimeIsGivenUp(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.publish("pro-1", "usr-1", event.LoginError)
	given := make(chan subscribe.Event, 1)
	cfg := subscribe.Config{
		Name: "reader", Since: subscribe.Beginning, Attempts: 2, AckWait: 100 * time.Millisecond,
		OnPoison: func(_ context.Context, e subscribe.Event, _ error) { given <- e },
	}
	s := h.open(cfg)
	consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
	if err != nil {
		t.Fatal(err)
	}
	for range cfg.Attempts {
		if _, err := consumer.Next(); err != nil { // taken, and never answered
			t.Fatal(err)
		}
	}
	h.run(s, func(context.Context, subscribe.Event) error {
		t.Error("the handler was called again")
		return nil
	})
	if e := <-given; e.Attempt != 3 {
		t.Errorf("given up at attempt %d", e.Attempt)
	}
}

func TestRunFailsWhenTheConsumerIsGone(t *testing.T) {
	t.Parallel()
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			s := h.open(subscribe.Config{Name: "reader", Order: order})
			ended := make(chan error, 1)
			go func() { ended <- s.Run(t.Context(), new(notebook).handle) }()
			h.eventually("nobody asks for events", func() bool {
				consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
				return err == nil && consumer.CachedInfo().NumWaiting > 0
			})
			if err := h.bus.JS.DeleteConsumer(t.Context(), bus.EventsStream, "reader"); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNothingIsLostWhenNATSRestarts(t *testing.T) {
	t.Parallel()
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			cfg := bus.DefaultConfig()
			cfg.DataDir, cfg.SyncInterval, cfg.Addr = t.TempDir(), time.Minute, loopbacktest.Address(t)
			server, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
			outside := bus.DefaultConfig()
			if outside.URL, err = bus.ServerURL(cfg.DataDir); err != nil {
				t.Fatal(err)
			}
			b, err := bus.Open(t.Context(), outside, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			h := &harness{t: t, bus: b}
			var book notebook
			h.run(h.open(subscribe.Config{Name: "reader", Order: order, AckWait: time.Second, Takeover: 500 * time.Millisecond}), book.handle)
			var want []uint64
			for range 2 {
				for range 5 {
					want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
				}
				h.eventually("not everything came", func() bool { return len(sorted(book.sequences())) == len(want) })
				server.Close()
				if server, err = bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
			h.eventually("nothing comes after the restart", func() bool { return len(sorted(book.sequences())) == len(want) })
			if diff := cmp.Diff(want, firsts(book.sequences())); order == subscribe.PerUser && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	stream, err := h.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]subscribe.Config{
		"no name":                      {},
		"a name with a dot":            {Name: "a.b"},
		"something that is no project": {Name: "a", Project: "*"},
		"something that is no user":    {Name: "a", User: "usr-1.>"},
		"a type with a wildcard":       {Name: "a", Types: []event.Type{"*"}},
		"a type of another stream":     {Name: "a", Types: []event.Type{event.LoginOffered}},
		"an order that is none":        {Name: "a", Order: 7},
		"a negative time":              {Name: "a", AckWait: -1},
		"too many handlers":            {Name: "a", Parallel: 5000},
	} {
		if _, err := subscribe.Open(t.Context(), h.bus.JS, cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	before := stream.CachedInfo().State.Consumers
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := info.State.Consumers - before; n != 0 {
		t.Errorf("%d consumers were made all the same", n)
	}
}

func TestTheStreamIsTheOneThatBusMakes(t *testing.T) {
	t.Parallel()
	if subscribe.Stream != bus.EventsStream {
		t.Errorf("%s is not %s", subscribe.Stream, bus.EventsStream)
	}
}

func TestASubscriberCarriesNoServer(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "github.com/keyward/keyward/sdk/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dependency := range strings.FieldsSeq(string(out)) {
		if strings.Contains(dependency, "nats-server") || strings.Contains(dependency, "miniredis") ||
			strings.Contains(dependency, "prometheus") {
			t.Errorf("it imports %s", dependency)
		}
	}
}
