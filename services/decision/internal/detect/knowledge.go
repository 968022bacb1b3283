// Package detect turns what a client said, what is stored of an account and what its history means into facts: values that a policy can
// judge without dates, identifiers or secrets. It is pure; the figures and tables it needs come with the policy bundle.
package detect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Parameters are what detection and the fold read of the bundle's data.keyward.parameters. Rules may read more.
type Parameters struct {
	history.Parameters

	InAppSpacingSeconds     int64           `json:"inAppSpacingSeconds"`
	ShownSpacingSeconds     int64           `json:"shownSpacingSeconds,omitempty"` // bundles from before it have none: 0
	AllowWebdriver          bool            `json:"allowWebdriver"`
	RestrictedBrowserTokens []string        `json:"restrictedBrowserTokens"`
	BlockedBrowsers         []Blocked       `json:"blockedBrowsers"`
	BlockedOperatingSystems []Blocked       `json:"blockedOperatingSystems"`
	BlockedAddresses        []string        `json:"blockedAddresses"`
	BlockedApplications     []string        `json:"blockedApplications"`
	BlockedEnvironments     []string        `json:"blockedEnvironments"`
	SoftBars                []facts.Listing `json:"softBars,omitempty"` // bundles from before it have none
	// Allow or deny; bundles from before it have none, which allows
	EmbeddedWebviews string          `json:"embeddedWebviews,omitempty"`
	MinimumVersions  MinimumVersions `json:"minimumVersions"`

	AllowedAAGUIDs            []string       `json:"allowedAaguids"` // of authenticators that may create passkeys; empty = any
	ExperimentSalt            string         `json:"experimentSalt"`
	DeviceLocalTreatmentShare int            `json:"deviceLocalTreatmentShare"` // users treated, of 10,000
	Experiments               map[string]int `json:"experiments"`               // the same of further experiments, by name

	Rollout Rollout `json:"rollout,omitempty"` // bundles without rules of rollout have none
}

// Blocked is a browser or operating system that is barred, in all versions or in those below one.
type Blocked struct {
	Name  string `json:"name"`
	Below string `json:"below,omitempty"`
}

// MinimumVersions are the oldest major versions that sync passkeys, and that serve those of other managers than the system's own; 0 = any.
// Bundles from before the latter have none.
type MinimumVersions struct {
	IOS             int `json:"ios"`
	MacOS           int `json:"macos"`
	Android         int `json:"android"`
	ManagersIOS     int `json:"managersIos,omitempty"`
	ManagersAndroid int `json:"managersAndroid,omitempty"`
	GoogleIOS       int `json:"googleIos,omitempty"`
	GoogleChrome    int `json:"googleChrome,omitempty"`
	Windows         int `json:"windows,omitempty"`
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
	Agents         agent.Tables

	ownAgents   bool // the bundle has tables of agents of its own
	addresses   []netip.Prefix
	experiments experiments
	rollout     rollout
}

// MisfitError says which part of a bundle's data cannot be used.
type MisfitError struct {
	Keys    []string // from the root of the data
	Message string
}

// Error implements error.
func (e *MisfitError) Error() string { return strings.Join(e.Keys, ".") + ": " + e.Message }

// Learn reads the knowledge in a bundle's data documents. An error is a *MisfitError.
func Learn(data map[string]any) (*Knowledge, error) {
	space, _ := data["keyward"].(map[string]any)
	k := &Knowledge{}
	if err := decode(space, "parameters", &k.Parameters); err != nil {
		return nil, err
	}
	if err := decode(space, "aaguids", &k.Authenticators); err != nil {
		return nil, err
	}
	for id, known := range k.Authenticators {
		if !known.Class.Known() || id != strings.ToLower(id) {
			message := "the key must be an AAGUID in lower case and class one of " + facts.KnownClasses()
			return nil, &MisfitError{Keys: []string{"keyward", "aaguids", id}, Message: message}
		}
	}
	for _, address := range k.Parameters.BlockedAddresses {
		prefix, err := parsePrefix(address)
		if err != nil {
			return nil, &MisfitError{
				Keys: []string{"keyward", "parameters", "blockedAddresses"}, Message: "parameter blockedAddresses: " + err.Error(),
			}
		}
		k.addresses = append(k.addresses, prefix)
	}
	var err error
	if k.Agents, k.ownAgents, err = learnAgents(space); err != nil {
		return nil, err
	}
	if k.experiments, err = learnExperiments(&k.Parameters); err != nil {
		return nil, err
	}
	if k.rollout, err = learnRollout(&k.Parameters.Rollout); err != nil {
		return nil, err
	}
	return k, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		address, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}

// learnAgents reads the tables of a bundle, or those of Keyward's own where a bundle from before has none. own says which it was.
func learnAgents(space map[string]any) (a agent.Tables, own bool, err error) {
	if _, own = space["agents"]; !own {
		raw, err := fs.ReadFile(policies.Bundle, "data.json")
		if err != nil {
			return a, false, err
		}
		var data struct {
			Keyward map[string]any `json:"keyward"`
		}
		if err := json.Unmarshal(raw, &data); err != nil {
			return a, false, err
		}
		space = data.Keyward
	}
	if err := decode(space, "agents", &a); err != nil {
		return a, own, err
	}
	if err := a.Prepare(); err != nil {
		var unfit *agent.TableError
		if errors.As(err, &unfit) {
			err = &MisfitError{Keys: []string{"keyward", "agents", unfit.Table}, Message: unfit.Message}
		}
		return a, own, err
	}
	return a, own, nil
}

func decode(space map[string]any, name string, into any) error {
	keys := []string{"keyward", name}
	value, ok := space[name]
	if !ok {
		return &MisfitError{Keys: keys, Message: "is missing"}
	}
	if missing := absent(reflect.TypeOf(into).Elem(), value, keys); missing != nil {
		return &MisfitError{Keys: missing, Message: "missing parameter " + strings.Join(missing[len(keys):], ".")}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return &MisfitError{Keys: keys, Message: err.Error()}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return &MisfitError{Keys: keys, Message: fmt.Sprintf("parameter does not fit: %v", err)}
	}
	return nil
}

// absent returns the path of the first field that the type needs and the value lacks. A bundle's schema may be laxer than the engine, so it
// is not enough.
func absent(want reflect.Type, value any, at []string) []string {
	object, ok := value.(map[string]any)
	if want.Kind() != reflect.Struct || !ok {
		return nil
	}
	for field := range want.Fields() {
		if field.Anonymous {
			if missing := absent(field.Type, value, at); missing != nil {
				return missing
			}
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || options == "omitempty" {
			continue
		}
		place := slices.Concat(at, []string{name})
		inner, ok := object[name]
		if !ok {
			return place
		}
		if missing := absent(field.Type, inner, place); missing != nil {
			return missing
		}
	}
	return nil
}
