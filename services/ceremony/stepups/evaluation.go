package stepups

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Evaluation is something that is no ceremony, and that the policy asks a further proof of.
type Evaluation struct {
	Project ident.ProjectID
	Account *account.Account
	Nobody  bool // the account stands for a user that there is not: nothing is told of them, and the answer is to be as of one that there is
	Process string
	Action  string
	Sighted *event.Sighted // what a failure is counted for; nil = nothing
	Verdict service.Verdict
}

// evaluated is what a step-up of an evaluation withholds: nothing but the word that the proof was given.
type evaluated struct {
	Decision ident.DecisionID `json:"decision"`
	Action   string           `json:"action"`
}

// Open opens the step-up of an evaluation. When it has returned, any instance has it, and the log tells of it. The error is or wraps
// risk.ErrNoStepUp if the user can do none of the methods.
func (s *Service) Open(ctx context.Context, e Evaluation) (service.StepUp, error) {
	p, err := tenant.Of(ctx, s.deps.Projects, e.Project)
	if err != nil {
		return service.StepUp{}, err
	}
	return s.open(ctx, p, e, stepup.StepUp{ID: ident.Seed(e.Verdict.Decision).StepUpID(), Nobody: e.Nobody})
}

// Offer implements risk.StepUps.
func (s *Service) Offer(ctx context.Context, o risk.Offer) (told service.StepUp, passed bool, err error) {
	if o.Proof != "" {
		u, _, err := s.deps.StepUps.Get(ctx, stepup.Ref{Project: o.Account.Project, User: o.Account.ID, ID: o.Proof}, s.deps.Now())
		if err == nil && !u.Offer {
			err = stepup.ErrUnknown
		}
		return u.Told(), u.Passed != nil, err
	}
	p, err := tenant.Of(ctx, s.deps.Projects, o.Account.Project)
	if err != nil {
		return told, false, err
	}
	told, err = s.open(ctx, p, Evaluation{
		Project: p.ID, Account: o.Account, Process: o.Process, Action: creating, Sighted: o.Sighted, Verdict: o.Verdict,
	}, stepup.StepUp{ID: o.Call(ctx).StepUpID(), Offer: true})
	return told, false, err
}

// creating is what facts call an offer to create a passkey.
const creating = "passkey-append"

// Spend implements risk.StepUps.
func (s *Service) Spend(ctx context.Context, w risk.Withheld) (bool, error) {
	ref := stepup.Ref{Project: w.Project, User: w.Account.ID, ID: w.Record.StepUp}
	u, revision, err := s.deps.StepUps.Get(ctx, ref, s.deps.Now())
	if err == nil && (!u.Offer || u.Passed == nil) {
		return false, nil
	}
	if err == nil {
		err = s.deps.StepUps.Redeem(ctx, ref, revision)
	}
	if errors.Is(err, stepup.ErrUnknown) {
		return false, nil
	}
	if err == nil {
		s.deps.Counted.Redeemed.Inc()
	}
	return err == nil, err
}

// open opens the step-up of something of which nothing but the word that the proof was given is withheld.
func (s *Service) open(ctx context.Context, p project.Project, e Evaluation, made stepup.StepUp) (service.StepUp, error) {
	made = stepup.StepUp{
		Project: e.Project, User: e.Account.ID, ID: made.ID, Process: e.Process, Nobody: made.Nobody, Offer: made.Offer, Sighted: e.Sighted,
		Decision: e.Verdict.Decision, Methods: e.Verdict.Risk.StepUp,
	}
	made.Last(s.deps.Now(), e.Verdict.Risk)
	var err error
	if !e.Nobody {
		err = s.leavePossible(ctx, &made, e.Account, p.RPID)
	} else if len(made.Methods) == 0 {
		err = risk.ErrNoStepUp
	}
	if err != nil {
		return service.StepUp{}, err
	}
	answer, err := json.Marshal(withheld{Evaluation: &evaluated{Decision: e.Verdict.Decision, Action: e.Action}})
	if err != nil {
		return service.StepUp{}, fault.Internal(fmt.Errorf("encode what an evaluation withholds: %w", err))
	}
	if err := made.Seal(p.Ring, answer); err != nil {
		return service.StepUp{}, fault.Internal(err)
	}
	there, created, err := s.deps.StepUps.Create(ctx, made)
	if err != nil {
		return service.StepUp{}, err
	}
	if err := s.tell(ctx, &there, s.event(&there, event.StepUpStarted)); err != nil {
		return service.StepUp{}, err
	}
	if created {
		s.deps.Counted.Started.Inc()
	}
	return there.Told(), nil
}

// sayPassed answers what an evaluation withheld. Whoever has been disabled since passes nothing.
func (s *Service) sayPassed(ctx context.Context, u *stepup.StepUp, kept withheld) (rsp rest.StepUpRedeemRsp, err error) {
	a, _, err := s.deps.Accounts.Stored(ctx, u.Project, u.User)
	if err == nil {
		err = a.Active()
	}
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return rsp, err
	}
	e := kept.Evaluation
	rsp.Evaluation = &rest.PassedEvaluation{DecisionID: string(e.Decision), Action: e.Action, Amr: []string{wordOf(u.Passed)}}
	return rsp, nil
}
