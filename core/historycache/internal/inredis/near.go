package inredis

import (
	"slices"
	"strconv"

	"github.com/maypok86/otter/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
)

// known is a whole entry as a reader found it. It is not changed after it was made, and shared by all who read.
type known struct {
	control
	accountStamp string
	events       event.Set
	deletions    bool // there was a deletion among the entry's events
}

func newKnown(said control, events []event.Event) *known {
	return &known{
		control: said, accountStamp: said.stamp(), events: event.NewSet(events),
		deletions: slices.ContainsFunc(events, func(e event.Event) bool { return e.Type == event.Deleted }),
	}
}

// now returns what is known of an entry that says of itself what said holds; nil = its events may be others.
func (k *known) now(said control) *known {
	if k.fill != said.fill || k.version != said.version {
		return nil
	}
	if k.account == said.account {
		return k
	}
	return &known{control: said, accountStamp: said.stamp(), events: k.events, deletions: k.deletions}
}

// with returns what is known after e was added and nothing else; nil = something else may have been. The deletions themselves are not
// kept, so what one of them might concern is not added to.
func (k *known) with(e event.Event, said control) *known {
	before, err := strconv.ParseUint(said.version, 10, 64)
	if err != nil || k.fill != said.fill || said.fill != said.ready || k.deletions || e.Type == event.Deleted {
		return nil
	}
	if k.version != strconv.FormatUint(before-1, 10) && (k.version != "" || before != 1) {
		return nil
	}
	return &known{control: said, accountStamp: said.stamp(), events: k.events.With(e)}
}

// near keeps entries in this process, decoded, as many as together hold a number of events. One that holds more than a share of them is
// not kept: it would take the room of many others, and each event that is added copies it. Its readers read it from Redis.
type near struct {
	*otter.Cache[string, *known]
	share int
}

func newNear(events int) (near, error) {
	if events == 0 {
		return near{}, nil
	}
	c, err := otter.New(&otter.Options[string, *known]{
		MaximumWeight: uint64(events),
		// An entry takes about as much as an event even without one.
		Weigher:  func(_ string, k *known) uint32 { return uint32(k.events.Len()) + 1 },
		Executor: func(task func()) { task() },
	})
	return near{c, (events + entry.Shares - 1) / entry.Shares}, err
}

func (n near) get(key string) *known {
	if n.Cache == nil {
		return nil
	}
	k, _ := n.GetIfPresent(key)
	return k
}

func (n near) keep(key string, k *known) {
	switch {
	case n.Cache == nil || k == nil:
	case k.events.Len() > n.share:
		n.Invalidate(key)
	default:
		n.Set(key, k)
	}
}

func (n near) drop(key string) {
	if n.Cache != nil {
		n.Invalidate(key)
	}
}
