package operating

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/operation"
	"github.com/keyward/keyward/services/gateway/internal/sso"
)

// Connect has operators signed in by an identity provider too. It comes before the gateway is made; close what it returns at the end.
func (s *Services) Connect(to operator.Provider, now func() time.Time, log *slog.Logger) (closes func(), err error) {
	if s.provider, err = sso.New(to, now, log); err != nil {
		return nil, err
	}
	return s.provider.Close, nil
}

// Operators are those who are stored, and those whom the provider knows, if there is one.
func (s *Services) Operators(stored sso.Stored) sso.Operators {
	return sso.Operators{Stored: stored, Provider: s.provider}
}

func (s Services) waysIn(context.Context, *operation.Request, service.Empty) (api.SignIn, error) {
	return api.SignIn{Oidc: s.provider != nil, Passkey: s.Passkeys != nil}, nil
}

var errNoProvider = fault.NotFound("no identity provider signs operators in here")

// Signing in goes through another site, which sends the browser back: a cookie of this kind comes along with that, and no other.
const (
	signInCookie = "__Host-keyward-signin"
	signInLimit  = 10 * time.Minute
	consolePath  = "/console/"
)

func (s Services) beginSignIn(c *fiber.Ctx) error {
	if s.provider == nil {
		return errNoProvider
	}
	begun, err := s.provider.Begin(c.UserContext())
	if err != nil {
		return err
	}
	c.Response().Header.Add(fiber.HeaderSetCookie, signInCookieOf(begun.Cookie, int(signInLimit.Seconds())))
	return c.Redirect(begun.URL, http.StatusSeeOther)
}

// finishSignIn sends the browser to the console, signed in, or with why not.
func (s Services) finishSignIn(c *fiber.Ctx) error {
	if s.provider == nil {
		return errNoProvider
	}
	c.Response().Header.Add(fiber.HeaderSetCookie, signInCookieOf("", -1))
	failed := func(why string) error {
		return c.Redirect(consolePath+"?signInError="+url.QueryEscape(why), http.StatusSeeOther)
	}
	if refused := c.Query("error"); refused != "" {
		return failed("the identity provider refuses: " + refused)
	}
	who, err := s.provider.Finish(c.UserContext(), c.Query("code"), c.Query("state"), c.Cookies(signInCookie))
	if err != nil {
		return failed(fault.Words(err))
	}
	if err := s.Staff.Remember(c.UserContext(), who); err != nil {
		return failed(fault.Words(err))
	}
	text, until, err := s.Staff.Open(c.UserContext(), who, s.SessionLifetime, s.Now())
	if err != nil {
		return failed(fault.Words(err))
	}
	c.Response().Header.Add(fiber.HeaderSetCookie, operation.SessionCookie(text, until.Sub(s.Now())))
	return c.Redirect(consolePath, http.StatusSeeOther)
}

func signInCookieOf(text string, seconds int) string {
	cookie := http.Cookie{
		Name: signInCookie, Value: text, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	return cookie.String()
}
