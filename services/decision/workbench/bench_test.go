package workbench_test

import (
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/workbench"
)

// BenchmarkShadow judges logins on all processors, alone and beside a shadow of all of them, which takes the same processors. What it skips
// is shown, since that costs nothing.
func BenchmarkShadow(b *testing.B) {
	store := open(b, workbench.Config{})
	store.push(b, ada, rowed(b, "r1"))
	store.push(b, ada, rowed(b, "r2"))
	store.push(b, ada, revised(b, "r3", func(files fstest.MapFS) {
		policiestest.Edit(b, files, "data.json", `"doubtSeconds": 2592000`, `"doubtSeconds": 5184000`)
	}))
	store.live(b, ada, 1)
	svc := store.instance(b, nil)
	for _, c := range []struct {
		name     string
		revision int32
	}{{"alone", 0}, {"beside one that finds the same facts", 2}, {"beside one that finds others", 3}} {
		b.Run(c.name, func(b *testing.B) {
			if c.revision != 0 {
				must[operator.PolicyChange](b)(store.shadow(b.Context(), ada, operator.PolicyShadowReq{Step: "begin", Revision: &c.revision}))
				<-time.After(time.Second) // until it is taken up
			}
			var failed atomic.Bool
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				q := able("usr-1")
				for pb.Next() {
					if _, err := svc.Login(b.Context(), q); err != nil {
						failed.Store(true)
					}
				}
			})
			b.StopTimer()
			if failed.Load() {
				b.Error("a login failed")
			}
			if c.revision != 0 {
				<-time.After(2 * time.Second) // until it is told
				seen := must[operator.PolicyShadow](b)(store.GetShadow(b.Context(), service.ForOperator[service.Empty]{Operator: ada}))
				b.ReportMetric(float64(seen.Skipped)/float64(max(seen.Compared+seen.Skipped, 1)), "skipped/op")
			}
		})
	}
}
