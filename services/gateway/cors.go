package gateway

import (
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/rest"
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
)

// cors answers a preflight and reports true, or marks the answer as readable for a page of an origin that some project lists. Which project's the origin
// must be is known only once the caller is (see checkOrigin).
func (g *Gateway) cors(c *fiber.Ctx, x *exchange) (bool, error) {
	if c.Path() == keysPath {
		return corsForAll(c, x), nil
	}
	if !strings.HasPrefix(c.Path(), "/v2/") {
		return false, nil
	}
	c.Vary(fiber.HeaderOrigin)
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return false, nil
	}
	allowed := g.projects.OriginAllowed(origin)
	if allowed {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		c.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed)
	}
	if c.Method() != fiber.MethodOptions || len(c.Request().Header.Peek(fiber.HeaderAccessControlRequestMethod)) == 0 {
		return false, nil
	}
	x.route = "preflight"
	if !allowed {
		return true, &fault.Fault{Type: rest.ErrorTypeInvalidOrigin, Status: http.StatusForbidden, Details: "no project lists the origin"}
	}
	c.Set(fiber.HeaderAccessControlAllowMethods, corsMethods)
	c.Set(fiber.HeaderAccessControlAllowHeaders, corsHeaders)
	c.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	c.Response().Header.Del(fiber.HeaderAccessControlExposeHeaders)
	c.Status(http.StatusNoContent)
	return true, nil
}

// corsForAll lets pages of every origin read what asks for no credentials, and reports whether that was asked.
func corsForAll(c *fiber.Ctx, x *exchange) bool {
	c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	if c.Method() != fiber.MethodOptions {
		c.Set(fiber.HeaderAccessControlExposeHeaders, corsExposed)
		return false
	}
	x.route = "preflight"
	c.Set(fiber.HeaderAccessControlAllowMethods, fiber.MethodGet)
	c.Set(fiber.HeaderAccessControlAllowHeaders, headerProjectID+", "+headerRequestID)
	c.Set(fiber.HeaderAccessControlMaxAge, corsMaxAge)
	c.Status(http.StatusNoContent)
	return true
}

// forgetOrigin takes back what cors said: the page may not read the answer.
func forgetOrigin(c *fiber.Ctx) {
	for _, h := range []string{fiber.HeaderAccessControlAllowOrigin, fiber.HeaderAccessControlAllowCredentials, fiber.HeaderAccessControlExposeHeaders} {
		c.Response().Header.Del(h)
	}
}
