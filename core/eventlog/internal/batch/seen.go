package batch

import (
	"context"
	"fmt"
	"math"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/sighting"
)

// Seen hands the events of all users that may be counted to visit, from a time on. It returns since when none is missing, in Unix ms: 0 if
// the log has never held anything. It returns, too, when the first was stored that the log has ever held: 0 if it is gone, and the end of
// time if there was none. What comes meanwhile may be left out.
func Seen(ctx context.Context, js jetstream.JetStream, from time.Time, visit func(event.Event) error) (since, first int64, err error) {
	stream, err := js.Stream(ctx, bus.EventsStream)
	if err != nil {
		return 0, 0, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	state := stream.CachedInfo().State
	if state.LastSeq == 0 {
		return 0, math.MaxInt64, nil
	}
	since = from.UnixMilli()
	if state.FirstSeq == 1 {
		first = state.FirstTime.UnixMilli()
	} else { // what was before has been dropped or erased
		since = max(since, state.FirstTime.UnixMilli())
	}
	take := func(msg *jetstream.RawStreamMsg) error {
		var e event.Event
		if err := jsonv2.Unmarshal(msg.Data, &e); err != nil {
			return fmt.Errorf("decode event: %w", err)
		}
		return visit(e)
	}
	for _, t := range sighting.EventTypes() {
		subject := bus.EventsPrefix + ".*.*." + string(t)
		next, pending, err := Read(
			ctx, js, bus.EventsStream, take, jetstreamext.GetBatchStartTime(from), jetstreamext.GetBatchSubject(subject),
		)
		if err == nil && pending > 0 {
			_, err = All(ctx, js, bus.EventsStream, subject, next, take)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read what was seen: %w", err)
		}
	}
	return since, first, nil
}
