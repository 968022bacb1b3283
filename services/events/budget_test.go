package events_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events"
)

// refuse appends a refused login of a process, as the service that refuses does, and reports whether it is recorded.
func (w *world) refuse(process string, at time.Time) bool {
	w.t.Helper()
	appended, err := w.Append(w.t.Context(), event.Event{
		ID: ident.NewEventID(), Project: project, User: "usr-1", Type: event.LoginRefused, CreatedMs: at.UnixMilli(), Process: process,
		Refused: &event.Refused{Reason: "unknown credential"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return !appended.Withheld
}

// tellUnproven has a client tell of a failed login without a proof.
func (w *world) tellUnproven(process, environment string) error {
	proven := false
	body := rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError, Proven: &proven, ProcessID: &process}
	if environment != "" {
		body.ClientEnvID = &environment
	}
	_, err := w.Create(w.t.Context(), service.ForUser[rest.PasskeyEventCreateReq]{Project: project, User: "usr-1", Body: body})
	return err
}

// count returns how many events of a type the user's history has.
func (w *world) count(of event.Type) (n int) {
	w.t.Helper()
	for _, e := range w.logged("usr-1") {
		if e.Type == of {
			n++
		}
	}
	return n
}

func TestOfRefusedLoginsAWindowHasRoomForSoManyAndTellsOnceThatThereWereMore(t *testing.T) {
	t.Parallel()
	w := begin(t)
	most := events.DefaultUnproven()
	var recorded int
	const attempts = 200
	for n := range attempts {
		if w.refuse(fmt.Sprint("prc-", n), start.Add(time.Duration(n)*time.Second)) {
			recorded++
		}
	}
	if recorded != most.Requests || w.count(event.LoginRefused) != most.Requests || w.count(event.LoginEventsLimited) != 1 {
		t.Fatalf("%d recorded, %d in the log, told %d times", recorded, w.count(event.LoginRefused), w.count(event.LoginEventsLimited))
	}
	// The first has left the window, and the others are in it still.
	if !w.refuse("prc-later", start.Add(most.Per)) || w.refuse("prc-later-still", start.Add(most.Per)) {
		t.Error("what has left the window makes room for as much")
	}
	// So has all, and what was told of it.
	if !w.refuse("prc-much-later", start.Add(3*most.Per)) {
		t.Error("an empty window has no room")
	}
}

func TestOneProcessHasAQuarterOfTheWindow(t *testing.T) {
	t.Parallel()
	w := begin(t)
	most := events.DefaultUnproven().Requests
	for n := range most {
		if got, want := w.refuse("prc-1", start.Add(time.Duration(n)*time.Second)), n < most/4; got != want {
			t.Fatalf("answer %d of one process: recorded %t", n+1, got)
		}
	}
	if !w.refuse("prc-2", start.Add(time.Minute)) {
		t.Error("one process took the room of all others")
	}
}

func TestWhoeverAsksAtOnceGetsNoMoreRoom(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var asking sync.WaitGroup
	const attempts = 150
	for n := range attempts {
		asking.Go(func() { w.refuse(fmt.Sprint("prc-", n), start) })
	}
	asking.Wait()
	if got := w.count(event.LoginRefused); got != events.DefaultUnproven().Requests {
		t.Errorf("%d of %d at once are recorded", got, attempts)
	}
}

// TestWhatAClockThatIsAheadRecordedFillsNoWindowForever has another instance's clock put right again.
func TestWhatAClockThatIsAheadRecordedFillsNoWindowForever(t *testing.T) {
	t.Parallel()
	w := begin(t)
	most := events.DefaultUnproven()
	for n := range 2 * most.Requests {
		w.refuse(fmt.Sprint("prc-", n), start.Add(365*24*time.Hour))
	}
	var recorded int
	for n := range 2 * most.Requests {
		if w.refuse(fmt.Sprint("prc-then-", n), start.Add(time.Duration(n)*time.Second)) {
			recorded++
		}
	}
	if recorded != most.Requests || w.count(event.LoginEventsLimited) != 2 {
		t.Errorf("%d recorded, told %d times", recorded, w.count(event.LoginEventsLimited))
	}
}

func TestARefusedLoginThatIsRepeatedIsNotCountedAgain(t *testing.T) {
	t.Parallel()
	w := begin(t)
	refused := event.Event{
		ID: "pke-1", Project: project, User: "usr-1", Type: event.LoginRefused, CreatedMs: start.UnixMilli(), Process: "prc-1",
	}
	for range events.DefaultUnproven().Requests {
		if appended, err := w.Append(t.Context(), refused); err != nil || appended.Withheld {
			t.Fatalf("%+v, %v", appended, err)
		}
	}
	if got := w.count(event.LoginRefused); got != 1 {
		t.Errorf("it is there %d times", got)
	}
}

func TestWhatIsToldWithoutAProofIsRefusedBeyondTheWindowAndCountedByItself(t *testing.T) {
	t.Parallel()
	w := begin(t)
	most := events.DefaultUnproven().Requests
	w.refuse("prc-refused", start)
	for n := range most {
		if err := w.tellUnproven(fmt.Sprint("prc-", n), ""); err != nil {
			t.Fatalf("event %d: %v", n+1, err)
		}
	}
	var f *fault.Fault
	if err := w.tellUnproven("prc-more", ""); !errors.As(err, &f) || f.Status != http.StatusTooManyRequests || f.RetryAfter < time.Second {
		t.Errorf("one more: %v", err)
	}
	if !w.refuse("prc-refused-2", w.tick()) {
		t.Error("what clients tell took the room of refused logins")
	}
	// Who speaks for the user is believed.
	w.create(rest.PasskeyEventCreateReq{EventType: rest.PasskeyEventTypeLoginError})
	if told := w.count(event.LoginEventsLimited); told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestWhereTheUserHasJustSignedInHasRoomOfItsOwn has a login of which the account's document does not say yet where it was.
func TestWhereTheUserHasJustSignedInHasRoomOfItsOwn(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var known uint64
	if _, err := w.Append(t.Context(), event.Event{
		ID: "pke-7", Project: project, User: "usr-1", Type: event.LoginCompleted, CreatedMs: start.UnixMilli(), Process: "prc-own",
		Environment: "env-home", Use: &event.Use{After: &known, Seen: &event.Seen{OSVersion: "15"}},
	}); err != nil {
		t.Fatal(err)
	}
	for n := range events.DefaultUnproven().Requests {
		if err := w.tellUnproven(fmt.Sprint("prc-", n), ""); err != nil {
			t.Fatalf("event %d: %v", n+1, err)
		}
	}
	if err := w.tellUnproven("prc-stranger", ""); err == nil {
		t.Error("there was room for a stranger")
	}
	if err := w.tellUnproven("prc-own-2", "env-home"); err != nil {
		t.Errorf("a stranger took the room of the user's own browser: %v", err)
	}
}
