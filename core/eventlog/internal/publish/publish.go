// Package publish stores offers one at a time, and waits for each. It promises that what it reports as stored the stream has.
package publish

import (
	"bytes"
	"context"
	"errors"

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
