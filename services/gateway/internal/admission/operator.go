package admission

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// Operators is what admission asks of those who run the installation, at every call of the Operator API. A token that is nobody's is
// operator.ErrWrong, at the cost of one that is somebody's; operator.Store is one.
type Operators interface {
	Authenticate(ctx context.Context, token string, now time.Time) (operator.Operator, error)
	// Resume returns whose session the text of a cookie resumes, or operator.ErrSessionOver.
	Resume(ctx context.Context, text string, now time.Time) (operator.Operator, error)
}

// headerConsole is sent with calls by a cookie that change anything: no page of another site can have a browser send it.
const headerConsole = "X-Keyward-Console"

// Operator admits a call of the Operator API: from where comes first, then who calls, then whether the role is enough, then whether the
// call is about projects that the caller sees, then whether it fits the contract. What it may have of a body the document says alone.
func (d *Door) Operator(c *fiber.Ctx, x *exchange.Exchange, op *contract.Operation) error {
	if err := checkForeign(x, string(c.Context().Host())); err != nil {
		return err
	}
	if op.Public {
		return d.validateUpTo(c, op, op.BodyLimit)
	}
	caller, err := d.identifyOperator(c.UserContext(), x)
	if err != nil {
		return err
	}
	x.Operating = &caller
	if !caller.Role.Covers(op.Role) {
		return &fault.Fault{
			Type: fault.TypeLoginError, Status: http.StatusForbidden,
			Details: "it takes the role " + string(op.Role) + ", and the operator has " + string(caller.Role),
		}
	}
	if err := within(c, &caller, op.Projects); err != nil {
		return err
	}
	c.SetUserContext(reqctx.WithOperator(c.UserContext(), reqctx.Operator{ID: caller.ID, Name: caller.Name}))
	return d.validateUpTo(c, op, op.BodyLimit)
}

// identifyOperator reads the token of an operator (RFC 6750), or, without one, the cookie of a session. Who sent wrong ones too often is
// told no more than that, and the right one is taken from whatever address.
func (d *Door) identifyOperator(ctx context.Context, x *exchange.Exchange) (operator.Operator, error) {
	caller, err := d.operator(ctx, x)
	if errors.Is(err, operator.ErrWrong) || errors.Is(err, operator.ErrSessionOver) {
		return operator.Operator{}, d.wrongOperator(x, err)
	}
	if err == nil && byCookie(x) && x.Method != fiber.MethodGet && x.Method != fiber.MethodHead && len(x.Asked.Peek(headerConsole)) == 0 {
		return operator.Operator{}, &fault.Fault{
			Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden,
			Details: "a call with the cookie of a session that changes anything takes the header " + headerConsole,
		}
	}
	return caller, err
}

func byCookie(x *exchange.Exchange) bool { return len(x.Asked.Peek(fiber.HeaderAuthorization)) == 0 }

// operator is who calls, by what the request carries.
func (d *Door) operator(ctx context.Context, x *exchange.Exchange) (operator.Operator, error) {
	if byCookie(x) {
		if session := operation.SessionIn(string(x.Asked.Peek(fiber.HeaderCookie))); session != "" {
			return d.operators.Resume(ctx, session, d.now())
		}
	}
	token, ok := cutScheme(x.Asked.Peek(fiber.HeaderAuthorization), "bearer ")
	if !ok {
		return operator.Operator{}, fault.Login("send the token of an operator as Bearer; keyward operator create makes one")
	}
	return d.operators.Authenticate(ctx, string(token), d.now())
}

// stillOperates is StillAdmits of a request of an operator. What it carries is read now: the request does not last.
func (d *Door) stillOperates(x *exchange.Exchange) func(context.Context) bool {
	cookie, needed := "", x.Op.Role
	if byCookie(x) {
		cookie = operation.SessionIn(string(x.Asked.Peek(fiber.HeaderCookie)))
	}
	token, _ := cutScheme(x.Asked.Peek(fiber.HeaderAuthorization), "bearer ")
	sent := string(token)
	return func(ctx context.Context) bool {
		authenticate := func() (operator.Operator, error) { return d.operators.Authenticate(ctx, sent, d.now()) }
		if cookie != "" {
			authenticate = func() (operator.Operator, error) { return d.operators.Resume(ctx, cookie, d.now()) }
		}
		caller, err := authenticate()
		var known *fault.Fault
		if errors.As(err, &known) && known.Status == http.StatusServiceUnavailable {
			return true // nobody can say
		}
		return err == nil && caller.Role.Covers(needed)
	}
}

// wrongOperator counts a token that is nobody's against the address that it comes from, apart from the credentials of projects.
func (d *Door) wrongOperator(x *exchange.Exchange, refusal error) error {
	if !d.cfg.RateFailures.On() {
		return refusal
	}
	const guessed = "operator|" // no project is called so
	if v := d.limits.Peek(ratelimit.Login, guessed+x.Address, d.cfg.RateFailures); !v.Allowed {
		return d.judge(x, v, bound{setting: "rate_limit_failures", refusal: "too many wrong credentials from this address"})
	}
	d.limits.Take(ratelimit.Login, guessed+x.Address, d.cfg.RateFailures)
	return refusal
}

// checkForeign refuses a change that a page of another host asks for. Pages of others may read nothing either: no answer names an origin.
func checkForeign(x *exchange.Exchange, host string) error {
	origin := string(x.Asked.Peek(fiber.HeaderOrigin))
	if origin == "" || x.Method == fiber.MethodGet || x.Method == fiber.MethodHead {
		return nil
	}
	if page, err := url.Parse(origin); err == nil && page.Host != "" && strings.EqualFold(page.Host, host) {
		return nil
	}
	return &fault.Fault{
		Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden, Details: "pages of other origins may not call the Operator API",
	}
}
