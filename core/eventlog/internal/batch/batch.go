// Package batch reads what a stream has of a subject in batches of direct gets, and asks its leader for the newest.
package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

const pageSize = 1000 // messages a batch read asks for

// All reads every message of the subject from the sequence on, page by page, and returns the sequence that follows the last.
func All(
	ctx context.Context, js jetstream.JetStream, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error,
) (uint64, error) {
	next := from
	for {
		following, pending, err := page(ctx, js, stream, subject, next, take)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", subject, err)
		}
		next = cmp.Or(following, next)
		if pending == 0 {
			return next, nil
		}
	}
}

// ErrIncomplete reports an answer of which a part is missing.
var ErrIncomplete = errors.New("the answer was incomplete")

// page reads one batch. It returns the sequence after the last message, 0 if there was none, and how many messages match and come
// after. The client ends a batch silently when time runs out; what the last message says is pending then remains to be read.
func page(
	ctx context.Context, js jetstream.JetStream, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error,
) (next, pending uint64, err error) {
	return Read(ctx, js, stream, take, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
}

// Read reads one batch: of what the options say.
func Read(
	ctx context.Context, js jetstream.JetStream, stream string, take func(*jetstream.RawStreamMsg) error, what ...jetstreamext.GetBatchOpt,
) (next, pending uint64, err error) {
	batch, err := jetstreamext.GetBatch(ctx, js, stream, pageSize, what...)
	if err != nil {
		return 0, 0, err
	}
	var previous uint64
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if msg.Header.Get("Nats-Last-Sequence") != strconv.FormatUint(previous, 10) {
			return 0, 0, ErrIncomplete
		}
		previous = msg.Sequence
		if pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("read what is pending: %w", err)
		}
		if err := take(msg); err != nil {
			return 0, 0, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
		next = msg.Sequence + 1
	}
	if next == 0 {
		return 0, 0, errors.Join(ErrIncomplete, ctx.Err())
	}
	return next, pending, nil
}
