package operation

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

var errUnjudged = errors.New("an evaluation was answered without a judgement")

// evaluate judges something that is no ceremony. How it was judged is what is asked for, so that it is in the body unasked.
func (s Services) evaluate(
	ctx context.Context, q service.ForProject[rest.RiskEvaluateReq],
) (rsp service.Judged[rest.RiskEvaluateRsp], err error) {
	asked := service.RiskEvaluation{Action: q.Body.Action, Client: q.Body.ClientInformation, Context: q.Body.Context}
	if q.Body.UserID != nil {
		asked.User = ident.UserID(*q.Body.UserID)
	}
	if q.Body.Identifier != nil {
		asked.Identifier = *q.Body.Identifier
	}
	if q.Body.ProcessID != nil {
		asked.Process = *q.Body.ProcessID
	}
	said, err := s.Ceremony.EvaluateRisk(ctx, service.ForProject[service.RiskEvaluation]{Project: q.Project, Body: asked})
	if err != nil {
		return rsp, err
	}
	if said.Risk == nil {
		return rsp, fault.Internal(errUnjudged)
	}
	rsp.Decided, rsp.Incomplete, rsp.Risk = said.Decided, said.Incomplete, said.Risk
	rsp.Body.PolicyRevision, rsp.Body.Risk = said.PolicyRevision, *risk(said.Decision, said.Risk)
	return rsp, nil
}
