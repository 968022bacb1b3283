package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/deadline"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// guard does what comes before every route, and then what is next. A panic becomes an error that keeps its stack.
func (g *Gateway) guard(x *exchange.Exchange, next func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.Stack = debug.Stack()
			err = fault.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	if err := g.door.Enter(x); err != nil || x.Preflight {
		return err
	}
	return next()
}

// shed is the answer to a request beyond what is worked on at once.
func (g *Gateway) shed() error {
	g.recorder.CountShed()
	return fault.Unavailable(exchange.RetryShed, "too many requests at once")
}

// withoutPlace gives the place of a request back while its body is read: a sender may draw that out, and there are fewer places than
// connections.
func (g *Gateway) withoutPlace(read func() error) error {
	g.inFlight.Add(-1)
	err := read()
	if g.inFlight.Add(1) > int64(g.cfg.MaxInFlight) && err == nil {
		return g.shed()
	}
	return err
}

// serve is around every request to Fiber that could be read: it names it, bounds it, answers its failures, and tells log, metrics and
// traces about it.
func (g *Gateway) serve(c *fiber.Ctx) error {
	defer g.dismiss(c)
	if g.isCall(c) {
		return g.overBridge(c)
	}
	x := exchangeIn(c)
	running := g.inFlight.Add(1)
	defer g.inFlight.Add(-1)

	limit := deadline.With(g.base, g.timeout(x.Path))
	defer limit.End()
	ctx, span := g.recorder.Begin(limit, x)
	c.SetUserContext(ctx)

	var err error
	if running > int64(g.cfg.MaxInFlight) {
		err = g.shed()
	} else {
		err = g.guard(x, c.Next)
	}
	switch {
	case errors.Is(err, admission.ErrAwaited):
		exchange.Abandon(span)
		return nil
	case err != nil:
		g.fail(c, x, err)
	case x.Preflight:
		c.Status(http.StatusNoContent)
	}
	g.recorder.Report(ctx, x, c.Response().StatusCode(), span)
	return nil
}

// timeout is the deadline of a request by its path.
func (g *Gateway) timeout(path string) time.Duration {
	if g.operator != nil && strings.HasPrefix(path, operatorPrefix) {
		return g.cfg.OperatorTimeout
	}
	return g.cfg.RequestTimeout
}

// operatorPrefix is what paths of the Operator API begin with.
const operatorPrefix = "/operator/v1/"

// outOfBand answers what never reached serve: requests that could not be read, or that Fiber refused by itself.
func (g *Gateway) outOfBand(c *fiber.Ctx, err error) error {
	defer g.dismiss(c)
	x := exchangeIn(c)
	ctx, span := g.recorder.Begin(g.base, x)
	x.RPC = g.isCall(c)
	f := g.faultOf(err)
	g.door.LetRead(x, f.Status == http.StatusRequestHeaderFieldsTooLarge)
	if x.RPC {
		g.bridgeFailure(ctx, c, x, f)
	} else {
		g.fail(c, x, err)
	}
	g.recorder.Report(ctx, x, c.Response().StatusCode(), span)
	return nil
}

// exchangeIn returns a new exchange for a request to Fiber.
func exchangeIn(c *fiber.Ctx) *exchange.Exchange {
	x := &exchange.Exchange{
		Method: c.Method(), Path: c.Path(), Asked: &c.Request().Header, Answer: &c.Response().Header, Counted: admission.BodyWanted(c.Context()),
	}
	if peer, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		x.Peer = peer.AddrPort().Addr().Unmap()
	}
	return x
}
