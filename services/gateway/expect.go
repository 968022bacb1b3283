package gateway

import (
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/connection"
)

// expected is asked when the sender of a head waits to be told to send the body, too (RFC 9110 section 10.1.1). The request is served by
// its head until its body is wanted; then it begins anew, with the body, and no limit counts it twice. If it is answered without, for
// instance refused, the body is never asked for.
func (g *Gateway) expected(inner fasthttp.RequestHandler) func(*fasthttp.RequestCtx) int {
	return func(rc *fasthttp.RequestCtx) int {
		if rc.Request.Header.ContentLength() == 0 {
			return http.StatusContinue
		}
		admission.AwaitBody(rc)
		inner(rc)
		if admission.BodyWanted(rc) {
			return http.StatusContinue
		}
		connection.Linger(rc.Conn()) // its sender may not have waited
		return rc.Response.StatusCode()
	}
}
