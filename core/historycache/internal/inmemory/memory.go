// Package inmemory keeps entries in the memory of one process, decoded and within a bound: if there is more, what was asked for least
// lately goes. Nothing of it can be out of reach, or come back after it was lost. All users share one lock, so no work that is as long as a
// history is done under it. What it promises is said in core/historycache.
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
	share   int64 // of one history
	clock   func() time.Time
	metrics *entry.Metrics
	life    string // drawn, so that no stamp is one of another process

	mu    sync.Mutex
	drawn uint64 // numbers of fills and editions so far
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
	takes       int64 // bytes

	history
	edition uint64 // of the history; no two of any entries have the same
	large   bool   // so that there is no history, and will be none until the entry expires

	offers []event.Event // oldest first
	added  int           // Offers that writers added
}

// New returns a memory for so many bytes, about, whose entries expire after ttl.
func New(ttl time.Duration, most int64, clock func() time.Time, m *entry.Metrics) *Memory {
	return &Memory{
		ttl: ttl, most: most, share: most / entry.Shares, clock: clock, metrics: m, life: rand.Text(),
		order: list.New(), all: make(map[entry.Shelf]*list.Element),
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
	case k.large:
		return nil, entry.Large
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
	m.taken -= k.takes
}

// weigh takes into account what an entry takes now, and makes room for it. What was asked for least lately has also expired first. The lock
// is held.
func (m *Memory) weigh(k *kept) {
	m.taken -= k.takes
	k.takes = perEntry + k.history.bytes + weigh(k.offers)
	m.taken += k.takes
	for now := m.clock(); m.order.Len() > 1; { // what is just being written stays
		least := m.order.Back()
		if m.taken <= m.most && now.Before(least.Value.(*kept).until) { //nolint:forcetypeassert // nothing else is in it
			return
		}
		m.drop(least)
	}
}

// Add leaves alone what is not there: whoever fills it reads the log.
func (m *Memory) Add(_ context.Context, e *event.Event, _ []byte) error {
	m.extend(entry.Shelf{Owner: entry.OwnerOf(e)}, 0, []event.Event{*e})
	return nil
}

// extend adds events to the history of an entry, if the fill that began last is the given one; 0 = whichever. The new history is made
// outside the lock, and takes the place of the one that it was made from, or is made again if somebody was faster. An entry that has gone
// in the meantime, and may have come back, misses nothing: whoever fills it reads the log after it had gone.
func (m *Memory) extend(at entry.Shelf, fill uint64, events []event.Event) {
	for {
		before, edition := m.peek(at, fill)
		if edition == 0 {
			return
		}
		if after := before.with(events); m.replace(at, edition, after) {
			return
		}
	}
}

// peek returns the history of an entry and its edition, 0 if there is none.
func (m *Memory) peek(at entry.Shelf, fill uint64) (history, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(at)
	if k == nil || k.large || (fill != 0 && k.fill != fill) {
		return history{}, 0
	}
	return k.history, k.edition
}

// replace reports whether the edition was the one that there is.
func (m *Memory) replace(at entry.Shelf, edition uint64, after history) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(at)
	if k == nil || k.edition != edition {
		return false
	}
	m.write(k, after)
	return true
}

// write gives an entry its history, unless that is larger than its share: then nothing can be trusted of the entry but that. The lock is
// held.
func (m *Memory) write(k *kept, h history) {
	m.drawn++
	k.history, k.edition, k.large = h, m.drawn, h.bytes > m.share
	if k.large {
		k.history, k.fill, k.ready = history{}, 0, 0
	}
	m.weigh(k)
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

// Vouches reports whether an entry that can be trusted under the epoch has the stamp.
func (m *Memory) Vouches(of entry.Owner, epoch uint64, stamp string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.vouching(of, epoch, stamp) != nil
}

// AccountUsed does what AccountChanged does, if Vouches. Otherwise it returns "".
func (m *Memory) AccountUsed(of entry.Owner, epoch uint64, stamp string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.vouching(of, epoch, stamp)
	if k == nil {
		return ""
	}
	k.changes++
	return m.vouch(k)
}

// vouching returns the entry that has a stamp, or nil. The lock is held.
func (m *Memory) vouching(of entry.Owner, epoch uint64, stamp string) *kept {
	k, result := m.look(entry.Shelf{Owner: of}, epoch)
	if stamp == "" || result != entry.Trusted || k.stamp != stamp {
		return nil
	}
	return k
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
// something came in between, or the history is too large to be kept.
func (m *Memory) Fill(
	_ context.Context, at entry.Shelf, epoch uint64, events []event.Event, more func() ([]event.Event, error),
) (string, error) {
	mark := m.begin(at, epoch, events)
	if mark == 0 {
		return "", nil
	}
	late, err := more()
	if err != nil {
		return "", err
	}
	return m.finish(at, mark, late), nil
}

// begin writes what the log held, in the place of what the entry had: what writers added before is in the log, for the second read. The
// mark is 0 if that is too large. Nothing but its size is worked out then.
func (m *Memory) begin(at entry.Shelf, epoch uint64, events []event.Event) (mark uint64) {
	first := history{}
	if first.bytes = weigh(events); !at.Offers && first.bytes <= m.share {
		first = historyOf(events)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.put(at)
	m.drawn++
	k.fill, k.epoch, k.until = m.drawn, epoch, m.clock().Add(m.ttl)
	if !at.Offers {
		m.write(k, first)
		return k.fill
	}
	k.offers = nil
	k.takeOffers(events)
	m.weigh(k)
	return k.fill
}

// finish adds what the log got meanwhile, and then the entry is whole, unless it went, another fill began, or it has become too large.
func (m *Memory) finish(at entry.Shelf, mark uint64, late []event.Event) (stamp string) {
	if !at.Offers && len(late) > 0 {
		m.extend(at, mark, late)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.find(at)
	if k == nil || k.fill != mark {
		return ""
	}
	if at.Offers {
		k.takeOffers(late)
		m.weigh(k)
	}
	k.ready = mark
	return m.vouch(k)
}

func (k *kept) takeOffers(events []event.Event) {
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
