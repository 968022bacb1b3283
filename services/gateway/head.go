package gateway

import (
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// tooLargeMark begins the method of a request whose body is too large for whatever route. No request can have it: fasthttp takes tokens
// only. The method that was sent follows.
const tooLargeMark = "\x00"

// receiveHead is asked when a head has been read, before its body is. fasthttp has no way to refuse here, so that a refusal is marked in
// the method, for receive, and the body taken for none.
func (g *Gateway) receiveHead(head *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if head.ContentLength() <= g.largestBody() {
		return fasthttp.RequestConfig{}
	}
	head.SetMethod(tooLargeMark + string(head.Method()))
	head.Del(fiber.HeaderExpect)
	head.SetContentLength(0)
	head.SetConnectionClose()
	return fasthttp.RequestConfig{}
}

// callFraming is what the protocols of the user service may put around a message.
const callFraming = 64 << 10

// largestBody is what no request may have more of, whatever it is for.
func (g *Gateway) largestBody() int {
	largest := 4 * max(g.cfg.BodyLimit, g.cfg.GRPCMaxMessage+callFraming)
	if g.operator == nil {
		return largest
	}
	return max(largest, g.operator.LargestBody())
}

// receive is around all that Fiber does. It answers by itself where Fiber would, before any of its handlers: a body that is too large, and
// a method that HTTP does not know. What a client still sends after its answer is let arrive.
func (g *Gateway) receive(inner fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(rc *fasthttp.RequestCtx) {
		defer func() {
			if unread(rc) {
				connection.Linger(rc.Conn())
			}
		}()
		if sent, refused := strings.CutPrefix(string(rc.Method()), tooLargeMark); refused {
			connection.Linger(rc.Conn())
			rc.Request.Header.SetMethod(sent)
			g.refuseLength(rc)
			return
		}
		for _, known := range fiber.DefaultMethods {
			if string(rc.Method()) == known {
				inner(rc)
				return
			}
		}
		g.answerUnknownMethod(rc)
	}
}

// unread reports whether a request has a body that nobody read.
func unread(rc *fasthttp.RequestCtx) bool { return rc.Request.IsBodyStream() }

func (g *Gateway) refuseLength(rc *fasthttp.RequestCtx) {
	c := g.app.AcquireCtx(rc)
	defer g.app.ReleaseCtx(c)
	_ = g.outOfBand(c, admission.TooLarge(g.largestBody())) // it always answers
	rc.Response.Header.SetConnectionClose()
}

func (g *Gateway) answerUnknownMethod(rc *fasthttp.RequestCtx) {
	c := g.app.AcquireCtx(rc)
	defer g.app.ReleaseCtx(c)
	if g.isCall(c) {
		_ = g.overBridge(c) // it always answers
		return
	}
	_ = g.outOfBand(c, fiber.ErrMethodNotAllowed) // it always answers
}
