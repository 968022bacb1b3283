package facts

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/ladder"
)

// kind is what a member of the facts holds.
type kind uint8

const (
	object kind = iota
	boolean
	integer
	text
	items   // passkeys
	arms    // an object whose keys are the bundle's own
	names   // the same, of what holds or not
	tallies // the same, of numbers, and whether they are complete
	added   // the same, of whatever values the bundle lets callers add
)

// member is one named value of the facts. The table of all members is what the input of policies, the JSON of records and the keys of
// memoised answers are made from, without reflection; tests hold it against encoding/json and the bundle's schemas.
type member struct {
	name    string
	kind    kind
	present func(*Facts) bool // nil = always

	boolean func(*Facts) bool
	integer func(*Facts) int
	text    func(*Facts) string
	arms    func(*Facts) Assignments
	names   func(*Facts) Labels
	items   func(*Facts) Passkeys
	tallies func(*Facts) *Velocity
	added   func(*Facts) Context
	members []member
	steps   []int // of an integer that is rounded down to one of them; nil = it is not

	key    *ast.Term // of the name
	quoted string    // the name as JSON has it, with the colon
}

func flag(name string, get func(*Facts) bool) member {
	return named(member{name: name, kind: boolean, boolean: get})
}

func count(name string, get func(*Facts) int) member {
	return named(member{name: name, kind: integer, integer: get})
}

func word[T ~string](name string, get func(*Facts) T) member {
	return named(member{name: name, kind: text, text: func(f *Facts) string { return string(get(f)) }})
}

func flags(name string, get func(*Facts) Labels) member {
	return named(member{name: name, kind: names, names: get})
}

func list(name string, get func(*Facts) Passkeys) member {
	return named(member{name: name, kind: items, items: get})
}

func group(name string, members ...member) member {
	return named(member{name: name, kind: object, members: members})
}

func (m member) when(present func(*Facts) bool) member {
	m.present = present
	return m
}

func (m member) in(steps ...int) member {
	m.steps = steps
	return m
}

func named(m member) member {
	m.key, m.quoted = ast.StringTerm(m.name), `"`+m.name+`":`
	return m
}

func nudge(name string, get func(*Facts) Nudge) member {
	return group(
		name,
		count("declines", func(f *Facts) int { return get(f).Declines }),
		flag("cooldown", func(f *Facts) bool { return get(f).Cooldown }),
	)
}

func ofAccount(f *Facts) bool { return f.AccountFacts != nil }

// root is the facts as a whole, in the order of their JSON form. It is never changed.
var root = group("input", append([]member{
	flag("complete", func(f *Facts) bool { return f.Complete }),
	word("account", func(f *Facts) Status { return f.Account }).when(func(f *Facts) bool { return f.Account != "" }),
	word("strategy", func(f *Facts) string { return f.Strategy }).when(func(f *Facts) bool { return f.Strategy != "" }),
	word("source", func(f *Facts) event.Source { return f.Source }).when(func(f *Facts) bool { return f.Source != "" }),
	group(
		"client",
		word("os", func(f *Facts) string { return f.Client.OS }),
		count("osVersion", func(f *Facts) int { return f.Client.OSVersion }),
		word("browser", func(f *Facts) string { return f.Client.Browser }),
		flag("native", func(f *Facts) bool { return f.Client.Native }),
		flag("mobile", func(f *Facts) bool { return f.Client.Mobile }),
		flag("desktop", func(f *Facts) bool { return f.Client.Desktop }),
		flag("privateMode", func(f *Facts) bool { return f.Client.PrivateMode }),
		flag("webdriver", func(f *Facts) bool { return f.Client.Webdriver }),
		word("device", func(f *Facts) Device { return f.Client.Device }),
		flag("embedded", func(f *Facts) bool { return f.Client.Embedded }),
		word("inApp", func(f *Facts) string { return f.Client.InApp }),
	),
	group(
		"support",
		flag("webauthn", func(f *Facts) bool { return f.Support.WebAuthn }),
		flag("uvpa", func(f *Facts) bool { return f.Support.UVPA }),
		word("ble", func(f *Facts) string { return f.Support.BLE }),
		flag("conditionalGet", func(f *Facts) bool { return f.Support.ConditionalGet }),
		flag("conditionalCreate", func(f *Facts) bool { return f.Support.ConditionalCreate }),
		word("hybrid", func(f *Facts) string { return f.Support.Hybrid }),
		flag("immediateGet", func(f *Facts) bool { return f.Support.ImmediateGet }),
	),
	group(
		"environment",
		flag("known", func(f *Facts) bool { return f.Environment.Known }),
		flag("rejected", func(f *Facts) bool { return f.Environment.Rejected }),
		word("listed", func(f *Facts) Listing { return f.Environment.Listed }),
		count("ageHours", func(f *Facts) int { return *f.Environment.AgeHours }).in(ladder.Ages()...).
			when(func(f *Facts) bool { return f.Environment.AgeHours != nil }),
		count("users", func(f *Facts) int { return *f.Environment.Users }).when(func(f *Facts) bool { return f.Environment.Users != nil }),
	),
	group(
		"credentials",
		count("total", func(f *Facts) int { return f.Credentials.Total }),
		count("likely", func(f *Facts) int { return f.Credentials.Likely }),
		count("uncertain", func(f *Facts) int { return f.Credentials.Uncertain }),
		count("remote", func(f *Facts) int { return f.Credentials.Remote }),
		count("securityKey", func(f *Facts) int { return f.Credentials.SecurityKey }),
		list("items", func(f *Facts) Passkeys { return f.Credentials.Items }).
			when(func(f *Facts) bool { return len(f.Credentials.Items) > 0 }),
	).when(ofAccount),
	group(
		"cda",
		flag("client", func(f *Facts) bool { return f.CDA.Client }),
		flag("remoteHigh", func(f *Facts) bool { return f.CDA.RemoteHigh }),
		flag("remoteLow", func(f *Facts) bool { return f.CDA.RemoteLow }),
		flag("route", func(f *Facts) bool { return f.CDA.Route }),
	).when(ofAccount),
	flag("securityKeyOnly", func(f *Facts) bool { return f.SecurityKeyOnly }).when(ofAccount),
	group(
		"pair",
		count("localStreak", func(f *Facts) int { return f.Pair.LocalStreak }),
		count("cdaStreak", func(f *Facts) int { return f.Pair.CDAStreak }),
		count("securityKeyStreak", func(f *Facts) int { return f.Pair.SecurityKeyStreak }),
		flag("noCredentials", func(f *Facts) bool { return f.Pair.NoCredentials }),
		word("lastFailedRoute", func(f *Facts) event.Route { return f.Pair.LastFailedRoute }),
		flag("positive", func(f *Facts) bool { return f.Pair.Positive }),
		word("lastRoute", func(f *Facts) event.Route { return f.Pair.LastRoute }),
		flag("positiveSecurityKey", func(f *Facts) bool { return f.Pair.PositiveSecurityKey }),
		flag("existsHere", func(f *Facts) bool { return f.Pair.ExistsHere }),
		flag("createdHere", func(f *Facts) bool { return f.Pair.CreatedHere }),
		flag("lost", func(f *Facts) bool { return f.Pair.Lost }),
		flag("evidenceHere", func(f *Facts) bool { return f.Pair.EvidenceHere }),
		word("firstWin", func(f *Facts) event.Route { return f.Pair.FirstWin }),
		word("secondWin", func(f *Facts) event.Route { return f.Pair.SecondWin }),
		word("thirdWin", func(f *Facts) event.Route { return f.Pair.ThirdWin }),
	).when(ofAccount),
	group(
		"blacklist",
		flag("login", func(f *Facts) bool { return f.Blacklist.Login }),
		flag("appendAfterHybrid", func(f *Facts) bool { return f.Blacklist.AppendAfterHybrid }),
		flag("appendAfterError", func(f *Facts) bool { return f.Blacklist.AppendAfterError }),
	).when(ofAccount),
	group(
		"doubts",
		count("wrongCodes", func(f *Facts) int { return f.Doubts.WrongCodes }),
		count("countersRegressed", func(f *Facts) int { return f.Doubts.CountersRegressed }),
		count("backupsChanged", func(f *Facts) int { return f.Doubts.BackupsChanged }),
	).when(ofAccount),
	named(member{name: "experiments", kind: arms, arms: func(f *Facts) Assignments { return f.Experiments }}).when(ofAccount),
	group(
		"flags",
		flag("force", func(f *Facts) bool { return f.Flags.Force }),
		flag("auto", func(f *Facts) bool { return f.Flags.Auto }),
		flag("conditionalCreate", func(f *Facts) bool { return f.Flags.ConditionalCreate }),
		word("inApp", func(f *Facts) string { return f.Flags.InApp }),
		flag("shownLately", func(f *Facts) bool { return f.Flags.ShownLately }),
		flag("optOutAfterHybrid", func(f *Facts) bool { return f.Flags.OptOutAfterHybrid }),
		word("loginMethod", func(f *Facts) string { return f.Flags.LoginMethod }),
	).when(func(f *Facts) bool { return f.Flags != nil }),
	word("situation", func(f *Facts) string { return *f.Situation }).when(func(f *Facts) bool { return f.Situation != nil }),
	group(
		"process",
		word("outcome", func(f *Facts) history.Outcome { return f.Process.Outcome }),
		count("failedLocal", func(f *Facts) int { return f.Process.FailedLocal }),
		flag("missingEvidence", func(f *Facts) bool { return f.Process.MissingEvidence }),
		word("credentialClass", func(f *Facts) Class { return f.Process.CredentialClass }),
	).when(func(f *Facts) bool { return f.Process != nil }),
	group(
		"nudges",
		nudge("default", func(f *Facts) Nudge { return f.Nudges.Default }),
		nudge("afterError", func(f *Facts) Nudge { return f.Nudges.AfterError }),
		nudge("afterHybrid", func(f *Facts) Nudge { return f.Nudges.AfterHybrid }),
		nudge("auto", func(f *Facts) Nudge { return f.Nudges.Auto }),
		group("conditionalCreate", flag("cooldown", func(f *Facts) bool { return f.Nudges.ConditionalCreate.Cooldown })),
		flag("spaced", func(f *Facts) bool { return f.Nudges.Spaced }),
		flag("spent", func(f *Facts) bool { return f.Nudges.Spent }),
	).when(func(f *Facts) bool { return f.Nudges != nil }),
	group(
		"rollout",
		word("action", func(f *Facts) string { return f.Rollout.Action }),
		word("identifier", func(f *Facts) Membership { return f.Rollout.Identifier }),
		word("invitation", func(f *Facts) string { return f.Rollout.Invitation }),
		count("browserVersion", func(f *Facts) int { return f.Rollout.BrowserVersion }),
		named(member{name: "samples", kind: arms, arms: func(f *Facts) Assignments { return f.Rollout.Samples }}),
		named(member{name: "flags", kind: arms, arms: func(f *Facts) Assignments { return f.Rollout.Flags }}),
	).when(func(f *Facts) bool { return f.Rollout != nil }),
}, riskMembers()...)...)
