package invariant

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// claim is one invariant.
type claim struct {
	name   string
	says   string
	broken func(*trial) []asked // the questions whose answers break it; nil if they do not
}

// asked is a question, with what would have to be answered. Without that, what was answered is right, and the next question's answer wrong.
type asked struct {
	s      *situation
	action string
	expect []draft.Expected
}

// no expects a refusal, yes an offer.
func no() []draft.Expected  { return []draft.Expected{{Key: "allow", Value: false}} }
func yes() []draft.Expected { return []draft.Expected{{Key: "allow", Value: true}} }

// claims are the invariants, in the order of their numbers.
func claims() []claim {
	return []claim{
		{"I1", "a login that is offered names a passkey, or is meant to find one itself", namesSomething},
		{"I2", "the route of a login leads to a passkey that it names", routeLeadsSomewhere},
		{"I3", "only a login with a passkey that is expected on this client asks for those at hand alone", immediateIsLikely},
		{"I4", "what minimize offers standard offers, and what standard offers maximize offers", strategiesAreOrdered},
		{"I5", "a user who is barred from passkey logins is offered none", barredUsersAreRefused},
		{"I6", "a client that is barred hard is offered nothing, forced or not", barredClientsAreRefused},
		{"I7", "one failure more on a route makes no offer, nor turns one to that route", failuresOpenNothing},
		{"I8", "one success more takes no offer away", successesCloseNothing},
		{"I9", "one passkey more takes no offer of a login away", passkeysCloseNothing},
		{"I10", "without a passkey no login is offered, and an unknown user is answered alike", unknownUsersLookAlike},
		{"I11", "a client that is not known is answered as one that was never seen", strangersAreNew},
		{"I12", "one more refusal by the user, or one bar more, makes no offer of a creation", refusalsOpenNothing},
		{"I13", "login and creation are not both refused, the one because nothing works here and the other because something exists", noDeadEnd},
		{"I14", "neither the order of events, nor their repetition, nor a deleted one changes an answer", orderMeansNothing},
		{"I15", "a version that is not known takes no offer away, unless what is expected here then has failed here", unknownIsNewEnough},
		{"I16", "a creation is offered on this client, of some kind and without a reason against it; a refusal has no kind", creationsAreWhole},
		{"I17", "every answer can be used, and names its row", answersAreWhole},
		{"I18", "names that no table knows are one and the same", namesAreForgotten},
		{"I19", "when a refusal ends is still to come, and then the same question is not refused for the same reason", refusalsEnd},
	}
}

func namesSomething(t *trial) []asked {
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if v.Allow && len(v.AllowCredentials) == 0 && !v.PreferImmediatelyAvailable {
			return []asked{{t.s.by(strategy), login, no()}}
		}
	}
	return nil
}

func routeLeadsSomewhere(t *trial) []asked {
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if v.Allow && !v.leads(strategy, t.s.source) {
			return []asked{{t.s.by(strategy), login, no()}}
		}
	}
	return nil
}

// leads reports whether one of the passkeys that are named can be reached on the route. Whoever names none lets the client look.
func (v *loginVerdict) leads(strategy rest.CrossDeviceAuthenticationStrategy, source event.Source) bool {
	client := v.basis.Facts.AccountFacts.CDA.Client
	anywhere := strategy == rest.CrossDeviceAuthenticationStrategyMaximize || source == event.OtherDevice
	for _, r := range v.reaches() {
		if len(v.AllowCredentials) > 0 && !v.names(r) {
			continue
		}
		switch v.Route {
		case event.Local:
			if r.Local != "none" {
				return true
			}
		case event.CDA:
			if client && (r.ByPhone == "high" || r.ByPhone == "low" && anywhere) {
				return true
			}
		case event.SecurityKey:
			if r.Availability == detect.SecurityKey {
				return true
			}
		}
	}
	return false
}

func immediateIsLikely(t *trial) []asked {
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if !v.PreferImmediatelyAvailable || v.Route == event.Local && v.basis.Facts.AccountFacts.Credentials.Likely > 0 {
			continue
		}
		return []asked{{t.s.by(strategy), login, []draft.Expected{{Key: "preferImmediatelyAvailable", Value: false}}}}
	}
	return nil
}

func strategiesAreOrdered(t *trial) []asked {
	all := strategies()
	for i := range all[:len(all)-1] {
		if t.login(t.s, all[i]).Allow && !t.login(t.s, all[i+1]).Allow {
			return []asked{{t.s.by(all[i]), login, nil}, {t.s.by(all[i+1]), login, yes()}}
		}
	}
	return nil
}

func barredUsersAreRefused(t *trial) []asked {
	if t.s.unknown {
		return nil
	}
	barred := t.s.happened(event.Event{Type: event.UserLoginBlacklisted, CreatedMs: t.s.recently()})
	for _, strategy := range strategies() {
		if t.login(barred, strategy).Allow {
			return []asked{{barred.by(strategy), login, no()}}
		}
	}
	return nil
}

func barredClientsAreRefused(t *trial) []asked {
	for _, s := range []*situation{t.s, t.s.automated()} {
		if !t.barredHard(s) {
			continue
		}
		if t.login(s, s.strategy).Allow {
			return []asked{{s, login, no()}}
		}
		if t.mediation(s).Allow {
			return []asked{{s, mediation, no()}}
		}
		if t.creation(s).Allow {
			return []asked{{s, creation, no()}}
		}
		forced := s.copied()
		forced.flags.ForcePasskeyAppend = true
		if t.creation(forced).Allow {
			return []asked{{forced, creation, no()}}
		}
	}
	return nil
}

func failuresOpenNothing(t *trial) []asked {
	before := t.login(t.s, t.s.strategy)
	for _, route := range routes() {
		failed := t.s.happened(t.s.ceremony(route, event.LoginError, "")...)
		after := t.login(failed, t.s.strategy)
		if after.Allow && !before.Allow || after.Allow && after.Route == route && before.Route != route {
			return []asked{{t.s, login, nil}, {failed, login, no()}}
		}
	}
	return nil
}

func successesCloseNothing(t *trial) []asked {
	before := t.login(t.s, t.s.strategy)
	if !before.Allow {
		return nil
	}
	for _, r := range before.reaches() {
		worked := t.s.happened(t.s.ceremony(before.routeTo(r), event.LoginCompleted, string(r.Credential))...)
		if before.routeTo(r) != "" && !t.login(worked, t.s.strategy).Allow {
			return []asked{{t.s, login, nil}, {worked, login, yes()}}
		}
	}
	return nil
}

// routeTo returns the route on which a passkey could have worked just now; empty if there is none.
func (v *loginVerdict) routeTo(r detect.Reach) event.Route {
	switch {
	case r.Availability == detect.SecurityKey:
		return event.SecurityKey
	case r.Local != "none":
		return event.Local
	case r.ByPhone != "none" && v.basis.Facts.AccountFacts.CDA.Client:
		return event.CDA
	default:
		return ""
	}
}

func passkeysCloseNothing(t *trial) []asked {
	if t.s.unknown || !t.login(t.s, t.s.strategy).Allow {
		return nil
	}
	more := t.s.copied()
	more.passkeys = append(more.passkeys[:len(more.passkeys):len(more.passkeys)], t.s.more)
	if !t.login(more, t.s.strategy).Allow {
		return []asked{{t.s, login, nil}, {more, login, yes()}}
	}
	return nil
}

func unknownUsersLookAlike(t *trial) []asked {
	bare := t.s.having(nil)
	found := t.login(bare, t.s.strategy)
	if found.Allow {
		return []asked{{bare, login, no()}}
	}
	if t.s.unknown || !found.basis.Facts.Complete || found.basis.Facts.Account != "active" {
		return nil
	}
	unknown := bare.copied()
	unknown.unknown, unknown.log = true, nil
	if answer := t.login(unknown, t.s.strategy); answer.Allow != found.Allow || answer.Tag != found.Tag {
		return []asked{{bare, login, nil}, {unknown, login, found.same()}}
	}
	return nil
}

func strangersAreNew(t *trial) []asked {
	fresh := t.s.copied()
	fresh.handle, fresh.env, fresh.client.PrivateMode = good, never, nil
	first := t.login(fresh, t.s.strategy)
	for _, h := range []handle{absent, forged} {
		stranger := fresh.copied()
		stranger.handle = h
		if v := t.login(stranger, t.s.strategy); v.Allow != first.Allow || v.Tag != first.Tag || v.Route != first.Route {
			return []asked{{fresh, login, nil}, {stranger, login, first.same()}}
		}
	}
	private := fresh.copied()
	private.client.PrivateMode = new(true)
	if v := t.login(private, t.s.strategy); v.Allow != first.Allow || v.Tag != first.Tag || v.Route != first.Route {
		return []asked{{fresh, login, nil}, {private, login, first.same()}}
	}
	return nil
}

func refusalsOpenNothing(t *trial) []asked {
	if t.s.unknown || t.creation(t.s).Allow {
		return nil
	}
	for _, kind := range kinds() {
		declined := t.s.happened(t.s.decline(kind)...)
		if t.creation(declined).Allow {
			return []asked{{t.s, creation, nil}, {declined, creation, no()}}
		}
	}
	for _, bar := range []event.Type{event.AppendBlacklistedAfterHybrid, event.AppendBlacklistedAfterError} {
		barred := t.s.happened(event.Event{Type: bar, CreatedMs: t.s.recently()})
		if t.creation(barred).Allow {
			return []asked{{t.s, creation, nil}, {barred, creation, no()}}
		}
	}
	return nil
}

func noDeadEnd(t *trial) []asked {
	standard := t.s.by(rest.CrossDeviceAuthenticationStrategyStandard)
	if standard.source == event.OtherDevice {
		standard.source = "" // that there is no other device leaves the way of this one
	}
	found := t.login(standard, standard.strategy)
	switch found.Tag {
	case rest.DecisionTagUserNegativeEnvHistory, rest.DecisionTagUserEnvNoPks, rest.DecisionTagUserSecurityKey:
	default:
		return nil
	}
	fresh := standard.copied()
	fresh.process = "another-process"
	if found.Allow || t.creation(fresh).Reason != existsAlready {
		return nil
	}
	return []asked{{standard, login, nil}, {fresh, creation, yes()}}
}

func orderMeansNothing(t *trial) []asked {
	answers := func(s *situation, also ...event.Event) said {
		with := s.copied()
		with.log = append(with.log[:len(with.log):len(with.log)], also...)
		l, c := t.login(with, s.strategy), t.creation(with)
		return said{l.Rule, l.Allow, l.Route, c.Rule, c.Allow, c.Kind}
	}
	as := answers(t.s)
	backwards := t.s.backwards()
	if again := answers(backwards); again != as {
		return []asked{{t.s, differing(as, again), nil}, {backwards, differing(as, again), t.as(differing(as, again))}}
	}
	taken := event.Event{Type: event.LoginError, Process: lately, CreatedMs: t.s.recently()}
	if t.s.known() {
		taken.Environment = t.s.env
	}
	with := t.s.happened(taken)
	deletion := event.Event{
		ID: "deletion", Project: projectID, User: userID, Type: event.Deleted, Deletes: with.log[len(with.log)-1].ID,
		CreatedMs: t.s.now.UnixMilli(),
	}
	if again := answers(with, deletion); again != as {
		with.log = append(with.log, deletion)
		return []asked{{t.s, differing(as, again), nil}, {with, differing(as, again), t.as(differing(as, again))}}
	}
	return nil
}

// said is what was answered to a login and to a creation.
type said struct {
	loginRow      string
	loginAllow    bool
	route         event.Route
	creationRow   string
	creationAllow bool
	kind          event.Kind
}

// differing is the action whose answers differ.
func differing(a, b said) string {
	if a.loginRow != b.loginRow || a.loginAllow != b.loginAllow || a.route != b.route {
		return login
	}
	return creation
}

// as expects the answer that was given.
func (t *trial) as(action string) []draft.Expected {
	if action == login {
		v := t.login(t.s, t.s.strategy)
		return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "rule", Value: v.Rule}}
	}
	v := t.creation(t.s)
	return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "rule", Value: v.Rule}}
}

func unknownIsNewEnough(t *trial) []asked {
	before := t.login(t.s, t.s.strategy)
	if !before.Allow {
		return nil
	}
	forgetful, ok := t.s.forgetful()
	if !ok {
		return nil
	}
	after := t.login(forgetful, t.s.strategy)
	was, is := &before.basis.Found.Client, &after.basis.Found.Client
	if was.OS != is.OS || was.Browser != is.Browser || was.Device != is.Device || is.OSMajor != 0 && is.OSMajor != was.OSMajor {
		return nil // it was more than the version that told
	}
	if after.basis.Facts.Pair.Lost {
		return nil // what may be here with a newer system is known to fail
	}
	if !after.Allow {
		return []asked{{t.s, login, nil}, {forgetful, login, yes()}}
	}
	return nil
}

func creationsAreWhole(t *trial) []asked {
	v := t.creation(t.s)
	switch {
	case !v.Allow && v.Kind != "":
		return []asked{{t.s, creation, []draft.Expected{{Key: "kind", Value: ""}}}}
	case !v.Allow:
		return nil
	case v.Kind == "":
		return []asked{{t.s, creation, no()}}
	case v.Reason != "":
		return []asked{{t.s, creation, no()}}
	case t.s.flags.ForcePasskeyAppend || t.s.entry == "passkey-list" || t.s.entry == "current-user":
		return nil
	case v.Attachment != "platform":
		return []asked{{t.s, creation, []draft.Expected{{Key: "attachment", Value: "platform"}}}}
	case !v.basis.Facts.Support.UVPA:
		return []asked{{t.s, creation, no()}}
	}
	return nil
}

func answersAreWhole(t *trial) []asked {
	row := []draft.Expected{{Key: "rule", Value: ""}} // of the table: what is answered names none
	for _, strategy := range strategies() {
		if v := t.login(t.s, strategy); v.err != nil || !t.rows[login][v.Rule] {
			return []asked{{t.s.by(strategy), login, row}}
		}
	}
	if v := t.creation(t.s); v.err != nil || !t.rows[creation][v.Rule] {
		return []asked{{t.s, creation, row}}
	}
	if v := t.mediation(t.s); v.err != nil || !t.rows[mediation][v.Rule] {
		return []asked{{t.s, mediation, row}}
	}
	return nil
}

func namesAreForgotten(t *trial) []asked {
	one, other := t.s.named("Alpha"), t.s.named("Omega")
	first, second := t.login(one, t.s.strategy), t.login(other, t.s.strategy)
	if string(first.basis.Facts.AppendJSON(nil)) == string(second.basis.Facts.AppendJSON(nil)) {
		return nil
	}
	return []asked{{one, login, nil}, {other, login, []draft.Expected{{Key: "facts", Value: difference(first, second)}}}}
}

func refusalsEnd(t *trial) []asked {
	v := t.login(t.s, t.s.strategy)
	if at := v.NextEligibleAt; !at.IsZero() {
		if !at.After(t.s.now) {
			return []asked{{t.s, login, []draft.Expected{{Key: "nextEligibleAt", Value: ""}}}}
		}
		later := t.s.at(at)
		if again := t.login(later, t.s.strategy); !again.Allow && again.Reason == v.Reason {
			return []asked{{t.s, login, nil}, {later, login, yes()}}
		}
	}
	c := t.creation(t.s)
	if at := c.NextEligibleAt; !at.IsZero() {
		if !at.After(t.s.now) {
			return []asked{{t.s, creation, []draft.Expected{{Key: "nextEligibleAt", Value: ""}}}}
		}
		later := t.s.at(at)
		// What a process has done is forgotten in time: then it is another question.
		if again := t.creation(later); !t.s.underWay() && !again.Allow && again.Reason == c.Reason {
			return []asked{{t.s, creation, nil}, {later, creation, yes()}}
		}
	}
	return nil
}
