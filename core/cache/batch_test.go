package cache

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/redistest"
)

// gate holds commands back until it is opened, and counts what was sent.
type gate struct {
	open             chan struct{}
	entered          chan struct{}
	single, together atomic.Int32
}

func newGate() *gate { return &gate{open: make(chan struct{}), entered: make(chan struct{}, 100)} }

func (g *gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hget" {
			g.single.Add(1)
			g.entered <- struct{}{}
			<-g.open
		}
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		g.together.Add(1)
		return next(ctx, cmds)
	}
}

// opened returns a client of a Redis of our own.
func opened(t *testing.T) *Cache {
	t.Helper()
	config := DefaultConfig()
	config.URL, config.Timeout = redistest.Double(t), time.Minute
	c, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func hget(k int) *redis.StringCmd {
	return redis.NewStringCmd(context.Background(), "hget", "key", fmt.Sprint(k))
}

func TestEveryCallerOfABatchGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	c := opened(t)
	const callers, rounds = 16, 200
	for k := range callers {
		if err := c.Client.HSet(t.Context(), "key", fmt.Sprint(k), fmt.Sprint("value ", k)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	batch := NewBatch(c.Client.(*redis.Client))
	var work sync.WaitGroup
	for k := range callers {
		work.Go(func() {
			for range rounds {
				cmd := hget(k)
				if err := batch.Do(t.Context(), cmd); err != nil || cmd.Val() != fmt.Sprint("value ", k) {
					t.Errorf("caller %d got %q, %v", k, cmd.Val(), err)
					return
				}
			}
		})
	}
	work.Wait()
	if err := batch.Do(t.Context(), hget(callers)); !errors.Is(err, redis.Nil) {
		t.Errorf("a missing field: %v", err)
	}
}

func TestWhatComesWhileACommandIsUnderWayIsSentTogether(t *testing.T) {
	t.Parallel()
	c, g := opened(t), newGate()
	c.Client.AddHook(g)
	batch := NewBatch(c.Client.(*redis.Client))
	var work sync.WaitGroup
	work.Go(func() { _ = batch.Do(t.Context(), hget(0)) })
	<-g.entered
	leaving, leave := context.WithCancel(t.Context())
	results := make(chan error, 20)
	for k := range 20 {
		ctx := t.Context()
		if k%4 == 0 {
			ctx = leaving
		}
		work.Go(func() { results <- batch.Do(ctx, hget(k)) })
	}
	batch.await(20)
	// Those who leave do not wait for the one who sends.
	leave()
	for range 5 {
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: %v", err)
		}
	}
	batch.await(15)
	close(g.open)
	work.Wait()
	for range 15 {
		if err := <-results; !errors.Is(err, redis.Nil) {
			t.Errorf("a caller who stayed: %v", err)
		}
	}
	if single, together := g.single.Load(), g.together.Load(); single != 1 || together != 1 {
		t.Errorf("%d commands were sent alone and %d batches, want one of each", single, together)
	}
	if err := batch.Do(t.Context(), hget(0)); !errors.Is(err, redis.Nil) {
		t.Errorf("afterwards: %v", err)
	}
}

// await returns when n callers wait.
func (b *Batch) await(n int) {
	for {
		b.mu.Lock()
		waiting := len(b.waiting)
		b.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func TestABatchLastsAsLongAsTheMostPatientOfItsCallers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		until []time.Time
		want  time.Time
	}{
		"all have a deadline":        {[]time.Time{now.Add(time.Hour), now.Add(3 * time.Hour), now.Add(2 * time.Hour)}, now.Add(3 * time.Hour)},
		"one waits however long":     {[]time.Time{now.Add(time.Hour), {}}, time.Time{}},
		"its sender has left by now": {[]time.Time{now.Add(-time.Hour), now.Add(time.Hour)}, now.Add(time.Hour)},
	} {
		var calls []*call
		for _, until := range c.until {
			calls = append(calls, &call{until: until})
		}
		ctx, cancel := asLongAsAny(left, calls)
		if got, _ := ctx.Deadline(); !got.Equal(c.want) || ctx.Err() != nil {
			t.Errorf("%s: until %s, %v; want %s", name, got, ctx.Err(), c.want)
		}
		cancel()
	}
}

func TestAFirstInLineWhoLeavesPassesItsTurnOn(t *testing.T) {
	t.Parallel()
	c, g := opened(t), newGate()
	c.Client.AddHook(g)
	batch := NewBatch(c.Client.(*redis.Client))
	first, second := &call{
		cmds: []redis.Cmder{hget(1)}, turn: make(chan bool, 1),
	}, &call{
		cmds: []redis.Cmder{hget(2)}, turn: make(chan bool, 1),
	}
	batch.sending, batch.waiting = true, []*call{first, second}
	batch.passOn() // to the first, who is just leaving
	batch.leave(first)
	if got := <-second.turn; !got {
		t.Error("the second was not told to send")
	}
	second.turn <- true
	batch.leave(second)
	if batch.sending || len(batch.waiting) != 0 {
		t.Errorf("sending %v with %d waiting after all have left", batch.sending, len(batch.waiting))
	}
}

func TestAServerThatGoesAwayFailsEveryCallerOfABatchAndLaterOnesAreServed(t *testing.T) {
	t.Parallel()
	c := opened(t)
	options := *c.Client.(*redis.Client).Options()
	var cut atomic.Bool
	options.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if cut.Load() {
			return nil, errors.New("cut off")
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	batch := NewBatch(client)
	cut.Store(true)
	var work sync.WaitGroup
	for k := range 10 {
		work.Go(func() {
			if err := batch.Do(t.Context(), hget(k)); err == nil || errors.Is(err, redis.Nil) {
				t.Errorf("caller %d: %v", k, err)
			}
		})
	}
	work.Wait()
	cut.Store(false)
	for range 1000 {
		if errors.Is(batch.Do(t.Context(), hget(0)), redis.Nil) {
			return
		}
	}
	t.Error("not served after the server was back")
}
