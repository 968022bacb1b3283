package rowfile_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/sqlitefile"
	"github.com/keyward/keyward/services/decision/index/internal/rowfile"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

// BenchmarkIndex takes up as many decisions as KEYWARD_INDEX_DECISIONS says, 100,000 unless it is set, at 5,000 a second of theirs, and
// then asks for pages. make bench-index runs it with ten million, as the goals have it.
func BenchmarkIndex(b *testing.B) {
	many := 100_000
	if said, err := strconv.Atoi(os.Getenv("KEYWARD_INDEX_DECISIONS")); err == nil {
		many = said
	}
	for b.Loop() {
		w := newWorld(b, rowfile.Config{})
		taking := time.Duration(0)
		const batch = 256
		for w.next < uint64(many) {
			var messages []direct.Message
			for range batch {
				w.next++
				w.now = w.now.Add(200 * time.Microsecond)
				messages = append(messages, message(row(w.rand, w.next, w.now, 500_000)))
			}
			began := time.Now()
			at := projection.Position{Made: begin, Sequence: w.next}
			if err := w.file.Take(b.Context(), projection.Batch{Messages: messages, Position: at}); err != nil {
				b.Fatal(err)
			}
			taking += time.Since(began)
		}
		b.ReportMetric(float64(w.next)/taking.Seconds(), "decisions/s")
		b.ReportMetric(float64(sqlitefile.Size(w.cfg.Path))/float64(w.next), "bytes/decision")
		began := time.Now()
		w.reopen()
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-open")
		timed := func(name string, ask func() error) {
			const times = 20
			var took []time.Duration
			for range times {
				began := time.Now()
				if err := ask(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[times/2].Microseconds())/1000, name+"-ms")
			b.ReportMetric(float64(took[times-1].Microseconds())/1000, name+"-worst-ms")
		}
		for name, q := range pages(w.now) {
			timed(name, func() error {
				_, err := w.file.Find(b.Context(), q)
				return err
			})
		}
		for name, span := range map[string]time.Duration{"reasons": 0, "reasons-by-hour": time.Hour} {
			timed(name, func() error {
				_, err := w.file.Count(b.Context(), rowfile.Any(), rowfile.Reason, span.Milliseconds())
				return err
			})
		}
	}
}

// pages are such as people ask for.
func pages(now time.Time) map[string]rowfile.Query {
	page := func(offset int, terms ...rowfile.Term) rowfile.Query {
		q := rowfile.Any()
		q.Offset, q.Most, q.Terms = offset, 50, terms
		return q
	}
	hour := page(0, rowfile.Term{Of: rowfile.Tag, Word: "user-positive"})
	hour.From, hour.Until = now.Add(-40*time.Minute).UnixMilli(), now.Add(-10*time.Minute).UnixMilli()
	return map[string]rowfile.Query{
		"newest": page(0), "deep": page(50_000), "user": page(0, rowfile.Term{Of: rowfile.User, Word: "usr-77"}),
		"rare": page(0, rowfile.Term{Of: rowfile.Rule, Word: "L7a"}, rowfile.Term{Of: rowfile.Verdict, Word: "deny"},
			rowfile.Term{Of: rowfile.Browser, Word: "edge"}, rowfile.Term{Of: rowfile.OS, Word: "ios"}),
		"denied": page(0, rowfile.Term{Of: rowfile.Allow, Word: "false"}), "half-hour": hour,
	}
}
