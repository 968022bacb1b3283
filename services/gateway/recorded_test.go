package gateway_test

import (
	"context"
	"sync"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

// recorded stands where the services are. It keeps what it was asked, and answers with values that fit the contract and repeat what came in, so that a test
// sees whether anything was mixed up on the way.
type recorded struct {
	mu    sync.Mutex
	calls []recordedCall
	// before, if set, is called first; its error is the answer.
	before func(ctx context.Context, operation string) error
	// forgetful services keep nothing, for measuring.
	forgetful bool
}

type recordedCall struct {
	operation string
	request   ident.RequestID
	seed      ident.Seed
	argument  any
}

func (r *recorded) record(ctx context.Context, operation string, argument any) error {
	if r.forgetful {
		return nil
	}
	r.mu.Lock()
	r.calls = append(r.calls, recordedCall{operation, reqctx.RequestID(ctx), reqctx.Seed(ctx), argument})
	before := r.before
	r.mu.Unlock()
	if before != nil {
		return before(ctx, operation)
	}
	return nil
}

func (r *recorded) all() []recordedCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]recordedCall(nil), r.calls...)
}

func (r *recorded) failWith(before func(context.Context, string) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func user(id string, name *string) rest.User {
	return rest.User{UserID: id, FullName: name, Status: rest.UserStatusActive, Updated: "2026-11-22T12:00:00", UpdatedMs: 1}
}

func (r *recorded) CreateUser(ctx context.Context, q service.ForProject[rest.UserCreateReq]) (rest.User, error) {
	return user("usr-1", q.Body.FullName), r.record(ctx, "createUser", q)
}

func (r *recorded) ListUsers(ctx context.Context, q service.ForProject[service.List]) (rest.UserList, error) {
	return rest.UserList{Paging: rest.Paging{Page: int32(q.Body.Page)}}, r.record(ctx, "listUsers", q)
}

func (r *recorded) GetUser(ctx context.Context, q service.ForUser[service.Empty]) (rest.User, error) {
	return user(string(q.User), nil), r.record(ctx, "getUser", q)
}

func (r *recorded) UpdateUser(ctx context.Context, q service.ForUser[rest.UserUpdateReq]) (rest.User, error) {
	return user(string(q.User), q.Body.FullName), r.record(ctx, "updateUser", q)
}

func (r *recorded) DeleteUser(ctx context.Context, q service.ForUser[service.Empty]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteUser", q)
}

func (r *recorded) ListCredentials(ctx context.Context, q service.ForUser[service.List]) (rest.CredentialList, error) {
	return rest.CredentialList{}, r.record(ctx, "listCredentials", q)
}

func (r *recorded) DeleteCredential(ctx context.Context, q service.ForUser[ident.CredentialID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deleteCredential", q)
}

func (r *recorded) ListChallenges(ctx context.Context, q service.ForUser[service.List]) (rest.PasskeyChallengeList, error) {
	return rest.PasskeyChallengeList{}, r.record(ctx, "listPasskeyChallenges", q)
}

func (r *recorded) UpdateChallenge(ctx context.Context, q service.ForUser[service.ChallengePatch]) (rest.PasskeyChallenge, error) {
	return rest.PasskeyChallenge{ChallengeID: string(q.Body.ID), Type: rest.PasskeyChallengeTypeRegister, Status: q.Body.Status}, r.record(ctx, "updatePasskeyChallenge", q)
}

func (r *recorded) AppendStart(ctx context.Context, q service.ForProject[rest.PasskeyAppendStartReq]) (service.Judged[rest.PasskeyAppendStartRsp], error) {
	return service.Judged[rest.PasskeyAppendStartRsp]{Decision: "dec-1", PolicyRevision: "rev-a", Body: rest.PasskeyAppendStartRsp{
		DecisionTag:      rest.DecisionTagDefaultDeny,
		DecisionInsights: rest.AppendDecisionInsights{Tag: rest.DecisionTagDefaultDeny, Variant: rest.AppendVariantDefault},
	}}, r.record(ctx, "passkeyAppendStart", q)
}

func (r *recorded) AppendFinish(ctx context.Context, q service.ForProject[rest.PasskeyAppendFinishReq]) (rest.PasskeyAppendFinishRsp, error) {
	return rest.PasskeyAppendFinishRsp{PasskeyData: passkeyData(q.Body.UserID)}, r.record(ctx, "passkeyAppendFinish", q)
}

func passkeyData(user string) rest.PasskeyData {
	return rest.PasskeyData{ID: "cre-1", UserID: user, CeremonyType: rest.CeremonyTypeLocal}
}

// LoginStart returns the process ID as the assertion options.
func (r *recorded) LoginStart(ctx context.Context, q service.ForProject[rest.PasskeyLoginStartReq]) (service.Judged[rest.PasskeyLoginStartRsp], error) {
	return service.Judged[rest.PasskeyLoginStartRsp]{Decision: "dec-2", PolicyRevision: "rev-a", Body: rest.PasskeyLoginStartRsp{
		LoginAllow: true, AssertionOptions: q.Body.UserID + " " + q.Body.ProcessID + " " + q.Body.ClientInformation.UserAgent,
		DecisionTag:      rest.DecisionTagUserPlatformPkHighConfidence,
		DecisionInsights: rest.LoginDecisionInsights{Tag: rest.DecisionTagUserPlatformPkHighConfidence},
	}}, r.record(ctx, "passkeyLoginStart", q)
}

func (r *recorded) LoginFinish(ctx context.Context, q service.ForProject[rest.PasskeyLoginFinishReq]) (rest.PasskeyLoginFinishRsp, error) {
	return rest.PasskeyLoginFinishRsp{PasskeyData: passkeyData(q.Body.UserID)}, r.record(ctx, "passkeyLoginFinish", q)
}

func (r *recorded) MediationStart(ctx context.Context, q service.ForProject[rest.PasskeyMediationStartReq]) (service.Judged[rest.PasskeyMediationStartRsp], error) {
	return service.Judged[rest.PasskeyMediationStartRsp]{Decision: "dec-3", PolicyRevision: "rev-a"}, r.record(ctx, "passkeyMediationStart", q)
}

func (r *recorded) MediationFinish(ctx context.Context, q service.ForProject[rest.PasskeyMediationFinishReq]) (rest.PasskeyMediationFinishRsp, error) {
	return rest.PasskeyMediationFinishRsp{PasskeyData: passkeyData("usr-1")}, r.record(ctx, "passkeyMediationFinish", q)
}

// recordedEvents is the events service of the same recording.
type recordedEvents struct{ *recorded }

func (r recordedEvents) Create(ctx context.Context, q service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	return rest.PasskeyEvent{PasskeyEventID: "pke-1", UserID: string(q.User), EventType: string(q.Body.EventType), Created: "2026-11-22T12:00:00"}, r.record(ctx, "createPasskeyEvent", q)
}

func (r recordedEvents) List(ctx context.Context, q service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	return rest.PasskeyEventList{}, r.record(ctx, "listPasskeyEvents", q)
}

func (r recordedEvents) Delete(ctx context.Context, q service.ForUser[ident.EventID]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "deletePasskeyEvent", q)
}

func (r recordedEvents) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	return service.Appended{}, r.record(ctx, "append", e)
}

func (r recordedEvents) Erase(ctx context.Context, q service.ForUser[service.Empty]) (service.Empty, error) {
	return service.Empty{}, r.record(ctx, "erase", q)
}

func always(err error) func(context.Context, string) error {
	return func(context.Context, string) error { return err }
}
