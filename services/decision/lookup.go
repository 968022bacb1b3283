package decision

import (
	"context"
	"time"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// lookUp reads what has happened to the user. A read that fails makes the evidence incomplete; it is not an error of the decision.
func (s *Service) lookUp(ctx context.Context, q service.Question, now time.Time, withOffers bool) engine.Evidence {
	evidence := engine.Evidence{Complete: true, Now: now}
	if q.Account == nil || q.LookupFailed {
		return evidence
	}
	var err error
	evidence.Events, err = s.deps.Events.Events(ctx, q.Project, q.Account.ID)
	if err == nil && withOffers {
		evidence.Offers, err = s.deps.Events.Offers(ctx, q.Project, q.Account.ID)
	}
	if err != nil {
		s.metrics.lookupFailures.Inc()
		s.deps.Log.WarnContext(ctx, "history could not be read, facts are incomplete", "error", err)
		return engine.Evidence{Now: now}
	}
	return evidence
}
