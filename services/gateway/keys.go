package gateway

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// keysCache is how long verifiers may keep the keys. A new key is published for longer than that before anything is signed with it.
const keysCache = "public, max-age=300"

// keys is GET /.well-known/jwks: the public keys of one project, or of all (RFC 7517 section 5).
func (g *Gateway) keys(c *fiber.Ctx) error {
	id, named := admission.SentHeader(c, exchange.HeaderProjectID)
	if named {
		if _, known := g.projects.Lookup(ident.ProjectID(id)); !known {
			return fault.NotFound("there is no such project")
		}
	}
	set, err := g.ceremony.Keys(c.UserContext(), service.ForProject[service.Empty]{Project: ident.ProjectID(id)})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, keysCache)
	c.Vary(exchange.HeaderProjectID)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(http.StatusOK).Send(set)
}
