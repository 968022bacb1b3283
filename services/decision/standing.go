package decision

import (
	"context"

	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/standing"
)

// GetStanding implements service.Standings. It never returns an error.
func (s *Service) GetStanding(ctx context.Context, q service.Question) (inquiry.Standing, error) {
	now := s.deps.Now()
	q.AccountStamp = "" // the account has just been read
	by := s.course.Judge(s.current(now), &q).Policy
	return standing.Of(ctx, by.Engine, q, s.lookUp(ctx, by, q, now, false).Evidence), nil
}
