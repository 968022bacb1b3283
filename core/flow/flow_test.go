package flow_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/flow"
)

// stream is the one that tests flow into. It may be asked for anything.
type stream struct {
	*bus.Bus
	cfg jetstream.StreamConfig
}

const subject = "flow.test"

func openStream(t *testing.T, change func(*jetstream.StreamConfig)) stream {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s := stream{Bus: b, cfg: jetstream.StreamConfig{Name: "FLOW", Subjects: []string{subject + ".>"}, AllowBatchPublish: true}}
	change(&s.cfg)
	s.create(t)
	return s
}

func (s stream) create(t *testing.T) {
	t.Helper()
	if _, err := s.JS.CreateStream(t.Context(), s.cfg); err != nil {
		t.Fatal(err)
	}
}

// stored returns the numbers that the stream has, in its order.
func (s stream) stored(t *testing.T) []int {
	t.Helper()
	from, err := s.JS.Stream(t.Context(), s.cfg.Name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := from.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	numbers := []int{}
	for at := info.State.FirstSeq; at <= info.State.LastSeq && info.State.Msgs > 0; at++ {
		msg, err := from.GetMsg(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(string(msg.Data))
		if err != nil || !strings.HasSuffix(msg.Subject, fmt.Sprint(subject, ".", number%7)) || msg.Header.Get("number") != string(msg.Data) {
			t.Errorf("message %d: %q, %v", at, msg.Data, msg)
		}
		numbers = append(numbers, number)
	}
	return numbers
}

func open(s stream, most int, lost *atomic.Int64) *flow.Flow[int] {
	return flow.New(flow.Config[int]{
		JS: s.JS, Stream: s.cfg.Name, Most: most, Drain: 2 * time.Minute, Lost: func(n int) { lost.Add(int64(n)) },
		Render: func(number int, into *nats.Msg) {
			into.Subject = fmt.Sprint(subject, ".", number%7)
			into.Data = strconv.AppendInt(into.Data[:0], int64(number), 10)
			into.Header = nats.Header{"number": {string(into.Data)}}
		},
	})
}

// run returns a function that ends the flow and waits for it.
func run(t *testing.T, f *flow.Flow[int]) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var owned sync.WaitGroup
	owned.Go(func() { f.Run(ctx) })
	end = func() { cancel(); owned.Wait() }
	t.Cleanup(end)
	return end
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func held(f *flow.Flow[int]) (n int) {
	f.Held(func(int) { n++ })
	return n
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal(what)
		case <-tick.C:
		}
	}
}

func TestWhatIsTakenIsStoredOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"by a stream that takes batches":       func(*jetstream.StreamConfig) {},
		"by one that is written in background": func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"by one that knows no batches":         func(c *jetstream.StreamConfig) { c.AllowBatchPublish = false },
	} {
		for _, c := range []struct {
			name string
			n    int
			then func(t *testing.T, f *flow.Flow[int], end func()) // after all were taken
		}{
			{"one, and the flow goes on", 1, func(t *testing.T, f *flow.Flow[int], _ func()) {
				t.Helper()
				until(t, "it is held still", func() bool { return held(f) == 0 })
			}},
			{"more than a window, and the flow goes on", 2000, func(t *testing.T, f *flow.Flow[int], _ func()) {
				t.Helper()
				until(t, "some are held still", func() bool { return held(f) == 0 })
			}},
			{"more than a window, and the flow ends", 2000, func(_ *testing.T, _ *flow.Flow[int], end func()) { end() }},
			{"nothing, and the flow ends", 0, func(_ *testing.T, _ *flow.Flow[int], end func()) { end() }},
		} {
			t.Run(name+": "+c.name, func(t *testing.T) {
				t.Parallel()
				s := openStream(t, change)
				var lost atomic.Int64
				f := open(s, 5000, &lost).Accept()
				end := run(t, f)
				for n := range c.n {
					if !f.Add(n) {
						t.Fatalf("%d was not taken", n)
					}
				}
				c.then(t, f, end)
				if diff := cmp.Diff(numbers(c.n), s.stored(t)); diff != "" || lost.Load() != 0 {
					t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
				}
			})
		}
	}
}

func TestManyHandOverAtOnce(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(*jetstream.StreamConfig) {})
	var lost atomic.Int64
	f := open(s, 100_000, &lost).Accept()
	end := run(t, f)
	const callers, each = 8, 500
	var work sync.WaitGroup
	for c := range callers {
		work.Go(func() {
			for n := range each {
				if !f.Add(c*each + n) {
					t.Error("one was not taken")
				}
			}
		})
	}
	work.Wait()
	end()
	seen, last := map[int]bool{}, map[int]int{}
	for _, number := range s.stored(t) {
		if seen[number] || number < last[number/each] {
			t.Errorf("%d is there twice, or before one of its caller's that came earlier", number)
		}
		seen[number], last[number/each] = true, number
	}
	if len(seen) != callers*each || lost.Load() != 0 {
		t.Errorf("%d are stored, %d lost", len(seen), lost.Load())
	}
}

func TestNoMoreIsTakenThanMayBeHeld(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(*jetstream.StreamConfig) {})
	var lost atomic.Int64
	f := open(s, 3, &lost)
	if f.Add(0) {
		t.Error("one was taken before somebody sends it")
	}
	f.Accept()
	taken := 0
	for n := range 5 {
		if f.Add(n) {
			taken++
		}
	}
	if taken != 3 || held(f) != 3 {
		t.Errorf("%d were taken, %d are held", taken, held(f))
	}
	run(t, f)()
	if f.Add(6) {
		t.Error("one was taken after the end")
	}
	if diff := cmp.Diff(numbers(3), s.stored(t)); diff != "" || lost.Load() != 0 {
		t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
	}
}

// TestWhoWaitsIsNotHeldUpByWhatComesLater has another of the kind come before each that is sent, so that one is always held.
func TestWhoWaitsIsNotHeldUpByWhatComesLater(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(*jetstream.StreamConfig) {})
	var f *flow.Flow[int]
	var enough atomic.Bool
	f = flow.New(flow.Config[int]{
		JS: s.JS, Stream: s.cfg.Name, Most: 5000, Drain: time.Minute, Lost: func(n int) { t.Errorf("%d are lost", n) },
		Render: func(number int, into *nats.Msg) {
			into.Subject = subject + ".0"
			if !enough.Load() {
				f.Add(number + 1)
			}
		},
	}).Accept()
	f.Add(0)
	end := run(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := f.Wait(ctx, func(int) bool { return true })
	if held(f) == 0 {
		t.Error("nothing came later")
	}
	enough.Store(true)
	if err != nil {
		t.Error(err)
	}
	end()
}

func TestWhatTheServerDoesNotTakeIsLostAndCounted(t *testing.T) {
	t.Parallel()
	const all = 1200
	for _, c := range []struct {
		name   string
		most   int32 // bytes of a message, headers too
		stored int
	}{
		{"from the first on", 1, 0},
		{"from the first with four digits on", 29, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := openStream(t, func(cfg *jetstream.StreamConfig) { cfg.MaxMsgSize = c.most })
			var lost atomic.Int64
			f := open(s, 5000, &lost).Accept()
			end := run(t, f)
			for n := range all {
				f.Add(n)
			}
			end()
			stored := s.stored(t)
			slices.Sort(stored)
			stored = slices.Compact(stored) // a batch that breaks may be sent once more
			if diff := cmp.Diff(numbers(c.stored), stored); diff != "" || lost.Load() != int64(all-c.stored) {
				t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
			}
		})
	}
}

// TestWhatStandsBetweenAndKnowsNoBatches has somebody else publish each message, as an account does that lets others write to its streams.
func TestWhatStandsBetweenAndKnowsNoBatches(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(c *jetstream.StreamConfig) { c.Subjects = []string{"kept." + subject + ".>"} })
	between, err := s.Conn.Subscribe(subject+".>", func(msg *nats.Msg) {
		on := &nats.Msg{Subject: "kept." + msg.Subject, Header: msg.Header, Data: msg.Data}
		ack, err := s.JS.PublishMsg(context.Background(), on)
		if err != nil {
			return
		}
		_ = msg.Respond(fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, ack.Stream, ack.Sequence))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = between.Unsubscribe() })
	var lost atomic.Int64
	f := open(s, 5000, &lost).Accept()
	end := run(t, f)
	for n := range 700 {
		f.Add(n)
	}
	end()
	if diff := cmp.Diff(numbers(700), s.stored(t)); diff != "" || lost.Load() != 0 {
		t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
	}
}

// TestWhatABatchEndsWithoutIsSentOnceMore has a server forget each batch after its first message, and say so at its end.
func TestWhatABatchEndsWithoutIsSentOnceMore(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(c *jetstream.StreamConfig) { c.Subjects = []string{"kept." + subject + ".>"} })
	forgetful, err := s.Conn.Subscribe(subject+".>", func(msg *nats.Msg) {
		switch answer, is := strings.CutSuffix(msg.Reply, ".$FI"); {
		case is && strings.HasSuffix(answer, ".3"): // the end
			_ = msg.Respond([]byte(`{"stream":"FLOW","seq":1,"batch":"b","count":1}`))
			return
		case is && !strings.HasSuffix(answer, ".1.0"): // not the first
			return
		}
		ack, err := s.JS.PublishMsg(context.Background(), &nats.Msg{Subject: "kept." + msg.Subject, Header: msg.Header, Data: msg.Data})
		if err != nil {
			return
		}
		answer := fmt.Sprintf(`{"stream":%q,"seq":%d}`, ack.Stream, ack.Sequence)
		if strings.HasSuffix(msg.Reply, ".$FI") {
			answer = `{"type":"ack","seq":1}`
		}
		_ = msg.Respond([]byte(answer))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = forgetful.Unsubscribe() })
	var lost atomic.Int64
	f := open(s, 5000, &lost).Accept()
	end := run(t, f)
	for n := range 200 {
		f.Add(n)
	}
	until(t, "some are held still", func() bool { return held(f) == 0 })
	end()
	if diff := cmp.Diff(numbers(200), s.stored(t)); diff != "" || lost.Load() != 0 {
		t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
	}
}

// TestAStreamThatIsMadeAnewIsFoundAgain lets the stream go while a batch is under way, and come back.
func TestAStreamThatIsMadeAnewIsFoundAgain(t *testing.T) {
	t.Parallel()
	s := openStream(t, func(*jetstream.StreamConfig) {})
	var lost atomic.Int64
	f := open(s, 5000, &lost).Accept()
	end := run(t, f)
	f.Add(0)
	until(t, "the first is held still", func() bool { return held(f) == 0 })
	if err := s.JS.DeleteStream(t.Context(), s.cfg.Name); err != nil {
		t.Fatal(err)
	}
	f.Add(1)
	until(t, "what nobody takes is held still", func() bool { return held(f) == 0 })
	if lost.Load() != 1 {
		t.Errorf("%d are lost, not 1", lost.Load())
	}
	s.create(t)
	f.Add(2)
	until(t, "what the stream takes again is held still", func() bool { return held(f) == 0 })
	sent, err := s.Conn.SubscribeSync(subject + ".3")
	if err != nil {
		t.Fatal(err)
	}
	f.Add(3)
	end()
	if msg, err := sent.NextMsg(time.Minute); err != nil || !strings.HasSuffix(msg.Reply, ".$FI") {
		t.Errorf("batches were not begun again: %v, %v", msg, err)
	}
	if diff := cmp.Diff([]int{2, 3}, s.stored(t)); diff != "" || lost.Load() != 1 {
		t.Errorf("%d lost (-want +got)\n%s", lost.Load(), diff)
	}
}
