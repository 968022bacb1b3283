package retold

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

// tellRisk adds what is judged alone: the stage, what ended the ceremony or is asked about, what the caller added, where all was, and
// what had become of the models of the passkeys.
func tellRisk(s *draft.Scenario, d *Decision, by *engine.Engine, made *engine.Recorded) {
	risk := &draft.Risk{Standing: d.Question.Standing}
	s.Risk = risk
	if asked := d.Question.Asked; asked != nil {
		risk.About = asked.Action
	} else {
		q := made.Finish()
		risk.Finish = &q
	}
	found := made.Facts.RiskFacts
	if found == nil {
		return
	}
	risk.Stage = string(found.Stage)
	if given := found.ContextGiven; len(found.Context) > 0 || given != nil && *given {
		risk.Context = found.Context
	}
	if v := found.Velocity; v != nil && !v.Complete && made.Facts.Complete {
		// Of the longest window alone something is missing then, and as little as can be is lost.
		risk.Lost = s.Now.Add(time.Millisecond - by.Plan().Longest())
	}
	var here place.Place
	if at := found.Request.Located; at != nil {
		here = place.Place{Country: at.Country, ASN: at.ASN}
	}
	risk.Networks, risk.Addresses = networks(s.Events, d.Question, here)
}

// mostNetworks is how many networks are set aside for measurements, of which each network of the log becomes one.
const mostNetworks = 512

// from names where something was: networks that changed their place are two.
type from struct {
	network, country string
	asn              int
	lat, lon         float64
}

// networks says where events were by addresses that are nobody's: those of the network that was asked from are in that of the question.
func networks(events []event.Event, asked *kept.Question, here place.Place) ([]draft.Network, map[string]string) {
	all, told := []draft.Network{{Prefix: draft.NetworkOf(draft.Address), Place: here}}, map[string]string{}
	known := map[from]string{}
	for i := range events {
		e := &events[i]
		name := network(e)
		switch {
		case name == "" || !draft.TellsAddress(e.Type):
			continue
		case name == network(&event.Event{Sighted: asked.Sighted}) || asked.Network().IsValid() && name == asked.Network().String():
			told[string(e.ID)] = draft.Address
			continue
		}
		at := e.Origin.Place()
		key := from{network: name, country: at.Country, asn: at.ASN}
		if at.Point != nil {
			key.lat, key.lon = at.Point.Lat, at.Point.Lon
		}
		if known[key] == "" && len(known) < mostNetworks {
			known[key] = draft.Elsewhere(len(known))
			all = append(all, draft.Network{Prefix: draft.NetworkOf(known[key]), Place: at})
		}
		told[string(e.ID)] = known[key]
	}
	return slices.DeleteFunc(all, func(n draft.Network) bool { return n.Place == place.Place{} }), told
}

// network names the network of an event, as its own text or as a token; empty if it is not known.
func network(e *event.Event) string {
	switch {
	case e.Origin != nil && e.Origin.Network != "":
		return e.Origin.Network
	case e.Sighted != nil && e.Sighted.Network != "":
		return e.Sighted.Network
	default:
		return ""
	}
}

// judged is what the rules of risk answered.
func judged(d *Decision) ([]draft.Expected, error) {
	var a struct {
		Action      service.RiskAction     `json:"action"`
		Level       service.RiskLevel      `json:"level"`
		Reasons     []string               `json:"reasons"`
		StepUp      []service.StepUpMethod `json:"stepUp"`
		Retry       int                    `json:"retrySeconds"`
		Obligations service.Obligations    `json:"obligations"`
	}
	if err := json.Unmarshal(d.Answer, &a); err != nil {
		return nil, fmt.Errorf("read the recorded answer: %w", err)
	}
	slices.Sort(a.Reasons)
	want := []draft.Expected{{Key: "rule", Value: d.Rule}, {Key: "reasons", Value: slices.Concat([]string{}, a.Reasons)}}
	if f := d.Question.Finish; f == nil || !f.Proof { // of a proof the answer is less than what the rules said
		want = append(
			want, draft.Expected{Key: "verdict", Value: string(a.Action)}, draft.Expected{Key: "level", Value: string(a.Level)},
			draft.Expected{Key: "stepUp", Value: texts(a.StepUp)},
		)
	}
	return append(
		want, draft.Expected{Key: "retrySeconds", Value: a.Retry}, draft.Expected{Key: "notifyUser", Value: a.Obligations.NotifyUser},
		draft.Expected{Key: "enforced", Value: d.Enforced},
	), nil
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = string(one)
	}
	return all
}
