package feed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
)

var errIncomplete = errors.New("the answer was incomplete")

// readBatch reads what comes next for the subscriber from the stream into its buffer and moves its position behind it. It reports whether
// there is no more.
func (s *Subscription) readBatch(ctx context.Context) (done bool, err error) {
	s.buffer = s.buffer[:0]
	select {
	case s.feed.reading <- struct{}{}:
		defer func() { <-s.feed.reading }()
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.closed:
		return false, ErrClosed
	}
	s.feed.metrics.reads.Inc()
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	subject := s.filter.subject(s.project)
	from := jetstreamext.GetBatchSeq(s.after + 1)
	if !s.since.IsZero() {
		from = jetstreamext.GetBatchStartTime(s.since)
	}
	batch, err := jetstreamext.GetBatch(ctx, s.feed.js, bus.EventsStream, batchMessages, from, jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return false, fmt.Errorf("read the stream: %w", err)
	}
	var last, pending uint64
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return s.atEnd(ctx, subject)
		}
		if err != nil {
			return false, fmt.Errorf("read the stream: %w", err)
		}
		if msg.Header.Get("Nats-Last-Sequence") != strconv.FormatUint(last, 10) {
			return false, errIncomplete // what came before stands: the position is behind it
		}
		last = msg.Sequence
		if pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return false, fmt.Errorf("read what is pending: %w", err)
		}
		s.take(msg)
	}
	if last == 0 {
		return false, errors.Join(errIncomplete, ctx.Err())
	}
	if pending > 0 {
		return false, nil
	}
	return s.atEnd(ctx, subject)
}

func (s *Subscription) take(msg *jetstream.RawStreamMsg) {
	s.after, s.since = msg.Sequence, time.Time{}
	if m, ok := parse(msg.Subject, msg.Sequence, msg.Data); ok && s.filter.matches(&m) {
		s.buffer = append(s.buffer, m)
	}
}

// atEnd reports whether there is nothing after the subscriber's position. On several replicas a follower may have answered that has not
// seen it yet, so the leader is asked for the last.
func (s *Subscription) atEnd(ctx context.Context, subject string) (bool, error) {
	if !s.feed.replicated {
		return true, nil
	}
	last, err := s.feed.lastSequence(ctx, subject)
	if err != nil {
		return false, err
	}
	return last <= s.after, nil
}

// lastSequence asks the leader of the stream for the position of the newest message of the subject; 0 = there is none.
func (f *Feed) lastSequence(ctx context.Context, subject string) (uint64, error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, fmt.Errorf("encode request: %w", err)
	}
	options := f.js.Options()
	api := cmp.Or(options.APIPrefix, jetstream.DefaultAPIPrefix)
	if options.APIPrefix == "" && options.Domain != "" {
		api = "$JS." + options.Domain + ".API."
	}
	reply, err := f.js.Conn().RequestWithContext(ctx, strings.TrimSuffix(api, ".")+".STREAM.MSG.GET."+bus.EventsStream, request)
	if err != nil {
		return 0, fmt.Errorf("ask for the newest of %s: %w", subject, err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, fmt.Errorf("decode the newest of %s: %w", subject, err)
	}
	switch {
	case answer.Error == nil:
		return answer.Message.Sequence, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return 0, nil
	}
	return 0, fmt.Errorf("ask for the newest of %s: %w", subject, answer.Error)
}
