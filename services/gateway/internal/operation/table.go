package operation

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// Services are what the operations are of.
type Services struct {
	Ceremony service.Ceremony
	Events   service.Events
	Webhooks service.Webhooks
	// Explanations may be nil if no operation of the page to try passkeys with is ever called.
	Explanations service.Explanations
	// Keys and Stream answer by themselves.
	Keys, Stream fiber.Handler
	// WellKnown answers with a document of the project that is visited.
	WellKnown func(document func(project.Project) any) fiber.Handler
}

// Backend is the table of the operations of the Backend API.
func Backend(s Services) []Row {
	return []Row{
		ofProject("createUser", s.Ceremony.CreateUser, Body),
		ofProject("listUsers", s.Ceremony.ListUsers, List),
		ofUser("getUser", s.Ceremony.GetUser, Nothing),
		ofUser("updateUser", s.Ceremony.UpdateUser, Body),
		ofUser("getUserLabels", s.Ceremony.GetUserLabels, Nothing),
		ofUser("setUserLabels", s.Ceremony.SetUserLabels, Body),
		ofUser("deleteUser", s.Ceremony.DeleteUser, Nothing),
		ofUser("listCredentials", s.Ceremony.ListCredentials, List),
		ofUser("deleteCredential", s.Ceremony.DeleteCredential, ID),
		ofUser("listPasskeyChallenges", s.Ceremony.ListChallenges, List),
		ofUser("updatePasskeyChallenge", s.Ceremony.UpdateChallenge, Change(challengePatch)),
		ofUser("createPasskeyEvent", s.Events.Create, Body),
		ofUser("listPasskeyEvents", s.Events.List, eventList),
		ofUser("deletePasskeyEvent", s.Events.Delete, ID),
		ofProject("passkeyAppendStart", s.Ceremony.AppendStart, judgedBody),
		ofProject("passkeyAppendFinish", s.Ceremony.AppendFinish, judgedBody),
		ofProject("passkeyLoginStart", s.Ceremony.LoginStart, judgedBody),
		ofProject("passkeyLoginFinish", s.Ceremony.LoginFinish, judgedBody),
		ofProject("passkeyMediationStart", s.Ceremony.MediationStart, judgedBody),
		ofProject("passkeyMediationFinish", s.Ceremony.MediationFinish, judgedBody),
		ofProject("evaluateRisk", s.evaluate, Body),
		ofProject("evaluateAccess", s.evaluateAccess, Body),
		ofProject("evaluateAccesses", s.evaluateAccesses, Body),
		ofProject("tellRiskOutcome", s.Ceremony.TellRiskOutcome, Change(riskFeedback)),
		ofProject("reportStepUp", s.Ceremony.ReportStepUp, Change(stepUpReport)),
		ofProject("redeemStepUp", s.Ceremony.RedeemStepUp, ID),
		ofUser("createSocialAccount", s.Ceremony.CreateSocialAccount, Body),
		ofUser("listUserSocialAccounts", s.Ceremony.ListUserSocialAccounts, List),
		ofProject("listSocialAccounts", s.Ceremony.ListSocialAccounts, List),
		ofUser("createIdentifier", s.Ceremony.CreateIdentifier, Body),
		ofUser("updateIdentifier", s.Ceremony.UpdateIdentifier, Change(identifierPatch)),
		ofUser("deleteIdentifier", s.Ceremony.DeleteIdentifier, ID),
		ofProject("listIdentifiers", s.Ceremony.ListIdentifiers, List),
		ofUser("createChallenge", s.Ceremony.CreateCode, Body),
		ofUser("updateChallenge", s.Ceremony.CheckCode, Change(codeCheck)),
		ofUser("createAuthEvent", s.Ceremony.ReportAuthEvent, Body),
		ofUser("listPasswordManagers", s.Ceremony.ListPasswordManagers, Nothing),
		ofUser("listClientEnvs", s.Ceremony.ListClientEnvs, Nothing),
		ofUser("deleteClientEnv", s.Ceremony.DeleteClientEnv, ID),
		ofProject("updateProjectConfig", s.Ceremony.UpdateProjectConfig, Body),
		ofProject("updateCname", s.Ceremony.UpdateCname, Body),
		ofProject("createConnectToken", s.Ceremony.CreateConnectToken, Body),
		ofProject("listConnectTokens", s.Ceremony.ListConnectTokens, List),
		ofProject("updateConnectToken", s.Ceremony.UpdateConnectToken, Change(tokenPatch)),
		ofProject("deleteConnectToken", s.Ceremony.DeleteConnectToken, ID),
		ofProject("listSessions", s.Ceremony.ListSessions, List),
		ofProject("revokeSession", s.Ceremony.RevokeSession, ID),
		ofUser("createLongSession", s.Ceremony.CreateLongSession, Body),
		ofUser("getUserLongSession", s.Ceremony.GetUserLongSession, ID),
		ofProject("getLongSession", s.Ceremony.GetLongSession, ID),
		ofUser("updateLongSession", s.Ceremony.UpdateLongSession, Change(sessionPatch)),
		ofUser("createShortSession", s.Ceremony.CreateShortSession, Change(shortSession)),
		ofProject("passkeyVerifySignedData", s.Ceremony.VerifySignedData, Body),
		ofProject("passkeysVerifySignedData", s.Ceremony.VerifySignedData, Body),
		ofProject("passkeyPostLogin", s.Ceremony.PostLogin, Body),
		ofProject("createWebhookEndpoint", s.Webhooks.CreateWebhook, Body),
		ofProject("listWebhookEndpoints", s.Webhooks.ListWebhooks, Nothing),
		ofProject("updateWebhookEndpoint", s.Webhooks.UpdateWebhook, Change(webhookPatch)),
		ofProject("deleteWebhookEndpoint", s.Webhooks.DeleteWebhook, ID),
		ofWebhook("createWebhookSecret", s.Webhooks.CreateWebhookSecret, Body),
		ofWebhook("listWebhookSecrets", s.Webhooks.ListWebhookSecrets, Nothing),
		ofWebhook("deleteWebhookSecret", s.Webhooks.DeleteWebhookSecret, ID),
		ofWebhook("listWebhookDeliveries", s.Webhooks.ListWebhookDeliveries, List),
		ofWebhook("listWebhookDeadLetters", s.Webhooks.ListWebhookDeadLetters, List),
		ofWebhook("replayWebhookDeadLetters", s.Webhooks.ReplayWebhookDeadLetters, Body),
		Plain("getKeys", s.Keys),
		Plain("getAccessConfiguration", accessConfiguration),
		Plain("streamEvents", s.Stream),
	}
}

// Frontend is the table of the operations of the Frontend API.
func Frontend(s Services) []Row {
	explain := func(ctx context.Context, q service.ForProject[ident.DecisionID]) (frontend.TrialDecision, error) {
		return s.Explanations.ExplainDecision(ctx, q) // there may be none
	}
	return []Row{
		ofVisit("getSessionConfig", s.Ceremony.GetSessionConfig, Nothing),
		ofVisit("getProcessConfig", s.Ceremony.GetProcessConfig, Nothing),
		ofVisit("getUserDetailsConfig", s.Ceremony.GetUserDetailsConfig, Nothing),
		ofVisit("currentUserGet", s.Ceremony.CurrentUserGet, Nothing),
		ofVisit("currentUserUpdate", s.Ceremony.CurrentUserUpdate, Body),
		ofVisit("currentUserDelete", s.Ceremony.CurrentUserDelete, Nothing),
		ofVisit("currentUserPasskeyGet", s.Ceremony.CurrentUserPasskeyGet, List),
		ofVisit("currentUserPasskeyAppendStart", s.Ceremony.CurrentUserPasskeyAppendStart, Body),
		ofVisit("currentUserPasskeyAppendFinish", s.Ceremony.CurrentUserPasskeyAppendFinish, Body),
		ofVisit("currentUserPasskeyDelete", s.Ceremony.CurrentUserPasskeyDelete, ID),
		ofVisit("currentUserSessionRefresh", s.Ceremony.CurrentUserSessionRefresh, Nothing),
		ofVisit("currentUserSessionLogout", s.Ceremony.CurrentUserSessionLogout, Nothing),
		ofVisit("currentUserIdentifierCreate", s.Ceremony.CurrentUserIdentifierCreate, Body),
		ofVisit("currentUserIdentifierUpdate", s.Ceremony.CurrentUserIdentifierUpdate, Body),
		ofVisit("currentUserIdentifierDelete", s.Ceremony.CurrentUserIdentifierDelete, Body),
		ofVisit("currentUserIdentifierVerifyStart", s.Ceremony.CurrentUserIdentifierVerifyStart, Body),
		ofVisit("currentUserIdentifierVerifyFinish", s.Ceremony.CurrentUserIdentifierVerifyFinish, Body),
		ofVisit("oidcUserInfo", s.Ceremony.OidcUserInfo, Nothing),
		ofVisit("connectLoginInit", s.Ceremony.ConnectLoginInit, Body),
		ofVisit("connectLoginStart", s.Ceremony.ConnectLoginStart, Body),
		ofVisit("connectLoginFinish", s.Ceremony.ConnectLoginFinish, Body),
		ofVisit("connectAppendInit", s.Ceremony.ConnectAppendInit, Body),
		ofVisit("connectAppendStart", s.Ceremony.ConnectAppendStart, Body),
		ofVisit("connectAppendFinish", s.Ceremony.ConnectAppendFinish, Body),
		ofVisit("connectManageInit", s.Ceremony.ConnectManageInit, Body),
		ofVisit("connectManageList", s.Ceremony.ConnectManageList, Body),
		ofVisit("connectManageDelete", s.Ceremony.ConnectManageDelete, Body),
		ofVisit("connectEventCreate", s.Ceremony.ConnectEventCreate, Body),
		ofVisit("connectEventsLowCreate", s.Ceremony.ConnectEventsLowCreate, Body),
		ofVisit("connectProcessClear", s.Ceremony.ConnectProcessClear, Body),
		ofVisit("processInit", s.Ceremony.ProcessInit, Body),
		ofVisit("processGet", s.Ceremony.ProcessGet, preferredBlock),
		ofVisit("processComplete", s.Ceremony.ProcessComplete, Nothing),
		ofVisit("processReset", s.Ceremony.ProcessReset, Nothing),
		ofVisit("blockSkip", s.Ceremony.BlockSkip, Nothing),
		ofVisit("signupInit", s.Ceremony.SignupInit, Body),
		ofVisit("loginInit", s.Ceremony.LoginInit, Body),
		ofVisit("passkeyAppendStart", s.Ceremony.PasskeyAppendStart, Body),
		ofVisit("passkeyAppendFinish", s.Ceremony.PasskeyAppendFinish, Body),
		ofVisit("passkeyLoginStart", s.Ceremony.PasskeyLoginStart, Body),
		ofVisit("passkeyLoginFinish", s.Ceremony.PasskeyLoginFinish, Body),
		ofVisit("passkeyMediationFinish", s.Ceremony.PasskeyMediationFinish, Body),
		ofVisit("identifierVerifyStart", s.Ceremony.IdentifierVerifyStart, Body),
		ofVisit("identifierVerifyFinish", s.Ceremony.IdentifierVerifyFinish, Body),
		ofVisit("identifierVerifyStatus", s.Ceremony.IdentifierVerifyStatus, Nothing),
		ofVisit("identifierUpdate", s.Ceremony.IdentifierUpdate, Body),
		ofVisit("socialVerifyStart", s.Ceremony.SocialVerifyStart, Body),
		ofVisit("socialVerifyCallback", s.Ceremony.SocialVerifyFinish, Nothing),
		ofVisit("socialVerifyFinish", s.Ceremony.SocialVerifyFinish, Nothing),
		ofVisit("authEventCreate", s.Ceremony.AuthEventCreate, Body),
		ofProject("trialDecision", explain, ID),
		ofVisit("trialEvents", s.recentEvents, Nothing),
		Plain("appleAppSiteAssociation", s.WellKnown(func(p project.Project) any { return appleAppSiteAssociation(p.Frontend) })),
		Plain("assetLinks", s.WellKnown(func(p project.Project) any { return assetLinks(p.Frontend) })),
		Plain("passkeyEndpoints", s.WellKnown(func(p project.Project) any { return passkeyEndpoints(p.Frontend) })),
		Plain("relatedOrigins", s.WellKnown(func(p project.Project) any { return relatedOrigins(p) })),
	}
}

func challengePatch(id string, b rest.PasskeyChallengeUpdateReq) patch.Challenge {
	return patch.Challenge{ID: ident.ChallengeID(id), Status: b.Status}
}

func identifierPatch(id string, b rest.IdentifierUpdateReq) patch.Identifier {
	return patch.Identifier{ID: ident.IdentifierID(id), Status: b.Status}
}

func codeCheck(id string, b rest.ChallengeUpdateReq) service.CodeCheck {
	return service.CodeCheck{ID: ident.CodeID(id), Value: b.Value}
}

func riskFeedback(id string, b rest.RiskFeedbackReq) service.RiskFeedback {
	return service.RiskFeedback{Decision: ident.DecisionID(id), Said: b}
}

func stepUpReport(id string, b rest.StepUpOutcome) service.StepUpReport {
	return service.StepUpReport{ID: ident.StepUpID(id), Outcome: b}
}

func tokenPatch(id string, b rest.ConnectTokenUpdateReq) patch.Token {
	return patch.Token{ID: ident.ConnectTokenID(id), Status: b.Status}
}

func sessionPatch(id string, b rest.LongSessionUpdateReq) patch.Session {
	return patch.Session{ID: ident.SessionID(id), Status: b.Status}
}

func shortSession(id string, b rest.ShortSessionCreateReq) service.ShortSession {
	return service.ShortSession{ID: ident.SessionID(id), Request: b}
}

func webhookPatch(id string, b rest.WebhookEndpointUpdateReq) patch.Webhook {
	return patch.Webhook{ID: ident.WebhookID(id), Changes: b}
}

// trialEvents is how many events the page for trying things out shows.
const trialEvents = 50

// recentEvents are the latest events of the user who is logged in.
func (s Services) recentEvents(ctx context.Context, q service.ForVisit[service.Empty]) (frontend.TrialEvents, error) {
	user, err := s.Ceremony.CurrentUser(ctx, q)
	if err != nil {
		return frontend.TrialEvents{}, err
	}
	list, err := s.Events.List(ctx, service.ForUser[service.EventList]{Project: q.Visit.Project, User: user, Body: service.EventList{
		List: service.List{Sort: "created:desc", Page: 1, PageSize: trialEvents}, IncludeEngine: true,
	}})
	if err != nil {
		return frontend.TrialEvents{}, err
	}
	events := make([]frontend.TrialEvent, 0, len(list.PasskeyEvents))
	for _, e := range list.PasskeyEvents {
		events = append(events, frontend.TrialEvent{
			PasskeyEventID: e.PasskeyEventID, EventType: e.EventType, CreatedMs: e.CreatedMs,
			ProcessID: e.ProcessID, CredentialID: e.CredentialID, ClientEnvID: e.ClientEnvID,
		})
	}
	return frontend.TrialEvents{Events: events}, nil
}
