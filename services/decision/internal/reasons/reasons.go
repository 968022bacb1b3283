// Package reasons knows what a bundle's data says of what can be wrong: how grave each reason is, what it speaks against, and its words. It
// promises that a project's parameters change severities of reasons that there are alone. It is pure.
package reasons

import (
	"fmt"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/document"
)

// Key is where answers and data have reasons.
const Key = "reasons"

// Reason is what a bundle's data says of one.
type Reason struct {
	Severity int           `json:"severity"`
	Title    string        `json:"title"`
	About    service.About `json:"about,omitempty"`
	Passkey  *bool         `json:"passkey,omitempty"` // it speaks against the passkey that is used; nil = if it is about the credential
}

// Told returns the reason as it is told.
func (r Reason) Told(code string) service.RiskReason {
	told := service.RiskReason{Code: code, Severity: r.Severity, Title: r.Title, About: r.About}
	told.Passkey = r.About == service.AboutCredential
	if r.Passkey != nil {
		told.Passkey = *r.Passkey
	}
	return told
}

// Learn reads what the bundle's data says of reasons, with the severities that parameters give. A bundle without rules of risk need not say
// anything. An error is as a rule a *document.MisfitError.
func Learn(data map[string]any) (map[string]Reason, error) {
	space, _ := data["keyward"].(map[string]any)
	if _, given := space[Key]; !given {
		return nil, nil
	}
	var known map[string]Reason
	if err := document.Decode(space, Key, &known); err != nil {
		return nil, err
	}
	var parameters struct {
		Risk struct {
			Severities map[string]int `json:"severities,omitempty"`
		} `json:"risk,omitempty"` // bundles from before have none
	}
	if err := document.Decode(space, "parameters", &parameters); err != nil {
		return nil, err
	}
	for code, severity := range parameters.Risk.Severities {
		described, there := known[code]
		if !there {
			at := []string{"keyward", "parameters", "risk", "severities", code}
			return nil, &document.MisfitError{Keys: at, Message: "there is no such reason"}
		}
		described.Severity = severity
		known[code] = described
	}
	return known, nil
}

// In returns what the data of a bundle, with a project's parameters, says of the reasons in an answer document.
func In(data, answer map[string]any) ([]service.RiskReason, error) {
	known, err := Learn(data)
	if err != nil {
		return nil, err
	}
	codes, _ := answer[Key].([]any)
	all := make([]service.RiskReason, 0, len(codes))
	for _, code := range codes {
		name, _ := code.(string)
		all = append(all, known[name].Told(name))
	}
	return all, nil
}

// Check refuses rules that find reasons which the bundle's data does not describe.
func Check(b *bundle.Bundle, entrypoint string) []error {
	known, err := Learn(b.Data)
	if err != nil {
		return nil // told with its place when the bundle is learned from
	}
	var refused []error
	for _, c := range b.Contained(entrypoint, Key) {
		if _, described := known[c.Text]; !described {
			refused = append(refused, c.Refuse(fmt.Sprintf("%q: there is no such reason", c.Text), adviseReason))
		}
	}
	return refused
}

const adviseReason = "describe it in data.keyward.reasons, with severity and title"
