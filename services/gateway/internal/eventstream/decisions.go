package eventstream

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// Follow returns decisions after a position, and waits for some, not for long. service.Decisions has it.
type Follow func(context.Context, service.ForOperator[inquiry.DecisionsAfter]) (inquiry.NewDecisions, error)

// kindOfDecision is the event field of a decision.
const kindOfDecision event.Type = "decision"

// ServeDecisions answers an admitted request of an operator with decisions as they are indexed, as Serve does with events.
func (s *Streams) ServeDecisions(follow Follow) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := exchange.Of(c.UserContext())
		caller := x.Operator()
		d := &decisions{follow: follow, closed: make(chan struct{}), asked: service.ForOperator[inquiry.DecisionsAfter]{
			Operator: service.Operator{ID: caller.ID, Name: caller.Name},
		}}
		query, err := contract.Query(string(c.Request().URI().QueryString()))
		if err != nil {
			return fault.Field("query", "must be percent-encoded name=value pairs joined by &")
		}
		d.asked.Body.Filter = query["filter[]"]
		now, err := follow(c.UserContext(), d.asked)
		if err != nil {
			return err
		}
		d.asked.Body.After = &now.Position
		if last := c.Get(headerLastEventID); last != "" {
			position, err := strconv.ParseUint(last, 10, 64)
			if err != nil {
				return fault.Field(headerLastEventID, "must be the id of a decision of this stream")
			}
			d.asked.Body.After = &position
		}
		c.Set(fiber.HeaderContentType, eventStream)
		c.Set("X-Accel-Buffering", "no") // a proxy in between must pass on at once
		if c.Method() == fiber.MethodHead {
			return nil
		}
		const operators ident.ProjectID = "" // all of them have as many streams as a project
		release, ok := s.reserve(operators)
		if !ok {
			s.deps.Shed()
			return fault.Unavailable(retryStream, "too many event streams at once")
		}
		chunked := c.Request().Header.IsHTTP11()
		s.hand(c.Context(), &stream{
			set: s, subscription: d, release: release, chunked: chunked, head: streamHead(c, chunked),
			log: s.deps.Log.With("request_id", string(x.ID), "operator", string(caller.ID)), valid: s.deps.StillAdmits(x),
		})
		return nil
	}
}

// decisions are a subscription to what is indexed. An instance that cannot say is asked again, or another one in its place: positions are
// those of all.
type decisions struct {
	follow Follow
	asked  service.ForOperator[inquiry.DecisionsAfter]
	closed chan struct{}
	once   sync.Once
}

// Missed implements subscription: what is not indexed any more is not known to have been.
func (d *decisions) Missed() (uint64, bool) { return 0, false }

// Close implements subscription.
func (d *decisions) Close() { d.once.Do(func() { close(d.closed) }) }

// Next implements subscription.
func (d *decisions) Next(ctx context.Context) ([]feed.Message, error) {
	const pause = 250 * time.Millisecond // between two attempts while nobody can say
	for {
		select {
		case <-d.closed:
			return nil, feed.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		default:
		}
		found, err := d.follow(ctx, d.asked)
		if err == nil {
			d.asked.Body.After = &found.Position
			if len(found.Decisions) > 0 {
				return messages(found), nil
			}
			continue
		}
		var wrong *fault.Fault
		if errors.As(err, &wrong) && wrong.Status < http.StatusInternalServerError {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-d.closed:
		case <-time.After(pause):
		}
	}
}

func messages(found inquiry.NewDecisions) []feed.Message {
	all := make([]feed.Message, len(found.Decisions))
	for i, one := range found.Decisions {
		all[i] = feed.Message{Sequence: one.Position, Type: kindOfDecision, Data: one.Summary}
	}
	return all
}
