package readmodel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
)

// progress is how far the rows have come. Whoever waits for more is woken whenever that changes.
type progress struct {
	mu      sync.Mutex
	ready   bool
	streams [listdb.BucketCount]int64  // when each stream was made, Unix ns
	reached [listdb.BucketCount]uint64 // the sequence up to which rows can be read
	head    [listdb.BucketCount]uint64 // the last sequence that anybody has heard of
	asked   [listdb.BucketCount]uint64 // the sequence that somebody waits for, or has waited for
	loaded  uint64                     // of a load: messages read
	total   uint64
	changed chan struct{} // closed at the next change
	wanted  chan struct{} // holds one when asked has moved

	lookers [listdb.BucketCount]func() // has whoever reads a bucket look at once; nil: nobody does
}

func newProgress() *progress {
	return &progress{changed: make(chan struct{}), wanted: make(chan struct{}, 1)}
}

func (p *progress) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// begin makes the rows that have come as far as cursors readable.
func (p *progress) begin(cursors map[string]listdb.Cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready, p.asked = true, [listdb.BucketCount]uint64{} // who waits asks again
	for i, name := range listdb.BucketNames() {
		p.streams[i], p.reached[i] = cursors[name].Stream, cursors[name].Sequence
	}
	p.tell()
}

// end makes everybody wait for begin.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = false
	p.loaded, p.total = 0, 0
	p.tell()
}

func (p *progress) advance(reached [listdb.BucketCount]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.reached {
		p.reached[i] = max(p.reached[i], reached[i])
	}
	p.tell()
}

func (p *progress) load(loaded, total uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loaded, p.total = loaded, total
}

func (p *progress) building() (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ready:
		return "", false
	case p.total == 0:
		return "opening", true
	default:
		return fmt.Sprintf("%d of %d entries", p.loaded, p.total), true
	}
}

// want notes that somebody waits until rows of a bucket can be read up to sequence.
func (p *progress) want(bucket int, sequence uint64) {
	p.mu.Lock()
	p.asked[bucket] = max(p.asked[bucket], sequence)
	look := p.lookers[bucket]
	p.mu.Unlock()
	if look != nil {
		look()
	}
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// wake says how whoever reads a bucket is made to look at once.
func (p *progress) wake(bucket int, look func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lookers[bucket] = look
}

// awaited reports whether somebody may be waiting for rows.
func (p *progress) awaited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.asked {
		if p.asked[i] > p.reached[i] {
			return true
		}
	}
	return false
}

// heard notes that the stream of a bucket has come to sequence.
func (p *progress) heard(bucket int, sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.head[bucket] = max(p.head[bucket], sequence)
}

// behind reports whether more than sequence has been heard of.
func (p *progress) behind(bucket int, sequence uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready && p.head[bucket] > sequence
}

func (p *progress) lag(bucket int) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.head[bucket], p.reached[bucket]) - p.reached[bucket]
}

// look returns whether rows of the stream can be read up to sequence, whether they are of that stream at all, and a channel that tells of
// the next change.
func (p *progress) look(bucket int, stream int64, sequence uint64) (there, same bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ready {
		return false, true, p.changed
	}
	same = p.streams[bucket] == stream
	return same && p.reached[bucket] >= sequence, same, p.changed
}

const (
	longestWait = 5 * time.Second
	answerTime  = 50 * time.Millisecond // what is left of a deadline to say that the rows did not come
	retrySoon   = time.Second
	retryLater  = 5 * time.Second
)

// await returns when everything that is in a bucket now can be read, or the fault to answer.
func (s *Store) await(ctx context.Context, bucket int) error {
	wait := longestWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, max(time.Until(deadline)-answerTime, answerTime))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	name := listdb.BucketNames()[bucket]
	origin, err := s.ask(ctx, name)
	if err != nil {
		s.metrics.timeouts.Inc()
		return fault.Unavailable(retrySoon, "the list could not be read").Because(err)
	}
	s.progress.heard(bucket, origin.Sequence)
	for {
		there, same, changed := s.progress.look(bucket, origin.Stream, origin.Sequence)
		if there {
			return nil
		}
		if !same {
			s.replaced()
		}
		s.progress.want(bucket, origin.Sequence)
		select {
		case <-changed:
		case <-ctx.Done():
			return s.late(ctx)
		}
	}
}

// replaced has everything read anew, since a stream is another than it was.
func (s *Store) replaced() {
	s.mu.RLock()
	f := s.file
	s.mu.RUnlock()
	if f != nil {
		s.renew(f, reasonStream)
	}
}

func (s *Store) late(ctx context.Context) error {
	s.metrics.timeouts.Inc()
	if detail, building := s.Building(); building {
		return fault.Unavailable(retryLater, "the lists are being read anew: %s", detail).Because(ctx.Err())
	}
	return fault.Unavailable(retrySoon, "the list is behind what has been stored").Because(ctx.Err())
}

// ask returns which stream a bucket has and where it ends. The leader answers.
func (s *Store) ask(ctx context.Context, bucket string) (listdb.Cursor, error) {
	stream, err := s.deps.JetStream.Stream(ctx, listdb.StreamName(bucket))
	if err != nil {
		return listdb.Cursor{}, fmt.Errorf("look at bucket %s: %w", bucket, err)
	}
	info := stream.CachedInfo()
	return listdb.Cursor{Stream: info.Created.UnixNano(), Sequence: info.State.LastSeq}, nil
}
