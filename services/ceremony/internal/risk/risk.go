// Package risk asks how risky it is to take an answer of an authenticator that was verified, before anything is made of it. It promises
// that a ceremony goes its way where that cannot be said: the passkey itself has been verified. It calls the decision service, and touches
// nothing.
package risk

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// Decision judges. The decision service is one.
type Decision interface {
	Finish(context.Context, service.FinishQuestion) (service.Verdict, error)
}

// Judge asks.
type Judge struct {
	Decision Decision
	Patience *patience.Patience // with the decision service, which a ceremony can end without
	StepUps  StepUps
	Unjudged prometheus.Counter
	Log      *slog.Logger
}

// Finish returns how risky it is to take an answer. Without a judgement the verdict has no Risk.
func (j *Judge) Finish(ctx context.Context, q service.FinishQuestion) service.Verdict {
	var said service.Verdict
	err := j.Patience.Wait(ctx, func(ctx context.Context) (err error) {
		said, err = j.Decision.Finish(ctx, q)
		return err
	})
	if err == nil {
		return said
	}
	j.Unjudged.Inc()
	j.Log.WarnContext(
		ctx, "a finish was not judged for risk", "project", q.Project, "user", q.Account.ID, "credential", q.Passkey.ID, "error", err,
	)
	return service.Verdict{}
}

// CounterOf names what a signature counter says of a passkey that was known to have been at stored.
func CounterOf(counted relyingparty.Counted, stored, received uint32) service.Counter {
	switch {
	case counted == relyingparty.Regressed:
		return service.CounterRegressed
	case counted == relyingparty.NoLonger:
		return service.CounterReset
	case stored == 0 && received == 0:
		return service.CounterNone
	default:
		return service.CounterOK
	}
}
