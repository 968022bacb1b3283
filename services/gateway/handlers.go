package gateway

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/route"
)

// handlers are the operations of the contract: each reads its request, calls one use case and writes its answer. Requests have been checked by admit, so
// IDs are of the right form and required fields are there.
type handlers struct{ *Gateway }

var _ route.StrictServerInterface = handlers{}

func forProject[T any](ctx context.Context, body T) service.ForProject[T] {
	return service.ForProject[T]{Project: exchangeOf(ctx).project, Body: body}
}

func forUser[T any](ctx context.Context, user rest.UserID, body T) service.ForUser[T] {
	return service.ForUser[T]{Project: exchangeOf(ctx).project, User: ident.UserID(user), Body: body}
}

// page reads list parameters; the defaults are the contract's.
func page(sort *rest.Sort, filter *rest.Filter, number *rest.Page, size *rest.PageSize) service.List {
	list := service.List{Page: 1, PageSize: 10}
	if sort != nil {
		list.Sort = *sort
	}
	if filter != nil {
		list.Filter = *filter
	}
	if number != nil {
		list.Page = int(*number)
	}
	if size != nil {
		list.PageSize = int(*size)
	}
	return list
}

// CreateUser is POST /v2/users.
func (h handlers) CreateUser(ctx context.Context, r route.CreateUserRequestObject) (route.CreateUserResponseObject, error) {
	user, err := h.ceremony.CreateUser(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreateUser200JSONResponse(user), nil
}

// ListUsers is GET /v2/users.
func (h handlers) ListUsers(ctx context.Context, r route.ListUsersRequestObject) (route.ListUsersResponseObject, error) {
	list, err := h.ceremony.ListUsers(ctx, forProject(ctx, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListUsers200JSONResponse(list), nil
}

// GetUser is GET /v2/users/{userID}.
func (h handlers) GetUser(ctx context.Context, r route.GetUserRequestObject) (route.GetUserResponseObject, error) {
	user, err := h.ceremony.GetUser(ctx, forUser(ctx, r.UserID, service.Empty{}))
	if err != nil {
		return nil, err
	}
	return route.GetUser200JSONResponse(user), nil
}

// UpdateUser is PATCH /v2/users/{userID}.
func (h handlers) UpdateUser(ctx context.Context, r route.UpdateUserRequestObject) (route.UpdateUserResponseObject, error) {
	user, err := h.ceremony.UpdateUser(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.UpdateUser200JSONResponse(user), nil
}

// DeleteUser is DELETE /v2/users/{userID}.
func (h handlers) DeleteUser(ctx context.Context, r route.DeleteUserRequestObject) (route.DeleteUserResponseObject, error) {
	if _, err := h.ceremony.DeleteUser(ctx, forUser(ctx, r.UserID, service.Empty{})); err != nil {
		return nil, err
	}
	return route.DeleteUser200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// ListCredentials is GET /v2/users/{userID}/credentials.
func (h handlers) ListCredentials(ctx context.Context, r route.ListCredentialsRequestObject) (route.ListCredentialsResponseObject, error) {
	list, err := h.ceremony.ListCredentials(ctx, forUser(ctx, r.UserID, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListCredentials200JSONResponse(list), nil
}

// DeleteCredential is DELETE /v2/users/{userID}/credentials/{credentialID}.
func (h handlers) DeleteCredential(ctx context.Context, r route.DeleteCredentialRequestObject) (route.DeleteCredentialResponseObject, error) {
	if _, err := h.ceremony.DeleteCredential(ctx, forUser(ctx, r.UserID, ident.CredentialID(r.CredentialID))); err != nil {
		return nil, err
	}
	return route.DeleteCredential200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// ListPasskeyChallenges is GET /v2/users/{userID}/passkeyChallenges.
func (h handlers) ListPasskeyChallenges(ctx context.Context, r route.ListPasskeyChallengesRequestObject) (route.ListPasskeyChallengesResponseObject, error) {
	list, err := h.ceremony.ListChallenges(ctx, forUser(ctx, r.UserID, page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize)))
	if err != nil {
		return nil, err
	}
	return route.ListPasskeyChallenges200JSONResponse(list), nil
}

// UpdatePasskeyChallenge is PATCH /v2/users/{userID}/passkeyChallenges/{passkeyChallengeID}.
func (h handlers) UpdatePasskeyChallenge(ctx context.Context, r route.UpdatePasskeyChallengeRequestObject) (route.UpdatePasskeyChallengeResponseObject, error) {
	patch := service.ChallengePatch{ID: ident.ChallengeID(r.PasskeyChallengeID), Status: r.Body.Status}
	challenge, err := h.ceremony.UpdateChallenge(ctx, forUser(ctx, r.UserID, patch))
	if err != nil {
		return nil, err
	}
	return route.UpdatePasskeyChallenge200JSONResponse(challenge), nil
}

// CreatePasskeyEvent is POST /v2/users/{userID}/passkeyEvents.
func (h handlers) CreatePasskeyEvent(ctx context.Context, r route.CreatePasskeyEventRequestObject) (route.CreatePasskeyEventResponseObject, error) {
	event, err := h.events.Create(ctx, forUser(ctx, r.UserID, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.CreatePasskeyEvent200JSONResponse(event), nil
}

// ListPasskeyEvents is GET /v2/users/{userID}/passkeyEvents.
func (h handlers) ListPasskeyEvents(ctx context.Context, r route.ListPasskeyEventsRequestObject) (route.ListPasskeyEventsResponseObject, error) {
	list, err := h.events.List(ctx, forUser(ctx, r.UserID, service.EventList{
		List:          page(r.Params.Sort, r.Params.Filter, r.Params.Page, r.Params.PageSize),
		IncludeEngine: r.Params.Include != nil && *r.Params.Include == rest.ListPasskeyEventsParamsIncludeEngine,
	}))
	if err != nil {
		return nil, err
	}
	return route.ListPasskeyEvents200JSONResponse(list), nil
}

// DeletePasskeyEvent is DELETE /v2/users/{userID}/passkeyEvents/{passkeyEventID}.
func (h handlers) DeletePasskeyEvent(ctx context.Context, r route.DeletePasskeyEventRequestObject) (route.DeletePasskeyEventResponseObject, error) {
	if _, err := h.events.Delete(ctx, forUser(ctx, r.UserID, ident.EventID(r.PasskeyEventID))); err != nil {
		return nil, err
	}
	return route.DeletePasskeyEvent200JSONResponse{GenericJSONResponse: route.GenericJSONResponse(h.done(exchangeOf(ctx)))}, nil
}

// PasskeyAppendStart is POST /v2/passkey/append/start.
func (h handlers) PasskeyAppendStart(ctx context.Context, r route.PasskeyAppendStartRequestObject) (route.PasskeyAppendStartResponseObject, error) {
	judged, err := h.ceremony.AppendStart(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).decision = judged.Decision
	return route.PasskeyAppendStart200JSONResponse{Body: judged.Body, Headers: route.PasskeyAppendStart200ResponseHeaders{
		XKeywardDecisionID: string(judged.Decision), XKeywardPolicyRevision: judged.PolicyRevision,
	}}, nil
}

// PasskeyAppendFinish is POST /v2/passkey/append/finish.
func (h handlers) PasskeyAppendFinish(ctx context.Context, r route.PasskeyAppendFinishRequestObject) (route.PasskeyAppendFinishResponseObject, error) {
	answer, err := h.ceremony.AppendFinish(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeyAppendFinish200JSONResponse(answer), nil
}

// PasskeyLoginStart is POST /v2/passkey/login/start.
func (h handlers) PasskeyLoginStart(ctx context.Context, r route.PasskeyLoginStartRequestObject) (route.PasskeyLoginStartResponseObject, error) {
	judged, err := h.ceremony.LoginStart(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).decision = judged.Decision
	return route.PasskeyLoginStart200JSONResponse{Body: judged.Body, Headers: route.PasskeyLoginStart200ResponseHeaders{
		XKeywardDecisionID: string(judged.Decision), XKeywardPolicyRevision: judged.PolicyRevision,
	}}, nil
}

// PasskeyLoginFinish is POST /v2/passkey/login/finish.
func (h handlers) PasskeyLoginFinish(ctx context.Context, r route.PasskeyLoginFinishRequestObject) (route.PasskeyLoginFinishResponseObject, error) {
	answer, err := h.ceremony.LoginFinish(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeyLoginFinish200JSONResponse(answer), nil
}

// PasskeyMediationStart is POST /v2/passkey/mediation/start.
func (h handlers) PasskeyMediationStart(ctx context.Context, r route.PasskeyMediationStartRequestObject) (route.PasskeyMediationStartResponseObject, error) {
	judged, err := h.ceremony.MediationStart(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	exchangeOf(ctx).decision = judged.Decision
	return route.PasskeyMediationStart200JSONResponse{Body: judged.Body, Headers: route.PasskeyMediationStart200ResponseHeaders{
		XKeywardDecisionID: string(judged.Decision), XKeywardPolicyRevision: judged.PolicyRevision,
	}}, nil
}

// PasskeyMediationFinish is POST /v2/passkey/mediation/finish.
func (h handlers) PasskeyMediationFinish(ctx context.Context, r route.PasskeyMediationFinishRequestObject) (route.PasskeyMediationFinishResponseObject, error) {
	answer, err := h.ceremony.MediationFinish(ctx, forProject(ctx, *r.Body))
	if err != nil {
		return nil, err
	}
	return route.PasskeyMediationFinish200JSONResponse(answer), nil
}
