package admission

import (
	"context"
	"errors"
	"net/http"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/exchange"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

// headerOrganization names the project that a call is about. Existing clients of the user service send it, and an access token that
// several projects take needs it.
const headerOrganization = "X-Zitadel-Orgid"

// AdmitCall says who makes a call of the user service: by an access token of an issuer of a project, by an API key, or by the API secret.
// As with all other calls, a browser must be on a page of the project, and the project must not call too often.
func (d *Door) AdmitCall(r *http.Request) (userapi.Caller, error) {
	x := exchange.Of(r.Context())
	caller, err := d.identify(r, x)
	if err != nil {
		return userapi.Caller{}, err
	}
	if err := checkOrigin(x); err != nil {
		return userapi.Caller{}, err
	}
	return caller, d.limitProject(x)
}

func (d *Door) identify(r *http.Request, x *exchange.Exchange) (userapi.Caller, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return userapi.Caller{}, fault.Login("auth header missing")
	}
	token, bearer := cutScheme([]byte(header), "bearer ")
	if bearer && issuer.LooksLikeJWT(string(token)) {
		return d.identifyToken(r, x, string(token))
	}
	sent, ok := readCredential([]byte(header))
	named := ident.ProjectID(r.Header.Get(headerOrganization))
	switch {
	case !ok && bearer:
		return userapi.Caller{}, d.wrong(r.Context(), x, named, fault.Login("the token is neither an access token that is a JWT nor an API key"))
	case !ok:
		return userapi.Caller{}, fault.Login("send an access token or an API key as Bearer, " +
			"or the project ID and the API secret as HTTP Basic authentication")
	}
	if err := d.prove(r.Context(), x, sent, exchange.HeaderProjectID, headerOrganization); err != nil {
		return userapi.Caller{}, err
	}
	caller := userapi.Caller{Project: x.Project, Permissions: []string{project.AllPermissions}}
	if x.Key != nil {
		caller.Permissions = x.Key.Permissions
	}
	return caller, nil
}

// identifyToken verifies an access token. That an issuer cannot be reached says nothing about the token, so it counts against nobody.
func (d *Door) identifyToken(r *http.Request, x *exchange.Exchange, token string) (userapi.Caller, error) {
	identity, err := d.tokens.Verify(r.Context(), token, ident.ProjectID(r.Header.Get(headerOrganization)))
	if err != nil {
		return userapi.Caller{}, d.unproven(r.Context(), x, ident.ProjectID(r.Header.Get(headerOrganization)), err)
	}
	known, err := d.projects.Find(r.Context(), identity.Project)
	if errors.Is(err, project.ErrUnknown) {
		err = fault.Unavailable(exchange.RetryShed, "the project changes just now").Because(errors.New("an issuer's project is not there"))
	}
	if err != nil {
		return userapi.Caller{}, err
	}
	if err := belong(x, known, exchange.HeaderProjectID); err != nil {
		return userapi.Caller{}, err
	}
	return userapi.Caller{Project: identity.Project, User: identity.User, Permissions: identity.Permissions}, nil
}

// unproven counts a token that is not good. That its issuer cannot be reached says nothing about it.
func (d *Door) unproven(ctx context.Context, x *exchange.Exchange, of ident.ProjectID, err error) error {
	if !fault.Unauthenticated(err) {
		return err
	}
	return d.wrong(ctx, x, of, err)
}

// wrong counts a credential of a project that proves nothing, unless its sender has sent too many.
func (d *Door) wrong(ctx context.Context, x *exchange.Exchange, of ident.ProjectID, f error) error {
	if err := d.limitFailures(ctx, x, of); err != nil {
		return err
	}
	d.countFailure(ctx, x, of)
	return f
}
