package direct

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/patience"
)

// How a leader is read, which answers with one message at a time.
const (
	alone   = 32 // messages that are read one after the other: most of what is asked for is less
	readers = 32 // that read at the same time what is more
	// What a reader shall find in its part. Parts are made longer or shorter by what the ones before had; a reader that finds the most stops,
	// since what all have found is held in memory.
	wanted = 8
	most   = 64
)

// fromLeader reads one message.
func (s *Stream) fromLeader(ctx context.Context, subject string, from Start, take func(Message) (bool, error)) (page, error) {
	msg, err := s.nextOfLeader(ctx, subject, max(from.sequence, 1))
	for err == nil && msg != nil && msg.Time.Before(from.at) {
		msg, err = s.nextOfLeader(ctx, subject, msg.Sequence+1)
	}
	if err != nil || msg == nil {
		return page{}, err
	}
	const unknown = 1
	more, err := take(Message{msg, unknown})
	return page{last: msg.Sequence, pending: unknown, over: !more}, err
}

// nextOfLeader returns the first message of a subject from a position on, nil if there is none.
func (s *Stream) nextOfLeader(ctx context.Context, subject string, from uint64) (*jetstream.RawStreamMsg, error) {
	return askLeader(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(s.filter(subject)))
	})
}

// lastOfLeader returns the last message of a subject, nil if there is none.
func (s *Stream) lastOfLeader(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	return askLeader(ctx, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetLastMsgForSubject(ctx, subject)
	})
}

// askLeader asks for a message. While there is no leader it waits for one.
func askLeader(
	ctx context.Context, ask func(context.Context) (*jetstream.RawStreamMsg, error),
) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	msg, err := patience.Ask(ctx, ask)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("ask the leader: %w", err)
	}
	return msg, nil
}

// part is a piece of a stream, and what a reader has found there.
type part struct {
	from, to uint64 // both of it
	messages []*jetstream.RawStreamMsg
	next     uint64 // where it goes on: the first message behind the part, or what the reader has left
	ended    bool   // there is nothing from next on
	err      error
}

// whole reports whether the reader has come to the end of the part.
func (p part) whole() bool { return p.ended || p.next > p.to }

// readAhead reads what the leader has from a position on with several readers, and hands it on in the order of the stream.
func (s *Stream) readAhead(ctx context.Context, subject string, from uint64, take func(Message) (bool, error)) error {
	for length := uint64(wanted); ; {
		parts := s.read(ctx, subject, from, length)
		found := 0
		for _, p := range parts {
			if p.err != nil {
				return fmt.Errorf("read %s: %w", s.name, p.err)
			}
			for _, msg := range p.messages {
				if more, err := take(Message{msg, 1}); err != nil || !more {
					return err
				}
			}
			if p.ended {
				return nil
			}
			from, found = p.next, found+len(p.messages)
			if !p.whole() { // what the later ones have found is read again
				length = max((p.next-p.from)*wanted/most, wanted)
				found = readers * wanted
				break
			}
		}
		length = parted(length, found)
	}
}

// parted returns how long the next parts are.
func parted(length uint64, found int) uint64 {
	switch {
	case found < readers*wanted/2:
		return 2 * length
	case found > readers*wanted*2:
		return max(length/2, wanted)
	}
	return length
}

// read reads parts of a length, one beside the other.
func (s *Stream) read(ctx context.Context, subject string, from, length uint64) []part {
	parts := make([]part, readers)
	var reading sync.WaitGroup
	for i := range parts {
		start := from + uint64(i)*length
		reading.Go(func() { parts[i] = s.readPart(ctx, subject, start, start+length-1) })
	}
	reading.Wait()
	return parts
}

func (s *Stream) readPart(ctx context.Context, subject string, from, to uint64) part {
	p := part{from: from, to: to, next: from}
	for !p.whole() && len(p.messages) < most {
		msg, err := s.nextOfLeader(ctx, subject, p.next)
		switch {
		case err != nil:
			p.err = err
			return p
		case msg == nil:
			p.ended = true
		case msg.Sequence > to:
			p.next = msg.Sequence
		default:
			p.messages, p.next = append(p.messages, msg), msg.Sequence+1
		}
	}
	return p
}
