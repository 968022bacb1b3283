package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/rpc"
)

// hung is an instance that takes calls and answers none; pings it answers until it is deaf.
type hung struct {
	deaf  atomic.Bool
	taken atomic.Int64
	last  atomic.Pointer[nats.Msg]
}

// seed returns that of the last call it took.
func (h *hung) seed() ident.Seed { return ident.Seed(h.last.Load().Header.Get("Keyward-Seed")) }

func hang(t *testing.T, conn *nats.Conn) *hung {
	t.Helper()
	h := &hung{}
	identity := micro.ServiceIdentity{Name: "keyward-oracle", ID: "HUNG", Version: "0.0.1", Metadata: map[string]string{"addressed": "true"}}
	pong, err := json.Marshal(micro.Ping{ServiceIdentity: identity, Type: micro.PingResponseType})
	if err != nil {
		t.Fatal(err)
	}
	take := func(msg *nats.Msg) {
		h.last.Store(msg)
		h.taken.Add(1)
	}
	for _, err := range []error{
		second(conn.Subscribe("$SRV.PING.keyward-oracle", func(msg *nats.Msg) {
			if !h.deaf.Load() {
				_ = msg.Respond(pong)
			}
		})),
		second(conn.QueueSubscribe("keyward.oracle.ask", micro.DefaultQueueGroup, take)),
		second(conn.Subscribe("keyward.oracle.ask.HUNG", take)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func second(_ *nats.Subscription, err error) error { return err }

// left waits until calls are answered one after the other without any of them going to the instance that hangs.
func (h *hung) left(t *testing.T, client *rpc.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for in, before := 0, h.taken.Load(); in < 20; in++ {
		if _, err := ask(ctx, client); err != nil {
			if ctx.Err() != nil {
				t.Fatal("it still gets calls")
			}
			in = 0
		}
		if now := h.taken.Load(); now != before {
			in, before = 0, now
		}
	}
}

func echo(_ context.Context, q question) (answer, error) { return answer{Text: q.Text}, nil }

func TestAnInstanceThatAnswersNoPingsGetsNoCalls(t *testing.T) {
	t.Parallel()
	conn := serveOn(t, rpc.Options{}, echo)
	h := hang(t, conn)
	client := rpc.NewClient(conn, "oracle", rpc.Within(500*time.Millisecond))
	met := time.After(time.Minute)
	for h.taken.Load() == 0 {
		_, _ = ask(t.Context(), client)
		select {
		case <-met:
			t.Fatal("it never gets a call")
		default:
		}
	}
	h.deaf.Store(true)
	h.left(t, client)
}

func TestAnInstanceThatAnswersPingsButNoCallsGetsNone(t *testing.T) {
	t.Parallel()
	conn := serveOn(t, rpc.Options{}, echo)
	h := hang(t, conn)
	for name, client := range map[string]*rpc.Client{
		"what may be asked once":  rpc.NewClient(conn, "oracle", rpc.Within(2*time.Second)),
		"what may be asked again": rpc.NewClient(conn, "oracle", rpc.Within(time.Minute), "ask"),
	} {
		h.left(t, client)
		if t.Failed() {
			t.Error(name)
		}
	}
}

func TestWithoutHedgingNothingIsAskedTwiceAndShunningTakesAsManyLossesAsItSays(t *testing.T) {
	t.Parallel()
	conn := serveOn(t, rpc.Options{}, echo)
	h := hang(t, conn)
	limits := rpc.Within(300 * time.Millisecond)
	limits.HedgeAfter, limits.Silence, limits.Losses, limits.Shunned = 0, time.Minute, 2, 0
	client := rpc.NewClient(conn, "oracle", limits, "ask")
	failed := 0
	for end := time.Now().Add(time.Minute); failed < 3 && time.Now().Before(end); {
		if _, err := ask(t.Context(), client); err != nil {
			failed++
		}
	}
	if failed != 3 || h.taken.Load() != int64(failed) {
		t.Errorf("%d calls failed, the instance that hangs has taken %d", failed, h.taken.Load())
	}
}

func TestLimitsThatCannotBeAreRefusedByTheNameOfTheirSetting(t *testing.T) {
	t.Parallel()
	if err := rpc.Within(5 * time.Second).Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for setting, change := range map[string]func(*rpc.Limits){
		"call_timeout":     func(l *rpc.Limits) { l.Timeout = 0; l.HedgeAfter = 0 },
		"call_hedge_after": func(l *rpc.Limits) { l.HedgeAfter = l.Timeout },
		"call_asks":        func(l *rpc.Limits) { l.Asks = 0 },
		"call_silence":     func(l *rpc.Limits) { l.Silence = time.Millisecond },
		"call_losses":      func(l *rpc.Limits) { l.Losses = 0 },
		"call_shunned":     func(l *rpc.Limits) { l.Shunned = -1 },
	} {
		limits := rpc.Within(5 * time.Second)
		change(&limits)
		if said := fmt.Sprint(limits.Validate()); !strings.HasPrefix(said, setting+":") || strings.Contains(said, "\n") {
			t.Errorf("%s: %s", setting, said)
		}
	}
}

func TestWhatMayBeAskedAgainWithASeedIsAskedWithTheSameAndIsAnsweredThoughAnInstanceHangs(t *testing.T) {
	t.Parallel()
	var given atomic.Value
	conn := serveOn(t, rpc.Options{}, func(ctx context.Context, q question) (answer, error) {
		given.Store(reqctx.Seed(ctx))
		return answer{Text: q.Text}, nil
	})
	h := hang(t, conn)
	client := rpc.NewClient(conn, "oracle", rpc.Within(time.Minute)).Seeding("ask")
	met := time.After(time.Minute)
	for seeds := map[ident.Seed]bool{}; h.taken.Load() < 3; {
		before := h.taken.Load()
		if _, err := ask(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		last := given.Load().(ident.Seed)
		if seeds[last] || last == "" {
			t.Fatalf("the seed %q is none of its own", last)
		}
		seeds[last] = true
		if h.taken.Load() > before && h.seed() != last {
			t.Fatalf("asked with the seed %q, and again with %q", h.seed(), last)
		}
		select {
		case <-met:
			t.Fatal("the instance that hangs gets no calls")
		default:
		}
	}
	own := reqctx.WithSeed(t.Context(), "of-the-caller")
	if _, err := ask(own, client); err != nil || given.Load() != ident.Seed("of-the-caller") {
		t.Errorf("a caller's own seed came as %q, %v", given.Load(), err)
	}
}

func TestWhatMayBeAskedAgainIsAnsweredThoughAnInstanceHangs(t *testing.T) {
	t.Parallel()
	conn := serveOn(t, rpc.Options{}, echo)
	h := hang(t, conn)
	client := rpc.NewClient(conn, "oracle", rpc.Within(time.Minute), "ask")
	for range 20 {
		if _, err := ask(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	if h.taken.Load() == 0 {
		t.Error("none of them was asked of the instance that hangs")
	}
}
