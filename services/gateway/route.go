package gateway

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/operating"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/page"
	"github.com/keyward/keyward/services/gateway/internal/wellknown"
)

// mount registers, for every operation of the documents, admission (authentication, then validation) in front of what answers it.
func (g *Gateway) mount() error {
	g.app.Use(g.serve)
	pages := g.pages()
	if err := errors.Join(pages.MountTrying(g.app), pages.MountConsole(g.app)); err != nil {
		return err
	}
	documents := wellknown.Documents{Visited: g.door.Visited, Keys: g.ceremony.Keys}
	services := g.services
	services.Keys, services.Stream, services.WellKnown = documents.ServeKeys, g.streams.Serve, documents.Serve
	backend, err := operation.Join(g.document, operation.Backend(services))
	visited, visitedErr := operation.Join(g.frontend, operation.Frontend(services))
	if err := errors.Join(named("Backend API", err), named("Frontend API", visitedErr), g.mountOperator()); err != nil {
		return err
	}
	for _, op := range backend {
		g.route(op, g.admit(op))
	}
	for _, op := range visited {
		g.route(op, g.admitVisit(op))
	}
	// A stream closes its connection itself.
	g.app.Server().KeepHijackedConns = true
	return g.pages().MountDocs(g.app)
}

// mountOperator registers the Operator API, if it is on.
func (g *Gateway) mountOperator() error {
	if g.operator == nil {
		return nil
	}
	s := g.operating
	s.DecisionStream, s.EventStream = g.streams.ServeDecisions(s.Decisions.FollowDecisions), g.streams.ServeOf
	s.Webhooks, s.Sessions, s.Projects, s.Permissions, s.Now = g.services.Webhooks, g.ceremony, g.projects, g.document.Permissions(), g.now
	operated, err := operation.Join(g.operator, operating.Table(s))
	for _, op := range operated {
		g.route(op, func(c *fiber.Ctx) error {
			x := exchange.Of(c.UserContext())
			x.Op, x.Route = op.Operation, op.Path
			c.Set(fiber.HeaderCacheControl, "no-store")
			if err := g.door.Operator(c, x, op.Operation); err != nil {
				return err
			}
			return op.Serve(c, x)
		})
	}
	return named("Operator API", err)
}

func (g *Gateway) pages() page.Config {
	return page.Config{
		Trying: g.cfg.TryingPage, Console: g.cfg.Console && g.operator != nil, Version: g.cfg.Version,
		Backend: g.document, Frontend: g.frontend, Operator: g.operator,
		Project: func(c *fiber.Ctx) string {
			shown, _ := g.door.Shown(c)
			return string(shown.ID)
		},
	}
}

func (g *Gateway) route(op operation.Joined, handler fiber.Handler) {
	if op.Method == fiber.MethodGet {
		g.app.Get(op.RouterPath(), handler) // HEAD too
		return
	}
	g.app.Add(op.Method, op.RouterPath(), handler)
}

func named(document string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", document, err)
}

// admit stands in front of an operation of the Backend API.
func (g *Gateway) admit(op operation.Joined) fiber.Handler {
	repeatable := op.TakesHeader(idempotency.Header)
	return func(c *fiber.Ctx) error {
		x := exchange.Of(c.UserContext())
		x.Op, x.Route = op.Operation, op.Path
		c.Set(fiber.HeaderCacheControl, "no-store")
		if err := g.door.Backend(c, x, op.Operation); err != nil {
			return err
		}
		if repeatable {
			if key, sent := admission.SentHeader(c, idempotency.Header); sent {
				return g.once(c, x, key, func() error { return op.Serve(c, x) })
			}
		}
		return op.Serve(c, x)
	}
}

// admitVisit stands in front of an operation of the Frontend API.
func (g *Gateway) admitVisit(op operation.Joined) fiber.Handler {
	if admission.IsWellKnown(op.Path) {
		return func(c *fiber.Ctx) error {
			x := exchange.Of(c.UserContext())
			x.Route = op.Path
			if err := g.door.Reader(c, op.Operation); err != nil {
				return err
			}
			return op.Serve(c, x)
		}
	}
	return func(c *fiber.Ctx) error {
		x := exchange.Of(c.UserContext())
		x.Op, x.Route = op.Operation, op.Path
		c.Set(fiber.HeaderCacheControl, "no-store")
		if err := g.door.Frontend(c, x, op.Operation); err != nil {
			return err
		}
		return op.Serve(c, x)
	}
}
