package gateway

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
)

// keysCache is how long verifiers may keep the keys. A new key is published for longer than that before anything is signed with it.
const keysCache = "public, max-age=300"

// keys is GET /.well-known/jwks: the public keys of the project that the request names, else of the one whose host it came to (RFC 7517
// section 5). Never those of several projects: a verifier that takes any of them takes the tokens of all.
func (g *Gateway) keys(c *fiber.Ctx) error {
	x := exchange.Of(c.UserContext())
	of, err := g.door.Visited(c, x)
	named, unknown := len(x.Asked.Peek(exchange.HeaderProjectID)) > 0, errors.Is(err, project.ErrUnknown)
	switch {
	case unknown && named:
		return fault.NotFound("there is no such project")
	case unknown:
		return fault.NotFound("no project has this host name; %s names one", exchange.HeaderProjectID)
	case err != nil:
		return err
	}
	set, err := g.ceremony.Keys(c.UserContext(), service.ForProject[service.Empty]{Project: of.ID})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, keysCache)
	c.Vary(exchange.HeaderProjectID)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(http.StatusOK).Send(set)
}
