package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/batch"
	"github.com/keyward/keyward/core/span"
)

// readUser hands every message of a user of the wanted types from the sequence on to take, in the order of the stream, and returns the
// sequence that follows the last. A follower that is behind is waited for.
//
// The types are read one by one. A server that is asked for all of a user's subjects at once looks at every message between the first and
// the last of them, whosever it is, but it knows where those of one subject are.
func (l *Log) readUser(
	ctx context.Context, stream, prefix string, from uint64, wanted func(event.Type) bool, take func(*jetstream.RawStreamMsg) error,
) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	ctx, step := span.Stream(ctx, "read", stream)
	next, err := l.readUserLatest(ctx, stream, prefix, from, wanted, take)
	step.End(err)
	return next, err
}

func (l *Log) readUserLatest(
	ctx context.Context, stream, prefix string, from uint64, wanted func(event.Type) bool, take func(*jetstream.RawStreamMsg) error,
) (uint64, error) {
	var last uint64
	var err error
	if l.replicated {
		if last, _, err = l.last(ctx, stream, prefix+">"); err != nil {
			return 0, err
		}
	}
	next := max(from, 1)
	for {
		messages, following, err := l.readTypes(ctx, stream, prefix, next, wanted)
		if err == nil {
			next = following
			for _, msg := range messages {
				if err := take(msg); err != nil {
					return 0, fmt.Errorf("message %d: %w", msg.Sequence, err)
				}
			}
			if next > last {
				return next, nil
			}
		} else if !errors.Is(err, errBehind) {
			return 0, fmt.Errorf("read %s>: %w", prefix, err)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("read %s> up to %d: %w", prefix, last, ctx.Err())
		case <-time.After(followerPause):
		}
	}
}

// followerPause is how long a follower that is behind is left to catch up.
const followerPause = 5 * time.Millisecond

// errBehind is for an answer of a follower that lacks what another one had.
var errBehind = errors.New("a follower is behind")

// readTypes reads what a server knows of a user now, from the sequence on: neither more, since what comes while one type is read may be
// missing of another, nor less.
func (l *Log) readTypes(
	ctx context.Context, stream, prefix string, from uint64, wanted func(event.Type) bool,
) (messages []*jetstream.RawStreamMsg, next uint64, err error) {
	newest, err := l.newest(ctx, stream, prefix+">")
	if err != nil {
		return nil, 0, err
	}
	next = from
	for subject, last := range newest {
		next = max(next, last+1)
		if last < from || !wanted(event.Type(strings.TrimPrefix(subject, prefix))) {
			continue
		}
		following, err := batch.All(ctx, l.js, stream, subject, from, func(msg *jetstream.RawStreamMsg) error {
			if msg.Sequence <= last {
				messages = append(messages, msg)
			}
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		// On one server, what is missing has been erased meanwhile.
		if l.replicated && following <= last {
			return nil, 0, errBehind
		}
	}
	slices.SortFunc(messages, func(a, b *jetstream.RawStreamMsg) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return messages, next, nil
}

// newest returns the sequence of the newest message of each subject that the filter matches: all as they were at one moment.
func (l *Log) newest(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	messages, err := jetstreamext.GetLastMsgsFor(ctx, l.js, stream, []string{filter})
	if err != nil {
		return nil, err
	}
	newest := make(map[string]uint64)
	for msg, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		newest[msg.Subject] = msg.Sequence
		pending, err := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read what is pending: %w", err)
		}
		if pending == 0 {
			return newest, nil
		}
	}
	return nil, errors.Join(batch.ErrIncomplete, ctx.Err())
}
