package events_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// logged returns the user's events in the log, whatever their type, with their bodies.
func (w *world) logged(user ident.UserID) []event.Event {
	w.t.Helper()
	var events []event.Event
	for _, msg := range w.messages(bus.EventsStream) {
		var e event.Event
		if err := json.Unmarshal(msg.Data, &e); err != nil {
			w.t.Fatal(err)
		}
		if e.User == user {
			events = append(events, e)
		}
	}
	return events
}

func reported(of ident.UserID, req rest.AuthEventCreateReq) service.ForUser[service.AuthReport] {
	return service.ForUser[service.AuthReport]{Project: project, User: of, Body: service.AuthReport{AuthEventCreateReq: req}}
}

func (w *world) createAuth(req rest.AuthEventCreateReq) (rest.AuthEvent, error) {
	w.t.Helper()
	return w.CreateAuthEvent(w.t.Context(), reported("usr-1", req))
}

func TestAnAuthEventIsInTheLogAsItWasReported(t *testing.T) {
	t.Parallel()
	for of, want := range map[rest.AuthEventType]event.Type{
		rest.AuthEventTypeSignUp: event.AuthSignUp, rest.AuthEventTypeLogin: event.AuthLogin,
		rest.AuthEventTypeNewPasskeyAdded: event.AuthPasskeyAdded,
	} {
		t.Run(string(of), func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			req := rest.AuthEventCreateReq{
				Username: "ann@example.com", EventType: of, Method: rest.AuthEventMethodPasskey,
				Status: rest.AuthEventStatusSuccess,
			}
			req.ClientInformation.RemoteAddress = "192.0.2.7"
			got, err := w.createAuth(req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rest.AuthEvent{
				AuthEventID: got.AuthEventID, UserID: "usr-1", Username: "ann@example.com", EventType: of, Method: req.Method, Status: req.Status,
				Created: account.Timestamp(got.CreatedMs), CreatedMs: got.CreatedMs,
			}, got); diff != "" {
				t.Error(diff)
			}
			stored := event.Event{
				ID: ident.EventID(got.AuthEventID), Project: project, User: "usr-1", Type: want, CreatedMs: got.CreatedMs,
				Auth:   &event.Auth{Username: "ann@example.com", Method: event.AuthMethod(req.Method), Status: event.AuthStatus(req.Status)},
				Client: &event.Client{Address: "192.0.2.0"},
			}
			if diff := cmp.Diff([]event.Event{stored}, w.logged("usr-1")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnAuthEventIsRefused(t *testing.T) {
	t.Parallel()
	w := begin(t)
	for name, c := range map[string]struct {
		user  ident.UserID
		of    rest.AuthEventType
		field string
	}{
		"for nobody":         {"usr-9", rest.AuthEventTypeLogin, "userID"},
		"of an unknown type": {"usr-1", "logout", "eventType"},
	} {
		_, err := w.CreateAuthEvent(t.Context(), reported(c.user, rest.AuthEventCreateReq{EventType: c.of}))
		var f *fault.Fault
		if !errors.As(err, &f) || len(f.Validation) != 1 || f.Validation[0].Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := w.logged("usr-9"); len(left) != 0 {
		t.Errorf("stored: %v", left)
	}
}

// accountTypes are those of which no history knows.
var accountTypes = []event.Type{
	event.UserCreated,
	event.UserUpdated,
	event.UserDeleted,
	event.PasskeyDeleted,
	event.PasskeyCode,
	event.AuthSignUp,
	event.AuthLogin,
	event.AuthPasskeyAdded,
}

func TestEventsOfTheAccountAreForSubscribersAlone(t *testing.T) {
	t.Parallel()
	w := begin(t)
	passkeys := w.create(rest.PasskeyEventCreateReq{EventType: "login-error"})
	for k, of := range accountTypes {
		// Before anything is cached, and after.
		w.append(event.Event{Type: of})
		if k == len(accountTypes)/2 {
			w.list(service.EventList{})
		}
	}
	if got := w.logged("usr-1"); len(got) != 1+len(accountTypes) {
		t.Errorf("%d are in the log", len(got))
	}
	for _, flushed := range []bool{false, true} {
		if flushed {
			if err := w.cache.Client.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
		got := w.list(service.EventList{IncludeEngine: true})
		if diff := cmp.Diff([]string{"login-error"}, types(got)); diff != "" {
			t.Errorf("flushed %v: %s", flushed, diff)
		}
		read, err := w.store.Read(t.Context(), project, "usr-1", "")
		if err != nil || read.Events.Len() != 1 || string(read.Events.All()[0].ID) != passkeys.PasskeyEventID {
			t.Errorf("flushed %v: a decision reads %+v, %v", flushed, read.Events, err)
		}
		fields, err := w.cache.Client.HKeys(t.Context(), "{pro-1/usr-1}:events").Result()
		if err != nil {
			t.Fatal(err)
		}
		events := 0
		for _, name := range fields {
			if name[0] != ':' {
				events++
			}
		}
		if events != 1 {
			t.Errorf("flushed %v: the cache entry holds %v", flushed, fields)
		}
	}
}

func TestAnEventOfAnAccountNeedsNoUserAndIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := begin(t)
	e := event.Event{ID: ident.NewEventID(), Project: project, User: "usr-9", Type: event.UserDeleted, CreatedMs: 1}
	for range 2 {
		if _, err := w.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]event.Event{e}, w.logged("usr-9")); diff != "" {
		t.Error(diff)
	}
}

func TestACallerCannotDeleteAnEventOfTheAccount(t *testing.T) {
	t.Parallel()
	w := begin(t)
	e := w.append(event.Event{Type: event.AuthLogin})
	if _, err := w.Delete(t.Context(), service.ForUser[ident.EventID]{Project: project, User: "usr-1", Body: e.ID}); err == nil {
		t.Error("it was deleted")
	}
}

func TestALoginByOtherMeansNamesTheDecisionThatOfferedAPasskey(t *testing.T) {
	t.Parallel()
	w := begin(t)
	password := rest.AuthEventCreateReq{
		Username: "ann@example.com", EventType: rest.AuthEventTypeLogin, Method: rest.AuthEventMethodPassword,
		Status: rest.AuthEventStatusSuccess,
	}
	named := func(want ident.DecisionID) {
		t.Helper()
		made, err := w.createAuth(password)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range w.logged("usr-1") {
			if string(e.ID) == made.AuthEventID && e.Decision != want {
				t.Errorf("it names %q, not %q", e.Decision, want)
			}
		}
	}
	named("")
	w.append(event.Event{Type: event.LoginOffered, Ceremony: "was-1", Process: "p1", Decision: "dec-1"})
	named("dec-1")
	w.append(event.Event{Type: event.LoginCompleted, Ceremony: "was-1", Process: "p1"})
	named("")
}
