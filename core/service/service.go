// Package service declares what each service can do. The gateway and the services call one another only through these interfaces;
// whether a call stays in the process or crosses NATS (core/service/remote) is up to whoever assembles them.
//
// Every error that leaves a method is a *fault.Fault or wraps one. The comments name the faults that a method returns beside those
// that any may: 503 if what it needs is away or the time is up, 500 if Keyward itself is at fault, 401 if there is no such project.
// A number is the status, and what follows it are the fields that the fault names, or its Reason: "400 userID" is a fault of the
// field userID; "409" means that another has what is asked for. A list is a 400 of sort, filter[], page or pageSize if it is asked for
// in a way that the API does not allow ("as every list"). What callers tell apart they tell by errors.Is: a user who does not exist is
// account.ErrUnknown, one who may not take part ErrInactive or ErrDisabled, a passkey that the user does not have ErrUnknownCredential.
//
// A method that may be called twice to the same effect as once says so below its comment, and over NATS another instance is then asked if
// one is late. keyward:repeatable is what reads or decides: a decision that nobody heard of is a record more. keyward:seeded is what may be
// called twice with one seed: an event has an ID, its own or the seed's, by which the log knows it, and of two offers in one process one is
// answered. A finish is neither: the first call may have spent the challenge, so that the second would refuse what has succeeded.
package service

import (
	"context"
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/place"
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
type List = listing.List

// EventList is List for passkey events.
type EventList struct {
	List
	IncludeEngine bool `json:"includeEngine,omitempty"`
}

// Users is the part of the ceremony service that keeps accounts.
type Users interface {
	// CreateUser creates a user. 409 explicitWebauthnID if another user of the project has it. 400 status, fullName,
	// explicitWebauthnID.
	CreateUser(context.Context, ForProject[rest.UserCreateReq]) (rest.User, error)
	// ListUsers returns a page of the users of the project. 400 as every list; 503 while the lists are being read anew.
	//
	//keyward:repeatable
	ListUsers(context.Context, ForProject[List]) (rest.UserList, error)
	// GetUser returns a user. 400 userID.
	//
	//keyward:repeatable
	GetUser(context.Context, ForUser[Empty]) (rest.User, error)
	// UpdateUser changes the name and the status; what the request does not name stays as it is. 400 userID, status, fullName.
	UpdateUser(context.Context, ForUser[rest.UserUpdateReq]) (rest.User, error)
	// GetUserLabels returns the labels of a user, sorted. 400 userID.
	//
	//keyward:repeatable
	GetUserLabels(context.Context, ForUser[Empty]) (rest.UserLabels, error)
	// SetUserLabels replaces the labels of a user and tells of it, unless they are the same. 400 userID, labels: each has to be one
	// that the policy declares.
	SetUserLabels(context.Context, ForUser[rest.UserLabels]) (rest.UserLabels, error)
	// DeleteUser deletes a user and all that is kept of them but the event that tells of it. From its first write on there is no
	// such user to anybody. 400 userID; 503 if the deletion has begun and goes on by itself.
	DeleteUser(context.Context, ForUser[Empty]) (Empty, error)
	// ListCredentials returns a page of the passkeys of a user, oldest first. 400 userID and as every list.
	//
	//keyward:repeatable
	ListCredentials(context.Context, ForUser[List]) (rest.CredentialList, error)
	// DeleteCredential deletes a passkey, which stops working at once. 400 userID, credentialID.
	DeleteCredential(context.Context, ForUser[ident.CredentialID]) (Empty, error)
	// ListChallenges returns a page of the WebAuthn challenges of a user, newest first. Of logins those of the last 64 offers are
	// there, and of mediations none, since nobody is named by them. 400 userID and as every list.
	//
	//keyward:repeatable
	ListChallenges(context.Context, ForUser[List]) (rest.PasskeyChallengeList, error)
	// UpdateChallenge moves the status of a challenge forward, from pending to completed to consumed; away from pending it cannot be
	// finished any more. 400 userID, passkeyChallengeID, status.
	UpdateChallenge(context.Context, ForUser[patch.Challenge]) (rest.PasskeyChallenge, error)
}

// Passkeys is the part of the ceremony service that runs WebAuthn ceremonies. In the requests the user ID is part of the body, as on the
// wire.
type Passkeys interface {
	// AppendStart asks whether to offer the creation of a passkey and returns options if so. Then the challenge is stored and the
	// offer is in the log, once for all calls with one seed: each finds what is answered good, and no other is judged by it. 400 userID,
	// username.
	//
	//keyward:seeded
	AppendStart(context.Context, ForProject[rest.PasskeyAppendStartReq]) (Judged[rest.PasskeyAppendStartRsp], error)
	// AppendFinish verifies what the authenticator made of the options, keeps the passkey and logs it; the challenge is spent by the
	// attempt. 400 userID (also if the user is not active), attestationResponse; 409 attestationResponse if the passkey is there
	// already.
	AppendFinish(context.Context, ForProject[rest.PasskeyAppendFinishReq]) (Finished[rest.PasskeyAppendFinishRsp], error)
	// LoginStart asks whether to offer a login and returns options if so. When it has returned, the next decision for the user sees
	// what was answered. 400 userID.
	//
	//keyward:seeded
	LoginStart(context.Context, ForProject[rest.PasskeyLoginStartReq]) (Judged[rest.PasskeyLoginStartRsp], error)
	// LoginFinish verifies what the authenticator made of the options and logs the login; the challenge is spent by the attempt. 400
	// userID (also if the user is not active), assertionResponse.
	LoginFinish(context.Context, ForProject[rest.PasskeyLoginFinishReq]) (Finished[rest.PasskeyLoginFinishRsp], error)
	// MediationStart is LoginStart for a login that names nobody. Nothing is stored of what it offers: the challenge is its own state.
	//
	//keyward:seeded
	MediationStart(context.Context, ForProject[rest.PasskeyMediationStartReq]) (Judged[rest.PasskeyMediationStartRsp], error)
	// MediationFinish is LoginFinish for whoever has the passkey. That it was deleted here is no fault but the error in the answer.
	// 400 assertionResponse, also if nobody has it or the user is not active.
	MediationFinish(context.Context, ForProject[rest.PasskeyMediationFinishReq]) (Finished[rest.PasskeyMediationFinishRsp], error)
}

// Directory is the part of the ceremony service that keeps what users are known by and seen with.
type Directory interface {
	// CreateIdentifier gives a user an identifier. 409 identifierValue if any user of the project has it, this one included. 400
	// userID, identifierType, identifierValue (also if the user has too many), status.
	CreateIdentifier(context.Context, ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error)
	// UpdateIdentifier changes the status of an identifier; of each type one at most is primary. 400 userID, identifierID, status.
	UpdateIdentifier(context.Context, ForUser[patch.Identifier]) (rest.Identifier, error)
	// DeleteIdentifier takes an identifier from a user. The value is free when it has returned. 400 userID, identifierID.
	DeleteIdentifier(context.Context, ForUser[ident.IdentifierID]) (Empty, error)
	// ListIdentifiers returns a page of the identifiers of the project. 400 and 503 as ListUsers.
	//
	//keyward:repeatable
	ListIdentifiers(context.Context, ForProject[List]) (rest.IdentifierList, error)
	// CreateSocialAccount gives a user an account at a provider. 409 foreignID if any user of the project has it, this one included.
	// 400 userID, providerType, foreignID (also if the user has too many), avatarURL, fullName.
	CreateSocialAccount(context.Context, ForUser[rest.SocialAccountCreateReq]) (rest.SocialAccount, error)
	// ListUserSocialAccounts returns a page of the social accounts of a user. 400 userID and as every list.
	//
	//keyward:repeatable
	ListUserSocialAccounts(context.Context, ForUser[List]) ([]rest.SocialAccount, error)
	// ListSocialAccounts returns a page of the social accounts of the project. 400 and 503 as ListUsers.
	//
	//keyward:repeatable
	ListSocialAccounts(context.Context, ForProject[List]) (rest.SocialAccountList, error)
	// ListClientEnvs returns the environments in which a user was seen, the latest first, each with a new handle. 400 userID.
	//
	//keyward:repeatable
	ListClientEnvs(context.Context, ForUser[Empty]) (rest.ClientEnvList, error)
	// ReportAuthEvent appends an authentication that a caller reports, and names what it is counted for. 400 userID, eventType.
	//
	//keyward:seeded
	ReportAuthEvent(context.Context, ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error)
	// DeleteClientEnv forgets what is remembered of a user in one environment: what happened there before counts in no later decision.
	// Bars stay. One that is forgotten already is left as it is. 400 userID; 404.
	DeleteClientEnv(context.Context, ForUser[ident.EnvironmentID]) (Empty, error)
	// ListPasswordManagers returns what keeps the passkeys of a user, ordered by ID. 400 userID.
	//
	//keyward:repeatable
	ListPasswordManagers(context.Context, ForUser[Empty]) (rest.PasswordManagerList, error)
	// UpdateCname sets the host name under which frontends know the project. 400 cname; 409 cname if another project has it.
	UpdateCname(context.Context, ForProject[rest.CnameUpdateReq]) (Empty, error)
	// UpdateProjectConfig changes the names, origins, hosts and user verification of the project, all or none. 400 name, rpName, origins,
	// relatedOrigins, hosts, userVerification; 409 hosts if another project has one.
	UpdateProjectConfig(context.Context, ForProject[rest.ProjectConfigUpdateReq]) (rest.ProjectConfig, error)
}

// CodeCheck is a value that a user gave back.
type CodeCheck struct {
	ID    ident.CodeID `json:"id"`
	Value string       `json:"value"`
}

// Codes is the part of the ceremony service that sends one-time codes and links. The API calls them challenges.
type Codes interface {
	// CreateCode sends a code or link to an identifier of a user. When it has returned, the delivery has taken it. 400 userID,
	// identifierValue, challengeType, lifetimeSeconds, challengeMetadata, challengeMetadata.redirectUrl; 409 challengeID if a
	// repetition finds it made already; 429 if too many have been sent; 503 if it could not be delivered.
	CreateCode(context.Context, ForUser[rest.ChallengeCreateReq]) (rest.Challenge, error)
	// CheckCode takes a value that a user gave back, which is right once, and verifies the identifier that it was sent to. 400
	// userID, challengeID, value (wrong, used, expired).
	CheckCode(context.Context, ForUser[CodeCheck]) (rest.Challenge, error)
}

// StepUpReport says how a proof went that Keyward does not see.
type StepUpReport struct {
	ID      ident.StepUpID     `json:"id"`
	Outcome rest.StepUpOutcome `json:"outcome"`
}

// StepUps is the part of the ceremony service that keeps what waits for a further proof.
type StepUps interface {
	// ReportStepUp notes how a proof of the caller's went. 404 if there is no such step-up, or it is over; 400 method (also if the step-up
	// is not passed by the caller), outcome.
	ReportStepUp(context.Context, ForProject[StepUpReport]) (rest.StepUpState, error)
	// RedeemStepUp returns what was withheld, once. The login is in the log then, or the passkey in its account. 403 if the proof has not
	// been given; 404 if there is no such step-up, or it is over; 400 userID if the user may not log in any more, stepUpID if the passkey
	// cannot be kept.
	RedeemStepUp(context.Context, ForProject[ident.StepUpID]) (rest.StepUpRedeemRsp, error)
}

// ShortSession asks for a token of one session.
type ShortSession struct {
	ID      ident.SessionID            `json:"id"`
	Request rest.ShortSessionCreateReq `json:"request"`
}

// Sessions is the part of the ceremony service that keeps sessions, and signs what proves a login elsewhere.
type Sessions interface {
	// ListSessions returns a page of the sessions of the project. 400 and 503 as ListUsers.
	//
	//keyward:repeatable
	ListSessions(context.Context, ForProject[List]) (rest.SessionList, error)
	// RevokeSession ends a session; one that has ended already stays as it is. 400 sessionID.
	RevokeSession(context.Context, ForProject[ident.SessionID]) (Empty, error)
	// CreateLongSession opens a session of a user whom the caller has logged in, and takes the caller's word for the identifier. 400
	// userID (also if the user is disabled), identifierValue, appType.
	CreateLongSession(context.Context, ForUser[rest.LongSessionCreateReq]) (rest.LongSession, error)
	// GetUserLongSession returns a session of a user. 400 longSessionID, also if it is of another user.
	//
	//keyward:repeatable
	GetUserLongSession(context.Context, ForUser[ident.SessionID]) (rest.LongSession, error)
	// GetLongSession returns a session. 400 longSessionID.
	//
	//keyward:repeatable
	GetLongSession(context.Context, ForProject[ident.SessionID]) (rest.LongSession, error)
	// UpdateLongSession ends a session; how a session has ended stays. 400 longSessionID, status.
	UpdateLongSession(context.Context, ForUser[patch.Session]) (rest.LongSession, error)
	// CreateShortSession returns a token of a session that is active, which counts as an action of the user. 400 userID (also if the
	// user is disabled), longSessionID (also if the session has ended), appType, issuer.
	CreateShortSession(context.Context, ForUser[ShortSession]) (rest.ShortSession, error)
	// VerifySignedData says whether signed passkey data proves a login, and spends it: of any number of verifications of the same
	// data one succeeds. That it proves nothing is an answer. 400 signedPasskeyData if it is blank.
	VerifySignedData(context.Context, ForProject[rest.VerifySignedDataReq]) (rest.VerifySignedDataRsp, error)
	// PostLogin turns signed passkey data, which it spends, into a session. 400 signedPasskeyData if it proves nothing, userID if
	// the user was deleted or disabled meanwhile.
	PostLogin(context.Context, ForProject[rest.PostLoginReq]) (rest.PostLoginRsp, error)
	// Keys returns the public keys of the project as a JSON Web Key Set (RFC 7517). 404 if there is no such project.
	//
	//keyward:repeatable
	Keys(context.Context, ForProject[Empty]) (json.RawMessage, error)
}

// ConnectTokens is the part of the ceremony service that keeps connect tokens.
type ConnectTokens interface {
	// CreateConnectToken makes a token. Its secret is in this answer and nowhere else. 400 type, data.identifier, data.displayName,
	// maxLifetimeInSeconds.
	CreateConnectToken(context.Context, ForProject[rest.ConnectTokenCreateReq]) (rest.ConnectToken, error)
	// ListConnectTokens returns a page of the tokens of the project. 400 and 503 as ListUsers.
	//
	//keyward:repeatable
	ListConnectTokens(context.Context, ForProject[List]) (rest.ConnectTokenList, error)
	// UpdateConnectToken changes the status; a consumed token stays consumed. 400 connectTokenID, status.
	UpdateConnectToken(context.Context, ForProject[patch.Token]) (Empty, error)
	// DeleteConnectToken deletes a token. 400 connectTokenID.
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
	StepUps
	Evaluations
	Sessions
	ConnectTokens
	Registrations
	CurrentUser
	Connect
	SignIn
}

// Appended says where an event is in the stream of passkey events: its sequence, or, if it has been there for a while, that of a later
// event of the user. Login offers and denials are in another stream; theirs is 0, as is that of an event that was withheld.
type Appended struct {
	Sequence uint64 `json:"sequence"`
	Withheld bool   `json:"withheld,omitempty"` // it was not stored: who has proven nothing has caused as many of the user's as are recorded
}

// Conclusion is an event that ends a ceremony, and what it was judged by.
type Conclusion struct {
	Event   event.Event `json:"event"`
	After   uint64      `json:"after"`   // sequence of the user's newest completed login that was judged; 0 = there was none
	Attempt string      `json:"attempt"` // names the caller's attempt: one that is repeated has the same, and nobody else has
}

// Concluded says what became of a Conclusion. If it was Moved or Ended, nothing is stored.
type Concluded struct {
	Sequence uint64 `json:"sequence,omitempty"` // of the event in the stream of passkey events
	Moved    bool   `json:"moved,omitempty"`    // the user has completed other logins than what was judged
	Ended    bool   `json:"ended,omitempty"`    // another attempt has ended the ceremony
}

// AuthReport is an authentication that a caller reports, with what it is counted for; nothing counts it without.
type AuthReport struct {
	rest.AuthEventCreateReq
	Sighted *event.Sighted `json:"sighted,omitempty"`
}

// Events is the events service. When Create, Append, Conclude or Delete has returned, the change is on disk and the next decision for the
// user sees it.
//
//keyward:service events
type Events interface {
	// Create appends an event that a caller sent, joined to the offer that it answers by what the user's history holds at this
	// moment. 400 userID, eventType, expires.
	//
	//keyward:seeded
	Create(context.Context, ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error)
	// List returns a page of a user's events, newest first; those of the engine's own only if they are asked for. 400 userID and as
	// every list.
	//
	//keyward:repeatable
	List(context.Context, ForUser[EventList]) (rest.PasskeyEventList, error)
	// Delete deletes an event that a caller sent. 400 userID, passkeyEventID (unknown, or a record of the engine's own).
	Delete(context.Context, ForUser[ident.EventID]) (Empty, error)
	// Append appends an event of the engine's own. An event with an ID that the log already holds is not appended twice. Offers of a
	// login and denials go where a power cut may lose the last of them. 400 type.
	//
	//keyward:seeded
	Append(context.Context, event.Event) (Appended, error)
	// Conclude appends the event that completes a login, if the user has completed no other than what it was judged by. 400 type.
	//
	//keyward:repeatable
	Conclude(context.Context, Conclusion) (Concluded, error)
	// CreateAuthEvent appends an authentication that a caller reports. 400 userID, eventType.
	//
	//keyward:seeded
	CreateAuthEvent(context.Context, ForUser[AuthReport]) (rest.AuthEvent, error)
	// Erase removes every event, offer and decision of a user, from the log and the cache, and every webhook delivery and dead
	// letter of the user. What calls that are under way leave is removed later. No user is too unknown for it.
	Erase(context.Context, ForUser[Empty]) (Empty, error)
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
	// CreateWebhook adds an endpoint, which gets every event that is appended after the call has returned. 400 for each field at
	// fault, url also if the project has too many.
	CreateWebhook(context.Context, ForProject[rest.WebhookEndpointCreateReq]) (rest.WebhookEndpoint, error)
	// ListWebhooks returns the endpoints of the project, oldest first, without their secrets.
	//
	//keyward:repeatable
	ListWebhooks(context.Context, ForProject[Empty]) (rest.WebhookEndpointList, error)
	// UpdateWebhook changes an endpoint; what the request does not name stays as it is, and so does a password of stars. 400
	// webhookEndpointID and for each field at fault.
	UpdateWebhook(context.Context, ForProject[patch.Webhook]) (rest.WebhookEndpoint, error)
	// DeleteWebhook removes an endpoint and what is queued for it. 400 webhookEndpointID.
	DeleteWebhook(context.Context, ForProject[ident.WebhookID]) (Empty, error)
	// CreateWebhookSecret adds a secret that deliveries are signed with. It is in this answer and nowhere else. 400
	// webhookEndpointID (also if it has too many), expireOthersInSeconds.
	CreateWebhookSecret(context.Context, ForWebhook[rest.WebhookSecretCreateReq]) (rest.WebhookSecret, error)
	// ListWebhookSecrets returns the secrets that deliveries are signed with, oldest first, without their values. 400
	// webhookEndpointID.
	//
	//keyward:repeatable
	ListWebhookSecrets(context.Context, ForWebhook[Empty]) (rest.WebhookSecretList, error)
	// DeleteWebhookSecret removes a secret. 400 webhookEndpointID, secretID (unknown, or the last that does not expire).
	DeleteWebhookSecret(context.Context, ForWebhook[string]) (Empty, error)
	// ListWebhookDeliveries returns a page of the newest 1,000 attempts that the filters leave. 400 webhookEndpointID and as every
	// list.
	//
	//keyward:repeatable
	ListWebhookDeliveries(context.Context, ForWebhook[List]) (rest.WebhookDeliveryList, error)
	// ListWebhookDeadLetters returns a page of the oldest 10,000 dead letters that the filters leave. 400 as every list.
	//
	//keyward:repeatable
	ListWebhookDeadLetters(context.Context, ForWebhook[List]) (rest.WebhookDeadLetterList, error)
	// PauseWebhook has deliveries to an endpoint wait, or go on. 400 webhookEndpointID if there is no such endpoint.
	PauseWebhook(context.Context, ForWebhook[inquiry.WebhookPause]) (Empty, error)
	// ReplayWebhookDeadLetters queues dead letters anew, all or those that are named; see its list. 400 webhookEndpointID, ids.
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
	Project ident.ProjectID  `json:"project"`
	Account *account.Account `json:"account,omitempty"` // nil = there is no such user
	// The account was read after this stamp was told; empty = just now, from the store
	AccountStamp string                 `json:"accountStamp,omitempty"`
	LookupFailed bool                   `json:"lookupFailed,omitempty"`
	Client       rest.ClientInformation `json:"client"`
	Environment  Environment            `json:"environment"`
	Sighted      *event.Sighted         `json:"sighted,omitempty"`  // what is counted, by the project's tokens; nil = nothing is named
	Frontend     bool                   `json:"frontend,omitempty"` // the client speaks for itself: no backend vouches for what it says
	Process      string                 `json:"process,omitempty"`
	RequestID    ident.RequestID        `json:"requestID,omitempty"`
	Context      json.RawMessage        `json:"context,omitempty"` // what the caller alone knows, as the policy describes it; nil = nothing
}

// LoginQuestion asks whether to offer a passkey login.
type LoginQuestion struct {
	Question
	Strategy rest.CrossDeviceAuthenticationStrategy `json:"strategy"`
	Source   event.Source                           `json:"source,omitempty"`  // how the start came about; empty = not known
	Unknown  bool                                   `json:"unknown,omitempty"` // the account stands for a user that there is not
}

// AppendQuestion asks whether to offer the creation of a passkey.
type AppendQuestion struct {
	Question
	Flags     rest.PasskeyIntelFlags `json:"flags"`
	Situation string                 `json:"situation,omitempty"` // empty = post-login
	// The offer that an earlier attempt of the same call may have made, which nobody has been shown: it is no part of the history
	Unshown ident.EventID `json:"unshown,omitempty"`
}

// Verdict is what every decision answers.
type Verdict struct {
	// Stale says that the question's account may have changed since the question's stamp was told. Nothing was decided then: the account is to
	// be read from the store and the question asked again without a stamp.
	Stale bool `json:"stale,omitempty"`
	// Of the account as it is now: what is read after this is good while the stamp holds
	AccountStamp string `json:"accountStamp,omitempty"`
	Decided
	Rule           string                 `json:"rule"` // row of the decision table, for example L7a
	Allow          bool                   `json:"allow"`
	Tag            rest.DecisionTag       `json:"tag"` // of the wire; of a RolloutQuestion one of its own
	Experiments    []string               `json:"experiments"`
	Insights       rest.DetectionInsights `json:"insights"`
	OS             string                 `json:"os"` // as detected, for the records of the ceremony
	OSVersion      string                 `json:"osVersion"`
	Browser        string                 `json:"browser"`
	BrowserVersion string                 `json:"browserVersion"`
	// ReplacesSecondFactor says that a passkey stands for the second factor too: its user is to be verified, and the login says so.
	ReplacesSecondFactor bool `json:"replacesSecondFactor,omitempty"`
	// NextEligibleAt is when the same question is not refused any more for the same reason, in whole seconds; zero if that is not a matter of
	// time.
	NextEligibleAt time.Time `json:"nextEligibleAt,omitzero"`
	// Incomplete says that something could not be looked up, or that the policy did not answer: a moment later the answer may be another.
	Incomplete bool `json:"incomplete,omitempty"`
	// Place is where the client's address is, as far as the operator's databases tell; of the end of a ceremony alone
	Place place.Place `json:"place,omitzero"`
	// NewCountry says that the account has succeeded before, and never from the country of Place; of the end of a ceremony alone
	NewCountry bool `json:"newCountry,omitempty"`
	// Risk is how the request was judged beside that; nil if the bundle has no rules for it. It changes nothing of the above
	Risk *Risk `json:"risk,omitempty"`
}

// LoginVerdict answers a LoginQuestion. The options fields are meaningful only if Allow is true.
type LoginVerdict struct {
	Verdict
	Reason                     string               `json:"reason,omitempty"` // why none is offered; empty if one is
	Route                      event.Route          `json:"route"`
	IsCDACandidate             bool                 `json:"isCDACandidate"`
	OtherDevice                string               `json:"otherDevice,omitempty"` // what holds its passkey, if the history says so
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
	UserVerification    string               `json:"userVerification"` // required or preferred
	// Of authenticators that may create the passkey, in lower case; empty = any
	AllowedAAGUIDs []string `json:"allowedAaguids,omitempty"`
	// Tag of the offer that a further proof would give, for want of which alone there is none; empty = it would not
	Withheld rest.DecisionTag `json:"withheld,omitempty"`
}

// Decision is the decision service. It answers with the safe default rather than fail; an error means that not even that could be said.
//
//keyward:service decision
type Decision interface {
	// Login decides whether to offer a passkey login. It reads the history of the user up to now.
	//
	//keyward:repeatable
	Login(context.Context, LoginQuestion) (LoginVerdict, error)
	// Append decides whether to offer the creation of a passkey. It reads the history of the user up to now.
	//
	//keyward:repeatable
	Append(context.Context, AppendQuestion) (AppendVerdict, error)
	// Mediation decides whether to offer a login that names nobody. The account of the question does not matter.
	//
	//keyward:repeatable
	Mediation(context.Context, Question) (Verdict, error)
	// Rollout decides whether passkeys are switched on. The account of the question does not matter.
	//
	//keyward:repeatable
	Rollout(context.Context, RolloutQuestion) (Verdict, error)
	// Finish judges how risky it is to take an answer that was verified. It reads the history of the user up to now. A verdict without
	// Risk is none: the policy has no rules for it, and nothing is recorded.
	//
	//keyward:repeatable
	Finish(context.Context, FinishQuestion) (Verdict, error)
	// Vouch finds what the policy has, just now, against taking a login with each of an account's passkeys that verifies its user for a
	// further proof. Nothing is recorded of it. The history of the user is read up to now.
	//
	//keyward:repeatable
	Vouch(context.Context, Question) (Vouched, error)
	// Evaluate judges how risky it is to let a user do what is no ceremony. It reads the history of the user up to now. 400 action, context.
	//
	//keyward:repeatable
	Evaluate(context.Context, EvaluateQuestion) (Verdict, error)
	// CheckContext reports whether what a caller adds to a question is what the policy takes in a project. Questions with what it does not
	// take are judged as if nothing had been added: a policy may have changed since it was asked. 400 context, and what is below it.
	//
	//keyward:repeatable
	CheckContext(context.Context, ForProject[json.RawMessage]) (Empty, error)
	// Labels returns the names that the policy declares as labels of a project's users, sorted.
	//
	//keyward:repeatable
	Labels(context.Context, ForProject[Empty]) ([]string, error)
}

// EventReader reads a user's history: what is in the cache if that can be trusted, otherwise the log.
type EventReader interface {
	// Read returns the user's set of events in no particular order. With an accountStamp, it does so only if the account that came with it is
	// still good: if every change of the account of which anybody had been told before the call is in what was read after the stamp was told.
	Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (event.Reading, error)
	// Offers returns the user's recent login-offered and login-denied events, newest first; bounded. If texts are given, those may be left
	// out that have none of them for a value, such as their process or challenge.
	Offers(ctx context.Context, project ident.ProjectID, user ident.UserID, about ...string) ([]event.Event, error)
}
