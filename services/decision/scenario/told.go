package scenario

import (
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// eventsOf returns those events that a scenario wants, if all of them are told; else what is told. What else is told is no matter.
func eventsOf(s *written.Scenario, v *service.Verdict) []string {
	told := texts(told(s, v))
	if slices.Contains(told, string(event.PasskeyCounterRegressed)) {
		told = append(told, vocabulary.CounterRegressed)
	}
	i := slices.IndexFunc(s.Expectations, func(e written.Expectation) bool { return e.Key == written.KeyEvents })
	if i < 0 {
		return told
	}
	wanted, _ := s.Expectations[i].Want.([]string)
	if slices.ContainsFunc(wanted, func(name string) bool { return !slices.Contains(told, name) }) {
		return told
	}
	return wanted
}

// told is what subscribers are told of what was judged, whether at once or a moment later.
func told(s *written.Scenario, v *service.Verdict) (all []event.Type) {
	r := v.Risk
	if s.Stage != facts.MediationStart && (r.Action != service.RiskAllow || r.Level == service.RiskHigh) {
		all = append(all, event.RiskDecided)
	}
	switch s.Stage {
	case facts.LoginFinish, facts.AppendFinish:
		return append(all, ended(s, v)...)
	case facts.LoginStart:
		return append(all, either(v.Allow, event.LoginOffered, event.LoginDenied))
	case facts.AppendStart:
		if v.Allow {
			return append(all, event.AppendOffered)
		}
	}
	if r.Challenges() && (s.Stage == facts.AppendStart || s.Stage == facts.Evaluate) {
		all = append(all, event.StepUpStarted)
	}
	return all
}

func either(first bool, one, other event.Type) event.Type {
	if first {
		return one
	}
	return other
}

// ended is what the end of a ceremony tells beside how it was judged.
func ended(s *written.Scenario, v *service.Verdict) (all []event.Type) {
	login := s.Finish.Login
	if login != nil && (login.Counter == service.CounterRegressed || login.Counter == service.CounterReset) {
		all = append(all, event.PasskeyCounterRegressed)
	}
	switch {
	case v.Risk.Challenges():
		return append(all, event.StepUpStarted)
	case v.Risk.Bars():
		return all
	case cloned(s, v):
		return append(all, event.LoginRefused)
	}
	all = append(all, either(login != nil, event.LoginCompleted, event.AppendCompleted))
	if v.NewCountry {
		all = append(all, event.NewCountry)
	}
	if login == nil {
		return all
	}
	if login.BackupChanged {
		all = append(all, event.BackupStateChanged)
	}
	here := s.Question.Environment
	known := slices.ContainsFunc(s.Question.Account.Environments, func(e account.Environment) bool { return e.ID == here.ID })
	if here.Known && here.ID != "" && !known {
		all = append(all, event.NewEnvironment)
	}
	return all
}

// cloned reports whether a login is refused since its counter did not go up, as it is where the policy does not bind.
func cloned(s *written.Scenario, v *service.Verdict) bool {
	return s.Finish.Login != nil && s.Finish.Login.Counter == service.CounterRegressed && !v.Risk.Enforced
}
