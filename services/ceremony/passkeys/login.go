package passkeys

import (
	"cmp"
	"context"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

const FieldAssertion = "assertionResponse"

// LoginStart implements service.Passkeys. When it has returned, the next decision for the user sees an offer that was answered.
func (s *Service) LoginStart(
	ctx context.Context, req service.ForProject[rest.PasskeyLoginStartReq],
) (rsp service.Judged[rest.PasskeyLoginStartRsp], err error) {
	defer func() { s.calls.Started("login-start", rsp.Body.LoginAllow, err) }()
	st, err := s.start(ctx, req.Project, req.Body.UserID, req.Body.ClientInformation, req.Body.ProcessID, req.Body.Context)
	if err != nil {
		return rsp, err
	}
	how := How{Strategy: req.Body.CrossDeviceAuthenticationStrategy}
	if req.Body.Source != nil {
		how.Source = event.Source(*req.Body.Source)
	}
	if req.Body.StepUpID != nil && st.Account != nil {
		how.StepUp = ident.StepUpID(*req.Body.StepUpID)
		if how.proofs, err = s.proofs.Passkeys(ctx, st.Account, st.Project.RPID, how.StepUp); err != nil {
			return rsp, err
		}
	}
	return s.StartLogin(ctx, st, how)
}

// How says in which way a login is wanted.
type How struct {
	Strategy rest.CrossDeviceAuthenticationStrategy
	Source   event.Source          // how the start came about; empty = not known
	StepUp   ident.StepUpID        // that the login passes; empty = none
	proofs   []*account.Credential // what passes it
}

// StartLogin asks for a decision on the user of st, and offers or denies the login.
func (s *Service) StartLogin(
	ctx context.Context, st Start, how How,
) (rsp service.Judged[rest.PasskeyLoginStartRsp], err error) {
	environments.Unknown(&st.Question, &st.Project, st.User)
	verdict, err := ask(ctx, s, &st, func() (service.LoginVerdict, error) {
		return s.decision.Login(ctx, service.LoginQuestion{Question: st.Question, Strategy: how.Strategy, Source: how.Source})
	}, func(v *service.LoginVerdict) *service.Verdict { return &v.Verdict })
	if err != nil {
		return rsp, err
	}
	s.tellOfStart(ctx, &st, risk.LoginStart, verdict.Verdict)
	if st.Account == nil {
		// Nothing can be offered to, or recorded of, somebody who could not be looked up.
		verdict.Allow = false
		return reply.Judged(reply.Login(st.Account, st.Visit.Issued, verdict, ""), verdict.Verdict), nil
	}
	if st.Account.Waits() {
		verdict.Reason = reasonUnverified
	}
	var allow []*account.Credential
	if verdict.Allow {
		allow = st.Account.Passkeys(verdict.AllowCredentials, st.Project.RPID)
		if how.StepUp != "" {
			allow = verdict.Risk.Nameable(how.proofs)
		}
		if len(st.Account.Credentials) == 0 || len(allow) == 0 && (len(verdict.AllowCredentials) > 0 || how.StepUp != "") {
			s.policyContradiction(ctx, st, verdict.Verdict)
			verdict = denied(verdict)
		}
	}
	options := ""
	stored, err := s.stored(ctx, func(ctx context.Context) (err error) {
		if !verdict.Allow {
			return s.offers.PublishOffer(ctx, s.offer(st, event.LoginDenied, verdict.Verdict))
		}
		options, err = s.offerLogin(ctx, st, how, verdict, allow)
		return err
	})
	if err != nil {
		return rsp, err
	}
	if !stored && verdict.Allow {
		verdict, options = denied(verdict), ""
		verdict.Incomplete = true
	}
	return reply.Judged(reply.Login(st.Account, st.Visit.Issued, verdict, options), verdict.Verdict), nil
}

// denied is the safe default in the place of a verdict.
func denied(v service.LoginVerdict) service.LoginVerdict {
	v.Allow, v.Tag, v.IsCDACandidate, v.PreferImmediatelyAvailable = false, rest.DecisionTagDefaultDeny, false, false
	return v
}

// stored stores what is to be answered, and reports whether the log took it while there was time for an answer.
func (s *Service) stored(ctx context.Context, store func(context.Context) error) (bool, error) {
	err := s.starts.Wait(ctx, store)
	if !errors.Is(err, fault.TypeUnavailable) || ctx.Err() != nil {
		return err == nil, err
	}
	s.log.WarnContext(ctx, "a login start could not be stored", "error", err)
	s.metrics.StartsUnstored.Inc()
	return false, nil
}

// offerLogin returns request options. Nothing is stored of their challenge; the offer is, and that is awaited.
func (s *Service) offerLogin(
	ctx context.Context, st Start, how How, v service.LoginVerdict, allow []*account.Credential,
) (string, error) {
	r := s.record(st, rest.PasskeyChallengeTypeAuthenticate, v.Verdict)
	r.Route, r.StepUp = v.Route, how.StepUp
	r, options, err := request(st, r, relyingparty.Request{
		Allow: allow, UserVerification: s.verification(st.Project, v.Verdict, how), Hints: v.Hints,
		Immediate: v.PreferImmediatelyAvailable && len(allow) == 0,
	})
	if err != nil {
		return "", err
	}
	offer := s.offer(st, event.LoginOffered, v.Verdict)
	offer.Source = how.Source
	return options, s.challenges.Offer(ctx, r, offer)
}

// request seals the challenge of an assertion, and returns it with its options.
func request(st Start, r challenge.Record, asked relyingparty.Request) (challenge.Record, string, error) {
	r, err := r.Seal(st.Project.Ring, asked.Asked())
	if err != nil {
		return r, "", err
	}
	return r, relyingparty.New(st.Project, st.Project.Origins).Get(r.Value, asked), nil
}

// verification is how a login asks for user verification: as the project has it, else the installation. Where a passkey replaces the second
// factor, or passes a step-up, or the policy finds something grave, nothing less than required will do.
func (s *Service) verification(p project.Project, v service.Verdict, how How) string {
	if v.ReplacesSecondFactor || how.StepUp != "" || v.Risk.VerifiesUser() {
		return string(protocol.VerificationRequired)
	}
	return cmp.Or(p.UserVerification, s.userVerification)
}

// LoginFinish implements service.Passkeys.
func (s *Service) LoginFinish(
	ctx context.Context, req service.ForProject[rest.PasskeyLoginFinishReq],
) (rsp service.Finished[rest.PasskeyLoginFinishRsp], err error) {
	defer func() { s.calls.Finished("login-finish", err) }()
	body := req.Body
	p, user, err := s.named(ctx, req.Project, body.UserID, body.Context)
	if err != nil {
		return rsp, err
	}
	attempt := Attempt{Project: p, User: user, Process: body.ProcessID, Client: body.ClientInformation}
	defer func() { err = s.refuseLogin(ctx, attempt, err) }()
	answer, err := relyingparty.ParseAssertion(body.AssertionResponse)
	if err != nil {
		return rsp, fault.At(FieldAssertion, err)
	}
	attempt.Passkey = answer.RawID
	a, taken, err := s.take(ctx, challenge.Claim{
		Keys: p.Ring, Project: p.ID, User: user, Value: answer.Response.CollectedClientData.Challenge,
		Type: rest.PasskeyChallengeTypeAuthenticate, Process: body.ProcessID, RPID: p.RPID,
	}, FieldAssertion)
	attempt.Record = taken.Record
	if err != nil {
		return rsp, err
	}
	attempt.unspent = taken.EndsByEvent()
	if a.Passkey(answer.RawID) == nil {
		return rsp, fault.At(FieldAssertion, s.notTheirs(ctx, p, a, answer.RawID))
	}
	if taken.StepUp != "" {
		body.SignPasskeyData = nil // what is signed is withheld
		if err := s.proofs.Awaits(ctx, &a, taken.StepUp, a.Passkey(answer.RawID)); err != nil {
			return rsp, err
		}
		defer func() { err = s.proofs.Proven(ctx, &a, taken.StepUp, a.Passkey(answer.RawID), err) }()
	}
	login := assertion{
		project: p, account: a, taken: taken, answer: answer, client: body.ClientInformation, process: body.ProcessID, added: body.Context,
		asked: new(service.FinishQuestion), judged: new(service.Verdict), signed: body.SignPasskeyData != nil && *body.SignPasskeyData,
	}
	data, err := s.finishAssertion(ctx, login)
	if err != nil {
		return rsp, err
	}
	signed, err := s.sign(ctx, body.SignPasskeyData, login, data)
	if err != nil {
		return rsp, err
	}
	return reply.Finished(rest.PasskeyLoginFinishRsp{PasskeyData: data, SignedPasskeyData: signed}, *login.judged), nil
}

// notTheirs tells why a user does not have a passkey. One that another user has is not told from an unknown one in words, but is not
// unknown: a client that hid it would take it from its owner.
func (s *Service) notTheirs(ctx context.Context, p project.Project, a account.Account, credentialID []byte) error {
	if a.Lost(credentialID) {
		return refusal.ErrDeleted
	}
	_, known, err := s.index.Credential(ctx, p.ID, credentialID)
	if err != nil {
		return err
	}
	if known {
		return refusal.ErrOthers
	}
	return refusal.ErrUnknown
}

// reasonUnverified is why no login is offered to who waits for an identifier to be verified, in decisionInsights.
const reasonUnverified = "unverified"
