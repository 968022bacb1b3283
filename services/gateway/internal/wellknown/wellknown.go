// Package wellknown answers with what is the visited project's and open to everybody: its public keys, and the documents that browsers and
// operating systems look up. It touches nothing but the answer; which project is visited it is told.
package wellknown

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

const (
	// Verifiers may keep the keys for so long. A new key is published for longer than that before anything is signed with it.
	keysCache     = "public, max-age=300"
	documentCache = "public, max-age=300"
)

// Documents answers for the project that a request is about. Visited is asked which that is: by the ID that the request names, or by the
// host that it came to; if there is none, its error is project.ErrUnknown.
type Documents struct {
	Visited func(*fiber.Ctx, *exchange.Exchange) (project.Project, error)
	Keys    func(context.Context, service.ForProject[service.Empty]) (json.RawMessage, error)
}

// ServeKeys is GET /.well-known/jwks: the public keys of the project that the request names, else of the one whose host it came to (RFC
// 7517 section 5). Never those of several projects: a verifier that takes any of them takes the tokens of all.
func (d Documents) ServeKeys(c *fiber.Ctx) error {
	x := exchange.Of(c.UserContext())
	of, err := d.Visited(c, x)
	named, unknown := len(x.Asked.Peek(exchange.HeaderProjectID)) > 0, errors.Is(err, project.ErrUnknown)
	switch {
	case unknown && named:
		return fault.NotFound("there is no such project")
	case unknown:
		return fault.NotFound("no project has this host name; %s names one", exchange.HeaderProjectID)
	case err != nil:
		return err
	}
	set, err := d.Keys(c.UserContext(), service.ForProject[service.Empty]{Project: of.ID})
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, keysCache)
	c.Vary(exchange.HeaderProjectID)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(http.StatusOK).Send(set)
}

// Serve returns what answers with a document that is made of the visited project.
func (d Documents) Serve(document func(project.Project) any) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := exchange.Of(c.UserContext())
		x.Route = c.Path()
		known, err := d.Visited(c, x)
		if errors.Is(err, project.ErrUnknown) {
			err = fault.NotFound("no project has this host name")
		}
		if err != nil {
			return err
		}
		body, err := operation.Encode(document(known))
		if err != nil {
			return fault.Internal(err)
		}
		c.Set(fiber.HeaderCacheControl, documentCache)
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Status(http.StatusOK).Send(body)
	}
}
