package invariant

import (
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/invariant/internal/situation"
)

// claim is one invariant.
type claim struct {
	name   string
	says   string
	broken func(*trial) []asked // the questions whose answers break it; nil if they do not
}

// asked is a question, with what would have to be answered. Without that, what was answered is right, and the next question's answer wrong.
type asked struct {
	s      *situation.Situation
	action string
	expect []draft.Expected
}

// no expects a refusal, yes an offer.
func no() []draft.Expected  { return []draft.Expected{{Key: "allow", Value: false}} }
func yes() []draft.Expected { return []draft.Expected{{Key: "allow", Value: true}} }

// claims are the invariants, in the order of their numbers.
func claims() []claim {
	return []claim{
		{"I1", "a login that is offered names a passkey, or is immediate mediation in a browser, which finds one itself", namesSomething},
		{"I2", "the route of a login leads to a passkey that it names, and keys are only for where they are allowed", routeLeadsSomewhere},
		{"I3", "only a login with a passkey that is expected on this client asks for those at hand alone", immediateIsLikely},
		{"I4", "what minimize offers standard offers, and what standard offers maximize offers", strategiesAreOrdered},
		{"I5", "a user who is barred from passkey logins is offered none", barredUsersAreRefused},
		{"I6", "a client that is barred hard is offered nothing, forced or not", barredClientsAreRefused},
		{"I7", "one failure more on a route makes no offer, nor turns one to that route", failuresOpenNothing},
		{"I8", "one success more takes no offer away", successesCloseNothing},
		{"I9", "one passkey more takes no offer of a login away", passkeysCloseNothing},
		{
			"I10", "without a passkey no login is offered and no creation refused for there being one; an unknown user is answered alike",
			unknownUsersLookAlike,
		},
		{"I11", "a client that is not known is answered as one that was never seen", strangersAreNew},
		{"I12", "one more refusal by the user, or one bar more, makes no offer of a creation", refusalsOpenNothing},
		{"I13", "login and creation are not both refused, the one because nothing works here and the other because something exists", noDeadEnd},
		{"I14", "neither the order of events, nor their repetition, nor a deleted one changes an answer", orderMeansNothing},
		{"I15", "a version that is not known takes no offer away, unless what is looked for here then has failed here", unknownIsNewEnough},
		{"I16", "a creation is offered on this client, of some kind and without a reason against it; a refusal has no kind", creationsAreWhole},
		{"I17", "every answer can be used, names its row, and has a tag of its side: of logins, of creations, or of both", answersAreWhole},
		{"I18", "names that no table knows are one and the same", namesAreForgotten},
		{
			"I19", "a pause has an end, and when a refusal ends is still to come; then the same question is not refused for the same reason",
			refusalsEnd,
		},
	}
}

func namesSomething(t *trial) []asked {
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if v.Allow && len(v.AllowCredentials) == 0 && !t.findsItself(v) {
			return []asked{{t.s.By(strategy), login, no()}}
		}
	}
	return nil
}

func routeLeadsSomewhere(t *trial) []asked {
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if v.Allow && (!v.leads(strategy, t.s.Source) || !t.keysFit(v, strategy)) {
			return []asked{{t.s.By(strategy), login, no()}}
		}
	}
	return nil
}

// findsItself reports whether the client is meant to look for a passkey itself, without a list: immediate mediation in browsers that can do
// it, where it is switched on. Apps need the list, whatever they prefer.
func (t *trial) findsItself(v *loginVerdict) bool {
	f := v.basis.Facts
	return v.PreferImmediatelyAvailable && !f.Client.Native && !f.Client.PrivateMode && f.Support.ImmediateGet &&
		t.parameter("webImmediate") == true
}

// keysFit reports whether security keys are neither routed to nor named against what the bundle says of them.
func (t *trial) keysFit(v *loginVerdict, strategy rest.CrossDeviceAuthenticationStrategy) bool {
	denied := t.parameter("securityKeyLogin") == "deny"
	if v.Route == event.SecurityKey {
		kept := strategy == rest.CrossDeviceAuthenticationStrategyMinimize && !v.basis.Facts.Pair.PositiveSecurityKey
		return !denied && !kept
	}
	return !denied || !slices.ContainsFunc(v.reaches(), func(r detect.Reach) bool {
		return r.Availability == detect.SecurityKey && v.names(r)
	})
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
		return []asked{{t.s.By(strategy), login, []draft.Expected{{Key: "preferImmediatelyAvailable", Value: false}}}}
	}
	return nil
}

func strategiesAreOrdered(t *trial) []asked {
	all := strategies()
	for i := range all[:len(all)-1] {
		if t.login(t.s, all[i]).Allow && !t.login(t.s, all[i+1]).Allow {
			return []asked{{t.s.By(all[i]), login, nil}, {t.s.By(all[i+1]), login, yes()}}
		}
	}
	return nil
}

func barredUsersAreRefused(t *trial) []asked {
	if t.s.Unknown {
		return nil
	}
	barred := t.s.Happened(event.Event{Type: event.UserLoginBlacklisted, CreatedMs: t.s.Recently()})
	if t.login(barred, barred.Strategy).Allow {
		return []asked{{barred, login, no()}}
	}
	return nil
}

func barredClientsAreRefused(t *trial) []asked {
	for _, s := range []*situation.Situation{t.s, t.s.Automated()} {
		mediated := t.mediation(s)
		if !t.barredHard(mediated) {
			continue
		}
		if t.login(s, s.Strategy).Allow {
			return []asked{{s, login, no()}}
		}
		if mediated.Allow {
			return []asked{{s, mediation, no()}}
		}
		if t.creation(s).Allow {
			return []asked{{s, creation, no()}}
		}
		forced := s.Copied()
		forced.Flags.ForcePasskeyAppend = true
		if t.creation(forced).Allow {
			return []asked{{forced, creation, no()}}
		}
	}
	return nil
}

func failuresOpenNothing(t *trial) []asked {
	before := t.login(t.s, t.s.Strategy)
	for _, route := range situation.Routes() {
		failed := t.s.Happened(t.s.Ceremony(route, event.LoginError, "")...)
		after := t.login(failed, t.s.Strategy)
		if after.Allow && !before.Allow || after.Allow && after.Route == route && before.Route != route {
			return []asked{{t.s, login, nil}, {failed, login, no()}}
		}
	}
	return nil
}

func successesCloseNothing(t *trial) []asked {
	before := t.login(t.s, t.s.Strategy)
	if !before.Allow {
		return nil
	}
	for _, r := range before.reaches() {
		worked := t.s.Happened(t.s.Ceremony(before.routeTo(r), event.LoginCompleted, string(r.Credential))...)
		if before.routeTo(r) != "" && !t.login(worked, t.s.Strategy).Allow {
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
	if t.s.Unknown || !t.login(t.s, t.s.Strategy).Allow {
		return nil
	}
	more := t.s.Copied()
	more.Passkeys = append(more.Passkeys[:len(more.Passkeys):len(more.Passkeys)], t.s.More)
	if !t.login(more, t.s.Strategy).Allow {
		return []asked{{t.s, login, nil}, {more, login, yes()}}
	}
	return nil
}

func unknownUsersLookAlike(t *trial) []asked {
	bare := t.s.Having(nil)
	found := t.login(bare, t.s.Strategy)
	if found.Allow {
		return []asked{{bare, login, no()}}
	}
	if t.creation(bare).Reason == existsAlready {
		return []asked{{bare, creation, []draft.Expected{{Key: "reason", Value: ""}}}}
	}
	if t.s.Unknown || !found.basis.Facts.Complete || found.basis.Facts.Account != "active" {
		return nil
	}
	unknown := bare.Copied()
	unknown.Unknown, unknown.Log = true, nil
	if answer := t.login(unknown, t.s.Strategy); answer.Allow != found.Allow || answer.Tag != found.Tag {
		return []asked{{bare, login, nil}, {unknown, login, found.same()}}
	}
	if t.creation(unknown).Allow {
		return []asked{{unknown, creation, no()}}
	}
	return nil
}

func strangersAreNew(t *trial) []asked {
	fresh := t.s.Copied()
	fresh.Handle, fresh.Env, fresh.Client.PrivateMode = situation.Good, situation.Never, nil
	first := t.login(fresh, t.s.Strategy)
	for _, h := range []situation.Handle{situation.Absent, situation.Forged} {
		stranger := fresh.Copied()
		stranger.Handle = h
		if v := t.login(stranger, t.s.Strategy); v.Allow != first.Allow || v.Tag != first.Tag || v.Route != first.Route {
			return []asked{{fresh, login, nil}, {stranger, login, first.same()}}
		}
	}
	private := fresh.Copied()
	private.Client.PrivateMode = new(true)
	if v := t.login(private, t.s.Strategy); v.Allow != first.Allow || v.Tag != first.Tag || v.Route != first.Route {
		return []asked{{fresh, login, nil}, {private, login, first.same()}}
	}
	return nil
}

func refusalsOpenNothing(t *trial) []asked {
	if t.s.Unknown || t.creation(t.s).Allow {
		return nil
	}
	for _, kind := range situation.Kinds() {
		declined := t.s.Happened(t.s.Decline(kind)...)
		if t.creation(declined).Allow {
			return []asked{{t.s, creation, nil}, {declined, creation, no()}}
		}
	}
	for _, bar := range []event.Type{event.AppendBlacklistedAfterHybrid, event.AppendBlacklistedAfterError} {
		barred := t.s.Happened(event.Event{Type: bar, CreatedMs: t.s.Recently()})
		if t.creation(barred).Allow {
			return []asked{{t.s, creation, nil}, {barred, creation, no()}}
		}
	}
	return nil
}

func noDeadEnd(t *trial) []asked {
	standard := t.s.By(rest.CrossDeviceAuthenticationStrategyStandard)
	if standard.Source == event.OtherDevice {
		standard.Source = "" // that there is no other device leaves the way of this one
	}
	found := t.login(standard, standard.Strategy)
	switch found.Tag {
	case rest.DecisionTagUserNegativeEnvHistory, rest.DecisionTagUserEnvNoPks, rest.DecisionTagUserSecurityKey:
	default:
		return nil
	}
	fresh := standard.Copied()
	fresh.Process = "another-process"
	if found.Allow || t.creation(fresh).Reason != existsAlready {
		return nil
	}
	return []asked{{standard, login, nil}, {fresh, creation, yes()}}
}

// orderMeansNothing asks nothing of other accounts: a policy is given the events of one.
func orderMeansNothing(t *trial) []asked {
	answers := func(s *situation.Situation) said {
		l, c := t.login(s, s.Strategy), t.creation(s)
		return said{l.Rule, l.Allow, l.Route, c.Rule, c.Allow, c.Kind}
	}
	as := answers(t.s)
	backwards := t.s.Backwards()
	if again := answers(backwards); again != as {
		return []asked{{t.s, differing(as, again), nil}, {backwards, differing(as, again), t.as(differing(as, again))}}
	}
	taken := event.Event{Type: event.LoginError, Process: situation.Lately, CreatedMs: t.s.Recently()}
	if t.s.Known() {
		taken.Environment = t.s.Env
	}
	with := t.s.Happened(taken)
	deletion := event.Event{
		ID: "deletion", Project: situation.Project, User: situation.User, Type: event.Deleted, Deletes: with.Log[len(with.Log)-1].ID,
		CreatedMs: t.s.Now.UnixMilli(),
	}
	with.Log = append(with.Log, deletion)
	if again := answers(with); again != as {
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
		v := t.login(t.s, t.s.Strategy)
		return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "rule", Value: v.Rule}}
	}
	v := t.creation(t.s)
	return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "rule", Value: v.Rule}}
}

func unknownIsNewEnough(t *trial) []asked {
	before := t.login(t.s, t.s.Strategy)
	if !before.Allow {
		return nil
	}
	forgetful, ok := t.s.Forgetful()
	if !ok {
		return nil
	}
	after := t.login(forgetful, t.s.Strategy)
	was, is := &before.basis.Found.Client, &after.basis.Found.Client
	if was.OS != is.OS || was.Browser != is.Browser || was.Device != is.Device || is.OSMajor != 0 && is.OSMajor != was.OSMajor {
		return nil // it was more than the version that told
	}
	if after.Tag == rest.DecisionTagUserNegativeEnvHistory && before.Route != event.Local && after.basis.Facts.Pair.Lost {
		return nil // what was looked for elsewhere is expected here with a newer system, where it is known to fail
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
	case t.s.Flags.ForcePasskeyAppend || t.s.Entry == "passkey-list" || t.s.Entry == "current-user":
		return nil
	case v.Attachment != "platform":
		return []asked{{t.s, creation, []draft.Expected{{Key: "attachment", Value: "platform"}}}}
	case !v.basis.Facts.Support.UVPA:
		return []asked{{t.s, creation, no()}}
	}
	return nil
}

func answersAreWhole(t *trial) []asked {
	row := []draft.Expected{{Key: "rule", Value: ""}}                                 // of the table: what is answered names none
	tag := []draft.Expected{{Key: "tag", Value: string(rest.DecisionTagDefaultDeny)}} // or any other that such answers have
	for _, strategy := range strategies() {
		v := t.login(t.s, strategy)
		if v.err != nil || !t.rows[login][v.Rule] {
			return []asked{{t.s.By(strategy), login, row}}
		}
		if onlyOfCreations(v.Tag) {
			return []asked{{t.s.By(strategy), login, tag}}
		}
	}
	v := t.creation(t.s)
	if v.err != nil || !t.rows[creation][v.Rule] {
		return []asked{{t.s, creation, row}}
	}
	if onlyOfLogins(v.Tag) {
		return []asked{{t.s, creation, tag}}
	}
	if v := t.mediation(t.s); v.err != nil || !t.rows[mediation][v.Rule] {
		return []asked{{t.s, mediation, row}}
	}
	return nil
}

// onlyOfLogins reports whether a tag means nothing in the answer to a creation.
func onlyOfLogins(tag rest.DecisionTag) bool {
	switch tag {
	case rest.DecisionTagUserNoPks, rest.DecisionTagUserLoginBlacklisted, rest.DecisionTagUserSecurityKey,
		rest.DecisionTagUserNegativeEnvHistory, rest.DecisionTagUserPlatformPkHighConfidence,
		rest.DecisionTagUserCrossPlatformPkHighConfidence, rest.DecisionTagUserEnvNoPks:
		return true
	default:
		return false
	}
}

// onlyOfCreations reports whether a tag means nothing in the answer to a login.
func onlyOfCreations(tag rest.DecisionTag) bool {
	switch tag {
	case rest.DecisionTagPasskeyListInitiatedProcess, rest.DecisionTagUserAppendBlacklisted,
		rest.DecisionTagDeviceLocalPlatformPasskeyExperiment, rest.DecisionTagProcessPkLoginSkCompleted,
		rest.DecisionTagProcessPkLoginPlatformCompleted, rest.DecisionTagProcessPkLoginCrossPlatformCompleted,
		rest.DecisionTagProcessPkLoginNotOffered, rest.DecisionTagProcessPkLoginIncomplete, rest.DecisionTagProcessPkLoginAborted:
		return true
	default:
		return false
	}
}

func namesAreForgotten(t *trial) []asked {
	one, other := t.s.Named("Alpha"), t.s.Named("Omega")
	first, second := t.login(one, t.s.Strategy), t.login(other, t.s.Strategy)
	if lost := difference(first.basis.Facts, second.basis.Facts); lost != nil {
		return []asked{{one, login, nil}, {other, login, []draft.Expected{{Key: "facts", Value: lost}}}}
	}
	if lost := difference(t.creation(one).basis.Facts, t.creation(other).basis.Facts); lost != nil {
		return []asked{{one, creation, nil}, {other, creation, []draft.Expected{{Key: "facts", Value: lost}}}}
	}
	return nil
}

func refusalsEnd(t *trial) []asked {
	v := t.login(t.s, t.s.Strategy)
	if at := v.NextEligibleAt; !at.IsZero() {
		if !at.After(t.s.Now) {
			return []asked{{t.s, login, []draft.Expected{{Key: "nextEligibleAt", Value: ""}}}}
		}
		later := t.s.At(at)
		if again := t.login(later, t.s.Strategy); !again.Allow && again.Reason == v.Reason {
			return []asked{{t.s, login, nil}, {later, login, yes()}}
		}
	}
	return t.pauseEnds()
}

// pauseEnds holds to creations what is so of logins, and that whatever pauses has an end.
func (t *trial) pauseEnds() []asked {
	c := t.creation(t.s)
	at := c.NextEligibleAt
	switch {
	case at.IsZero() && pauses(c):
		return []asked{{t.s, creation, yes()}}
	case at.IsZero():
		return nil
	case !at.After(t.s.Now):
		return []asked{{t.s, creation, []draft.Expected{{Key: "nextEligibleAt", Value: ""}}}}
	}
	later, still := t.s.Later(at), t.s.At(at)
	again := t.creation(later)
	if again.Allow || again.Reason != c.Reason || again.basis.Facts.Pair != t.creation(still).basis.Facts.Pair {
		return nil // what fails in a later login may speak longer against this client: then it is another question
	}
	return []asked{{t.s, creation, nil}, {later, creation, yes()}}
}

// pauses reports whether a creation is refused for a time.
func pauses(c *creationVerdict) bool {
	return !c.Allow && slices.Contains([]string{"cooldown", "spacing", "budget"}, c.Reason)
}
