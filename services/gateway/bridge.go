package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// isCall reports whether a request to Fiber is a call of the user service.
func (g *Gateway) isCall(c *fiber.Ctx) bool { return g.users.Owns(c.Path()) }

// bridge passes a call that came to Fiber on to the user service, which speaks net/http. It copies all but the body, for fasthttp uses
// its memory again.
func (g *Gateway) bridge(c *fiber.Ctx) error {
	out := &bridgeWriter{header: http.Header{}}
	r, err := bridged(c.Context())
	if err != nil {
		unreadable := &fault.Fault{
			Type: fault.TypeValidationError, Status: http.StatusBadRequest, Details: "the target of the request cannot be read",
		}
		return g.outOfBand(c, unreadable.Because(err))
	}
	g.calls.ServeHTTP(out, r.WithContext(g.base))
	out.send(&c.Context().Response)
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
		Header: bridgedHeader(&c.Request().Header), Body: http.NoBody,
	}).WithContext(ctx)
	out := &bridgeWriter{header: http.Header{}}
	answered := &callWriter{ResponseWriter: out}
	g.failCall(answered, r, x, f)
	out.send(c.Response())
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

// bridged returns the request as net/http has it. Its body must not be read once the handler has returned.
func bridged(rc *fasthttp.RequestCtx) (*http.Request, error) {
	target := string(rc.RequestURI())
	parsed, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("read the request target: %w", err)
	}
	var body io.Reader = http.NoBody
	if stream := rc.RequestBodyStream(); stream != nil {
		body = stream
	}
	return &http.Request{
		Method: string(rc.Method()), URL: parsed, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: bridgedHeader(&rc.Request.Header), Host: string(rc.Host()),
		RemoteAddr: rc.RemoteAddr().String(), TLS: rc.TLSConnectionState(),
		Body: io.NopCloser(body), ContentLength: int64(max(rc.Request.Header.ContentLength(), -1)),
	}, nil
}

func bridgedHeader(sent *fasthttp.RequestHeader) http.Header {
	header := http.Header{}
	sent.VisitAll(func(name, value []byte) {
		if key := http.CanonicalHeaderKey(string(name)); key != "Transfer-Encoding" && key != "Host" {
			header.Add(key, string(value))
		}
	})
	return header
}

// bridgeWriter holds an answer until it is whole.
type bridgeWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *bridgeWriter) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *bridgeWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.body.Write(p)
}

// WriteHeader implements http.ResponseWriter.
func (w *bridgeWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Flush implements http.Flusher. There is nobody to flush to before the answer is whole.
func (w *bridgeWriter) Flush() {}

// discard forgets an answer that has begun, but for its header.
func (w *bridgeWriter) discard() {
	w.status = 0
	w.body.Reset()
}

// send gives the answer to fasthttp, which frames it. Trailers have no place in it: nothing that is answered over the bridge needs them.
func (w *bridgeWriter) send(to *fasthttp.Response) {
	for name, values := range w.header {
		switch {
		case name == "Content-Length", name == "Transfer-Encoding", name == "Trailer", strings.HasPrefix(name, http.TrailerPrefix):
			continue
		}
		to.Header.Del(name)
		for _, value := range values {
			to.Header.Add(name, value)
		}
	}
	if w.header.Get("Content-Type") == "" && w.body.Len() == 0 {
		to.Header.SetNoDefaultContentType(true)
	}
	to.SetStatusCode(max(w.status, http.StatusOK))
	to.SetBody(w.body.Bytes())
}
