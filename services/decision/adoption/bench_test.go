package adoption_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/services/decision/adoption"
)

// BenchmarkCounting counts what 5,000 calls leave behind, half of them starts, whose decisions are recorded: it tells how much of a core
// that takes a second, reading the streams of the server within the process included.
func BenchmarkCounting(b *testing.B) {
	w := newWorld(b)
	const starts = 2500
	for b.Loop() {
		b.StopTimer()
		for range 4 {
			w.live(starts)
		}
		before, asked := spent(b), w.asked()
		b.StartTimer()
		c := w.count(adoption.DefaultConfig(), b.TempDir())
		for c.asked(b) < asked {
			<-time.After(50 * time.Millisecond)
		}
		b.StopTimer()
		used := spent(b) - before
		b.ReportMetric(100*used.Seconds()/float64(asked)*starts, "%-of-a-core-at-5000-calls/s")
		b.ReportMetric(float64(asked)/used.Seconds(), "starts/cpu-s")
		c.stop()
		b.StartTimer()
	}
}

// spent is the processor time of the process.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
