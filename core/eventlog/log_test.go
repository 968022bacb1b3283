package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// open returns a log that reads as it would where followers answer.
func open(t *testing.T) *Log {
	t.Helper()
	config := bus.DefaultConfig()
	config.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	log, err := NewLog(t.Context(), b.JS)
	if err != nil {
		t.Fatal(err)
	}
	log.replicated = true
	return log
}

func some(user ident.UserID) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: "pro-1", User: user, Type: event.LoginError, CreatedMs: 1}
}

func TestReplicatedReadsReachWhatTheLeaderHas(t *testing.T) {
	t.Parallel()
	log := open(t)
	if got, next, err := log.Read(t.Context(), "pro-1", "usr-1", 1); err != nil || len(got) != 0 || next != 1 {
		t.Fatalf("nothing was appended: %v, %d, %v", got, next, err)
	}
	e := some("usr-1")
	for _, each := range []event.Event{some("usr-2"), e, some("usr-2")} {
		if _, err := log.Append(t.Context(), each); err != nil {
			t.Fatal(err)
		}
	}
	got, next, err := log.Read(t.Context(), "pro-1", "usr-1", 1)
	if err != nil || next != 3 {
		t.Fatalf("next %d, %v", next, err)
	}
	if diff := cmp.Diff([]event.Event{e}, got); diff != "" {
		t.Error(diff)
	}
	if got, next, err = log.Read(t.Context(), "pro-1", "usr-1", next); err != nil || len(got) != 0 || next != 3 {
		t.Errorf("nothing came after: %v, %d, %v", got, next, err)
	}
}

func TestAReadWaitsForAFollowerThatIsBehind(t *testing.T) {
	t.Parallel()
	log := open(t)
	first, second := some("usr-1"), some("usr-1")
	if _, err := log.Append(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		var got []event.Event
		if err := log.readThrough(t.Context(), bus.EventsStream, "passkey.events.pro-1.usr-1.>", 1, 2, into(&got)); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]event.Event{first, second}, got); diff != "" {
			t.Error(diff)
		}
	})
	if _, err := log.Append(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	reading.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var got []event.Event
	if err := log.readThrough(
		ctx, bus.EventsStream, "passkey.events.pro-1.usr-1.>", 1, 9, into(&got),
	); !errors.Is(
		err, context.DeadlineExceeded,
	) {
		t.Errorf("an incomplete history passed for a whole one: %v, %v", got, err)
	}
}

func TestAReadThatRunsOutOfTimeIsAnErrorAndNoEmptyHistory(t *testing.T) {
	t.Parallel()
	log := open(t)
	log.replicated = false
	if _, err := log.Append(t.Context(), some("usr-1")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if got, _, err := log.Read(ctx, "pro-1", "usr-1", 1); err == nil {
		t.Errorf("read %v without time", got)
	}
}

func TestWhatIsPendingIsReadByWhoAsksForItAlone(t *testing.T) {
	t.Parallel()
	log := open(t)
	offer := func(user ident.UserID, challenge, pending string) event.Offer {
		o := event.Offer{Event: some(user), Pending: json.RawMessage(pending)}
		o.Type, o.Challenge = event.LoginOffered, challenge
		return o
	}
	const a, b = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	first, second := offer("usr-1", a, `{"rpID":"example.com","quote":"\"}"}`), offer("usr-1", b, `{"of":"`+a+`"}`)
	bare, foreign, denied := offer("usr-1", a, ""), offer("usr-2", a, `{}`), offer("usr-1", "", "")
	denied.Type = event.LoginDenied
	for _, o := range []event.Offer{first, bare, second, foreign, denied} {
		if err := log.PublishPending(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for challenge, want := range map[string][]event.Offer{"": {first, second}, a: {first}, b: {second}, "c": nil} {
		got, err := log.Pending(t.Context(), "pro-1", "usr-1", challenge)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("with challenge %q: %s", challenge, diff)
		}
	}
	events, err := log.Offers(t.Context(), "pro-1", "usr-1")
	if err != nil || len(events) != 4 {
		t.Errorf("offers: %+v, %v", events, err)
	}
	if _, err := log.Pending(t.Context(), "pro-1", "usr-*", ""); err == nil {
		t.Error("a wildcard was read")
	}
}
