// Package direct reads streams without consumers: with batches of direct gets, and where a stream answers none (of several replicas a
// follower may be behind), message by message from its leader, many at a time when there is much to read. It reads, and touches nothing.
//
// Whoever may create a consumer may have what it delivers sent to any subject, since NATS does not check that: a service that only reads
// needs no such permission in this way.
//
// What is read comes in the order of the stream, each message once. What has been erased in the meantime does not come.
package direct

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// ErrReset reports that a stream ends before the position that was read last: it was restored from a backup, or made anew.
var ErrReset = errors.New("the stream is not the one that was read")

// errIncomplete reports an answer of which a part is missing.
var errIncomplete = errors.New("the answer was incomplete")

const (
	batchMessages = 256
	batchBytes    = 1 << 20
	answerWait    = 5 * time.Second
)

// Message is a message of a stream, and how many of those that were asked for follow it, about.
type Message struct {
	*jetstream.RawStreamMsg
	Pending uint64
}

// Start says where to begin to read. The zero value is the oldest message.
type Start struct {
	sequence uint64
	at       time.Time
}

// After begins after a position.
func After(sequence uint64) Start { return Start{sequence: sequence + 1} }

// Since begins with the first message that was stored at that time or later.
func Since(t time.Time) Start { return Start{at: t} }

// Stream is a stream that is read. It is safe for concurrent use.
type Stream struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
	batch  bool   // it answers direct gets
	whole  string // the subject of all that it holds; empty: it has several
	single bool   // it keeps one message of a subject
}

// Open asks how the stream can be read.
func Open(ctx context.Context, js jetstream.JetStream, name string) (*Stream, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	cfg := stream.CachedInfo().Config
	s := &Stream{js: js, stream: stream, name: name, batch: cfg.AllowDirect, single: cfg.MaxMsgsPerSubject == 1}
	if len(cfg.Subjects) == 1 {
		s.whole = cfg.Subjects[0]
	}
	return s, nil
}

// everything is what a server need compare with no subject.
const everything = ">"

// AnswersAny reports whether any of its servers answers direct gets, as Last needs it.
func (s *Stream) AnswersAny() bool { return s.batch }

// filter returns what to ask for to get a subject.
func (s *Stream) filter(subject string) string {
	if subject == s.whole {
		return everything
	}
	return subject
}

// State returns the bounds of the stream as they are now.
func (s *Stream) State(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	info, err := s.stream.Info(ctx)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("ask for the bounds of %s: %w", s.name, err)
	}
	return info.State, nil
}

// Each reads the messages of a subject up to the end of the stream, until take wants no more or returns an error.
func (s *Stream) Each(ctx context.Context, subject string, from Start, take func(Message) (more bool, err error)) error {
	for n := 0; s.batch || n < alone; n++ {
		p, err := s.page(ctx, subject, from, batchMessages, take)
		if err != nil || p.over || p.last == 0 || p.pending == 0 {
			return err
		}
		from = After(p.last)
	}
	return s.readAhead(ctx, subject, from.sequence, take)
}

// page is what one read has come to.
type page struct {
	last    uint64 // sequence of the last message; 0 = there was none
	pending uint64 // how many come after it
	over    bool   // no more is wanted
}

// page reads what one answer holds, at most so many messages.
func (s *Stream) page(ctx context.Context, subject string, from Start, most int, take func(Message) (bool, error)) (p page, err error) {
	asking, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	if s.batch {
		p, err = s.fromAny(asking, subject, from, most, take)
	} else {
		p, err = s.fromLeader(asking, subject, from, take)
	}
	if err != nil {
		return p, fmt.Errorf("read %s: %w", s.name, err)
	}
	return p, nil
}

// fromAny reads a batch. The client ends one silently when time runs out; what the last message says is pending then remains to be read.
func (s *Stream) fromAny(
	ctx context.Context, subject string, from Start, most int, take func(Message) (bool, error),
) (p page, err error) {
	opts := []jetstreamext.GetBatchOpt{jetstreamext.GetBatchSubject(s.filter(subject)), jetstreamext.GetBatchMaxBytes(batchBytes)}
	switch {
	case !from.at.IsZero():
		opts = append(opts, jetstreamext.GetBatchStartTime(from.at))
	case from.sequence > 0:
		opts = append(opts, jetstreamext.GetBatchSeq(from.sequence))
	}
	batch, err := jetstreamext.GetBatch(ctx, s.js, s.name, most, opts...)
	if err != nil {
		return p, fmt.Errorf("ask for a batch: %w", err)
	}
	return receive(ctx, batch, take)
}

// receive hands on what an answer holds.
func receive(
	ctx context.Context, batch iter.Seq2[*jetstream.RawStreamMsg, error], take func(Message) (bool, error),
) (p page, err error) {
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return p, nil
		}
		if err != nil {
			return p, fmt.Errorf("read a batch: %w", err)
		}
		if msg.Header.Get("Nats-Last-Sequence") != strconv.FormatUint(p.last, 10) {
			return p, errIncomplete
		}
		if p.pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return p, fmt.Errorf("read what is pending: %w", err)
		}
		p.last = msg.Sequence
		more, err := take(Message{msg, p.pending})
		if err != nil || !more {
			p.over = true
			return p, err
		}
	}
	if p.last == 0 {
		return p, errors.Join(errIncomplete, ctx.Err())
	}
	return p, nil
}
