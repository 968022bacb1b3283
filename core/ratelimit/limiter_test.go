package ratelimit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that stands until it is moved. It starts at the begin of a window of ten seconds.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Date(2026, 1, 2, 3, 4, 10, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

type instance struct {
	*ratelimit.Limiter
	registry *prometheus.Registry
}

func newLimiter(tb testing.TB, cfg ratelimit.Config, client redis.UniversalClient, now func() time.Time) instance {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	l, err := ratelimit.New(cfg, ratelimit.Deps{Redis: client, Clock: now, Metrics: registry})
	if err != nil {
		tb.Fatal(err)
	}
	return instance{l, registry}
}

// passed returns how many of n calls were let through.
func (i instance) passed(n int, key string, limit ratelimit.Limit) int {
	var passed int
	for range n {
		if i.Take(ratelimit.Project, key, limit).Allowed {
			passed++
		}
	}
	return passed
}

func (i instance) exchange(t *testing.T) {
	t.Helper()
	if err := i.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var tenPerTen = ratelimit.Limit{Requests: 10, Per: 10 * time.Second}

func TestVerdictsFollowTheClock(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	take := func() ratelimit.Verdict { return l.Take(ratelimit.Project, "pro-1", tenPerTen) }
	steps := []struct {
		name  string
		after time.Duration
		calls int // before the one that is looked at
		want  ratelimit.Verdict
	}{
		{"the first call leaves nine", 0, 0, ratelimit.Verdict{Allowed: true, Limit: 10, Remaining: 9, Reset: 10 * time.Second}},
		{"the tenth leaves none", 4 * time.Second, 8, ratelimit.Verdict{Allowed: true, Limit: 10, Remaining: 0, Reset: 6 * time.Second}},
		{"the next is refused until one of ten no longer weighs", 0, 0, ratelimit.Verdict{Limit: 10, Reset: 7 * time.Second}},
		{"a refused call is not counted", 5 * time.Second, 100, ratelimit.Verdict{Limit: 10, Reset: 2 * time.Second}},
		{"just before that it is still refused", 2*time.Second - 1, 0, ratelimit.Verdict{Limit: 10, Reset: 1}},
		{"then one is let through", 1, 0, ratelimit.Verdict{Allowed: true, Limit: 10, Remaining: 0, Reset: 9 * time.Second}},
		{"and no second one", 0, 0, ratelimit.Verdict{Limit: 10, Reset: time.Second}},
		{
			"two windows later nothing weighs", 19 * time.Second, 0,
			ratelimit.Verdict{Allowed: true, Limit: 10, Remaining: 9, Reset: 10 * time.Second},
		},
	}
	for _, step := range steps {
		c.advance(step.after)
		for range step.calls {
			take()
		}
		if diff := cmp.Diff(step.want, take()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestWhatIsToldToWaitForIsEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClock()
		l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
		limit := ratelimit.Limit{Requests: rapid.IntRange(1, 50).Draw(rt, "requests"), Per: 10 * time.Second}
		for range rapid.IntRange(1, 200).Draw(rt, "calls") {
			c.advance(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(rt, "after")))
			v := l.Take(ratelimit.Project, "pro-1", limit)
			if v.Allowed {
				continue
			}
			if v.Reset <= 0 || v.Reset > 2*limit.Per {
				rt.Fatalf("told to wait for %s", v.Reset)
			}
			c.advance(v.Reset)
			if again := l.Take(ratelimit.Project, "pro-1", limit); !again.Allowed {
				rt.Fatalf("refused after the %s that it was told to wait: %+v", v.Reset, again)
			}
		}
	})
}

func TestNoAlignedWindowExceedsTheLimitAndNoSpanItsDouble(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClock()
		l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
		var passed []int64
		for range rapid.IntRange(1, 60).Draw(rt, "bursts") {
			c.advance(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(rt, "after")))
			for range l.passed(rapid.IntRange(1, 15).Draw(rt, "burst"), "pro-1", tenPerTen) {
				passed = append(passed, c.ns.Load())
			}
		}
		per, aligned := int64(tenPerTen.Per), map[int64]int{}
		for i, at := range passed {
			if aligned[at/per]++; aligned[at/per] > 10 {
				rt.Fatal("more than the limit in an aligned window")
			}
			if j := i + 19; j < len(passed) && passed[j]-at < per {
				rt.Fatal("twice the limit in a span of the limit's length")
			}
		}
	})
}

func TestKeysAndKindsAreCountedApart(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	if got := l.passed(20, "a", tenPerTen) + l.passed(20, "b", tenPerTen); got != 20 {
		t.Errorf("two keys let %d through, want 20", got)
	}
	if v := l.Take(ratelimit.Address, "a", tenPerTen); !v.Allowed || v.Remaining != 9 {
		t.Errorf("the same key of another kind: %+v", v)
	}
}

func TestALimitThatIsOffLetsAllThroughAndRemembersNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	if got := l.passed(1000, "a", ratelimit.Limit{}); got != 1000 {
		t.Errorf("let %d through", got)
	}
	expectKeys(t, l, 0)
}

func TestPeekCountsNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	for range 100 {
		if v := l.Peek(ratelimit.Login, "192.0.2.1", tenPerTen); !v.Allowed || v.Remaining != 10 {
			t.Fatalf("a peek at an unknown key: %+v", v)
		}
	}
	expectKeys(t, l, 0)
	for range 10 {
		l.Take(ratelimit.Login, "192.0.2.1", tenPerTen)
	}
	if v := l.Peek(ratelimit.Login, "192.0.2.1", tenPerTen); v.Allowed {
		t.Errorf("a peek after as many as are allowed: %+v", v)
	}
	expectMetric(t, l, `keyward_rate_limit_refused_total{kind="login"} 1`)
	expectMetric(t, l, `keyward_rate_limit_refused_total{kind="address"} 0`)
}

func TestAChangedLimitCounts(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	l.passed(10, "a", tenPerTen)
	if got := l.passed(20, "a", ratelimit.Limit{Requests: 15, Per: 10 * time.Second}); got != 5 {
		t.Errorf("a raised limit let %d more through, want 5", got)
	}
	if got := l.passed(20, "a", ratelimit.Limit{Requests: 3, Per: time.Minute}); got != 3 {
		t.Errorf("a limit of another length let %d through, want 3", got)
	}
}

func TestAClockThatGoesBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		back time.Duration
		want int
	}{
		"a little opens nothing":                  {3 * time.Second, 0},
		"far starts anew rather than wait for it": {time.Hour, 10},
	} {
		c := newClock()
		l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
		l.passed(10, "a", tenPerTen)
		c.advance(-test.back)
		if got := l.passed(20, "a", tenPerTen); got != test.want {
			t.Errorf("%s: let %d through, want %d", name, got, test.want)
		}
	}
}

func TestAKeyThatPointsIntoABufferIsCopied(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.DefaultConfig(), nil, c.now)
	buffer := []byte("192.0.2.1")
	l.passed(10, unsafe.String(&buffer[0], len(buffer)), tenPerTen)
	copy(buffer, "198.51.10")
	if got := l.passed(10, "192.0.2.1", tenPerTen); got != 0 {
		t.Errorf("the key was lost when its buffer was used again: %d let through", got)
	}
	if got := l.passed(10, "198.51.10", tenPerTen); got != 10 {
		t.Errorf("another key that came into the buffer was counted: %d let through", got)
	}
}

func TestTwoInstancesKeepOneLimitTogether(t *testing.T) {
	t.Parallel()
	c, client := newClock(), realRedis(t)
	one, two := newLimiter(t, ratelimit.DefaultConfig(), client, c.now), newLimiter(t, ratelimit.DefaultConfig(), client, c.now)
	limit := ratelimit.Limit{Requests: 100, Per: 10 * time.Second}
	exchange := func() {
		// The first instance to tell learns of the other with its next exchange.
		one.exchange(t)
		two.exchange(t)
	}
	passed := one.passed(30, "a", limit) + two.passed(20, "a", limit)
	for range 10 {
		exchange()
		passed += one.passed(5, "a", limit) + two.passed(5, "a", limit)
	}
	// Both know of all but one exchange's worth of the other.
	if passed < 100 || passed > 105 {
		t.Errorf("let %d through, want about 100", passed)
	}
	c.advance(10 * time.Second)
	if got := one.passed(10, "a", limit) + two.passed(10, "a", limit); got != 0 {
		t.Errorf("at the turn of windows %d were let through", got)
	}
	exchange()
	c.advance(5 * time.Second)
	if got := one.passed(100, "a", limit); got < 45 || got > 50 {
		t.Errorf("half a window later %d were let through, want about 50", got)
	}
	exchange()
	if got := two.passed(1, "a", limit); got != 1 {
		t.Errorf("an instance that was told nothing yet refused a call")
	}
	exchange()
	if got := two.passed(10, "a", limit); got != 0 {
		t.Errorf("an instance that was told let %d through", got)
	}
}

func TestCountsInRedisExpire(t *testing.T) {
	t.Parallel()
	c, client := newClock(), realRedis(t)
	l := newLimiter(t, ratelimit.DefaultConfig(), client, c.now)
	for range 3 {
		l.passed(2, "pro-1", tenPerTen)
		l.exchange(t)
		c.advance(10 * time.Second)
	}
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 3 {
		t.Errorf("keys are %q, want three", keys)
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "{rate/project/pro-1}:10000:") {
			t.Errorf("key %q", key)
		}
		if ttl := client.PTTL(t.Context(), key).Val(); ttl <= 10*time.Second || ttl > 2*time.Minute {
			t.Errorf("%s expires in %s", key, ttl)
		}
	}
}

func TestWithoutRedisEachInstanceKeepsTheLimitByItself(t *testing.T) {
	t.Parallel()
	c := newClock()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	l := newLimiter(t, ratelimit.DefaultConfig(), client, c.now)
	var passed int
	for range 5 {
		passed += l.passed(4, "a", tenPerTen)
		if l.Exchange(t.Context()) == nil {
			t.Fatal("an exchange with an absent Redis is said to have worked")
		}
	}
	if passed != 10 {
		t.Errorf("let %d through, want 10", passed)
	}
	expectMetric(t, l, "keyward_rate_limit_exchange_failures_total 5")
}

func TestARedisThatForgetsOpensNothing(t *testing.T) {
	t.Parallel()
	c, client := newClock(), realRedis(t)
	l := newLimiter(t, ratelimit.DefaultConfig(), client, c.now)
	l.passed(8, "a", tenPerTen)
	l.exchange(t)
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	got := l.passed(1, "a", tenPerTen)
	l.exchange(t)
	if got += l.passed(10, "a", tenPerTen); got != 2 {
		t.Errorf("let %d more through, want 2", got)
	}
}

func TestConcurrentCallersOfTwoRunningInstances(t *testing.T) {
	t.Parallel()
	client := realRedis(t)
	c := newClock()
	cfg := ratelimit.Config{Interval: 2 * time.Millisecond, MaxKeys: 1000}
	ctx, cancel := context.WithCancel(t.Context())
	var running, callers sync.WaitGroup
	limit := ratelimit.Limit{Requests: 5000, Per: 10 * time.Second}
	var passed atomic.Int64
	for range 2 {
		l := newLimiter(t, cfg, client, c.now)
		running.Go(func() { l.Run(ctx) })
		for range 8 {
			callers.Go(func() {
				for i := 0; i < 100_000; i++ {
					if l.Take(ratelimit.Project, "a", limit).Allowed {
						passed.Add(1)
					}
					l.Take(ratelimit.Address, fmt.Sprint("10.0.0.", i%200), tenPerTen)
				}
			})
		}
	}
	callers.Wait()
	cancel()
	running.Wait()
	if got := passed.Load(); got < 5000 || got > 10_000 {
		t.Errorf("let %d through, want 5000 to 10000", got)
	}
	// What was let through has been told, to the last call.
	fresh := newLimiter(t, cfg, client, c.now)
	fresh.Take(ratelimit.Project, "a", limit)
	fresh.exchange(t)
	if v := fresh.Take(ratelimit.Project, "a", limit); v.Allowed {
		t.Errorf("a new instance let a call through: %+v", v)
	}
}

func TestMemoryIsBoundedAndTheBusiestKeysAreKept(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.Config{Interval: time.Second, MaxKeys: 6400}, nil, c.now)
	if got := l.passed(20, "busy", tenPerTen); got != 10 {
		t.Fatalf("let %d through", got)
	}
	for i := range 200_000 {
		l.Take(ratelimit.Project, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), tenPerTen)
	}
	if got := l.passed(1, "busy", tenPerTen); got != 0 {
		t.Error("a flood of keys made the limiter forget the busiest")
	}
	expectKeys(t, l, 6400)
	if metric(t, l, "keyward_rate_limit_forgotten_total 0") == nil {
		t.Error("nothing is said to have been forgotten")
	}
}

func TestIdleKeysAreForgotten(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := newLimiter(t, ratelimit.Config{Interval: time.Millisecond, MaxKeys: 6400}, nil, c.now)
	for i := range 1000 {
		l.Take(ratelimit.Address, fmt.Sprint(i), tenPerTen)
	}
	c.advance(10 * time.Second)
	l.Take(ratelimit.Address, "kept", tenPerTen)
	c.advance(10 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	defer running.Wait()
	defer cancel()
	deadline := time.Now().Add(time.Minute)
	for metric(t, l, "keyward_rate_limit_keys 1") != nil {
		if time.Now().After(deadline) {
			t.Fatal(metric(t, l, "keyward_rate_limit_keys 1"))
		}
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, cfg := range []ratelimit.Config{
		{}, {Interval: time.Second}, {Interval: time.Minute, MaxKeys: 1000}, {Interval: time.Second, MaxKeys: 63},
	} {
		if _, err := ratelimit.New(cfg, ratelimit.Deps{Clock: time.Now, Metrics: prometheus.NewRegistry()}); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

// realRedis runs a redis-server of our own.
func realRedis(tb testing.TB) redis.UniversalClient {
	tb.Helper()
	config := cache.DefaultConfig()
	config.URL, config.Timeout = redistest.Serve(tb), time.Minute
	c, err := cache.Open(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c.Client
}

func expectKeys(t *testing.T, l instance, want int) {
	t.Helper()
	expectMetric(t, l, fmt.Sprint("keyward_rate_limit_keys ", want))
}

func expectMetric(t *testing.T, l instance, line string) {
	t.Helper()
	if err := metric(t, l, line); err != nil {
		t.Error(err)
	}
}

// metric reports how the metrics differ from a line that they should hold.
func metric(t *testing.T, l instance, line string) error {
	t.Helper()
	families, err := l.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels string
			for _, pair := range m.GetLabel() {
				labels = fmt.Sprintf("{%s=%q}", pair.GetName(), pair.GetValue())
			}
			lines = append(lines, fmt.Sprint(family.GetName(), labels, " ", m.GetCounter().GetValue()+m.GetGauge().GetValue()))
		}
	}
	for _, have := range lines {
		if have == line {
			return nil
		}
	}
	return fmt.Errorf("metrics are %q, without %q", lines, line)
}
