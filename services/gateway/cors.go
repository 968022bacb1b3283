package gateway

import (
	"net/http"
	"strings"

	connectcors "connectrpc.com/cors"
	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
)

// What browsers may send and read, by the Fetch standard's CORS protocol. The request headers are those of the existing SDKs, and those of tracing.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, X-Request-ID, X-Corbado-ProjectID, X-Corbado-SDK, X-Corbado-Client-Timezone, X-Corbado-Flags, " +
		"X-Corbado-Process-ID, X-Corbado-Temp-Process-ID, Cache-Control, Pragma, Expires, Idempotency-Key, Last-Event-ID, traceparent, tracestate, baggage"
	corsExposed = headerRequestID + ", " + headerDecisionID + ", " + headerPolicyRevision + ", " + headerReplayed +
		", Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
	corsMaxAge = "600" // seconds that a browser may keep the answer to a preflight

	// The same for the user service: of its protocols, and of the SDKs that call it.
	callMethods = "GET, POST, DELETE"
	callHeaders = "X-Zitadel-Orgid, X-User-Agent"
)

// corsCalls are the headers of calls of the user service, which may have those of all other calls too.
type corsCalls struct{ headers, exposed string }

func newCORSCalls() corsCalls {
	return corsCalls{
		headers: strings.Join(append(connectcors.AllowedHeaders(), callHeaders, corsHeaders), ", "),
		exposed: strings.Join(append(connectcors.ExposedHeaders(), corsExposed), ", "),
	}
}

// cors marks a preflight as answered, or the answer as readable for a page of an origin that some project lists. Which project's the origin must be is known only
// once the caller is (see checkOrigin).
func (g *Gateway) cors(x *exchange) error {
	if isWellKnown(x.path) && !x.rpc {
		x.corsForAll()
		return nil
	}
	if !x.rpc && !strings.HasPrefix(x.path, "/v2/") {
		return nil
	}
	x.answer.Add(fiber.HeaderVary, fiber.HeaderOrigin)
	origin := string(x.asked.Peek(fiber.HeaderOrigin))
	if origin == "" {
		return nil
	}
	methods, headers, exposed := corsMethods, corsHeaders, corsExposed
	if x.rpc {
		methods, headers, exposed = callMethods, g.corsCalls.headers, g.corsCalls.exposed
	}
	allowed := g.projects.OriginAllowed(origin)
	if allowed {
		x.answer.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		x.answer.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		x.answer.Set(fiber.HeaderAccessControlExposeHeaders, exposed)
	}
	if x.method != fiber.MethodOptions || len(x.asked.Peek(fiber.HeaderAccessControlRequestMethod)) == 0 {
		return nil
	}
	x.route = "preflight"
	if !allowed {
		return &fault.Fault{Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden, Details: "no project lists the origin"}
	}
	x.preflight = true
	x.answer.Set(fiber.HeaderAccessControlAllowMethods, methods)
	x.answer.Set(fiber.HeaderAccessControlAllowHeaders, headers)
	x.answer.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	x.answer.Del(fiber.HeaderAccessControlExposeHeaders)
	return nil
}

// corsForAll lets pages of every origin read what asks for no credentials.
func (x *exchange) corsForAll() {
	x.answer.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	if x.method != fiber.MethodOptions {
		x.answer.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed)
		return
	}
	x.route, x.preflight = "preflight", true
	x.answer.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodGet)
	x.answer.Set(fiber.HeaderAccessControlAllowHeaders, headerProjectID+", "+headerRequestID)
	x.answer.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
}

// forgetOrigin takes back what cors said: the page may not read the answer.
func (x *exchange) forgetOrigin() {
	for _, h := range []string{fiber.HeaderAccessControlAllowOrigin, fiber.HeaderAccessControlAllowCredentials, fiber.HeaderAccessControlExposeHeaders} {
		x.answer.Del(h)
	}
}
