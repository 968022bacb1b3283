// Package around reads what a file of scenarios says of what the policy does not: lists and networks, which stand for the operator's files,
// and authenticators, which stand for FIDO's metadata. It promises that what the format does not know is refused with its line. It is pure.
package around

import (
	"net/netip"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
)

// Lists stand for the operator's lists of addresses. Which networks there can be is the engine's affair.
type Lists struct {
	Line   int
	ByName map[string]any // as they would stand in a bundle's data
}

// ReadLists reads the lists that a file has beside its scenarios.
func ReadLists(l *strictyaml.Reader, n *yaml.Node) *Lists {
	if n == nil {
		return nil
	}
	found := &Lists{Line: n.Line, ByName: map[string]any{}}
	for name, given := range l.Named(n, "lists") {
		entries := []any{}
		for _, one := range l.List(given, "lists."+name) {
			entries = append(entries, l.Text(one, "lists."+name))
		}
		found.ByName[name] = map[string]any{"kind": "address", "entries": entries}
	}
	return found
}

// Networks stand for the operator's databases of locations.
type Networks map[netip.Prefix]place.Place

// Place returns where an address is that a client or its backend told: in the smallest of the networks that have it.
func (n Networks) Place(told string) place.Place {
	from, _ := address.Client(told)
	longest, found := -1, place.Place{}
	for prefix, at := range n {
		if prefix.Contains(from) && prefix.Bits() > longest {
			longest, found = prefix.Bits(), at
		}
	}
	return found
}

// ReadNetworks reads the networks that a file has beside its scenarios.
func ReadNetworks(l *strictyaml.Reader, n *yaml.Node) Networks {
	if n == nil {
		return nil
	}
	found := Networks{}
	for text, given := range l.Named(n, "networks") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Masked() != prefix {
			l.Refuse(given, "network %q is none, such as 198.51.100.0/24", text)
			continue
		}
		found[prefix] = placeOf(l, given)
	}
	return found
}

func placeOf(l *strictyaml.Reader, n *yaml.Node) place.Place {
	fields := l.Object(n, "a network", []string{"country", "asn", "lat", "lon", "radiusKm"})
	at := place.Place{Country: l.Text(fields["country"], "country")}
	if given := fields["asn"]; given != nil {
		at.ASN = int(l.Integer(given, "asn"))
	}
	if given := fields["radiusKm"]; given != nil {
		at.RadiusKm = int(l.Integer(given, "radiusKm"))
	}
	lat, lon := fields["lat"], fields["lon"]
	if lat == nil && lon == nil {
		return at
	}
	if at.Point = place.NewPoint(degrees(l, lat, n, "lat"), degrees(l, lon, n, "lon")); at.Point == nil {
		l.Refuse(n, "there is no such point on the earth")
	}
	return at
}

func degrees(l *strictyaml.Reader, n, network *yaml.Node, key string) float64 {
	if n == nil {
		l.Refuse(network, "the network has no %s, which goes with the other", key)
		return 0
	}
	number, err := strconv.ParseFloat(n.Value, 64)
	if err != nil || strictyaml.IsNull(n) {
		l.Refuse(n, "%s must be a number of degrees", key)
	}
	return number
}
