// Package logged is what the entries of a scenario's log may be: their types, the names that types have beside those of the wire, and what
// an entry says by the keys of its type. It knows no scenario: times, passkeys and addresses are read by whoever reads the file.
package logged

import (
	"cmp"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
)

// What is counted and is no event of a history: reported logins, and what says more of a login that failed than its event.
var countedTypes = []string{"auth-success", "auth-failure", "login-unknown", "code-wrong", string(event.StepUpFailed)}

// fraudConfirmed is the feedback that fraud was confirmed, in one word.
const fraudConfirmed = event.Type(event.FraudConfirmed)

// names are other names of types, as whoever reads of signature counters and backup flags first may call them.
var names = map[string]event.Type{
	"counter-regressed":          event.PasskeyCounterRegressed,
	"backup-eligibility-changed": event.PasskeyBackupChanged,
}

// Words of the values.
var (
	sources     = vocabulary.Words(event.Sources()...)
	attachments = []string{"platform", "cross-platform", ""}
	outcomes    = vocabulary.Words(event.FraudConfirmed, event.FraudSuspected, event.Legitimate, event.StepUpAbandoned)
	statuses    = []string{"unknown", "ok", "update", "retired", "compromised", "revoked"}
)

// Keys of log entries by type, beside those of every entry.
var (
	engineKeys = map[event.Type][]string{
		event.LoginOffered:    {"route", "source", "process", "challenge", "env"},
		event.LoginDenied:     {"process", "env"},
		event.LoginCompleted:  {"ceremonyType", "credential", "process", "challenge", "env"},
		event.AppendOffered:   {"kind", "process", "challenge", "env"},
		event.AppendCompleted: {"ceremonyType", "attachment", "credential", "process", "challenge", "env"},

		event.LoginCodeFailed:            {"process", "env"},
		event.LoginRefused:               {"process", "challenge", "env", "credential", "step"},
		event.PasskeyCounterRegressed:    {"credential", "process", "env", "before", "after"},
		event.PasskeyBackupChanged:       {"credential", "process", "env", "before", "after"},
		event.BackupStateChanged:         {"credential", "process", "env", "before", "after"},
		event.AuthenticatorStatusChanged: {"credential", "before", "status", "level", "reports", "mdsNo"},
		event.NewEnvironment:             {"credential", "process", "env"},
		event.NewCountry:                 {"credential", "process", "env", "country"},
		event.EnvironmentForgotten:       {"env"},

		event.RiskDecided:   {"credential", "process", "env", "stage", "action", "level", "reasons", "enforced", "decision"},
		event.RiskFeedback:  {"credential", "env", "decision", "outcome"},
		fraudConfirmed:      {"credential", "env", "decision"},
		event.StepUpStarted: {"credential", "process", "env", "stepUp", "method"},
		event.StepUpPassed:  {"credential", "process", "env", "stepUp", "method"},
		event.StepUpFailed:  {"credential", "process", "env", "stepUp", "method"},
		event.UserLabelled:  {"labels"},
	}
	wireKeys    = []string{"process", "env", "challenge", "credential", "expires", "proven"}
	countedKeys = []string{"env", "credential"}
	repeatKeys  = []string{"address", "times", "every", "others"}
	wireTypes   = vocabulary.Words(
		slices.DeleteFunc(slices.Sorted(slices.Values(event.Types())), func(t event.Type) bool { return !t.OnWire() })...,
	)
	types = slices.Compact(slices.Sorted(slices.Values(slices.Concat(
		vocabulary.Words(slices.Collect(maps.Keys(engineKeys))...), wireTypes, countedTypes, slices.Collect(maps.Keys(names)),
	))))
)

// silent are the types that say nothing which an answer is made of.
var silent = []event.Type{
	event.BackupStateChanged, event.NewEnvironment, event.NewCountry, event.RiskDecided, event.StepUpStarted, event.StepUpPassed,
	event.StepUpFailed, event.UserLabelled,
}

// Types returns the types that a log entry may have, in order.
func Types() []string { return slices.Clone(types) }

// Tells reports whether answers may differ by events of a type.
func Tells(t event.Type) bool {
	return slices.Contains(types, string(t)) && !slices.Contains(silent, t)
}

// KeysOf returns the keys that a log entry of a type may have beside those of every entry.
func KeysOf(name string) []string {
	t := typeNamed(name)
	own, engine := engineKeys[t]
	switch {
	case !engine && OfNoHistory(t):
		own = countedKeys
	case !engine:
		own = wireKeys
	}
	if counts(t) {
		own = slices.Concat(own, repeatKeys)
	}
	return slices.Clone(own)
}

// AllKeys returns the keys that entries of any type may have.
func AllKeys() []string {
	all := slices.Concat(wireKeys, repeatKeys)
	for _, own := range engineKeys {
		all = append(all, own...)
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}

func typeNamed(name string) event.Type { return cmp.Or(names[name], event.Type(name)) }

// OfNoHistory reports whether a type is counted, and is no event of a history.
func OfNoHistory(t event.Type) bool { return slices.Contains(countedTypes, string(t)) }

// counts reports whether entries of a type may be counted.
func counts(t event.Type) bool {
	switch t {
	case event.LoginCodeFailed, event.LoginRefused, event.LoginCompleted, event.AppendCompleted, event.RiskFeedback, fraudConfirmed:
		return true
	default:
		return OfNoHistory(t)
	}
}

// CountedAs returns what an event counts as; 0 = as nothing.
func CountedAs(e *event.Event) sighting.Type {
	switch {
	case !counts(e.Type):
		return 0
	case e.Type == event.LoginCodeFailed:
		return sighting.CodeWrong
	case e.Type == event.RiskFeedback:
		if e.Feedback == nil || e.Feedback.Outcome != event.FraudConfirmed {
			return 0
		}
		return sighting.FraudConfirmed
	}
	counted, _ := sighting.TypeNamed(string(e.Type))
	return counted
}

// Say has the event say what the entry of that type does by the keys of its type alone. Plain cases need not be spelt out.
func Say(r *strictyaml.Reader, e *event.Event, name string, fields map[string]*yaml.Node) {
	e.Type = typeNamed(name)
	switch e.Type {
	case event.LoginOffered:
		e.Route = event.Route(cmp.Or(r.Choice(fields["route"], "route", vocabulary.Routes), string(event.Local)))
		e.Source = event.Source(r.Choice(fields["source"], "source", sources))
	case event.LoginCompleted:
		e.Route = event.Route(cmp.Or(r.Choice(fields["ceremonyType"], "ceremonyType", vocabulary.Routes), string(event.Local)))
	case event.AppendCompleted:
		e.Route = event.Route(r.Choice(fields["ceremonyType"], "ceremonyType", vocabulary.Routes))
		e.Attachment = r.Choice(fields["attachment"], "attachment", attachments)
	case event.AppendOffered:
		e.Kind = event.Kind(cmp.Or(r.Choice(fields["kind"], "kind", vocabulary.Kinds), string(event.KindDefault)))
	case event.LoginRefused:
		if n := fields["step"]; n != nil {
			e.Refused = &event.Refused{Step: r.Text(n, "step")}
		}
	case event.PasskeyCounterRegressed:
		e.Counter = &event.Counter{Stored: counter(r, fields["before"], "before"), Received: counter(r, fields["after"], "after")}
	case event.PasskeyBackupChanged, event.BackupStateChanged:
		e.Backup = &event.Backup{Stored: r.Boolean(fields["before"], "before"), Received: r.Boolean(fields["after"], "after")}
	default:
		sayOfRisk(r, e, fields)
	}
}

// sayOfRisk is Say for what the engine makes of what happened, and others of that.
func sayOfRisk(r *strictyaml.Reader, e *event.Event, fields map[string]*yaml.Node) {
	e.Decision = ident.DecisionID(r.Text(fields["decision"], "decision"))
	switch e.Type {
	case event.AuthenticatorStatusChanged:
		e.Authenticator = &event.Authenticator{
			Before: r.Choice(fields["before"], "before", statuses), Status: r.Choice(fields["status"], "status", statuses),
			Level: int(r.Integer(fields["level"], "level")), Reports: listOf(r, fields["reports"], "reports"),
			Number: int(r.Integer(fields["mdsNo"], "mdsNo")),
		}
	case event.NewCountry:
		if n := fields["country"]; n != nil {
			e.Origin = &event.Origin{Country: r.Text(n, "country")}
		}
	case event.RiskDecided:
		e.Risk = &event.Risk{
			Stage: r.Text(fields["stage"], "stage"), Action: r.Choice(fields["action"], "action", vocabulary.Verdicts),
			Level: r.Choice(fields["level"], "level", vocabulary.Levels), Reasons: listOf(r, fields["reasons"], "reasons"),
			Enforced: r.Boolean(fields["enforced"], "enforced"),
		}
	case fraudConfirmed:
		e.Type, e.Feedback = event.RiskFeedback, &event.Feedback{Outcome: event.FraudConfirmed}
	case event.RiskFeedback:
		e.Feedback = &event.Feedback{Outcome: event.Outcome(r.Choice(fields["outcome"], "outcome", outcomes))}
	case event.StepUpStarted, event.StepUpPassed, event.StepUpFailed:
		e.StepUp, e.Method = ident.StepUpID(r.Text(fields["stepUp"], "stepUp")), r.Choice(fields["method"], "method", vocabulary.Methods)
	case event.UserLabelled:
		labels := event.Labels(listOf(r, fields["labels"], "labels"))
		e.Labels = &labels
	}
}

func counter(r *strictyaml.Reader, n *yaml.Node, what string) uint32 {
	given := r.Integer(n, what)
	if given < 0 || given != int64(uint32(given)) {
		r.Refuse(n, "%s must be a signature counter, from 0 to 4294967295", what)
		return 0
	}
	return uint32(given)
}

func listOf(r *strictyaml.Reader, n *yaml.Node, what string) []string {
	var all []string
	for _, item := range r.List(n, what) {
		all = append(all, r.Text(item, what))
	}
	slices.Sort(all)
	return all
}
