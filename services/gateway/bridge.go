package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/bridge"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// isCall reports whether a request to Fiber is a call of the user service.
func (g *Gateway) isCall(c *fiber.Ctx) bool { return g.users.Owns(c.Path()) }

// overBridge passes a call that came to Fiber on to the user service, which speaks net/http. One whose sender waits with its body is served
// until that is read, and then begins anew.
func (g *Gateway) overBridge(c *fiber.Ctx) error {
	out := bridge.NewWriter()
	r, err := bridge.Request(c.Context())
	if err != nil {
		unreadable := &fault.Fault{
			Type: fault.TypeValidationError, Status: http.StatusBadRequest, Details: "the target of the request cannot be read",
		}
		return g.outOfBand(c, unreadable.Because(err))
	}
	rc := c.Context()
	anew := admission.Await(rc, r)
	g.calls.serve(out, r.WithContext(g.base), admission.BodyWanted(rc), anew)
	out.Send(&rc.Response)
	if anew() {
		rc.Response.ResetBody() // what limits have told stays
	}
	return nil
}

// bridgeFailure answers a call that Fiber could not read, or refused by itself.
func (g *Gateway) bridgeFailure(ctx context.Context, c *fiber.Ctx, x *exchange.Exchange, f *fault.Fault) {
	switch f.Status {
	case http.StatusRequestEntityTooLarge:
		f = admission.TooLarge(g.cfg.GRPCMaxMessage)
	case http.StatusRequestTimeout:
		f = fault.Unavailable(f.RetryAfter, "%s", f.Details) // gRPC has no code for it, and this one says to try again
	}
	// Nothing but the header says in which protocol to answer; the target may be what could not be read.
	r := (&http.Request{
		Method: c.Method(), URL: &url.URL{Path: c.Path()}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: bridge.Header(&c.Request().Header), Body: http.NoBody,
	}).WithContext(ctx)
	out := bridge.NewWriter()
	answered := bridge.NewAnswer(out)
	g.failCall(answered, r, x, f)
	out.Send(c.Response())
}

// notOverBridge stands in front of the user service on Fiber's port: gRPC ends an answer with trailers, for which HTTP/1.1 clients of
// gRPC do not exist and Fiber has no way.
func notOverBridge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
		if kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+") {
			w.Header().Set("Accept-Post", "application/json, application/proto, "+
				"application/grpc-web, application/grpc-web+proto, application/grpc-web+json")
			http.Error(w, "gRPC needs HTTP/2: call the port of grpc_addr, or use gRPC-Web or Connect here", http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}
