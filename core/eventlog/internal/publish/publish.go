// Package publish stores offers and events one at a time, and waits for each. It promises that what it reports as stored the stream has.
package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
)

// acknowledged is how the server's word begins that a message is in the stream of offers. A refusal begins with the error.
const acknowledged = `{"stream":"` + bus.OffersStream + `",`

// Offer stores an offer. The client reads each acknowledgement as JSON, at a third of what it takes to send one: here its beginning is
// enough. Whatever else is answered is the client's affair, which asks again if nobody is there to answer, and knows the errors.
func Offer(ctx context.Context, js jetstream.JetStream, msg *nats.Msg) error {
	if _, bounded := ctx.Deadline(); bounded {
		answer, err := js.Conn().RequestMsgWithContext(ctx, msg)
		if err == nil && bytes.HasPrefix(answer.Data, []byte(acknowledged)) {
			return nil
		}
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			return err
		}
	}
	_, err := js.PublishMsg(ctx, msg)
	return err
}

// taken is how the server's word begins that a message is in the stream of events; the sequence follows, and mostly nothing else.
const taken = `{"stream":"` + bus.EventsStream + `","seq":`

// Event stores an event, and waits for so long at most; where nobody is there to answer, it asks again after a pause. It errs as the client
// does, but without what the client takes for it: a timer of its own and all that hangs on it, the options of a call, and the reading of
// JSON. That the caller has left it may notice as late as it waits.
func Event(ctx context.Context, js jetstream.JetStream, msg *nats.Msg, within, pause time.Duration) (jetstream.PubAck, error) {
	for until := time.Now().Add(within); ; {
		wait := time.Until(until)
		if end, bounded := ctx.Deadline(); bounded {
			wait = min(wait, time.Until(end))
		}
		if err := ctx.Err(); err != nil {
			return jetstream.PubAck{}, err
		}
		answer, err := js.Conn().RequestMsg(msg, max(wait, time.Nanosecond))
		switch {
		case err == nil:
			return receipt(answer.Data)
		case errors.Is(err, nats.ErrTimeout):
			return jetstream.PubAck{}, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		case !errors.Is(err, nats.ErrNoResponders):
			return jetstream.PubAck{}, err
		case time.Until(until) <= pause:
			return jetstream.PubAck{}, fmt.Errorf("%w: %w", jetstream.ErrNoStreamResponse, err)
		}
		select {
		case <-ctx.Done():
			return jetstream.PubAck{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// receipt reads what the server has answered.
func receipt(answer []byte) (jetstream.PubAck, error) {
	if rest, begins := bytes.CutPrefix(answer, []byte(taken)); begins {
		digits, ends := bytes.CutSuffix(rest, []byte("}"))
		if sequence, err := strconv.ParseUint(string(digits), 10, 64); err == nil && ends && digits[0] != '0' {
			return jetstream.PubAck{Stream: bus.EventsStream, Sequence: sequence}, nil
		}
	}
	var read struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &read); err != nil {
		return jetstream.PubAck{}, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	}
	if read.Error != nil {
		return jetstream.PubAck{}, read.Error
	}
	if read.Stream == "" || read.Sequence == 0 {
		return jetstream.PubAck{}, jetstream.ErrInvalidJSAck
	}
	return read.PubAck, nil
}
