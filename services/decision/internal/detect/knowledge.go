// Package detect turns what a client said, what is stored of an account and what its history means into facts: values that a policy can
// judge without dates, identifiers or secrets. It is pure; the figures and tables it needs come with the policy bundle.
package detect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a zone is the same on every machine that has none

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/recognition"
	"github.com/keyward/keyward/services/decision/internal/rollout"
)

// Parameters are what detection and the fold read of the bundle's data.keyward.parameters. Rules may read more.
type Parameters struct {
	history.Parameters
	recognition.Bars
	experiment.Shares

	InAppTriggers       []string                    `json:"inAppTriggers"`
	InAppSpacingSeconds int64                       `json:"inAppSpacingSeconds"`
	Situations          []string                    `json:"situations,omitempty"`          // beside those that every bundle knows
	ShownSpacingSeconds int64                       `json:"shownSpacingSeconds,omitempty"` // bundles from before it have none: 0
	MinimumVersions     recognition.MinimumVersions `json:"minimumVersions"`
	AllowedAAGUIDs      []string                    `json:"allowedAaguids"`    // of authenticators that may create passkeys; empty = any
	Rollout             rollout.Parameters          `json:"rollout,omitempty"` // bundles without rules of rollout have none

	Labels   []string `json:"labels,omitempty"`   // that users may have; bundles from before have none
	Risk     Risk     `json:"risk,omitempty"`     // the same
	TimeZone string   `json:"timeZone,omitempty"` // of hours and weekdays; bundles from before have none: UTC

	PasskeyReplacesSecondFactor bool `json:"passkeyReplacesSecondFactor,omitempty"` // bundles from before have none: no
}

// Risk is what detection reads of the parameters of risk.
type Risk struct {
	Mode    string `json:"mode,omitempty"`    // observe, or enforce; bundles from before have none: observe
	Failure string `json:"failure,omitempty"` // allow, or deny: what rules that give no usable answer come to where they are enforced
	// How long a further proof may be given, and how often it may be wrong; bundles from before do not say
	StepUpSeconds  int `json:"stepUpSeconds,omitempty"`
	StepUpFailures int `json:"stepUpFailures,omitempty"`
	OfficeHours    struct {
		Labels []string `json:"labels,omitempty"`
	} `json:"officeHours,omitempty"`
	RequireAAL   map[string]int `json:"requireAal,omitempty"` // by label
	BlockedLists []string       `json:"blockedLists,omitempty"`
	RiskyLists   []string       `json:"riskyLists,omitempty"`
}

// Enforced reports whether what the rules say binds.
func (r *Risk) Enforced() bool { return r.Mode == "enforce" }

// FailsClosed reports whether rules that give no usable answer deny, where they are enforced.
func (r *Risk) FailsClosed() bool { return r.Failure == "deny" }

// labels returns the names that users may be given, sorted: those that are declared, and those that a parameter is about.
func (p *Parameters) labels() []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(
		p.Labels, p.Risk.OfficeHours.Labels, slices.Collect(maps.Keys(p.Risk.RequireAAL)),
	))))
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
	Zone           *time.Location // of TimeZone
	Labels         []string       // that users may have, sorted
	Lists          *lists.Lists   // that the bundle declares

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
	k.Labels = k.Parameters.labels()
	if k.Lists, err = lists.Learn(space); err != nil {
		return nil, err
	}
	if err := k.checkLists(); err != nil {
		return nil, err
	}
	if k.Zone, err = zone(k.Parameters.TimeZone); err != nil {
		return nil, err
	}
	if k.rollout, err = rollout.Learn(&k.Parameters.Rollout, experiment.Division{Salt: k.Parameters.ExperimentSalt}); err != nil {
		return nil, err
	}
	return k, nil
}

// Share takes from other knowledge what is large and the same in both: of the projects of a bundle each has parameters of its own, and one
// and the same tables.
func (k *Knowledge) Share(other *Knowledge) { k.Clients.Share(&other.Clients) }

// checkLists refuses parameters that name a list which there is not: it would list nobody.
func (k *Knowledge) checkLists() error {
	at := []string{"keyward", "parameters", "risk", ""}
	for name, named := range map[string][]string{"blockedLists": k.Parameters.Risk.BlockedLists, "riskyLists": k.Parameters.Risk.RiskyLists} {
		at[len(at)-1] = name
		if err := k.Lists.Check(named, at...); err != nil {
			return err
		}
	}
	return nil
}

// zone finds a zone of the IANA's database by its name. Local is none: where a process runs must not matter.
func zone(name string) (*time.Location, error) {
	found, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		message := fmt.Sprintf("parameter timeZone: %q is no zone of the IANA's database, such as Europe/Berlin", name)
		return nil, &document.MisfitError{Keys: []string{"keyward", "parameters", "timeZone"}, Message: message}
	}
	return found, nil
}
