package operation

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
)

// stepUp is the further proof that a judgement asks for: of one that is waited for what the user can do, otherwise what the policy names.
// It is nil if none is asked for.
func stepUp(r *service.Risk) *rest.StepUp {
	if len(r.StepUp) == 0 && r.Opened == nil {
		return nil
	}
	told, methods := &rest.StepUp{}, r.StepUp
	if u := r.Opened; u != nil {
		methods = u.Methods
		told.ID, told.ExpiresAt = new(string(u.ID)), new(u.Expires.UTC().Format(time.RFC3339))
	}
	told.Methods = make([]rest.StepUpMethod, len(methods))
	for i, m := range methods {
		told.Methods[i] = rest.StepUpMethod(m)
	}
	return told
}
