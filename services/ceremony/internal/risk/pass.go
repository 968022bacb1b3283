package risk

import (
	"context"
	"errors"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

// ErrNotAccepted says to a page that an answer is not taken. Whoever attacks is to learn no more.
var ErrNotAccepted = fault.Refuse("the passkey cannot be used for this now")

// Refused reports whether err says that the policy does not let a finish pass, or not yet.
func Refused(err error) bool {
	return errors.Is(err, fault.TypeRiskDenied) || errors.Is(err, fault.TypeStepUpRequired) || errors.Is(err, ErrNotAccepted)
}

// Waits reports whether err says that the answer of a finish is kept until its user has given a further proof.
func Waits(err error) bool { return errors.Is(err, fault.TypeStepUpRequired) }

// Pass returns nil if the policy lets a finish answer what it would have, or does not bind. Otherwise nothing of it may be issued: the
// error is a 403, and the answer is withheld if a further proof will do. A finish that is a further proof itself, and that of a creation
// which was offered for one, is stopped by bars alone: there is no endless chain. Pages are told no reasons, and open no step-up: their
// own login is the further proof.
func (j *Judge) Pass(ctx context.Context, w Withheld) error {
	said := w.Verdict
	switch {
	case said.Risk.Bars():
		return j.denied(ctx, said)
	case !said.Risk.Challenges() || w.Record.StepUp != "" && w.Login != nil:
		return nil
	case reqctx.Frontend(ctx):
		return ErrNotAccepted
	}
	if w.Record.StepUp != "" { // its offer waited for the same proof
		if spent, err := j.StepUps.Spend(ctx, w); spent || err != nil {
			return err
		}
	}
	opened, err := j.StepUps.Withhold(ctx, w)
	told := *said.Risk
	said.Risk = &told
	switch {
	case errors.Is(err, ErrNoStepUp):
		said.Risk = WithoutStepUp(said.Risk)
		return j.denied(ctx, said)
	case err != nil:
		return err
	}
	told.Opened = &opened
	return Judged(fault.Risk(fault.TypeStepUpRequired, "a further proof is needed before this is answered"), said)
}

// WithoutStepUp is what a challenge comes to whose proof its user has no way to give.
func WithoutStepUp(r *service.Risk) *service.Risk {
	told := *r
	told.Action, told.StepUp = service.RiskDeny, nil
	told.Reasons = append(r.Reasons[:len(r.Reasons):len(r.Reasons)], noStepUp())
	return &told
}

func (j *Judge) denied(ctx context.Context, said service.Verdict) error {
	if reqctx.Frontend(ctx) {
		return ErrNotAccepted
	}
	return Judged(fault.Risk(fault.TypeRiskDenied, "the policy does not allow this"), said)
}

func noStepUp() service.RiskReason {
	const bar = 4
	return service.RiskReason{
		Code: service.NoStepUp, Severity: bar, Title: "The user has no way to give the further proof", About: service.AboutUser,
	}
}

// Judged returns err with how the finish was judged, for whoever answers, unless it says so. What was not judged stays what it is.
func Judged(err error, said service.Verdict) error {
	if err == nil || said.Risk == nil {
		return err
	}
	if f := fault.As(err); f.Judged == nil {
		return service.JudgedAs(f, &said)
	}
	return err
}
