package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/deadline"
	"github.com/keyward/keyward/core/eventlog/internal/publish"
)

// How appends are committed. A server that flushes every write takes one message after the other, however many publish, so that beyond a
// few there is nothing to be gained by sending more at once; an atomic batch costs it a handful of flushes whatever its size.
const (
	maxAlone    = 8               // appends under way that have a message of their own
	minTogether = 16              // appends waiting from which a batch is cheaper than as many messages
	maxTogether = 500             // messages of a batch; the server takes up to 1,000
	batchLimit  = 5 * time.Second // of one batch, as of one message with all its attempts

	// A disk that is flushed takes hundredths of a second. What takes as long as this was sent to a leader that is gone, mostly, or waits for
	// one to come.
	attemptLimit = time.Second
	leaderPause  = 50 * time.Millisecond // between looks for a leader
)

// commits sends appends to the stream of events. Up to maxAlone are under way with a message of their own, so that a lone one waits for
// nobody. Those that come while so many are under way wait, in order; when one has ended they go on, as one atomic batch if there are
// minTogether or more. While a batch is under way, the next gathers. There is no goroutine: the caller that has waited longest sends the
// batch. It is safe for concurrent use.
type commits struct {
	js jetstream.JetStream

	mu       sync.Mutex
	alone    int  // appends under way with a message of their own
	together bool // a batch is under way
	waiting  []*commit
}

// commit is an append that waits.
type commit struct {
	msg  *nats.Msg
	id   string
	turn chan turn // buffered

	members []*commit // of the batch, with this one first; set for turnLead
	answer  answer    // set for turnAnswered
}

// turn tells a waiting append how it goes on.
type turn int

const (
	turnAlone    turn = iota // it may send its message
	turnLead                 // it sends the batch of members
	turnAnswered             // it was in a batch, and has its answer
)

// answer is what became of an append. After an error it may be stored or not.
type answer struct {
	receipt Receipt
	err     error
}

func newCommits(js jetstream.JetStream) *commits { return &commits{js: js} }

// publish stores msg under the ID. If ctx ends while it waits, it is not sent. One that sends a batch may outstay its context by
// batchLimit.
func (c *commits) publish(ctx context.Context, msg *nats.Msg, id string) (Receipt, error) {
	c.mu.Lock()
	if c.alone < maxAlone && !c.together && len(c.waiting) == 0 {
		c.alone++
		c.mu.Unlock()
		return c.sendAlone(ctx, msg, id)
	}
	mine := &commit{msg: msg, id: id, turn: make(chan turn, 1)}
	c.waiting = append(c.waiting, mine)
	c.mu.Unlock()
	select {
	case t := <-mine.turn:
		return c.take(ctx, mine, t)
	case <-ctx.Done():
	}
	if c.leave(mine) {
		return Receipt{}, fmt.Errorf("wait for a place in %s: %w", bus.EventsStream, ctx.Err())
	}
	select {
	case t := <-mine.turn:
		return c.take(ctx, mine, t)
	default:
		return Receipt{}, fmt.Errorf("wait for a batch of %s: %w", bus.EventsStream, ctx.Err())
	}
}

func (c *commits) take(ctx context.Context, mine *commit, t turn) (Receipt, error) {
	switch t {
	case turnLead:
		c.sendTogether(ctx, mine.members)
	case turnAlone:
		return c.sendAlone(ctx, mine.msg, mine.id)
	case turnAnswered:
	}
	return mine.answer.receipt, mine.answer.err
}

// leave takes an append out of those that wait. It reports whether it did: otherwise the append has its turn, or is in a batch that is
// under way.
func (c *commits) leave(mine *commit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, waiting := range c.waiting {
		if waiting == mine {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// sendAlone has been counted in alone.
func (c *commits) sendAlone(ctx context.Context, msg *nats.Msg, id string) (Receipt, error) {
	defer c.passOn(func() { c.alone-- })
	return c.single(ctx, msg, id)
}

// single sends a message until it is stored: while the stream changes its leader, what was sent to the old one is lost, and there is
// nobody to send to. The server knows it again by its ID, so it is stored once.
func (c *commits) single(ctx context.Context, msg *nats.Msg, id string) (Receipt, error) {
	limited := deadline.With(ctx, batchLimit)
	defer limited.End()
	said := []string{id, bus.EventsStream}
	msg.Header[jetstream.MsgIDHeader], msg.Header[jetstream.ExpectedStreamHeader] = said[:1:1], said[1:]
	ack, err := publish.Event(limited, c.js, msg, attemptLimit, leaderPause)
	again := false
	for limited.Err() == nil && passing(err) {
		again = again || errors.Is(err, context.DeadlineExceeded)
		if underWay(err) {
			rest(limited)
		}
		ack, err = publish.Event(limited, c.js, msg, attemptLimit, leaderPause)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("append to %s: %w", bus.EventsStream, err)
	}
	return Receipt{Sequence: ack.Sequence, Duplicate: ack.Duplicate && !again, Unsure: ack.Duplicate && again}, nil
}

// passing reports whether an attempt failed by what a change of leaders brings: nobody has answered, or is there to, or an earlier attempt
// is under way.
func passing(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, jetstream.ErrNoStreamResponse) || underWay(err)
}

// underWay reports whether the server has been sent the message before and has not stored it yet. A leader without a majority may never.
func underWay(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == duplicateConflict
}

// rest waits until something may have changed.
func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(leaderPause):
	}
}

// passOn notes what has ended, and gives those that wait their turn.
func (c *commits) passOn(end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end()
	if c.together {
		return
	}
	if len(c.waiting) >= minTogether {
		members := c.waiting[:min(len(c.waiting), maxTogether)]
		c.waiting = slices.Clone(c.waiting[len(members):])
		c.together = true
		members[0].members = members
		members[0].turn <- turnLead
		return
	}
	for c.alone < maxAlone && len(c.waiting) > 0 {
		c.alone++
		c.waiting[0].turn <- turnAlone
		c.waiting = c.waiting[1:]
	}
}

// sendTogether sends a batch and answers its members, of which the caller is the first. The caller may go while it is under way, the others
// not be told so.
func (c *commits) sendTogether(ctx context.Context, members []*commit) {
	defer c.passOn(func() { c.together = false })
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchLimit)
	defer cancel()
	if err := c.batch(ctx, members); errors.Is(err, errNothingStored) {
		c.oneByOne(ctx, members)
	} else if err != nil {
		for _, m := range members {
			m.answer.err = fmt.Errorf("append a batch to %s: %w", bus.EventsStream, err)
		}
	}
	for _, m := range members[1:] {
		m.turn <- turnAnswered
	}
}

// errNothingStored is for a batch of which nothing was or will be stored.
var errNothingStored = errors.New("the batch was refused")

// batch stores all or nothing. After errNothingStored nothing is stored; after another error all may be.
func (c *commits) batch(ctx context.Context, members []*commit) error {
	messages := make([]*nats.Msg, len(members))
	for i, m := range members {
		m.msg.Header.Set(jetstream.MsgIDHeader, m.id)
		m.msg.Header.Set(jetstream.ExpectedStreamHeader, bus.EventsStream)
		messages[i] = m.msg
	}
	// The commit answers for all: an acknowledgement of the first message would cost a round trip.
	ack, err := jetstreamext.PublishMsgBatch(ctx, c.js, messages, jetstreamext.BatchFlowControl{AckFirst: false})
	if err != nil && refused(err) {
		return fmt.Errorf("%w: %w", errNothingStored, err)
	}
	if err != nil {
		return err
	}
	// The answer names the last message; those of a batch lie one behind the other.
	for i, m := range members {
		m.answer.receipt = Receipt{Sequence: ack.Sequence - uint64(len(members)-1-i)}
	}
	return nil
}

// refused reports whether err says that the batch was not committed. The server checks all messages of a batch before it stores the first.
func refused(err error) bool {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrMaxPayload) {
		return true
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case jetstreamext.JSErrCodeBatchPublishDuplicateMsgID, // of a message in the log, or in the batch
		jetstreamext.JSErrCodeBatchPublishNotEnabled,
		jetstreamext.JSErrCodeBatchPublishIncomplete, // another leader, or a server that restarted, got the rest of it
		jetstreamext.JSErrCodeBatchPublishExceedsLimit,
		jetstreamext.JSErrCodeBatchPublishUnsupportedHeader,
		jetstreamext.JSErrCodeAtomicPublishTooManyInflight,
		duplicateConflict:
		return true
	default:
		return false
	}
}

// duplicateConflict is the server's error for a message whose ID is that of one under way.
const duplicateConflict jetstream.ErrorCode = 10158

// oneByOne stores the messages of a batch that was refused, each for itself, and all at once: they are as many as would have waited.
func (c *commits) oneByOne(ctx context.Context, members []*commit) {
	var sending sync.WaitGroup
	for _, m := range members {
		for _, name := range [...]string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
			m.msg.Header.Del(name)
		}
		sending.Go(func() { m.answer.receipt, m.answer.err = c.single(ctx, m.msg, m.id) })
	}
	sending.Wait()
}
