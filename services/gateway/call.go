package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/bridge"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

// What the gRPC port has besides the user service asks for no credentials. Load balancers ask for health also when there is too much to
// do; reflection holds a call open for as long as its client likes, so it has places of its own, which are enough for people with tools.
const (
	healthService     = "/grpc.health.v1.Health/"
	reflectionService = "/grpc.reflection."
	maxReflections    = 32
)

// publicRoute returns what a path is called in metrics that is beside the user service, which names its own.
func publicRoute(path string) string {
	switch path {
	case healthService + "Check", healthService + "Watch",
		reflectionService + "v1.ServerReflection/ServerReflectionInfo", reflectionService + "v1alpha.ServerReflection/ServerReflectionInfo":
		return path
	}
	return exchange.Unmatched
}

// calls is around every call of the user service, on both ports: it does for net/http what serve does for Fiber.
type calls struct {
	gateway *Gateway
	handler http.Handler
}

// ServeHTTP implements http.Handler.
func (h calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, false, func() bool { return false })
}

// serve takes whether limits have counted the call already, and asks at its end whether it begins anew.
func (h calls) serve(w http.ResponseWriter, r *http.Request, counted bool, anew func() bool) {
	g, out := h.gateway, bridge.NewAnswer(w)
	x := callIn(out, r)
	x.Counted = counted
	ctx, cancel := context.WithTimeout(r.Context(), g.cfg.RequestTimeout)
	defer cancel()
	ctx, span := g.recorder.Begin(ctx, x)
	r = r.WithContext(ctx)
	if from := g.door.RemoteAddress(x); from.IsValid() {
		r.RemoteAddr = from.String()
	}

	x.Route = publicRoute(x.Path)
	if strings.HasPrefix(x.Path, reflectionService) {
		defer g.endInTime(ctx, cancel, w)()
	}
	err := g.place(x, func() error {
		return g.guard(x, func() error {
			h.handler.ServeHTTP(out, r)
			return nil
		})
	})
	answered := true
	switch {
	case anew():
		exchange.Abandon(span)
		return
	case err != nil:
		answered = g.failCall(out, r, x, err)
	case x.Preflight:
		out.WriteHeader(http.StatusNoContent)
	}
	g.recorder.Report(ctx, x, out.Code(), span)
	if !answered {
		panic(http.ErrAbortHandler) // net/http then breaks the answer off, so that nobody takes it for a whole one
	}
}

// endInTime ends a stream that its client keeps open when its time is over, or when the gateway stops. The caller calls what it returns
// when it is done.
func (g *Gateway) endInTime(ctx context.Context, cancel context.CancelFunc, w http.ResponseWriter) func() {
	release := context.AfterFunc(g.streams.Context(), cancel)
	interrupted := make(chan struct{})
	withdraw := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// A handler that waits for its client does not see that its context has ended.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	})
	return func() {
		release()
		if !withdraw() {
			<-interrupted
		}
	}
}

// place does the work if there is a place for it, and sheds it otherwise.
func (g *Gateway) place(x *exchange.Exchange, work func() error) error {
	taken, most := &g.inFlight, int64(g.cfg.MaxInFlight)
	switch {
	case strings.HasPrefix(x.Path, healthService):
		return work()
	case strings.HasPrefix(x.Path, reflectionService):
		taken, most = &g.reflections, maxReflections
	}
	defer taken.Add(-1)
	if taken.Add(1) > most {
		return g.shed()
	}
	return work()
}

// failCall answers what went wrong in the protocol of the request. It returns false if it is too late for that, because an answer has
// begun.
func (g *Gateway) failCall(out *bridge.Answer, r *http.Request, x *exchange.Exchange, err error) bool {
	f := fault.As(err)
	if fault.OfServer(f) {
		x.Cause = f
	}
	x.Code = userapi.CodeOf(f.Status).String()
	if !out.TakeBack() {
		return false
	}
	g.users.WriteError(out, r, f)
	return true
}

// observe is told by the user service how a call ended.
func (g *Gateway) observe(ctx context.Context, o userapi.Outcome) {
	x := exchange.Of(ctx)
	if o.Procedure != "" {
		x.Route = o.Procedure
	}
	x.Code, x.Decision = o.Code, o.Decision
	switch o.Code {
	case connect.CodeInternal.String(), connect.CodeUnknown.String(), connect.CodeDataLoss.String(),
		connect.CodeUnavailable.String(), connect.CodeDeadlineExceeded.String():
		x.Cause = o.Err
	}
}

// callIn returns a new exchange for a call of the user service.
func callIn(w http.ResponseWriter, r *http.Request) *exchange.Exchange {
	x := &exchange.Exchange{Method: r.Method, Path: r.URL.Path, Asked: plainHeader(r.Header), Answer: w.Header(), RPC: true}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		x.Peer = peer.Addr().Unmap()
	}
	x.Answer.Set("Cache-Control", "no-store")
	return x
}

// plainHeader is the header of a request to net/http.
type plainHeader http.Header

// Peek implements exchange.RequestHeader.
func (h plainHeader) Peek(name string) []byte { return []byte(http.Header(h).Get(name)) }

// PeekAll implements exchange.RequestHeader.
func (h plainHeader) PeekAll(name string) [][]byte {
	var lines [][]byte
	for _, line := range http.Header(h).Values(name) {
		lines = append(lines, []byte(line))
	}
	return lines
}
