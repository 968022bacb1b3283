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

// newServices returns what stands where the services are: it answers with values that fit the contract, those that a test looks into here,
// which repeat what came in to show whether anything was mixed up on the way, and all others as sampled.
func newServices() *servicetest.Recording {
	r := &servicetest.Recording{Otherwise: sampled}
	servicetest.Answer(r, service.Ceremony.CreateUser, func(q service.ForProject[rest.UserCreateReq]) rest.User {
		return user("usr-1", q.Body.FullName)
	})
	servicetest.Answer(r, service.Ceremony.GetUser, func(q service.ForUser[service.Empty]) rest.User {
		return user(string(q.User), nil)
	})
	servicetest.Answer(
		r,
		service.Ceremony.AppendStart,
		func(_ service.ForProject[rest.PasskeyAppendStartReq]) service.Judged[rest.PasskeyAppendStartRsp] {
			return service.Judged[rest.PasskeyAppendStartRsp]{Decided: decided("dec-1"), Body: rest.PasskeyAppendStartRsp{
				DecisionTag:      rest.DecisionTagDefaultDeny,
				DecisionInsights: rest.AppendDecisionInsights{Tag: rest.DecisionTagDefaultDeny, Variant: rest.AppendVariantDefault},
			}}
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.LoginStart,
		func(q service.ForProject[rest.PasskeyLoginStartReq]) service.Judged[rest.PasskeyLoginStartRsp] {
			return service.Judged[rest.PasskeyLoginStartRsp]{Decided: decided("dec-2"), Body: rest.PasskeyLoginStartRsp{
				LoginAllow: true, AssertionOptions: q.Body.UserID + " " + q.Body.ProcessID + " " + q.Body.ClientInformation.UserAgent,
				DecisionTag:      rest.DecisionTagUserPlatformPkHighConfidence,
				DecisionInsights: rest.LoginDecisionInsights{Tag: rest.DecisionTagUserPlatformPkHighConfidence},
			}}
		},
	)
	servicetest.Answer(
		r,
		service.Ceremony.MediationStart,
		func(_ service.ForProject[rest.PasskeyMediationStartReq]) service.Judged[rest.PasskeyMediationStartRsp] {
			return service.Judged[rest.PasskeyMediationStartRsp]{Decided: service.Decided{Decision: "dec-3", PolicyRevision: "rev-a"}}
		},
	)
	servicetest.Answer(r, service.Ceremony.EvaluateRisk, func(service.ForProject[service.RiskEvaluation]) service.Judged[service.Empty] {
		return service.Judged[service.Empty]{Decided: decided("dec-4"), Risk: &service.Risk{
			Rule: "R5", Action: service.RiskAllow, Level: service.RiskLow, Reasons: []service.RiskReason{},
		}}
	})
	servicetest.Answer(r, service.Ceremony.Keys, func(_ service.ForProject[service.Empty]) json.RawMessage {
		return json.RawMessage(`{"keys":[{"kty":"EC","kid":"pki-1","crv":"P-256","x":"AA","y":"AA"}]}`)
	})
	servicetest.Answer(
		r,
		service.Ceremony.CurrentUserSessionRefresh,
		func(_ service.ForVisit[service.Empty]) service.Answered[frontend.MeRefreshRsp] {
			return answeredWith(frontend.MeRefreshRsp{})
		},
	)
	servicetest.Answer(r, service.Explanations.ExplainDecision, func(q service.ForProject[ident.DecisionID]) frontend.TrialDecision {
		return frontend.TrialDecision{
			DecisionID: string(q.Body), Action: frontend.TrialDecisionActionLogin, Rows: []frontend.TrialRow{}, Facts: []frontend.TrialFact{},
			HistoryData: map[string]any{},
		}
	})
	servicetest.Answer(r, service.Ceremony.RegisterPasskey, func(q service.ForUser[service.PasskeyRegistration]) service.PendingPasskey {
		return service.PendingPasskey{
			Change: service.Change{ChangedMs: 1_800_000_000_000, CreatedMs: 1_800_000_000_000}, ID: "cre-1",
			Options: []byte(`{"publicKey":{"challenge":"` + string(q.User) + `"}}`), Decided: decided("dec-4"),
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

func always(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}

// login is what a recorded session begins with.
var login = service.Cookies{SessionToken: "session", RefreshToken: "refresh", Domain: "localhost", SameSite: "lax", Seconds: 60}

// answeredWith is an answer with all that may be beside its body.
func answeredWith[T any](body T) service.Answered[T] {
	return service.Answered[T]{Judged: service.Judged[T]{Body: body, Decided: decided("dec-9")}, Cookies: &login}
}

func decided(id ident.DecisionID) service.Decided {
	return service.Decided{Decision: id, PolicyRevision: "rev-a"}
}
