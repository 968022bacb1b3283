package evaluation

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Fields of requests.
const (
	fieldOutcome = "outcome"
	fieldAt      = "at"
)

// Records tells how decisions were judged. The decision service's explanations are one.
type Records interface {
	RecordedRisk(context.Context, service.ForProject[ident.DecisionID]) (service.RecordedRisk, error)
}

// Told is where events go. The outbox is one.
type Told interface {
	Append(context.Context, event.Event) (service.Appended, error)
	// Observe is not waited for.
	Observe(context.Context, ...event.Event)
}

// Log is the log of passkey events. eventlog.Store is one.
type Log interface {
	Recent(context.Context, ident.ProjectID, ident.UserID, eventlog.Span, ...event.Type) (eventlog.Recent, error)
}

// skew is how far clocks of instances may be apart.
const skew = time.Minute

// TellRiskOutcome implements service.Evaluations.
func (s *Service) TellRiskOutcome(ctx context.Context, req service.ForProject[service.RiskFeedback]) (rsp rest.RiskFeedbackRsp, err error) {
	p, err := tenant.Of(ctx, s.deps.Projects, req.Project)
	if err != nil {
		return rsp, err
	}
	said := req.Body.Said
	if !said.Outcome.Valid() {
		return rsp, fault.Field(fieldOutcome, "must be fraud-confirmed, fraud-suspected, legitimate or step-up-abandoned")
	}
	of, recorded, err := s.recorded(ctx, p, req.Body)
	if err != nil {
		return rsp, err
	}
	if _, _, err := s.deps.Accounts.Get(ctx, p.ID, of.User); err != nil {
		return rsp, err
	}
	// What was said of a decision was said after it.
	since := eventlog.Span{After: eventlog.Never, Since: of.Time.Add(-skew), Latest: true}
	before, err := s.deps.Log.Recent(ctx, p.ID, of.User, since, event.RiskFeedback)
	if err != nil {
		return rsp, err
	}
	if tidings := s.feedback(p, req.Body.Decision, event.Outcome(said.Outcome), of, before.Events); tidings != nil {
		if _, err := s.deps.Told.Append(ctx, *tidings); err != nil {
			return rsp, err
		}
	}
	return rest.RiskFeedbackRsp{DecisionID: string(req.Body.Decision), Outcome: said.Outcome, Recorded: recorded}, nil
}

// recorded returns what is known of the decision: by its record, or what the caller says of it.
func (s *Service) recorded(
	ctx context.Context, p project.Project, told service.RiskFeedback,
) (of service.RecordedRisk, recorded bool, err error) {
	user, at, err := givenOf(told.Said, s.deps.Now())
	if err != nil {
		return of, false, err
	}
	of, err = s.deps.Records.RecordedRisk(ctx, service.ForProject[ident.DecisionID]{Project: p.ID, Body: told.Decision})
	switch {
	case errors.Is(err, fault.TypeNotFound) && user != "" && !at.IsZero():
		return service.RecordedRisk{User: user, Time: at}, false, nil
	case errors.Is(err, fault.TypeNotFound):
		return of, false, fault.NotFound("the decision is not in the records (any more): send userID and at, too")
	case err != nil:
		return of, false, err
	case of.User == "" && user == "":
		return of, false, fault.Field(fieldUser, "the decision was about nobody: say whose account it turned out to be")
	case of.User == "":
		of.User = user
	case user != "" && user != of.User:
		return of, false, fault.Field(fieldUser, "the decision was about somebody else")
	}
	return of, true, nil
}

// givenOf reads what a caller says of a decision.
func givenOf(said rest.RiskFeedbackReq, now time.Time) (user ident.UserID, at time.Time, err error) {
	if said.UserID != nil {
		if user, err = ident.ParseUserID(*said.UserID); err != nil {
			return "", at, fault.Field(fieldUser, "%s", err)
		}
	}
	if said.At == nil {
		return user, at, nil
	}
	if at, err = time.Parse(time.RFC3339Nano, *said.At); err != nil {
		return "", at, fault.Field(fieldAt, "must be a time as RFC 3339 has it")
	}
	if at.After(now.Add(skew)) {
		return "", at, fault.Field(fieldAt, "is in the future")
	}
	return user, at, nil
}

// feedback is the event that tells of an outcome; nil if it is what was said last. Of words that are said at once, the log's order decides.
func (s *Service) feedback(
	p project.Project, decision ident.DecisionID, outcome event.Outcome, of service.RecordedRisk, before []eventlog.Found,
) *event.Event {
	before = slices.DeleteFunc(before, func(e eventlog.Found) bool { return e.Decision != decision || e.Feedback == nil })
	judged := of.Judged
	judged.Outcome, judged.AtMs = outcome, of.Time.UnixMilli()
	if len(before) > 0 {
		last := before[len(before)-1]
		switch last.Feedback.Outcome {
		case outcome:
			return nil
		case event.FraudConfirmed:
			judged.Instead = last.ID
		}
	}
	// A decision that is not recorded may be told of with any name, in any project, and of several users.
	said := strings.Join([]string{string(p.ID), string(of.User), string(decision), string(outcome), strconv.Itoa(len(before))}, " ")
	e := event.Event{
		ID: ident.Seed(said).EventID(), Project: p.ID, User: of.User, Type: event.RiskFeedback, CreatedMs: s.deps.Now().UnixMilli(),
		Decision: decision, Process: of.Process, Environment: of.Environment, Feedback: &judged,
	}
	if outcome == event.FraudConfirmed || judged.Instead != "" {
		e.Sighted = p.Namer().Name(string(of.User), "", "")
		// By the tokens of another key nothing is counted any more.
		if where := of.Sighted; where != nil && e.Sighted != nil && where.KeyVersion == e.Sighted.KeyVersion {
			e.Sighted.Address, e.Sighted.Network, e.Sighted.Environment = where.Address, where.Network, where.Environment
		}
	}
	return &e
}
