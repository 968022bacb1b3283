package gateway

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// admit stands in front of one operation: who calls comes first, then whether the caller may, then whether the call fits the contract.
func (g *Gateway) admit(op operation.Joined) fiber.Handler {
	repeatable := op.TakesHeader(idempotency.Header)
	return func(c *fiber.Ctx) error {
		x := exchangeOf(c.UserContext())
		x.op, x.route = op.Operation, op.Path
		c.Set(fiber.HeaderCacheControl, "no-store")
		if !op.Public {
			if err := g.authenticate(x); err != nil {
				return err
			}
			if err := x.checkOrigin(); err != nil {
				return err
			}
			if err := g.limitProject(x); err != nil {
				return err
			}
			if err := x.permit(op.Permission); err != nil {
				return err
			}
		}
		if err := g.validate(c, op.Operation); err != nil {
			return err
		}
		if repeatable {
			if key, sent := sentHeader(c, idempotency.Header); sent {
				return g.once(c, x, key, func() error { return op.Serve(c, x) })
			}
		}
		return op.Serve(c, x)
	}
}

// checkOrigin refuses a browser's call from a page that the project does not list. Calls from outside browsers have no Origin header.
func (x *exchange) checkOrigin() error {
	origin := x.asked.Peek(fiber.HeaderOrigin)
	if len(origin) == 0 || slices.Contains(x.origins, string(origin)) {
		return nil
	}
	x.forgetOrigin()
	return &fault.Fault{Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden, Details: "the project does not list the origin that the request comes from"}
}

// validate checks path, query and headers. The body is checked as it is decoded, unless something else is wrong already: faults of all are told at once, unless the body
// is not JSON.
func (g *Gateway) validate(c *fiber.Ctx, op *contract.Operation) error {
	found := op.CheckPath(func(name string) string { return c.Params(name) })
	found = append(found, op.CheckQuery(string(c.Request().URI().QueryString()))...)
	found = append(found, op.CheckHeaders(func(name string) (string, bool) { return sentHeader(c, name) })...)
	if !op.TakesBody() {
		return operation.Refusal(found, nil)
	}
	body := c.Request().Body() // not a copy; it is read here and now
	if len(body) > g.cfg.BodyLimit {
		return tooLarge(g.cfg.BodyLimit)
	}
	if err := checkMedia(c); err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	inBody, err := op.CheckBody(body)
	return operation.Refusal(append(found, inBody...), err)
}

// checkMedia takes JSON, and takes a body without a type for JSON.
func checkMedia(c *fiber.Ctx) error {
	if string(c.Request().Header.ContentType()) == fiber.MIMEApplicationJSON && len(c.Request().Header.Peek(fiber.HeaderContentEncoding)) == 0 {
		return nil
	}
	if kind := mediaType(c); kind != "" && kind != fiber.MIMEApplicationJSON {
		return fault.Field(fiber.HeaderContentType, "must be %s", fiber.MIMEApplicationJSON)
	}
	if coding := c.Request().Header.Peek(fiber.HeaderContentEncoding); len(coding) > 0 && !strings.EqualFold(string(coding), "identity") {
		return fault.Field(fiber.HeaderContentEncoding, "must be identity")
	}
	return nil
}

// sentHeader returns a header, and whether it was sent at all. One that was sent several times is a list (RFC 9110 section 5.3).
func sentHeader(c *fiber.Ctx, name string) (string, bool) {
	values := c.Request().Header.PeekAll(name)
	return string(bytes.Join(values, []byte(", "))), len(values) > 0
}
