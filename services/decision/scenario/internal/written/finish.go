package written

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/backedup"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
)

var (
	counters = vocabulary.Words(service.CounterNone, service.CounterOK, service.CounterRegressed, service.CounterReset)
	tellings = vocabulary.Words(service.CounterNone, service.CounterOK, service.CounterRegressed) // of a passkey, over all its uses
	changes  = vocabulary.Words(backedup.Same, backedup.State)
)

// finishOf reads what ended the ceremony: the passkey that was used, or the one that was created, which the account does not have yet.
func (l *library) finishOf(s *Scenario, scenario *yaml.Node, fields map[string]*yaml.Node) {
	of := map[facts.Stage]string{facts.LoginFinish: "used", facts.AppendFinish: "created"}[s.Stage]
	l.refuseAt(s.Stage, fields, slices.DeleteFunc([]string{"used", "created"}, func(name string) bool { return name == of })...)
	if of == "" {
		return
	} else if fields[of] == nil {
		l.Refuse(scenario, "the scenario does not say what was %s", of)
		return
	}
	keys := map[string][]string{"created": {"conditional"}, "used": {"route", "counter", "backupChanged", "proof"}}
	given := l.Object(fields[of], of, append(keys[of], "passkey", "uv"))
	s.Finish.UV, s.Finish.Conditional = given["uv"] == nil || l.Boolean(given["uv"], "uv"), l.Boolean(given["conditional"], "conditional")
	l.finishedWith(s, fields[of], given["passkey"])
	if of != "used" {
		return
	}
	said := &service.FinishedLogin{Route: event.Local, Counter: service.CounterNone}
	if n := given["route"]; n != nil {
		said.Route = event.Route(l.Choice(n, "route", vocabulary.Routes))
	}
	if n := given["counter"]; n != nil {
		said.Counter = service.Counter(l.Choice(n, "counter", counters))
	}
	said.BackupChanged, s.Finish.Proof = l.backupChanged(given["backupChanged"]), l.Boolean(given["proof"], "proof")
	s.Finish.Login = said
}

// backupChanged reads the word that facts have for it, or whether it did, as it was said before there was the word.
func (l *library) backupChanged(n *yaml.Node) bool {
	if n == nil {
		return false
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return l.Boolean(n, "backupChanged")
	}
	return l.Choice(n, "backupChanged", changes) == string(backedup.State)
}

// useOf reads what uses have made of a passkey: when the last was, and what its counter tells.
func (l *library) useOf(c *account.Credential, fields map[string]*yaml.Node, now time.Time) {
	c.LastUsedMs = c.CreatedMs
	if given := fields["lastUsed"]; given != nil {
		c.LastUsedMs = l.Moment(given, "lastUsed", now).UnixMilli()
	}
	if given := fields["counter"]; given != nil {
		told := service.Counter(l.Choice(given, "counter", tellings))
		c.CloneWarning = told == service.CounterRegressed
		if told == service.CounterRegressed || told == service.CounterOK {
			c.SignCount = 1
		}
	}
}

// askedOf reads what is evaluated that is no ceremony, and what its caller alone knows. Which actions and members of a context there are is
// the bundle's affair.
func (l *library) askedOf(s *Scenario, scenario *yaml.Node, fields map[string]*yaml.Node) {
	if s.Action != Risk {
		return
	}
	s.Question.Context = l.JSON(fields["context"], "context")
	switch about := fields["about"]; {
	case s.Stage == facts.Evaluate && about == nil:
		l.Refuse(scenario, "the scenario does not say what it is about: an action of the bundle")
	case s.Stage == facts.Evaluate:
		s.Asked.Action = l.Text(about, "about")
	default:
		l.refuseAt(s.Stage, fields, "about")
	}
}

// refuseAt refuses what a stage does not have.
func (l *library) refuseAt(stage facts.Stage, fields map[string]*yaml.Node, names ...string) {
	for _, name := range names {
		if given := fields[name]; given != nil {
			l.Refuse(given, "%s is of another stage than %s", name, stage)
		}
	}
}

// finishedWith reads which passkey it was: one of the account, or of a creation one that the file names.
func (l *library) finishedWith(s *Scenario, finish, n *yaml.Node) {
	if n == nil {
		l.Refuse(finish, "which passkey it was is missing: passkey")
		return
	}
	if s.Stage == facts.AppendFinish {
		if _, merged := l.use(n, "passkey", l.credentials); merged != nil {
			s.Finish.Passkey = l.credential(merged, s.Now, false).credential
			s.Finish.Passkey.CreatedMs = s.Now.UnixMilli()
		}
		return
	}
	known := make([]string, len(s.passkeys))
	for i := range s.passkeys {
		known[i] = s.passkeys[i].name
	}
	name := l.Choice(n, "passkey", known)
	if i := slices.Index(known, name); i >= 0 {
		s.Finish.Passkey = s.passkeys[i].credential
	}
}
