package outage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
)

const (
	samples  = 60
	rises    = 1.1 // over this, memory is not flat
	mebibyte = 1 << 20
)

// ErrRises is for memory that has not become flat.
var ErrRises = errors.New("memory rises")

// Soak calls a Keyward of one process steadily, and prints the memory that it takes. It fails if the median of the last third of the time
// is more than a tenth over that of the middle third.
func Soak(ctx context.Context, of *fleet.Fleet, perSecond int) error {
	// So many that no history becomes so long within an hour that it is what takes memory.
	users := fleet.Crowd{Users: 1000, Events: 10}
	c, err := of.One(ctx, "one process, embedded NATS and cache", users, unlimited...)
	if err != nil {
		return err
	}
	requests, err := crowdOf(c)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d calls a second in turn: %s, for %s\n\n", c.Name, perSecond, strings.Join(kindNames[:], ", "), of.Duration)
	calling := requests.callEvery(ctx, of.Connections, time.Second*time.Duration(of.Connections)/time.Duration(perSecond))
	defer calling.stop()
	var memory, heap []float64
	every := of.Duration / samples
	for i := range samples {
		pause(ctx, every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		live, err := heapOf(ctx, c.Admin)
		if err != nil {
			return err
		}
		calls := calling.take()
		memory, heap = append(memory, c.Memory()), append(heap, live/mebibyte)
		fmt.Printf(
			"%8s  RSS %4.0f MiB  heap %4.0f MiB  %6d calls, failed: %s\n", every*time.Duration(i+1), memory[i], heap[i], len(calls),
			tally(failed(calls, time.Time{}, time.Now())),
		)
	}
	calling.finish()
	return errors.Join(flat("RSS", memory), flat("heap", heap))
}

// flat compares the last third with the middle one.
func flat(what string, values []float64) error {
	third := len(values) / 3
	middle, last := median(values[third:2*third]), median(values[2*third:])
	fmt.Printf("\n%s: %.0f MiB in the middle third, %.0f MiB in the last: %+.1f %%\n", what, middle, last, 100*(last/middle-1))
	if last > rises*middle {
		return fmt.Errorf("%w: %s from %.0f to %.0f MiB", ErrRises, what, middle, last)
	}
	return nil
}

// heapOf asks a process how much of its heap is in use.
func heapOf(ctx context.Context, admin string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("ask for metrics: %w", err)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask for metrics: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	for lines := bufio.NewScanner(rsp.Body); lines.Scan(); {
		if text, is := strings.CutPrefix(lines.Text(), "go_memstats_heap_inuse_bytes "); is {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("ask for metrics: %w: the heap is not among them", os.ErrNotExist)
}
