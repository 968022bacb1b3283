// Package risk asks how risky it is to take an answer of an authenticator that was verified, before anything is made of it. It promises
// that a ceremony goes its way where that cannot be said: the passkey itself has been verified. It calls the decision service, and touches
// nothing.
package risk

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// Decision judges. The decision service is one.
type Decision interface {
	Finish(context.Context, service.FinishQuestion) (service.Verdict, error)
	CheckContext(context.Context, service.ForProject[json.RawMessage]) (service.Empty, error)
}

// Judge asks.
type Judge struct {
	Decision Decision
	Patience *patience.Patience // with the decision service, which a ceremony can end without
	StepUps  StepUps
	Unjudged prometheus.Counter
	Log      *slog.Logger
}

// CheckContext refuses what a caller adds to a request if the policy does not take it: 400. Where that cannot be found out, it is left to
// the judgement, and so is what a backend wrote into a frontend's token: it was checked then.
func (j *Judge) CheckContext(ctx context.Context, project ident.ProjectID, added json.RawMessage) error {
	if added == nil || reqctx.Frontend(ctx) {
		return nil
	}
	err := j.Patience.Wait(ctx, func(ctx context.Context) error {
		_, err := j.Decision.CheckContext(ctx, service.ForProject[json.RawMessage]{Project: project, Body: added})
		return err
	})
	if err == nil || errors.Is(err, fault.TypeValidationError) {
		return err
	}
	j.Log.WarnContext(ctx, "the context of a request was not checked", "project", project, "error", err)
	return nil
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
