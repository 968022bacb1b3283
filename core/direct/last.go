package direct

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// noMessage is the status of an answer that holds none.
const noMessage = "404"

// Last returns the newest message of a subject, or of all that match it, as one of the servers of a stream that answers direct gets has it:
// where there are several, that may be one which is behind. Of no message it returns nil.
func Last(ctx context.Context, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, fmt.Errorf("read %s: encode the request: %w", stream, err)
	}
	answer, err := js.Conn().RequestWithContext(ctx, API(js)+"DIRECT.GET."+stream, request)
	if err != nil {
		return nil, fmt.Errorf("read %s: ask for the newest of %s: %w", stream, subject, err)
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case noMessage:
		return nil, nil //nolint:nilnil // there is none
	default:
		return nil, fmt.Errorf("read %s: the newest of %s: %s %s", stream, subject, status, answer.Header.Get("Description"))
	}
	msg, err := stored(answer)
	if err != nil {
		return nil, fmt.Errorf("read %s: the newest of %s: %w", stream, subject, err)
	}
	return msg, nil
}

// API returns what the subjects begin with that JetStream is asked at.
func API(js jetstream.JetStream) string {
	switch o := js.Options(); {
	case o.APIPrefix != "":
		return strings.TrimSuffix(o.APIPrefix, ".") + "."
	case o.Domain != "":
		return "$JS." + o.Domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}

// stored returns the message that an answer holds.
func stored(answer *nats.Msg) (*jetstream.RawStreamMsg, error) {
	sequence, err := strconv.ParseUint(answer.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("its sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, answer.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return nil, fmt.Errorf("its time: %w", err)
	}
	return &jetstream.RawStreamMsg{
		Subject: answer.Header.Get(jetstream.SubjectHeader), Sequence: sequence, Header: answer.Header, Data: answer.Data, Time: at,
	}, nil
}
