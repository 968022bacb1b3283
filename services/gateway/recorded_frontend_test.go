package gateway_test

import (
	"context"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// login is what a recorded session begins with.
var login = service.Cookies{SessionToken: "session", RefreshToken: "refresh", Domain: "localhost", SameSite: "lax", Seconds: 60}

var cookieConfig = frontend.CookieConfig{Domain: "localhost", SameSite: frontend.CookieConfigSameSiteLax, Path: "/", LifetimeSeconds: 60}

// processResponse is a process that waits for the user to be named.
func processResponse() frontend.ProcessResponse {
	var data frontend.BlockData
	_ = data.FromBlockLoginInit(frontend.BlockLoginInit{
		BlockType: frontend.BlockLoginInitBlockTypeLoginInit, SocialData: frontend.SocialData{Providers: []rest.SocialProviderType{}, Status: frontend.SocialDataStatusInitial},
	})
	return frontend.ProcessResponse{BlockBody: frontend.BlockBody{Block: frontend.BlockTypeLoginInit, AuthType: frontend.BlockBodyAuthTypeLogin, Data: data}}
}

// answeredWith is an answer with all that may be beside its body.
func answeredWith[T any](body T) service.Answered[T] {
	return service.Answered[T]{Judged: service.Judged[T]{Body: body, Decision: "dec-9", PolicyRevision: "rev-a"}, Cookies: &login}
}

func (r *recorded) CurrentUser(ctx context.Context, q service.ForVisit[service.Empty]) (ident.UserID, error) {
	return "usr-1", r.record(ctx, "currentUser", q)
}

func (r *recorded) GetSessionConfig(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.SessionConfigRsp, error) {
	return frontend.SessionConfigRsp{UseSessionManagement: true, FrontendAPIURL: "http://localhost:8080", SessionTokenCookieConfig: cookieConfig, ShortSessionCookieConfig: cookieConfig}, r.record(ctx, "getSessionConfig", q)
}

func (r *recorded) GetProcessConfig(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.ProcessConfigRsp, error) {
	return frontend.ProcessConfigRsp{}, r.record(ctx, "getProcessConfig", q)
}

func (r *recorded) GetUserDetailsConfig(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.UserDetailsConfigRsp, error) {
	return frontend.UserDetailsConfigRsp{}, r.record(ctx, "getUserDetailsConfig", q)
}

func (r *recorded) CurrentUserGet(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.MeRsp, error) {
	return frontend.MeRsp{}, r.record(ctx, "currentUserGet", q)
}

func (r *recorded) CurrentUserUpdate(ctx context.Context, q service.ForVisit[frontend.MeUpdateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserUpdate", q)
}

func (r *recorded) CurrentUserDelete(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[service.Empty], error) {
	return answeredWith(service.Empty{}), r.record(ctx, "currentUserDelete", q)
}

func (r *recorded) CurrentUserPasskeyGet(ctx context.Context, q service.ForVisit[service.List]) (frontend.MePasskeyRsp, error) {
	return frontend.MePasskeyRsp{}, r.record(ctx, "currentUserPasskeyGet", q)
}

func (r *recorded) CurrentUserPasskeyAppendStart(ctx context.Context, q service.ForVisit[frontend.MePasskeysAppendStartReq]) (service.Answered[frontend.MePasskeysAppendStartRsp], error) {
	return answeredWith(frontend.MePasskeysAppendStartRsp{}), r.record(ctx, "currentUserPasskeyAppendStart", q)
}

func (r *recorded) CurrentUserPasskeyAppendFinish(ctx context.Context, q service.ForVisit[frontend.MePasskeysAppendFinishReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserPasskeyAppendFinish", q)
}

func (r *recorded) CurrentUserPasskeyDelete(ctx context.Context, q service.ForVisit[ident.CredentialID]) (frontend.MePasskeyDeleteRsp, error) {
	return frontend.MePasskeyDeleteRsp{}, r.record(ctx, "currentUserPasskeyDelete", q)
}

func (r *recorded) CurrentUserSessionRefresh(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[frontend.MeRefreshRsp], error) {
	return answeredWith(frontend.MeRefreshRsp{}), r.record(ctx, "currentUserSessionRefresh", q)
}

func (r *recorded) CurrentUserSessionLogout(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[service.Empty], error) {
	return answeredWith(service.Empty{}), r.record(ctx, "currentUserSessionLogout", q)
}

func (r *recorded) CurrentUserIdentifierCreate(ctx context.Context, q service.ForVisit[frontend.MeIdentifierCreateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserIdentifierCreate", q)
}

func (r *recorded) CurrentUserIdentifierUpdate(ctx context.Context, q service.ForVisit[frontend.MeIdentifierUpdateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserIdentifierUpdate", q)
}

func (r *recorded) CurrentUserIdentifierDelete(ctx context.Context, q service.ForVisit[frontend.MeIdentifierDeleteReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserIdentifierDelete", q)
}

func (r *recorded) CurrentUserIdentifierVerifyStart(ctx context.Context, q service.ForVisit[frontend.MeIdentifierVerifyStartReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserIdentifierVerifyStart", q)
}

func (r *recorded) CurrentUserIdentifierVerifyFinish(ctx context.Context, q service.ForVisit[frontend.MeIdentifierVerifyFinishReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "currentUserIdentifierVerifyFinish", q)
}

func (r *recorded) OidcUserInfo(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.OidcUserInfoRsp, error) {
	return frontend.OidcUserInfoRsp{}, r.record(ctx, "oidcUserInfo", q)
}

func (r *recorded) ConnectLoginInit(ctx context.Context, q service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectLoginInitRsp], error) {
	return answeredWith(frontend.ConnectLoginInitRsp{Token: "prc", Flags: frontend.Flags{}}), r.record(ctx, "connectLoginInit", q)
}

func (r *recorded) ConnectLoginStart(ctx context.Context, q service.ForVisit[frontend.ConnectLoginStartReq]) (service.Answered[frontend.ConnectLoginStartRsp], error) {
	return answeredWith(frontend.ConnectLoginStartRsp{FallbackOperationError: frontend.FallbackOperationError{InitFallback: true}}), r.record(ctx, "connectLoginStart", q)
}

func (r *recorded) ConnectLoginFinish(ctx context.Context, q service.ForVisit[frontend.ConnectLoginFinishReq]) (service.Answered[frontend.ConnectLoginFinishRsp], error) {
	return answeredWith(frontend.ConnectLoginFinishRsp{}), r.record(ctx, "connectLoginFinish", q)
}

func (r *recorded) ConnectAppendInit(ctx context.Context, q service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectAppendInitRsp], error) {
	return answeredWith(frontend.ConnectAppendInitRsp{ProcessID: "prc", Flags: frontend.Flags{}}), r.record(ctx, "connectAppendInit", q)
}

func (r *recorded) ConnectAppendStart(ctx context.Context, q service.ForVisit[frontend.ConnectAppendStartReq]) (service.Answered[frontend.ConnectAppendStartRsp], error) {
	return answeredWith(frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault}), r.record(ctx, "connectAppendStart", q)
}

func (r *recorded) ConnectAppendFinish(ctx context.Context, q service.ForVisit[frontend.ConnectAppendFinishReq]) (service.Answered[frontend.ConnectAppendFinishRsp], error) {
	return answeredWith(frontend.ConnectAppendFinishRsp{PasskeyOperation: frontend.PasskeyOperation{OperationType: frontend.PasskeyOperationOperationTypeAppend, IdentifierType: rest.IdentifierTypeEmail, CeremonyType: rest.CeremonyTypeLocal}}), r.record(ctx, "connectAppendFinish", q)
}

func (r *recorded) ConnectManageInit(ctx context.Context, q service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectManageInitRsp], error) {
	return answeredWith(frontend.ConnectManageInitRsp{ProcessID: "prc", Flags: frontend.Flags{}}), r.record(ctx, "connectManageInit", q)
}

func (r *recorded) ConnectManageList(ctx context.Context, q service.ForVisit[frontend.ConnectManageListReq]) (frontend.ConnectManageListRsp, error) {
	return frontend.ConnectManageListRsp{}, r.record(ctx, "connectManageList", q)
}

func (r *recorded) ConnectManageDelete(ctx context.Context, q service.ForVisit[frontend.ConnectManageDeleteReq]) (frontend.ConnectManageDeleteRsp, error) {
	return frontend.ConnectManageDeleteRsp{}, r.record(ctx, "connectManageDelete", q)
}

func (r *recorded) ConnectEventCreate(ctx context.Context, q service.ForVisit[frontend.ConnectEventCreateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "connectEventCreate", q)
}

func (r *recorded) ConnectEventsLowCreate(ctx context.Context, q service.ForVisit[frontend.ConnectEventsLowReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "connectEventsLowCreate", q)
}

func (r *recorded) ConnectProcessClear(ctx context.Context, q service.ForVisit[frontend.ConnectProcessClearReq]) (frontend.ConnectProcessClearRsp, error) {
	return frontend.ConnectProcessClearRsp{}, r.record(ctx, "connectProcessClear", q)
}

func (r *recorded) ProcessInit(ctx context.Context, q service.ForVisit[frontend.ProcessInitReq]) (service.Answered[frontend.ProcessInitRsp], error) {
	return answeredWith(frontend.ProcessInitRsp{Token: "prc", ProcessResponse: processResponse()}), r.record(ctx, "processInit", q)
}

func (r *recorded) ProcessGet(ctx context.Context, q service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "processGet", q)
}

func (r *recorded) ProcessComplete(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "processComplete", q)
}

func (r *recorded) ProcessReset(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "processReset", q)
}

func (r *recorded) BlockSkip(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "blockSkip", q)
}

func (r *recorded) SignupInit(ctx context.Context, q service.ForVisit[frontend.SignupInitReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "signupInit", q)
}

func (r *recorded) LoginInit(ctx context.Context, q service.ForVisit[frontend.LoginInitReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "loginInit", q)
}

func (r *recorded) PasskeyAppendStart(ctx context.Context, q service.ForVisit[frontend.PasskeyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "passkeyAppendStart", q)
}

func (r *recorded) PasskeyAppendFinish(ctx context.Context, q service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "passkeyAppendFinish", q)
}

func (r *recorded) PasskeyLoginStart(ctx context.Context, q service.ForVisit[frontend.PasskeyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "passkeyLoginStart", q)
}

func (r *recorded) PasskeyLoginFinish(ctx context.Context, q service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "passkeyLoginFinish", q)
}

func (r *recorded) PasskeyMediationFinish(ctx context.Context, q service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "passkeyMediationFinish", q)
}

func (r *recorded) IdentifierVerifyStart(ctx context.Context, q service.ForVisit[frontend.IdentifierVerifyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "identifierVerifyStart", q)
}

func (r *recorded) IdentifierVerifyFinish(ctx context.Context, q service.ForVisit[frontend.IdentifierVerifyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "identifierVerifyFinish", q)
}

func (r *recorded) IdentifierVerifyStatus(ctx context.Context, q service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "identifierVerifyStatus", q)
}

func (r *recorded) IdentifierUpdate(ctx context.Context, q service.ForVisit[frontend.IdentifierUpdateReq]) (service.Answered[frontend.ProcessResponse], error) {
	return answeredWith(processResponse()), r.record(ctx, "identifierUpdate", q)
}

func (r *recorded) AuthEventCreate(ctx context.Context, q service.ForVisit[frontend.EventCreateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "authEventCreate", q)
}

func (r *recorded) ExplainDecision(ctx context.Context, q service.ForProject[ident.DecisionID]) (frontend.TrialDecision, error) {
	return frontend.TrialDecision{
		DecisionID: string(q.Body), Action: frontend.TrialDecisionActionLogin, Rows: []frontend.TrialRow{}, Facts: []frontend.TrialFact{}, HistoryData: map[string]any{},
	}, r.record(ctx, "explainDecision", q)
}
