package eventlog

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/ident"
)

// gathered lets appends wait until so many do, and then go on.
func gathered(t testing.TB, c *commits, count int, start func()) {
	t.Helper()
	c.mu.Lock()
	c.alone += maxAlone
	c.mu.Unlock()
	start()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		c.mu.Lock()
		waiting := len(c.waiting)
		c.mu.Unlock()
		if waiting == count {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d wait instead of %d", waiting, count)
		}
	}
	c.passOn(func() { c.alone -= maxAlone })
}

// answered asks until there is an answer: a stream whose leader went away has none for as long as the others take to vote, and a question
// put to it is lost.
func answered[T any](t *testing.T, ask func() (T, error)) T {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		answer, err := ask()
		if err == nil {
			return answer
		}
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// logged returns the messages in the stream, by event ID.
func logged(t *testing.T, js jetstream.JetStream) map[ident.EventID][]*jetstream.RawStreamMsg {
	t.Helper()
	stream := answered(t, func() (jetstream.Stream, error) { return js.Stream(t.Context(), bus.EventsStream) })
	messages := make(map[ident.EventID][]*jetstream.RawStreamMsg)
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		msg := answered(t, func() (*jetstream.RawStreamMsg, error) { return stream.GetMsg(t.Context(), sequence) })
		id := ident.EventID(msg.Header.Get(cloudevent.HeaderID))
		messages[id] = append(messages[id], msg)
	}
	return messages
}

func someOf(count int) []event.Event {
	events := make([]event.Event, count)
	for i := range events {
		events[i] = some(ident.UserID("usr-" + strconv.Itoa(i+1)))
	}
	return events
}

// outcome is what Append said.
type outcome struct {
	Receipt
	err error
}

// appendAll appends events at once and returns what became of each when all have been answered.
func appendAll(t *testing.T, log *Log, events []event.Event) []outcome {
	t.Helper()
	outcomes := make([]outcome, len(events))
	var appending sync.WaitGroup
	gathered(t, log.commits, len(events), func() {
		for i, e := range events {
			appending.Go(func() { outcomes[i].Receipt, outcomes[i].err = log.Append(t.Context(), e) })
		}
	})
	appending.Wait()
	return outcomes
}

func TestAppendsThatWaitAreStoredAsOneBatchIfTheyAreMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		count   int
		batches int
	}{
		"one":                     {1, 0},
		"as many as cost no less": {minTogether - 1, 0},
		"as many as cost less":    {minTogether, 1},
		"more than a batch takes": {maxTogether + minTogether, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := open(t)
			events := someOf(c.count)
			outcomes := appendAll(t, log, events)
			batches := make(map[string]bool)
			messages := logged(t, log.js)
			for i, e := range events {
				stored := messages[e.ID]
				if o := outcomes[i]; o.err != nil || o.Duplicate || len(stored) > 0 && o.Sequence != stored[0].Sequence {
					t.Errorf("event %d: %+v, %v", i, o.Receipt, o.err)
				}
				if len(stored) != 1 || stored[0].Header.Get(jetstream.MsgIDHeader) != string(e.ID) {
					t.Fatalf("%s is stored %d times", e.ID, len(stored))
				}
				if id := stored[0].Header.Get(jetstreamext.BatchIDHeader); id != "" {
					batches[id] = true
				}
			}
			if len(batches) != c.batches {
				t.Errorf("%d batches instead of %d", len(batches), c.batches)
			}
		})
	}
}

func TestALoneAppendHasAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	log := open(t)
	for range 3 * minTogether {
		if _, err := log.Append(t.Context(), some("usr-1")); err != nil {
			t.Fatal(err)
		}
	}
	for id, stored := range logged(t, log.js) {
		if stored[0].Header.Get(jetstreamext.BatchIDHeader) != "" {
			t.Errorf("%s was in a batch", id)
		}
	}
}

func TestADuplicateSpoilsNoBatchAndIsToldToWhoSentIt(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, log *Log, events []event.Event){
		"of an event in the log": func(t *testing.T, log *Log, events []event.Event) {
			if _, err := log.Append(t.Context(), events[7]); err != nil {
				t.Fatal(err)
			}
		},
		"of an event in a batch before": func(t *testing.T, log *Log, events []event.Event) {
			appendAll(t, log, append(someOf(minTogether), events[7]))
		},
		"of an event in the same batch": func(_ *testing.T, _ *Log, events []event.Event) { events[11] = events[7] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := open(t)
			events := someOf(minTogether + 5)
			change(t, log, events)
			var duplicates []ident.EventID
			for i, o := range appendAll(t, log, events) {
				if o.err != nil {
					t.Errorf("event %d: %v", i, o.err)
				}
				if o.Duplicate {
					duplicates = append(duplicates, events[i].ID)
				}
			}
			if !slices.Equal(duplicates, []ident.EventID{events[7].ID}) {
				t.Errorf("duplicates %v, want %s", duplicates, events[7].ID)
			}
			messages := logged(t, log.js)
			for _, e := range events {
				if n := len(messages[e.ID]); n != 1 {
					t.Errorf("%s is stored %d times", e.ID, n)
				}
			}
		})
	}
}

func TestAMessageThatTheServerRefusesFailsAlone(t *testing.T) {
	t.Parallel()
	log := open(t)
	events := someOf(minTogether + 5)
	events[3].Process = string(make([]byte, log.js.Conn().MaxPayload()))
	for i, o := range appendAll(t, log, events) {
		if failed := o.err != nil; failed != (i == 3) {
			t.Errorf("event %d: %v", i, o.err)
		}
	}
	if n := len(logged(t, log.js)); n != len(events)-1 {
		t.Errorf("%d of %d are stored", n, len(events))
	}
}

func TestAnAppendWhoseCallerLeavesWhileItWaitsIsNotStored(t *testing.T) {
	t.Parallel()
	log := open(t)
	gone, stays := some("usr-1"), some("usr-1")
	ctx, leave := context.WithCancel(t.Context())
	var appending sync.WaitGroup
	gathered(t, log.commits, 1, func() {
		var leaving sync.WaitGroup
		leaving.Go(func() {
			if _, err := log.Append(ctx, gone); !errors.Is(err, context.Canceled) {
				t.Errorf("the caller who left was told %v", err)
			}
		})
		leave()
		leaving.Wait()
		appending.Go(func() {
			if _, err := log.Append(t.Context(), stays); err != nil {
				t.Error(err)
			}
		})
	})
	appending.Wait()
	messages := logged(t, log.js)
	if len(messages) != 1 || len(messages[stays.ID]) != 1 {
		t.Errorf("stored: %v", messages)
	}
}

func TestACallerWhoLeavesADecidedBatchDoesNotHoldItUp(t *testing.T) {
	t.Parallel()
	log := open(t)
	events := someOf(minTogether)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	outcomes := make([]outcome, len(events))
	var appending sync.WaitGroup
	gathered(t, log.commits, len(events), func() {
		for i, e := range events {
			of := t.Context()
			if i%2 == 0 {
				of = ctx
			}
			appending.Go(func() { outcomes[i].Receipt, outcomes[i].err = log.Append(of, e) })
		}
	})
	leave()
	appending.Wait()
	messages := logged(t, log.js)
	for i, e := range events {
		if outcomes[i].err == nil && len(messages[e.ID]) != 1 {
			t.Errorf("event %d was acknowledged and is not stored", i)
		}
		if i%2 == 1 && outcomes[i].err != nil {
			t.Errorf("event %d, whose caller stayed: %v", i, outcomes[i].err)
		}
	}
	if log.commits.alone != 0 || log.commits.together || len(log.commits.waiting) != 0 {
		t.Errorf(
			"after all have been answered: %d alone, together %v, %d waiting", log.commits.alone, log.commits.together,
			len(log.commits.waiting),
		)
	}
}

func TestAppendsOfAUserThatFollowOneAnotherKeepTheirOrderUnderLoad(t *testing.T) {
	t.Parallel()
	log := open(t)
	const users, each = 3 * minTogether, 12
	var appending sync.WaitGroup
	for k := range users {
		user := ident.UserID("usr-" + strconv.Itoa(k+1))
		appending.Go(func() {
			for n := range each {
				e := some(user)
				e.CreatedMs = int64(n + 1)
				if _, err := log.Append(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appending.Wait()
	for k := range users {
		events, _, err := log.Read(t.Context(), "pro-1", ident.UserID("usr-"+strconv.Itoa(k+1)), 1)
		if err != nil || len(events) != each {
			t.Fatalf("%d events, %v", len(events), err)
		}
		if !slices.IsSortedFunc(events, func(a, b event.Event) int { return int(a.CreatedMs - b.CreatedMs) }) {
			t.Errorf("user %d: out of order", k+1)
		}
	}
}

func TestRefusedBatchesAreToldFromUncertainOnes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"a duplicate":                {jetstreamext.ErrBatchPublishDuplicateMsgID, true},
		"a batch without its start":  {fmt.Errorf("commit: %w", jetstreamext.ErrBatchPublishIncomplete), true},
		"nobody there":               {nats.ErrNoResponders, true},
		"no answer in time":          {context.DeadlineExceeded, false},
		"a connection that was lost": {nats.ErrConnectionClosed, false},
		"a disk that failed":         {&jetstream.APIError{Code: 503, ErrorCode: 10077}, false},
		"an answer that is no JSON":  {jetstream.ErrInvalidJSAck, false},
	} {
		if got := refused(c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestPropertyEveryAppendIsAnsweredOnceWithTheTruth appends in any number at once, some of them twice and some by callers who leave.
func TestPropertyEveryAppendIsAnsweredOnceWithTheTruth(t *testing.T) {
	t.Parallel()
	log := open(t)
	acknowledged := make(map[ident.EventID]int)
	rapid.Check(t, func(r *rapid.T) {
		events := someOf(rapid.IntRange(1, 2*minTogether).Draw(r, "count"))
		repeats := rapid.SliceOfN(rapid.IntRange(0, len(events)-1), 0, 3).Draw(r, "repeats")
		for _, i := range repeats {
			events = append(events, events[i])
		}
		leaves := rapid.SliceOfN(rapid.Bool(), len(events), len(events)).Draw(r, "leaves")
		ctx, leave := context.WithCancel(t.Context())
		outcomes := make([]outcome, len(events))
		var appending sync.WaitGroup
		for i, e := range events {
			of := t.Context()
			if leaves[i] {
				of = ctx
			}
			appending.Go(func() { outcomes[i].Receipt, outcomes[i].err = log.Append(of, e) })
		}
		leave()
		appending.Wait()
		for i, o := range outcomes {
			if o.err != nil && !leaves[i] {
				r.Fatalf("event %d: %v", i, o.err)
			}
			if o.err == nil && !o.Duplicate {
				acknowledged[events[i].ID]++
			}
		}
	})
	messages := logged(t, log.js)
	for id, times := range acknowledged {
		if times != 1 || len(messages[id]) != 1 {
			t.Errorf("%s was acknowledged %d times and is stored %d times", id, times, len(messages[id]))
		}
	}
}
