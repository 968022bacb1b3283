package connect

import (
	"cmp"
	"context"
	"errors"
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
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

const fieldLoginToken = "loginConnectToken"

// The codes by which clients know why a login falls back to what it was before there were passkeys.
const (
	codeUnknownUser        = "user_not_found"
	codeIncomplete         = "data_incomplete"
	codeNotListed          = "identifier_not_whitelisted"
	codeDeleted            = "cui_credential_deleted"
	codeUnknown            = "cui_credential_unknown"
	codeAlternativeProject = "cui_alternative_project_id"
)

// ConnectLoginInit implements service.Connect. Clients keep the answer until expiresAt; with a challenge for conditional UI that is when
// the challenge ends, since a passkey that is picked later would be refused.
func (s *Service) ConnectLoginInit(
	ctx context.Context, req service.ForVisit[frontend.ConnectInitReq],
) (rsp service.Answered[frontend.ConnectLoginInitRsp], err error) {
	defer func() { s.calls.Started("connect-login-init", rsp.Body.LoginAllowed, err) }()
	made, err := s.beginConnect(ctx, req, service.RolloutLogin)
	if err != nil {
		return rsp, err
	}
	rsp.Decided = made.verdict.Decided
	body := frontend.ConnectLoginInitRsp{
		Token: made.Token, ExpiresAt: expiresAt(made.Process), FrontendAPIURL: s.sessions.Issuer(made.project),
		LoginAllowed: made.verdict.Allow, Flags: frontend.Flags{},
		NewClientEnvHandle: made.NewHandle,
	}
	if made.verdict.Allow && environments.MayMediate(made.Process.Client) {
		ends := s.now().Add(s.challengeTTL)
		offered, err := s.passkeys.MediationStart(
			reqctx.WithFrontend(ctx),
			service.ForProject[rest.PasskeyMediationStartReq]{Project: made.project.ID, Body: rest.PasskeyMediationStartReq{
				ProcessID: &made.Process.ID, ClientInformation: made.Process.Client,
			}},
		)
		if err != nil {
			return rsp, err
		}
		if offered.Body.LoginAllow {
			body.ConditionalUIChallenge, body.ExpiresAt = &offered.Body.AssertionOptions, min(body.ExpiresAt, ends.Unix())
		}
	}
	rsp.Body = body
	return rsp, nil
}

func is(p *bool) bool { return p != nil && *p }

// ConnectLoginStart implements service.Connect. That there is no passkey login is said in the same words, and after the same work, of a
// user who does not exist, of one without passkeys and of one whose login the policy denies; see name. Only a project that has chosen so
// tells its frontend that a user is unknown.
func (s *Service) ConnectLoginStart(
	ctx context.Context, req service.ForVisit[frontend.ConnectLoginStartReq],
) (rsp service.Answered[frontend.ConnectLoginStartRsp], err error) {
	defer func() { s.calls.Started("connect-login-start", rsp.Body.AssertionOptions != "", err) }()
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	token, err := s.loginToken(ctx, c, req.Body)
	if err != nil {
		return rsp, err
	}
	identifier := token.Identifier
	st, err := s.passkeys.Begin(reqctx.WithFrontend(ctx), c.project.ID, c.process.Client, c.process.ID)
	if err != nil {
		return rsp, err
	}
	open, err := s.rollout(ctx, st.Question, c.process, service.RolloutLogin, identifier)
	if err != nil {
		return rsp, err
	}
	if !open.Allow {
		rsp.Decided = open.Decided
		rsp.Body = noLogin(identifier, rolloutError(open))
		return rsp, nil
	}
	st.Question.Context = token.Context
	who, err := s.name(ctx, &c, identifier, func(st *connectState) { st.Context = token.Context })
	if err != nil {
		return rsp, err
	}
	how := passkeys.How{Strategy: rest.CrossDeviceAuthenticationStrategyStandard, Source: event.Source(req.Body.Source)}
	return s.startConnectLogin(ctx, c, st, how, who, identifier)
}

// loginToken returns whom a login is of: what a backend says in a connect token, which this spends, comes before what was typed, of which
// there is no more than the identifier.
func (s *Service) loginToken(ctx context.Context, c connectCall, body frontend.ConnectLoginStartReq) (said connecttoken.Token, err error) {
	if !body.Source.Valid() {
		return said, fault.Field("source", "must be a valid value")
	}
	if secret := text(body.LoginConnectToken); secret != "" {
		token, err := s.tokens.Redeem(ctx, c.project.ID, secret, rest.ConnectTokenTypePasskeyLogin, s.now())
		return token, fault.At(fieldLoginToken, err)
	}
	if strings.TrimSpace(body.Identifier) == "" {
		return said, fault.Field("identifier", "cannot be blank")
	}
	said.Identifier = body.Identifier
	return said, nil
}

// startConnectLogin asks for a decision on the user, or on the decoy.
func (s *Service) startConnectLogin(
	ctx context.Context, c connectCall, st passkeys.Start, how passkeys.How, who named, identifier string,
) (rsp service.Answered[frontend.ConnectLoginStartRsp], err error) {
	answer, err := s.passkeys.StartLogin(ctx, st.Of(&who.account), how)
	if err != nil {
		return rsp, s.orphaned(ctx, c, err)
	}
	rsp.Decided = answer.Decided
	if !answer.Body.LoginAllow {
		rsp.Body = noLogin(identifier, cmp.Or(unknownError(c, who), incompleteError(answer.Incomplete)))
		return rsp, nil
	}
	given := process.GivenIn(answer.Body.AssertionOptions)
	if err := s.noteOf(ctx, c, who.account.ID, func(st *connectState) { st.Told, st.Given = true, given }); err != nil {
		return rsp, err
	}
	rsp.Body = frontend.ConnectLoginStartRsp{
		AssertionOptions: answer.Body.AssertionOptions, IsCDA: answer.Body.IsCDACandidate,
		OtherDevice:                answer.Body.OtherDevice,
		PreferImmediatelyAvailable: answer.Body.DecisionInsights.PreferImmediatelyAvailable,
	}
	return rsp, nil
}

// noLogin is the answer that there is no passkey login.
func noLogin(identifier string, reason *frontend.RequestError) frontend.ConnectLoginStartRsp {
	return frontend.ConnectLoginStartRsp{
		FallbackOperationError: frontend.FallbackOperationError{InitFallback: true, Identifier: &identifier, Error: reason},
	}
}

// rolloutError tells that an identifier is not on the list of those who may use passkeys. The list does not depend on who exists.
func rolloutError(v service.Verdict) *frontend.RequestError {
	if v.Tag != service.TagRolloutIdentifierNotListed {
		return nil
	}
	return &frontend.RequestError{Code: codeNotListed, Message: "passkeys are not switched on for this identifier yet"}
}

// incompleteError tells that the answer is one for the moment, whoever it is about.
func incompleteError(incomplete bool) *frontend.RequestError {
	if !incomplete {
		return nil
	}
	return &frontend.RequestError{
		Code: codeIncomplete, Message: "whether there is a passkey could not be found out just now; try again in a moment",
	}
}

func unknownError(c connectCall, who named) *frontend.RequestError {
	if who.known || !c.project.Frontend.TellUnknownUsers {
		return nil
	}
	return &frontend.RequestError{Code: codeUnknownUser, Message: "there is no user with this identifier"}
}

// ConnectLoginFinish implements service.Connect.
func (s *Service) ConnectLoginFinish(
	ctx context.Context, req service.ForVisit[frontend.ConnectLoginFinishReq],
) (rsp service.Answered[frontend.ConnectLoginFinishRsp], err error) {
	ctx = reqctx.WithFrontend(ctx)
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	if req.Body.IsConditionalUI {
		rsp.Body, err = s.finishConditional(ctx, c, req.Body.AssertionResponse)
	} else {
		rsp.Body, err = s.finishNamed(ctx, c, req.Body.AssertionResponse)
	}
	if errors.Is(err, risk.ErrNotAccepted) {
		rsp.Body = frontend.ConnectLoginFinishRsp{FallbackOperationError: &frontend.FallbackOperationError{InitFallback: true}}
		return rsp, nil
	}
	if err != nil {
		return service.Answered[frontend.ConnectLoginFinishRsp]{}, s.orphaned(ctx, c, ofAnswer(passkeys.FieldAssertion, err))
	}
	return rsp, nil
}

// finishNamed finishes a login that named its user. Who was not given options in this process hears the same whether there is a user or
// not.
func (s *Service) finishNamed(ctx context.Context, c connectCall, answer string) (frontend.ConnectLoginFinishRsp, error) {
	if !c.state.Told {
		return frontend.ConnectLoginFinishRsp{}, fault.At(passkeys.FieldAssertion, challenge.ErrUnknown)
	}
	signed := true
	done, err := s.passkeys.LoginFinish(
		ctx, service.ForProject[rest.PasskeyLoginFinishReq]{Project: c.project.ID, Body: rest.PasskeyLoginFinishReq{
			UserID: string(c.process.User), ProcessID: c.process.ID, AssertionResponse: answer, ClientInformation: c.process.Client,
			SignPasskeyData: &signed, Context: c.state.Context,
		}},
	)
	if err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	// The login is done, so that the process has ended meanwhile is no failure of it.
	if err := s.noteOf(ctx, c, c.process.User, vouched); err != nil && !errors.Is(err, process.ErrUnknown) {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	return s.loggedIn(ctx, c, done.Body.PasskeyData, done.Body.SignedPasskeyData, done.Risk)
}

// finishConditional finishes a login whose user was found by the passkey. A passkey that was deleted here is no error envelope, since the
// client is to go on without it.
func (s *Service) finishConditional(ctx context.Context, c connectCall, answer string) (frontend.ConnectLoginFinishRsp, error) {
	signed := true
	done, err := s.passkeys.MediationFinish(
		ctx, service.ForProject[rest.PasskeyMediationFinishReq]{Project: c.project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID: c.process.ID, AssertionResponse: answer, ClientInformation: c.process.Client, SignPasskeyData: &signed,
		}},
	)
	if unknown := refusal.UnknownCredential(err, answer); unknown != "" {
		return frontend.ConnectLoginFinishRsp{
			Signals: reply.UnknownSignal(c.project.RPID, unknown),
			FallbackOperationError: &frontend.FallbackOperationError{
				InitFallback: true, Error: &frontend.RequestError{Code: codeUnknown, Message: refusal.ErrUnknown.Error()},
			},
		}, nil
	}
	if err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	if done.Body.Error != nil {
		return frontend.ConnectLoginFinishRsp{
			FallbackOperationError: &frontend.FallbackOperationError{InitFallback: true, Error: conditionalError(c.project, *done.Body.Error)},
		}, nil
	}
	user := ident.UserID(done.Body.PasskeyData.UserID)
	a, err := s.sessions.Enabled(ctx, c.project.ID, user)
	if err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	known := knownAs(a, done.Body.PasskeyData.Username)
	who := named{account: a, kind: known.Type, known: true}
	if err := s.assign(ctx, &c, who, known.Value, vouched); err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	return s.loggedIn(ctx, c, done.Body.PasskeyData, done.Body.SignedPasskeyData, done.Risk)
}

func conditionalError(p project.Project, e rest.MediationError) *frontend.RequestError {
	if e.Type == rest.MediationErrorTypeAlternativeProjectID {
		return &frontend.RequestError{
			Code:    codeAlternativeProject,
			Message: "the passkey belongs to the project " + text(e.AlternativeProjectName) + ", not to the project " + p.Name,
		}
	}
	return &frontend.RequestError{Code: codeDeleted, Message: refusal.ErrDeleted.Error()}
}

// knownAs returns the identifier by which a passkey knows its user, else the one that the user is best known by.
func knownAs(a account.Account, username string) account.Identifier {
	for _, kind := range identifierTypes() {
		if id := a.Identifier(kind, username); id != nil {
			return *id
		}
	}
	for _, kind := range identifierTypes() {
		if value := directory.Proven(a, kind); value != "" {
			return account.Identifier{Type: kind, Value: value}
		}
	}
	return account.Identifier{Type: account.IdentifierTypeUsername, Value: cmp.Or(username, directory.DisplayName(a))}
}

// loggedIn opens the session of a login. A user who is gone by then has none; see openSession.
func (s *Service) loggedIn(
	ctx context.Context, c connectCall, data rest.PasskeyData, signed *string, judged *service.Risk,
) (frontend.ConnectLoginFinishRsp, error) {
	app := rest.AppTypeWeb
	if is(c.process.Client.IsNative) {
		app = rest.AppTypeNative
	}
	by := sessions.Proof{
		Identifier: c.state.Identifier, Methods: reply.Methods(data), MaxSessionSeconds: judged.Bound().MaxSessionSeconds,
	}
	made, a, err := s.sessions.Open(ctx, account.Account{Project: c.project.ID, ID: ident.UserID(data.UserID)}, by, app)
	if err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	token, err := s.sessions.Token(ctx, made, a, s.sessions.Issuer(c.project))
	if err != nil {
		return frontend.ConnectLoginFinishRsp{}, err
	}
	done := reply.Operation(frontend.PasskeyOperationOperationTypeVerify, c.state.Identifier, c.state.IdentifierType, data)
	return frontend.ConnectLoginFinishRsp{Session: token, SignedPasskeyData: text(signed), PasskeyOperation: &done}, nil
}
