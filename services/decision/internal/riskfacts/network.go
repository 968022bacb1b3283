package riskfacts

import (
	"strconv"
	"strings"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// networks are those that an account has succeeded from, as far as events tell: in text, or by tokens of some version of the project's key.
// Neither can be compared with the other, nor can tokens of two versions.
type networks struct {
	told     known[string]
	named    known[string] // tokens, each with its version
	versions known[int]    // of those
}

type gatheredNetworks struct {
	told, named gathering[string]
	versions    gathering[int]
}

func gatherNetworks() gatheredNetworks {
	return gatheredNetworks{gathering[string]{}, gathering[string]{}, gathering[int]{}}
}

func (g *gatheredNetworks) add(e *event.Event) {
	network := networkOf(e)
	if network == "" || strings.Contains(network, "/") {
		g.told.add(network, e.CreatedMs)
		return
	}
	version := versionOf(e.Sighted)
	g.named.add(tokenOf(version, network), e.CreatedMs)
	g.versions.add(version, e.CreatedMs)
}

func (g *gatheredNetworks) known() networks {
	return networks{g.told.known(), g.named.known(), g.versions.known()}
}

// networkOf returns the network that an event came from, as a prefix or a token. Those of earlier versions have the address as it was told.
func networkOf(e *event.Event) string {
	if e.Origin != nil {
		return e.Origin.Network
	}
	if e.Client == nil {
		return ""
	}
	return address.NetworkOf(e.Client.Address)
}

// versionOf numbers the version of the key from 1 on.
func versionOf(named *event.Sighted) int {
	if named == nil {
		return 1
	}
	return max(1, named.KeyVersion)
}

func tokenOf(version int, token string) string { return strconv.Itoa(version) + " " + token }

// familiarNetwork says whether the account has succeeded from the network. Where it may have, and nothing tells, it is unknown.
func familiarNetwork(p *past, in *Input, since int64) facts.Familiarity {
	were, told := &p.networks, address.NetworkOf(in.Address)
	if were.named.newest <= since {
		return familiarityOf(&were.told, told, since)
	}
	version, named := versionOf(in.Sighted), ""
	if in.Sighted != nil && in.Sighted.Network != "" {
		named = tokenOf(version, in.Sighted.Network)
	}
	switch {
	case told == "" && named == "":
		return facts.FamiliarUnknown
	case were.told.when(told) > since || were.named.when(named) > since:
		return facts.FamiliarSeen
	case named == "" || were.versions.besides(version) > since || (told == "" && were.told.newest > since):
		return facts.FamiliarUnknown
	default:
		return facts.FamiliarNew
	}
}
