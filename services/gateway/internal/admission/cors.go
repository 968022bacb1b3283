package admission

import (
	"net/http"
	"strings"

	connectcors "connectrpc.com/cors"
	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// What browsers may send and read, by the Fetch standard's CORS protocol. The request headers are those of the existing SDKs, and those
// of tracing.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, X-Request-ID, X-Corbado-ProjectID, X-Corbado-SDK, X-Corbado-Client-Timezone, " +
		"X-Corbado-Flags, X-Corbado-Process-ID, X-Corbado-Temp-Process-ID, Cache-Control, Pragma, Expires, Idempotency-Key, " +
		"Last-Event-ID, traceparent, tracestate, baggage"
	corsExposed = exchange.HeaderRequestID + ", " + exchange.HeaderDecisionID + ", " + exchange.HeaderPolicyRevision +
		", " + exchange.HeaderReplayed + ", Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
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

// operatorPaths is what paths of the Operator API begin with that are among those of the Backend API. No page calls them.
const operatorPaths = "/v2/policy/"

// cors marks a preflight as answered, or the answer as readable for a page of an origin that some project lists. Which project's the
// origin must be is known only once the caller is (see checkOrigin).
func (d *Door) cors(x *exchange.Exchange) error {
	if IsWellKnown(x.Path) && !x.RPC {
		corsForAll(x)
		return nil
	}
	if !x.RPC && (!strings.HasPrefix(x.Path, "/v2/") || strings.HasPrefix(x.Path, operatorPaths)) {
		return nil
	}
	x.Answer.Add(fiber.HeaderVary, fiber.HeaderOrigin)
	origin := string(x.Asked.Peek(fiber.HeaderOrigin))
	if origin == "" {
		return nil
	}
	methods, headers, exposed := corsMethods, corsHeaders, corsExposed
	if x.RPC {
		methods, headers, exposed = callMethods, d.corsCalls.headers, d.corsCalls.exposed
	}
	allowed := d.projects.OriginAllowed(origin)
	if allowed {
		x.Answer.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		x.Answer.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		x.Answer.Set(fiber.HeaderAccessControlExposeHeaders, exposed)
	}
	if x.Method != fiber.MethodOptions || len(x.Asked.Peek(fiber.HeaderAccessControlRequestMethod)) == 0 {
		return nil
	}
	x.Route = "preflight"
	if !allowed {
		return &fault.Fault{Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden, Details: "no project lists the origin"}
	}
	x.Preflight = true
	x.Answer.Set(fiber.HeaderAccessControlAllowMethods, methods)
	x.Answer.Set(fiber.HeaderAccessControlAllowHeaders, headers)
	x.Answer.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	x.Answer.Del(fiber.HeaderAccessControlExposeHeaders)
	return nil
}

// corsForAll lets pages of every origin read what asks for no credentials.
func corsForAll(x *exchange.Exchange) {
	x.Answer.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	if x.Method != fiber.MethodOptions {
		x.Answer.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed)
		return
	}
	x.Route, x.Preflight = "preflight", true
	x.Answer.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodGet)
	x.Answer.Set(fiber.HeaderAccessControlAllowHeaders, exchange.HeaderProjectID+", "+exchange.HeaderRequestID)
	x.Answer.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
}

// LetRead lets the page that sent a request read why it got no further than its head. Of a head that could not be read nobody knows which
// page that was, and the refusal tells nothing but that.
func (d *Door) LetRead(x *exchange.Exchange, unknown bool) {
	if unknown {
		x.Answer.Set(fiber.HeaderAccessControlAllowOrigin, "*")
		return
	}
	if d.cors(x) != nil {
		forgetOrigin(x)
	}
}

// forgetOrigin takes back what cors said: the page may not read the answer.
func forgetOrigin(x *exchange.Exchange) {
	for _, h := range []string{
		fiber.HeaderAccessControlAllowOrigin, fiber.HeaderAccessControlAllowCredentials, fiber.HeaderAccessControlExposeHeaders,
	} {
		x.Answer.Del(h)
	}
}
