package gateway_test

import (
	"context"
	"encoding/json"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
)

// newServices returns what stands where the services are: it answers with values that fit the contract and repeat what came in, so
// that a test sees whether anything was mixed up on the way.
func newServices() *servicetest.Recording {
	r := &servicetest.Recording{}
	servicetest.Answer(r, service.Ceremony.CreateUser, func(q service.ForProject[rest.UserCreateReq]) rest.User {
		return user("usr-1", q.Body.FullName)
	})
	servicetest.Answer(r, service.Ceremony.ListUsers, func(q service.ForProject[service.List]) rest.UserList {
		return rest.UserList{Paging: rest.Paging{Page: int32(q.Body.Page)}}
	})
	servicetest.Answer(r, service.Ceremony.GetUser, func(q service.ForUser[service.Empty]) rest.User {
		return user(string(q.User), nil)
	})
	servicetest.Answer(r, service.Ceremony.UpdateUser, func(q service.ForUser[rest.UserUpdateReq]) rest.User {
		return user(string(q.User), q.Body.FullName)
	})
	servicetest.Answer(r, service.Ceremony.UpdateChallenge, func(q service.ForUser[service.ChallengePatch]) rest.PasskeyChallenge {
		return rest.PasskeyChallenge{ChallengeID: string(q.Body.ID), Type: rest.PasskeyChallengeTypeRegister, Status: q.Body.Status}
	})
	servicetest.Answer(
		r,
		service.Ceremony.AppendStart,
		func(_ service.ForProject[rest.PasskeyAppendStartReq]) service.Judged[rest.PasskeyAppendStartRsp] {
			return service.Judged[rest.PasskeyAppendStartRsp]{Decision: "dec-1", PolicyRevision: "rev-a", Body: rest.PasskeyAppendStartRsp{
				DecisionTag:      rest.DecisionTagDefaultDeny,
				DecisionInsights: rest.AppendDecisionInsights{Tag: rest.DecisionTagDefaultDeny, Variant: rest.AppendVariantDefault},
			}}
		},
	)
	servicetest.Answer(r, service.Ceremony.AppendFinish, func(q service.ForProject[rest.PasskeyAppendFinishReq]) rest.PasskeyAppendFinishRsp {
		return rest.PasskeyAppendFinishRsp{PasskeyData: passkeyData(q.Body.UserID)}
	})
	servicetest.Answer(
		r,
		service.Ceremony.LoginStart,
		func(q service.ForProject[rest.PasskeyLoginStartReq]) service.Judged[rest.PasskeyLoginStartRsp] {
			return service.Judged[rest.PasskeyLoginStartRsp]{Decision: "dec-2", PolicyRevision: "rev-a", Body: rest.PasskeyLoginStartRsp{
				LoginAllow: true, AssertionOptions: q.Body.UserID + " " + q.Body.ProcessID + " " + q.Body.ClientInformation.UserAgent,
				DecisionTag:      rest.DecisionTagUserPlatformPkHighConfidence,
				DecisionInsights: rest.LoginDecisionInsights{Tag: rest.DecisionTagUserPlatformPkHighConfidence},
			}}
		},
	)
	servicetest.Answer(r, service.Ceremony.LoginFinish, func(q service.ForProject[rest.PasskeyLoginFinishReq]) rest.PasskeyLoginFinishRsp {
		return rest.PasskeyLoginFinishRsp{PasskeyData: passkeyData(q.Body.UserID)}
	})
	servicetest.Answer(
		r,
		service.Ceremony.MediationStart,
		func(_ service.ForProject[rest.PasskeyMediationStartReq]) service.Judged[rest.PasskeyMediationStartRsp] {
			return service.Judged[rest.PasskeyMediationStartRsp]{Decision: "dec-3", PolicyRevision: "rev-a"}
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.MediationFinish,
		func(_ service.ForProject[rest.PasskeyMediationFinishReq]) rest.PasskeyMediationFinishRsp {
			return rest.PasskeyMediationFinishRsp{PasskeyData: passkeyData("usr-1")}
		},
	)
	servicetest.Answer(r, service.Events.Create, func(q service.ForUser[rest.PasskeyEventCreateReq]) rest.PasskeyEvent {
		return rest.PasskeyEvent{
			PasskeyEventID: "pke-1", UserID: string(q.User), EventType: string(q.Body.EventType), Created: "2026-11-22T12:00:00",
		}
	})
	servicetest.Answer(r, service.Ceremony.CreateIdentifier, func(q service.ForUser[rest.IdentifierCreateReq]) rest.Identifier {
		return rest.Identifier{
			IdentifierID: "ide-1", Type: q.Body.IdentifierType, Value: q.Body.IdentifierValue, Status: q.Body.Status,
			UserID: string(q.User),
		}
	})
	servicetest.Answer(r, service.Ceremony.UpdateIdentifier, func(q service.ForUser[service.IdentifierPatch]) rest.Identifier {
		return rest.Identifier{IdentifierID: string(q.Body.ID), Type: rest.IdentifierTypeEmail, Status: q.Body.Status, UserID: string(q.User)}
	})
	servicetest.Answer(r, service.Ceremony.CreateSocialAccount, func(q service.ForUser[rest.SocialAccountCreateReq]) rest.SocialAccount {
		return rest.SocialAccount{
			SocialAccountID: "soc-1", ProviderType: q.Body.ProviderType, UserID: string(q.User), ForeignID: q.Body.ForeignID,
		}
	})
	servicetest.Answer(r, service.Ceremony.CreateCode, func(q service.ForUser[rest.ChallengeCreateReq]) rest.Challenge {
		return rest.Challenge{
			ChallengeID: "cha-1", Type: q.Body.ChallengeType, IdentifierValue: q.Body.IdentifierValue, Value: "123456",
			Status: rest.ChallengeStatusPending,
		}
	})
	servicetest.Answer(r, service.Ceremony.CheckCode, func(q service.ForUser[service.CodeCheck]) rest.Challenge {
		return rest.Challenge{
			ChallengeID: string(q.Body.ID), Type: rest.ChallengeTypeEmailOtp, Value: q.Body.Value,
			Status: rest.ChallengeStatusCompleted,
		}
	})
	servicetest.Answer(r, service.Ceremony.CreateLongSession, func(q service.ForUser[rest.LongSessionCreateReq]) rest.LongSession {
		return longSession(anySession, q.User)
	})
	servicetest.Answer(r, service.Ceremony.GetUserLongSession, func(q service.ForUser[ident.SessionID]) rest.LongSession {
		return longSession(q.Body, q.User)
	})
	servicetest.Answer(r, service.Ceremony.GetLongSession, func(q service.ForProject[ident.SessionID]) rest.LongSession {
		return longSession(q.Body, "usr-1")
	})
	servicetest.Answer(r, service.Ceremony.UpdateLongSession, func(q service.ForUser[service.SessionPatch]) rest.LongSession {
		session := longSession(q.Body.ID, q.User)
		session.Status = q.Body.Status
		return session
	})
	servicetest.Answer(r, service.Ceremony.CreateShortSession, func(_ service.ForUser[service.ShortSession]) rest.ShortSession {
		return rest.ShortSession{Value: "a.b.c"}
	})
	servicetest.Answer(r, service.Ceremony.VerifySignedData, func(_ service.ForProject[rest.VerifySignedDataReq]) rest.VerifySignedDataRsp {
		return rest.VerifySignedDataRsp{VerificationResult: rest.VerifySignedDataRspVerificationResultSuccess}
	})
	servicetest.Answer(r, service.Ceremony.PostLogin, func(_ service.ForProject[rest.PostLoginReq]) rest.PostLoginRsp {
		return rest.PostLoginRsp{Session: "a.b.c"}
	})
	servicetest.Answer(r, service.Ceremony.Keys, func(_ service.ForProject[service.Empty]) json.RawMessage {
		return json.RawMessage(`{"keys":[{"kty":"EC","kid":"pki-1","crv":"P-256","x":"AA","y":"AA"}]}`)
	})
	servicetest.Answer(r, service.Ceremony.CreateConnectToken, func(_ service.ForProject[rest.ConnectTokenCreateReq]) rest.ConnectToken {
		return connectToken("ctk-1")
	})
	servicetest.Answer(r, service.Events.CreateAuthEvent, func(q service.ForUser[rest.AuthEventCreateReq]) rest.AuthEvent {
		return rest.AuthEvent{
			AuthEventID: "pke-1", UserID: string(q.User), Username: q.Body.Username, EventType: q.Body.EventType,
			Method: q.Body.Method, Status: q.Body.Status, Created: "2026-11-22T12:00:00",
		}
	})
	servicetest.Answer(r, service.Webhooks.CreateWebhook, func(q service.ForProject[rest.WebhookEndpointCreateReq]) rest.WebhookEndpoint {
		return rest.WebhookEndpoint{ID: "whe-1", URL: q.Body.URL, SubscribedEvents: q.Body.SubscribedEvents, CustomHeaders: map[string]string{}}
	})
	servicetest.Answer(r, service.Webhooks.CreateWebhookSecret, func(_ service.ForWebhook[rest.WebhookSecretCreateReq]) rest.WebhookSecret {
		return rest.WebhookSecret{ID: "whs-1"}
	})
	servicetest.Answer(r, service.Webhooks.ReplayWebhookDeadLetters, func(_ service.ForWebhook[rest.WebhookReplayReq]) rest.WebhookReplayRsp {
		return rest.WebhookReplayRsp{Queued: 1}
	})
	servicetest.Answer(r, service.Ceremony.CurrentUser, func(_ service.ForVisit[service.Empty]) ident.UserID {
		return "usr-1"
	})
	servicetest.Answer(r, service.Ceremony.GetSessionConfig, func(_ service.ForVisit[service.Empty]) frontend.SessionConfigRsp {
		return frontend.SessionConfigRsp{
			UseSessionManagement: true, FrontendAPIURL: "http://localhost:8080", SessionTokenCookieConfig: cookieConfig,
			ShortSessionCookieConfig: cookieConfig,
		}
	})
	servicetest.Answer(r, service.Ceremony.CurrentUserDelete, func(_ service.ForVisit[service.Empty]) service.Answered[service.Empty] {
		return answeredWith(service.Empty{})
	})
	servicetest.Answer(
		r,
		service.Ceremony.CurrentUserPasskeyAppendStart,
		func(_ service.ForVisit[frontend.MePasskeysAppendStartReq]) service.Answered[frontend.MePasskeysAppendStartRsp] {
			return answeredWith(frontend.MePasskeysAppendStartRsp{})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.CurrentUserSessionRefresh,
		func(_ service.ForVisit[service.Empty]) service.Answered[frontend.MeRefreshRsp] {
			return answeredWith(frontend.MeRefreshRsp{})
		},
	)
	servicetest.Answer(r, service.Ceremony.CurrentUserSessionLogout, func(_ service.ForVisit[service.Empty]) service.Answered[service.Empty] {
		return answeredWith(service.Empty{})
	})
	servicetest.Answer(
		r,
		service.Ceremony.ConnectLoginInit,
		func(_ service.ForVisit[frontend.ConnectInitReq]) service.Answered[frontend.ConnectLoginInitRsp] {
			return answeredWith(frontend.ConnectLoginInitRsp{Token: "prc", Flags: frontend.Flags{}})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectLoginStart,
		func(_ service.ForVisit[frontend.ConnectLoginStartReq]) service.Answered[frontend.ConnectLoginStartRsp] {
			return answeredWith(frontend.ConnectLoginStartRsp{FallbackOperationError: frontend.FallbackOperationError{InitFallback: true}})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectLoginFinish,
		func(_ service.ForVisit[frontend.ConnectLoginFinishReq]) service.Answered[frontend.ConnectLoginFinishRsp] {
			return answeredWith(frontend.ConnectLoginFinishRsp{})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectAppendInit,
		func(_ service.ForVisit[frontend.ConnectInitReq]) service.Answered[frontend.ConnectAppendInitRsp] {
			return answeredWith(frontend.ConnectAppendInitRsp{ProcessID: "prc", Flags: frontend.Flags{}})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectAppendStart,
		func(_ service.ForVisit[frontend.ConnectAppendStartReq]) service.Answered[frontend.ConnectAppendStartRsp] {
			return answeredWith(frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectAppendFinish,
		func(_ service.ForVisit[frontend.ConnectAppendFinishReq]) service.Answered[frontend.ConnectAppendFinishRsp] {
			return answeredWith(
				frontend.ConnectAppendFinishRsp{
					PasskeyOperation: frontend.PasskeyOperation{
						OperationType: frontend.PasskeyOperationOperationTypeAppend, IdentifierType: rest.IdentifierTypeEmail,
						CeremonyType: rest.CeremonyTypeLocal,
					},
				},
			)
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ConnectManageInit,
		func(_ service.ForVisit[frontend.ConnectInitReq]) service.Answered[frontend.ConnectManageInitRsp] {
			return answeredWith(frontend.ConnectManageInitRsp{ProcessID: "prc", Flags: frontend.Flags{}})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ProcessInit,
		func(_ service.ForVisit[frontend.ProcessInitReq]) service.Answered[frontend.ProcessInitRsp] {
			return answeredWith(frontend.ProcessInitRsp{Token: "prc", ProcessResponse: processResponse()})
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ProcessGet,
		func(_ service.ForVisit[*frontend.BlockType]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.ProcessComplete,
		func(_ service.ForVisit[service.Empty]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(r, service.Ceremony.ProcessReset, func(_ service.ForVisit[service.Empty]) service.Answered[frontend.ProcessResponse] {
		return answeredWith(processResponse())
	})
	servicetest.Answer(r, service.Ceremony.BlockSkip, func(_ service.ForVisit[service.Empty]) service.Answered[frontend.ProcessResponse] {
		return answeredWith(processResponse())
	})
	servicetest.Answer(
		r,
		service.Ceremony.SignupInit,
		func(_ service.ForVisit[frontend.SignupInitReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.LoginInit,
		func(_ service.ForVisit[frontend.LoginInitReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.PasskeyAppendStart,
		func(_ service.ForVisit[frontend.PasskeyStartReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.PasskeyAppendFinish,
		func(_ service.ForVisit[frontend.PasskeyFinishReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.PasskeyLoginStart,
		func(_ service.ForVisit[frontend.PasskeyStartReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.PasskeyLoginFinish,
		func(_ service.ForVisit[frontend.PasskeyFinishReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.PasskeyMediationFinish,
		func(_ service.ForVisit[frontend.PasskeyFinishReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.IdentifierVerifyStart,
		func(_ service.ForVisit[frontend.IdentifierVerifyStartReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.IdentifierVerifyFinish,
		func(_ service.ForVisit[frontend.IdentifierVerifyFinishReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.IdentifierVerifyStatus,
		func(_ service.ForVisit[service.Empty]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.IdentifierUpdate,
		func(_ service.ForVisit[frontend.IdentifierUpdateReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.SocialVerifyStart,
		func(_ service.ForVisit[frontend.SocialVerifyStartReq]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.SocialVerifyFinish,
		func(_ service.ForVisit[service.Empty]) service.Answered[frontend.ProcessResponse] {
			return answeredWith(processResponse())
		},
	)
	servicetest.Answer(r, service.Explanations.ExplainDecision, func(q service.ForProject[ident.DecisionID]) frontend.TrialDecision {
		return frontend.TrialDecision{
			DecisionID: string(
				q.Body,
			),
			Action:      frontend.TrialDecisionActionLogin,
			Rows:        []frontend.TrialRow{},
			Facts:       []frontend.TrialFact{},
			HistoryData: map[string]any{},
		}
	})
	servicetest.Answer(r, service.Ceremony.RegisterPasskey, func(q service.ForUser[service.PasskeyRegistration]) service.PendingPasskey {
		return service.PendingPasskey{
			Change: service.Change{ChangedMs: 1_800_000_000_000, CreatedMs: 1_800_000_000_000}, ID: "cre-1",
			Options: []byte(`{"publicKey":{"challenge":"` + string(q.User) + `"}}`), Decision: "dec-4", PolicyRevision: "rev-a",
		}
	})
	servicetest.Answer(r, service.Ceremony.VerifyPasskey, func(_ service.ForUser[service.PasskeyVerification]) service.Change {
		return service.Change{ChangedMs: 1_800_000_001_000, CreatedMs: 1_800_000_000_000}
	})
	servicetest.Answer(r, service.Ceremony.CreatePasskeyCode, func(_ service.ForUser[service.PasskeyCodeRequest]) service.PasskeyCodeCreated {
		return service.PasskeyCodeCreated{
			Change: service.Change{ChangedMs: 1_799_999_999_000}, Code: &service.PasskeyCode{ID: "cod-1", Code: "secret"},
		}
	})
	servicetest.Answer(r, service.Ceremony.ListPasskeys, func(q service.ForUser[service.Empty]) service.PasskeyList {
		return service.PasskeyList{Passkeys: []service.Passkey{{ID: "cre-1", Name: "of " + string(q.User)}}, ChangedMs: 1_800_000_001_000}
	})
	servicetest.Answer(r, service.Ceremony.RemovePasskey, func(_ service.ForUser[ident.CredentialID]) service.Change {
		return service.Change{ChangedMs: 1_800_000_002_000, CreatedMs: 1_800_000_000_000}
	})
	return r
}

func user(id string, name *string) rest.User {
	return rest.User{UserID: id, FullName: name, Status: rest.UserStatusActive, Updated: "2026-11-22T12:00:00", UpdatedMs: 1}
}

func passkeyData(user string) rest.PasskeyData {
	return rest.PasskeyData{ID: "cre-1", UserID: user, CeremonyType: rest.CeremonyTypeLocal}
}

func always(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

const anySession = "abcdefghijklmnopqrstuvwxyz0123"

func longSession(id ident.SessionID, user ident.UserID) rest.LongSession {
	return rest.LongSession{LongSessionID: string(id), UserID: string(user), Status: rest.SessionStatusActive, Expires: "2026-11-22T12:00:00"}
}

func connectToken(id string) rest.ConnectToken {
	secret := "ctk1_shown"
	return rest.ConnectToken{
		ID: id, TokenType: rest.ConnectTokenTypePasskeyLogin, ConnectTokenStatus: rest.ConnectTokenStatusInitial,
		Data: rest.ConnectTokenData{Identifier: "a"}, Secret: &secret,
	}
}

// login is what a recorded session begins with.
var login = service.Cookies{SessionToken: "session", RefreshToken: "refresh", Domain: "localhost", SameSite: "lax", Seconds: 60}

var cookieConfig = frontend.CookieConfig{Domain: "localhost", SameSite: frontend.CookieConfigSameSiteLax, Path: "/", LifetimeSeconds: 60}

// processResponse is a process that waits for the user to be named.
func processResponse() frontend.ProcessResponse {
	var data frontend.BlockData
	_ = data.FromBlockLoginInit(frontend.BlockLoginInit{
		BlockType:  frontend.BlockLoginInitBlockTypeLoginInit,
		SocialData: frontend.SocialData{Providers: []rest.SocialProviderType{}, Status: frontend.SocialDataStatusInitial},
	})
	return frontend.ProcessResponse{
		BlockBody: frontend.BlockBody{Block: frontend.BlockTypeLoginInit, AuthType: frontend.BlockBodyAuthTypeLogin, Data: data},
	}
}

// answeredWith is an answer with all that may be beside its body.
func answeredWith[T any](body T) service.Answered[T] {
	return service.Answered[T]{Judged: service.Judged[T]{Body: body, Decision: "dec-9", PolicyRevision: "rev-a"}, Cookies: &login}
}
