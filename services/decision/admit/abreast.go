package admit

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// abreast calls do with every number below count, on all processors, and returns when all calls have.
func abreast(count int, do func(number int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(count, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}
