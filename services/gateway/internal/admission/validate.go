package admission

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// checkOrigin refuses a browser's call from a page that the project does not list. Calls from outside browsers have no Origin header.
func checkOrigin(x *exchange.Exchange) error {
	origin := x.Asked.Peek(fiber.HeaderOrigin)
	if len(origin) == 0 || slices.Contains(x.Origins, string(origin)) {
		return nil
	}
	forgetOrigin(x)
	return &fault.Fault{
		Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden,
		Details: "the project does not list the origin that the request comes from",
	}
}

// validate checks path, query and headers. The body is checked as it is decoded, unless something else is wrong already: faults of all
// are told at once, unless the body is not JSON.
func (d *Door) validate(c *fiber.Ctx, op *contract.Operation) error {
	return d.validateUpTo(c, op, min(op.BodyLimit, d.cfg.BodyLimit))
}

// validateUpTo is validate for a body of so many bytes.
func (d *Door) validateUpTo(c *fiber.Ctx, op *contract.Operation, limit int) error {
	found := op.CheckPath(func(name string) string { return c.Params(name) })
	found = append(found, op.CheckQuery(string(c.Request().URI().QueryString()))...)
	found = append(found, op.CheckHeaders(func(name string) (string, bool) { return SentHeader(c, name) })...)
	if !op.TakesBody() {
		return operation.Refusal(found, nil)
	}
	if err := checkMedia(c); err != nil {
		return err
	}
	body, err := d.readBody(c, limit)
	if err != nil {
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
	sent := &c.Request().Header
	if string(sent.ContentType()) == fiber.MIMEApplicationJSON && len(sent.Peek(fiber.HeaderContentEncoding)) == 0 {
		return nil
	}
	if kind := mediaType(c); kind != "" && kind != fiber.MIMEApplicationJSON {
		return fault.Field(fiber.HeaderContentType, "must be %s", fiber.MIMEApplicationJSON)
	}
	if coding := sent.Peek(fiber.HeaderContentEncoding); len(coding) > 0 && !strings.EqualFold(string(coding), "identity") {
		return fault.Field(fiber.HeaderContentEncoding, "must be identity")
	}
	return nil
}

// headerLastEventID is as absent if it is empty: clients that have seen no event yet send it so (WHATWG HTML section 9.2).
const headerLastEventID = "Last-Event-ID"

// SentHeader returns a header, and whether it was sent at all. One that was sent several times is a list (RFC 9110 section 5.3).
func SentHeader(c *fiber.Ctx, name string) (string, bool) {
	values := c.Request().Header.PeekAll(name)
	text := string(bytes.Join(values, []byte(", ")))
	return text, len(values) > 0 && (text != "" || name != headerLastEventID)
}

// mediaType returns the Content-Type without its parameters, lower case.
func mediaType(c *fiber.Ctx) string {
	kind, _, _ := strings.Cut(string(c.Request().Header.ContentType()), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// TooLarge refuses a body beyond a limit.
func TooLarge(limit int) *fault.Fault {
	f := fault.Field("body", "must be at most %d bytes", limit)
	f.Status = http.StatusRequestEntityTooLarge
	return f
}
