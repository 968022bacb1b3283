package eventstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

const (
	headerLastEventID = "Last-Event-ID"
	eventStream       = "text/event-stream"
	retryStream       = 2 * time.Second // what a client is told to wait before it connects again
	clockTolerance    = time.Minute     // by which a client's clock may be ahead
)

// Serve answers an admitted request with server-sent events (WHATWG HTML, section 9.2). The connection is taken out of the HTTP server,
// whose time-outs and whose limit of requests in flight are made for calls that end; the stream lives by limits of its own.
func (s *Streams) Serve(c *fiber.Ctx) error {
	x := exchange.Of(c.UserContext())
	return s.serve(c, x, x.Project, x.Salt)
}

// ServeOf is Serve for an operator, who names the project in the path.
func (s *Streams) ServeOf(find func(*fiber.Ctx) (project.Project, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		of, err := find(c)
		if err != nil {
			return err
		}
		return s.serve(c, exchange.Of(c.UserContext()), of.ID, of.Salt())
	}
}

func (s *Streams) serve(c *fiber.Ctx, x *exchange.Exchange, of ident.ProjectID, salt []byte) error {
	positions := newPositions(salt)
	var told uint64
	if s.deps.Feed != nil {
		told = s.deps.Feed.PositionsTold()
	}
	filter, start, err := streamQuery(c, s.deps.Now(), positions, told)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, eventStream)
	c.Set("X-Accel-Buffering", "no") // a proxy in between must pass on at once
	if c.Method() == fiber.MethodHead {
		return nil
	}
	if s.deps.Feed == nil {
		return fault.Unavailable(exchange.RetryShed, "this gateway has no event stream")
	}
	release, ok := s.reserve(of)
	if !ok {
		s.deps.Shed()
		return fault.Unavailable(retryStream, "too many event streams at once")
	}
	subscription, err := s.deps.Feed.Subscribe(c.UserContext(), of, filter, start)
	if err != nil {
		release()
		return unsubscribed(err)
	}
	chunked := c.Request().Header.IsHTTP11()
	s.hand(c.Context(), &stream{
		set: s, subscription: subscription, positions: positions, release: release, chunked: chunked, head: streamHead(c, chunked),
		log: s.deps.Log.With("request_id", string(x.ID), "project", string(of)), valid: s.deps.StillAdmits(x),
	})
	return nil
}

// streamHead writes the head of the answer, which the server leaves to whoever takes its connection.
func streamHead(c *fiber.Ctx, chunked bool) []byte {
	header := &c.Response().Header
	if chunked {
		header.SetContentLength(-1) // which is how the library says chunked
	} else {
		header.SetConnectionClose()
	}
	return slices.Clone(header.Header())
}

// unsubscribed says to the client why there is no stream.
func unsubscribed(err error) error {
	if errors.Is(err, feed.ErrBeyond) {
		return fault.Field(headerLastEventID, "is beyond the end of the stream")
	}
	return fault.Unavailable(retryStream, "the events cannot be read now").Because(err)
}

// streamQuery reads what the client wants. Where to go on outweighs since when, for a client that connects again sends both. A plain number
// is from an earlier version if it is one of those that were told; a larger one is a guess at what other projects do, and begins behind
// them.
func streamQuery(c *fiber.Ctx, now time.Time, at positions, told uint64) (feed.Filter, feed.Start, error) {
	var filter feed.Filter
	var start feed.Start
	var faults []fault.FieldError
	query, err := contract.Query(string(c.Request().URI().QueryString()))
	if err != nil {
		return filter, start, fault.Field("query", "must be percent-encoded name=value pairs joined by &")
	}
	for _, name := range query["type"] {
		kind := event.Type(name)
		if kind.Observed() || !kind.Known() {
			unknown := strconv.QuoteToASCII(name) + " is no type of event on this stream"
			faults = append(faults, fault.FieldError{Field: "type", Message: unknown})
			continue
		}
		filter.Types = append(filter.Types, kind)
	}
	filter.User = ident.UserID(query.Get("userID"))
	if since := query.Get("since"); since != "" {
		moment, problem := parseSince(since, now)
		if problem != "" {
			faults = append(faults, fault.FieldError{Field: "since", Message: problem})
		}
		start = feed.Since(moment)
	}
	if last := c.Get(headerLastEventID); last != "" {
		position, plain, ok := at.parse(last)
		if plain {
			position = min(position, told)
		}
		if !ok {
			faults = append(faults, fault.FieldError{Field: headerLastEventID, Message: "must be the id of an event of this stream"})
		}
		start = feed.After(position)
	}
	if len(faults) > 0 {
		return filter, start, fault.Fields(faults...)
	}
	return filter, start, nil
}

// parseSince reads RFC 3339 or Unix ms. The problem is empty if there is none.
func parseSince(text string, now time.Time) (moment time.Time, problem string) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		moment = time.UnixMilli(ms)
	} else if moment, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return time.Time{}, "must be a time in RFC 3339 (a + in it is written %2B) or in Unix milliseconds"
	}
	if moment.After(now.Add(clockTolerance)) {
		return time.Time{}, "must not be in the future"
	}
	// Before the Unix epoch there is nothing, and the zero time would mean now.
	return time.UnixMicro(max(moment.UnixMicro(), 1)), ""
}

// hand gives the connection of a request to a stream. The server has answered nothing by then.
func (s *Streams) hand(rc *fasthttp.RequestCtx, made *stream) {
	rc.HijackSetNoResponse(true)
	rc.Hijack(made.begin)
}

// logEnd tells why a stream is over.
func (s *stream) logEnd(ctx context.Context, began time.Time, reason string) {
	if !s.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "event stream ended", slog.String("reason", reason), slog.Uint64("events", s.sent),
		slog.Float64("duration_ms", float64(time.Since(began).Microseconds())/1000), slog.Int("status", http.StatusOK))
}
