package fleet

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// Sample is what one round measured: calls per second, latencies in ms, memory in MiB, and of one Keyward what a call cost in its process.
type Sample struct {
	Rate, P50, P99, memory float64
	spent                  Spent
	calls                  int64
}

// load sends the requests in turn, over and over, on a number of connections, each waiting for its answer, and fails on any answer but 200.
func load(ctx context.Context, requests []*fasthttp.Request, connections int, duration time.Duration) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	client := &fasthttp.HostClient{Addr: string(requests[0].Host()), MaxConns: connections}
	defer client.CloseIdleConnections()
	var (
		all     sync.WaitGroup
		mu      sync.Mutex
		failure error
	)
	total := Histogram()
	began := time.Now()
	for i := range connections {
		all.Go(func() {
			mine, err := hammer(ctx, client, requests, i*len(requests)/connections)
			mu.Lock()
			defer mu.Unlock()
			total.Merge(mine)
			if err != nil {
				failure = err
				cancel()
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if failure != nil {
		return Sample{}, failure
	}
	return Sample{
		calls: total.TotalCount(),
		Rate:  float64(total.TotalCount()) / took.Seconds(),
		P50:   float64(total.ValueAtQuantile(50)) / 1000,
		P99:   float64(total.ValueAtQuantile(99)) / 1000,
	}, nil
}

// Histogram holds µs.
func Histogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }

// hammer has copies of the requests to itself and begins with the one at next.
func hammer(ctx context.Context, client *fasthttp.HostClient, requests []*fasthttp.Request, next int) (*hdrhistogram.Histogram, error) {
	seen := Histogram()
	rsp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(rsp)
	mine := make([]fasthttp.Request, len(requests))
	for i, request := range requests {
		request.CopyTo(&mine[i])
	}
	for ; ctx.Err() == nil; next++ {
		began := time.Now()
		if err := client.Do(&mine[next%len(mine)], rsp); err != nil {
			return seen, fmt.Errorf("call: %w", err)
		}
		if rsp.StatusCode() != fasthttp.StatusOK {
			return seen, fmt.Errorf("status %d: %s", rsp.StatusCode(), rsp.Body())
		}
		if err := seen.RecordValue(time.Since(began).Microseconds()); err != nil {
			return seen, fmt.Errorf("record: %w", err)
		}
	}
	return seen, nil
}

// EachOnce calls do with each item once, with so many callers that each wait for their answer.
func EachOnce[T any](ctx context.Context, callers int, items []T, do func(context.Context, T) error) (Sample, error) {
	took := make([]time.Duration, len(items))
	var next atomic.Int64
	began := time.Now()
	work, ctx := errgroup.WithContext(ctx)
	for range callers {
		work.Go(func() error {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				at := time.Now()
				if err := do(ctx, items[i]); err != nil {
					return err
				}
				took[i] = time.Since(at)
			}
			return nil
		})
	}
	err := work.Wait()
	all := time.Since(began)
	slices.Sort(took)
	ms := func(share int) float64 { return float64(took[len(took)*share/100].Microseconds()) / 1000 }
	return Sample{Rate: float64(len(items)) / all.Seconds(), P50: ms(50), P99: ms(99)}, err
}
