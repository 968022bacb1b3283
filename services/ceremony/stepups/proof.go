package stepups

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Fields of requests.
const (
	fieldMethod  = "method"
	fieldStepUp  = "stepUpID"
	fieldOutcome = "outcome"
)

// Passkeys implements risk.Proofs.
func (s *Service) Passkeys(ctx context.Context, a *account.Account, rpID string, id ident.StepUpID) ([]*account.Credential, error) {
	u, err := s.awaited(ctx, stepup.Ref{Project: a.Project, User: a.ID, ID: id})
	if err != nil {
		return nil, err
	}
	passkeys, err := s.trusted(ctx, &u, a)
	if err != nil {
		return nil, err
	}
	var serving []*account.Credential
	for i := range passkeys {
		if c := &passkeys[i]; c.RPID == rpID && u.By(c) != "" {
			serving = append(serving, c)
		}
	}
	if len(serving) == 0 {
		return nil, fault.Field(fieldStepUp, "no passkey of the user passes it; its methods are %s", names(u.Methods))
	}
	return serving, nil
}

// Awaits implements risk.Proofs.
func (s *Service) Awaits(ctx context.Context, a *account.Account, id ident.StepUpID, c *account.Credential) error {
	u, err := s.awaited(ctx, stepup.Ref{Project: a.Project, User: a.ID, ID: id})
	if err == nil && u.By(c) == "" {
		err = stepup.ErrUnknown
	}
	return err
}

// awaited returns a step-up that waits for its proof. One that was passed takes no other: ErrUnknown.
func (s *Service) awaited(ctx context.Context, ref stepup.Ref) (stepup.StepUp, error) {
	u, _, err := s.deps.StepUps.Get(ctx, ref, s.deps.Now())
	if err == nil && u.Passed != nil {
		err = stepup.ErrUnknown
	}
	return u, err
}

// Proven implements risk.Proofs.
func (s *Service) Proven(ctx context.Context, a *account.Account, id ident.StepUpID, c *account.Credential, refused error) error {
	ref := stepup.Ref{Project: a.Project, User: a.ID, ID: id}
	switch {
	case fault.OfServer(refused):
		return refused
	case refused != nil:
		if _, err := s.fail(ctx, ref, stepup.ProofBy(service.StepUpPasskeyUV)); err != nil && !errors.Is(err, stepup.ErrUnknown) {
			return err
		}
		return refused
	}
	return s.pass(ctx, ref, func(u *stepup.StepUp) (stepup.Proof, error) {
		m := u.By(c)
		if m == "" || u.Passed != nil {
			return stepup.Proof{}, stepup.ErrUnknown
		}
		return stepup.ProofBy(m), nil
	})
}

// TakesCode returns nil if a user's step-up can be passed by a code of this method. 404 if the user has no such step-up, 400 if it takes
// none.
func (s *Service) TakesCode(
	ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.StepUpID, m service.StepUpMethod,
) error {
	u, err := s.awaited(ctx, stepup.Ref{Project: project, User: user, ID: id})
	if err != nil {
		return err
	}
	return takes(&u, fieldStepUp, m)
}

// PassByCode passes a step-up by a code that was right.
func (s *Service) PassByCode(
	ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.StepUpID, m service.StepUpMethod,
) error {
	return s.pass(ctx, stepup.Ref{Project: project, User: user, ID: id}, func(u *stepup.StepUp) (stepup.Proof, error) {
		return stepup.ProofBy(m), takes(u, fieldStepUp, m)
	})
}

// Fail counts that a proof was wrong. The last that a step-up may have ends it.
func (s *Service) Fail(
	ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.StepUpID, m service.StepUpMethod,
) error {
	_, err := s.fail(ctx, stepup.Ref{Project: project, User: user, ID: id}, stepup.ProofBy(m))
	return err
}

// ReportStepUp implements service.StepUps.
func (s *Service) ReportStepUp(ctx context.Context, req service.ForProject[service.StepUpReport]) (rest.StepUpState, error) {
	if _, err := tenant.Of(ctx, s.deps.Projects, req.Project); err != nil {
		return rest.StepUpState{}, err
	}
	ref := stepup.Ref{Project: req.Project, ID: req.Body.ID}
	said := req.Body.Outcome
	if said.Method == "" {
		return rest.StepUpState{}, fault.Field(fieldMethod, "cannot be blank")
	}
	proof := stepup.Proof{By: service.StepUpCaller, Method: said.Method}
	var u stepup.StepUp
	var err error
	switch said.Outcome {
	case rest.StepUpOutcomeOutcomePassed:
		err = s.pass(ctx, ref, func(now *stepup.StepUp) (stepup.Proof, error) {
			err := takes(now, fieldMethod, service.StepUpCaller)
			if err == nil {
				u = *now
				u.Pass(proof, s.deps.Now())
			}
			return proof, err
		})
	case rest.StepUpOutcomeOutcomeFailed:
		u, err = s.fail(ctx, ref, proof)
	default:
		err = fault.Field(fieldOutcome, "must be passed or failed")
	}
	if err != nil {
		return rest.StepUpState{}, err
	}
	return stateOf(&u), nil
}

// takes returns a fault of a field if a step-up cannot be passed by a method.
func takes(u *stepup.StepUp, field string, m service.StepUpMethod) error {
	if u.Takes(m) {
		return nil
	}
	return fault.Field(field, "the step-up is not passed by %s; its methods are %s", m, names(u.Methods))
}

// pass notes the proof and tells of it. Repeated, it does so to the same effect: the first proof counts.
func (s *Service) pass(ctx context.Context, ref stepup.Ref, by func(*stepup.StepUp) (stepup.Proof, error)) error {
	now, first := s.deps.Now(), false
	u, err := s.deps.StepUps.Change(ctx, ref, now, func(u *stepup.StepUp) error {
		proof, err := by(u)
		if err != nil {
			return err
		}
		first = u.Passed == nil
		u.Pass(proof, now)
		return nil
	})
	if err != nil {
		return err
	}
	passed := s.event(&u, event.StepUpPassed)
	passed.Method = u.Passed.Method
	if err := s.tell(ctx, &u, passed); err != nil {
		return err
	}
	if first {
		s.deps.Counted.Passed.Inc()
	}
	return nil
}

// fail counts a failure. A step-up that it ends is told of and removed; until that is done, it is nobody's.
func (s *Service) fail(ctx context.Context, ref stepup.Ref, tried stepup.Proof) (stepup.StepUp, error) {
	u, err := s.deps.StepUps.Fail(ctx, ref, s.deps.Now(), func(u *stepup.StepUp) error {
		if tried.By == service.StepUpCaller {
			return takes(u, fieldMethod, tried.By)
		}
		return nil
	})
	if err != nil || u.Left() > 0 {
		return u, err
	}
	failed := s.event(&u, event.StepUpFailed)
	failed.Method, failed.Sighted = tried.Method, u.Sighted
	if err := s.tell(ctx, &u, failed); err != nil {
		return u, err
	}
	s.deps.Counted.Failed.Inc()
	return u, s.deps.StepUps.Remove(ctx, ref)
}

func names(methods []service.StepUpMethod) string {
	all := make([]string, len(methods))
	for i, m := range methods {
		all[i] = string(m)
	}
	return strings.Join(all, ", ")
}

// stateOf is a step-up as its caller is told of it.
func stateOf(u *stepup.StepUp) rest.StepUpState {
	told := rest.StepUpState{
		ID: string(u.ID), Status: rest.StepUpStateStatusPending, FailuresLeft: u.Left(),
		Methods: make([]rest.StepUpMethod, len(u.Methods)), ExpiresAt: u.Told().Expires.Format(time.RFC3339),
	}
	for i, m := range u.Methods {
		told.Methods[i] = rest.StepUpMethod(m)
	}
	switch {
	case u.Passed != nil:
		told.Status, told.Method = rest.StepUpStateStatusPassed, &u.Passed.Method
	case u.Left() == 0:
		told.Status = rest.StepUpStateStatusFailed
	}
	return told
}

// methodsOf are the authentication methods (RFC 8176) of a login and of the proof that was given after it.
func methodsOf(login []string, p *stepup.Proof) []string {
	all := slices.DeleteFunc(slices.Clone(login), func(m string) bool { return m == multipleFactors })
	if len(all) == 0 {
		all = []string{possession}
	}
	given := wordOf(p)
	if !slices.Contains(all, given) {
		all = append(all, given)
	}
	if given != multipleFactors {
		all = append(all, multipleFactors)
	}
	return all
}

// wordOf is the authentication method of a proof.
func wordOf(p *stepup.Proof) string {
	switch p.By {
	case service.StepUpPasskeyUV, service.StepUpOtherPasskey:
		return possession
	case service.StepUpSecurityKey:
		return hardware
	case service.StepUpEmailCode:
		return oneTime
	case service.StepUpSMSCode:
		return textMessage
	default:
		return p.Method
	}
}

// Words of RFC 8176 §2.
const (
	possession      = "pop"
	hardware        = "hwk"
	oneTime         = "otp"
	textMessage     = "sms"
	multipleFactors = "mfa"
)
