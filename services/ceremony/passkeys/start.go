package passkeys

import (
	"context"
	"encoding/json"
	"errors"

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
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Start is what every start call knows before it asks for a decision.
type Start struct {
	Project  project.Project
	User     ident.UserID     // empty: mediation
	Account  *account.Account // shared, not to be changed; nil: mediation, or the account could not be read
	Visit    environments.Visit
	Question service.Question
	Proof    ident.StepUpID // that was passed for the creation of a passkey; empty = none
}

// Start looks up the user and the environment; see Look.
func (s *Service) start(
	ctx context.Context, projectID ident.ProjectID, user string, client rest.ClientInformation, process string, added json.RawMessage,
) (Start, error) {
	st, err := s.Begin(ctx, projectID, client, process)
	if err != nil {
		return Start{}, err
	}
	id, err := userID(user)
	if err != nil {
		return Start{}, err
	}
	if err := s.with(ctx, &st, added); err != nil {
		return Start{}, err
	}
	return st, s.Look(ctx, &st, id)
}

// with puts what the caller added into the question, unless the policy does not take it.
func (s *Service) with(ctx context.Context, st *Start, added json.RawMessage) error {
	st.Question.Context = added
	return s.risk.CheckContext(ctx, st.Project.ID, added)
}

// Look makes a call that of a user. One who does not exist is a fault. An account that cannot be read is left to the policy, whose answer
// to incomplete facts is no.
func (s *Service) Look(ctx context.Context, st *Start, user ident.UserID) error {
	st.User = user
	view, err := s.accounts.View(ctx, st.Project.ID, user)
	return s.see(ctx, st, view, err)
}

// Of makes a call that of a user whose account has been read. The account is not to be changed afterwards.
func (st Start) Of(a *account.Account) Start {
	st.User, st.Account, st.Question.Account = a.ID, a, a
	return st
}

// see puts the account into the question, or that it could not be read.
func (s *Service) see(ctx context.Context, st *Start, view account.View, err error) error {
	unreadable := errors.Is(err, fault.TypeUnavailable) && ctx.Err() == nil
	if err != nil && !unreadable {
		return err
	}
	if unreadable {
		s.log.WarnContext(ctx, "login or append judged without the account", "user", st.User, "error", err)
		s.metrics.LookupsReplaced.Inc()
	}
	st.Account = view.Account
	st.Question.Account, st.Question.AccountStamp, st.Question.LookupFailed = view.Account, view.Stamp, unreadable
	return nil
}

// ask returns the answer to the question of st. If the account turns out to be out of date, it is read from the store and the question
// asked again.
func ask[V any](ctx context.Context, s *Service, st *Start, question func() (V, error), verdict func(*V) *service.Verdict) (V, error) {
	answer, err := question()
	if err != nil {
		return answer, err
	}
	if v := verdict(&answer); v.Stale {
		view, err := s.accounts.Again(ctx, st.Project.ID, st.User, v.AccountStamp)
		if err := s.see(ctx, st, view, err); err != nil {
			return answer, err
		}
		if answer, err = question(); err != nil {
			return answer, err
		}
	}
	if st.Account != nil {
		s.accounts.Told(st.Project.ID, st.User, verdict(&answer).AccountStamp)
	}
	return answer, nil
}

func (s *Service) Begin(ctx context.Context, projectID ident.ProjectID, client rest.ClientInformation, process string) (Start, error) {
	p, err := tenant.Of(ctx, s.projects, projectID)
	if err != nil {
		return Start{}, err
	}
	v, err := s.environments.Visit(p, client)
	return Start{Project: p, Visit: v, Question: service.Question{
		Project: projectID, Client: client, Environment: v.Environment, Process: process, RequestID: reqctx.RequestID(ctx),
		Frontend: reqctx.Frontend(ctx), Sighted: environments.Sighted(&p, "", v.Environment, client),
	}}, err
}

// record is the challenge that the ceremony is to be finished with. Its value is the caller's to fill in, with Route, Kind and Username.
func (s *Service) record(st Start, kind rest.PasskeyChallengeType, v service.Verdict) challenge.Record {
	now := s.now()
	r := challenge.Record{
		ID: ident.NewChallengeID(), Type: kind, Status: rest.PasskeyChallengeStatusPending,
		Project: st.Project.ID, Process: st.Question.Process, RPID: st.Project.RPID, Origins: st.Project.Origins,
		Created: now.UnixMilli(), Expires: now.Add(s.challengeTTL).UnixMilli(), Decision: v.Decision, Arm: v.Arm,
		Environment: st.Visit.Recorded(), OS: v.OS, OSVersion: v.OSVersion, Browser: v.Browser, BrowserVersion: v.BrowserVersion,
		SecondFactor: kind == rest.PasskeyChallengeTypeAuthenticate && v.ReplacesSecondFactor,
	}
	if st.Account != nil {
		r.User, r.Unverified = st.Account.ID, st.Account.Waits()
	}
	return r
}

// offer is the event that says what was answered; its ceremony and what was offered are the caller's to fill in.
func (s *Service) offer(st Start, t event.Type, v service.Verdict) event.Event {
	return event.Event{
		ID: ident.NewEventID(), Project: st.Project.ID, User: st.Account.ID, Type: t, CreatedMs: s.now().UnixMilli(),
		Process: st.Question.Process, Environment: st.Visit.Recorded(), Decision: v.Decision, Arm: v.Arm,
	}
}

// tellOfStart has subscribers told how a start was judged for risk, if that is more than that all is well. Nobody waits for it.
func (s *Service) tellOfStart(ctx context.Context, st *Start, stage risk.Stage, v service.Verdict) {
	if st.Account == nil || v.Risk == nil {
		return
	}
	e := s.offer(*st, event.RiskDecided, v)
	detected := environments.Device{OS: v.OS, OSVersion: v.OSVersion, Browser: v.Browser, BrowserVersion: v.BrowserVersion}
	environments.Tell(&e, &st.Project, st.Question.Client, detected, s.addresses)
	s.outbox.Observe(ctx, risk.Tidings(ctx, risk.Judgement{Stage: stage, Event: e, Verdict: v})...)
}

// policyContradiction reports a verdict that allows what cannot be done, as an edited policy might. The safe default takes its place.
func (s *Service) policyContradiction(ctx context.Context, st Start, v service.Verdict) {
	s.log.WarnContext(ctx, "the policy allowed a login without a usable passkey",
		"decision_id", v.Decision, "rule", v.Rule, "revision", v.PolicyRevision, "user", st.Account.ID)
}

// userID checks an ID that came in a body: it becomes part of keys and subjects.
func userID(text string) (ident.UserID, error) {
	id, err := ident.ParseUserID(text)
	if err != nil {
		return "", fault.Field("userID", "%s", err)
	}
	return id, nil
}
