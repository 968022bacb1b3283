package events_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// messages returns what a stream holds, in order.
func (w *world) messages(name string) []*jetstream.RawStreamMsg {
	w.t.Helper()
	stream, err := w.bus.Stream(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	var messages []*jetstream.RawStreamMsg
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
		if msg, err := stream.GetMsg(w.t.Context(), sequence); err == nil {
			messages = append(messages, msg)
		}
	}
	return messages
}

// keptStreams are those that hold something of users.
var keptStreams = []string{
	bus.EventsStream, bus.OffersStream, bus.DecisionsStream, bus.WebhookRetriesStream, bus.WebhookDeadStream, bus.WebhookDeliveriesStream,
}

// subjectsOf returns the subjects of all messages in which the user is named.
func (w *world) subjectsOf(user ident.UserID) []string {
	w.t.Helper()
	var subjects []string
	for _, name := range keptStreams {
		for _, msg := range w.messages(name) {
			raw, err := json.Marshal(msg)
			if err != nil {
				w.t.Fatal(err)
			}
			if strings.Contains(string(raw)+string(msg.Data), string(user)) {
				subjects = append(subjects, msg.Subject)
			}
		}
	}
	return subjects
}

// leave puts one message of the user into each stream, as calls and deliveries do.
func (w *world) leave(user ident.UserID) {
	w.t.Helper()
	e := event.Event{ID: ident.NewEventID(), Project: project, User: user, Type: event.LoginError, CreatedMs: 1}
	offer := e
	offer.Type = event.LoginOffered
	for _, each := range []event.Event{e, offer} {
		if _, err := w.Append(w.t.Context(), each); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, subject := range []string{
		"passkey.decisions.pro-1." + string(user) + ".login", "webhook.retries.pro-1.wbe-1." + string(user) + "." + string(e.ID),
		"webhook.heads.pro-1.wbe-1." + string(user),
		"webhook.dead.pro-1.wbe-1." + string(user) + "." + string(e.ID), "webhook.deliveries.pro-1.wbe-1." + string(user) + ".failed",
	} {
		if _, err := w.bus.JS.Publish(w.t.Context(), subject, []byte(`{"user":"`+user+`"}`)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func TestEraseLeavesNothingOfTheUserInAnyStreamAndAllOfOthers(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.leave("usr-1")
	w.leave("usr-12")
	before := len(w.subjectsOf("usr-12"))
	if _, err := w.Erase(t.Context(), service.ForUser[service.Empty]{Project: project, User: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	for _, subject := range w.subjectsOf("usr-1") {
		if !strings.Contains(subject, "usr-12") {
			t.Errorf("left: %s", subject)
		}
	}
	if after := len(w.subjectsOf("usr-12")); after != before || after != 7 {
		t.Errorf("of another user %d of %d are left", after, before)
	}
}

func TestWhatCallsLeaveBehindAnErasedUserIsSweptAndTheDeletionStays(t *testing.T) {
	t.Parallel()
	w := beginSweeping(t, 100*time.Millisecond)
	w.leave("usr-1")
	w.leave("usr-2")
	if _, err := w.Erase(t.Context(), service.ForUser[service.Empty]{Project: project, User: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	// What was under way when the user was erased arrives after it, and some of it after the deletion was told.
	w.leave("usr-1")
	deletion := event.Event{ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.UserDeleted, CreatedMs: 2}
	if _, err := w.Append(t.Context(), deletion); err != nil {
		t.Fatal(err)
	}
	waits := "webhook.retries.pro-1.wbe-1.usr-1." + string(deletion.ID)
	if _, err := w.bus.JS.Publish(t.Context(), waits, []byte(`{"user":"usr-1"}`)); err != nil {
		t.Fatal(err)
	}
	w.leave("usr-1")
	kept := map[string]bool{
		"passkey.events.pro-1.usr-1.user-deleted": true,
		waits:                             true,
		"webhook.heads.pro-1.wbe-1.usr-1": true, // of the deletion's own delivery
	}
	until(t, "the sweep", func() bool { return len(w.subjectsOf("usr-1")) == len(kept) })
	for _, subject := range w.subjectsOf("usr-1") {
		if !kept[subject] {
			t.Errorf("left: %s", subject)
		}
	}
	if n, err := w.cache.Client.Exists(t.Context(), "{pro-1/usr-1}:events").Result(); err != nil || n != 0 {
		t.Errorf("cache entries left: %d, %v", n, err)
	}
	if n := len(w.subjectsOf("usr-2")); n != 7 {
		t.Errorf("%d messages of another user are left", n)
	}
}
