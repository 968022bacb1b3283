package operation

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// Services are what the operations are of.
type Services struct {
	Ceremony service.Ceremony
	Events   service.Events
	Webhooks service.Webhooks
	Policies service.Policies
	// Decisions are looked through with the Operator API alone, and DecisionStream answers by itself.
	Decisions      service.Decisions
	DecisionStream fiber.Handler
	Adoption       service.Adoption
	Studies        service.Studies
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
		ofProject("createUser", s.Ceremony.CreateUser, body),
		ofProject("listUsers", s.Ceremony.ListUsers, list),
		ofUser("getUser", s.Ceremony.GetUser, nothing),
		ofUser("updateUser", s.Ceremony.UpdateUser, body),
		ofUser("getUserLabels", s.Ceremony.GetUserLabels, nothing),
		ofUser("setUserLabels", s.Ceremony.SetUserLabels, body),
		ofUser("deleteUser", s.Ceremony.DeleteUser, nothing),
		ofUser("listCredentials", s.Ceremony.ListCredentials, list),
		ofUser("deleteCredential", s.Ceremony.DeleteCredential, id),
		ofUser("listPasskeyChallenges", s.Ceremony.ListChallenges, list),
		ofUser("updatePasskeyChallenge", s.Ceremony.UpdateChallenge, change(challengePatch)),
		ofUser("createPasskeyEvent", s.Events.Create, body),
		ofUser("listPasskeyEvents", s.Events.List, eventList),
		ofUser("deletePasskeyEvent", s.Events.Delete, id),
		ofProject("passkeyAppendStart", s.Ceremony.AppendStart, judgedBody),
		ofProject("passkeyAppendFinish", s.Ceremony.AppendFinish, judgedBody),
		ofProject("passkeyLoginStart", s.Ceremony.LoginStart, judgedBody),
		ofProject("passkeyLoginFinish", s.Ceremony.LoginFinish, judgedBody),
		ofProject("passkeyMediationStart", s.Ceremony.MediationStart, judgedBody),
		ofProject("passkeyMediationFinish", s.Ceremony.MediationFinish, judgedBody),
		ofProject("evaluateRisk", s.evaluate, body),
		ofProject("evaluateAccess", s.evaluateAccess, body),
		ofProject("evaluateAccesses", s.evaluateAccesses, body),
		ofProject("tellRiskOutcome", s.Ceremony.TellRiskOutcome, change(riskFeedback)),
		ofProject("reportStepUp", s.Ceremony.ReportStepUp, change(stepUpReport)),
		ofProject("redeemStepUp", s.Ceremony.RedeemStepUp, id),
		ofUser("createSocialAccount", s.Ceremony.CreateSocialAccount, body),
		ofUser("listUserSocialAccounts", s.Ceremony.ListUserSocialAccounts, list),
		ofProject("listSocialAccounts", s.Ceremony.ListSocialAccounts, list),
		ofUser("createIdentifier", s.Ceremony.CreateIdentifier, body),
		ofUser("updateIdentifier", s.Ceremony.UpdateIdentifier, change(identifierPatch)),
		ofUser("deleteIdentifier", s.Ceremony.DeleteIdentifier, id),
		ofProject("listIdentifiers", s.Ceremony.ListIdentifiers, list),
		ofUser("createChallenge", s.Ceremony.CreateCode, body),
		ofUser("updateChallenge", s.Ceremony.CheckCode, change(codeCheck)),
		ofUser("createAuthEvent", s.Ceremony.ReportAuthEvent, body),
		ofUser("listPasswordManagers", s.Ceremony.ListPasswordManagers, nothing),
		ofUser("listClientEnvs", s.Ceremony.ListClientEnvs, nothing),
		ofUser("deleteClientEnv", s.Ceremony.DeleteClientEnv, id),
		ofProject("updateProjectConfig", s.Ceremony.UpdateProjectConfig, body),
		ofProject("updateCname", s.Ceremony.UpdateCname, body),
		ofProject("createConnectToken", s.Ceremony.CreateConnectToken, body),
		ofProject("listConnectTokens", s.Ceremony.ListConnectTokens, list),
		ofProject("updateConnectToken", s.Ceremony.UpdateConnectToken, change(tokenPatch)),
		ofProject("deleteConnectToken", s.Ceremony.DeleteConnectToken, id),
		ofProject("listSessions", s.Ceremony.ListSessions, list),
		ofProject("revokeSession", s.Ceremony.RevokeSession, id),
		ofUser("createLongSession", s.Ceremony.CreateLongSession, body),
		ofUser("getUserLongSession", s.Ceremony.GetUserLongSession, id),
		ofProject("getLongSession", s.Ceremony.GetLongSession, id),
		ofUser("updateLongSession", s.Ceremony.UpdateLongSession, change(sessionPatch)),
		ofUser("createShortSession", s.Ceremony.CreateShortSession, change(shortSession)),
		ofProject("passkeyVerifySignedData", s.Ceremony.VerifySignedData, body),
		ofProject("passkeysVerifySignedData", s.Ceremony.VerifySignedData, body),
		ofProject("passkeyPostLogin", s.Ceremony.PostLogin, body),
		ofProject("createWebhookEndpoint", s.Webhooks.CreateWebhook, body),
		ofProject("listWebhookEndpoints", s.Webhooks.ListWebhooks, nothing),
		ofProject("updateWebhookEndpoint", s.Webhooks.UpdateWebhook, change(webhookPatch)),
		ofProject("deleteWebhookEndpoint", s.Webhooks.DeleteWebhook, id),
		ofWebhook("createWebhookSecret", s.Webhooks.CreateWebhookSecret, body),
		ofWebhook("listWebhookSecrets", s.Webhooks.ListWebhookSecrets, nothing),
		ofWebhook("deleteWebhookSecret", s.Webhooks.DeleteWebhookSecret, id),
		ofWebhook("listWebhookDeliveries", s.Webhooks.ListWebhookDeliveries, list),
		ofWebhook("listWebhookDeadLetters", s.Webhooks.ListWebhookDeadLetters, list),
		ofWebhook("replayWebhookDeadLetters", s.Webhooks.ReplayWebhookDeadLetters, body),
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
		ofVisit("getSessionConfig", s.Ceremony.GetSessionConfig, nothing),
		ofVisit("getProcessConfig", s.Ceremony.GetProcessConfig, nothing),
		ofVisit("getUserDetailsConfig", s.Ceremony.GetUserDetailsConfig, nothing),
		ofVisit("currentUserGet", s.Ceremony.CurrentUserGet, nothing),
		ofVisit("currentUserUpdate", s.Ceremony.CurrentUserUpdate, body),
		ofVisit("currentUserDelete", s.Ceremony.CurrentUserDelete, nothing),
		ofVisit("currentUserPasskeyGet", s.Ceremony.CurrentUserPasskeyGet, list),
		ofVisit("currentUserPasskeyAppendStart", s.Ceremony.CurrentUserPasskeyAppendStart, body),
		ofVisit("currentUserPasskeyAppendFinish", s.Ceremony.CurrentUserPasskeyAppendFinish, body),
		ofVisit("currentUserPasskeyDelete", s.Ceremony.CurrentUserPasskeyDelete, id),
		ofVisit("currentUserSessionRefresh", s.Ceremony.CurrentUserSessionRefresh, nothing),
		ofVisit("currentUserSessionLogout", s.Ceremony.CurrentUserSessionLogout, nothing),
		ofVisit("currentUserIdentifierCreate", s.Ceremony.CurrentUserIdentifierCreate, body),
		ofVisit("currentUserIdentifierUpdate", s.Ceremony.CurrentUserIdentifierUpdate, body),
		ofVisit("currentUserIdentifierDelete", s.Ceremony.CurrentUserIdentifierDelete, body),
		ofVisit("currentUserIdentifierVerifyStart", s.Ceremony.CurrentUserIdentifierVerifyStart, body),
		ofVisit("currentUserIdentifierVerifyFinish", s.Ceremony.CurrentUserIdentifierVerifyFinish, body),
		ofVisit("oidcUserInfo", s.Ceremony.OidcUserInfo, nothing),
		ofVisit("connectLoginInit", s.Ceremony.ConnectLoginInit, body),
		ofVisit("connectLoginStart", s.Ceremony.ConnectLoginStart, body),
		ofVisit("connectLoginFinish", s.Ceremony.ConnectLoginFinish, body),
		ofVisit("connectAppendInit", s.Ceremony.ConnectAppendInit, body),
		ofVisit("connectAppendStart", s.Ceremony.ConnectAppendStart, body),
		ofVisit("connectAppendFinish", s.Ceremony.ConnectAppendFinish, body),
		ofVisit("connectManageInit", s.Ceremony.ConnectManageInit, body),
		ofVisit("connectManageList", s.Ceremony.ConnectManageList, body),
		ofVisit("connectManageDelete", s.Ceremony.ConnectManageDelete, body),
		ofVisit("connectEventCreate", s.Ceremony.ConnectEventCreate, body),
		ofVisit("connectEventsLowCreate", s.Ceremony.ConnectEventsLowCreate, body),
		ofVisit("connectProcessClear", s.Ceremony.ConnectProcessClear, body),
		ofVisit("processInit", s.Ceremony.ProcessInit, body),
		ofVisit("processGet", s.Ceremony.ProcessGet, preferredBlock),
		ofVisit("processComplete", s.Ceremony.ProcessComplete, nothing),
		ofVisit("processReset", s.Ceremony.ProcessReset, nothing),
		ofVisit("blockSkip", s.Ceremony.BlockSkip, nothing),
		ofVisit("signupInit", s.Ceremony.SignupInit, body),
		ofVisit("loginInit", s.Ceremony.LoginInit, body),
		ofVisit("passkeyAppendStart", s.Ceremony.PasskeyAppendStart, body),
		ofVisit("passkeyAppendFinish", s.Ceremony.PasskeyAppendFinish, body),
		ofVisit("passkeyLoginStart", s.Ceremony.PasskeyLoginStart, body),
		ofVisit("passkeyLoginFinish", s.Ceremony.PasskeyLoginFinish, body),
		ofVisit("passkeyMediationFinish", s.Ceremony.PasskeyMediationFinish, body),
		ofVisit("identifierVerifyStart", s.Ceremony.IdentifierVerifyStart, body),
		ofVisit("identifierVerifyFinish", s.Ceremony.IdentifierVerifyFinish, body),
		ofVisit("identifierVerifyStatus", s.Ceremony.IdentifierVerifyStatus, nothing),
		ofVisit("identifierUpdate", s.Ceremony.IdentifierUpdate, body),
		ofVisit("socialVerifyStart", s.Ceremony.SocialVerifyStart, body),
		ofVisit("socialVerifyCallback", s.Ceremony.SocialVerifyFinish, nothing),
		ofVisit("socialVerifyFinish", s.Ceremony.SocialVerifyFinish, nothing),
		ofVisit("authEventCreate", s.Ceremony.AuthEventCreate, body),
		ofProject("trialDecision", explain, id),
		ofVisit("trialEvents", s.recentEvents, nothing),
		Plain("appleAppSiteAssociation", s.WellKnown(func(p project.Project) any { return appleAppSiteAssociation(p.Frontend) })),
		Plain("assetLinks", s.WellKnown(func(p project.Project) any { return assetLinks(p.Frontend) })),
		Plain("passkeyEndpoints", s.WellKnown(func(p project.Project) any { return passkeyEndpoints(p.Frontend) })),
		Plain("relatedOrigins", s.WellKnown(func(p project.Project) any { return relatedOrigins(p) })),
	}
}

func challengePatch(id string, b rest.PasskeyChallengeUpdateReq) service.ChallengePatch {
	return service.ChallengePatch{ID: ident.ChallengeID(id), Status: b.Status}
}

func identifierPatch(id string, b rest.IdentifierUpdateReq) service.IdentifierPatch {
	return service.IdentifierPatch{ID: ident.IdentifierID(id), Status: b.Status}
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

func tokenPatch(id string, b rest.ConnectTokenUpdateReq) service.TokenPatch {
	return service.TokenPatch{ID: ident.ConnectTokenID(id), Status: b.Status}
}

func sessionPatch(id string, b rest.LongSessionUpdateReq) service.SessionPatch {
	return service.SessionPatch{ID: ident.SessionID(id), Status: b.Status}
}

func shortSession(id string, b rest.ShortSessionCreateReq) service.ShortSession {
	return service.ShortSession{ID: ident.SessionID(id), Request: b}
}

func webhookPatch(id string, b rest.WebhookEndpointUpdateReq) service.WebhookPatch {
	return service.WebhookPatch{ID: ident.WebhookID(id), Changes: b}
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
