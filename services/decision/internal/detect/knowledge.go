// Package detect turns what a client said, what is stored of an account and what its history means into facts: values that a policy can
// judge without dates, identifiers or secrets. It is pure; the figures and tables it needs come with the policy bundle.
package detect

import (
	"strings"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
	"github.com/keyward/keyward/services/decision/internal/rollout"
)

// Parameters are what detection and the fold read of the bundle's data.keyward.parameters. Rules may read more.
type Parameters struct {
	history.Parameters
	recognition.Bars
	experiment.Shares

	InAppSpacingSeconds int64                       `json:"inAppSpacingSeconds"`
	ShownSpacingSeconds int64                       `json:"shownSpacingSeconds,omitempty"` // bundles from before it have none: 0
	MinimumVersions     recognition.MinimumVersions `json:"minimumVersions"`
	AllowedAAGUIDs      []string                    `json:"allowedAaguids"`    // of authenticators that may create passkeys; empty = any
	Rollout             rollout.Parameters          `json:"rollout,omitempty"` // bundles without rules of rollout have none

	PasskeyReplacesSecondFactor bool `json:"passkeyReplacesSecondFactor,omitempty"` // bundles from before have none: no
}

// Authenticator is what is known of an AAGUID.
type Authenticator struct {
	Class     facts.Class `json:"class"`
	Name      string      `json:"name"`
	Platforms []string    `json:"platforms,omitempty"` // systems that there is a product for; none = wherever its class is
}

// Knowledge is everything that detection takes from a bundle, checked and ready to use. It is immutable.
type Knowledge struct {
	Parameters     Parameters
	Authenticators map[string]Authenticator // by AAGUID in lower case
	Clients        recognition.Rules

	experiments experiment.Experiments
	rollout     rollout.Rollout
}

// Learn reads the knowledge in a bundle's data documents. An error is as a rule a *document.MisfitError.
func Learn(data map[string]any) (*Knowledge, error) {
	space, _ := data["keyward"].(map[string]any)
	k := &Knowledge{}
	if err := document.Decode(space, "parameters", &k.Parameters); err != nil {
		return nil, err
	}
	if err := document.Decode(space, "aaguids", &k.Authenticators); err != nil {
		return nil, err
	}
	for id, known := range k.Authenticators {
		if !known.Class.Known() || id != strings.ToLower(id) {
			message := "the key must be an AAGUID in lower case and class one of " + facts.KnownClasses()
			return nil, &document.MisfitError{Keys: []string{"keyward", "aaguids", id}, Message: message}
		}
	}
	var err error
	if k.Clients, err = recognition.Learn(space, k.Parameters.Bars, k.Parameters.MinimumVersions); err != nil {
		return nil, err
	}
	if k.experiments, err = experiment.Learn(k.Parameters.Shares); err != nil {
		return nil, err
	}
	if k.rollout, err = rollout.Learn(&k.Parameters.Rollout, experiment.Division{Salt: k.Parameters.ExperimentSalt}); err != nil {
		return nil, err
	}
	return k, nil
}
