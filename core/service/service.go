// Package service declares what each service can do. The gateway and the services call one another only through these interfaces; whether a
// call stays in the process or crosses NATS is the adapter's business. Every error that leaves a method is a *fault.Fault or wraps one.
package service

import (
	"context"
	"encoding/json"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Empty is the body of a call that needs or returns none.
type Empty struct{}

// ForProject is a call within a project. The project comes from the caller's credential, never from a body.
type ForProject[T any] struct {
	Project ident.ProjectID `json:"project"`
	Body    T               `json:"body"`
}

// ForUser is a call about one user of a project.
type ForUser[T any] struct {
	Project ident.ProjectID `json:"project"`
	User    ident.UserID    `json:"user"`
	Body    T               `json:"body"`
}

// List asks for one page: sort and filters as on the wire (section "Lists" of the API), page from 1.
type List struct {
	Sort     string   `json:"sort,omitempty"`   // field:asc or field:desc; empty = the list's own order
	Filter   []string `json:"filter,omitempty"` // field:op:value
	Page     int      `json:"page"`
	PageSize int      `json:"pageSize"`
}

// EventList is List for passkey events.
type EventList struct {
	List
	IncludeEngine bool `json:"includeEngine,omitempty"`
}

// ChallengePatch changes the status of one challenge.
type ChallengePatch struct {
	ID     ident.ChallengeID           `json:"id"`
	Status rest.PasskeyChallengeStatus `json:"status"`
}

// Users is the part of the ceremony service that keeps accounts.
type Users interface {
	CreateUser(context.Context, ForProject[rest.UserCreateReq]) (rest.User, error)
	ListUsers(context.Context, ForProject[List]) (rest.UserList, error)
	GetUser(context.Context, ForUser[Empty]) (rest.User, error)
	UpdateUser(context.Context, ForUser[rest.UserUpdateReq]) (rest.User, error)
	DeleteUser(context.Context, ForUser[Empty]) (Empty, error)
	ListCredentials(context.Context, ForUser[List]) (rest.CredentialList, error)
	DeleteCredential(context.Context, ForUser[ident.CredentialID]) (Empty, error)
	ListChallenges(context.Context, ForUser[List]) (rest.PasskeyChallengeList, error)
	UpdateChallenge(context.Context, ForUser[ChallengePatch]) (rest.PasskeyChallenge, error)
}

// Passkeys is the part of the ceremony service that runs WebAuthn ceremonies. In the requests the user ID is part of the body, as on the wire.
type Passkeys interface {
	AppendStart(context.Context, ForProject[rest.PasskeyAppendStartReq]) (Judged[rest.PasskeyAppendStartRsp], error)
	AppendFinish(context.Context, ForProject[rest.PasskeyAppendFinishReq]) (rest.PasskeyAppendFinishRsp, error)
	LoginStart(context.Context, ForProject[rest.PasskeyLoginStartReq]) (Judged[rest.PasskeyLoginStartRsp], error)
	LoginFinish(context.Context, ForProject[rest.PasskeyLoginFinishReq]) (rest.PasskeyLoginFinishRsp, error)
	MediationStart(context.Context, ForProject[rest.PasskeyMediationStartReq]) (Judged[rest.PasskeyMediationStartRsp], error)
	MediationFinish(context.Context, ForProject[rest.PasskeyMediationFinishReq]) (rest.PasskeyMediationFinishRsp, error)
}

// IdentifierPatch changes the status of one identifier.
type IdentifierPatch struct {
	ID     ident.IdentifierID    `json:"id"`
	Status rest.IdentifierStatus `json:"status"`
}

// Directory is the part of the ceremony service that keeps what users are known by and seen with.
type Directory interface {
	CreateIdentifier(context.Context, ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error)
	UpdateIdentifier(context.Context, ForUser[IdentifierPatch]) (rest.Identifier, error)
	DeleteIdentifier(context.Context, ForUser[ident.IdentifierID]) (Empty, error)
	ListIdentifiers(context.Context, ForProject[List]) (rest.IdentifierList, error)
	CreateSocialAccount(context.Context, ForUser[rest.SocialAccountCreateReq]) (rest.SocialAccount, error)
	ListUserSocialAccounts(context.Context, ForUser[List]) ([]rest.SocialAccount, error)
	ListSocialAccounts(context.Context, ForProject[List]) (rest.SocialAccountList, error)
	ListClientEnvs(context.Context, ForUser[Empty]) (rest.ClientEnvList, error)
	ListPasswordManagers(context.Context, ForUser[Empty]) (rest.PasswordManagerList, error)
	UpdateCname(context.Context, ForProject[rest.CnameUpdateReq]) (Empty, error)
}

// CodeCheck is a value that a user gave back.
type CodeCheck struct {
	ID    ident.CodeID `json:"id"`
	Value string       `json:"value"`
}

// Codes is the part of the ceremony service that sends one-time codes and links. The API calls them challenges.
type Codes interface {
	CreateCode(context.Context, ForUser[rest.ChallengeCreateReq]) (rest.Challenge, error)
	CheckCode(context.Context, ForUser[CodeCheck]) (rest.Challenge, error)
}

// SessionPatch changes the status of one session.
type SessionPatch struct {
	ID     ident.SessionID    `json:"id"`
	Status rest.SessionStatus `json:"status"`
}

// ShortSession asks for a token of one session.
type ShortSession struct {
	ID      ident.SessionID            `json:"id"`
	Request rest.ShortSessionCreateReq `json:"request"`
}

// Sessions is the part of the ceremony service that keeps sessions, and signs what proves a login elsewhere.
type Sessions interface {
	ListSessions(context.Context, ForProject[List]) (rest.SessionList, error)
	RevokeSession(context.Context, ForProject[ident.SessionID]) (Empty, error)
	CreateLongSession(context.Context, ForUser[rest.LongSessionCreateReq]) (rest.LongSession, error)
	GetUserLongSession(context.Context, ForUser[ident.SessionID]) (rest.LongSession, error)
	GetLongSession(context.Context, ForProject[ident.SessionID]) (rest.LongSession, error)
	UpdateLongSession(context.Context, ForUser[SessionPatch]) (rest.LongSession, error)
	CreateShortSession(context.Context, ForUser[ShortSession]) (rest.ShortSession, error)
	VerifySignedData(context.Context, ForProject[rest.VerifySignedDataReq]) (rest.VerifySignedDataRsp, error)
	PostLogin(context.Context, ForProject[rest.PostLoginReq]) (rest.PostLoginRsp, error)
	// Keys returns the public keys of the project as a JSON Web Key Set (RFC 7517); without a project, those of all.
	Keys(context.Context, ForProject[Empty]) (json.RawMessage, error)
}

// TokenPatch changes the status of one connect token.
type TokenPatch struct {
	ID     ident.ConnectTokenID    `json:"id"`
	Status rest.ConnectTokenStatus `json:"status"`
}

// ConnectTokens is the part of the ceremony service that keeps connect tokens.
type ConnectTokens interface {
	CreateConnectToken(context.Context, ForProject[rest.ConnectTokenCreateReq]) (rest.ConnectToken, error)
	ListConnectTokens(context.Context, ForProject[List]) (rest.ConnectTokenList, error)
	UpdateConnectToken(context.Context, ForProject[TokenPatch]) (Empty, error)
	DeleteConnectToken(context.Context, ForProject[ident.ConnectTokenID]) (Empty, error)
}

// Ceremony is the whole ceremony service.
//
//keyward:service ceremony
type Ceremony interface {
	Users
	Passkeys
	Directory
	Codes
	Sessions
	ConnectTokens
	Registrations
	CurrentUser
	Connect
	SignIn
}

// Judged is an answer that came of a decision, which the gateway names in headers.
type Judged[T any] struct {
	Body           T                `json:"body"`
	Decision       ident.DecisionID `json:"decision"`
	PolicyRevision string           `json:"policyRevision"`
}

// Appended says where an event is in the stream of passkey events: its sequence, or, if it has been there for a while, that of a later event of the user. Login
// offers and denials are in another stream; theirs is 0.
type Appended struct {
	Sequence uint64 `json:"sequence"`
}

// Events is the events service. When Create, Append or Delete has returned, the change is on disk and the next decision for the user sees it.
//
//keyward:service events
type Events interface {
	// Create appends an event that a caller sent.
	Create(context.Context, ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error)
	List(context.Context, ForUser[EventList]) (rest.PasskeyEventList, error)
	Delete(context.Context, ForUser[ident.EventID]) (Empty, error)
	// Append appends an event of the engine's own. An event with an ID that the log already holds is not appended twice.
	Append(context.Context, event.Event) (Appended, error)
	// CreateAuthEvent appends an authentication that a caller reports.
	CreateAuthEvent(context.Context, ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error)
	// Erase removes every event, offer and decision of a user, from the log and the cache, and every webhook delivery and dead letter of the user.
	Erase(context.Context, ForUser[Empty]) (Empty, error)
}

// WebhookPatch changes an endpoint.
type WebhookPatch struct {
	ID      ident.WebhookID               `json:"id"`
	Changes rest.WebhookEndpointUpdateReq `json:"changes"`
}

// ForWebhook is a call about one endpoint of a project.
type ForWebhook[T any] struct {
	Project ident.ProjectID `json:"project"`
	Webhook ident.WebhookID `json:"webhook"`
	Body    T               `json:"body"`
}

// Webhooks is the part of the events service that delivers events to HTTP endpoints.
//
//keyward:service events
type Webhooks interface {
	CreateWebhook(context.Context, ForProject[rest.WebhookEndpointCreateReq]) (rest.WebhookEndpoint, error)
	ListWebhooks(context.Context, ForProject[Empty]) (rest.WebhookEndpointList, error)
	UpdateWebhook(context.Context, ForProject[WebhookPatch]) (Empty, error)
	DeleteWebhook(context.Context, ForProject[ident.WebhookID]) (Empty, error)
	CreateWebhookSecret(context.Context, ForWebhook[rest.WebhookSecretCreateReq]) (rest.WebhookSecret, error)
	ListWebhookSecrets(context.Context, ForWebhook[Empty]) (rest.WebhookSecretList, error)
	DeleteWebhookSecret(context.Context, ForWebhook[string]) (Empty, error)
	ListWebhookDeliveries(context.Context, ForWebhook[List]) (rest.WebhookDeliveryList, error)
	ListWebhookDeadLetters(context.Context, ForWebhook[List]) (rest.WebhookDeadLetterList, error)
	ReplayWebhookDeadLetters(context.Context, ForWebhook[rest.WebhookReplayReq]) (rest.WebhookReplayRsp, error)
}

// Environment is what the ceremony service found out about the client environment handle that a client sent.
type Environment struct {
	ID       ident.EnvironmentID `json:"id,omitempty"`       // set if the handle is ours and valid, also in private mode
	Known    bool                `json:"known,omitempty"`    // valid handle and not private mode: history of the pair counts
	Rejected bool                `json:"rejected,omitempty"` // a handle was sent that did not verify
}

// Question is what every decision needs to know. Decisions read the user's events themselves.
type Question struct {
	Project      ident.ProjectID        `json:"project"`
	Account      *account.Account       `json:"account,omitempty"`      // nil = there is no such user
	AccountStamp string                 `json:"accountStamp,omitempty"` // the account was read after this stamp was told; empty = just now, from the store
	LookupFailed bool                   `json:"lookupFailed,omitempty"`
	Client       rest.ClientInformation `json:"client"`
	Environment  Environment            `json:"environment"`
	Process      string                 `json:"process,omitempty"`
	RequestID    ident.RequestID        `json:"requestID,omitempty"`
}

// LoginQuestion asks whether to offer a passkey login.
type LoginQuestion struct {
	Question
	Strategy rest.CrossDeviceAuthenticationStrategy `json:"strategy"`
}

// AppendQuestion asks whether to offer the creation of a passkey.
type AppendQuestion struct {
	Question
	Flags     rest.PasskeyIntelFlags `json:"flags"`
	Situation string                 `json:"situation,omitempty"` // empty = post-login
}

// Verdict is what every decision answers.
type Verdict struct {
	// Stale says that the question's account may have changed since the question's stamp was told. Nothing was decided then: the account is to be read from
	// the store and the question asked again without a stamp.
	Stale          bool                   `json:"stale,omitempty"`
	AccountStamp   string                 `json:"accountStamp,omitempty"` // of the account as it is now: what is read after this is good while the stamp holds
	Decision       ident.DecisionID       `json:"decision"`
	PolicyRevision string                 `json:"policyRevision"`
	Rule           string                 `json:"rule"` // row of the decision table, for example L7a
	Allow          bool                   `json:"allow"`
	Tag            rest.DecisionTag       `json:"tag"` // of the wire; of a RolloutQuestion one of its own
	Experiments    []string               `json:"experiments"`
	Insights       rest.DetectionInsights `json:"insights"`
	OS             string                 `json:"os"` // as detected, for the records of the ceremony
	OSVersion      string                 `json:"osVersion"`
	Browser        string                 `json:"browser"`
	BrowserVersion string                 `json:"browserVersion"`
}

// LoginVerdict answers a LoginQuestion. The options fields are meaningful only if Allow is true.
type LoginVerdict struct {
	Verdict
	Route                      event.Route          `json:"route"`
	IsCDACandidate             bool                 `json:"isCDACandidate"`
	PreferImmediatelyAvailable bool                 `json:"preferImmediatelyAvailable"`
	AllowCredentials           []ident.CredentialID `json:"allowCredentials"` // in the order to send
	Hints                      []string             `json:"hints"`
}

// AppendVerdict answers an AppendQuestion. The options fields are meaningful only if Allow is true.
type AppendVerdict struct {
	Verdict
	Kind                event.Kind           `json:"kind,omitempty"`
	Variant             rest.AppendVariant   `json:"variant"`
	Auto                bool                 `json:"auto,omitempty"`
	Conditional         bool                 `json:"conditional,omitempty"`
	ManualAllowed       bool                 `json:"manualAllowed,omitempty"`
	IsRestrictedBrowser bool                 `json:"isRestrictedBrowser,omitempty"`
	Reason              string               `json:"reason,omitempty"` // why not, also where the wire has no word for it
	ExcludeCredentials  []ident.CredentialID `json:"excludeCredentials"`
	Attachment          string               `json:"attachment"` // platform, or empty = unset
	Hints               []string             `json:"hints"`
	UserVerification    string               `json:"userVerification"`         // required or preferred
	AllowedAAGUIDs      []string             `json:"allowedAaguids,omitempty"` // of authenticators that may create the passkey, in lower case; empty = any
}

// Decision is the decision service. It answers with the safe default rather than fail; an error means that not even that could be said.
//
//keyward:service decision
type Decision interface {
	Login(context.Context, LoginQuestion) (LoginVerdict, error)
	Append(context.Context, AppendQuestion) (AppendVerdict, error)
	Mediation(context.Context, Question) (Verdict, error)
	Rollout(context.Context, RolloutQuestion) (Verdict, error)
}

// Explanations is the part of the decision service that tells why a decision was made.
//
//keyward:service decision
type Explanations interface {
	// ExplainDecision explains a decision of the project by its record. Records are written in the background: a decision that is not there yet is not found.
	ExplainDecision(context.Context, ForProject[ident.DecisionID]) (frontend.TrialDecision, error)
}

// Reading is what was read of a user for a decision. What it points to is shared and must not be changed.
type Reading struct {
	Events       []event.Event
	AccountStamp string // of the account as it is now, to be told to who asked; empty = not known
	AccountStale bool   // the account may have changed since the stamp that was given; then there are no events
}

// EventReader reads a user's history: what is in the cache if that can be trusted, otherwise the log.
type EventReader interface {
	// Read returns the user's set of events in no particular order. With an accountStamp, it does so only if the account that came with it is still good: if
	// every change of the account of which anybody had been told before the call is in what was read after the stamp was told.
	Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (Reading, error)
	// Offers returns the user's recent login-offered and login-denied events, newest first; bounded.
	Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error)
}
