package gateway

import (
	"context"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/frontroute"
)

// ProcessInit is POST /v2/auth/process/init.
func (h frontHandlers) ProcessInit(ctx context.Context, r frontroute.ProcessInitRequestObject) (frontroute.ProcessInitResponseObject, error) {
	answer, err := h.ceremony.ProcessInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ProcessInit200JSONResponse(answer.Body), nil
}

// ProcessGet is GET /v2/auth/process.
func (h frontHandlers) ProcessGet(ctx context.Context, r frontroute.ProcessGetRequestObject) (frontroute.ProcessGetResponseObject, error) {
	answer, err := h.ceremony.ProcessGet(ctx, forVisit(ctx, r.Params.PreferredBlock))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ProcessGet200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// ProcessComplete is POST /v2/auth/process/complete.
func (h frontHandlers) ProcessComplete(ctx context.Context, _ frontroute.ProcessCompleteRequestObject) (frontroute.ProcessCompleteResponseObject, error) {
	answer, err := h.ceremony.ProcessComplete(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ProcessComplete200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// ProcessReset is POST /v2/auth/process/reset.
func (h frontHandlers) ProcessReset(ctx context.Context, _ frontroute.ProcessResetRequestObject) (frontroute.ProcessResetResponseObject, error) {
	answer, err := h.ceremony.ProcessReset(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.ProcessReset200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// BlockSkip is POST /v2/auth/block/skip.
func (h frontHandlers) BlockSkip(ctx context.Context, _ frontroute.BlockSkipRequestObject) (frontroute.BlockSkipResponseObject, error) {
	answer, err := h.ceremony.BlockSkip(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.BlockSkip200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// SignupInit is POST /v2/auth/signup/init.
func (h frontHandlers) SignupInit(ctx context.Context, r frontroute.SignupInitRequestObject) (frontroute.SignupInitResponseObject, error) {
	answer, err := h.ceremony.SignupInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.SignupInit200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// LoginInit is POST /v2/auth/login/init.
func (h frontHandlers) LoginInit(ctx context.Context, r frontroute.LoginInitRequestObject) (frontroute.LoginInitResponseObject, error) {
	answer, err := h.ceremony.LoginInit(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.LoginInit200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// PasskeyAppendStart is POST /v2/auth/passkey/append/start.
func (h frontHandlers) PasskeyAppendStart(ctx context.Context, r frontroute.PasskeyAppendStartRequestObject) (frontroute.PasskeyAppendStartResponseObject, error) {
	answer, err := h.ceremony.PasskeyAppendStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.PasskeyAppendStart200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// PasskeyAppendFinish is POST /v2/auth/passkey/append/finish.
func (h frontHandlers) PasskeyAppendFinish(ctx context.Context, r frontroute.PasskeyAppendFinishRequestObject) (frontroute.PasskeyAppendFinishResponseObject, error) {
	answer, err := h.ceremony.PasskeyAppendFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.PasskeyAppendFinish200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// PasskeyLoginStart is POST /v2/auth/passkey/login/start.
func (h frontHandlers) PasskeyLoginStart(ctx context.Context, r frontroute.PasskeyLoginStartRequestObject) (frontroute.PasskeyLoginStartResponseObject, error) {
	answer, err := h.ceremony.PasskeyLoginStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.PasskeyLoginStart200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// PasskeyLoginFinish is POST /v2/auth/passkey/login/finish.
func (h frontHandlers) PasskeyLoginFinish(ctx context.Context, r frontroute.PasskeyLoginFinishRequestObject) (frontroute.PasskeyLoginFinishResponseObject, error) {
	answer, err := h.ceremony.PasskeyLoginFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.PasskeyLoginFinish200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// PasskeyMediationFinish is POST /v2/auth/passkey/mediation/finish.
func (h frontHandlers) PasskeyMediationFinish(ctx context.Context, r frontroute.PasskeyMediationFinishRequestObject) (frontroute.PasskeyMediationFinishResponseObject, error) {
	answer, err := h.ceremony.PasskeyMediationFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.PasskeyMediationFinish200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// IdentifierVerifyStart is POST /v2/auth/identifier/verify/start.
func (h frontHandlers) IdentifierVerifyStart(ctx context.Context, r frontroute.IdentifierVerifyStartRequestObject) (frontroute.IdentifierVerifyStartResponseObject, error) {
	answer, err := h.ceremony.IdentifierVerifyStart(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.IdentifierVerifyStart200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// IdentifierVerifyFinish is POST /v2/auth/identifier/verify/finish.
func (h frontHandlers) IdentifierVerifyFinish(ctx context.Context, r frontroute.IdentifierVerifyFinishRequestObject) (frontroute.IdentifierVerifyFinishResponseObject, error) {
	answer, err := h.ceremony.IdentifierVerifyFinish(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.IdentifierVerifyFinish200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// IdentifierVerifyStatus is GET /v2/auth/identifier/verify/status.
func (h frontHandlers) IdentifierVerifyStatus(ctx context.Context, _ frontroute.IdentifierVerifyStatusRequestObject) (frontroute.IdentifierVerifyStatusResponseObject, error) {
	answer, err := h.ceremony.IdentifierVerifyStatus(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.IdentifierVerifyStatus200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// IdentifierUpdate is POST /v2/auth/identifier/update.
func (h frontHandlers) IdentifierUpdate(ctx context.Context, r frontroute.IdentifierUpdateRequestObject) (frontroute.IdentifierUpdateResponseObject, error) {
	answer, err := h.ceremony.IdentifierUpdate(ctx, forVisit(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	tell(ctx, answer)
	return frontroute.IdentifierUpdate200JSONResponse{ProcessJSONResponse: frontroute.ProcessJSONResponse(answer.Body)}, nil
}

// AuthEventCreate is POST /v2/auth/events.
func (h frontHandlers) AuthEventCreate(ctx context.Context, r frontroute.AuthEventCreateRequestObject) (frontroute.AuthEventCreateResponseObject, error) {
	if _, err := h.ceremony.AuthEventCreate(ctx, forVisit(ctx, *r.Body)); err != nil {
		return nil, err
	}
	return frontroute.AuthEventCreate204Response{}, nil
}
