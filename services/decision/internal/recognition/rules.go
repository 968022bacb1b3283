package recognition

import (
	"encoding/json"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/document"
)

// Rules are what a bundle knows of clients, checked and ready to use. They are immutable but for whom they remember, which changes no
// answer. The zero value knows no names and bars nobody.
type Rules struct {
	Agents agent.Tables

	ownAgents bool // the bundle has tables of agents of its own
	bars      Bars
	addresses []netip.Prefix
	minimum   MinimumVersions
	known     *known // by Agents; nil = nobody is remembered
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

// Learn takes the rules from parameters and from the tables of agents in data.keyward. An error is as a rule a *document.MisfitError.
func Learn(space map[string]any, bars Bars, minimum MinimumVersions) (Rules, error) {
	r := Rules{bars: bars, minimum: minimum, known: &known{}}
	for _, address := range bars.BlockedAddresses {
		prefix, err := parsePrefix(address)
		if err != nil {
			return Rules{}, &document.MisfitError{
				Keys: []string{"keyward", "parameters", "blockedAddresses"}, Message: "parameter blockedAddresses: " + err.Error(),
			}
		}
		r.addresses = append(r.addresses, prefix)
	}
	var err error
	if r.Agents, r.ownAgents, err = learnAgents(space); err != nil {
		return Rules{}, err
	}
	return r, nil
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

// learnAgents reads the tables of a bundle. Those that a bundle from before has not are Keyward's own; own says whether any are the
// bundle's.
func learnAgents(space map[string]any) (a agent.Tables, own bool, err error) {
	if _, own = space["agents"]; own {
		if err := document.Decode(space, "agents", &a); err != nil {
			return a, own, err
		}
	}
	if !own || !a.Whole() {
		standard, err := standardAgents()
		if err != nil {
			return a, own, err
		}
		if own {
			a.Complete(&standard)
		} else {
			a = standard
		}
	}
	return a, own, a.Prepare()
}

// standardAgents reads the tables of the default bundle.
func standardAgents() (agent.Tables, error) {
	var data struct {
		Keyward struct {
			Agents agent.Tables `json:"agents"`
		} `json:"keyward"`
	}
	raw, err := fs.ReadFile(policies.Bundle, "data.json")
	if err == nil {
		err = json.Unmarshal(raw, &data)
	}
	return data.Keyward.Agents, err
}
