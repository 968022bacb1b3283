package passkeys

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

// MediationStart implements service.Passkeys. Nobody is named yet, so nothing is recorded.
func (s *Service) MediationStart(
	ctx context.Context, req service.ForProject[rest.PasskeyMediationStartReq],
) (rsp service.Judged[rest.PasskeyMediationStartRsp], err error) {
	defer func() { s.calls.Started("mediation-start", rsp.Body.LoginAllow, err) }()
	process := ""
	if req.Body.ProcessID != nil {
		process = *req.Body.ProcessID
	}
	st, err := s.Begin(ctx, req.Project, req.Body.ClientInformation, process)
	if err != nil {
		return rsp, err
	}
	if err := s.with(ctx, &st, req.Body.Context); err != nil {
		return rsp, err
	}
	verdict, err := s.decision.Mediation(ctx, st.Question)
	if err != nil {
		return rsp, err
	}
	body := rest.PasskeyMediationStartRsp{LoginAllow: verdict.Allow, NewClientEnvHandle: st.Visit.Issued}
	if verdict.Allow {
		_, body.AssertionOptions, err = request(st, s.record(st, rest.PasskeyChallengeTypeAuthenticate, verdict),
			relyingparty.Request{UserVerification: s.verification(st.Project, verdict, How{})})
		if err != nil {
			return rsp, err
		}
	}
	return reply.Judged(body, verdict), nil
}

// MediationFinish implements service.Passkeys. A passkey that was deleted here and lives on in an authenticator is no fault: the answer
// says credentialDeleted, so that the client can tell the authenticator.
func (s *Service) MediationFinish(
	ctx context.Context, req service.ForProject[rest.PasskeyMediationFinishReq],
) (rsp service.Finished[rest.PasskeyMediationFinishRsp], err error) {
	defer func() { s.calls.Finished("mediation-finish", err) }()
	body := req.Body
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err == nil {
		err = s.risk.CheckContext(ctx, req.Project, body.Context)
	}
	if err != nil {
		return rsp, err
	}
	attempt := Attempt{Project: p, Process: body.ProcessID, Client: body.ClientInformation}
	defer func() { err = s.refuseLogin(ctx, attempt, err) }()
	answer, err := relyingparty.ParseAssertion(body.AssertionResponse)
	if err != nil {
		return rsp, fault.At(FieldAssertion, err)
	}
	attempt.Passkey = answer.RawID
	taken, err := s.challenges.Take(ctx, challenge.Claim{
		Keys: p.Ring, Project: p.ID, Value: answer.Response.CollectedClientData.Challenge, Type: rest.PasskeyChallengeTypeAuthenticate,
		Process: body.ProcessID, AnyProcess: true, RPID: p.RPID,
	}, s.now())
	attempt.Record = taken.Record
	if err != nil {
		return rsp, fault.At(FieldAssertion, err)
	}
	a, gone, err := s.owner(ctx, p.ID, answer.RawID)
	if errors.Is(err, refusal.ErrUnknown) {
		rsp.Body, err = s.elsewhere(ctx, p, answer.RawID)
		return rsp, err
	}
	if err != nil {
		return rsp, err
	}
	if gone {
		_ = s.refuseLogin(ctx, attempt, fault.At(FieldAssertion, refusal.ErrDeleted)) // told, and no fault of the call
		rsp.Body = reply.NotMediated(rest.MediationError{Type: rest.MediationErrorTypeCredentialDeleted})
		return rsp, nil
	}
	if err := a.Active(); err != nil {
		return rsp, fault.At(FieldAssertion, refusal.OwnerFault(err))
	}
	if taken, err = s.challenges.Unended(ctx, taken, a.ID, a.UsedTo); err != nil {
		return rsp, fault.At(FieldAssertion, err)
	}
	login := assertion{
		project: p, account: a, taken: taken, answer: answer, client: body.ClientInformation, process: body.ProcessID, discoverable: true,
		added: body.Context, asked: new(service.FinishQuestion), judged: new(service.Verdict),
		signed: body.SignPasskeyData != nil && *body.SignPasskeyData,
	}
	data, err := s.finishAssertion(ctx, login)
	if err != nil {
		return rsp, err
	}
	signed, err := s.sign(ctx, body.SignPasskeyData, login, data)
	if err != nil {
		return rsp, err
	}
	return reply.Finished(rest.PasskeyMediationFinishRsp{PasskeyData: data, SignedPasskeyData: signed}, *login.judged), nil
}

// owner finds the account that a WebAuthn credential ID belongs to, or reports that the credential is gone. A credential nobody knows is a
// fault.
func (s *Service) owner(ctx context.Context, project ident.ProjectID, credentialID []byte) (a account.Account, gone bool, err error) {
	entry, ok, err := s.index.Credential(ctx, project, credentialID)
	if err != nil {
		return account.Account{}, false, err
	}
	if !ok {
		return account.Account{}, false, fault.At(FieldAssertion, refusal.ErrUnknown)
	}
	if entry.Deleted != 0 {
		return account.Account{}, true, nil
	}
	a, _, err = s.accounts.Stored(ctx, project, entry.User)
	if errors.Is(err, account.ErrUnknown) {
		return account.Account{}, false, fault.At(FieldAssertion, refusal.ErrUnknown)
	}
	if err != nil {
		return account.Account{}, false, err
	}
	if a.Passkey(credentialID) != nil {
		return a, false, nil
	}
	// The account is the truth: a deletion that was interrupted before it reached the index is still a deletion.
	if a.Lost(credentialID) {
		return account.Account{}, true, nil
	}
	return account.Account{}, false, fault.At(FieldAssertion, refusal.ErrUnknown)
}

// elsewhere tells at which other project of the RP ID a passkey is in use, if that project lets itself be named. Otherwise it is one that
// nobody knows.
func (s *Service) elsewhere(ctx context.Context, p project.Project, credentialID []byte) (rsp rest.PasskeyMediationFinishRsp, err error) {
	others := slices.DeleteFunc(slices.Clone(s.projects.All()), func(other project.Project) bool {
		return other.ID == p.ID || other.RPID != p.RPID || !other.Frontend.NamedToOthers
	})
	other, known, err := s.index.In(ctx, others, credentialID)
	if err != nil || !known {
		return rsp, cmp.Or(err, fault.At(FieldAssertion, refusal.ErrUnknown))
	}
	return reply.NotMediated(rest.MediationError{
		Type: rest.MediationErrorTypeAlternativeProjectID, AlternativeProjectName: &other.Name,
	}), nil
}
