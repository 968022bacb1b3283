package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/facts"
)

// The tables of which an entry tells a client.
const (
	tableBots     = "bots"
	tableDevices  = "devices"
	tableInApp    = "inApp"
	tableWebViews = "webViews"
)

// Entry is a part of user agents in one of the tables, by which a client is told.
type Entry struct {
	Table string
	At    int    // its place in the table
	Part  int    // its place among the parts of what stands there
	Token string // the part as it is written
}

// Place is where the entry stands: agents.bots[16], agents.devices[0].tokens[1].
func (e Entry) Place() string {
	if e.Table == tableBots {
		return fmt.Sprintf("agents.%s[%d]", e.Table, e.At)
	}
	return fmt.Sprintf("agents.%s[%d].tokens[%d]", e.Table, e.At, e.Part)
}

// Automatic returns the entries that tell that a user agent is of a crawler, or of a browser without a window.
func (a *Tables) Automatic(text string) []Entry {
	all := entries(tableBots, 0, strings.ToLower(text), a.Bots)
	for i := range all {
		all[i].At, all[i].Part = all[i].Part, 0
	}
	return append(all, a.OfClass(text, facts.DeviceHeadless)...)
}

// OfClass returns the entries that tell that a user agent is of a class of devices.
func (a *Tables) OfClass(text string, class facts.Device) (all []Entry) {
	for i := range a.Devices {
		if d := &a.Devices[i]; d.Class == class {
			all = append(all, entries(tableDevices, i, text, d.Tokens)...)
		}
	}
	return all
}

// Within returns the entries that tell that a user agent is of a browser within an app for something else.
func (a *Tables) Within(text string) (all []Entry) {
	for i := range a.InApp {
		all = append(all, entries(tableInApp, i, text, a.InApp[i].Tokens)...)
	}
	return all
}

// Embedded returns the entries that tell that a user agent is of a web view of the system.
func (a *Tables) Embedded(text string, os OS) (all []Entry) {
	for i := range a.WebViews {
		if w := &a.WebViews[i]; w.System == os && !anyIn(text, w.Without) {
			all = append(all, entries(tableWebViews, i, text, w.Tokens)...)
		}
	}
	return all
}

func entries(table string, at int, text string, patterns []Pattern) (all []Entry) {
	for i := range patterns {
		if patterns[i].In(text) {
			all = append(all, Entry{table, at, i, patterns[i].String()})
		}
	}
	return all
}

// Without returns the tables without some of their entries. The tables themselves stay as they are.
func (a *Tables) Without(gone []Entry) Tables {
	left := *a
	left.Bots, left.Devices = slices.Clone(a.Bots), slices.Clone(a.Devices)
	left.InApp, left.WebViews = slices.Clone(a.InApp), slices.Clone(a.WebViews)
	for _, e := range gone {
		switch e.Table {
		case tableBots:
			left.Bots = without(left.Bots, e.Token)
		case tableDevices:
			left.Devices[e.At].Tokens = without(left.Devices[e.At].Tokens, e.Token)
		case tableInApp:
			left.InApp[e.At].Tokens = without(left.InApp[e.At].Tokens, e.Token)
		case tableWebViews:
			left.WebViews[e.At].Tokens = without(left.WebViews[e.At].Tokens, e.Token)
		}
	}
	return left
}

func without(patterns []Pattern, token string) []Pattern {
	return slices.DeleteFunc(slices.Clone(patterns), func(p Pattern) bool { return p.String() == token })
}
