package signin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/signin/internal/counted"
)

// How long the delivery of a code may take that no answer waits for, and how many such deliveries may be under way.
const (
	deliverLimit  = 15 * time.Second
	maxDeliveries = 256
)

// IdentifierVerifyStart implements service.SignIn.
func (s *Service) IdentifierVerifyStart(
	ctx context.Context, req service.ForVisit[frontend.IdentifierVerifyStartReq],
) (processAnswer, error) {
	return s.moved(ctx, req.Visit, pure(func(state signin.State) (signin.State, error) {
		return state.Verify(account.IdentifierType(req.Body.IdentifierType), req.Body.VerificationType)
	}))
}

// IdentifierVerifyStatus implements service.SignIn. Where a link was opened elsewhere, the process goes on here.
func (s *Service) IdentifierVerifyStatus(ctx context.Context, req service.ForVisit[service.Empty]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// IdentifierVerifyFinish implements service.SignIn.
func (s *Service) IdentifierVerifyFinish(
	ctx context.Context, req service.ForVisit[frontend.IdentifierVerifyFinishReq],
) (processAnswer, error) {
	if req.Process == "" {
		return s.openLink(ctx, req)
	}
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if err := s.guess(ctx, t, s.attempt(t.project, req.Body)); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// attempt judges a code or the token of a link.
func (s *Service) attempt(p project.Project, body frontend.IdentifierVerifyFinishReq) transition {
	return func(state signin.State, found *process.Process) (signin.State, error) {
		return state.Attempt(
			body.VerificationType, proofRef(*found), code.Attempt{Keys: p.Ring, Value: strings.TrimSpace(body.Code), Now: s.now()},
		)
	}
}

// proofRef binds a code to its process.
func proofRef(p process.Process) code.Ref {
	return code.Ref{Project: p.Project, User: ident.UserID(p.ID)}
}

// openLink is what the browser does in which a link was opened. It may do nothing else with the process, which goes on where it was begun.
func (s *Service) openLink(ctx context.Context, req service.ForVisit[frontend.IdentifierVerifyFinishReq]) (processAnswer, error) {
	if req.Body.VerificationType != frontend.VerificationMethodEmailLink {
		return processAnswer{}, process.ErrUnknown
	}
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return processAnswer{}, err
	}
	t := &turn{visit: req.Visit, project: p}
	_, err = s.stored.UpdateAsGuest(ctx, p.ID, process.SignIn, req.TempProcess, s.now(), t.applying(s.attempt(p, req.Body)))
	if err != nil && !errors.Is(err, signin.ErrPlace) {
		return processAnswer{}, err
	}
	body, err := signin.GuestBlock(t.state, req.Body.VerificationType)
	if err != nil {
		return processAnswer{}, fault.Internal(err)
	}
	return s.shown(t, body), nil
}

// SocialVerifyStart implements service.SignIn. Keyward signs nobody in by a social provider, and answers as a project that offers none.
func (s *Service) SocialVerifyStart(ctx context.Context, req service.ForVisit[frontend.SocialVerifyStartReq]) (processAnswer, error) {
	if _, err := s.turn(ctx, req.Visit); err != nil {
		return processAnswer{}, err
	}
	return processAnswer{}, fault.Field("providerType", "is not one that the project offers")
}

// SocialVerifyFinish implements service.SignIn. No process is ever on its way to a provider.
func (s *Service) SocialVerifyFinish(ctx context.Context, req service.ForVisit[service.Empty]) (processAnswer, error) {
	if _, err := s.turn(ctx, req.Visit); err != nil {
		return processAnswer{}, err
	}
	return processAnswer{}, signin.ErrPlace
}

// IdentifierUpdate implements service.SignIn.
func (s *Service) IdentifierUpdate(ctx context.Context, req service.ForVisit[frontend.IdentifierUpdateReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	f := signin.Field{Type: account.IdentifierType(req.Body.IdentifierType), Value: req.Body.Value}
	if t.state.Phase != signin.Verifying || t.state.Auth != signin.SignUp || t.state.Current.Type != f.Type {
		return processAnswer{}, signin.ErrPlace
	}
	clean, err := signin.Clean(f.Type, f.Value)
	if err != nil {
		f.Problem = signin.ProblemFormat(err)
	} else {
		f.Value = clean
		taken, err := s.taken(ctx, t.project, f.Type, clean)
		if err != nil {
			return processAnswer{}, err
		}
		if taken {
			f.Problem = signin.ProblemTaken()
		}
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.Correct(f) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// sendProof sends what the process waits for, or notes that too much has been sent. For somebody who does not exist everything is done but
// the delivery, and no answer is right.
func (s *Service) sendProof(ctx context.Context, t *turn) error {
	now, to := s.now(), t.state.Current.Means
	sends := counted.ToSend(t.project, to, t.visit.RemoteAddress)
	wait, err := s.countProof(ctx, sends, now)
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.note(ctx, t, pure(func(state signin.State) (signin.State, error) {
			state, _ = state.Wait(now.Add(wait))
			return state, nil
		}))
	}
	m, err := s.proofMessage(ctx, t, now)
	if err != nil {
		return err
	}
	won, guest := false, ""
	err = s.note(ctx, t, func(state signin.State, p *process.Process) (signin.State, error) {
		ref := proofRef(*p)
		ref.ID = m.ID
		state, won = state.Sent(m.ID, sealed(t.project, ref, m, to, now))
		if won && to.Method == frontend.VerificationMethodEmailLink {
			guest = p.Invite()
		}
		return state, nil
	})
	if err != nil || !won {
		s.uncountProof(ctx, sends, now)
		return err
	}
	if guest != "" {
		if m.Link, err = s.proofLink(t, guest, m); err != nil {
			return err
		}
	}
	return s.deliverProof(ctx, t, m, sends, now)
}

func (s *Service) proofMessage(ctx context.Context, t *turn, now time.Time) (delivery.Message, error) {
	kinds := map[frontend.VerificationMethod]rest.ChallengeType{
		frontend.VerificationMethodEmailOtp: rest.ChallengeTypeEmailOtp, frontend.VerificationMethodEmailLink: rest.ChallengeTypeEmailLink,
		frontend.VerificationMethodPhoneOtp: rest.ChallengeTypeSmsOtp,
	}
	to := t.state.Current.Means
	m := delivery.Message{
		Project: t.project.ID, User: t.state.User, ID: reqctx.Seed(ctx).CodeID(), Type: kinds[to.Method],
		Sender: codes.SenderName(t.project), To: to.Value,
		Expires: now.Add(codes.Lifetime), Lifetime: codes.Lifetime,
	}
	value, err := code.Draw(m.Type)
	if err != nil {
		return m, fault.Internal(err)
	}
	m.Value = value
	return m, nil
}

// sealed is what is kept of a message. Of one that goes nowhere it is of a value that nobody can guess.
func sealed(p project.Project, ref code.Ref, m delivery.Message, to signin.Means, now time.Time) code.Entry {
	e := code.Entry{Type: m.Type, CreatedMs: now.UnixMilli(), ExpiresMs: m.Expires.UnixMilli()}
	value := m.Value
	if to.Value == "" {
		value = code.Token()
	}
	e.Seal(p.Ring, ref, value)
	return e
}

// deliverProof delivers. A login does not wait for it: by how long it takes one could tell who exists. What fails then is logged, and the
// user asks for another.
func (s *Service) deliverProof(ctx context.Context, t *turn, m delivery.Message, to counted.Sends, at time.Time) error {
	if m.To == "" {
		return nil
	}
	if t.state.Auth == signin.SignUp {
		return s.deliverCounted(ctx, m, to, at)
	}
	select {
	case s.delivering <- struct{}{}:
	default:
		// Waiting would tell who exists, so the user asks for another here too.
		s.log.WarnContext(ctx, "the code of a login was not delivered: too many deliveries are under way", "project", m.Project, "user", m.User)
		s.uncountProof(ctx, to, at)
		return nil
	}
	s.deliveries.Go(func() {
		defer func() { <-s.delivering }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverLimit)
		defer cancel()
		if err := s.deliverCounted(ctx, m, to, at); err != nil {
			s.log.WarnContext(ctx, "the code of a login was not delivered", "project", m.Project, "user", m.User, "error", err)
		}
	})
	return nil
}

func (s *Service) deliverCounted(ctx context.Context, m delivery.Message, to counted.Sends, at time.Time) error {
	err := s.delivery.Deliver(ctx, m)
	if err != nil && !delivery.Uncertain(err) {
		s.uncountProof(ctx, to, at)
	}
	return err
}

// proofLink leads to the first website of the project.
func (s *Service) proofLink(t *turn, guest string, m delivery.Message) (string, error) {
	return codes.ProcessLink(t.project, codes.LinkedProcess{
		Guest: guest, ExpiresMs: t.process.ExpiresMs, FrontendAPI: s.sessions.Issuer(t.project), Identifier: m.To, Token: m.Value,
	})
}

// Wait returns when the deliveries that no answer waits for are over.
func (s *Service) Wait() { s.deliveries.Wait() }
