package causes

import (
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// What may be changed.
const (
	Strategy  = "strategy"
	Time      = "time"
	Manager   = "passwordManagerAvailable"
	Bluetooth = "bluetoothAvailable"
	Bar       = "bar" // an entry of a list or table of the bundle, or a setting
)

// Change is one thing that would have to differ for another answer, which has been asked for.
type Change struct {
	Of    string `json:"change"`
	To    string `json:"to"` // the strategy, the moment, true, or the entry that is left out
	Allow bool   `json:"allow"`
	Row   string `json:"row"`
	Tag   string `json:"tag"`
	// Why it is refused then, where it is refused now for another reason; empty otherwise
	Reason string `json:"reason,omitempty"`
}

// Bounds of what is tried and told.
const (
	maxChanges = 3
	maxEntries = 64 // of a list, each left out in turn
)

// changes returns the nearest single changes: those that turn the answer over come first.
func (i *inquiry) changes() ([]Change, error) {
	var turning, others []Change
	try := func(by *engine.Engine, of, to string, change func(*question)) (bool, error) {
		other, err := i.ask(by, change)
		if err != nil || i.base.same(other) {
			return false, err
		}
		c := Change{Of: of, To: to, Allow: other.Allow, Row: other.Rule, Tag: string(other.Tag)}
		if !other.Allow && !i.base.Allow && other.reason != i.base.reason {
			c.Reason = other.reason
		}
		if other.Allow != i.base.Allow {
			turning = append(turning, c)
		} else {
			others = append(others, c)
		}
		return true, nil
	}
	for _, one := range i.candidates() {
		if _, err := try(i.by, one.of, one.to, one.change); err != nil {
			return nil, err
		}
	}
	for _, alternatives := range [][]lifted{i.unbarred(), i.untold(), i.older()} {
		for _, one := range alternatives {
			by, err := one.by()
			if err != nil {
				continue // an own bundle may not let the parameter be so
			}
			found, err := try(by, Bar, one.entry, func(*question) {})
			if err != nil {
				return nil, err
			}
			if found {
				break
			}
		}
	}
	all := slices.Concat(turning, others)
	return all[:min(len(all), maxChanges)], nil
}

// candidate is a change of the question.
type candidate struct {
	of, to string
	change func(*question)
}

// candidates are the changes that are tried, nearest first.
func (i *inquiry) candidates() []candidate {
	var all []candidate
	f := i.base.basis.Facts
	if i.recorded.Action == engine.ActionLogin {
		for _, s := range []rest.CrossDeviceAuthenticationStrategy{
			rest.CrossDeviceAuthenticationStrategyStandard, rest.CrossDeviceAuthenticationStrategyMaximize,
			rest.CrossDeviceAuthenticationStrategyMinimize,
		} {
			if string(s) != f.Strategy {
				all = append(all, candidate{Strategy, string(s), func(q *question) { q.login.Strategy = s }})
			}
		}
	}
	if at := i.base.NextEligibleAt; !at.IsZero() {
		all = append(all, candidate{Time, at.UTC().Format(time.RFC3339), func(q *question) { q.at = at }})
	}
	return append(all,
		candidate{Manager, "true", func(q *question) {
			for _, one := range q.common() {
				one.Client.PasswordManagerAvailable = new(true)
			}
		}},
		candidate{Bluetooth, "true", func(q *question) {
			for _, one := range q.common() {
				one.Client.BluetoothAvailable = new(true)
				if one.Client.NativeMeta != nil {
					meta := *one.Client.NativeMeta
					meta.IsBluetoothAvailable, meta.IsBluetoothOn = new(true), new(true)
					one.Client.NativeMeta = &meta
				}
			}
		}},
	)
}
