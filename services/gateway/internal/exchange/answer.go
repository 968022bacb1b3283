package exchange

import (
	"math"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
)

// The cookies of the Frontend API. Existing SDKs know the names.
const (
	CookieSession      = "cbo_session_token"
	CookieShortSession = "cbo_short_session" // its older name
	CookieRefresh      = "cbo_refresh_token"
	cookieRefreshPath  = "/v2"
)

// Visitor implements operation.Exchange.
func (x *Exchange) Visitor() service.Visit { return x.Visit.Visit }

// Caller implements operation.Exchange.
func (x *Exchange) Caller() ident.ProjectID { return x.Project }

// Operator implements operation.Exchange.
func (x *Exchange) Operator() operator.Operator { return *x.Operating }

// Tell implements operation.Exchange.
func (x *Exchange) Tell(decided service.Decided, cookies *service.Cookies) {
	// An answer to a visitor need not come of a decision, nor that to a finish.
	if decided.Decision != "" {
		x.Decision = decided.Decision
		x.Answer.Set(HeaderDecisionID, string(decided.Decision))
		x.Answer.Set(HeaderPolicyRevision, decided.PolicyRevision)
		if decided.Arm != nil {
			x.Answer.Set(HeaderPolicyArm, armHeader(decided.Arm))
		}
	}
	if cookies == nil {
		return
	}
	for _, cookie := range cookiesOf(*cookies) {
		x.Answer.Add(fiber.HeaderSetCookie, cookie.String())
	}
}

// Judge implements operation.Exchange. A visitor does not get to know: whoever attacks would learn from it.
func (x *Exchange) Judge(r *service.Risk) bool {
	if x.Visit != nil {
		return false
	}
	x.Answer.Set(HeaderRisk, riskHeader(r))
	if r.Opened != nil {
		x.Answer.Set(HeaderStepUp, stepUpHeader(r.Opened))
	}
	if !r.NextEligibleAt.IsZero() {
		x.Answer.Set(HeaderNextEligibleAt, "@"+strconv.FormatInt(r.NextEligibleAt.Unix(), 10))
	}
	return true
}

// armHeader is a structured field (RFC 9651): the arm, and as its parameter the change that began the canary.
func armHeader(a *event.Arm) string {
	const usual = len("canary;change=1000")
	text := append(append(make([]byte, 0, usual), a.Side...), ";change="...)
	return string(strconv.AppendInt(text, int64(a.Change), 10))
}

// riskHeader is a structured field (RFC 9651): the action, and as its parameters what it comes of.
func riskHeader(r *service.Risk) string {
	var room [192]byte // most need no more
	text := append(room[:0], r.Action...)
	text = append(append(text, ";level="...), r.Level...)
	enforced := `;enforced=?0;reasons="`
	if r.Enforced {
		enforced = `;enforced=?1;reasons="`
	}
	text = append(text, enforced...)
	for i, reason := range r.Reasons {
		if i > 0 {
			text = append(text, ' ')
		}
		text = append(text, reason.Code...)
	}
	return string(append(text, '"'))
}

// cookiesOf returns the cookies of a session: its token, which SDKs read, for all hosts of the project, and the refresh token, which no
// script reads, for this host alone. Without tokens they remove what there is, of the older name too. A session whose refresh token is in
// a body has no cookie of it.
func cookiesOf(c service.Cookies) []*http.Cookie {
	if c.SessionToken == "" {
		return []*http.Cookie{sessionCookie(c, CookieSession), refreshCookie(c), sessionCookie(c, CookieShortSession)}
	}
	if c.RefreshToken == "" {
		return []*http.Cookie{sessionCookie(c, CookieSession)}
	}
	return []*http.Cookie{sessionCookie(c, CookieSession), refreshCookie(c)}
}

func sessionCookie(c service.Cookies, name string) *http.Cookie {
	//nolint:gosec // whether it is secure follows from the project's URL, and SDKs read it
	return &http.Cookie{
		Name: name, Value: c.SessionToken, Domain: c.Domain, Path: "/", MaxAge: keptFor(c, c.SessionToken),
		Secure: c.Secure, HttpOnly: false, SameSite: siteOf(c),
	}
}

func refreshCookie(c service.Cookies) *http.Cookie {
	//nolint:gosec // whether it is secure follows from the project's URL
	return &http.Cookie{
		Name: CookieRefresh, Value: c.RefreshToken, Path: cookieRefreshPath, MaxAge: keptFor(c, c.RefreshToken),
		Secure: c.Secure, HttpOnly: true, SameSite: siteOf(c),
	}
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

// Done implements operation.Exchange.
func (x *Exchange) Done() rest.GenericRsp {
	return rest.GenericRsp{
		HTTPStatusCode: http.StatusOK,
		Message:        http.StatusText(http.StatusOK),
		RequestData:    rest.RequestData{RequestID: string(x.ID)},
		Runtime:        x.Runtime(),
	}
}

// Runtime returns the seconds since the request came in.
func (x *Exchange) Runtime() float64 {
	return math.Round(x.Now().Sub(x.Started).Seconds()*1e6) / 1e6
}
