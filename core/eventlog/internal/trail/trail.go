// Package trail reads what a subject has from its newest message backwards. A message that was stored on the condition which message is the
// newest of its subject names that one in its header, and the server has held it to that: between the two the subject had nothing. So each
// step is the read of one message by its sequence, and costs the same whatever others have stored between. A server that is asked for the
// messages of a subject since a time, or from a sequence on, looks at all that lie between two of them in one block of its file.
//
// A trail ends at a message that was stored without such a condition, or whose predecessor is gone: who reads it is told, and reads
// otherwise. The package reads streams.
package trail

import (
	"context"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
)

// most is how many messages are read at most: one after the other they cost more than many in one batch.
const most = 8

// Back returns the messages of a subject from its newest, head, back to the first that past tells of, which is not among them, in the order
// of the stream. Whole is false if it does not know all of them; it returns none then.
func Back(
	ctx context.Context, js jetstream.JetStream, stream string, head *jetstream.RawStreamMsg, past func(*jetstream.RawStreamMsg) bool,
) (messages []*jetstream.RawStreamMsg, whole bool, err error) {
	for msg := head; !past(msg); {
		if len(messages) == most {
			return nil, false, nil
		}
		messages = append(messages, msg)
		before, told := predecessor(msg)
		if told && before == 0 {
			break
		}
		if !told {
			return nil, false, nil
		}
		if msg, err = direct.At(ctx, js, stream, before); err != nil {
			return nil, false, err
		}
		if msg == nil || msg.Subject != head.Subject {
			return nil, false, nil
		}
	}
	slices.Reverse(messages)
	return messages, true, nil
}

// predecessor returns the sequence of the message that was the newest of the subject when msg was stored, 0 if there was none.
func predecessor(msg *jetstream.RawStreamMsg) (sequence uint64, told bool) {
	sequence, err := strconv.ParseUint(msg.Header.Get(jetstream.ExpectedLastSubjSeqHeader), 10, 64)
	return sequence, err == nil && sequence < msg.Sequence
}
