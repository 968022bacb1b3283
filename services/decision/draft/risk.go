package draft

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
)

// Risk is what a scenario of the action risk says beside the others.
type Risk struct {
	Stage     string
	Finish    *service.FinishQuestion // of a stage that ends a ceremony, but for the question that all have
	About     string                  // of the stage evaluate
	Context   any                     // that the caller added; nil = it added none
	Lost      time.Time               // until when what is counted was lost; zero = nothing was
	Networks  []Network
	Addresses map[string]string                           // of events, by their IDs; those that are not there do not say where they were
	Standing  func(*account.Credential) metadata.Standing // nil = nothing is known of any
}

// Network is one whose place is known.
type Network struct {
	Prefix netip.Prefix
	Place  place.Place
}

// NetworkOf returns the network that an address of a scenario is in.
func NetworkOf(text string) netip.Prefix { return address.Network(netip.MustParseAddr(text)) }

// Elsewhere returns an address that nobody has (RFC 2544), of another network for each number from 0 to 511.
func Elsewhere(n int) string {
	const half = 256
	return netip.AddrFrom4([4]byte{198, byte(18 + n/half), byte(n % half), 1}).String() //nolint:mnd // the addresses of RFC 2544
}

// TellsAddress reports whether a log entry of the type can say where it was.
func TellsAddress(t event.Type) bool {
	switch t {
	case event.LoginCompleted, event.AppendCompleted, event.LoginRefused, event.LoginCodeFailed, event.RiskFeedback:
		return true
	default:
		return false
	}
}

// judged writes what only risk is asked with.
func (w *writer) judged(node *yaml.Node, s *Scenario) error {
	r := s.Risk
	if r == nil {
		return nil
	}
	put(node, "stage", plain(r.Stage))
	putText(node, "about", r.About)
	if r.Finish != nil {
		if f := r.Finish; f.Login != nil {
			put(node, "used", flow(w.used(s)))
		} else {
			created := mapping()
			put(created, "passkey", plain(w.name(&f.Passkey, s)))
			put(created, "uv", plain(strconv.FormatBool(f.UV)))
			if f.Conditional {
				put(created, "conditional", yes())
			}
			put(node, "created", flow(created))
		}
	}
	if !r.Lost.IsZero() {
		lost := mapping()
		put(lost, "lost", moment(r.Lost, s.Now))
		put(node, "velocity", flow(lost))
	}
	if r.Context != nil {
		context, err := document(r.Context)
		if err != nil {
			return fmt.Errorf("context: %w", err)
		}
		put(node, "context", flow(context))
	}
	return nil
}

func (w *writer) used(s *Scenario) *yaml.Node {
	f := s.Risk.Finish
	node := mapping()
	put(node, "passkey", plain(w.name(&f.Passkey, s)))
	put(node, "uv", plain(strconv.FormatBool(f.UV)))
	putText(node, "route", string(f.Login.Route))
	putText(node, "counter", string(f.Login.Counter))
	if f.Login.BackupChanged {
		put(node, "backupChanged", plain("state"))
	}
	if f.Proof {
		put(node, "proof", yes())
	}
	return node
}

// putState writes of a passkey what is judged alone: when it was last used, what its counter tells, and what had become of its model.
func (w *writer) putState(node *yaml.Node, c *account.Credential, s *Scenario) {
	if s.Risk == nil {
		return
	}
	if c.LastUsedMs > c.CreatedMs {
		put(node, "lastUsed", moment(time.UnixMilli(c.LastUsedMs), s.Now))
	}
	switch {
	case c.CloneWarning:
		put(node, "counter", plain(string(service.CounterRegressed)))
	case c.SignCount > 0:
		put(node, "counter", plain(string(service.CounterOK)))
	}
	if s.Risk.Standing == nil || c.AAGUID == "" {
		return
	}
	is := s.Risk.Standing(c)
	if is.Status == metadata.Unknown || is.Status == "" || w.models[c.AAGUID] != nil {
		return
	}
	model := mapping()
	put(model, "status", plain(string(is.Status)))
	if is.Level > 0 {
		put(model, "level", plain(strconv.Itoa(is.Level)))
	}
	w.models[c.AAGUID] = flow(model)
	w.modelled = append(w.modelled, c.AAGUID)
}

// around writes what stands beside all scenarios of a file: places and models.
func (w *writer) around(file *yaml.Node, scenarios []Scenario) {
	if len(w.modelled) > 0 {
		models := mapping()
		for _, aaguid := range w.modelled {
			models.Content = append(models.Content, text(aaguid), w.models[aaguid])
		}
		put(file, "authenticators", models)
	}
	networks := mapping()
	for i := range scenarios {
		if scenarios[i].Risk == nil {
			continue
		}
		for _, n := range scenarios[i].Risk.Networks {
			networks.Content = append(networks.Content, text(n.Prefix.String()), placed(n.Place))
		}
	}
	if len(networks.Content) > 0 {
		put(file, "networks", networks)
	}
}

func placed(at place.Place) *yaml.Node {
	node := mapping()
	putText(node, "country", at.Country)
	if at.ASN != 0 {
		put(node, "asn", plain(strconv.Itoa(at.ASN)))
	}
	if at.Point != nil {
		put(node, "lat", plain(strconv.FormatFloat(at.Point.Lat, 'f', -1, 64))) //nolint:mnd // bits of a float64
		put(node, "lon", plain(strconv.FormatFloat(at.Point.Lon, 'f', -1, 64))) //nolint:mnd // bits of a float64
	}
	if at.RadiusKm != 0 {
		put(node, "radiusKm", plain(strconv.Itoa(at.RadiusKm)))
	}
	return flow(node)
}
