package admission

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

// Headers of the Frontend API. Existing SDKs know the names.
const (
	headerProcessID     = "X-Corbado-Process-ID"
	headerTempProcessID = "X-Corbado-Temp-Process-ID"
	maxToken            = 16 << 10 // bytes
)

// visitProject finds the project that a call is about.
func (d *Door) visitProject(c *fiber.Ctx, x *exchange.Exchange) error {
	named := len(x.Asked.Peek(exchange.HeaderProjectID)) > 0
	known, err := d.Visited(c, x)
	switch unknown := errors.Is(err, project.ErrUnknown); {
	case unknown && named:
		return fault.Field(exchange.HeaderProjectID, "names no project")
	case unknown:
		return fault.Field(exchange.HeaderProjectID, "cannot be blank, since no project has this host name")
	case err != nil:
		return err
	}
	x.Project, x.Origins, x.Salt = known.ID, known.Origins, known.Salt()
	x.Visit = &exchange.Visit{Visit: service.Visit{
		Project: known.ID, RemoteAddress: d.remoteText(x), UserAgent: string(x.Asked.Peek(fiber.HeaderUserAgent)),
	}}
	return nil
}

func (d *Door) remoteText(x *exchange.Exchange) string {
	if address := d.RemoteAddress(x); address.IsValid() {
		return address.String()
	}
	return ""
}

func hostName(c *fiber.Ctx) string {
	host := string(c.Context().Host())
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// admitVisitor reads what a visitor is known by.
func (d *Door) admitVisitor(c *fiber.Ctx, x *exchange.Exchange, op *contract.Operation) error {
	v := x.Visit
	v.Process, v.TempProcess = string(x.Asked.Peek(headerProcessID)), string(x.Asked.Peek(headerTempProcessID))
	if len(v.Process) > maxToken || len(v.TempProcess) > maxToken {
		return fault.Field(headerProcessID, "is too long")
	}
	if op.Process && v.Process == "" && v.TempProcess == "" {
		return fault.Field(headerProcessID, "cannot be blank")
	}
	if !op.Session {
		return nil
	}
	if err := d.readSession(c, x); err != nil {
		return err
	}
	return checkForgery(x)
}

// readSession finds the tokens of a session. A Bearer outweighs cookies. Scripts that have no refresh token send an empty Bearer, and
// mean their cookies.
func (d *Door) readSession(c *fiber.Ctx, x *exchange.Exchange) error {
	v := x.Visit
	bearer, _ := cutScheme(x.Asked.Peek(fiber.HeaderAuthorization), "bearer ")
	token := string(bearer)
	if token == "undefined" || token == "null" {
		token = ""
	}
	if token != "" {
		return d.readBearer(c.UserContext(), x, token)
	}
	v.Token = c.Cookies(exchange.CookieSession, c.Cookies(exchange.CookieShortSession))
	v.Refresh, v.OtherRefresh = refreshCookies(&c.Request().Header)
	v.ByCookie = true
	if v.Token == "" && v.Refresh == "" {
		return fault.Login("send a session token as Bearer or in the cookie %s", exchange.CookieSession)
	}
	if len(v.Token) > maxToken || len(v.Refresh) > maxToken {
		return fault.Login("the session token is too long")
	}
	return nil
}

// readBearer verifies an access token of an issuer that the project has named; tokens of Keyward's own are verified where the sessions
// are.
func (d *Door) readBearer(ctx context.Context, x *exchange.Exchange, token string) error {
	if len(token) > maxToken {
		return fault.Login("the token is too long")
	}
	if !issuer.LooksLikeJWT(token) || !d.tokens.Knows(token) {
		x.Visit.Token = token
		return nil
	}
	identity, err := d.tokens.Verify(ctx, token, x.Project)
	if err != nil {
		return d.unproven(ctx, x, x.Project, err)
	}
	user, err := ident.ParseUserID(string(identity.User))
	if err != nil {
		return fault.Login("the access token names no user of Keyward")
	}
	x.Visit.User, x.Visit.LoggedInMs = user, identity.LoggedInMs
	return nil
}

// checkForgery refuses a change that a browser may have been led to by a page of another site: one that is known by a cookie, and that
// does not say that it comes from a page of the project.
func checkForgery(x *exchange.Exchange) error {
	if !x.Visit.ByCookie || x.Method == fiber.MethodGet || x.Method == fiber.MethodHead {
		return nil
	}
	if origin := string(x.Asked.Peek(fiber.HeaderOrigin)); origin != "" && slices.Contains(x.Origins, origin) {
		return nil
	}
	return &fault.Fault{
		Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden,
		Details: "a call that is known by a cookie must come from an origin of the project",
	}
}

// IsWellKnown reports whether a path is one that pages of every origin may read.
func IsWellKnown(path string) bool { return strings.HasPrefix(path, "/.well-known/") }

// maxRefreshCookies is how many refresh cookies are looked at: a browser sends one for each domain and path that it was set for.
const maxRefreshCookies = 4

// refreshCookies returns the refresh token, and the others of the name: a browser that has the cookie of a host and that of its domain
// sends both, and does not say which is newer.
func refreshCookies(asked *fasthttp.RequestHeader) (first string, others []string) {
	for name, value := range asked.Cookies() {
		switch {
		case string(name) != exchange.CookieRefresh || len(value) == 0:
		case first == "":
			first = string(value)
		case len(others) < maxRefreshCookies-1 && len(value) <= maxToken:
			others = append(others, string(value))
		}
	}
	return first, others
}
