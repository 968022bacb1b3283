package eventlog_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
)

func TestAReadBringsBackWhatWasAppended(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	expect(t, n, "usr-1")
	e := failure("usr-1")
	e.Challenge, e.Ceremony, e.Route, e.Process, e.Credential, e.Expires = "YQ", "was-1", event.CDA, "p", "cre-1", 1_800_000_000
	mustAppend(t, n, e)
	for range 2 { // from the log, then from the cache
		got, err := n.Events(t.Context(), project, "usr-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]event.Event{e}, got); diff != "" {
			t.Error(diff)
		}
	}
	expect(t, n, "usr-2")
}

func TestAnEmptyHistoryIsCachedAndToldFromAMissingEntry(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	expect(t, n, "usr-1")
	expect(t, n, "usr-1")
	if got := n.reads(t); got["miss"] != 1 || got["hit"] != 1 {
		t.Errorf("want one miss and then a hit, got %v", got)
	}
}

func TestAnEventIsACloudEventOnItsSubject(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	e := failure("usr-1")
	mustAppend(t, n, e)
	stream, err := i.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), "passkey.events.pro-1.usr-1.login-error")
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"ce-specversion": "1.0", "ce-id": string(e.ID), "ce-source": "/keyward/projects/pro-1", "ce-type": "keyward.passkey.login-error",
		"ce-subject": "usr-1", "ce-time": "2025-11-24T16:00:00.000Z", "content-type": "application/json",
		"ce-datacontenttype": "application/json", "Nats-Msg-Id": string(e.ID),
	} {
		if got := msg.Header[header]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}
}

func TestAnEventCarriesOnTheTraceOfItsCall(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	recorder := tracetest.NewSpanRecorder()
	ctx, call := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "call")
	if _, err := n.Append(ctx, failure("usr-1")); err != nil {
		t.Fatal(err)
	}
	call.End()
	appended := ""
	for _, s := range recorder.Ended() {
		if s.Name() == "append "+bus.EventsStream && s.Parent().SpanID() == call.SpanContext().SpanID() {
			appended = s.SpanContext().SpanID().String()
		}
	}
	stream, err := i.bus.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), "passkey.events.pro-1.usr-1.login-error")
	if err != nil {
		t.Fatal(err)
	}
	want := "00-" + call.SpanContext().TraceID().String() + "-" + appended + "-01"
	if got := msg.Header.Get("traceparent"); got != want {
		t.Errorf("traceparent %q, not %q", got, want)
	}
}

func TestAnIDThatWouldReachBeyondItsPlaceIsRefused(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	for name, change := range map[string]func(*event.Event){
		"wildcard user": func(e *event.Event) { e.User = "usr-*" },
		"no project":    func(e *event.Event) { e.Project = "" },
		"free event ID": func(e *event.Event) { e.ID = ":ready" },
		"dotted type":   func(e *event.Event) { e.Type = "login.error" },
		"empty type":    func(e *event.Event) { e.Type = "" },
	} {
		e := failure("usr-1")
		change(&e)
		if _, err := n.Append(t.Context(), e); err == nil {
			t.Errorf("%s was stored", name)
		}
	}
	if _, err := n.Events(t.Context(), project, "usr-1.>"); err == nil {
		t.Error("a user ID with a wildcard was read")
	}
}

func TestTheSameIDIsStoredOnce(t *testing.T) {
	t.Parallel()
	n := install(t).start(quick())
	e := failure("usr-1")
	mustAppend(t, n, e)
	again := e
	again.Type = event.LoginExplicitAbort
	receipt, err := n.Append(t.Context(), again)
	if err != nil || receipt != (eventlog.Receipt{Sequence: 1, Duplicate: true}) {
		t.Fatalf("got %+v, %v", receipt, err)
	}
	got, err := n.Events(t.Context(), project, "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Event{e}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAHistoryLongerThanAPageIsReadWhole(t *testing.T) {
	t.Parallel()
	i := install(t)
	const n = 2500
	futures := 0
	for k := range n {
		e := failure("usr-1")
		e.ID = ident.EventID("pke-" + strconv.Itoa(k+1))
		body := fmt.Appendf(nil, `{"id":%q,"project":"pro-1","user":"usr-1","type":"login-error","createdMs":1}`, e.ID)
		if _, err := i.bus.JS.PublishAsync("passkey.events.pro-1.usr-1.login-error", body); err != nil {
			t.Fatal(err)
		}
		futures++
	}
	select {
	case <-i.bus.JS.PublishAsyncComplete():
	case <-t.Context().Done():
	}
	reader := i.start(quick())
	for range 2 {
		got, err := reader.Events(t.Context(), project, "usr-1")
		if err != nil {
			t.Fatal(err)
		}
		if len(ids(got)) != futures {
			t.Errorf("read %d of %d", len(ids(got)), futures)
		}
	}
}

func TestReadYourWritesAfterFlushAll(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	first, second, third := failure("usr-1"), failure("usr-1"), failure("usr-1")
	mustAppend(t, n, first)
	expect(t, n, "usr-1", first)
	flush(t, i)
	expect(t, n, "usr-1", first)
	flush(t, i)
	mustAppend(t, n, second) // leaves a part of an entry
	expect(t, n, "usr-1", first, second)
	mustAppend(t, n, third)
	expect(t, n, "usr-1", first, second, third)
	if got := n.reads(t); got["untrusted"] == 0 || got["hit"] == 0 || got["keyward_events_cache_epoch_bumps_total"] != 0 {
		t.Errorf("the part of an entry was to be told from a whole one: %v", got)
	}
}

func flush(t *testing.T, i *installation) {
	t.Helper()
	if err := i.redis.Client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestReadYourWritesWithRedisGone(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	first, second := failure("usr-1"), failure("usr-1")
	mustAppend(t, n, first)
	expect(t, n, "usr-1", first)
	n.cutOff()
	expect(t, n, "usr-1", first)
	mustAppend(t, n, second)
	expect(t, n, "usr-1", first, second)
	for range 5 {
		expect(t, n, "usr-1", first, second)
	}
	waitFor(t, "degraded", func() bool {
		expect(t, n, "usr-1", first, second)
		return n.Degraded() != nil
	})
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if holds() {
			return
		}
	}
	t.Fatalf("%s: waited in vain", what)
}

func TestReadYourWritesWhenOneWriterCannotReachRedisAndAReaderCan(t *testing.T) {
	t.Parallel()
	i := install(t)
	writer, reader := i.start(quick()), i.start(quick())
	first := failure("usr-1")
	mustAppend(t, writer, first)
	expect(t, reader, "usr-1", first)
	writer.cutOff()
	all := []event.Event{first}
	for range 8 {
		expect(t, reader, "usr-1", all...) // fills the entry anew, so that there is something to distrust
		expect(t, reader, "usr-1", all...)
		e := failure("usr-1")
		mustAppend(t, writer, e)
		all = append(all, e)
		expect(t, reader, "usr-1", all...)
	}
	if got := reader.reads(t); got["hit"] == 0 || got["untrusted"] == 0 || got["error"] != 0 {
		t.Errorf("the reader was to use its cache: %v", got)
	}
	if got := writer.reads(t); got["keyward_events_cache_epoch_bumps_total"] == 0 {
		t.Errorf("the writer was to raise epochs: %v", got)
	}
}

func TestReadYourWritesWhenRedisComesBackWithAnOldSnapshot(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	first, second := failure("usr-1"), failure("usr-1")
	mustAppend(t, n, first)
	expect(t, n, "usr-1", first)
	expect(t, n, "usr-1", first)
	restarted := snapshot(t, i)
	mustAppend(t, n, second) // reaches the old server only
	expect(t, n, "usr-1", first, second)

	n.server.Store(restarted)
	n.cutOff()
	n.cut.Store(false)
	expect(t, n, "usr-1", first, second)
	waitFor(t, "a hit", func() bool {
		before := n.reads(t)["hit"]
		expect(t, n, "usr-1", first, second)
		return n.reads(t)["hit"] > before
	})
	if got := n.reads(t); got["untrusted"] == 0 {
		t.Errorf("the entry of the snapshot was to be told from a current one: %v", got)
	}
}

// snapshot returns another server that holds what the installation's Redis holds now.
func snapshot(t *testing.T, i *installation) *cache.Cache {
	t.Helper()
	c := double(t)
	keys, err := i.redis.Client.Keys(t.Context(), "{*").Result() // of users: what is kept beside comes and goes
	if err != nil || len(keys) == 0 {
		t.Fatalf("nothing to copy: %v, %v", keys, err)
	}
	for _, key := range keys {
		fields, err := i.redis.Client.HGetAll(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Client.HSet(t.Context(), key, fields).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestTheCacheIsUsedAgainWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	first, second := failure("usr-1"), failure("usr-1")
	mustAppend(t, n, first)
	expect(t, n, "usr-1", first)
	n.cutOff()
	mustAppend(t, n, second)
	n.cut.Store(false)
	waitFor(t, "a hit", func() bool {
		expect(t, n, "usr-1", first, second)
		return n.reads(t)["hit"] > 0
	})
}

func TestAnEntryExpires(t *testing.T) {
	t.Parallel()
	i := install(t)
	config := quick()
	config.TTL = time.Second
	n := i.start(config)
	e := failure("usr-1")
	mustAppend(t, n, e)
	expect(t, n, "usr-1", e)
	mustAppend(t, n, failure("usr-2")) // a part of an entry expires too
	waitFor(t, "expiry", func() bool {
		keys, err := i.redis.Client.Keys(t.Context(), "{*").Result() // of somebody; what says whether sets are whole stays
		return err == nil && len(keys) == 0
	})
	expect(t, n, "usr-1", e)
}

func TestAnEntryIsNotTrustedAfterAnEventsServiceStarted(t *testing.T) {
	t.Parallel()
	i := install(t)
	n := i.start(quick())
	expect(t, n, "usr-1")
	// A writer died between the log and the cache.
	lost := failure("usr-1")
	log, err := eventlog.NewLog(t.Context(), i.bus.JS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if err := i.start(quick()).DistrustAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, n, "usr-1", lost)
}

func TestEraseLeavesNothing(t *testing.T) {
	t.Parallel()
	i := install(t)
	n, other := i.start(quick()), i.start(quick())
	keep := failure("usr-2")
	mustAppend(t, n, failure("usr-1"))
	mustAppend(t, n, keep)
	offer := failure("usr-1")
	offer.Type = event.LoginOffered
	if err := n.PublishOffer(t.Context(), offer); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Offers(t.Context(), project, "usr-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.bus.JS.Publish(t.Context(), "passkey.decisions.pro-1.usr-1.login", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Events(t.Context(), project, "usr-1"); err != nil || len(got) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	n.cutOff() // the entry stays, and nobody trusts it
	if err := n.Erase(t.Context(), project, "usr-1"); err != nil {
		t.Fatal(err)
	}
	expect(t, other, "usr-1")
	expect(t, other, "usr-2", keep)
	for _, read := range []func() ([]event.Event, error){
		func() ([]event.Event, error) { return other.Offers(t.Context(), project, "usr-1") },
		func() ([]event.Event, error) { return other.AllOffers(t.Context(), project, "usr-1") },
	} {
		if offers, err := read(); err != nil || len(offers) != 0 {
			t.Errorf("offers left: %v, %v", offers, err)
		}
	}
	decisions, err := i.bus.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	if left := decisions.CachedInfo().State.Msgs; left != 0 {
		t.Errorf("%d decisions left", left)
	}
}

// TestReadYourWritesWithConcurrentWritersFillersAndFlushes lets several instances, one of which cannot always reach Redis, append and read
// one user's events while entries vanish.
func TestReadYourWritesWithConcurrentWritersFillersAndFlushes(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	i := install(t)
	instances := []*instance{i.start(quick()), i.start(quick()), i.start(quick())}
	const writers, rounds = 6, 25
	var (
		mu           sync.Mutex
		acknowledged []ident.EventID
		work         sync.WaitGroup
	)
	end := i.disturb(instances[2], 7, 5, 1)
	check := func(n *instance) error {
		mu.Lock()
		want := slices.Clone(acknowledged)
		mu.Unlock()
		got, err := n.Events(t.Context(), project, "usr-1")
		if err != nil {
			return err
		}
		have := make(map[ident.EventID]bool, len(got))
		for _, e := range got {
			have[e.ID] = true
		}
		for _, id := range want {
			if !have[id] {
				return fmt.Errorf("%s was acknowledged before the read began and is not in it", id)
			}
		}
		return nil
	}
	for w := range writers {
		work.Go(func() {
			for r := range rounds {
				writer, reader := instances[(w+r)%3], instances[(w+r+1)%3]
				e := failure("usr-1")
				if _, err := writer.Append(t.Context(), e); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, e.ID)
				mu.Unlock()
				for range 3 {
					if err := check(reader); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	work.Wait()
	end()
}

func TestTheEndOfALoginIsReadByWhoeverAsksThen(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(t *testing.T, i *installation, n *instance){
		"as it is":                           func(*testing.T, *installation, *instance) {},
		"after the cache was flushed":        func(t *testing.T, i *installation, _ *instance) { flush(t, i) },
		"while its writer has no cache":      func(_ *testing.T, _ *installation, n *instance) { n.cutOff() },
		"and the answer to it was lost once": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			one, two := i.start(quick()), i.start(quick())
			first := failure("usr-1")
			mustAppend(t, one, first)
			expect(t, one, "usr-1", first)
			expect(t, two, "usr-1", first)
			e := failure("usr-1")
			e.Type, e.Ceremony = event.LoginCompleted, "was-1"
			seen, err := one.Recent(t.Context(), project, "usr-1", eventlog.Span{}, event.LoginCompleted)
			if err != nil || seen.Last != 0 || len(seen.Events) != 0 {
				t.Fatalf("found %+v, %v", seen, err)
			}
			if disturb == nil {
				if _, err := one.Conclude(t.Context(), e, seen.Last, "a"); err != nil {
					t.Fatal(err)
				}
			} else {
				disturb(t, i, one)
			}
			r, err := one.Conclude(t.Context(), e, seen.Last, "a")
			if err != nil || r.Sequence != 2 {
				t.Fatalf("concluded at %+v, %v", r, err)
			}
			expect(t, two, "usr-1", first, e)
			late := failure("usr-1")
			late.Type, late.Ceremony = event.LoginCompleted, "was-2"
			if _, err := two.Conclude(t.Context(), late, seen.Last, "b"); !errors.Is(err, eventlog.ErrMoved) {
				t.Errorf("got %v", err)
			}
			expect(t, two, "usr-1", first, e)
		})
	}
}
