package userapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/protocodec"
)

// jsonAPI is the JSON API: the routes that the protos give the methods.
type jsonAPI struct {
	api    *API
	mux    *runtime.ServeMux
	routes map[string]method // by pattern
}

func newJSONAPI(a *API, v2 userv2.UserServiceServer, beta userv2beta.UserServiceServer) (*jsonAPI, error) {
	s := &jsonAPI{api: a, routes: make(map[string]method)}
	for _, m := range a.methods {
		s.routes[m.pattern()] = m
	}
	s.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, jsonMarshaler{
			JSONPb: &runtime.JSONPb{
				MarshalOptions: protojson.MarshalOptions{}, UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
			},
			maxBytes: a.deps.MaxBytes,
		}),
		runtime.WithMiddlewares(s.admit),
		runtime.WithErrorHandler(s.fail),
		runtime.WithRoutingErrorHandler(s.lost),
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }), // the implementation has the request itself
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
	)
	// Of routes that match, the last one registered is taken. In the protos those with a literal stand after those with a variable in its
	// place, so literals win.
	if err := userv2.RegisterUserServiceHandlerServer(context.Background(), s.mux, v2); err != nil {
		return nil, fmt.Errorf("routes of v2: %w", err)
	}
	if err := userv2beta.RegisterUserServiceHandlerServer(context.Background(), s.mux, beta); err != nil {
		return nil, fmt.Errorf("routes of v2beta: %w", err)
	}
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *jsonAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(r.Context())
	r.Header = r.Header.Clone()
	// Everything is JSON, whatever is said of it, and no answer has trailers. The router would complain of types it cannot read, and announce
	// trailers.
	for _, key := range []string{"Accept", "Content-Type", "Te"} {
		r.Header.Del(key)
	}
	s.mux.ServeHTTP(w, r)
}

// admit stands between a route and its method.
func (s *jsonAPI) admit(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, variables map[string]string) {
		pattern, _ := runtime.HTTPPattern(r.Context())
		m, known := s.routes[r.Method+" "+pattern.String()]
		if !known {
			s.api.refuse(w, r, refusal(r.Context(), fault.Internal(fmt.Errorf("route %s has no method", pattern))))
			return
		}
		s.api.serve(w, r, m, func(w http.ResponseWriter, r *http.Request) { next(w, r, variables) })
	}
}

// fail answers a call that the method refused, or whose body could not be read.
func (s *jsonAPI) fail(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		// The router's own: its text is jsonMarshaler's.
		told := status.Convert(err)
		refused = connect.NewError(connect.Code(told.Code()), said{told.Message(), err})
		if c := callOf(ctx); c != nil {
			if unread := c.body.unread(ctx); unread != nil {
				refused = unread
			} else if c.body.size > int64(s.api.deps.MaxBytes) {
				refused = refusal(ctx, tooLarge(s.api.deps.MaxBytes).Because(err))
			}
			c.ended(refused, errors.Join(err, c.body.failed))
		}
	}
	writeStatus(w, refused, 0)
}

// lost answers a request for which there is no route.
func (s *jsonAPI) lost(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	refused := connect.NewError(connect.CodeNotFound, errors.New(http.StatusText(http.StatusNotFound)))
	switch code {
	case http.StatusMethodNotAllowed:
		refused = connect.NewError(connect.CodeUnimplemented, errors.New(http.StatusText(code)))
		w.Header().Set("Allow", s.allowed(r.URL.Path))
	case http.StatusBadRequest:
		refused = connect.NewError(connect.CodeInvalidArgument, errors.New(http.StatusText(code)))
	}
	writeStatus(w, refused, code)
	s.api.deps.Observe(ctx, Outcome{Code: refused.Code().String(), Err: refused})
}

func (s *jsonAPI) allowed(path string) string {
	var verbs []string
	for _, m := range s.routes {
		if m.matches(path) && !slices.Contains(verbs, m.verb) {
			verbs = append(verbs, m.verb)
		}
	}
	slices.Sort(verbs)
	return strings.Join(verbs, ", ")
}

// tooLarge refuses a body beyond the limit of messages.
func tooLarge(limit int) *fault.Fault {
	f := fault.Field("body", "must be at most %d bytes", limit)
	f.Status = http.StatusRequestEntityTooLarge
	return f
}

// jsonMarshaler reads a body as one JSON value, and tells of what is wrong with it without repeating any of it.
type jsonMarshaler struct {
	*runtime.JSONPb
	maxBytes int
}

// NewDecoder implements runtime.Marshaler. An empty body is io.EOF, which the routes take for an empty message.
func (m jsonMarshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(into any) error {
		message, ok := into.(proto.Message)
		if !ok {
			return fmt.Errorf("%T is no message", into)
		}
		raw, err := io.ReadAll(io.LimitReader(r, int64(m.maxBytes)+1))
		if err != nil {
			return errors.New("the body could not be read to its end")
		}
		if len(raw) > m.maxBytes {
			_, _ = io.Copy(io.Discard, r) // as much as serve allows
			return tooLarge(m.maxBytes)
		}
		if raw = protocodec.WithoutMark(raw); len(raw) == 0 {
			return io.EOF
		}
		return protocodec.UnmarshalJSON(raw, message)
	})
}
