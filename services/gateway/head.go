package gateway

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// refusedHead begins the method of a request whose head is refused. No request can have it: fasthttp takes tokens only. What follows is the
// number of a reason and the method that was sent.
const refusedHead = "\x00"

// The reasons for which a head is refused, by their number in a refused method.
const (
	headAmbiguous = 'a'
	headTooLarge  = 'l'
)

// receiveHead is asked when a head has been read, before its body is. fasthttp has no way to refuse here, so that a refusal is marked in the
// method, for receive, and the body taken for none.
func (g *Gateway) receiveHead(head *fasthttp.RequestHeader) fasthttp.RequestConfig {
	reason := byte(0)
	switch {
	case ambiguous(head):
		reason = headAmbiguous
	case head.ContentLength() > g.largestBody():
		reason = headTooLarge
	default:
		return fasthttp.RequestConfig{}
	}
	head.SetMethod(refusedHead + string(reason) + string(head.Method()))
	head.Del(fiber.HeaderExpect)
	head.SetContentLength(0)
	head.SetConnectionClose()
	return fasthttp.RequestConfig{}
}

// callFraming is what the protocols of the user service may put around a message.
const callFraming = 64 << 10

// largestBody is what no request may have more of, whatever it is for.
func (g *Gateway) largestBody() int {
	return 4 * max(g.cfg.BodyLimit, g.cfg.GRPCMaxMessage+callFraming)
}

// receive is around all that Fiber does. It answers by itself where Fiber would, before any of its handlers: a head that is refused, and a
// method that HTTP does not know. What a client still sends after its answer is let arrive.
func (g *Gateway) receive(inner fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(rc *fasthttp.RequestCtx) {
		defer func() {
			if unread(rc) {
				connection.Linger(rc.Conn())
			}
		}()
		if sent, refused := strings.CutPrefix(string(rc.Method()), refusedHead); refused {
			connection.Linger(rc.Conn())
			rc.Request.Header.SetMethod(sent[1:])
			g.refuseHead(rc, sent[0])
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

func (g *Gateway) refuseHead(rc *fasthttp.RequestCtx, reason byte) {
	refusal := error(fiber.NewError(http.StatusBadRequest, "the head can be read in two ways"))
	if reason == headTooLarge {
		refusal = admission.TooLarge(g.largestBody())
	}
	c := g.app.AcquireCtx(rc)
	defer g.app.ReleaseCtx(c)
	_ = g.outOfBand(c, refusal) // it always answers
	rc.Response.Header.SetConnectionClose()
}

func (g *Gateway) answerUnknownMethod(rc *fasthttp.RequestCtx) {
	c := g.app.AcquireCtx(rc)
	defer g.app.ReleaseCtx(c)
	if g.isCall(c) {
		_ = g.bridge(c) // it always answers
		return
	}
	_ = g.outOfBand(c, fiber.ErrMethodNotAllowed) // it always answers
}

// ambiguous reports whether somebody on the way may have read another request than fasthttp did, which minds most of what RFC 9112 says of
// framing, and is lenient about the rest: lines that end in LF alone (section 2.2) or go on on the next (5.2), names that are no tokens (5.1),
// and hosts that are none, or another than the target's (3.2).
func ambiguous(head *fasthttp.RequestHeader) bool {
	for rest := head.RawHeaders(); len(rest) > 0; {
		line, following, ended := bytes.Cut(rest, []byte("\n"))
		rest = following
		line, whole := bytes.CutSuffix(line, []byte("\r"))
		if !whole || !ended {
			return true
		}
		if len(line) == 0 {
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		if !isToken(name) {
			return true
		}
	}
	host := head.Host()
	return !isHost(host) || anotherHost(head.RequestURI(), host)
}

func isToken(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return len(name) > 0
}

// isHost takes a name or address with or without a port (RFC 9110 section 7.2), and none, which HTTP/1.0 may have.
func isHost(host []byte) bool {
	for _, c := range host {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c >= 0x80
		if !letter && strings.IndexByte("-._~%!$&'()*+,;=:[]", c) < 0 {
			return false
		}
	}
	return true
}

// anotherHost reports whether a target in absolute form (RFC 9112 section 3.2.2) names another host than the header.
func anotherHost(target, host []byte) bool {
	_, after, absolute := bytes.Cut(target, []byte("://"))
	if !absolute || target[0] == '/' {
		return false
	}
	if end := bytes.IndexAny(after, "/?#"); end >= 0 {
		after = after[:end]
	}
	return len(host) > 0 && !bytes.EqualFold(after, host)
}
