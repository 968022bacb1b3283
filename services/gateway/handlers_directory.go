package gateway

import (
	"context"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/route"
)

// CreateSocialAccount is POST /v2/users/{userID}/socialAccounts.
func (h handlers) CreateSocialAccount(ctx context.Context, r route.CreateSocialAccountRequestObject) (route.CreateSocialAccountResponseObject, error) {
	answer, err := h.ceremony.CreateSocialAccount(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateSocialAccount200JSONResponse(answer), nil
}

// ListUserSocialAccounts is GET /v2/users/{userID}/socialAccounts.
func (h handlers) ListUserSocialAccounts(ctx context.Context, r route.ListUserSocialAccountsRequestObject) (route.ListUserSocialAccountsResponseObject, error) {
	answer, err := h.ceremony.ListUserSocialAccounts(ctx, forUser(ctx, r.UserID, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListUserSocialAccounts200JSONResponse(answer), nil
}

// ListSocialAccounts is GET /v2/socialAccounts.
func (h handlers) ListSocialAccounts(ctx context.Context, r route.ListSocialAccountsRequestObject) (route.ListSocialAccountsResponseObject, error) {
	answer, err := h.ceremony.ListSocialAccounts(ctx, forProject(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListSocialAccounts200JSONResponse(answer), nil
}

// CreateIdentifier is POST /v2/users/{userID}/identifiers.
func (h handlers) CreateIdentifier(ctx context.Context, r route.CreateIdentifierRequestObject) (route.CreateIdentifierResponseObject, error) {
	answer, err := h.ceremony.CreateIdentifier(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateIdentifier200JSONResponse(answer), nil
}

// UpdateIdentifier is PATCH /v2/users/{userID}/identifiers/{identifierID}.
func (h handlers) UpdateIdentifier(ctx context.Context, r route.UpdateIdentifierRequestObject) (route.UpdateIdentifierResponseObject, error) {
	answer, err := h.ceremony.UpdateIdentifier(ctx, forUser(ctx, r.UserID, service.IdentifierPatch{ID: ident.IdentifierID(r.IdentifierID), Status: r.Body.Status}))
	if err != nil {
		return nil, err
	}
	return route.UpdateIdentifier200JSONResponse(answer), nil
}

// DeleteIdentifier is DELETE /v2/users/{userID}/identifiers/{identifierID}.
func (h handlers) DeleteIdentifier(ctx context.Context, r route.DeleteIdentifierRequestObject) (route.DeleteIdentifierResponseObject, error) {
	if _, err := h.ceremony.DeleteIdentifier(ctx, forUser(ctx, r.UserID, ident.IdentifierID(r.IdentifierID))); err != nil {
		return nil, err
	}
	return route.DeleteIdentifier200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// ListIdentifiers is GET /v2/identifiers.
func (h handlers) ListIdentifiers(ctx context.Context, r route.ListIdentifiersRequestObject) (route.ListIdentifiersResponseObject, error) {
	answer, err := h.ceremony.ListIdentifiers(ctx, forProject(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListIdentifiers200JSONResponse(answer), nil
}

// CreateChallenge is POST /v2/users/{userID}/challenges.
func (h handlers) CreateChallenge(ctx context.Context, r route.CreateChallengeRequestObject) (route.CreateChallengeResponseObject, error) {
	answer, err := h.ceremony.CreateCode(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateChallenge200JSONResponse(answer), nil
}

// UpdateChallenge is PATCH /v2/users/{userID}/challenges/{challengeID}.
func (h handlers) UpdateChallenge(ctx context.Context, r route.UpdateChallengeRequestObject) (route.UpdateChallengeResponseObject, error) {
	answer, err := h.ceremony.CheckCode(ctx, forUser(ctx, r.UserID, service.CodeCheck{ID: ident.CodeID(r.ChallengeID), Value: r.Body.Value}))
	if err != nil {
		return nil, err
	}
	return route.UpdateChallenge200JSONResponse(answer), nil
}

// CreateAuthEvent is POST /v2/users/{userID}/authEvents.
func (h handlers) CreateAuthEvent(ctx context.Context, r route.CreateAuthEventRequestObject) (route.CreateAuthEventResponseObject, error) {
	answer, err := h.events.CreateAuthEvent(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateAuthEvent200JSONResponse(answer), nil
}

// ListPasswordManagers is GET /v2/users/{userID}/passwordManagers.
func (h handlers) ListPasswordManagers(ctx context.Context, r route.ListPasswordManagersRequestObject) (route.ListPasswordManagersResponseObject, error) {
	answer, err := h.ceremony.ListPasswordManagers(ctx, forUser(ctx, r.UserID, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return route.ListPasswordManagers200JSONResponse(answer), nil
}

// ListClientEnvs is GET /v2/users/{userID}/clientEnvs.
func (h handlers) ListClientEnvs(ctx context.Context, r route.ListClientEnvsRequestObject) (route.ListClientEnvsResponseObject, error) {
	answer, err := h.ceremony.ListClientEnvs(ctx, forUser(ctx, r.UserID, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return route.ListClientEnvs200JSONResponse(answer), nil
}

// UpdateCname is PUT /v2/projectConfig/cname.
func (h handlers) UpdateCname(ctx context.Context, r route.UpdateCnameRequestObject) (route.UpdateCnameResponseObject, error) {
	if _, err := h.ceremony.UpdateCname(ctx, forProject(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return route.UpdateCname200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// CreateConnectToken is POST /v2/connectTokens.
func (h handlers) CreateConnectToken(ctx context.Context, r route.CreateConnectTokenRequestObject) (route.CreateConnectTokenResponseObject, error) {
	answer, err := h.ceremony.CreateConnectToken(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateConnectToken200JSONResponse(answer), nil
}

// ListConnectTokens is GET /v2/connectTokens.
func (h handlers) ListConnectTokens(ctx context.Context, r route.ListConnectTokensRequestObject) (route.ListConnectTokensResponseObject, error) {
	answer, err := h.ceremony.ListConnectTokens(ctx, forProject(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListConnectTokens200JSONResponse(answer), nil
}

// UpdateConnectToken is PATCH /v2/connectTokens/{connectTokenID}.
func (h handlers) UpdateConnectToken(ctx context.Context, r route.UpdateConnectTokenRequestObject) (route.UpdateConnectTokenResponseObject, error) {
	if _, err := h.ceremony.UpdateConnectToken(ctx, forProject(ctx, service.TokenPatch{ID: ident.ConnectTokenID(r.ConnectTokenID), Status: r.Body.Status})); err != nil {
		return nil, err
	}
	return route.UpdateConnectToken200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// DeleteConnectToken is DELETE /v2/connectTokens/{connectTokenID}.
func (h handlers) DeleteConnectToken(ctx context.Context, r route.DeleteConnectTokenRequestObject) (route.DeleteConnectTokenResponseObject, error) {
	if _, err := h.ceremony.DeleteConnectToken(ctx, forProject(ctx, ident.ConnectTokenID(r.ConnectTokenID))); err != nil {
		return nil, err
	}
	return route.DeleteConnectToken200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// ListSessions is GET /v2/sessions.
func (h handlers) ListSessions(ctx context.Context, r route.ListSessionsRequestObject) (route.ListSessionsResponseObject, error) {
	answer, err := h.ceremony.ListSessions(ctx, forProject(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListSessions200JSONResponse(answer), nil
}

// RevokeSession is POST /v2/sessions/{sessionID}/revoke.
func (h handlers) RevokeSession(ctx context.Context, r route.RevokeSessionRequestObject) (route.RevokeSessionResponseObject, error) {
	if _, err := h.ceremony.RevokeSession(ctx, forProject(ctx, ident.SessionID(r.SessionID))); err != nil {
		return nil, err
	}
	return route.RevokeSession200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// CreateLongSession is POST /v2/users/{userID}/longSessions.
func (h handlers) CreateLongSession(ctx context.Context, r route.CreateLongSessionRequestObject) (route.CreateLongSessionResponseObject, error) {
	answer, err := h.ceremony.CreateLongSession(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateLongSession200JSONResponse(answer), nil
}

// GetUserLongSession is GET /v2/users/{userID}/longSessions/{longSessionID}.
func (h handlers) GetUserLongSession(ctx context.Context, r route.GetUserLongSessionRequestObject) (route.GetUserLongSessionResponseObject, error) {
	answer, err := h.ceremony.GetUserLongSession(ctx, forUser(ctx, r.UserID, ident.SessionID(r.LongSessionID)))
	if err != nil {
		return nil, err
	}
	return route.GetUserLongSession200JSONResponse(answer), nil
}

// GetLongSession is GET /v2/longSessions/{longSessionID}.
func (h handlers) GetLongSession(ctx context.Context, r route.GetLongSessionRequestObject) (route.GetLongSessionResponseObject, error) {
	answer, err := h.ceremony.GetLongSession(ctx, forProject(ctx, ident.SessionID(r.LongSessionID)))
	if err != nil {
		return nil, err
	}
	return route.GetLongSession200JSONResponse(answer), nil
}

// UpdateLongSession is PATCH /v2/users/{userID}/longSessions/{longSessionID}.
func (h handlers) UpdateLongSession(ctx context.Context, r route.UpdateLongSessionRequestObject) (route.UpdateLongSessionResponseObject, error) {
	answer, err := h.ceremony.UpdateLongSession(ctx, forUser(ctx, r.UserID, service.SessionPatch{ID: ident.SessionID(r.LongSessionID), Status: r.Body.Status}))
	if err != nil {
		return nil, err
	}
	return route.UpdateLongSession200JSONResponse(answer), nil
}

// CreateShortSession is POST /v2/users/{userID}/longSessions/{longSessionID}/shortSessions.
func (h handlers) CreateShortSession(ctx context.Context, r route.CreateShortSessionRequestObject) (route.CreateShortSessionResponseObject, error) {
	answer, err := h.ceremony.CreateShortSession(ctx, forUser(ctx, r.UserID, service.ShortSession{ID: ident.SessionID(r.LongSessionID), Request: *r.Body}))
	if err != nil {
		return nil, err
	}
	return route.CreateShortSession200JSONResponse(answer), nil
}

// PasskeyVerifySignedData is POST /v2/passkey/verifySignedData.
func (h handlers) PasskeyVerifySignedData(ctx context.Context, r route.PasskeyVerifySignedDataRequestObject) (route.PasskeyVerifySignedDataResponseObject, error) {
	answer, err := h.ceremony.VerifySignedData(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeyVerifySignedData200JSONResponse(answer), nil
}

// PasskeysVerifySignedData is POST /v2/passkeys/verifySignedData.
func (h handlers) PasskeysVerifySignedData(ctx context.Context, r route.PasskeysVerifySignedDataRequestObject) (route.PasskeysVerifySignedDataResponseObject, error) {
	answer, err := h.ceremony.VerifySignedData(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeysVerifySignedData200JSONResponse(answer), nil
}

// PasskeyPostLogin is POST /v2/passkey/postLogin.
func (h handlers) PasskeyPostLogin(ctx context.Context, r route.PasskeyPostLoginRequestObject) (route.PasskeyPostLoginResponseObject, error) {
	answer, err := h.ceremony.PostLogin(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeyPostLogin200JSONResponse(answer), nil
}
