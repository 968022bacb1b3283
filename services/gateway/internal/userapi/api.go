// Package userapi is the user service that Zitadel's clients know (zitadel.user.v2 and v2beta, api/proto) over JSON, Connect, gRPC-web and
// gRPC. It turns calls into those of the ceremony service and faults into the errors of each protocol. It decides nothing and stores
// nothing, knows callers only by what Deps.Admit says of them, and does no I/O but to answer.
//
// All protocols come to one implementation (passkeys). In every call the caller comes first, by the headers alone; then whether the message
// is well-formed and within its limits, then whether the caller may, then the ceremony service.
package userapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/api/zitadel/user/v2beta/userv2betaconnect"
	"github.com/keyward/keyward/services/gateway/internal/protocodec"
)

// API answers calls of the user service. Make it with New. It may be used by many goroutines at once.
type API struct {
	deps      Deps
	validator validator
	methods   map[string]method // by procedure
	rpc       map[string]http.Handler
	json      *jsonAPI
	errors    *connect.ErrorWriter
	health    *grpchealth.StaticChecker
}

// New makes the user service. It fails if a dependency is missing, a bound is not positive, or the descriptors of the service do not say
// what it needs of them.
func New(deps Deps) (*API, error) {
	switch {
	case deps.Registrations == nil || deps.Admit == nil:
		return nil, errors.New("user service: registrations and admit are needed")
	case deps.MaxBytes <= 0 || deps.Timeout <= 0:
		return nil, errors.New("user service: a largest message and a timeout are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Observe == nil {
		deps.Observe = func(context.Context, Outcome) {}
	}
	methods, err := methodsOf(
		userv2.File_zitadel_user_v2_user_service_proto.Services().ByName("UserService"),
		userv2beta.File_zitadel_user_v2beta_user_service_proto.Services().ByName("UserService"),
	)
	if err != nil {
		return nil, fmt.Errorf("user service: %w", err)
	}
	a := &API{
		deps: deps, methods: methods, health: grpchealth.NewStaticChecker(userv2connect.UserServiceName, userv2betaconnect.UserServiceName),
	}
	if a.validator, err = newValidator(); err != nil {
		return nil, fmt.Errorf("user service: %w", err)
	}
	v2 := &passkeys{api: a}
	beta := &betaPasskeys{v2: v2}
	options := a.options()
	a.errors = connect.NewErrorWriter(options...)
	a.rpc = make(map[string]http.Handler)
	path, handler := userv2connect.NewUserServiceHandler(v2, options...)
	a.rpc[path] = handler
	path, handler = userv2betaconnect.NewUserServiceHandler(beta, options...)
	a.rpc[path] = handler
	if a.json, err = newJSONAPI(a, v2, beta); err != nil {
		return nil, fmt.Errorf("user service: %w", err)
	}
	return a, nil
}

func (a *API) options() []connect.HandlerOption {
	options := []connect.HandlerOption{connect.WithReadMaxBytes(a.deps.MaxBytes)}
	for _, codec := range protocodec.All() {
		options = append(options, connect.WithCodec(codec))
	}
	return options
}

const (
	restV2     = "/v2/users/"
	restV2beta = "/v2beta/"
	rpcV2      = "/" + userv2connect.UserServiceName + "/"
	rpcV2beta  = "/" + userv2betaconnect.UserServiceName + "/"
)

// Owns reports whether a path is of the user service, whatever the method. Of /v2/users/ those are only the passkeys of a user: the rest is
// the Backend API's.
func (a *API) Owns(path string) bool {
	return ownsREST(path) || strings.HasPrefix(path, rpcV2) || strings.HasPrefix(path, rpcV2beta)
}

func ownsREST(path string) bool {
	if strings.HasPrefix(path, restV2beta) || path == strings.TrimSuffix(restV2beta, "/") {
		return true
	}
	rest, ofUsers := strings.CutPrefix(path, restV2)
	if !ofUsers {
		return false
	}
	_, rest, _ = strings.Cut(rest, "/")
	return rest == "passkeys" || strings.HasPrefix(rest, "passkeys/")
}

// Handler returns what serves JSON, Connect, gRPC-web and gRPC; gRPC needs HTTP/2. Whoever serves it sets a request's RemoteAddr to the
// address that is to be believed.
func (a *API) Handler() http.Handler { return http.HandlerFunc(a.serveHTTP) }

func (a *API) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if speaksRPC(r) {
		a.serveRPC(w, r)
		return
	}
	a.json.ServeHTTP(w, r)
}

// speaksRPC reports whether a request is of a protocol whose paths are procedures. A path of the JSON API is one, whatever its content
// type.
func speaksRPC(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/zitadel.") || strings.HasPrefix(r.URL.Path, "/grpc.") {
		return true
	}
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") && !ownsREST(r.URL.Path)
}

func (a *API) serveRPC(w http.ResponseWriter, r *http.Request) {
	m, known := a.methods[r.URL.Path]
	if !known {
		a.refuse(w, r, connect.NewError(connect.CodeUnimplemented, errors.New("there is no such method")))
		return
	}
	a.serve(w, r, m, func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		if refused := a.checkFrame(r, c.body); refused != nil {
			c.ended(refused, refused.Unwrap())
			a.WriteError(w, r, refused)
			return
		}
		a.rpc[m.service].ServeHTTP(w, r)
	})
}

// refuse answers a request that is a call of no method.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err *connect.Error) {
	a.WriteError(w, r, err)
	a.deps.Observe(r.Context(), Outcome{Code: err.Code().String(), Err: err})
}

// mostOfAnybody is how long a message may be of whoever has not said who it is: names of services and files.
const mostOfAnybody = 4 << 10

// GRPCHandler returns what Handler does, and reflection and health, which need no token: they tell only what the documentation does.
func (a *API) GRPCHandler() http.Handler {
	public := http.NewServeMux()
	options := []connect.HandlerOption{connect.WithReadMaxBytes(mostOfAnybody)}
	reflector := grpcreflect.NewStaticReflector(
		userv2connect.UserServiceName, userv2betaconnect.UserServiceName, grpchealth.HealthV1ServiceName,
	)
	public.Handle(grpcreflect.NewHandlerV1(reflector, options...))
	public.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options...))
	public.Handle(grpchealth.NewHandler(a.health, options...))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handler, pattern := public.Handler(r); pattern != "" {
			handler.ServeHTTP(w, r)
			return
		}
		a.serveHTTP(w, r)
	})
}

// SetServing tells those who ask for health whether calls are answered. It starts with true.
func (a *API) SetServing(serving bool) {
	status := grpchealth.StatusNotServing
	if serving {
		status = grpchealth.StatusServing
	}
	for _, service := range []string{"", userv2connect.UserServiceName, userv2betaconnect.UserServiceName} {
		a.health.SetStatus(service, status)
	}
}
