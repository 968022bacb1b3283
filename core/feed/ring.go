package feed

import (
	"sort"
	"sync"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// ring holds the latest messages of the stream: every one above floor, up to last. It is bounded by number and bytes; the oldest go first.
type ring struct {
	mu       sync.RWMutex
	live     bool      // somebody follows the stream
	slots    []Message // a circle
	head, n  int       // the oldest, and how many there are
	bytes    int       // of data
	maxBytes int
	floor    uint64
	last     uint64
	restored uint64        // how often the stream was found to be another one, restored from a backup
	changed  chan struct{} // closed when a message comes or live changes
	waited   bool          // somebody has asked for changed since it was made
}

func newRing(messages, maxBytes int) *ring {
	return &ring{slots: make([]Message, messages), maxBytes: maxBytes, changed: make(chan struct{})}
}

// start makes the ring live and returns the position after which messages are to be added: where it ended, or the end of the stream.
func (r *ring) start(end uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if end < r.last {
		r.restored++
	}
	if !r.live || end < r.last {
		r.clear()
		r.floor, r.last = end, end
	}
	r.live = true
	r.announce()
	return r.last
}

// stop forgets everything.
func (r *ring) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live = false
	r.clear()
	r.announce()
}

func (r *ring) clear() {
	clear(r.slots)
	r.head, r.n, r.bytes = 0, 0, 0
}

// announce wakes whoever waits. Called with the lock held.
func (r *ring) announce() {
	if r.waited {
		close(r.changed)
		r.changed, r.waited = make(chan struct{}), false
	}
}

func (r *ring) at(i int) *Message { return &r.slots[(r.head+i)%len(r.slots)] }

// add appends a message, whose sequence is above all others.
func (r *ring) add(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.n == len(r.slots) || r.n > 0 && r.bytes+len(m.Data) > r.maxBytes {
		r.drop()
	}
	if m.Type == event.UserDeleted {
		r.erase(m.Project, m.User)
	}
	*r.at(r.n) = m
	r.n++
	r.bytes += len(m.Data)
	r.last = m.Sequence
	r.announce()
}

func (r *ring) drop() {
	oldest := r.at(0)
	r.floor = oldest.Sequence
	r.bytes -= len(oldest.Data)
	*oldest = Message{}
	r.head = (r.head + 1) % len(r.slots)
	r.n--
}

// erase forgets what the ring holds of a user whose events have been erased from the stream. Their places stay.
func (r *ring) erase(project ident.ProjectID, user ident.UserID) {
	for i := range r.n {
		if m := r.at(i); m.Project == project && m.User == user {
			r.bytes -= len(m.Data)
			*m = Message{Sequence: m.Sequence}
		}
	}
}

// take appends to into what comes after a position and matches, up to a number of bytes, and returns the position it has read to. It
// reports false if the ring begins later than that position or nobody follows the stream. A position after the end of the ring is that of a
// reader who was faster than the consumer.
func (r *ring) take(into []Message, project ident.ProjectID, filter Filter, after uint64) ([]Message, uint64, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.live || after < r.floor {
		return into, after, false
	}
	size := 0
	for i := sort.Search(r.n, func(i int) bool { return r.at(i).Sequence > after }); i < r.n; i++ {
		m := r.at(i)
		after = m.Sequence
		if m.Project != project || !filter.matches(m) {
			continue
		}
		into = append(into, *m)
		if size += len(m.Data); size >= batchBytes || len(into) == batchMessages {
			return into, after, true
		}
	}
	return into, max(after, r.last), true
}

// wait returns a channel that is closed as soon as there is something after the position or the ring starts or stops; nil if there is
// something already.
func (r *ring) wait(after uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live && after < r.last {
		return nil
	}
	r.waited = true
	return r.changed
}

// generation changes when the stream is found to be another one.
func (r *ring) generation() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.restored
}

// mark returns the position that the stream is known to have reached; false if nobody follows it.
func (r *ring) mark() (uint64, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.last, r.live
}
