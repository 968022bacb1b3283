package risk

import (
	"cmp"
	"context"
	"errors"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
)

// Offer is an offer to create a passkey that the policy may withhold until its user has given a further proof.
type Offer struct {
	Account *account.Account // nil: there is nobody to offer it to
	Process string
	Page    bool           // asks, which is told of no step-up
	Proof   ident.StepUpID // that the caller says was passed for it; empty = none
	Sighted *event.Sighted // what a failure is counted for; nil = nothing
	Verdict service.Verdict
}

// Call is what the step-up of an offer is named by: a call that is repeated opens one.
func (o *Offer) Call(ctx context.Context) ident.Seed {
	return cmp.Or(reqctx.Seed(ctx), ident.Seed(o.Verdict.Decision)) + " " + ident.Seed(AppendStart)
}

// Offer gives an offer that was withheld for want of a further proof alone, if that has been given; if not, the verdict names the step-up
// by which it can be.
func (j *Judge) Offer(ctx context.Context, o Offer, v *service.AppendVerdict) error {
	if v.Withheld == "" || o.Account == nil || o.Page {
		return nil
	}
	o.Verdict = v.Verdict
	opened, passed, err := j.StepUps.Offer(ctx, o)
	told := *v.Risk
	switch {
	case errors.Is(err, ErrNoStepUp):
		v.Risk = WithoutStepUp(v.Risk)
		return nil
	case err != nil:
		return err
	case passed:
		v.Allow, v.Tag = true, v.Withheld
		return nil
	}
	told.Opened = &opened
	v.Risk = &told
	return nil
}
