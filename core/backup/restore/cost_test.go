package restore_test

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/backup/take"
	"github.com/keyward/keyward/core/bus"
)

// BenchmarkAppends stores events one after the other, which are flushed before they are acknowledged, alone and while one backup after the
// other is taken of 100,000: so many messages a second, or as fast as they can be read.
func BenchmarkAppends(b *testing.B) {
	const none, unbounded = -1, 0
	for name, perSecond := range map[string]int{"alone": none, "beside a backup": 20_000, "beside an unbounded backup": unbounded} {
		b.Run(name, func(b *testing.B) {
			cfg := bus.DefaultConfig()
			cfg.DataDir, cfg.SyncInterval = b.TempDir(), 0
			store, err := bus.Open(b.Context(), cfg, quiet())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(store.Close)
			append1 := func(i int) {
				subject := fmt.Sprintf("%s.pro-1.usr-%d.login-error", bus.EventsPrefix, i%5000)
				if _, err := store.JS.Publish(b.Context(), subject, make([]byte, 600)); err != nil {
					b.Error(err)
				}
			}
			var filling sync.WaitGroup
			const writers, each = 20, 5000
			for w := range writers {
				filling.Go(func() {
					for i := range each {
						append1(w*each + i)
					}
				})
			}
			filling.Wait()
			stop, backups := make(chan struct{}), 0
			var taking sync.WaitGroup
			if perSecond != none {
				taking.Go(func() {
					for ; ; backups++ {
						select {
						case <-stop:
							return
						default:
						}
						if _, err := take.Take(b.Context(), store.JS, io.Discard, take.Options{PerSecond: perSecond, Now: time.Now}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				append1(7)
			}
			close(stop)
			taking.Wait()
			b.ReportMetric(float64(backups), "backups")
		})
	}
}
