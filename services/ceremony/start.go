package ceremony

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// start is what every start call knows before it asks for a decision.
type start struct {
	project  project.Project
	user     ident.UserID     // empty: mediation
	account  *account.Account // shared, not to be changed; nil: mediation, or the account could not be read
	visit    visit
	question service.Question
}

// start looks up the user and the environment. A user who does not exist is a fault. An account that cannot be read is left to the policy, whose answer to
// incomplete facts is no.
func (s *Service) start(ctx context.Context, projectID ident.ProjectID, user string, client rest.ClientInformation, process string) (start, error) {
	st, err := s.startUnnamed(ctx, projectID, client, process)
	if err != nil {
		return start{}, err
	}
	id, err := userID(user)
	if err != nil {
		return start{}, err
	}
	st.user = id
	view, err := s.accounts.View(ctx, projectID, id)
	return st, s.see(ctx, &st, view, err)
}

// see puts the account into the question, or that it could not be read.
func (s *Service) see(ctx context.Context, st *start, view account.View, err error) error {
	unreadable := errors.Is(err, fault.TypeUnavailable) && ctx.Err() == nil
	if err != nil && !unreadable {
		return err
	}
	if unreadable {
		s.log.WarnContext(ctx, "login or append judged without the account", "user", st.user, "error", err)
		s.metrics.lookupsReplaced.Inc()
	}
	st.account = view.Account
	st.question.Account, st.question.AccountStamp, st.question.LookupFailed = view.Account, view.Stamp, unreadable
	return nil
}

// ask returns the answer to the question of st. If the account turns out to be out of date, it is read from the store and the question asked again.
func ask[V any](ctx context.Context, s *Service, st *start, question func() (V, error), verdict func(*V) *service.Verdict) (V, error) {
	answer, err := question()
	if err != nil {
		return answer, err
	}
	if v := verdict(&answer); v.Stale {
		view, err := s.accounts.Again(ctx, st.project.ID, st.user, v.AccountStamp)
		if err := s.see(ctx, st, view, err); err != nil {
			return answer, err
		}
		if answer, err = question(); err != nil {
			return answer, err
		}
	}
	if st.account != nil {
		s.accounts.Told(st.project.ID, st.user, verdict(&answer).AccountStamp)
	}
	return answer, nil
}

func (s *Service) startUnnamed(ctx context.Context, projectID ident.ProjectID, client rest.ClientInformation, process string) (start, error) {
	p, err := s.project(projectID)
	if err != nil {
		return start{}, err
	}
	v, err := s.visit(p, client)
	if err != nil {
		return start{}, err
	}
	return start{project: p, visit: v, question: service.Question{
		Project: projectID, Client: client, Environment: v.Environment, Process: process, RequestID: reqctx.RequestID(ctx),
	}}, nil
}

// record is the challenge that the ceremony is to be finished with. Route, Kind, User and Username are the caller's to fill in.
func (s *Service) record(st start, kind rest.PasskeyChallengeType, o relyingparty.Options, v service.Verdict) challenge.Record {
	now := s.now()
	r := challenge.Record{
		ID: ident.NewChallengeID(), Value: o.Challenge, Type: kind, Status: rest.PasskeyChallengeStatusPending,
		Project: st.project.ID, Process: st.question.Process, RPID: st.project.RPID, Origins: st.project.Origins,
		Created: now.UnixMilli(), Expires: now.Add(s.cfg.ChallengeTTL).UnixMilli(), Session: o.Session, Decision: v.Decision,
		Environment: st.visit.recorded(), OS: v.OS, OSVersion: v.OSVersion, Browser: v.Browser, BrowserVersion: v.BrowserVersion,
	}
	if st.account != nil {
		r.User = st.account.ID
	}
	return r
}

// offer is the event that says what was answered; its ceremony and what was offered are the caller's to fill in.
func (s *Service) offer(st start, t event.Type, v service.Verdict) event.Event {
	return event.Event{
		ID: ident.NewEventID(), Project: st.project.ID, User: st.account.ID, Type: t, CreatedMs: s.now().UnixMilli(),
		Process: st.question.Process, Environment: st.visit.recorded(), Decision: v.Decision,
	}
}

// policyContradiction reports a verdict that allows what cannot be done, as an edited policy might. The safe default takes its place.
func (s *Service) policyContradiction(ctx context.Context, st start, v service.Verdict) {
	s.log.WarnContext(ctx, "the policy allowed a login without a usable passkey",
		"decision_id", v.Decision, "rule", v.Rule, "revision", v.PolicyRevision, "user", st.account.ID)
}

// insights returns i without nil lists: strict clients want arrays.
func insights(i rest.DetectionInsights) rest.DetectionInsights {
	i.ClientEnvIds = orEmpty(i.ClientEnvIds)
	i.CredentialIds = orEmpty(i.CredentialIds)
	i.PasswordManagerIds = orEmpty(i.PasswordManagerIds)
	i.Tags = orEmpty(i.Tags)
	return i
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func credentialCount(a *account.Account) int32 {
	if a == nil {
		return 0
	}
	return int32(len(a.Credentials))
}

func judged[T any](body T, v service.Verdict) service.Judged[T] {
	return service.Judged[T]{Body: body, Decision: v.Decision, PolicyRevision: v.PolicyRevision}
}
