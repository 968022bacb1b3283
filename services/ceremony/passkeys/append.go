package passkeys

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/tidings"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

const FieldAttestation = "attestationResponse"

// What decisions call the situations in which the service itself asks whether to create a passkey.
const (
	SituationPostLogin   = "post-login"
	SituationSignUp      = "sign-up"
	SituationCurrentUser = "current-user" // somebody with a session has asked for it
)

// AppendStart implements service.Passkeys.
func (s *Service) AppendStart(
	ctx context.Context, req service.ForProject[rest.PasskeyAppendStartReq],
) (rsp service.Judged[rest.PasskeyAppendStartRsp], err error) {
	defer func() { s.calls.Started("append-start", rsp.Body.AppendAllow, err) }()
	body := req.Body
	if body.Username == "" {
		return rsp, fault.Field("username", "cannot be blank")
	}
	situation := ""
	if body.Situation != nil {
		situation = *body.Situation
	}
	st, err := s.start(ctx, req.Project, body.UserID, body.ClientInformation, body.ProcessID, body.Context)
	if err != nil {
		return rsp, err
	}
	if body.StepUpID != nil {
		st.Proof = ident.StepUpID(*body.StepUpID)
	}
	return s.StartAppend(ctx, st, body.Username, body.PasskeyIntelFlags, situation)
}

// StartAppend asks for a decision on the user of st, and offers the creation of a passkey or not. The username is what authenticators show.
func (s *Service) StartAppend(
	ctx context.Context, st Start, username string, flags rest.PasskeyIntelFlags, situation string,
) (rsp service.Judged[rest.PasskeyAppendStartRsp], err error) {
	verdict, err := s.judgeAppend(ctx, &st, flags, situation)
	if err != nil {
		return rsp, err
	}
	if err = s.risk.Offer(ctx, risk.Offer{
		Account: st.Account, Process: st.Question.Process, Page: st.Question.Frontend, Proof: st.Proof,
		Sighted: environments.Sighted(&st.Project, string(st.User), st.Question.Environment, st.Question.Client),
	}, &verdict); err != nil {
		return rsp, err
	}
	s.tellOfStart(ctx, &st, risk.AppendStart, verdict.Verdict)
	offered := Offered{}
	if verdict.Allow {
		if offered, err = s.OfferCreation(ctx, st, verdict, relyingparty.Creation{
			Username: username, Attachment: verdict.Attachment, Hints: verdict.Hints, Conditional: verdict.Conditional,
		}, ""); err != nil {
			return rsp, err
		}
	}
	return reply.Judged(reply.Append(st.Account, st.Visit.Issued, verdict, offered.Options), verdict.Verdict), nil
}

// JudgeAppend asks for a decision whether the user of st is to be offered a passkey. If the account turns out to be out of date, st has the
// one that counted.
func (s *Service) JudgeAppend(
	ctx context.Context, st *Start, flags rest.PasskeyIntelFlags, situation string,
) (service.AppendVerdict, error) {
	verdict, err := s.judgeAppend(ctx, st, flags, situation)
	s.tellOfStart(ctx, st, risk.AppendStart, verdict.Verdict)
	return verdict, err
}

func (s *Service) judgeAppend(
	ctx context.Context, st *Start, flags rest.PasskeyIntelFlags, situation string,
) (service.AppendVerdict, error) {
	verdict, err := ask(ctx, s, st, func() (service.AppendVerdict, error) {
		question := st.Question
		if a := question.Account; situation == SituationSignUp && a != nil && a.Waits() {
			joining := *a
			joining.Status, question.Account = account.StatusActive, &joining
		}
		asked := service.AppendQuestion{Question: question, Flags: flags, Situation: situation}
		if seed := reqctx.Seed(ctx); seed != "" {
			asked.Unshown = challenge.EventID(seed.ChallengeID(), event.AppendOffered)
		}
		return s.decision.Append(ctx, asked)
	}, func(v *service.AppendVerdict) *service.Verdict { return &v.Verdict })
	if st.Account == nil || s.enrolment.Full(st.Account) {
		verdict.Allow, verdict.Withheld = false, ""
	}
	return verdict, err
}

// Offered is an offer to create a passkey that has been made.
type Offered struct {
	Options   string // creation options as JSON
	CreatedMs int64  // of the challenge
	Event     event.Event
	Sequence  uint64 // of the event in the log
}

// OfferCreation makes creation options out of o and of what the verdict says of excluded credentials and user verification. When it has
// returned, their challenge is stored and the offer is in the log. The passkey is created under the given ID, or under a new one if that is
// empty.
func (s *Service) OfferCreation(
	ctx context.Context, st Start, v service.AppendVerdict, o relyingparty.Creation, passkey ident.CredentialID,
) (Offered, error) {
	o.Exclude = st.Account.Passkeys(v.ExcludeCredentials, st.Project.RPID)
	o.UserVerification = v.UserVerification
	options, err := relyingparty.New(st.Project, st.Project.Origins).Create(*st.Account, o)
	if err != nil {
		return Offered{}, fault.Internal(err)
	}
	r := s.record(st, rest.PasskeyChallengeTypeRegister, v.Verdict)
	// A call that is repeated is one ceremony, with one offer in the log, whichever of its challenges comes back.
	r.ID = reqctx.Seed(ctx).ChallengeID()
	r.Value, r.Session, r.StepUp = options.Challenge, options.Session, st.Proof
	r.Kind, r.Username, r.AllowedAAGUIDs, r.Passkey = v.Kind, o.Username, v.AllowedAAGUIDs, passkey
	if err := s.challenges.Put(ctx, r); err != nil {
		return Offered{}, err
	}
	offer := s.offer(st, event.AppendOffered, v.Verdict)
	offer.ID = challenge.EventID(r.ID, event.AppendOffered)
	offer.Challenge, offer.Ceremony, offer.Kind, offer.Credential = r.Value, r.ID, v.Kind, string(passkey)
	appended, err := s.outbox.Append(ctx, offer)
	if err != nil {
		return Offered{}, err
	}
	return Offered{Options: options.JSON, CreatedMs: r.Created, Event: offer, Sequence: appended.Sequence}, nil
}

// AppendFinish implements service.Passkeys.
func (s *Service) AppendFinish(
	ctx context.Context, req service.ForProject[rest.PasskeyAppendFinishReq],
) (rsp service.Finished[rest.PasskeyAppendFinishRsp], err error) {
	defer func() { s.calls.Finished("append-finish", err) }()
	body := req.Body
	p, user, err := s.named(ctx, req.Project, body.UserID, body.Context)
	if err != nil {
		return rsp, err
	}
	attempt := Attempt{Project: p, User: user, Process: body.ProcessID, Client: body.ClientInformation, Answer: body.AttestationResponse}
	answer, err := relyingparty.ParseCreation(body.AttestationResponse)
	if err != nil {
		return rsp, s.RefuseCreation(ctx, attempt, fault.At(FieldAttestation, err))
	}
	attempt.Of(answer)
	a, taken, err := s.take(ctx, challenge.Claim{
		Keys: p.Ring, Project: p.ID, User: user, Value: answer.Response.CollectedClientData.Challenge, Type: rest.PasskeyChallengeTypeRegister,
		Process: body.ProcessID, RPID: p.RPID,
	}, FieldAttestation)
	if err == nil && enrolment.Ended(&a, taken.Record) {
		err = fault.At(FieldAttestation, challenge.ErrUsed)
	}
	if err != nil {
		attempt.Record = taken.Record
		return rsp, s.RefuseCreation(ctx, attempt, err)
	}
	created, err := s.FinishCreation(ctx, Creation{
		Project: p, Account: a, Taken: taken, Answer: answer, Client: body.ClientInformation, Added: body.Context, Field: FieldAttestation,
		Where: environments.SightingOf(body.ClientInformation, environments.Detected(taken.Record)),
	})
	if err != nil {
		return rsp, err
	}
	passkey := created.Passkey
	route := rest.CeremonyType(passkey.CreatedBy())
	return reply.Finished(rest.PasskeyAppendFinishRsp{PasskeyData: s.passkeyData(user, passkey, route, taken.ID)}, created.Judged), nil
}

// Creation is the answer of an authenticator that has created a passkey. Its challenge has been taken.
type Creation struct {
	Project project.Project
	Account account.Account
	Taken   challenge.Taken
	Answer  *protocol.ParsedCredentialCreationData
	Client  rest.ClientInformation
	Added   json.RawMessage       // what the caller added
	Name    string                // the user's own for the passkey, if any
	Field   string                // of the request, where the answer came in
	Where   environments.Sighting // zero: nothing is to be remembered of the environment
}

// Created is a passkey that has been created.
type Created struct {
	Passkey  account.Credential
	Event    event.Event
	Sequence uint64 // of the event in the log
	Judged   service.Verdict
}

// FinishCreation verifies an answer, asks how risky it is to take it, stores the passkey in the account, and the completed creation in the
// log, in this order. A refused creation is in the log, too.
func (s *Service) FinishCreation(ctx context.Context, c Creation) (Created, error) {
	created, err := s.finishCreation(ctx, c)
	if err == nil {
		return created, nil
	}
	attempt := Attempt{Project: c.Project, User: c.Account.ID, Process: c.Taken.Process, Client: c.Client, Record: c.Taken.Record}
	attempt.Of(c.Answer)
	attempt.unspent = c.Taken.EndsByAccount() && !errors.Is(err, challenge.ErrUsed)
	return Created{}, s.RefuseCreation(ctx, attempt, fault.At(c.Field, err))
}

func (s *Service) finishCreation(ctx context.Context, c Creation) (Created, error) {
	party, err := relyingparty.Finishing(c.Project, c.Taken.Record)
	if err != nil {
		return Created{}, err
	}
	passkey, err := party.Register(c.Account, c.Taken.Session, c.Answer)
	if err == nil && !relyingparty.MayCreate(c.Taken.AllowedAAGUIDs, passkey.AAGUID) {
		err = refusal.ErrAuthenticator
	}
	if err != nil {
		return Created{}, err
	}
	said, statement, err := s.enrolment.Statements.Take(&c.Project, c.Answer)
	if err != nil {
		return Created{}, err
	}
	s.describe(&passkey, c.Taken.Record, c.Client)
	passkey.Name, passkey.Attestation = c.Name, said
	asked := s.finishQuestion(ctx, c.Project, &c.Account, c.Taken.Record, c.Client)
	asked.Context, asked.Passkey, asked.UV = c.Added, passkey, passkey.UserVerified
	asked.Conditional = c.Taken.Kind == event.KindConditionalCreate
	judged := s.risk.Finish(ctx, asked)
	done := c.Taken.Record.Event(s.now(), c.Account.ID, event.AppendCompleted, passkey.ID)
	environments.Tell(&done, &c.Project, c.Client, environments.Detected(c.Taken.Record), s.addresses)
	environments.Locate(&done, judged.Place)
	done.Kind, done.Route, done.Attachment, done.UV = c.Taken.Kind, passkey.CreatedBy(), passkey.Attachment, &passkey.UserVerified
	err = s.risk.Pass(ctx, risk.Withheld{
		Project: c.Project.ID, Account: c.Account, Process: c.Taken.Process, Record: c.Taken.Record, Verdict: judged, Passkey: passkey,
		Event: done, Data: s.passkeyData(c.Account.ID, passkey, rest.CeremonyType(passkey.CreatedBy()), c.Taken.ID), Client: c.Client,
		Statement: statement,
	})
	s.outbox.Report(ctx, risk.Tidings(ctx, risk.Judgement{Stage: risk.AppendFinish, Event: done, Verdict: judged, Refused: err})...)
	if err != nil {
		return Created{}, err
	}
	err = s.enrolment.Keep(ctx, enrolment.Passkey{
		Credential: passkey, Record: c.Taken.Record, Field: c.Field, Statement: statement,
		Remember: func(a *account.Account) {
			environments.Remember(a, c.Taken.Environment, c.Where, passkey.CreatedMs)
			s.outbox.Untold(a)
		},
	})
	if err != nil {
		return Created{}, err
	}
	appended, err := s.outbox.Append(ctx, done)
	if err != nil {
		return Created{}, err
	}
	s.outbox.Report(ctx, tidings.Of(done, tidings.Shown{NewCountry: judged.NewCountry})...)
	return Created{Passkey: passkey, Event: done, Sequence: appended.Sequence, Judged: judged}, nil
}

// describe fills in what the authenticator does not know.
func (s *Service) describe(c *account.Credential, r challenge.Record, client rest.ClientInformation) {
	d := environments.DeviceOf(client, environments.Detected(r))
	nowMs := s.now().UnixMilli()
	c.ID = r.PasskeyID()
	c.Username = r.Username
	c.CreatedOS, c.CreatedBrowser = d.OS, d.Browser
	c.Environment = r.Environment
	c.CreatedMs, c.LastUsedMs = nowMs, nowMs
}
