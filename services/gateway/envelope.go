package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/admission"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// How callers can say who they are.
const (
	challengeBasic  = `Basic realm="keyward", charset="UTF-8"`
	challengeBearer = `Bearer realm="keyward"`
)

// fail answers with the error envelope. It is the one place where an error becomes a status.
func (g *Gateway) fail(c *fiber.Ctx, x *exchange.Exchange, err error) {
	f := g.faultOf(err)
	if fault.OfServer(f) {
		x.Cause = f
	}
	details := rest.ErrorDetails{Type: rest.ErrorType(f.Type), Links: []string{}}
	if f.Details != "" {
		details.Details = &f.Details
	}
	if len(f.Validation) > 0 {
		validation := make([]rest.FieldError, len(f.Validation))
		for i, v := range f.Validation {
			validation[i] = rest.FieldError(v)
		}
		details.Validation = &validation
	}
	switch {
	case f.Status == http.StatusUnauthorized:
		// At Basic a browser asks its user for a password, in the middle of a page that knows what to do without one.
		if x.Visit == nil && (x.Op == nil || x.Op.Role == "" && !x.Op.Public) {
			c.Set(fiber.HeaderWWWAuthenticate, challengeBasic)
		}
		c.Response().Header.Add(fiber.HeaderWWWAuthenticate, challengeBearer)
	case f.RetryAfter > 0:
		c.Set(fiber.HeaderRetryAfter, strconv.FormatInt(admission.WholeSeconds(f.RetryAfter), 10))
	}
	envelope := rest.ErrorRsp{
		HTTPStatusCode: int32(f.Status),
		Message:        http.StatusText(f.Status),
		RequestData:    rest.RequestData{RequestID: string(x.ID)},
		Runtime:        x.Runtime(),
		Error:          details,
	}
	envelope.Data = besides(c, x, f)
	body, err := operation.Encode(envelope)
	if err != nil {
		x.Cause = errors.Join(x.Cause, fmt.Errorf("write the error envelope: %w", err))
	}
	c.Status(f.Status)
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetBody(body)
}

// besides returns what an error tells beside itself, and puts into the header how what it ends was judged; nil if there is nothing.
func besides(c *fiber.Ctx, x *exchange.Exchange, f *fault.Fault) *map[string]any {
	data := map[string]any{}
	if f.Signals != nil {
		data["signals"] = f.Signals
	}
	if judged := service.JudgementOf(f); judged != nil && x.Judge(judged.Risk) {
		x.Tell(judged.Decided, nil)
		if told := operation.RiskOf(c.Request().URI().QueryString(), judged); told != nil {
			data["risk"] = told
		}
	}
	if len(data) == 0 {
		return nil
	}
	return &data
}

// faultOf translates Fiber's own errors; all others are read by fault.As.
func (g *Gateway) faultOf(err error) *fault.Fault {
	var own *fiber.Error
	if !errors.As(err, &own) {
		return fault.As(err)
	}
	switch own.Code {
	case http.StatusNotFound:
		return fault.NotFound("there is no such route")
	case http.StatusMethodNotAllowed:
		return &fault.Fault{Type: fault.TypeMethodNotAllowed, Status: own.Code, Details: "the route does not take this method"}
	case http.StatusRequestEntityTooLarge:
		return admission.TooLarge(g.cfg.BodyLimit)
	case http.StatusRequestHeaderFieldsTooLarge:
		f := fault.Field("header", "must be at most %d bytes", g.cfg.HeaderLimit)
		f.Status = own.Code
		return f
	case http.StatusRequestTimeout:
		return &fault.Fault{
			Type: fault.TypeUnavailable, Status: own.Code, Details: "the request did not arrive in time", RetryAfter: time.Second,
		}
	case http.StatusBadRequest:
		f := &fault.Fault{Type: fault.TypeValidationError, Status: own.Code, Details: "this is not a well-formed HTTP request"}
		return f.Because(err)
	}
	return fault.Internal(err)
}
