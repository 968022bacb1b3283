package gateway

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
	"github.com/keyward/keyward/services/gateway/internal/operation"
)

// Headers and cookies of the Frontend API. Existing SDKs know the names.
const (
	headerProcessID     = "X-Corbado-Process-ID"
	headerTempProcessID = "X-Corbado-Temp-Process-ID"
	cookieSession       = "cbo_session_token"
	cookieShortSession  = "cbo_short_session" // its older name
	cookieRefresh       = "cbo_refresh_token"
	cookieRefreshPath   = "/v2"
	maxToken            = 16 << 10 // bytes
	wellKnownCache      = "public, max-age=300"
)

// visit is a call of the Frontend API under way, in the exchange that it came with.
type visit struct {
	service.Visit
	byCookie bool // the token is one that a browser sends by itself
}

// admitVisit stands in front of one operation of the Frontend API: which project is visited comes first, then from where, then by whom, then whether the call fits the
// contract. Whether a session or a process is good says the ceremony service, which keeps them.
func (g *Gateway) admitVisit(op operation.Joined) fiber.Handler {
	if isWellKnown(op.Path) {
		return func(c *fiber.Ctx) error { return op.Serve(c, exchangeOf(c.UserContext())) }
	}
	return func(c *fiber.Ctx) error {
		x := exchangeOf(c.UserContext())
		x.op, x.route = op.Operation, op.Path
		c.Set(fiber.HeaderCacheControl, "no-store")
		if err := g.visitProject(c, x); err != nil {
			return err
		}
		if err := x.checkOrigin(); err != nil {
			return err
		}
		if err := g.limitProject(x); err != nil {
			return err
		}
		if err := g.admitVisitor(c, x, op.Operation); err != nil {
			return err
		}
		if err := g.validate(c, op.Operation); err != nil {
			return err
		}
		return op.Serve(c, x)
	}
}

// visitProject finds the project that a call is about.
func (g *Gateway) visitProject(c *fiber.Ctx, x *exchange) error {
	named := ident.ProjectID(x.asked.Peek(headerProjectID))
	known, found := g.projects.Visited(named, hostName(c))
	switch {
	case !found && named != "":
		return fault.Field(headerProjectID, "names no project")
	case !found:
		return fault.Field(headerProjectID, "cannot be blank, since no project has this host name")
	}
	x.project, x.origins, x.salt = known.ID, known.Origins, known.Salt()
	x.visit = &visit{Visit: service.Visit{
		Project: known.ID, RemoteAddress: remoteText(x, g.cfg), UserAgent: string(x.asked.Peek(fiber.HeaderUserAgent)),
	}}
	return nil
}

func remoteText(x *exchange, cfg Config) string {
	if address := remoteAddress(x, cfg.TrustedProxies); address.IsValid() {
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
func (g *Gateway) admitVisitor(c *fiber.Ctx, x *exchange, op *contract.Operation) error {
	v := x.visit
	v.Process, v.TempProcess = string(x.asked.Peek(headerProcessID)), string(x.asked.Peek(headerTempProcessID))
	if len(v.Process) > maxToken || len(v.TempProcess) > maxToken {
		return fault.Field(headerProcessID, "is too long")
	}
	if op.Process && v.Process == "" && v.TempProcess == "" {
		return fault.Field(headerProcessID, "cannot be blank")
	}
	if !op.Session {
		return nil
	}
	if err := g.readSession(c, x); err != nil {
		return err
	}
	return x.checkForgery()
}

// readSession finds the tokens of a session. A Bearer outweighs cookies. Scripts that have no refresh token send an empty Bearer, and mean their cookies.
func (g *Gateway) readSession(c *fiber.Ctx, x *exchange) error {
	v := x.visit
	bearer, _ := cutScheme(x.asked.Peek(fiber.HeaderAuthorization), "bearer ")
	token := string(bearer)
	if token == "undefined" || token == "null" {
		token = ""
	}
	if token != "" {
		return g.readBearer(c.UserContext(), x, token)
	}
	v.Token, v.Refresh = c.Cookies(cookieSession, c.Cookies(cookieShortSession)), c.Cookies(cookieRefresh)
	v.byCookie = true
	if v.Token == "" && v.Refresh == "" {
		return fault.Login("send a session token as Bearer or in the cookie %s", cookieSession)
	}
	if len(v.Token) > maxToken || len(v.Refresh) > maxToken {
		return fault.Login("the session token is too long")
	}
	return nil
}

// readBearer verifies an access token of an issuer that the project has named; tokens of Keyward's own are verified where the sessions are.
func (g *Gateway) readBearer(ctx context.Context, x *exchange, token string) error {
	if len(token) > maxToken {
		return fault.Login("the token is too long")
	}
	if !issuer.LooksLikeJWT(token) || !g.tokens.Knows(token) {
		x.visit.Token = token
		return nil
	}
	if err := g.limitFailures(x); err != nil {
		return err
	}
	identity, err := g.tokens.Verify(ctx, token, x.project)
	if err != nil {
		if fault.Unauthenticated(err) {
			g.countFailure(x)
		}
		return err
	}
	user, err := ident.ParseUserID(string(identity.User))
	if err != nil {
		return fault.Login("the access token names no user of Keyward")
	}
	x.visit.User = user
	return nil
}

// checkForgery refuses a change that a browser may have been led to by a page of another site: one that is known by a cookie, and that does not say that it comes from a
// page of the project.
func (x *exchange) checkForgery() error {
	if !x.visit.byCookie || x.method == fiber.MethodGet || x.method == fiber.MethodHead {
		return nil
	}
	if origin := string(x.asked.Peek(fiber.HeaderOrigin)); origin != "" && slices.Contains(x.origins, origin) {
		return nil
	}
	return &fault.Fault{Type: fault.TypeInvalidOrigin, Status: http.StatusForbidden, Details: "a call that is known by a cookie must come from an origin of the project"}
}

// Visitor implements operation.Exchange.
func (x *exchange) Visitor() service.Visit { return x.visit.Visit }

// Caller implements operation.Exchange.
func (x *exchange) Caller() ident.ProjectID { return x.project }

// Tell implements operation.Exchange.
func (x *exchange) Tell(decision ident.DecisionID, policyRevision string, cookies *service.Cookies) {
	// An answer to a visitor need not come of a decision; one of the Backend API that can always does.
	if decision != "" || x.visit == nil {
		x.decision = decision
		x.answer.Set(headerDecisionID, string(decision))
		x.answer.Set(headerPolicyRevision, policyRevision)
	}
	if cookies == nil {
		return
	}
	for _, cookie := range cookiesOf(*cookies) {
		x.answer.Add(fiber.HeaderSetCookie, cookie.String())
	}
}

// cookiesOf returns the cookies of a session: its token, which SDKs read, for all hosts of the project, and the refresh token, which no script reads, for this host alone.
// Without tokens they remove what there is, of the older name too. A session whose refresh token is in a body has no cookie of it.
func cookiesOf(c service.Cookies) []*http.Cookie {
	if c.SessionToken == "" {
		return []*http.Cookie{sessionCookie(c, cookieSession), refreshCookie(c), sessionCookie(c, cookieShortSession)}
	}
	if c.RefreshToken == "" {
		return []*http.Cookie{sessionCookie(c, cookieSession)}
	}
	return []*http.Cookie{sessionCookie(c, cookieSession), refreshCookie(c)}
}

func sessionCookie(c service.Cookies, name string) *http.Cookie {
	//nolint:gosec // whether it is secure follows from the project's URL, and SDKs read it
	return &http.Cookie{Name: name, Value: c.SessionToken, Domain: c.Domain, Path: "/", MaxAge: keptFor(c, c.SessionToken), Secure: c.Secure, HttpOnly: false, SameSite: siteOf(c)}
}

func refreshCookie(c service.Cookies) *http.Cookie {
	//nolint:gosec // whether it is secure follows from the project's URL
	return &http.Cookie{Name: cookieRefresh, Value: c.RefreshToken, Path: cookieRefreshPath, MaxAge: keptFor(c, c.RefreshToken), Secure: c.Secure, HttpOnly: true, SameSite: siteOf(c)}
}

// keptFor returns for how long a browser keeps a cookie, in seconds; one without a value it removes.
func keptFor(c service.Cookies, value string) int {
	if value == "" {
		return -1
	}
	return c.Seconds
}

func siteOf(c service.Cookies) http.SameSite {
	switch c.SameSite {
	case "strict":
		return http.SameSiteStrictMode
	case "none":
		return http.SameSiteNoneMode
	default:
		return http.SameSiteLaxMode
	}
}

// wellKnown answers with a document that browsers and operating systems look up, each for one project.
func (g *Gateway) wellKnown(document func(project.Project) any) fiber.Handler {
	return func(c *fiber.Ctx) error {
		x := exchangeOf(c.UserContext())
		x.route = c.Path()
		known, found := g.projects.Visited(ident.ProjectID(x.asked.Peek(headerProjectID)), hostName(c))
		if !found {
			return fault.NotFound("no project has this host name")
		}
		body, err := operation.Encode(document(known))
		if err != nil {
			return fault.Internal(err)
		}
		c.Set(fiber.HeaderCacheControl, wellKnownCache)
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Status(http.StatusOK).Send(body)
	}
}

// isWellKnown reports whether a path is one that pages of every origin may read.
func isWellKnown(path string) bool { return strings.HasPrefix(path, "/.well-known/") }
