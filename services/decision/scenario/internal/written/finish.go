package written

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

var counters = words(service.CounterNone, service.CounterOK, service.CounterRegressed, service.CounterReset)

// finishOf reads what ended the ceremony: the passkey that was used, or the one that was created, which the account does not have yet.
func (l *library) finishOf(s *Scenario, scenario *yaml.Node, fields map[string]*yaml.Node) {
	of := map[facts.Stage]string{facts.LoginFinish: "used", facts.AppendFinish: "created"}[s.Stage]
	for _, name := range []string{"used", "created"} {
		if given := fields[name]; given != nil && name != of {
			l.Refuse(given, "%s is of another stage than %s", name, s.Stage)
		}
	}
	if of == "" {
		return
	}
	if fields[of] == nil {
		l.Refuse(scenario, "the scenario does not say what was %s", of)
		return
	}
	keys := []string{"passkey", "uv"}
	if of == "used" {
		keys = append(keys, "route", "counter", "backupChanged")
	} else {
		keys = append(keys, "conditional")
	}
	given := l.Object(fields[of], of, keys)
	s.Finish.UV, s.Finish.Conditional = given["uv"] == nil || l.Boolean(given["uv"], "uv"), l.Boolean(given["conditional"], "conditional")
	l.finishedWith(s, fields[of], given["passkey"])
	if of != "used" {
		return
	}
	said := &service.FinishedLogin{Route: event.Local, Counter: service.CounterNone}
	if n := given["route"]; n != nil {
		said.Route = event.Route(l.Choice(n, "route", routes))
	}
	if n := given["counter"]; n != nil {
		said.Counter = service.Counter(l.Choice(n, "counter", counters))
	}
	said.BackupChanged = l.Boolean(given["backupChanged"], "backupChanged")
	s.Finish.Login = said
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
