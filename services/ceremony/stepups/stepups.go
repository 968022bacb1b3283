// Package stepups is the room of step-ups: what a finish would have answered, had the policy not asked for a further proof, is kept here
// until its user has given the proof, and then had once. It promises that nothing withheld leaves before that, whichever instance is asked;
// that a ceremony has one step-up however often it is finished; that a login is in the log, and a passkey in its account, when the answer
// to a redemption has left, and not before the redemption; and that every step-up that is started, passed or failed is told of. It touches
// the buckets of step-ups, accounts, challenges and credentials, and the log.
package stepups

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// Signer signs what proves a login elsewhere. The room sessions is one.
type Signer interface {
	SignLogin(context.Context, sessions.PasskeyLogin) (string, error)
}

// Vouching finds what the policy has against passkeys. The decision service is one.
type Vouching interface {
	Vouch(context.Context, service.Question) (service.Vouched, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects    tenant.Projects
	Accounts    *account.Store
	StepUps     *stepup.Store
	Challenges  *challenge.Store
	Index       *credindex.Store
	Statements  *attestation.Store
	Outbox      *outbox.Store
	Signer      Signer
	Vouching    Vouching
	MaxPasskeys int // of one user
	Counted     metrics.StepUps
	Now         func() time.Time
	Log         *slog.Logger
}

// Service is the room.
type Service struct {
	deps      Deps
	enrolment *enrolment.Store
}

var (
	_ risk.StepUps = (*Service)(nil)
	_ risk.Proofs  = (*Service)(nil)
)

// New returns the room.
func New(d Deps) *Service {
	return &Service{deps: d, enrolment: enrolment.New(enrolment.Deps{
		Accounts: d.Accounts, Index: d.Index, Statements: d.Statements, Most: d.MaxPasskeys, Log: d.Log,
	})}
}

// Withhold implements risk.StepUps. When it has returned, any instance has the step-up, and the log tells of it.
func (s *Service) Withhold(ctx context.Context, w risk.Withheld) (service.StepUp, error) {
	p, err := tenant.Of(ctx, s.deps.Projects, w.Project)
	if err != nil {
		return service.StepUp{}, err
	}
	made := stepup.StepUp{
		Project: w.Project, User: w.Account.ID, ID: stepup.ID(w.Record.ID), Ceremony: w.Record.ID, Process: w.Process,
		Decision: w.Verdict.Decision, Passkey: w.Passkey.ID,
		Methods: w.Verdict.Risk.StepUp, Sighted: w.Event.Sighted,
	}
	made.Last(s.deps.Now(), w.Verdict.Risk)
	if err := s.leavePossible(ctx, &made, &w.Account, p.RPID); err != nil {
		return service.StepUp{}, err
	}
	answer, err := json.Marshal(withheldOf(w))
	if err != nil {
		return service.StepUp{}, fault.Internal(fmt.Errorf("encode a withheld answer: %w", err))
	}
	if err := made.Seal(p.Ring, answer); err != nil {
		return service.StepUp{}, fault.Internal(err)
	}
	there, created, err := s.deps.StepUps.Create(ctx, made)
	if err != nil {
		return service.StepUp{}, err
	}
	started := s.event(&there, event.StepUpStarted)
	started.Environment, started.Credential = w.Event.Environment, string(w.Passkey.ID)
	if err := s.tell(ctx, &there, started); err != nil {
		return service.StepUp{}, err
	}
	if err := s.spend(ctx, w.Record, there, created); err != nil {
		return service.StepUp{}, err
	}
	if created {
		s.deps.Counted.Started.Inc()
	}
	return there.Told(), nil
}

// leavePossible leaves of the methods of a step-up those that its user can do. The error is or wraps risk.ErrNoStepUp if there are none.
func (s *Service) leavePossible(ctx context.Context, made *stepup.StepUp, a *account.Account, rpID string) error {
	passkeys, err := s.trusted(ctx, made, a)
	// While instances are replaced, the decision service may be of a version that vouches for nothing: then no passkey is a proof.
	unvouched := errors.Is(err, fault.ErrNobody)
	if err != nil && !unvouched {
		return err
	}
	if unvouched {
		passkeys = nil
	}
	made.Methods = made.Possible(a, rpID, passkeys)
	switch {
	case len(made.Methods) > 0:
		return nil
	case unvouched:
		return err
	default:
		return risk.ErrNoStepUp
	}
}

// trusted returns those passkeys of a user that the policy has nothing against which would make a login with them no proof.
func (s *Service) trusted(ctx context.Context, u *stepup.StepUp, a *account.Account) ([]account.Credential, error) {
	if !u.ByPasskey() || len(a.Credentials) == 0 {
		return nil, nil
	}
	vouched, err := s.deps.Vouching.Vouch(ctx, service.Question{Project: a.Project, Account: a, Process: u.Process})
	return u.Trusted(a.Credentials, vouched), err
}

// spend spends the challenge of a withheld answer, if that has not been done when it was taken. One that is spent already, and of which
// there was no step-up any more, has had one that is over: it does not get another.
func (s *Service) spend(ctx context.Context, r challenge.Record, u stepup.StepUp, created bool) error {
	if s.deps.Challenges.Forgetful() || !r.EndsByEvent() && !r.EndsByAccount() {
		return nil
	}
	_, err := s.deps.Challenges.Spend(ctx, r)
	if !errors.Is(err, challenge.ErrUsed) {
		return err
	}
	if !created {
		return nil
	}
	if err := s.deps.StepUps.Remove(ctx, stepup.Ref{Project: u.Project, ID: u.ID}); err != nil {
		return err
	}
	return challenge.ErrUsed
}

// event is an event that tells of a step-up; its ID comes of the ceremony's, or if there is none of its own, so that it is told once.
func (s *Service) event(u *stepup.StepUp, t event.Type) event.Event {
	return u.Event(t, challenge.EventID(cmp.Or(u.Ceremony, ident.ChallengeID(u.ID)), t), s.deps.Now())
}

// tell appends an event of a step-up. Of a user that there is not nobody is told.
func (s *Service) tell(ctx context.Context, u *stepup.StepUp, e event.Event) error {
	if u.Nobody {
		return nil
	}
	_, err := s.deps.Outbox.Append(ctx, e)
	return err
}
