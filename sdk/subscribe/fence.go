package subscribe

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// fence keeps order where a process begins to get a consumer's events. What another process had taken, or this one in an earlier life,
// and did not answer comes again only when NATS has waited for it, while newer events come at once. So nothing is begun until all that is
// unanswered is here, and then it is begun in the order of the stream.
type fence struct {
	*run
	pin     string // under which NATS gives events to this process
	holding bool
	held    []*taken
	asked   time.Time
}

const (
	headerPin = "Nats-Pin-Id"
	fencePoll = 200 * time.Millisecond
)

// patience returns a context for waiting for the next event, which ends when it is time to ask again whether all is here.
func (f *fence) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if !f.holding {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, fencePoll)
}

// receive takes deliveries until ctx ends or the iterator fails.
func (f *fence) receive(ctx context.Context, messages jetstream.MessagesContext) error {
	for {
		waiting, cancel := f.patience(ctx)
		msg, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = msg.Nak() // without it the event comes again all the same, later
			}
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			f.release(ctx)
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			// NATS is away; the pull is made again when it is back.
		case err != nil:
			return err
		default:
			f.take(ctx, msg)
		}
	}
}

// drain ends the iterator and takes what it still holds. When it returns NATS has heard that nobody asks any more. Otherwise what is
// appended in the next moment would be sent to nobody, and come only when NATS has waited for its acknowledgement. A NATS that is away
// is waited for as long as for any answer.
func (f *fence) drain(ctx context.Context, messages jetstream.MessagesContext) {
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiWait)
	defer cancel()
	messages.Drain()
	for {
		msg, err := messages.Next(jetstream.NextContext(waiting))
		switch {
		case errors.Is(err, jetstream.ErrNoHeartbeat) && waiting.Err() == nil:
		case err != nil:
			return
		case ctx.Err() != nil:
			_ = msg.Nak() // without it the event comes again all the same, later
		default:
			f.take(ctx, msg)
		}
	}
}

// take passes a delivery on, unless its event is here already: then the acknowledgement of that one will do for both.
func (f *fence) take(ctx context.Context, msg jetstream.Msg) {
	if t := read(msg); f.own(t) {
		f.pass(ctx, t)
	}
}

// pass begins t, or holds it.
func (f *fence) pass(ctx context.Context, t *taken) {
	if pin := t.msg.Headers().Get(headerPin); pin != f.pin {
		f.pin, f.holding, f.asked = pin, true, time.Time{}
	}
	if !f.holding {
		f.begin(t)
		return
	}
	f.held = append(f.held, t)
	f.release(ctx)
}

// release begins what is held if all that is unanswered is here. It asks from time to time only.
func (f *fence) release(ctx context.Context) {
	if !f.holding || time.Since(f.asked) < fencePoll || !f.complete(ctx) {
		return
	}
	f.holding = false
	slices.SortFunc(f.held, func(a, b *taken) int { return cmp.Compare(a.Sequence, b.Sequence) })
	for _, t := range f.held {
		f.begin(t)
	}
	f.held = nil
}

// complete reports whether all that is unanswered is here. What NATS may not count as unanswered is not counted here either, or it would
// stand for an event that has not come: what has been answered already, and what a NATS that was killed does not know to have delivered.
func (f *fence) complete(ctx context.Context) bool {
	f.asked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	info, err := f.consumer.Info(ctx)
	if err != nil {
		f.Log.Debug("what is unanswered is not known yet", "consumer", f.Name, "error", err)
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	here := 0
	for sequence, t := range f.mine {
		if !t.answered && sequence > info.AckFloor.Stream && sequence <= info.Delivered.Stream {
			here++
		}
	}
	return info.NumAckPending <= here
}

// abandon gives back what is held.
func (f *fence) abandon() {
	for _, t := range f.held {
		f.giveBack(t)
	}
}
