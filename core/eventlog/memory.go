package eventlog

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// memory is the cache of an installation that is one process: entries as in Redis, with the same rules and under the same judgement, but decoded. It never
// fails. Who needs room for another entry may displace one, which is then filled again.
type memory struct {
	kept  *otter.Cache[string, *lying]
	ttl   time.Duration
	clock func() time.Time
}

// lying is an entry as it lies in memory. It is not changed after it was put there.
type lying struct {
	control
	events []event.Event // each ID once, deletions included
	known  *known        // what readers make of it, if it is whole
	until  time.Time     // it expires
}

func newMemory(events int, ttl time.Duration, clock func() time.Time) (*memory, error) {
	kept, err := otter.New(&otter.Options[string, *lying]{
		MaximumWeight: uint64(max(events, 1)),
		Weigher:       func(_ string, l *lying) uint32 { return uint32(len(l.events)) + 1 },
		Executor:      func(task func()) { task() },
	})
	return &memory{kept: kept, ttl: ttl, clock: clock}, err
}

// memoryRun is the run of a server that keeps nothing over a restart.
const memoryRun = ""

func (m *memory) look(_ context.Context, key string, epoch uint64) (control, trust, error) {
	l := m.find(key)
	return l.control, l.judge(epoch, memoryRun), nil
}

func (m *memory) read(_ context.Context, key string, epoch uint64) (*known, trust, error) {
	l := m.find(key)
	if result := l.judge(epoch, memoryRun); result != trusted {
		return nil, result, nil
	}
	return l.known, trusted, nil
}

func (m *memory) find(key string) *lying {
	l, found := m.kept.GetIfPresent(key)
	if !found || !m.clock().Before(l.until) {
		return &lying{}
	}
	return l
}

func (m *memory) add(_ context.Context, key string, e event.Event) (control, error) {
	return m.change(key, func(l *lying) {
		l.put(e)
		l.version = raised(l.version)
	}), nil
}

func (m *memory) noteAccount(_ context.Context, key string) (control, error) {
	return m.change(key, func(l *lying) { l.account = raised(l.account) }), nil
}

func (m *memory) fill(_ context.Context, key string, epoch uint64, events []event.Event, more func() ([]event.Event, error)) (control, error) {
	mark := mark(epoch, memoryRun)
	m.change(key, func(l *lying) {
		l.put(events...)
		l.fill, l.until = mark, m.clock().Add(m.ttl)
	})
	late, err := more()
	if err != nil {
		return control{}, err
	}
	return m.change(key, func(l *lying) {
		l.put(late...)
		l.ready = mark
	}), nil
}

func (m *memory) remove(_ context.Context, key string) error {
	m.kept.Invalidate(key)
	return nil
}

// change makes an entry from the one that is there, or from none, in one step and returns what it says of itself after that.
func (m *memory) change(key string, how func(*lying)) control {
	now := m.clock()
	var changed *lying
	m.kept.Compute(key, func(old *lying, found bool) (*lying, otter.ComputeOp) {
		changed = &lying{until: now.Add(m.ttl)}
		if found && now.Before(old.until) {
			*changed = *old
		}
		how(changed)
		changed.known = nil
		if changed.fill != "" && changed.fill == changed.ready {
			changed.known = newKnown(changed.control, changed.events)
		}
		return changed, otter.WriteOp
	})
	return changed.control
}

// put adds events; of two with the same ID the later stays.
func (l *lying) put(events ...event.Event) {
	all := slices.Concat(l.events, events)
	last := make(map[ident.EventID]int, len(all))
	for i, e := range all {
		last[e.ID] = i
	}
	l.events = make([]event.Event, 0, len(last))
	for i, e := range all {
		if last[e.ID] == i {
			l.events = append(l.events, e)
		}
	}
}

func raised(counter string) string {
	n, _ := strconv.ParseUint(counter, 10, 64) // "" is 0
	return strconv.FormatUint(n+1, 10)
}
