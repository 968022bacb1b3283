// Package inmemory keeps entries in the memory of one process, decoded and within a bound: if there is more, what was asked for least
// lately goes. Nothing of it can be out of reach, or come back after it was lost. What it promises is said in core/historycache.
package inmemory

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
)

// Least is the smallest bound, in bytes.
const Least = 1 << 20

// What an entry and an event take beside the bytes of their texts: measured with histories of 1 to 100 events.
const (
	perEntry = 800
	perEvent = 560
)

// Memory keeps entries. It is safe for concurrent use.
type Memory struct {
	ttl     time.Duration
	most    int64 // bytes, about
	clock   func() time.Time
	metrics *entry.Metrics
	life    string // drawn, so that no stamp is one of another process

	mu    sync.Mutex
	fills uint64 // so far
	taken int64  // bytes
	order *list.List
	all   map[entry.Shelf]*list.Element
}

// kept is an entry. The lock of the memory guards it.
type kept struct {
	at          entry.Shelf
	fill, ready uint64 // the fill that began last, and the one that found the entry whole; 0 = none
	epoch       uint64 // of the fill
	changes     uint64 // of the account
	stamp       string
	until       time.Time
	bytes       int64

	events    event.Set
	deletions []event.Event // among what events was made of

	offers []event.Event // oldest first
	added  int           // Offers that writers added
}

// New returns a memory for so many bytes, about, whose entries expire after ttl.
func New(ttl time.Duration, most int64, clock func() time.Time, m *entry.Metrics) *Memory {
	return &Memory{
		ttl: ttl, most: most, clock: clock, metrics: m, life: rand.Text(), order: list.New(), all: make(map[entry.Shelf]*list.Element),
	}
}

// Degraded returns nil: there is nothing that could be away.
func (m *Memory) Degraded() error { return nil }

// History returns the events of an entry that can be trusted under the epoch, and the stamp of the account.
func (m *Memory) History(_ context.Context, of entry.Owner, epoch uint64, _ string) (read event.Reading, result entry.Trust, err error) {
	m.mu.Lock()
	k, result := m.look(entry.Shelf{Owner: of}, epoch)
	if result == entry.Trusted {
		read = event.Reading{Events: k.events, AccountStamp: k.stamp}
	}
	m.mu.Unlock()
	m.metrics.Read(result, nil)
	return read, result, nil
}

// Offers returns the newest offers of an entry that can be trusted under the epoch, newest first, whatever they are about: they need not be
// decoded, so there is nothing to spare.
func (m *Memory) Offers(_ context.Context, of entry.Owner, epoch uint64, _ []string) ([]event.Event, entry.Trust, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, result := m.look(entry.Shelf{Owner: of, Offers: true}, epoch)
	if result != entry.Trusted {
		return nil, result, nil
	}
	newest := slices.Clone(k.offers[max(0, len(k.offers)-entry.RecentOffers):])
	slices.Reverse(newest)
	return newest, entry.Trusted, nil
}

// look returns an entry, and whether it can be trusted under the epoch. The lock is held.
func (m *Memory) look(at entry.Shelf, epoch uint64) (*kept, entry.Trust) {
	k := m.find(at)
	switch {
	case k == nil:
		return nil, entry.Absent
	case k.fill == 0 || k.fill != k.ready || k.epoch != epoch:
		return nil, entry.Untrusted
	default:
		return k, entry.Trusted
	}
}

// find returns an entry that has not expired, or nil. The lock is held.
func (m *Memory) find(at entry.Shelf) *kept {
	element := m.all[at]
	if element == nil {
		return nil
	}
	k := element.Value.(*kept) //nolint:forcetypeassert // nothing else is in it
	if !m.clock().Before(k.until) {
		m.drop(element)
		return nil
	}
	m.order.MoveToFront(element)
	return k
}

// put makes an entry unless there is one. The lock is held.
func (m *Memory) put(at entry.Shelf) *kept {
	if k := m.find(at); k != nil {
		return k
	}
	k := &kept{at: at, until: m.clock().Add(m.ttl)}
	m.all[at] = m.order.PushFront(k)
	return k
}

// drop removes an entry. The lock is held.
func (m *Memory) drop(element *list.Element) {
	k := m.order.Remove(element).(*kept) //nolint:forcetypeassert // nothing else is in it
	delete(m.all, k.at)
	m.taken -= k.bytes
}

// weigh takes into account what an entry takes now, and makes room for it. What was asked for least lately has also expired first. The lock
// is held.
func (m *Memory) weigh(k *kept) {
	m.taken -= k.bytes
	k.bytes = perEntry
	for _, events := range [...][]event.Event{k.events.All(), k.deletions, k.offers} {
		for i := range events {
			k.bytes += perEvent + texts(&events[i])
		}
	}
	m.taken += k.bytes
	for now := m.clock(); m.order.Len() > 1; { // what is just being written stays
		least := m.order.Back()
		if m.taken <= m.most && now.Before(least.Value.(*kept).until) { //nolint:forcetypeassert // nothing else is in it
			return
		}
		m.drop(least)
	}
}

// texts returns how many bytes of texts an event holds that others of the user do not share with it.
func texts(e *event.Event) int64 {
	return int64(len(e.ID) + len(e.User) + len(e.Process) + len(e.Environment) + len(e.Credential) + len(e.Challenge) + len(e.Ceremony) +
		len(e.Decision) + len(e.Deletes))
}

// Add leaves alone what is not there: whoever fills it reads the log.
func (m *Memory) Add(_ context.Context, e *event.Event, _ []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.find(entry.Shelf{Owner: entry.OwnerOf(e)}); k != nil {
		k.take([]event.Event{*e})
		m.weigh(k)
	}
	return nil
}

// take adds events to those of the entry.
func (k *kept) take(events []event.Event) {
	for i := range events {
		if events[i].Type == event.Deleted {
			k.deletions = append(k.deletions, events[i])
		}
	}
	if len(events) == 1 && len(k.deletions) == 0 {
		k.events = k.events.With(events[0])
		return
	}
	k.events = event.NewSet(slices.Concat(k.events.All(), k.deletions, events))
}

// AddOffer reports whether it is time to make an entry whole that nobody has asked for.
func (m *Memory) AddOffer(_ context.Context, e *event.Event) (incomplete bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.put(entry.Shelf{Owner: entry.OwnerOf(e), Offers: true})
	k.takeOffer(e)
	k.added++
	m.weigh(k)
	return k.added%entry.RecentOffers == 0 && (k.fill == 0 || k.fill != k.ready), nil
}

// takeOffer adds an offer to those of the entry, of which it keeps the newest.
func (k *kept) takeOffer(e *event.Event) {
	at, known := slices.BinarySearchFunc(k.offers, e, func(a event.Event, b *event.Event) int {
		return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), cmp.Compare(a.ID, b.ID))
	})
	if known {
		return
	}
	k.offers = slices.Insert(k.offers, at, *e)
	if len(k.offers) > entry.RecentOffers {
		k.offers = slices.Delete(k.offers, 0, len(k.offers)-entry.RecentOffers)
	}
}

// AccountChanged leaves alone what is not there: whatever is filled later has another stamp.
func (m *Memory) AccountChanged(_ context.Context, of entry.Owner) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(entry.Shelf{Owner: of})
	if k == nil {
		return "", nil
	}
	k.changes++
	return m.vouch(k), nil
}

// vouch gives the account the stamp that it has by the entry, and returns it if the entry is whole. The lock is held.
func (m *Memory) vouch(k *kept) string {
	k.stamp = m.life + "." + strconv.FormatUint(k.fill, 10) + "." + strconv.FormatUint(k.changes, 10)
	if k.fill == 0 || k.fill != k.ready {
		return ""
	}
	return k.stamp
}

// Fill makes an entry whole: events is what the log held, more reads what it got since. It returns the stamp of the account, or "" if
// something came in between.
func (m *Memory) Fill(
	_ context.Context, at entry.Shelf, epoch uint64, events []event.Event, more func() ([]event.Event, error),
) (string, error) {
	mark := m.begin(at, epoch, events)
	late, err := more()
	if err != nil {
		return "", err
	}
	return m.finish(at, mark, late), nil
}

// begin writes what the log held, in the place of what the entry had: what writers added before is in the log, for the second read.
func (m *Memory) begin(at entry.Shelf, epoch uint64, events []event.Event) (mark uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.put(at)
	m.fills++
	k.fill, k.epoch, k.until = m.fills, epoch, m.clock().Add(m.ttl)
	k.events, k.deletions, k.offers = event.Set{}, nil, nil
	k.fillWith(events)
	m.weigh(k)
	return k.fill
}

// finish adds what the log got meanwhile, and then the entry is whole, unless it went or another fill began.
func (m *Memory) finish(at entry.Shelf, mark uint64, late []event.Event) (stamp string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(at)
	if k == nil || k.fill != mark {
		return ""
	}
	k.fillWith(late)
	k.ready = mark
	m.weigh(k)
	return m.vouch(k)
}

func (k *kept) fillWith(events []event.Event) {
	if !k.at.Offers {
		if len(events) > 0 {
			k.take(events)
		}
		return
	}
	for i := range events {
		k.takeOffer(&events[i])
	}
}

// Remove removes the entry of events, and that of offers too if told so.
func (m *Memory) Remove(_ context.Context, of entry.Owner, offersToo bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, at := range [...]entry.Shelf{{Owner: of}, {Owner: of, Offers: true}} {
		if element := m.all[at]; element != nil && (offersToo || !at.Offers) {
			m.drop(element)
		}
	}
	return nil
}
