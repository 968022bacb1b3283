// Package memory keeps what the process takes near a limit, and the garbage collector from running where that is not needed: it collects
// when the limit is near, instead of whenever the heap has grown by some per cent. A collection costs as much as what is in use, so that
// one that comes later frees more for the same work.
//
// The limit gives way when it is too small: if what is in use leaves less room than the collector needs, the process takes more rather
// than to collect without end, but never, by what it decides, nearly all that its control group may take.
//
// It reads the process's control group and changes the runtime of the process. Where the environment says how the runtime is to collect
// (GOGC, GOMEMLIMIT), it changes nothing.
package memory

import (
	"context"
	"io/fs"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	mebibyte = 1 << 20

	// What a process takes that runs all services, and one that runs some, if no limit is set. More makes it faster by little: see
	// bench/RESULTS.md.
	whole = 220 * mebibyte
	part  = 128 * mebibyte

	// room is how much of what is in use, in per cent, is free after a collection, whatever the limit is.
	room = 50

	// every is how often it is looked at whether the limit is large enough. A collection without end is no longer than that.
	every = time.Second
)

// Limits are how much memory a process is to take, and from where on it would rather collect all the time; 0 = it does not know that.
type Limits struct{ Limit, Most int64 }

// Choose returns the limits of a process. set is what its limit is set to; 0 = what its control group and what it runs make of it.
// machine is the root of the file system.
func Choose(set int64, runsAll bool, machine fs.FS) Limits {
	allowed := controlGroup(machine)
	l := Limits{Limit: set, Most: allowed / 10 * 9}
	if set != 0 {
		return l
	}
	if l.Limit = part; runsAll {
		l.Limit = whole
	}
	if allowed > 0 {
		l.Limit = min(l.Limit, allowed/4*3)
	}
	return l
}

// Keep holds the process to limits until the function that it returns is called. getenv reads the process's environment.
func Keep(l Limits, getenv func(string) string) (stop func()) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(l.Limit)
	var work sync.WaitGroup
	work.Go(func() { l.follow(ctx) })
	return func() {
		cancel()
		work.Wait()
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}
}

// follow moves the runtime's limit with what is in use.
func (l Limits) follow(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for now := l.Limit; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		aim := l.aim(inUse())
		if off := aim - now; off > now/16 || off < -now/16 || (aim == l.Limit && off != 0) { // setting it stops the process for a moment
			now = aim
			debug.SetMemoryLimit(now)
		}
	}
}

// use is what of the memory that the limit counts is taken.
type use struct {
	live int64 // by what the last collection left
	rest int64 // by what is no object: stacks, the runtime's own, and gaps between objects
}

// aim returns the limit that leaves the collector room.
func (l Limits) aim(u use) int64 {
	aim := max(l.Limit, u.live/100*(100+room)+u.rest)
	if l.Most > 0 {
		aim = min(aim, max(l.Most, l.Limit))
	}
	return aim
}

func inUse() use {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	var values [5]int64
	for i, s := range samples {
		values[i] = int64(s.Value.Uint64())
	}
	return use{live: values[0], rest: values[1] - values[2] - values[3] - values[4]}
}
