package service

import (
	"context"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/ident"
)

// Visit is one call of the Frontend API, as the gateway knows it. Nothing but the project and the user is proven.
type Visit struct {
	Project ident.ProjectID `json:"project"`
	// User is whom an access token of an issuer of the project is of; then there is no token below.
	User          ident.UserID `json:"user,omitempty"`
	Token         string       `json:"token,omitempty"`   // a session token, or a refresh token as Bearer
	Refresh       string       `json:"refresh,omitempty"` // a refresh token from its cookie
	Process       string       `json:"process,omitempty"` // token of a process
	TempProcess   string       `json:"tempProcess,omitempty"`
	RemoteAddress string       `json:"remoteAddress"`
	UserAgent     string       `json:"userAgent"`
}

// ForVisit is a call of the Frontend API with its body.
type ForVisit[T any] struct {
	Visit
	Body T `json:"body"`
}

// Cookies are those of a session, for the gateway to set. Without tokens they are removed.
type Cookies struct {
	SessionToken string `json:"sessionToken,omitempty"`
	RefreshToken string `json:"refreshToken,omitempty"`
	Domain       string `json:"domain"` // of the session token; the refresh token comes back to this host only
	Secure       bool   `json:"secure"`
	SameSite     string `json:"sameSite"` // lax, strict or none
	Seconds      int    `json:"seconds"`  // how long a browser keeps them
}

// Answered is an answer of the Frontend API, the decision that it came of, if any, and what became of the session, if anything.
type Answered[T any] struct {
	Judged[T]
	Cookies *Cookies `json:"cookies,omitempty"`
}

// CurrentUser is the part of the ceremony service that the current user of a frontend deals with. Its methods are called as the operations of the Frontend API are.
// Whoever has no session that lasts gets a 401.
type CurrentUser interface {
	// CurrentUser returns who the visit is of.
	CurrentUser(context.Context, ForVisit[Empty]) (ident.UserID, error)
	GetSessionConfig(context.Context, ForVisit[Empty]) (frontend.SessionConfigRsp, error)
	GetProcessConfig(context.Context, ForVisit[Empty]) (frontend.ProcessConfigRsp, error)
	GetUserDetailsConfig(context.Context, ForVisit[Empty]) (frontend.UserDetailsConfigRsp, error)
	CurrentUserGet(context.Context, ForVisit[Empty]) (frontend.MeRsp, error)
	CurrentUserUpdate(context.Context, ForVisit[frontend.MeUpdateReq]) (Empty, error)
	CurrentUserDelete(context.Context, ForVisit[Empty]) (Answered[Empty], error)
	CurrentUserPasskeyGet(context.Context, ForVisit[List]) (frontend.MePasskeyRsp, error)
	CurrentUserPasskeyAppendStart(context.Context, ForVisit[frontend.MePasskeysAppendStartReq]) (Answered[frontend.MePasskeysAppendStartRsp], error)
	CurrentUserPasskeyAppendFinish(context.Context, ForVisit[frontend.MePasskeysAppendFinishReq]) (Empty, error)
	CurrentUserPasskeyDelete(context.Context, ForVisit[ident.CredentialID]) (frontend.MePasskeyDeleteRsp, error)
	CurrentUserSessionRefresh(context.Context, ForVisit[Empty]) (Answered[frontend.MeRefreshRsp], error)
	CurrentUserSessionLogout(context.Context, ForVisit[Empty]) (Answered[Empty], error)
	CurrentUserIdentifierCreate(context.Context, ForVisit[frontend.MeIdentifierCreateReq]) (Empty, error)
	CurrentUserIdentifierUpdate(context.Context, ForVisit[frontend.MeIdentifierUpdateReq]) (Empty, error)
	CurrentUserIdentifierDelete(context.Context, ForVisit[frontend.MeIdentifierDeleteReq]) (Empty, error)
	CurrentUserIdentifierVerifyStart(context.Context, ForVisit[frontend.MeIdentifierVerifyStartReq]) (Empty, error)
	CurrentUserIdentifierVerifyFinish(context.Context, ForVisit[frontend.MeIdentifierVerifyFinishReq]) (Empty, error)
	OidcUserInfo(context.Context, ForVisit[Empty]) (frontend.OidcUserInfoRsp, error)
}

// Connect is the part of the ceremony service that puts passkeys beside a login that exists already. Its methods are called as the operations of the Frontend API are.
type Connect interface {
	ConnectLoginInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectLoginInitRsp], error)
	ConnectLoginStart(context.Context, ForVisit[frontend.ConnectLoginStartReq]) (Answered[frontend.ConnectLoginStartRsp], error)
	ConnectLoginFinish(context.Context, ForVisit[frontend.ConnectLoginFinishReq]) (Answered[frontend.ConnectLoginFinishRsp], error)
	ConnectAppendInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectAppendInitRsp], error)
	ConnectAppendStart(context.Context, ForVisit[frontend.ConnectAppendStartReq]) (Answered[frontend.ConnectAppendStartRsp], error)
	ConnectAppendFinish(context.Context, ForVisit[frontend.ConnectAppendFinishReq]) (Answered[frontend.ConnectAppendFinishRsp], error)
	ConnectManageInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectManageInitRsp], error)
	ConnectManageList(context.Context, ForVisit[frontend.ConnectManageListReq]) (frontend.ConnectManageListRsp, error)
	ConnectManageDelete(context.Context, ForVisit[frontend.ConnectManageDeleteReq]) (frontend.ConnectManageDeleteRsp, error)
	ConnectEventCreate(context.Context, ForVisit[frontend.ConnectEventCreateReq]) (Empty, error)
	ConnectEventsLowCreate(context.Context, ForVisit[frontend.ConnectEventsLowReq]) (Empty, error)
	ConnectProcessClear(context.Context, ForVisit[frontend.ConnectProcessClearReq]) (frontend.ConnectProcessClearRsp, error)
}

// SignIn is the part of the ceremony service that signs users up and logs them in, step by step. Its methods are called as the operations of the Frontend API are. A
// process that is unknown, has expired or is somebody else's is a fault of the type process_not_available.
type SignIn interface {
	ProcessInit(context.Context, ForVisit[frontend.ProcessInitReq]) (Answered[frontend.ProcessInitRsp], error)
	ProcessGet(context.Context, ForVisit[*frontend.BlockType]) (Answered[frontend.ProcessResponse], error)
	ProcessComplete(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	ProcessReset(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	BlockSkip(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	SignupInit(context.Context, ForVisit[frontend.SignupInitReq]) (Answered[frontend.ProcessResponse], error)
	LoginInit(context.Context, ForVisit[frontend.LoginInitReq]) (Answered[frontend.ProcessResponse], error)
	PasskeyAppendStart(context.Context, ForVisit[frontend.PasskeyStartReq]) (Answered[frontend.ProcessResponse], error)
	PasskeyAppendFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	PasskeyLoginStart(context.Context, ForVisit[frontend.PasskeyStartReq]) (Answered[frontend.ProcessResponse], error)
	PasskeyLoginFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	PasskeyMediationFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	IdentifierVerifyStart(context.Context, ForVisit[frontend.IdentifierVerifyStartReq]) (Answered[frontend.ProcessResponse], error)
	IdentifierVerifyFinish(context.Context, ForVisit[frontend.IdentifierVerifyFinishReq]) (Answered[frontend.ProcessResponse], error)
	IdentifierVerifyStatus(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	IdentifierUpdate(context.Context, ForVisit[frontend.IdentifierUpdateReq]) (Answered[frontend.ProcessResponse], error)
	AuthEventCreate(context.Context, ForVisit[frontend.EventCreateReq]) (Empty, error)
}
