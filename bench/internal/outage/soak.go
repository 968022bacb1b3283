package outage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
)

const (
	samples  = 60               // at least; see sampling
	sampling = 10 * time.Second // at most
	shown    = 6                // each of so many
	rises    = 1.05             // over this, memory is not flat
	mebibyte = 1 << 20
)

// ErrRises is for memory that has not become flat.
var ErrRises = errors.New("memory rises")

// filled makes what is bounded so small that it is full before a third of a soak is over: what rises then is something else. That is what
// the process keeps, and what is in the logs, since the embedded NATS keeps the blocks in memory that are read, and an index of each. The
// profiles are there so that what rises can be asked for.
var filled = []string{
	"KEYWARD_EVENTS_NEAR_CACHE=10000", "KEYWARD_ACCOUNTS_NEAR_CACHE=100", "KEYWARD_EMBEDDED_CACHE_MAX_BYTES=8MiB",
	"KEYWARD_EVENTS_MAX_BYTES=64MiB", "KEYWARD_OFFERS_MAX_BYTES=64MiB", "KEYWARD_DECISIONS_MAX_BYTES=16MiB",
	"KEYWARD_CHALLENGE_MAX_AGE=6m", "KEYWARD_ADMIN_PROFILES=true",
}

// soaked are so few that the offers that are kept of each are there after ten minutes of a few dozen calls a second, and have so many
// events that the log of events is full or nearly so when the calls begin. They grow no more then: what comes pushes out the rest.
var soaked = fleet.Crowd{Users: 250, Events: 400}

// Soak calls a Keyward of one process steadily, and prints the memory that it takes. It fails if the median of the last third of the time
// is more than a twentieth over that of the middle third: of what the process takes, and of what of its heap a collection leaves. It judges
// the state that lasts: all that has a bound has reached it within the first third, so that the other two compare like with like.
func Soak(ctx context.Context, of *fleet.Fleet, perSecond int) error {
	c, err := of.One(ctx, "one process, embedded NATS and cache", soaked, slices.Concat(unlimited, filled)...)
	if err != nil {
		return err
	}
	requests, err := crowdOf(c)
	if err != nil {
		return err
	}
	fmt.Printf(
		"%s, %d calls a second in turn: %s, for %s; profiles at http://%s/debug/pprof/heap\n\n", c.Name, perSecond,
		strings.Join(kindNames[:], ", "), of.Duration, c.Admin,
	)
	calling := requests.callEvery(ctx, of.Connections, time.Second*time.Duration(of.Connections)/time.Duration(perSecond))
	defer calling.stop()
	var memory, live []float64
	every := min(of.Duration/samples, sampling)
	for i := range int(of.Duration / every) {
		pause(ctx, every)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		left, err := liveHeap(ctx, c.Admin)
		if err != nil {
			return err
		}
		memory, live = append(memory, c.Memory()), append(live, left/mebibyte)
		if (i+1)%shown != 0 {
			continue
		}
		calls := calling.take()
		fmt.Printf(
			"%8s  RSS %4.0f MiB  live heap %4.0f MiB  %6d calls, failed: %s\n", every*time.Duration(i+1), memory[i], live[i], len(calls),
			tally(failed(calls, time.Time{}, time.Now())),
		)
	}
	calling.finish()
	return errors.Join(flat("RSS", memory), flat("live heap", live))
}

// flat compares the last third with the middle one.
func flat(what string, values []float64) error {
	third := len(values) / 3
	first, middle, last := median(values[:third]), median(values[third:2*third]), median(values[2*third:])
	fmt.Printf(
		"\n%s: %.0f MiB in the first third, %.0f MiB in the middle one, %.0f MiB in the last: %+.1f %%\n", what, first, middle, last,
		100*(last/middle-1),
	)
	if last > rises*middle {
		return fmt.Errorf("%w: %s from %.0f to %.0f MiB", ErrRises, what, middle, last)
	}
	return nil
}

// liveHeap asks a process how much of its heap the last collection left.
func liveHeap(ctx context.Context, admin string) (float64, error) {
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
		if text, is := strings.CutPrefix(lines.Text(), "go_gc_heap_live_bytes "); is {
			return strconv.ParseFloat(text, 64)
		}
	}
	return 0, fmt.Errorf("ask for metrics: %w: the heap is not among them", os.ErrNotExist)
}
