package connect

import (
	"cmp"
	"context"
	"errors"
	"time"

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
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

const fieldAppendToken = "appendTokenValue"

// ConnectAppendInit implements service.Connect.
func (s *Service) ConnectAppendInit(
	ctx context.Context, req service.ForVisit[frontend.ConnectInitReq],
) (rsp service.Answered[frontend.ConnectAppendInitRsp], err error) {
	defer func() { s.calls.Started("connect-append-init", rsp.Body.AppendAllowed, err) }()
	made, err := s.beginConnect(ctx, req, service.RolloutAppend)
	if err != nil {
		return rsp, err
	}
	rsp.Decided = made.verdict.Decided
	rsp.Body = frontend.ConnectAppendInitRsp{
		ProcessID: made.Token, ExpiresAt: expiresAt(made.Process), FrontendAPIURL: s.sessions.Issuer(made.project),
		AppendAllowed: made.verdict.Allow,
		Flags:         frontend.Flags{}, NewClientEnvHandle: made.NewHandle,
	}
	return rsp, nil
}

// ConnectAppendStart implements service.Connect. The backend that issued the token has proven who the user is: a user who is not there yet
// is created, with the identifier as a verified one. The token may start several ceremonies, all in one process, and is spent by the first
// that is finished.
func (s *Service) ConnectAppendStart(
	ctx context.Context, req service.ForVisit[frontend.ConnectAppendStartReq],
) (rsp service.Answered[frontend.ConnectAppendStartRsp], err error) {
	defer func() { s.calls.Started("connect-append-start", rsp.Body.AttestationOptions != "", err) }()
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	token, err := s.tokens.Bind(ctx, c.project.ID, req.Body.AppendTokenValue, rest.ConnectTokenTypePasskeyAppend, c.process.ID, s.now())
	if err != nil {
		return rsp, fault.At(fieldAppendToken, err)
	}
	st, err := s.passkeys.Begin(reqctx.WithFrontend(ctx), c.project.ID, c.process.Client, c.process.ID)
	if err != nil {
		return rsp, err
	}
	st.Question.Context = token.Context
	open, err := s.rollout(ctx, st.Question, c.process, service.RolloutAppend, token.Identifier)
	if err != nil {
		return rsp, err
	}
	if !open.Allow {
		rsp.Decided = open.Decided
		rsp.Body.Variant = frontend.ConnectAppendStartRspVariantDefault
		return rsp, nil
	}
	situation := cmp.Or(text(req.Body.Situation), c.state.Situation, passkeys.SituationPostLogin)
	flags := appendFlags(c.process.Client, situation, is(req.Body.ForcePasskeyAppend))
	flags.LoginMethod = req.Body.LoginMethod
	who, err := s.vouchedFor(ctx, &c, token)
	if err != nil {
		return rsp, err
	}
	return s.startConnectAppend(ctx, c, st, who, flags, situation)
}

// appendFlags is what Connect clients can do: they open the dialog unasked if the answer says so, and create passkeys without one after a
// password login if the browser can.
func appendFlags(client rest.ClientInformation, situation string, force bool) rest.PasskeyIntelFlags {
	auto := true
	flags := rest.PasskeyIntelFlags{ForcePasskeyAppend: force, AskForAutoAppend: &auto}
	if conditional := createsSilently(client) && situation == passkeys.SituationPostLogin; conditional {
		flags.AskForConditionalCreate = &conditional
	}
	return flags
}

// createsSilently reports whether a browser or an app says that it can create passkeys without a dialog.
func createsSilently(client rest.ClientInformation) bool {
	return client.ClientCapabilities != nil && is(client.ClientCapabilities.ConditionalCreate) ||
		client.NativeMeta != nil && is(client.NativeMeta.IsConditionalCreateSupported)
}

func (s *Service) startConnectAppend(
	ctx context.Context, c connectCall, st passkeys.Start, who named, flags rest.PasskeyIntelFlags, situation string,
) (rsp service.Answered[frontend.ConnectAppendStartRsp], err error) {
	ends := s.now().Add(s.challengeTTL)
	answer, err := s.passkeys.StartAppend(ctx, st.Of(&who.account), c.state.Identifier, flags, situation)
	if err != nil {
		return rsp, s.orphaned(ctx, c, err)
	}
	found := answer.Body.DecisionInsights
	rsp.Decided = answer.Decided
	rsp.Body = frontend.ConnectAppendStartRsp{
		AttestationOptions: answer.Body.AttestationOptions, Variant: connectVariant(found.Variant),
		IsRestrictedBrowser: found.IsRestrictedBrowser,
	}
	if further := found.Variant == rest.AppendVariantAfterNoCredential; further {
		rsp.Body.FurtherDevice = &further
	}
	if answer.Body.AppendAllow {
		rsp.Body.AutoAppend, rsp.Body.ConditionalAppend, rsp.Body.ExpiresMs = found.Auto, is(found.Conditional), ends.UnixMilli()
	}
	return rsp, nil
}

// connectVariant returns a variant in the words that Connect clients know.
func connectVariant(v rest.AppendVariant) frontend.ConnectAppendStartRspVariant {
	if known := frontend.ConnectAppendStartRspVariant(v); known.Valid() {
		return known
	}
	return frontend.ConnectAppendStartRspVariantDefault
}

// vouchedFor makes a process that of the user whom an append token names, who is created if there is none.
func (s *Service) vouchedFor(ctx context.Context, c *connectCall, token connecttoken.Token) (named, error) {
	for range createAttempts {
		who, err := s.find(ctx, c.project, token.Identifier)
		if err != nil {
			return named{}, err
		}
		if !who.known {
			err := s.createVouched(ctx, c.project, who, token)
			if errors.Is(err, identindex.ErrTaken) {
				err = pause(ctx, createPause)
			}
			if err != nil {
				return named{}, err
			}
			continue
		}
		who, err = s.name(ctx, c, token.Identifier, func(st *connectState) {
			vouched(st)
			st.AppendToken, st.Context = token.ID, token.Context
		})
		if err != nil || who.known {
			return who, err
		}
	}
	return named{}, fault.Unavailable(time.Second, "the user is just being created, or deleted")
}

// How often and how soon a user is looked for again whom another call is just creating.
const (
	createAttempts = 10
	createPause    = 50 * time.Millisecond
)

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fault.Unavailable(time.Second, "the call was given up").Because(ctx.Err())
	case <-time.After(d):
		return nil
	}
}

// createVouched creates the user whom a backend vouches for, with the identifier, in one write. If another user has it, or another call is
// creating the same user, it is identindex.ErrTaken. One who has not verified it need not be whom the backend means.
func (s *Service) createVouched(ctx context.Context, p project.Project, who named, token connecttoken.Token) error {
	if who.pending {
		return fault.Field(fieldAppendToken, "names an identifier that a user of the project has, but has not verified")
	}
	kind, value, err := identifierOfAnyType(token.Identifier)
	if err != nil {
		return err
	}
	nowMs := s.now().UnixMilli()
	a := account.Account{
		Project: p.ID, ID: ident.NewUserID(), Status: account.StatusActive, UserHandle: directory.NewUserHandle(), CreatedMs: nowMs,
		UpdatedMs: nowMs,
		Identifiers: []account.Identifier{{
			ID: ident.NewIdentifierID(), Type: kind, Value: value, Status: account.IdentifierStatusPrimary, CreatedMs: nowMs,
		}},
	}
	if token.DisplayName != "" {
		name := token.DisplayName
		if long := []rune(name); len(long) > directory.MaxFullName {
			name = string(long[:directory.MaxFullName])
		}
		a.FullName = &name
	}
	a.Unannounced = []event.Event{s.outbox.NewEvent(p.ID, a.ID, event.UserCreated)}
	if err := s.directory.CreateWithIdentifiers(ctx, a); err != nil {
		return err
	}
	return s.outbox.Announce(ctx, a)
}

// identifierOfAnyType returns what an identifier without a type is by its form, and its value as it is to be kept.
func identifierOfAnyType(value string) (account.IdentifierType, string, error) {
	for _, kind := range identifierTypes() {
		if cleaned, err := account.CleanIdentifier(kind, value); err == nil {
			return kind, cleaned, nil
		}
	}
	return "", "", fault.Field(fieldAppendToken, "names what is no email address, phone number or user name")
}

// ConnectAppendFinish implements service.Connect. The token that the ceremony was started with is spent before the answer is verified, so
// that no second passkey comes of it; like the challenge, it is not given back if the verification fails. What the client says beside
// (customData) is not kept.
func (s *Service) ConnectAppendFinish(
	ctx context.Context, req service.ForVisit[frontend.ConnectAppendFinishReq],
) (rsp service.Answered[frontend.ConnectAppendFinishRsp], err error) {
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return rsp, err
	}
	completion, err := completionOf(req.Body.CompletionType)
	if err != nil {
		return rsp, err
	}
	if err := s.spendAppendToken(ctx, c, req.Body.AttestationResponse); err != nil {
		return rsp, err
	}
	done, err := s.passkeys.AppendFinish(
		reqctx.WithFrontend(ctx), service.ForProject[rest.PasskeyAppendFinishReq]{Project: c.project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(c.process.User), ProcessID: c.process.ID, AttestationResponse: req.Body.AttestationResponse,
			ClientInformation: c.process.Client, Context: c.state.Context,
		}},
	)
	if err != nil {
		return rsp, s.orphaned(ctx, c, ofAnswer(passkeys.FieldAttestation, err))
	}
	s.metrics.Appends.WithLabelValues(completion).Inc()
	rsp.Body.PasskeyOperation = reply.Operation(
		frontend.PasskeyOperationOperationTypeAppend, c.state.Identifier, c.state.IdentifierType, done.Body.PasskeyData,
	)
	return rsp, nil
}

// spendAppendToken spends the token of a creation whose answer can be read. Whose token it was has been refused a creation otherwise.
func (s *Service) spendAppendToken(ctx context.Context, c connectCall, answer string) error {
	attempt := passkeys.Attempt{
		Project: c.project, User: c.process.User, Process: c.process.ID, Client: c.process.Client, Answer: answer,
	}
	parsed, err := relyingparty.ParseCreation(answer)
	if err != nil && c.state.AppendToken == "" {
		return fault.At(passkeys.FieldAttestation, err)
	}
	if err != nil {
		return s.passkeys.RefuseCreation(ctx, attempt, fault.At(passkeys.FieldAttestation, err))
	}
	if c.state.AppendToken == "" {
		return fault.At(passkeys.FieldAttestation, challenge.ErrUnknown)
	}
	attempt.Of(parsed)
	if err := s.tokens.Spend(ctx, c.project.ID, c.state.AppendToken, c.process.ID); err != nil {
		return s.passkeys.RefuseCreation(ctx, attempt, fault.At(fieldAppendToken, err))
	}
	return nil
}

func completionOf(said *frontend.ConnectAppendFinishReqCompletionType) (string, error) {
	if said == nil {
		return "untold", nil
	}
	if !said.Valid() {
		return "", fault.Field("completionType", "must be a valid value")
	}
	return string(*said), nil
}
