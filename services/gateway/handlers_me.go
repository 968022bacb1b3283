package gateway

import (
	"context"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/frontroute"
)

// GetSessionConfig is GET /v2/session-config.
func (h frontHandlers) GetSessionConfig(ctx context.Context, _ frontroute.GetSessionConfigRequestObject) (frontroute.GetSessionConfigResponseObject, error) {
	answer, err := h.ceremony.GetSessionConfig(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return frontroute.GetSessionConfig200JSONResponse(answer), nil
}

// GetProcessConfig is GET /v2/process-config.
func (h frontHandlers) GetProcessConfig(ctx context.Context, _ frontroute.GetProcessConfigRequestObject) (frontroute.GetProcessConfigResponseObject, error) {
	answer, err := h.ceremony.GetProcessConfig(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return frontroute.GetProcessConfig200JSONResponse(answer), nil
}

// GetUserDetailsConfig is GET /v2/user-details-config.
func (h frontHandlers) GetUserDetailsConfig(ctx context.Context, _ frontroute.GetUserDetailsConfigRequestObject) (frontroute.GetUserDetailsConfigResponseObject, error) {
	answer, err := h.ceremony.GetUserDetailsConfig(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return frontroute.GetUserDetailsConfig200JSONResponse(answer), nil
}

// CurrentUserGet is GET /v2/me.
func (h frontHandlers) CurrentUserGet(ctx context.Context, _ frontroute.CurrentUserGetRequestObject) (frontroute.CurrentUserGetResponseObject, error) {
	answer, err := h.ceremony.CurrentUserGet(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return frontroute.CurrentUserGet200JSONResponse(answer), nil
}

// CurrentUserUpdate is PATCH /v2/me.
func (h frontHandlers) CurrentUserUpdate(ctx context.Context, r frontroute.CurrentUserUpdateRequestObject) (frontroute.CurrentUserUpdateResponseObject, error) {
	if _, err := h.ceremony.CurrentUserUpdate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserUpdate200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserDelete is DELETE /v2/me.
func (h frontHandlers) CurrentUserDelete(ctx context.Context, _ frontroute.CurrentUserDeleteRequestObject) (frontroute.CurrentUserDeleteResponseObject, error) {
	answer, err := h.ceremony.CurrentUserDelete(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.CurrentUserDelete200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserPasskeyGet is GET /v2/me/passkeys.
func (h frontHandlers) CurrentUserPasskeyGet(ctx context.Context, r frontroute.CurrentUserPasskeyGetRequestObject) (frontroute.CurrentUserPasskeyGetResponseObject, error) {
	answer, err := h.ceremony.CurrentUserPasskeyGet(ctx, forVisit(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return frontroute.CurrentUserPasskeyGet200JSONResponse(answer), nil
}

// CurrentUserPasskeyAppendStart is POST /v2/me/passkeys/append/start.
func (h frontHandlers) CurrentUserPasskeyAppendStart(ctx context.Context, r frontroute.CurrentUserPasskeyAppendStartRequestObject) (frontroute.CurrentUserPasskeyAppendStartResponseObject, error) {
	answer, err := h.ceremony.CurrentUserPasskeyAppendStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.CurrentUserPasskeyAppendStart200JSONResponse(answer.Body), nil
}

// CurrentUserPasskeyAppendFinish is POST /v2/me/passkeys/append/finish.
func (h frontHandlers) CurrentUserPasskeyAppendFinish(ctx context.Context, r frontroute.CurrentUserPasskeyAppendFinishRequestObject) (frontroute.CurrentUserPasskeyAppendFinishResponseObject, error) {
	if _, err := h.ceremony.CurrentUserPasskeyAppendFinish(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserPasskeyAppendFinish200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserPasskeyDelete is DELETE /v2/me/passkeys/{credentialID}.
func (h frontHandlers) CurrentUserPasskeyDelete(ctx context.Context, r frontroute.CurrentUserPasskeyDeleteRequestObject) (frontroute.CurrentUserPasskeyDeleteResponseObject, error) {
	answer, err := h.ceremony.CurrentUserPasskeyDelete(ctx, forVisit(ctx, ident.CredentialID(r.CredentialID)))
	if err != nil {
		return nil, err
	}
	return frontroute.CurrentUserPasskeyDelete200JSONResponse(answer), nil
}

// CurrentUserSessionRefresh is POST /v2/me/refresh.
func (h frontHandlers) CurrentUserSessionRefresh(ctx context.Context, _ frontroute.CurrentUserSessionRefreshRequestObject) (frontroute.CurrentUserSessionRefreshResponseObject, error) {
	answer, err := h.ceremony.CurrentUserSessionRefresh(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.CurrentUserSessionRefresh200JSONResponse(answer.Body), nil
}

// CurrentUserSessionLogout is POST /v2/me/logout.
func (h frontHandlers) CurrentUserSessionLogout(ctx context.Context, _ frontroute.CurrentUserSessionLogoutRequestObject) (frontroute.CurrentUserSessionLogoutResponseObject, error) {
	answer, err := h.ceremony.CurrentUserSessionLogout(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.CurrentUserSessionLogout204Response{}, nil
}

// CurrentUserIdentifierCreate is POST /v2/me/identifier.
func (h frontHandlers) CurrentUserIdentifierCreate(ctx context.Context, r frontroute.CurrentUserIdentifierCreateRequestObject) (frontroute.CurrentUserIdentifierCreateResponseObject, error) {
	if _, err := h.ceremony.CurrentUserIdentifierCreate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserIdentifierCreate200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserIdentifierUpdate is PATCH /v2/me/identifier.
func (h frontHandlers) CurrentUserIdentifierUpdate(ctx context.Context, r frontroute.CurrentUserIdentifierUpdateRequestObject) (frontroute.CurrentUserIdentifierUpdateResponseObject, error) {
	if _, err := h.ceremony.CurrentUserIdentifierUpdate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserIdentifierUpdate200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserIdentifierDelete is DELETE /v2/me/identifier.
func (h frontHandlers) CurrentUserIdentifierDelete(ctx context.Context, r frontroute.CurrentUserIdentifierDeleteRequestObject) (frontroute.CurrentUserIdentifierDeleteResponseObject, error) {
	if _, err := h.ceremony.CurrentUserIdentifierDelete(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserIdentifierDelete200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserIdentifierVerifyStart is POST /v2/me/identifier/verify/start.
func (h frontHandlers) CurrentUserIdentifierVerifyStart(ctx context.Context, r frontroute.CurrentUserIdentifierVerifyStartRequestObject) (frontroute.CurrentUserIdentifierVerifyStartResponseObject, error) {
	if _, err := h.ceremony.CurrentUserIdentifierVerifyStart(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserIdentifierVerifyStart200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// CurrentUserIdentifierVerifyFinish is POST /v2/me/identifier/verify/finish.
func (h frontHandlers) CurrentUserIdentifierVerifyFinish(ctx context.Context, r frontroute.CurrentUserIdentifierVerifyFinishRequestObject) (frontroute.CurrentUserIdentifierVerifyFinishResponseObject, error) {
	if _, err := h.ceremony.CurrentUserIdentifierVerifyFinish(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.CurrentUserIdentifierVerifyFinish200JSONResponse{GenericJSONResponse: h.genericDone(ctx)}, nil
}

// OidcUserInfo is GET /v2/oidc/userInfo.
func (h frontHandlers) OidcUserInfo(ctx context.Context, _ frontroute.OidcUserInfoRequestObject) (frontroute.OidcUserInfoResponseObject, error) {
	answer, err := h.ceremony.OidcUserInfo(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return frontroute.OidcUserInfo200JSONResponse(answer), nil
}
