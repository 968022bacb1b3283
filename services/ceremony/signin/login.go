package signin

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

// sought is who a login form is about, and how they are known by what was typed.
type sought struct {
	account *account.Account  // nil: nobody
	typed   signin.Identifier // without a type if it is of no form but a user name's and nobody has it
	text    string            // what was typed, however it was written: of nobody, what it is counted as
}

// LoginInit implements service.SignIn. What is answered for nobody is what is answered for a user without passkeys, and costs the same: the
// identifier is looked up, the policy is asked, a code is counted and kept. Only the delivery differs, and no answer waits for that.
func (s *Service) LoginInit(ctx context.Context, req service.ForVisit[frontend.LoginInitReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if !t.state.Open() {
		return processAnswer{}, signin.ErrPlace
	}
	typed := signin.Typed{Value: strings.TrimSpace(req.Body.IdentifierValue), IsPhone: req.Body.IsPhone}
	who, err := s.seek(ctx, t, typed)
	if err != nil {
		return processAnswer{}, err
	}
	found, err := s.judgeLogin(ctx, t, who)
	if err != nil {
		return processAnswer{}, err
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.LogIn(typed, found) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// seek finds the user. Everything that the text could be is looked up, whether or not it has been found already.
func (s *Service) seek(ctx context.Context, t *turn, typed signin.Typed) (sought, error) {
	kinds := []account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypeUsername}
	if typed.IsPhone {
		kinds = []account.IdentifierType{account.IdentifierTypePhone}
	}
	var who sought
	for _, kind := range kinds {
		value, err := account.CleanIdentifier(kind, typed.Value)
		if err != nil {
			continue
		}
		who.text = cmp.Or(who.text, account.IdentifierKey(kind, value))
		if who.account == nil && (who.typed.Type == "" && kind != account.IdentifierTypeUsername) {
			who.typed = signin.Identifier{Type: kind, Value: value}
		}
		a, err := s.userKnownBy(ctx, t.project.ID, kind, value)
		if err != nil {
			return sought{}, err
		}
		if a != nil && (a.Active() == nil || a.Waits()) && who.account == nil {
			who.account, who.typed = a, signin.Identifier{Type: kind, Value: value}
		}
	}
	who.text = cmp.Or(who.text, typed.Value)
	return who, nil
}

// judgeLogin asks the policy.
func (s *Service) judgeLogin(ctx context.Context, t *turn, who sought) (signin.Found, error) {
	if who.account == nil {
		return signin.Found{Means: signin.MeansOf(nil, who.typed, false)}, s.judgeNobody(ctx, t, who.text)
	}
	offer, err := s.loginOffer(ctx, t, who.account.ID, nil)
	if err != nil {
		return signin.Found{}, err
	}
	name := signin.Identifier{Type: who.typed.Type, Value: who.account.Identifier(who.typed.Type, who.typed.Value).Value}
	return signin.Found{User: who.account.ID, Name: name, Means: signin.MeansOf(who.account, who.typed, offer != nil), Offer: offer}, nil
}

// loginOffer returns nil if the policy offers no login with a passkey.
func (s *Service) loginOffer(ctx context.Context, t *turn, user ident.UserID, source *rest.LoginSource) (*signin.Offer, error) {
	started, err := s.passkeys.LoginStart(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyLoginStartReq]{Project: t.project.ID, Body: rest.PasskeyLoginStartReq{
			UserID: string(user), ProcessID: t.process.ID, CrossDeviceAuthenticationStrategy: rest.CrossDeviceAuthenticationStrategyStandard,
			ClientInformation: t.client(), Source: source,
		}},
	)
	if err != nil {
		return nil, err
	}
	t.decided = started.Decided
	if !started.Body.LoginAllow {
		return nil, nil
	}
	offer := &signin.Offer{
		Options: started.Body.AssertionOptions, CDA: started.Body.IsCDACandidate, Expires: s.now().Add(s.challengeTTL).UnixMilli(),
	}
	if started.Body.OtherDevice != nil {
		offer.Elsewhere = *started.Body.OtherDevice
	}
	return offer, nil
}

// judgeNobody asks the policy about a user without passkeys who does not exist, so that it takes as long as if there were one.
func (s *Service) judgeNobody(ctx context.Context, t *turn, name string) error {
	st, err := s.passkeys.Begin(reqctx.WithFrontend(ctx), t.project.ID, t.client(), t.process.ID)
	if err != nil {
		return err
	}
	// The process stands for the user: it is as new as one of whom nothing is known.
	nobody := ident.Seed(t.process.ID).UserID()
	if _, _, err := s.accounts.Get(ctx, t.project.ID, nobody); err != nil && !errors.Is(err, account.ErrUnknown) {
		return err
	}
	st.Question.Sighted = environments.Sighted(&t.project, name, st.Question.Environment, st.Question.Client)
	st.Question.Account = &account.Account{Project: t.project.ID, ID: nobody, Status: account.StatusActive}
	verdict, err := s.decision.Login(
		ctx, service.LoginQuestion{Question: st.Question, Strategy: rest.CrossDeviceAuthenticationStrategyStandard, Unknown: true},
	)
	if err != nil {
		return err
	}
	t.decided = verdict.Decided
	return nil
}

// PasskeyLoginStart implements service.SignIn. What the block has shown already is handed out once; after that, and to whoever says what
// the user pressed, the policy is asked again.
func (s *Service) PasskeyLoginStart(ctx context.Context, req service.ForVisit[frontend.PasskeyLoginStartReq]) (processAnswer, error) {
	source := req.Body.Source
	return s.startPasskey(ctx, req.Visit, signin.PasskeyLogin, source == nil, func(ctx context.Context, t *turn) (*signin.Offer, error) {
		return s.loginOffer(ctx, t, t.state.User, source)
	})
}

// PasskeyLoginFinish implements service.SignIn.
func (s *Service) PasskeyLoginFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if t.state.Phase != signin.PasskeyLogin {
		return processAnswer{}, signin.ErrPlace
	}
	user := t.state.User
	done, err := s.passkeys.LoginFinish(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyLoginFinishReq]{Project: t.project.ID, Body: rest.PasskeyLoginFinishReq{
			UserID: string(user), ProcessID: t.process.ID, AssertionResponse: req.Body.SignedChallenge, ClientInformation: t.client(),
		}},
	)
	if err != nil {
		return processAnswer{}, gone(fault.Renamed(err, passkeys.FieldAssertion, fieldSignedChallenge))
	}
	by := signin.Known{
		User: user, Name: t.state.Name,
		Operation: reply.Operation(frontend.PasskeyOperationOperationTypeVerify, t.state.Name.Value, t.state.Name.Type, done.Body.PasskeyData),
		Methods:   reply.Methods(done.Body.PasskeyData), MaxSessionSeconds: done.Risk.Bound().MaxSessionSeconds,
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.LoggedIn(by) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// PasskeyMediationFinish implements service.SignIn. An answer that logs nobody in leads back to the login form, which says why and has new
// options.
func (s *Service) PasskeyMediationFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if !t.state.Open() || t.state.Phase != signin.Begin {
		return processAnswer{}, signin.ErrPlace
	}
	done, err := s.passkeys.MediationFinish(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyMediationFinishReq]{Project: t.project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID: t.process.ID, AssertionResponse: req.Body.SignedChallenge, ClientInformation: t.client(),
		}},
	)
	if (err == nil && done.Body.Error != nil) || refusal.Is(err) {
		why := signin.Unmediated{Problem: whyNotMediated(err), Unknown: refusal.UnknownCredential(err, req.Body.SignedChallenge)}
		return s.notMediated(ctx, t, why)
	}
	if err != nil {
		return processAnswer{}, err
	}
	user := ident.UserID(done.Body.PasskeyData.UserID)
	a, _, err := s.accounts.Get(ctx, t.project.ID, user)
	if err != nil {
		return processAnswer{}, gone(err)
	}
	known := directory.KnownBy(a, done.Body.PasskeyData.Username)
	name := signin.Identifier{Type: known.Type, Value: known.Value}
	by := signin.Known{
		User: user, Name: name,
		Operation: reply.Operation(frontend.PasskeyOperationOperationTypeVerify, name.Value, name.Type, done.Body.PasskeyData),
		Methods:   reply.Methods(done.Body.PasskeyData), MaxSessionSeconds: done.Risk.Bound().MaxSessionSeconds,
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.Mediated(by) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// whyNotMediated tells the causes apart. Only a passkey that the project has no longer, or never had, is called gone.
func whyNotMediated(err error) *frontend.RequestError {
	switch {
	case err == nil, refusal.IsUnknown(err):
		return signin.ProblemPasskeyGone()
	case refusal.IsLate(err):
		return signin.ProblemPasskeyLate()
	case errors.Is(err, refusal.ErrOwnerWaits):
		return signin.ProblemPasskeyWaits()
	default:
		return signin.ProblemPasskeyRefused()
	}
}

func (s *Service) notMediated(ctx context.Context, t *turn, why signin.Unmediated) (processAnswer, error) {
	options, err := s.mediationOptions(ctx, t)
	if err != nil {
		return processAnswer{}, err
	}
	if err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) { return state.NotMediated(options, why) })); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// settleProven writes down what a process has proven of its user.
func (s *Service) settleProven(ctx context.Context, t *turn) (account.Account, error) {
	return s.settler.Settle(ctx, t.project.ID, t.state, func() (ident.EnvironmentID, error) {
		seen, err := s.environments.Visit(t.project, t.client())
		return seen.Recorded(), err
	})
}

// completeProcess answers with the session.
func (s *Service) completeProcess(ctx context.Context, t *turn) (processAnswer, error) {
	made, err := s.openProven(ctx, t)
	if err != nil {
		return processAnswer{}, gone(err)
	}
	refresh := made.RefreshInBody()
	body, err := t.state.CompletedBlock(frontend.BlockCompleted{
		SessionToken: made.Session, ShortSession: made.Session, RefreshToken: refresh, LongSession: refresh,
		PasskeyOperation: t.state.Operation,
	})
	if err != nil {
		return processAnswer{}, fault.Internal(err)
	}
	rsp := s.shown(t, body)
	rsp.Cookies = &made.Cookies
	return rsp, nil
}

func (s *Service) endProcess(ctx context.Context, t *turn) error {
	return s.stored.Delete(ctx, t.project.ID, process.SignIn, t.visit.Process, s.now())
}
