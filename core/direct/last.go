package direct

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// noMessage is the status of an answer that holds none.
const noMessage = "404"

// usual is how long an answer may take that is waited for without the means to be told of the caller's end.
const usual = 250 * time.Millisecond

// Last returns the newest message of a subject, or of all that match it, as one of the servers of a stream that answers direct gets has it:
// where there are several, that may be one which is behind. Of no message it returns nil. That the caller has left it may notice a moment
// late.
func Last(ctx context.Context, js jetstream.JetStream, stream, subject string) (*jetstream.RawStreamMsg, error) {
	at, request, err := lastOf(API(js)+"DIRECT.GET."+stream, subject)
	if err != nil {
		return nil, fmt.Errorf("read %s: encode the request: %w", stream, err)
	}
	return one(ctx, js, stream, at, request)
}

// At returns the message at a sequence, as Last does the newest.
func At(ctx context.Context, js jetstream.JetStream, stream string, sequence uint64) (*jetstream.RawStreamMsg, error) {
	request := append(strconv.AppendUint([]byte(`{"seq":`), sequence, 10), '}')
	return one(ctx, js, stream, API(js)+"DIRECT.GET."+stream, request)
}

// one returns the message that is asked for.
func one(ctx context.Context, js jetstream.JetStream, stream, at string, request []byte) (*jetstream.RawStreamMsg, error) {
	answer, err := ask(ctx, js.Conn(), at, request)
	if err != nil {
		return nil, fmt.Errorf("read %s: ask %s for %s: %w", stream, at, request, err)
	}
	switch status := answer.Header.Get("Status"); status {
	case "":
	case noMessage:
		return nil, nil //nolint:nilnil // there is none
	default:
		return nil, fmt.Errorf("read %s: %s %s: %s %s", stream, at, request, status, answer.Header.Get("Description"))
	}
	msg, err := stored(answer)
	if err != nil {
		return nil, fmt.Errorf("read %s: %s %s: %w", stream, at, request, err)
	}
	return msg, nil
}

// lastOf returns the subject and the body to ask by. One subject is part of the former, which takes the server no decoding.
func lastOf(api, subject string) (at string, request []byte, err error) {
	if !strings.ContainsAny(subject, "*>") {
		return api + "." + subject, nil, nil
	}
	request, err = json.Marshal(map[string]string{"last_by_subj": subject})
	return api, request, err
}

// ask asks what may be asked any number of times: at first without a timer of its own and all that hangs on it, since nearly every answer
// comes at once.
func ask(ctx context.Context, conn *nats.Conn, at string, request []byte) (*nats.Msg, error) {
	wait := usual
	if until, bounded := ctx.Deadline(); bounded {
		wait = min(wait, time.Until(until))
	}
	if ctx.Err() != nil || wait <= 0 {
		return nil, cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	answer, err := conn.Request(at, request, wait)
	if !errors.Is(err, nats.ErrTimeout) {
		return answer, err
	}
	return conn.RequestWithContext(ctx, at, request)
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
