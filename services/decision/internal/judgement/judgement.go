// Package judgement reads what rules of risk answer. It promises that every member is of the form that callers know, and every reason one
// that the bundle's data describes. It is pure.
package judgement

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/reading"
	"github.com/keyward/keyward/services/decision/internal/reasons"
)

// MaxRule bounds the name of a row, which becomes part of records and metrics.
const MaxRule = 32

// What members must be.
const (
	WantAction     = "allow, review, challenge or deny"
	WantLevel      = "low, medium or high"
	WantMethod     = "security-key, other-passkey, passkey-uv, email-code, sms-code or caller"
	WantObligation = "required or empty"
)

// WantRule is what a row is named.
var WantRule = fmt.Sprintf("a name of at most %d bytes", MaxRule)

// Answer is an answer that equal facts share.
type Answer struct {
	service.Risk
	Without []int // indexes into the facts' credentials.items, of passkeys that a login start must not name
}

// Read reads an answer. Each reason has to be one of those that are described.
func Read(a *reading.Answer, described map[string]reasons.Reason) Answer {
	r := service.Risk{Rule: a.Text("rule"), Action: service.RiskAction(a.Text("action")), Level: service.RiskLevel(a.Text("level"))}
	if r.Rule == "" || len(r.Rule) > MaxRule {
		a.Wrong("rule", WantRule)
	}
	if !KnownAction(string(r.Action)) {
		a.Wrong("action", WantAction)
	}
	if !KnownLevel(string(r.Level)) {
		a.Wrong("level", WantLevel)
	}
	codes := a.Texts(reasons.Key)
	r.Reasons = make([]service.RiskReason, len(codes))
	for i, code := range codes {
		about, known := described[code]
		if !known {
			a.Wrong("reasons", "reasons of data.keyward.reasons")
		}
		r.Reasons[i] = about.Told(code)
	}
	slices.SortFunc(r.Reasons, func(a, b service.RiskReason) int { return cmp.Compare(a.Code, b.Code) })
	r.StepUp, r.RetrySeconds = readStepUp(a, r.Action), a.Whole("retrySeconds")
	a.Inner("obligations", func(o *reading.Answer) {
		if o.Given("notifyUser") {
			r.Obligations.NotifyUser = o.Boolean("notifyUser")
		}
		if r.Obligations.MaxSessionSeconds = o.Whole("maxSessionSeconds"); o.Given("userVerification") {
			r.Obligations.UserVerification = o.Text("userVerification")
		}
		if !knownObligation(r.Obligations.UserVerification) {
			o.Wrong("userVerification", WantObligation)
		}
	})
	return Answer{Risk: r, Without: a.Wholes("exclude")}
}

// readStepUp reads the methods of a challenge. Other answers have none.
func readStepUp(a *reading.Answer, action service.RiskAction) []service.StepUpMethod {
	if !a.Given("stepUp") {
		return nil
	}
	var methods []service.StepUpMethod
	for _, name := range a.Texts("stepUp") {
		if !KnownMethod(name) {
			a.Wrong("stepUp", WantMethod)
		}
		if !slices.Contains(methods, service.StepUpMethod(name)) {
			methods = append(methods, service.StepUpMethod(name))
		}
	}
	if len(methods) > 0 && action != service.RiskChallenge {
		a.Wrong("stepUp", "empty but for a challenge")
	}
	return methods
}

// KnownAction reports whether a text is what an answer may have for its action.
func KnownAction(text string) bool { return service.RiskAction(text).Known() }

// KnownMethod reports the same of a method.
func KnownMethod(text string) bool { return service.StepUpMethod(text).Known() }

// KnownLevel reports the same of a level.
func KnownLevel(text string) bool { return service.RiskLevel(text).Known() }

func knownObligation(text string) bool { return text == "" || text == "required" }
