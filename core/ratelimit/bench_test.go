package ratelimit_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/core/ratelimit"
)

var generous = ratelimit.Limit{Requests: 1_000_000_000, Per: 10 * time.Second}

// BenchmarkTake is what a limit costs a call, with the wall clock: of one key that all share, and of many keys.
func BenchmarkTake(b *testing.B) {
	b.Run("one key", func(b *testing.B) {
		l := newLimiter(b, ratelimit.DefaultConfig(), nil, time.Now)
		b.ReportAllocs()
		for b.Loop() {
			l.Take(ratelimit.Project, "pro-8649286718", generous)
		}
	})
	b.Run("one key, all processors", func(b *testing.B) {
		l := newLimiter(b, ratelimit.DefaultConfig(), nil, time.Now)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				l.Take(ratelimit.Project, "pro-8649286718", generous)
			}
		})
	})
	keys := make([]string, 1<<17)
	for i := range keys {
		keys[i] = fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
	}
	for name, n := range map[string]int{"50000 keys, all processors": 50_000, "more keys than are kept, all processors": len(keys)} {
		b.Run(name, func(b *testing.B) {
			l := newLimiter(b, ratelimit.DefaultConfig(), nil, time.Now)
			var next atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := int(next.Add(1)) * 7919
				for pb.Next() {
					i++
					l.Take(ratelimit.Address, keys[i%n], generous)
				}
			})
		})
	}
}

// BenchmarkExchange is one exchange of 1,000 busy keys with a real Redis: what 10,000 addresses a second cost ten times a second.
func BenchmarkExchange(b *testing.B) {
	l := newLimiter(b, ratelimit.DefaultConfig(), realRedis(b), time.Now)
	b.ReportAllocs()
	for b.Loop() {
		for i := range 1000 {
			l.Take(ratelimit.Address, fmt.Sprint("10.0.0.", i), generous)
		}
		if err := l.Exchange(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
