package batch

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Newest is the newest message of a subject, as the leader tells of it; of no message, zero.
type Newest struct {
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
}

// OfLeader asks the leader of a stream, at the subject of its API.
func OfLeader(ctx context.Context, js jetstream.JetStream, subject string, request []byte) (Newest, error) {
	reply, err := js.Conn().RequestWithContext(ctx, subject, request)
	if err != nil {
		return Newest{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message Newest              `json:"message"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return Newest{}, fmt.Errorf("decode: %w", err)
	case answer.Error == nil:
		return answer.Message, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Newest{}, nil
	}
	return Newest{}, answer.Error
}
