package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// processAnswer is what most calls of a sign-up or login answer with.
type processAnswer = service.Answered[frontend.ProcessResponse]

// turn is one call of a process: what was read, and what it has become since.
type turn struct {
	visit   service.Visit
	project project.Project
	process process.Process
	state   signin.State
	decided service.Decided // what was asked for last, if anything was
}

// client is what was said of the client when the process began, at the address that it has now.
func (t *turn) client() rest.ClientInformation {
	client := t.process.Client
	client.RemoteAddress, client.UserAgent = t.visit.RemoteAddress, t.visit.UserAgent
	return client
}

// turn reads the process that a visit names.
func (s *Service) turn(ctx context.Context, v service.Visit) (*turn, error) {
	p, found, err := s.processes.Of(ctx, v, process.SignIn)
	if err != nil {
		return nil, err
	}
	t := &turn{visit: v, project: p, process: found}
	return t, t.read(found)
}

func (t *turn) read(p process.Process) error {
	t.process, t.state = p, signin.State{}
	if err := json.Unmarshal(p.State, &t.state); err != nil {
		return fault.Internal(fmt.Errorf("decode the state of a process: %w", err))
	}
	return nil
}

// transition makes another state of one. It may be called several times. What it changes of the process is stored too.
type transition func(signin.State, *process.Process) (signin.State, error)

// move applies a transition to the process as it is stored, and takes over what it finds there. A call that does not belong there is a
// fault.
func (s *Service) move(ctx context.Context, t *turn, change transition) error {
	_, err := s.stored.Update(ctx, t.project.ID, process.SignIn, t.visit.Process, s.now(), t.applying(change))
	return err
}

// note is move for what the service itself has done. If another call was faster, it goes on from there.
func (s *Service) note(ctx context.Context, t *turn, change transition) error {
	_, err := s.stored.Update(ctx, t.project.ID, process.SignIn, t.visit.Process, s.now(), t.applying(change))
	if errors.Is(err, signin.ErrPlace) {
		return nil
	}
	return err
}

func (t *turn) applying(change transition) func(*process.Process) error {
	return func(p *process.Process) error {
		if err := t.read(*p); err != nil {
			return err
		}
		next, err := change(t.state, p)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("encode the state of a process: %w", err)
		}
		// The erasure of a user looks for the processes that name it.
		p.State, p.User = raw, next.User
		t.process, t.state = *p, next
		return nil
	}
}

// pure makes a transition of one that needs nothing but the state.
func pure(change func(signin.State) (signin.State, error)) transition {
	return func(state signin.State, _ *process.Process) (signin.State, error) { return change(state) }
}

// gone makes the fault that clients begin anew at of the one that a user does not exist: the user of the process was deleted meanwhile.
func gone(err error) error { return process.ErrUnknown.Instead(err, account.ErrUnknown) }

// answer does what is to be done until there is something to show. What was interrupted is done again by whichever call comes next.
func (s *Service) answer(ctx context.Context, t *turn) (processAnswer, error) {
	for {
		var err error
		switch {
		case t.state.Phase == signin.Joining:
			err = s.join(ctx, t)
		case t.state.Phase == signin.Offering:
			err = s.offerCreation(ctx, t)
		case t.state.Phase == signin.Completing:
			return s.completeProcess(ctx, t)
		case t.state.Phase == signin.Verifying && t.state.Current.Due:
			err = s.sendProof(ctx, t)
		default:
			return s.show(t)
		}
		if err != nil {
			return processAnswer{}, gone(err)
		}
	}
}

func (s *Service) show(t *turn) (processAnswer, error) {
	body, err := t.state.Block(signin.View{Project: t.project.Frontend, RPID: t.project.RPID, UserAgent: t.visit.UserAgent})
	if err != nil {
		return processAnswer{}, fault.Internal(err)
	}
	return s.shown(t, body), nil
}

func (s *Service) shown(t *turn, body frontend.BlockBody) processAnswer {
	issuer := s.sessions.Issuer(t.project)
	environment := "production"
	if strings.HasPrefix(issuer, "http://") {
		environment = "development"
	}
	rsp := processAnswer{}
	rsp.Body = frontend.ProcessResponse{BlockBody: body, Common: frontend.ProcessCommon{
		AppName: codes.SenderName(t.project), FrontendAPIURL: issuer, HideBadge: true, Environment: environment,
	}}
	rsp.Decided = t.decided
	return rsp
}

// ProcessInit implements service.SignIn.
func (s *Service) ProcessInit(
	ctx context.Context, req service.ForVisit[frontend.ProcessInitReq],
) (rsp service.Answered[frontend.ProcessInitRsp], err error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rsp, err
	}
	state := signin.New(signin.Preferred(p.Frontend, req.Body.PreferredBlock, signin.Login), ident.NewSeed(), signin.SettingsOf(req.Body))
	begun, err := s.processes.Begin(ctx, p, req.Visit, process.SignIn, req.Body.ClientInformation, state)
	if err != nil {
		return rsp, err
	}
	visit := req.Visit
	visit.Process = begun.Token
	t := &turn{visit: visit, project: p, process: begun.Process, state: state}
	if err := s.mediate(ctx, t); err != nil {
		return rsp, err
	}
	shown, err := s.show(t)
	if err != nil {
		return rsp, err
	}
	rsp.Body = frontend.ProcessInitRsp{
		Token: begun.Token, ExpiresAt: begun.Process.ExpiresMs / msPerSecond, ProcessResponse: shown.Body,
		NewClientEnvHandle: begun.NewHandle,
	}
	rsp.Decided = shown.Decided
	return rsp, nil
}

const msPerSecond = 1000

// mediate gives the login form options for browsers that offer passkeys in it, if the client can and the policy agrees.
func (s *Service) mediate(ctx context.Context, t *turn) error {
	options, err := s.mediationOptions(ctx, t)
	if err != nil || options == "" {
		return err
	}
	return s.note(ctx, t, pure(func(state signin.State) (signin.State, error) {
		state.Mediation = options
		return state, nil
	}))
}

func (s *Service) mediationOptions(ctx context.Context, t *turn) (string, error) {
	if !environments.MayMediate(t.process.Client) {
		return "", nil
	}
	started, err := s.passkeys.MediationStart(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyMediationStartReq]{Project: t.project.ID, Body: rest.PasskeyMediationStartReq{
			ProcessID: &t.process.ID, ClientInformation: t.client(),
		}},
	)
	if err != nil {
		return "", err
	}
	t.decided = started.Decided
	return started.Body.AssertionOptions, nil
}

// ProcessGet implements service.SignIn.
func (s *Service) ProcessGet(ctx context.Context, req service.ForVisit[*frontend.BlockType]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	if t.state.Phase == signin.Begin {
		t.state.Auth = signin.Preferred(t.project.Frontend, req.Body, t.state.Auth)
	}
	return s.answer(ctx, t)
}

// ProcessReset implements service.SignIn. The user of a sign-up that ends here goes with it, so that the same identifiers can be signed up
// with again.
func (s *Service) ProcessReset(ctx context.Context, req service.ForVisit[service.Empty]) (processAnswer, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return processAnswer{}, err
	}
	var before signin.State
	err = s.move(ctx, t, pure(func(state signin.State) (signin.State, error) {
		before = state
		if state.Phase == signin.Completing {
			return state, signin.ErrPlace // the session may be there already
		}
		return signin.New(state.Auth, ident.NewSeed(), state.Settings), nil
	}))
	if err != nil {
		return processAnswer{}, err
	}
	if err := s.giveUp(ctx, t, before); err != nil {
		return processAnswer{}, err
	}
	if err := s.mediate(ctx, t); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// ProcessComplete implements service.SignIn.
func (s *Service) ProcessComplete(ctx context.Context, req service.ForVisit[service.Empty]) (processAnswer, error) {
	return s.moved(ctx, req.Visit, pure(signin.State.Complete))
}

// BlockSkip implements service.SignIn.
func (s *Service) BlockSkip(ctx context.Context, req service.ForVisit[service.Empty]) (processAnswer, error) {
	return s.moved(ctx, req.Visit, pure(signin.State.Skip))
}

// moved is a call that is one transition.
func (s *Service) moved(ctx context.Context, v service.Visit, change transition) (processAnswer, error) {
	t, err := s.turn(ctx, v)
	if err != nil {
		return processAnswer{}, err
	}
	if err := s.move(ctx, t, change); err != nil {
		return processAnswer{}, err
	}
	return s.answer(ctx, t)
}

// AuthEventCreate implements service.SignIn. Nothing is recorded of a user whom the client does not know to be there, and before a proof a
// client may tell how the login went that it was given, and nothing else.
func (s *Service) AuthEventCreate(ctx context.Context, req service.ForVisit[frontend.EventCreateReq]) (service.Empty, error) {
	t, err := s.turn(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	kind := req.Body.EventType
	if !event.Type(kind).FromClients() {
		return service.Empty{}, fault.Field("eventType", "is no type that clients may send")
	}
	if !t.state.Told() {
		return service.Empty{}, nil
	}
	told := rest.PasskeyEventCreateReq{EventType: kind, ProcessID: &t.process.ID}
	if challenge := process.ChallengeIn(req.Body.Challenge); challenge != "" {
		told.Challenge = &challenge
	}
	if t.state.Open() {
		if told, err = s.unproven(ctx, t, told); err != nil || told.Proven == nil {
			return service.Empty{}, err
		}
	}
	seen, err := s.environments.Visit(t.project, t.client())
	if err != nil {
		return service.Empty{}, err
	}
	if environment := string(seen.Recorded()); environment != "" && seen.Known {
		told.ClientEnvID = &environment
	}
	_, err = s.events.Create(ctx, service.ForUser[rest.PasskeyEventCreateReq]{Project: t.project.ID, User: t.state.User, Body: told})
	if process.IsWithheld(err) {
		return service.Empty{}, nil
	}
	return service.Empty{}, gone(err)
}

// unproven returns an event as the word of a client without a proof, and notes that it was told. What such a client may not tell is
// returned as it is.
func (s *Service) unproven(ctx context.Context, t *turn, told rest.PasskeyEventCreateReq) (rest.PasskeyEventCreateReq, error) {
	said := ""
	if told.Challenge != nil {
		said = *told.Challenge
	}
	user, taken := t.state.User, false
	err := s.move(ctx, t, pure(func(state signin.State) (signin.State, error) {
		if taken = false; state.User == user {
			state.Given, taken = state.Given.Take(event.Type(told.EventType), said)
		}
		return state, nil
	}))
	if err != nil || !taken {
		return told, err
	}
	proven := false
	told.Challenge, told.Proven = &t.state.Given.Challenge, &proven
	return told, nil
}
