// Package gateway is the edge: it authenticates projects, limits how much they call, checks each request against the OpenAPI document,
// forwards it to a service and puts every failure into one envelope. Calls of the user service, whose contract are the protos, come in
// through the same door, on a port of their own too. It decides nothing, and stores nothing but the answers of calls with an
// Idempotency-Key. No Fiber type leaves the gateway.
//
// The root assembles: exchange is what is known of a request, admission says who may come in, contract whether a request fits its
// document, operation which method of which service answers it, wellknown what is open of a project, userapi and issuer are of the user
// service, bridge brings its calls from Fiber's port, eventstream and page answer by themselves.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/certificate"
	"github.com/keyward/keyward/services/gateway/internal/connection"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/eventstream"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
	"github.com/keyward/keyward/services/gateway/internal/operating"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

// What the gateway asks of those who assemble it.
type (
	// Projects knows the tenants. project.Store is one.
	Projects = admission.Projects
	// Operators knows who runs the installation. operator.Store is one.
	Operators = admission.Operators
	// Operating are what the operations of the Operator API are of.
	Operating = operating.Services
	// Limits counts calls. ratelimit.Limiter is one.
	Limits = admission.Limits
	// Feed is the stream of events that clients follow. feed.Feed is one.
	Feed = eventstream.Feed
)

// Issuers is what the gateway asks of the projects about access tokens; answers must come from memory. project.Store is one.
type Issuers interface {
	// Issuers returns the projects that take tokens of the issuer with that URL.
	Issuers(url string) []project.Candidate
}

// Deps are what the gateway works with. All but Limits, Log, Metrics, Tracer and Now are required.
type Deps struct {
	Ceremony service.Ceremony
	Events   service.Events
	Webhooks service.Webhooks
	// Explanations say why decisions were made; needed only with the page for trying things out.
	Explanations service.Explanations
	// Operators and what Operating has of services are needed only with the Operator API; the gateway itself fills in the rest of it.
	Operators Operators
	Operating Operating
	Projects  Projects
	Issuers   Issuers
	// Idempotency keeps the answers of calls with an Idempotency-Key.
	Idempotency Idempotency
	Limits      Limits                // needed only if the configuration limits anything
	Audit       admission.Audit       // nil: nobody is told of calls that limits refuse
	Feed        Feed                  // what GET /v2/events/stream sends; nil: it answers 503
	Log         *slog.Logger          // nil: nothing is logged
	Metrics     prometheus.Registerer // nil: nothing is counted for others to see
	Tracer      trace.TracerProvider  // nil: no spans, and no cost
	Now         func() time.Time      // nil: time.Now
}

// Gateway serves the API: all but gRPC on the HTTP port, and the user service on the gRPC port too. Make it with New.
type Gateway struct {
	cfg         Config
	ceremony    service.Ceremony
	services    operation.Services
	operating   Operating
	projects    Projects
	idempotency Idempotency
	log         *slog.Logger
	now         func() time.Time
	document    *contract.Document // of the Backend API
	frontend    *contract.Document // of the Frontend API
	operator    *contract.Document // of the Operator API; nil: it is off
	app         *fiber.App
	recorder    *exchange.Recorder
	door        *admission.Door
	inFlight    atomic.Int64
	draining    atomic.Bool
	connections *connection.Count
	streams     *eventstream.Streams

	users       *userapi.API
	calls       calls        // of the user service that came to Fiber
	reflections atomic.Int64 // under way
	tokens      *issuer.Verifier
	certificate *certificate.Files // nil: no port has TLS
	grpc        *http.Server

	// base ends when the grace of a shutdown is over, and with it every request still in flight.
	base context.Context
	stop context.CancelFunc

	mu           sync.Mutex // guards what follows
	listener     net.Listener
	grpcListener net.Listener // nil, after Listen: there is no gRPC port
}

// New makes a gateway. It fails if the configuration cannot work, a dependency is missing or the OpenAPI document does not compile.
func New(cfg Config, deps Deps) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway configuration: %w", err)
	}
	if deps.Ceremony == nil || deps.Events == nil || deps.Webhooks == nil ||
		deps.Projects == nil || deps.Issuers == nil || deps.Idempotency == nil {
		return nil, errors.New("gateway: ceremony, events, webhooks, projects, issuers and idempotency are needed")
	}
	if deps.Explanations == nil && cfg.TryingPage {
		return nil, errors.New("gateway: explanations are needed for the page to try passkeys with")
	}
	if cfg.OperatorAPI && (deps.Operators == nil || !deps.Operating.Whole()) {
		return nil, errors.New("gateway: operators, and the services that they work with, are needed for the Operator API")
	}
	if deps.Limits == nil && cfg.limits() {
		return nil, errors.New("gateway: limits are needed where there is a rate limit")
	}
	document, err := contract.Backend()
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	visited, err := contract.Frontend()
	if err != nil {
		return nil, fmt.Errorf("gateway: Frontend API: %w", err)
	}
	var operated *contract.Document
	if cfg.OperatorAPI {
		if operated, err = contract.Operator(); err != nil {
			return nil, fmt.Errorf("gateway: Operator API: %w", err)
		}
	}
	g := &Gateway{
		cfg: cfg, ceremony: deps.Ceremony, operator: operated,
		services: operation.Services{
			Ceremony: deps.Ceremony, Events: deps.Events, Webhooks: deps.Webhooks, Explanations: deps.Explanations,
		},
		operating: deps.Operating,
		projects:  deps.Projects, idempotency: deps.Idempotency, log: deps.Log, now: deps.Now, document: document, frontend: visited,
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.now == nil {
		g.now = time.Now
	}
	g.base, g.stop = context.WithCancel(context.Background())
	if err := g.openDoor(deps); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.openCalls(deps); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.app = g.newApp()
	if err := g.mount(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	server := g.app.Server()
	server.HeaderReceived, server.Handler = g.receiveHead, g.receive(g.app.Handler())
	server.ExpectHandler = admission.Expected(server.Handler)
	return g, nil
}

// openDoor makes what every request comes through.
func (g *Gateway) openDoor(deps Deps) error {
	var err error
	g.recorder, err = exchange.NewRecorder(exchange.Deps{
		Log: g.log, Metrics: deps.Metrics, Tracer: deps.Tracer, Now: g.now, InFlight: func() float64 { return float64(g.inFlight.Load()) },
		Secure:  g.cfg.strictTransport(),
		Address: func(x *exchange.Exchange) string { return g.cfg.logged(g.door.RemoteAddress(x)) },
	})
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	g.connections = connection.NewCount(connection.Limits{
		Total: cmp.Or(g.cfg.MaxConnections, connection.MostByFiles()), PerAddress: g.cfg.MaxConnectionsAddr, Exempt: g.cfg.TrustedProxies,
	}, g.recorder.CountRefusedConnection)
	g.tokens = issuer.New(issuer.Deps{Issuers: deps.Issuers.Issuers, Now: g.now, Log: g.log})
	g.door = admission.New(admission.Config{
		RateProject: g.cfg.RateProject, RateAddress: g.cfg.RateAddress, RateFailures: g.cfg.RateFailures,
		RateProcesses: g.cfg.RateProcesses, RateSignUps: g.cfg.RateSignUps, RateLookups: g.cfg.RateLookups,
		TrustedProxies: g.cfg.TrustedProxies, BodyLimit: g.cfg.BodyLimit,
	}, admission.Deps{
		Projects: deps.Projects, Operators: deps.Operators, Limits: deps.Limits, Audit: deps.Audit, Tokens: g.tokens, Now: g.now,
		Reading: g.withoutPlace,
	})
	g.streams, err = eventstream.New(
		eventstream.Config{
			Most: g.cfg.MaxStreams, MostOfProject: cmp.Or(g.cfg.MaxStreamsProject, (g.cfg.MaxStreams+3)/4),
			Heartbeat: g.cfg.StreamHeartbeat, WriteTimeout: g.cfg.StreamWriteTimeout,
		},
		eventstream.Deps{
			Feed: deps.Feed, Log: g.log, Metrics: deps.Metrics, Now: g.now, Shed: g.recorder.CountShed, StillAdmits: g.door.StillAdmits,
		})
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// openCalls makes what answers calls of the user service, and the server of the port that they have for themselves.
func (g *Gateway) openCalls(deps Deps) error {
	var err error
	if g.cfg.TLSCert != "" {
		g.certificate, err = certificate.Open(g.cfg.TLSCert, g.cfg.TLSKey, certificate.Deps{Now: g.now, Log: g.log, Metrics: deps.Metrics})
		if err != nil {
			return err
		}
	}
	g.users, err = userapi.New(userapi.Deps{
		Registrations: deps.Ceremony, Admit: g.door.AdmitCall, Observe: g.observe,
		MaxBytes: g.cfg.GRPCMaxMessage, Timeout: g.cfg.RequestTimeout, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.calls = calls{g, notOverBridge(g.users.Handler())}
	g.grpc = g.newGRPCServer(calls{g, g.users.GRPCHandler()})
	return nil
}

func (g *Gateway) newApp() *fiber.App {
	return fiber.New(fiber.Config{
		AppName:       "keyward",
		CaseSensitive: true,
		StrictRouting: true,
		// Fiber reuses its buffers. With Immutable every string it hands out is a copy, so that user IDs and header values may outlive
		// the request.
		Immutable: true,
		// A body is read when its sender is admitted, and not before (admission.Door): of a request that is refused, fasthttp holds 8 KiB.
		StreamRequestBody:            true,
		BodyLimit:                    max(g.cfg.BodyLimit, g.cfg.GRPCMaxMessage),
		ReadBufferSize:               g.cfg.HeaderLimit,
		ReadTimeout:                  g.cfg.ReadTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		ErrorHandler:                 g.outOfBand,
		DisableStartupMessage:        true,
		DisablePreParseMultipartForm: true,
	})
}

// Permissions returns the permissions that an API key can have, sorted: those that the operations of the API need.
func Permissions() ([]string, error) {
	document, err := contract.Backend()
	if err != nil {
		return nil, err
	}
	return document.Permissions(), nil
}

// Routes returns every route as "METHOD path", parameters as the router writes them (/v2/users/:userID), so that the router can be
// compared with the document.
func (g *Gateway) Routes() []string {
	var routes []string
	for _, r := range g.app.GetRoutes(true) {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes
}
