package userapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/keyward/keyward/core/fault"
)

// drainFactor says how much larger than the bound a message may be to be read to its end and refused with a proper answer; beyond, it is no
// longer read.
const drainFactor = 4

// call is one call of a method, from the headers to the answer.
type call struct {
	method  method
	caller  Caller
	browser browser
	body    *body
	outcome Outcome
}

// browser is where a call came from, if it came from a page.
type browser struct{ userAgent, address string }

type callKey struct{}

// callOf returns the call that ctx is of, or nil.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// serve admits a call of a method by its headers, bounds its time and size, and hands it on. Whatever becomes of it is observed.
func (a *API) serve(w http.ResponseWriter, r *http.Request, m method, next http.HandlerFunc) {
	c := &call{method: m, browser: browserOf(r), outcome: Outcome{Procedure: m.procedure}}
	seen := &witness{ResponseWriter: w}
	defer func() { a.observe(r.Context(), c, seen) }()
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), callKey{}, c), a.deps.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	seen.Header().Set("Cache-Control", "no-store")
	err := a.guard(ctx, c, func() (err error) {
		c.caller, err = a.deps.Admit(r)
		return err
	})
	if err != nil {
		refused := refusal(ctx, err)
		c.ended(refused, err)
		a.WriteError(seen, r, refused)
		return
	}
	if deadline, bounded := ctx.Deadline(); bounded {
		// A body that never ends must not outlast the call either. Where the connection cannot do so, whoever serves it has read the body
		// already.
		_ = http.NewResponseController(w).SetReadDeadline(deadline)
	}
	c.body = &body{ReadCloser: http.MaxBytesReader(w, r.Body, int64(a.deps.MaxBytes)*drainFactor)}
	r.Body = c.body
	next(seen, r)
}

func browserOf(r *http.Request) browser {
	if r.Header.Get("Origin") == "" {
		return browser{}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return browser{userAgent: r.Header.Get("User-Agent"), address: host}
}

// ended keeps what a call failed with.
func (c *call) ended(refused *connect.Error, cause error) {
	c.outcome.Code, c.outcome.Err = refused.Code().String(), cause
}

// observe tells of a call that is over. One that never came to the implementation, because its message could not be read, is known by its
// answer only.
func (a *API) observe(ctx context.Context, c *call, seen *witness) {
	if c.outcome.Code == "" {
		c.outcome.Code = seen.code()
		if c.outcome.Code != codeOK {
			c.outcome.Err = errors.New("the request could not be read")
		}
	}
	a.deps.Observe(ctx, c.outcome)
}

// guard runs f and turns a panic into a fault.
func (a *API) guard(ctx context.Context, c *call, f func() error) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			a.deps.Log.ErrorContext(
				ctx, "a call to the user service panicked", "procedure", c.method.procedure, "panic", fmt.Sprint(p), "stack", string(debug.Stack()),
			)
			err = fault.Internal(fmt.Errorf("panic: %v", p))
		}
	}()
	return f()
}

// answer is what every method does: it checks the message, and has do check the caller and call the ceremony service. Its error is a
// *connect.Error.
func answer[Req proto.Message, Res any](
	ctx context.Context, a *API, req Req, do func(context.Context, *call, Req) (Res, error),
) (res Res, err error) {
	c := callOf(ctx)
	if c == nil {
		return res, refusal(ctx, fault.Internal(errors.New("a method was reached without admission")))
	}
	err = a.guard(ctx, c, func() (err error) {
		if err := a.validate(req); err != nil {
			return err
		}
		res, err = do(ctx, c, req)
		return err
	})
	if err != nil {
		refused := refusal(ctx, err)
		c.ended(refused, err)
		var none Res
		return none, refused
	}
	c.outcome.Code = codeOK
	return res, nil
}

const (
	codeOK       = "ok"
	trailerState = "Grpc-Status"
)

// witness remembers how a request was answered.
type witness struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *witness) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush implements http.Flusher, which gRPC asks for.
func (w *witness) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// code returns the code of an answer without a message, as Connect writes it. An answer of gRPC and gRPC-web names it; in Connect the
// status tells enough of what can be wrong with a request.
func (w *witness) code() string {
	for _, key := range []string{trailerState, http.TrailerPrefix + trailerState} {
		if n, err := strconv.ParseUint(w.Header().Get(key), 10, 32); err == nil {
			if n == 0 {
				return codeOK
			}
			return connect.Code(n).String()
		}
	}
	switch {
	case w.status < http.StatusMultipleChoices:
		return codeOK
	case w.status == http.StatusTooManyRequests:
		return connect.CodeResourceExhausted.String()
	case w.status == http.StatusMethodNotAllowed || w.status == http.StatusUnsupportedMediaType || w.status == http.StatusNotImplemented:
		return connect.CodeUnimplemented.String()
	case w.status == http.StatusGatewayTimeout:
		return connect.CodeDeadlineExceeded.String()
	case w.status < http.StatusInternalServerError:
		return connect.CodeInvalidArgument.String()
	}
	return connect.CodeInternal.String()
}
