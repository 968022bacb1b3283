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
	LoggedInMs    int64        `json:"loggedInMs,omitempty"`   // when, as that token says; 0: it does not
	Token         string       `json:"token,omitempty"`        // a session token, or a refresh token as Bearer
	Refresh       string       `json:"refresh,omitempty"`      // a refresh token from its cookie
	OtherRefresh  []string     `json:"otherRefresh,omitempty"` // those of further cookies of that name; any of them may be the good one
	Process       string       `json:"process,omitempty"`      // token of a process
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

// Session returns what to do with the cookies of a session; nil: nothing.
func (a *Answered[T]) Session() *Cookies { return a.Cookies }

// CurrentUser is the part of the ceremony service that the current user of a frontend deals with. Its methods are called as the
// operations of the Frontend API are. Whoever has no session that lasts gets a 401, also where nothing more is said.
type CurrentUser interface {
	// CurrentUser returns who the visit is of.
	CurrentUser(context.Context, ForVisit[Empty]) (ident.UserID, error)
	// GetSessionConfig says how sessions are kept: their cookies, and under which URL frontends know the project. Anybody may ask.
	//
	//keyward:repeatable
	GetSessionConfig(context.Context, ForVisit[Empty]) (frontend.SessionConfigRsp, error)
	// GetProcessConfig says how processes are kept. Anybody may ask.
	//
	//keyward:repeatable
	GetProcessConfig(context.Context, ForVisit[Empty]) (frontend.ProcessConfigRsp, error)
	// GetUserDetailsConfig says what users of the project have: which identifiers, and whether a full name. Anybody may ask.
	//
	//keyward:repeatable
	GetUserDetailsConfig(context.Context, ForVisit[Empty]) (frontend.UserDetailsConfigRsp, error)
	// CurrentUserGet returns the user with identifiers and social accounts.
	CurrentUserGet(context.Context, ForVisit[Empty]) (frontend.MeRsp, error)
	// CurrentUserUpdate changes the full name. 400 fullName.
	CurrentUserUpdate(context.Context, ForVisit[frontend.MeUpdateReq]) (Empty, error)
	// CurrentUserDelete deletes the user as DeleteUser does, and removes the cookies. 503 as DeleteUser.
	CurrentUserDelete(context.Context, ForVisit[Empty]) (Answered[Empty], error)
	// CurrentUserPasskeyGet returns a page of the passkeys of the user. 400 as every list.
	CurrentUserPasskeyGet(context.Context, ForVisit[List]) (frontend.MePasskeyRsp, error)
	// CurrentUserPasskeyAppendStart is AppendStart for the user. The policy knows that the user asks for it.
	CurrentUserPasskeyAppendStart(
		context.Context, ForVisit[frontend.MePasskeysAppendStartReq],
	) (Answered[frontend.MePasskeysAppendStartRsp], error)
	// CurrentUserPasskeyAppendFinish is AppendFinish for the user. 400 and 409 attestationResponse.
	CurrentUserPasskeyAppendFinish(context.Context, ForVisit[frontend.MePasskeysAppendFinishReq]) (Empty, error)
	// CurrentUserPasskeyDelete deletes a passkey of the user. 400 credentialID.
	CurrentUserPasskeyDelete(context.Context, ForVisit[ident.CredentialID]) (frontend.MePasskeyDeleteRsp, error)
	// CurrentUserSessionRefresh spends a refresh token and returns a session token and the next refresh token. 401 also if the token
	// was spent already, which ends the session, or if the user may not have sessions any more.
	CurrentUserSessionRefresh(context.Context, ForVisit[Empty]) (Answered[frontend.MeRefreshRsp], error)
	// CurrentUserSessionLogout ends the session, if there is one still, and removes the cookies. A session that has ended already is
	// no fault.
	CurrentUserSessionLogout(context.Context, ForVisit[Empty]) (Answered[Empty], error)
	// CurrentUserIdentifierCreate gives the user an identifier, which has yet to be verified unless it is a user name. 400 and 409
	// as CreateIdentifier, of the field value.
	CurrentUserIdentifierCreate(context.Context, ForVisit[frontend.MeIdentifierCreateReq]) (Empty, error)
	// CurrentUserIdentifierUpdate replaces a user name. 400 identifierType, identifierID, value; 409 value.
	CurrentUserIdentifierUpdate(context.Context, ForVisit[frontend.MeIdentifierUpdateReq]) (Empty, error)
	// CurrentUserIdentifierDelete takes an identifier from the user, but not the last. 400 identifierID.
	CurrentUserIdentifierDelete(context.Context, ForVisit[frontend.MeIdentifierDeleteReq]) (Empty, error)
	// CurrentUserIdentifierVerifyStart sends a code to an identifier of the user. 400 identifierID; 429 and 503 as CreateCode.
	CurrentUserIdentifierVerifyStart(context.Context, ForVisit[frontend.MeIdentifierVerifyStartReq]) (Empty, error)
	// CurrentUserIdentifierVerifyFinish takes the code that was sent to an identifier last. 400 identifierID, code.
	CurrentUserIdentifierVerifyFinish(context.Context, ForVisit[frontend.MeIdentifierVerifyFinishReq]) (Empty, error)
	// OidcUserInfo returns the claims of OpenID Connect about the user.
	OidcUserInfo(context.Context, ForVisit[Empty]) (frontend.OidcUserInfoRsp, error)
}

// Connect is the part of the ceremony service that puts passkeys beside a login that exists already. Its methods are called as the
// operations of the Frontend API are. A process that is unknown, has expired or is somebody else's is a fault of the type
// process_not_available, a 404; so is one whose user was deleted.
type Connect interface {
	// ConnectLoginInit begins a process for a login, or takes up the one that the client is in, and says whether passkeys are
	// switched on for the client.
	ConnectLoginInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectLoginInitRsp], error)
	// ConnectLoginStart names the user and offers a login or not. Of a user who does not exist it says what it says of one without
	// passkeys. 404; 400 source, identifier, loginConnectToken.
	ConnectLoginStart(context.Context, ForVisit[frontend.ConnectLoginStartReq]) (Answered[frontend.ConnectLoginStartRsp], error)
	// ConnectLoginFinish finishes a login and opens a session. 404; 400 assertionResponse. A passkey that was deleted here is no
	// fault.
	ConnectLoginFinish(context.Context, ForVisit[frontend.ConnectLoginFinishReq]) (Answered[frontend.ConnectLoginFinishRsp], error)
	// ConnectAppendInit is ConnectLoginInit for the creation of a passkey.
	ConnectAppendInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectAppendInitRsp], error)
	// ConnectAppendStart offers the creation of a passkey, or not, to the user whom the token names, and creates the user if there
	// is none. 404; 400 appendTokenValue.
	ConnectAppendStart(context.Context, ForVisit[frontend.ConnectAppendStartReq]) (Answered[frontend.ConnectAppendStartRsp], error)
	// ConnectAppendFinish spends the token and keeps the passkey. 404; 400 completionType, appendTokenValue, attestationResponse;
	// 409 attestationResponse.
	ConnectAppendFinish(context.Context, ForVisit[frontend.ConnectAppendFinishReq]) (Answered[frontend.ConnectAppendFinishRsp], error)
	// ConnectManageInit is ConnectLoginInit for the list of passkeys.
	ConnectManageInit(context.Context, ForVisit[frontend.ConnectInitReq]) (Answered[frontend.ConnectManageInitRsp], error)
	// ConnectManageList returns the passkeys of the user whom the token names, newest first; of nobody, none. 404; 400 mode,
	// connectToken.
	ConnectManageList(context.Context, ForVisit[frontend.ConnectManageListReq]) (frontend.ConnectManageListRsp, error)
	// ConnectManageDelete deletes a passkey of the user whom the token names. The token is spent by the attempt. 404; 400
	// connectToken, credentialID.
	ConnectManageDelete(context.Context, ForVisit[frontend.ConnectManageDeleteReq]) (frontend.ConnectManageDeleteRsp, error)
	// ConnectEventCreate records what happened on the client, if the client has been told that there is a user. 404; 400 eventType.
	ConnectEventCreate(context.Context, ForVisit[frontend.ConnectEventCreateReq]) (Empty, error)
	// ConnectEventsLowCreate takes durations for the metrics; nothing is kept of whose they are. 404.
	ConnectEventsLowCreate(context.Context, ForVisit[frontend.ConnectEventsLowReq]) (Empty, error)
	// ConnectProcessClear ends the process that the body names. 404.
	ConnectProcessClear(context.Context, ForVisit[frontend.ConnectProcessClearReq]) (frontend.ConnectProcessClearRsp, error)
}

// SignIn is the part of the ceremony service that signs users up and logs them in, step by step. Its methods are called as the
// operations of the Frontend API are, and answer with the block to show next. A process that is unknown, has expired or is somebody
// else's, or whose user was deleted, is a fault of the type process_not_available, a 404. A call that does not belong where the
// process stands is a 400 of the field process.
type SignIn interface {
	// ProcessInit begins a process and shows its first block.
	ProcessInit(context.Context, ForVisit[frontend.ProcessInitReq]) (Answered[frontend.ProcessInitRsp], error)
	// ProcessGet shows the process where it stands; at its beginning, in the form that is preferred.
	ProcessGet(context.Context, ForVisit[*frontend.BlockType]) (Answered[frontend.ProcessResponse], error)
	// ProcessComplete goes on to the session, if everything is proven. 400 process.
	ProcessComplete(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	// ProcessReset begins the process anew. The user of a sign-up that ends here is deleted. 400 process.
	ProcessReset(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	// BlockSkip leaves the block that is shown without what it asks for. 400 process.
	BlockSkip(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	// SignupInit takes the form of a sign-up. What is wrong with a field stands in the block that is shown. 400 process.
	SignupInit(context.Context, ForVisit[frontend.SignupInitReq]) (Answered[frontend.ProcessResponse], error)
	// LoginInit takes what a user was named by. Nobody is answered as a user without passkeys is. 400 process.
	LoginInit(context.Context, ForVisit[frontend.LoginInitReq]) (Answered[frontend.ProcessResponse], error)
	// PasskeyAppendStart hands out options for the creation of a passkey. 400 process.
	PasskeyAppendStart(context.Context, ForVisit[frontend.PasskeyStartReq]) (Answered[frontend.ProcessResponse], error)
	// PasskeyAppendFinish keeps the passkey. 400 process, signedChallenge; 409 signedChallenge.
	PasskeyAppendFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	// PasskeyLoginStart hands out options for a login. 400 process.
	PasskeyLoginStart(context.Context, ForVisit[frontend.PasskeyLoginStartReq]) (Answered[frontend.ProcessResponse], error)
	// PasskeyLoginFinish logs the user in by a passkey. 400 process, signedChallenge.
	PasskeyLoginFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	// PasskeyMediationFinish logs in whoever has the passkey. One that is good for nothing leads back to the form and is no fault.
	// 400 process.
	PasskeyMediationFinish(context.Context, ForVisit[frontend.PasskeyFinishReq]) (Answered[frontend.ProcessResponse], error)
	// IdentifierVerifyStart sends a code or link, by the way that is asked for. That too much was sent stands in the block. 400
	// process.
	IdentifierVerifyStart(context.Context, ForVisit[frontend.IdentifierVerifyStartReq]) (Answered[frontend.ProcessResponse], error)
	// IdentifierVerifyFinish takes a code, or the token of a link, which may be opened in another browser. That it is wrong stands
	// in the block. 400 process.
	IdentifierVerifyFinish(context.Context, ForVisit[frontend.IdentifierVerifyFinishReq]) (Answered[frontend.ProcessResponse], error)
	// IdentifierVerifyStatus shows the process, and goes on with it where a link was opened elsewhere.
	IdentifierVerifyStatus(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	// IdentifierUpdate corrects the identifier of a sign-up that is being verified. What is wrong with it stands in the block. 400
	// process.
	IdentifierUpdate(context.Context, ForVisit[frontend.IdentifierUpdateReq]) (Answered[frontend.ProcessResponse], error)
	// SocialVerifyStart refuses each provider as one that the project does not offer. 400 providerType, process.
	SocialVerifyStart(context.Context, ForVisit[frontend.SocialVerifyStartReq]) (Answered[frontend.ProcessResponse], error)
	// SocialVerifyFinish refuses: no process is on its way to a provider. 400 process.
	SocialVerifyFinish(context.Context, ForVisit[Empty]) (Answered[frontend.ProcessResponse], error)
	// AuthEventCreate records what happened on the client, if the client has been told that there is a user. 400 eventType.
	AuthEventCreate(context.Context, ForVisit[frontend.EventCreateReq]) (Empty, error)
}
