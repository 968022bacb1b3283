package shadow

import (
	"context"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// Asked is a question of one of the kinds.
type Asked interface {
	judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error)
	question() *service.Question
}

// The kinds of questions.
type (
	Login     service.LoginQuestion
	Append    service.AppendQuestion
	Mediation service.Question
	Finish    service.FinishQuestion
	Evaluate  service.EvaluateQuestion
	Rollout   service.RolloutQuestion
)

func (q Login) judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error) {
	v, b, err := by.Login(ctx, service.LoginQuestion(q), ev)
	return v.Verdict, course.Failure(err, b)
}

func (q Login) question() *service.Question { return &q.Question }

func (q Append) judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error) {
	v, b, err := by.Append(ctx, service.AppendQuestion(q), ev)
	return v.Verdict, course.Failure(err, b)
}

func (q Append) question() *service.Question { return &q.Question }

func (q Mediation) judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error) {
	v, b, err := by.Mediation(ctx, service.Question(q), ev)
	return v, course.Failure(err, b)
}

func (q Mediation) question() *service.Question { return (*service.Question)(&q) }

func (q Finish) judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error) {
	if !by.JudgesRisk() {
		return service.Verdict{Allow: true}, nil
	}
	v, b := by.Finish(ctx, service.FinishQuestion(q), ev)
	return v, course.Failure(nil, b)
}

func (q Finish) question() *service.Question { return &q.Question }

func (q Evaluate) judge(ctx context.Context, by *course.Policy, ev engine.Evidence) (service.Verdict, error) {
	v, b, err := by.Assess(ctx, service.EvaluateQuestion(q), ev)
	return v, course.Failure(err, b)
}

func (q Evaluate) question() *service.Question { return &q.Question }

func (q Rollout) judge(ctx context.Context, by *course.Policy, _ engine.Evidence) (service.Verdict, error) {
	v, _, err := by.Rollout(ctx, service.RolloutQuestion(q))
	return v, err
}

func (q Rollout) question() *service.Question { return &q.Question }
