package gateway_test

import (
	"context"
	"encoding/json"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

const anySession = "abcdefghijklmnopqrstuvwxyz0123"

func (r *recorded) CreateIdentifier(ctx context.Context, q service.ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error) {
	return rest.Identifier{IdentifierID: "ide-1", Type: q.Body.IdentifierType, Value: q.Body.IdentifierValue, Status: q.Body.Status, UserID: string(q.User)}, r.record(ctx, "createIdentifier", q)
}

func (r *recorded) UpdateIdentifier(ctx context.Context, q service.ForUser[service.IdentifierPatch]) (rest.Identifier, error) {
	return rest.Identifier{IdentifierID: string(q.Body.ID), Type: rest.IdentifierTypeEmail, Status: q.Body.Status, UserID: string(q.User)}, r.record(ctx, "updateIdentifier", q)
}

func (r *recorded) DeleteIdentifier(ctx context.Context, q service.ForUser[ident.IdentifierID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteIdentifier", q)
}

func (r *recorded) ListIdentifiers(ctx context.Context, q service.ForProject[service.List]) (rest.IdentifierList, error) {
	return rest.IdentifierList{}, r.record(ctx, "listIdentifiers", q)
}

func (r *recorded) CreateSocialAccount(ctx context.Context, q service.ForUser[rest.SocialAccountCreateReq]) (rest.SocialAccount, error) {
	return rest.SocialAccount{SocialAccountID: "soc-1", ProviderType: q.Body.ProviderType, UserID: string(q.User), ForeignID: q.Body.ForeignID}, r.record(ctx, "createSocialAccount", q)
}

func (r *recorded) ListUserSocialAccounts(ctx context.Context, q service.ForUser[service.List]) ([]rest.SocialAccount, error) {
	return nil, r.record(ctx, "listUserSocialAccounts", q)
}

func (r *recorded) ListSocialAccounts(ctx context.Context, q service.ForProject[service.List]) (rest.SocialAccountList, error) {
	return rest.SocialAccountList{}, r.record(ctx, "listSocialAccounts", q)
}

func (r *recorded) ListClientEnvs(ctx context.Context, q service.ForUser[service.Empty]) (rest.ClientEnvList, error) {
	return rest.ClientEnvList{}, r.record(ctx, "listClientEnvs", q)
}

func (r *recorded) ListPasswordManagers(ctx context.Context, q service.ForUser[service.Empty]) (rest.PasswordManagerList, error) {
	return rest.PasswordManagerList{}, r.record(ctx, "listPasswordManagers", q)
}

func (r *recorded) UpdateCname(ctx context.Context, q service.ForProject[rest.CnameUpdateReq]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "updateCname", q)
}

func (r *recorded) CreateCode(ctx context.Context, q service.ForUser[rest.ChallengeCreateReq]) (rest.Challenge, error) {
	return rest.Challenge{ChallengeID: "cha-1", Type: q.Body.ChallengeType, IdentifierValue: q.Body.IdentifierValue, Value: "123456", Status: rest.ChallengeStatusPending}, r.record(ctx, "createChallenge", q)
}

func (r *recorded) CheckCode(ctx context.Context, q service.ForUser[service.CodeCheck]) (rest.Challenge, error) {
	return rest.Challenge{ChallengeID: string(q.Body.ID), Type: rest.ChallengeTypeEmailOtp, Value: q.Body.Value, Status: rest.ChallengeStatusCompleted}, r.record(ctx, "updateChallenge", q)
}

func (r *recorded) ListSessions(ctx context.Context, q service.ForProject[service.List]) (rest.SessionList, error) {
	return rest.SessionList{}, r.record(ctx, "listSessions", q)
}

func (r *recorded) RevokeSession(ctx context.Context, q service.ForProject[ident.SessionID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "revokeSession", q)
}

func longSession(id ident.SessionID, user ident.UserID) rest.LongSession {
	return rest.LongSession{LongSessionID: string(id), UserID: string(user), Status: rest.SessionStatusActive, Expires: "2026-11-22T12:00:00"}
}

func (r *recorded) CreateLongSession(ctx context.Context, q service.ForUser[rest.LongSessionCreateReq]) (rest.LongSession, error) {
	return longSession(anySession, q.User), r.record(ctx, "createLongSession", q)
}

func (r *recorded) GetUserLongSession(ctx context.Context, q service.ForUser[ident.SessionID]) (rest.LongSession, error) {
	return longSession(q.Body, q.User), r.record(ctx, "getUserLongSession", q)
}

func (r *recorded) GetLongSession(ctx context.Context, q service.ForProject[ident.SessionID]) (rest.LongSession, error) {
	return longSession(q.Body, "usr-1"), r.record(ctx, "getLongSession", q)
}

func (r *recorded) UpdateLongSession(ctx context.Context, q service.ForUser[service.SessionPatch]) (rest.LongSession, error) {
	session := longSession(q.Body.ID, q.User)
	session.Status = q.Body.Status
	return session, r.record(ctx, "updateLongSession", q)
}

func (r *recorded) CreateShortSession(ctx context.Context, q service.ForUser[service.ShortSession]) (rest.ShortSession, error) {
	return rest.ShortSession{Value: "a.b.c"}, r.record(ctx, "createShortSession", q)
}

func (r *recorded) VerifySignedData(ctx context.Context, q service.ForProject[rest.VerifySignedDataReq]) (rest.VerifySignedDataRsp, error) {
	return rest.VerifySignedDataRsp{VerificationResult: rest.VerifySignedDataRspVerificationResultSuccess}, r.record(ctx, "verifySignedData", q)
}

func (r *recorded) PostLogin(ctx context.Context, q service.ForProject[rest.PostLoginReq]) (rest.PostLoginRsp, error) {
	return rest.PostLoginRsp{Session: "a.b.c"}, r.record(ctx, "passkeyPostLogin", q)
}

func (r *recorded) Keys(ctx context.Context, q service.ForProject[service.Empty]) (json.RawMessage, error) {
	return json.RawMessage(`{"keys":[{"kty":"EC","kid":"pki-1","crv":"P-256","x":"AA","y":"AA"}]}`), r.record(ctx, "getKeys", q)
}

func connectToken(id string) rest.ConnectToken {
	secret := "ctk1_shown"
	return rest.ConnectToken{ID: id, TokenType: rest.ConnectTokenTypePasskeyLogin, ConnectTokenStatus: rest.ConnectTokenStatusInitial, Data: rest.ConnectTokenData{Identifier: "a"}, Secret: &secret}
}

func (r *recorded) CreateConnectToken(ctx context.Context, q service.ForProject[rest.ConnectTokenCreateReq]) (rest.ConnectToken, error) {
	return connectToken("ctk-1"), r.record(ctx, "createConnectToken", q)
}

func (r *recorded) ListConnectTokens(ctx context.Context, q service.ForProject[service.List]) (rest.ConnectTokenList, error) {
	return rest.ConnectTokenList{}, r.record(ctx, "listConnectTokens", q)
}

func (r *recorded) UpdateConnectToken(ctx context.Context, q service.ForProject[service.TokenPatch]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "updateConnectToken", q)
}

func (r *recorded) DeleteConnectToken(ctx context.Context, q service.ForProject[ident.ConnectTokenID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteConnectToken", q)
}

func (r recordedEvents) CreateAuthEvent(ctx context.Context, q service.ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error) {
	return rest.AuthEvent{AuthEventID: "pke-1", UserID: string(q.User), Username: q.Body.Username, EventType: q.Body.EventType, Method: q.Body.Method, Status: q.Body.Status,
		Created: "2026-11-22T12:00:00"}, r.record(ctx, "createAuthEvent", q)
}

func (r *recorded) CreateWebhook(ctx context.Context, q service.ForProject[rest.WebhookEndpointCreateReq]) (rest.WebhookEndpoint, error) {
	return rest.WebhookEndpoint{ID: "whe-1", URL: q.Body.URL, SubscribedEvents: q.Body.SubscribedEvents, CustomHeaders: map[string]string{}}, r.record(ctx, "createWebhookEndpoint", q)
}

func (r *recorded) ListWebhooks(ctx context.Context, q service.ForProject[service.Empty]) (rest.WebhookEndpointList, error) {
	return rest.WebhookEndpointList{}, r.record(ctx, "listWebhookEndpoints", q)
}

func (r *recorded) UpdateWebhook(ctx context.Context, q service.ForProject[service.WebhookPatch]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "updateWebhookEndpoint", q)
}

func (r *recorded) DeleteWebhook(ctx context.Context, q service.ForProject[ident.WebhookID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteWebhookEndpoint", q)
}

func (r *recorded) CreateWebhookSecret(ctx context.Context, q service.ForWebhook[rest.WebhookSecretCreateReq]) (rest.WebhookSecret, error) {
	return rest.WebhookSecret{ID: "whs-1"}, r.record(ctx, "createWebhookSecret", q)
}

func (r *recorded) ListWebhookSecrets(ctx context.Context, q service.ForWebhook[service.Empty]) (rest.WebhookSecretList, error) {
	return rest.WebhookSecretList{}, r.record(ctx, "listWebhookSecrets", q)
}

func (r *recorded) DeleteWebhookSecret(ctx context.Context, q service.ForWebhook[string]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteWebhookSecret", q)
}

func (r *recorded) ListWebhookDeliveries(ctx context.Context, q service.ForWebhook[service.List]) (rest.WebhookDeliveryList, error) {
	return rest.WebhookDeliveryList{}, r.record(ctx, "listWebhookDeliveries", q)
}

func (r *recorded) ListWebhookDeadLetters(ctx context.Context, q service.ForWebhook[service.List]) (rest.WebhookDeadLetterList, error) {
	return rest.WebhookDeadLetterList{}, r.record(ctx, "listWebhookDeadLetters", q)
}

func (r *recorded) ReplayWebhookDeadLetters(ctx context.Context, q service.ForWebhook[rest.WebhookReplayReq]) (rest.WebhookReplayRsp, error) {
	return rest.WebhookReplayRsp{Queued: 1}, r.record(ctx, "replayWebhookDeadLetters", q)
}
