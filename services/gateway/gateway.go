// Package gateway is the edge: it authenticates projects, limits how much they call, checks each request against the OpenAPI document, forwards it to a service and
// puts every failure into one envelope. Calls of the user service, whose contract are the protos, come in through the same door, on a port of their own too. It decides
// nothing, and stores nothing but the answers of calls with an Idempotency-Key. No Fiber type leaves this package.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/certificate"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
	"github.com/keyward/keyward/services/gateway/internal/route"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

// Projects is what the gateway asks of the tenants, at every request; answers must come from memory.
type Projects interface {
	Lookup(ident.ProjectID) (project.Project, bool)
	// OriginAllowed reports whether any project lists origin.
	OriginAllowed(origin string) bool
	// Visited returns the project that a call of the Frontend API is about, by the ID that it names or by the host that it came to.
	Visited(named ident.ProjectID, host string) (project.Project, bool)
}

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
	Projects     Projects
	Issuers      Issuers
	// Idempotency keeps the answers of calls with an Idempotency-Key.
	Idempotency Idempotency
	Limits      Limits                // needed only if the configuration limits anything
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
	events      service.Events
	webhooks    service.Webhooks
	explains    service.Explanations
	projects    Projects
	idempotency Idempotency
	limits      Limits
	log         *slog.Logger
	now         func() time.Time
	decoy       project.SecretHash
	document    *contract.Document // of the Backend API
	frontend    *contract.Document // of the Frontend API
	bodies      map[reflect.Type]*contract.Decoder
	app         *fiber.App
	meter       *meter
	tracer      *tracer
	inFlight    atomic.Int64
	streams     *streams

	users       *userapi.API
	calls       calls // of the user service that came to Fiber
	corsCalls   corsCalls
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

// drainFactor says how much larger than the limit a body may be to be read to its end and refused with a proper answer; beyond, the connection is cut after the
// answer, which some clients do not get to see because they are still writing.
const drainFactor = 4

// callFraming is what the protocols of the user service may put around a message.
const callFraming = 64 << 10

// New makes a gateway. It fails if the configuration cannot work, a dependency is missing or the OpenAPI document does not compile.
func New(cfg Config, deps Deps) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway configuration: %w", err)
	}
	if deps.Ceremony == nil || deps.Events == nil || deps.Webhooks == nil || deps.Projects == nil || deps.Issuers == nil || deps.Idempotency == nil {
		return nil, errors.New("gateway: ceremony, events, webhooks, projects, issuers and idempotency are needed")
	}
	if deps.Explanations == nil && cfg.TryingPage {
		return nil, errors.New("gateway: explanations are needed for the page to try passkeys with")
	}
	if deps.Limits == nil && (cfg.RateProject.On() || cfg.RateAddress.On() || cfg.RateFailures.On()) {
		return nil, errors.New("gateway: limits are needed where there is a rate limit")
	}
	document, err := contract.Parse(api.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	visited, err := contract.Parse(api.Frontend)
	if err != nil {
		return nil, fmt.Errorf("gateway: Frontend API: %w", err)
	}
	g := &Gateway{
		cfg: cfg, ceremony: deps.Ceremony, events: deps.Events, webhooks: deps.Webhooks, explains: deps.Explanations, projects: deps.Projects,
		idempotency: deps.Idempotency, limits: deps.Limits,
		log: deps.Log, now: deps.Now, document: document, frontend: visited, tracer: newTracer(deps.Tracer), corsCalls: newCORSCalls(),
		decoy: project.HashSecret(project.NewSecret()),
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.now == nil {
		g.now = time.Now
	}
	g.base, g.stop = context.WithCancel(context.Background())
	if g.meter, err = newMeter(deps.Metrics, func() float64 { return float64(g.inFlight.Load()) }); err != nil {
		return nil, fmt.Errorf("gateway metrics: %w", err)
	}
	if g.streams, err = newStreams(cfg, deps.Feed, deps.Metrics); err != nil {
		return nil, fmt.Errorf("gateway metrics: %w", err)
	}
	g.bodies = map[reflect.Type]*contract.Decoder{}
	if err := errors.Join(g.addDecoders(document, bodyTypes()), g.addDecoders(visited, frontBodyTypes())); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.openCalls(deps); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.app = g.newApp()
	if err := g.mount(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g.answerUnknownMethods()
	return g, nil
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
	g.tokens = issuer.New(issuer.Deps{Issuers: deps.Issuers.Issuers, Now: g.now, Log: g.log})
	g.users, err = userapi.New(userapi.Deps{
		Registrations: deps.Ceremony, Admit: g.admitCall, Observe: g.observe, MaxBytes: g.cfg.GRPCMaxMessage, Timeout: g.cfg.RequestTimeout, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.calls = calls{g, notOverBridge(g.users.Handler())}
	g.grpc = g.newGRPCServer(calls{g, g.users.GRPCHandler()})
	return nil
}

func (g *Gateway) newApp() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName:       "keyward",
		CaseSensitive: true,
		StrictRouting: true,
		// Fiber reuses its buffers. With Immutable every string it hands out is a copy, so that user IDs and header values may outlive the request.
		Immutable:                    true,
		BodyLimit:                    g.cfg.BodyLimit * drainFactor,
		ReadBufferSize:               g.cfg.HeaderLimit,
		ReadTimeout:                  g.cfg.ReadTimeout,
		IdleTimeout:                  g.cfg.IdleTimeout,
		ErrorHandler:                 g.outOfBand,
		JSONEncoder:                  encode,
		JSONDecoder:                  g.decode,
		DisableStartupMessage:        true,
		DisablePreParseMultipartForm: true,
	})
	if g.cfg.BodyLimit*drainFactor < g.cfg.GRPCMaxMessage+callFraming {
		app.Server().HeaderReceived = g.callBodies
	}
	return app
}

// bodyTypes are what the generated handlers read the bodies of each operation into.
func bodyTypes() map[string]any {
	return map[string]any{
		"createUser":               rest.UserCreateReq{},
		"updateUser":               rest.UserUpdateReq{},
		"createPasskeyEvent":       rest.PasskeyEventCreateReq{},
		"updatePasskeyChallenge":   rest.PasskeyChallengeUpdateReq{},
		"passkeyAppendStart":       rest.PasskeyAppendStartReq{},
		"passkeyAppendFinish":      rest.PasskeyAppendFinishReq{},
		"passkeyLoginStart":        rest.PasskeyLoginStartReq{},
		"passkeyLoginFinish":       rest.PasskeyLoginFinishReq{},
		"passkeyMediationStart":    rest.PasskeyMediationStartReq{},
		"passkeyMediationFinish":   rest.PasskeyMediationFinishReq{},
		"createSocialAccount":      rest.SocialAccountCreateReq{},
		"createIdentifier":         rest.IdentifierCreateReq{},
		"updateIdentifier":         rest.IdentifierUpdateReq{},
		"createChallenge":          rest.ChallengeCreateReq{},
		"updateChallenge":          rest.ChallengeUpdateReq{},
		"createAuthEvent":          rest.AuthEventCreateReq{},
		"updateCname":              rest.CnameUpdateReq{},
		"createConnectToken":       rest.ConnectTokenCreateReq{},
		"updateConnectToken":       rest.ConnectTokenUpdateReq{},
		"createWebhookEndpoint":    rest.WebhookEndpointCreateReq{},
		"updateWebhookEndpoint":    rest.WebhookEndpointUpdateReq{},
		"createWebhookSecret":      rest.WebhookSecretCreateReq{},
		"replayWebhookDeadLetters": rest.WebhookReplayReq{},
		"createLongSession":        rest.LongSessionCreateReq{},
		"updateLongSession":        rest.LongSessionUpdateReq{},
		"createShortSession":       rest.ShortSessionCreateReq{},
		"passkeyVerifySignedData":  rest.VerifySignedDataReq{},
		"passkeysVerifySignedData": rest.VerifySignedDataReq{},
		"passkeyPostLogin":         rest.PostLoginReq{},
	}
}

// frontBodyTypes are those of the Frontend API.
func frontBodyTypes() map[string]any {
	return map[string]any{
		"currentUserUpdate":                 frontend.MeUpdateReq{},
		"currentUserPasskeyAppendStart":     frontend.MePasskeysAppendStartReq{},
		"currentUserPasskeyAppendFinish":    frontend.MePasskeysAppendFinishReq{},
		"currentUserIdentifierCreate":       frontend.MeIdentifierCreateReq{},
		"currentUserIdentifierUpdate":       frontend.MeIdentifierUpdateReq{},
		"currentUserIdentifierDelete":       frontend.MeIdentifierDeleteReq{},
		"currentUserIdentifierVerifyStart":  frontend.MeIdentifierVerifyStartReq{},
		"currentUserIdentifierVerifyFinish": frontend.MeIdentifierVerifyFinishReq{},
		"connectLoginInit":                  frontend.ConnectInitReq{},
		"connectLoginStart":                 frontend.ConnectLoginStartReq{},
		"connectLoginFinish":                frontend.ConnectLoginFinishReq{},
		"connectAppendInit":                 frontend.ConnectInitReq{},
		"connectAppendStart":                frontend.ConnectAppendStartReq{},
		"connectAppendFinish":               frontend.ConnectAppendFinishReq{},
		"connectManageInit":                 frontend.ConnectInitReq{},
		"connectManageList":                 frontend.ConnectManageListReq{},
		"connectManageDelete":               frontend.ConnectManageDeleteReq{},
		"connectEventCreate":                frontend.ConnectEventCreateReq{},
		"connectEventsLowCreate":            frontend.ConnectEventsLowReq{},
		"connectProcessClear":               frontend.ConnectProcessClearReq{},
		"processInit":                       frontend.ProcessInitReq{},
		"signupInit":                        frontend.SignupInitReq{},
		"loginInit":                         frontend.LoginInitReq{},
		"passkeyAppendStart":                frontend.PasskeyStartReq{},
		"passkeyAppendFinish":               frontend.PasskeyFinishReq{},
		"passkeyLoginStart":                 frontend.PasskeyStartReq{},
		"passkeyLoginFinish":                frontend.PasskeyFinishReq{},
		"passkeyMediationFinish":            frontend.PasskeyFinishReq{},
		"identifierVerifyStart":             frontend.IdentifierVerifyStartReq{},
		"identifierVerifyFinish":            frontend.IdentifierVerifyFinishReq{},
		"identifierUpdate":                  frontend.IdentifierUpdateReq{},
		"authEventCreate":                   frontend.EventCreateReq{},
	}
}

// addDecoders makes the decoder for each type of body. It fails if an operation has none. Operations that share a type share its schema, from which the type is generated.
func (g *Gateway) addDecoders(document *contract.Document, types map[string]any) error {
	for _, op := range document.Operations {
		if !op.TakesBody() {
			continue
		}
		prototype, ok := types[op.ID]
		if !ok {
			return fmt.Errorf("the type of the body of %s is not known", op.ID)
		}
		decoder, err := contract.NewDecoder(op, prototype)
		if err != nil {
			return err
		}
		g.bodies[decoder.Type()] = decoder
	}
	return nil
}

// decode reads a body and holds it to the contract. It is strict where encoding/json is not: names match exactly and only once, and text is UTF-8.
func (g *Gateway) decode(body []byte, into any) error {
	decoder := g.bodies[reflect.TypeOf(into).Elem()]
	if decoder == nil {
		return fmt.Errorf("no operation has a body of type %T", into)
	}
	return decoder.Decode(body, into)
}

// encode writes nil slices as [], since strict clients take no null for an array. Optional fields that are set are written even if they are empty.
func encode(value any) ([]byte, error) {
	return json.Marshal(value, jsontext.AllowInvalidUTF8(true), jsonv1.OmitEmptyWithLegacySemantics(true))
}

// mount registers, for every operation of the document, admission (authentication, then validation) in front of the generated handler.
func (g *Gateway) mount() error {
	g.app.Use(g.serve)
	if err := g.mountTryingPage(); err != nil {
		return err
	}
	for _, op := range g.document.Operations {
		if op.Method == fiber.MethodGet {
			g.app.Get(op.RouterPath(), g.admit(op)) // HEAD too, as the generated routes have it
			continue
		}
		g.app.Add(op.Method, op.RouterPath(), g.admit(op))
	}
	handler := route.NewStrictHandler(handlers{g}, []route.StrictMiddlewareFunc{onlyAdmitted})
	route.RegisterHandlersWithOptions(g.app, handler, route.FiberServerOptions{BaseURL: "/v2"})
	g.mountFrontend()
	g.app.Get(keysPath, g.keys)
	g.mountStream()
	return g.mountDocs()
}

// answerUnknownMethods puts an answer of ours also where Fiber answers by itself, before any of its handlers: a method that HTTP does not know.
func (g *Gateway) answerUnknownMethods() {
	inner := g.app.Handler()
	g.app.Server().Handler = func(rc *fasthttp.RequestCtx) {
		for _, known := range fiber.DefaultMethods {
			if string(rc.Method()) == known {
				inner(rc)
				return
			}
		}
		c := g.app.AcquireCtx(rc)
		defer g.app.ReleaseCtx(c)
		if g.isCall(c) {
			_ = g.bridge(c) // it always answers
			return
		}
		_ = g.outOfBand(c, fiber.ErrMethodNotAllowed) // it always answers
	}
}

// Permissions returns the permissions that an API key can have, sorted: those that the operations of the API need.
func Permissions() ([]string, error) {
	document, err := contract.Parse(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	return document.Permissions(), nil
}

// Routes returns every route as "METHOD path", parameters as the router writes them (/v2/users/:userID), so that the router can be compared with the document.
func (g *Gateway) Routes() []string {
	var routes []string
	for _, r := range g.app.GetRoutes(true) {
		routes = append(routes, r.Method+" "+r.Path)
	}
	return routes
}
