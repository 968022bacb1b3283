package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrDiskFull is why nothing is written for the time being. It heals by itself when there is space.
var ErrDiskFull = errors.New("the disk is full")

// volume is where the embedded server's data is. The zero value is of unknown size, and never full.
type volume struct{ total, free int64 }

func (v volume) has(bytes int64) bool { return v == volume{} || v.free >= bytes }

// keptForLogs is the part of a volume that bounded observations may reserve together: the rest is for events and accounts, which must not
// be lost.
func (v volume) keptForLogs() int64 { return v.total / 2 }

const (
	// guardInterval is how often the free space is looked at: in that time the fastest disk cannot fill the reserve.
	guardInterval = 200 * time.Millisecond
	// repairInterval is how often writes that are refused may be let through again.
	repairInterval = time.Second
	// sickFor is for how many looks in a row the server must say of itself the same that ails it. What it says of a stream that is being made
	// or removed at that moment is over with the next look, and to open the store anew interrupts everybody.
	sickFor = 5
	// storeLimit is what JetStream may store: more than any disk has. Its default is a part of what is free at the start, from which streams
	// then reserve what they may grow to; here the guard sees to it that the disk does not run full, and streams are bounded by its size.
	storeLimit = 1 << 50
)

// guard refuses writes to the embedded server while its volume is nearly full. The server itself would go on until a write fails, and then
// take no more of any kind until it is started again; what is refused before is answered at once, and reads go on.
type guard struct {
	dir     string
	reserve int64 // bytes
	srv     *server.Server
	log     *slog.Logger
	measure func(dir string) (volume, error)

	ails  string // what the server said of itself when it was last looked at; empty = nothing
	looks int    // for how many looks in a row

	mu    sync.Mutex
	cause error // nil = writes are let through
}

// Err says why nothing is written: ErrDiskFull, or what the server could not write.
func (g *guard) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause
}

func (g *guard) set(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cause = cause
}

// run looks after the volume until ctx ends.
func (g *guard) run(ctx context.Context) {
	watch, repair := time.NewTicker(guardInterval), time.NewTicker(repairInterval)
	defer watch.Stop()
	defer repair.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-watch.C:
			g.watch()
		case <-repair.C:
			g.repair()
		}
	}
}

// watch refuses writes when there is too little space.
func (g *guard) watch() {
	v, err := g.measure(g.dir)
	if err != nil || g.Err() != nil || v.has(g.reserve) {
		return // an unknown volume is taken to be large enough
	}
	cause := fmt.Errorf("%w: %d MiB are free in %s, less than disk_reserve", ErrDiskFull, v.free>>20, g.dir)
	if err := g.limit(0); err != nil {
		g.log.Error("nats: writes cannot be refused", "error", err)
		return
	}
	g.set(cause)
	g.log.Error("writes are refused until there is space", "error", cause)
}

// repair lets writes through again, and opens the store anew if a write to it has failed in spite of all: the server writes no more to a
// stream of which that is so. It asks for a quarter more space than is the least, so that writes are not let through and refused by turns.
func (g *guard) repair() {
	v, err := g.measure(g.dir)
	if err == nil && !v.has(g.reserve+g.reserve/4) {
		return
	}
	was := g.Err()
	now := g.heal()
	if now == nil && was != nil {
		now = g.limit(unlimited)
	}
	g.set(now)
	switch {
	case now != nil && was == nil:
		g.log.Error("nats: the store cannot be written", "error", now)
	case now == nil && was != nil:
		g.log.Info("writes are let through again")
	}
}

// limit is of what the server stores, in bytes; -1 is none.
func (g *guard) limit(store int64) error {
	account := g.srv.GlobalAccount()
	err := account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxMemory: -1, MaxStore: store, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}})
	if err != nil {
		return fmt.Errorf("limit the store: %w", err)
	}
	return nil
}

func (g *guard) heal() error {
	if g.srv.JetStreamEnabled() {
		health := g.srv.Healthz(&server.HealthzOptions{})
		if health.StatusCode == http.StatusOK {
			g.ails, g.looks = "", 0
			return nil
		}
		if health.Error != g.ails {
			g.ails, g.looks = health.Error, 0
		}
		if g.looks++; g.looks < sickFor {
			return g.Err()
		}
		g.ails, g.looks = "", 0
		g.log.Error("nats: the store is opened anew, since it cannot be written", "cause", health.Error)
		if err := g.srv.ShutdownJetStream(); err != nil {
			return fmt.Errorf("close the store: %w", err)
		}
	}
	if err := g.srv.EnableJetStream(&server.JetStreamConfig{StoreDir: g.dir, MaxStore: storeLimit}); err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	return nil
}
