package codes

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/internal/code"
)

// StepUps are further proofs, which codes can be. The room stepups is one.
type StepUps interface {
	// TakesCode returns nil if a user's step-up can be passed by a code of this method.
	TakesCode(context.Context, ident.ProjectID, ident.UserID, ident.StepUpID, service.StepUpMethod) error
	// PassByCode passes it, to the same effect as once if it is repeated.
	PassByCode(context.Context, ident.ProjectID, ident.UserID, ident.StepUpID, service.StepUpMethod) error
	// Fail counts that a proof was wrong.
	Fail(context.Context, ident.ProjectID, ident.UserID, ident.StepUpID, service.StepUpMethod) error
}

// methodOf returns the method of step-ups that codes of a type are; empty if they are none.
func methodOf(t rest.ChallengeType) service.StepUpMethod {
	switch t {
	case rest.ChallengeTypeEmailOtp:
		return service.StepUpEmailCode
	case rest.ChallengeTypeSmsOtp:
		return service.StepUpSMSCode
	default:
		return "" // a link is opened by whoever reads mail, machines too
	}
}

// stepUpOf returns the step-up that a code is asked for; empty if it is for none. A code to what nobody has shown to be the user's proves
// nothing.
func (s *Service) stepUpOf(
	ctx context.Context, req service.ForUser[rest.ChallengeCreateReq], to *account.Identifier,
) (ident.StepUpID, error) {
	if req.Body.StepUpID == nil {
		return "", nil
	}
	id, method := ident.StepUpID(*req.Body.StepUpID), methodOf(req.Body.ChallengeType)
	if method == "" {
		return "", fault.Field(fieldCodeType, "must be email_otp or sms_otp: no link passes a step-up")
	}
	if to.Status == account.IdentifierStatusPending {
		return "", fault.Field(directory.FieldIdentifier, "is not verified, so that no code to it passes a step-up")
	}
	return id, s.stepUps.TakesCode(ctx, req.Project, req.User, id, method)
}

// passStepUp passes the step-up that a code was sent for.
func (s *Service) passStepUp(ctx context.Context, ref code.Ref, entry code.Entry) error {
	return s.stepUps.PassByCode(ctx, ref.Project, ref.User, entry.StepUp, methodOf(entry.Type))
}

// countAgainst counts a wrong code against the step-up that it was sent for, if any. It returns what the caller is told.
func (s *Service) countAgainst(ctx context.Context, ref code.Ref, entry code.Entry, wrong error) error {
	if entry.StepUp == "" {
		return wrong
	}
	if err := s.stepUps.Fail(ctx, ref.Project, ref.User, entry.StepUp, methodOf(entry.Type)); err != nil {
		return err
	}
	return wrong
}
