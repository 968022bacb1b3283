// Package provenance says of each fact where it came from: what the client sent, what its backend did, the account and its passkeys, the
// log of events, a counter, a list. It is pure, and knows paths alone: which events and passkeys they were, who has found them can tell.
package provenance

import (
	"strings"

	"github.com/keyward/keyward/core/history"
)

// Kind is what a fact came from.
type Kind string

// The kinds.
const (
	Client      Kind = "client"      // what the client said of itself, or could be seen of it
	Caller      Kind = "caller"      // what the backend or page that called asked for, or added
	Project     Kind = "project"     // the credential that the call came with
	Account     Kind = "account"     // the account as it was stored
	Credentials Kind = "credentials" // the passkeys of the account
	Events      Kind = "events"      // the log of the user's events
	Counter     Kind = "counter"     // what the policy counts over requests of all
	List        Kind = "list"        // a list of the policy, of operators or of a file
	Location    Kind = "location"    // the files of places that addresses are in
	Experiment  Kind = "experiment"  // an arm that the user was drawn to
	Clock       Kind = "clock"       // when it was
)

// Source is where a fact came from.
type Source struct {
	Kind  Kind
	Text  string         // in words
	Name  string         // of the counter, list or experiment; empty = there is none
	Parts []history.Part // of the history that it was folded from; none = not one that is told by itself
}

// row is what is known of all facts below a path; the longest path that fits counts.
type row struct {
	path  string // one that ends with a dot has members that bundles name
	kind  Kind
	text  string
	parts []history.Part
}

// Of returns where the fact at a path came from; false if it is none that there is.
func Of(path string) (Source, bool) {
	var best *row
	all := rows()
	for i := range all {
		r := &all[i]
		if fits(path, r.path) && (best == nil || len(r.path) > len(best.path)) {
			best = r
		}
	}
	if best == nil {
		return Source{}, false
	}
	s := Source{Kind: best.kind, Text: best.text, Parts: best.parts}
	if name, named := strings.CutPrefix(path, best.path); named && strings.HasSuffix(best.path, ".") {
		s.Name = name
	}
	return s, true
}

func fits(path, row string) bool {
	return path == row || strings.HasSuffix(row, ".") && strings.HasPrefix(path, row) || strings.HasPrefix(path, row+".")
}

func rows() []row {
	return append(append(present(), past()...), nudges()...)
}

// present are facts of the request and what is stored.
func present() []row {
	return []row{
		{path: "complete", kind: Events, text: "whether the log of events could be read"},
		{path: "account", kind: Account, text: "the account as it was stored"},
		{path: "user", kind: Account, text: "the account as it was stored"},
		{path: "user.passkeys", kind: Credentials, text: "the passkeys of the account"},
		{path: "user.passkeyAddedHours", kind: Credentials, text: "when the newest passkey was made"},
		{path: "user.passkeyRemovedHours", kind: Account, text: "when a passkey was last deleted"},
		{path: "user.labels.", kind: Account, text: "a label that a backend or an operator gave the account"},
		{path: "user.alerts", kind: Events, text: "alerts in the log of events"},
		{path: "strategy", kind: Caller, text: "the strategy that the call asked for, or that of the project"},
		{path: "source", kind: Caller, text: "what the caller said of how the login came about"},
		{path: "flags", kind: Caller, text: "what the caller asked for"},
		{path: "situation", kind: Caller, text: "the moment that the offer is about, by the course of the process"},
		{path: "context.", kind: Caller, text: "what the caller added to the call"},
		{path: "contextGiven", kind: Caller, text: "whether the caller added anything to the call"},
		{path: "stage", kind: Caller, text: "the operation that was called"},
		{path: "action", kind: Caller, text: "the operation that was called"},
		{path: "project", kind: Project, text: "the credential that the call came with"},
		{path: "client", kind: Client, text: "the user agent, client hints and capabilities that the client sent"},
		{path: "support", kind: Client, text: "the capabilities that the client sent"},
		{path: "environment", kind: Client, text: "the handle that the browser or app keeps"},
		{path: "environment.listed", kind: List, text: "lists of the policy that bar clients"},
		{path: "environment.ageHours", kind: Events, text: "the first success of the account in this environment"},
		{path: "environment.users", kind: Events, text: "accounts that have succeeded in this environment"},
		{path: "request", kind: Client, text: "the client's address and what it sent of itself"},
		{path: "request.hour", kind: Clock, text: "the clock, where the parameter timeZone says"},
		{path: "request.weekday", kind: Clock, text: "the clock, where the parameter timeZone says"},
		{path: "request.hourUTC", kind: Clock, text: "the clock"},
		{path: "request.weekdayUTC", kind: Clock, text: "the clock"},
		{path: "request.source", kind: Project, text: "whether a backend or a page made the call"},
		{path: "request.lists.", kind: List, text: "a list of the policy, of operators or of a file"},
		{path: "request.country", kind: Location, text: "the file of locations, by the client's address"},
		{path: "request.asn", kind: Location, text: "the file of networks, by the client's address"},
		{path: "credentials", kind: Credentials, text: "the passkeys of the account, as this client can reach them"},
		{path: "securityKeyOnly", kind: Credentials, text: "the passkeys of the account"},
		{path: "cda", kind: Credentials, text: "the passkeys of the account, and what this client can do with a phone"},
		{path: "used", kind: Credentials, text: "the passkey that was used, and what its authenticator answered"},
		{path: "created", kind: Credentials, text: "the passkey that was made, and what its authenticator answered"},
		{path: "velocity.", kind: Counter, text: "a counter of the policy over requests of all"},
		{path: "experiments.", kind: Experiment, text: "the arm that the user was drawn to"},
		{path: "rollout", kind: Client, text: "what the client sent, by the rules of the rollout"},
		{path: "rollout.samples.", kind: Experiment, text: "whether the client was drawn"},
		{path: "rollout.flags.", kind: Caller, text: "a flag that the client sent"},
	}
}

// past are facts that the log of events comes down to.
func past() []row {
	won := []history.Part{history.Worked, history.Made, history.SaidToExist}
	const here = "what happened to the account in this environment"
	return []row{
		{path: "familiar", kind: Events, text: "earlier successes of the account"},
		{path: "travel", kind: Events, text: "the newest success whose place is known, and the place of this request"},
		{path: "process", kind: Events, text: "the login of the same process"},
		{path: "pair", kind: Events, text: here},
		{path: "pair.localStreak", kind: Events, text: here, parts: []history.Part{history.FailedLocal}},
		{path: "pair.cdaStreak", kind: Events, text: here, parts: []history.Part{history.FailedCDA}},
		{path: "pair.securityKeyStreak", kind: Events, text: here, parts: []history.Part{history.FailedSecurityKey}},
		{path: "pair.noCredentials", kind: Events, text: here, parts: []history.Part{history.SaidNone}},
		{
			path: "pair.lastFailedRoute", kind: Events, text: here,
			parts: []history.Part{history.FailedLocal, history.FailedCDA, history.FailedSecurityKey},
		},
		{path: "pair.positive", kind: Events, text: here, parts: won},
		{path: "pair.positiveSecurityKey", kind: Events, text: here, parts: won},
		{path: "pair.lastRoute", kind: Events, text: here, parts: won},
		{path: "pair.firstWin", kind: Events, text: here, parts: won},
		{path: "pair.secondWin", kind: Events, text: here, parts: won},
		{path: "pair.thirdWin", kind: Events, text: here, parts: won},
		{path: "pair.evidenceHere", kind: Events, text: here, parts: won},
		{path: "pair.existsHere", kind: Events, text: here, parts: []history.Part{history.SaidToExist}},
		{path: "pair.createdHere", kind: Events, text: here, parts: []history.Part{history.Made}},
		{path: "blacklist.login", kind: Events, text: "bars of the user", parts: []history.Part{history.LoginBarred}},
		{path: "blacklist.appendAfterHybrid", kind: Events, text: "bars of the user", parts: []history.Part{history.AppendAfterHybridBarred}},
		{path: "blacklist.appendAfterError", kind: Events, text: "bars of the user", parts: []history.Part{history.AppendAfterErrorBarred}},
		{path: "doubts", kind: Events, text: "what spoke against the user", parts: []history.Part{history.Doubted}},
	}
}

// nudges are how offers were answered.
func nudges() []row {
	all := []row{
		{
			path: "nudges.conditionalCreate.cooldown", kind: Events, text: "passkeys that were made silently",
			parts: []history.Part{history.CreatedSilently},
		},
		{path: "nudges.spaced", kind: Events, text: "offers that were made", parts: []history.Part{history.OfferedLast}},
		{
			path: "nudges.spent", kind: Events, text: "offers that were made",
			parts: []history.Part{history.ShownInDay, history.ShownInMonth, history.ShownInYear},
		},
	}
	for _, of := range [...]struct {
		name             string
		declined, paused history.Part
	}{
		{"default", history.DeclinedDefault, history.PausedDefault},
		{"afterError", history.DeclinedAfterError, history.PausedAfterError},
		{"afterHybrid", history.DeclinedAfterHybrid, history.PausedAfterHybrid},
		{"auto", history.DeclinedAuto, history.PausedAuto},
	} {
		const text = "how the user answered earlier offers"
		all = append(
			all,
			row{path: "nudges." + of.name + ".declines", kind: Events, text: text, parts: []history.Part{of.declined}},
			row{path: "nudges." + of.name + ".cooldown", kind: Events, text: text, parts: []history.Part{of.paused}},
		)
	}
	return all
}
