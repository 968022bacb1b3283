package facts

import (
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/services/decision/internal/backedup"
	"github.com/keyward/keyward/services/decision/internal/ladder"
)

// Stage is where a ceremony stands when it is judged.
type Stage string

// The stages.
const (
	MediationStart Stage = "mediation-start"
	LoginStart     Stage = "login-start"
	AppendStart    Stage = "append-start"
	LoginFinish    Stage = "login-finish"  // the answer was verified, and nothing has been made of it; of a mediation, too
	AppendFinish   Stage = "append-finish" // the same
	Evaluate       Stage = "evaluate"      // of no ceremony: the caller asks about something of its own
)

// What is to be done, as facts name it; beside what a bundle's data.keyward.actions has names for.
const (
	PasskeyLogin  = "passkey-login"
	PasskeyAppend = "passkey-append"
)

// RiskFacts are what tells a request of the account's user from one of somebody else.
type RiskFacts struct {
	Stage        Stage     `json:"stage"`
	Action       string    `json:"action"`
	Project      Project   `json:"project"`
	Request      Request   `json:"request"`
	Familiar     *Familiar `json:"familiar,omitempty"` // this, Travel and User: nil of mediation
	Travel       *Travel   `json:"travel,omitempty"`   // nil in records of before, too
	User         *User     `json:"user,omitempty"`
	Used         *Used     `json:"used,omitempty"`         // of LoginFinish alone
	Created      *Created  `json:"created,omitempty"`      // of AppendFinish alone
	Velocity     *Velocity `json:"velocity,omitempty"`     // nil = no rule reads a counter, or it was recorded before there were any
	Context      Context   `json:"context,omitempty"`      // of the caller; this and the next: in records of before of Evaluate alone
	ContextGiven *bool     `json:"contextGiven,omitempty"` // the caller sent one
}

// Project is which one is asked for.
type Project struct {
	ID string `json:"id"`
}

// Request is where and when a request comes from. Records of before have none of what follows the bot.
type Request struct {
	Family     string `json:"family"` // ipv4, ipv6, none
	Scope      string `json:"scope"`  // public, private, shared, special, none
	HourUTC    int    `json:"hourUTC"`
	WeekdayUTC int    `json:"weekdayUTC"` // 1 = Monday
	Bot        string `json:"bot"`        // none, declared, tool, headless, automation
	*Told
	Network *string `json:"network,omitempty"` // in which the address is; nil = no rule reads it; empty = not known
	*Located
	// Of every list that the bundle declares whether the request is in it, but for those whose file has never been read
	Lists Labels `json:"lists,omitempty"`
}

// Told is what a client tells of itself, and by what clock.
type Told struct {
	Hour           int            `json:"hour"` // where the parameter timeZone says
	Weekday        int            `json:"weekday"`
	Source         Source         `json:"source"`
	Agent          Agent          `json:"agent"`
	Contradictions Contradictions `json:"contradictions"`
}

// Located is where the address of a request is. Records of before have none of it.
type Located struct {
	Country string `json:"country"` // ISO 3166-1; empty = not known
	ASN     int    `json:"asn"`     // of the autonomous system that it is in; 0 = not known
}

// Source says who tells what a client is.
type Source string

// The sources.
const (
	FromBackend  Source = "backend"
	FromFrontend Source = "frontend"
)

// Agent says whether what a client sent agrees with itself.
type Agent string

// The values of Agent. Unknown is what there is nothing to compare of.
const (
	AgentConsistent    Agent = "consistent"
	AgentContradicting Agent = "contradicting"
	AgentUnknown       Agent = "unknown"
)

// Contradictions are where a user agent says something else than the rest of what the client sent.
type Contradictions struct {
	OSHint        bool `json:"osHint"`
	MobileHint    bool `json:"mobileHint"`
	BrowserHint   bool `json:"browserHint"`   // there are hints, and the browser has none
	FrozenVersion bool `json:"frozenVersion"` // of a system, where the browser writes one and the same
	Capability    bool `json:"capability"`    // the browser cannot do what it says that it can
	Touch         bool `json:"touch"`         // a phone or tablet says that it has no touch screen; false in records of before
}

// Familiarity says whether the account has succeeded with something before.
type Familiarity string

// The values of Familiarity. Unknown is what is not told, or has nothing to be compared with: a first login is never new.
const (
	FamiliarSeen    Familiarity = "seen"
	FamiliarNew     Familiarity = "new"
	FamiliarUnknown Familiarity = "unknown"
)

// Familiar is what the account has succeeded with before.
type Familiar struct {
	Environment Familiarity `json:"environment"`
	Network     Familiarity `json:"network"`
	Country     Familiarity `json:"country,omitempty"` // this and the next: empty in records of before
	ASN         Familiarity `json:"asn,omitempty"`
	Successes   int         `json:"successes"` // how much that rests on: 0 1 2 3 5 10 20 50, rounded down
}

// Travel is how fast the account's user has come from where the newest success was whose place is known. All is rounded down to a step.
type Travel struct {
	Located        bool `json:"located"` // both places are known; if not, the rest says nothing
	DistanceKm     int  `json:"distanceKm"`
	Hours          int  `json:"hours"` // since then; see ladder.Hours
	Kmh            int  `json:"kmh"`
	CountryChanged bool `json:"countryChanged"`
}

// User is what is known of the account beside its passkeys. Hours are rounded down to a step: see ladder.Hours.
type User struct {
	Status              Status  `json:"status"`
	AgeHours            int     `json:"ageHours"`
	Passkeys            int     `json:"passkeys"`
	PasskeyAddedHours   int     `json:"passkeyAddedHours"`
	PasskeyRemovedHours int     `json:"passkeyRemovedHours"`
	Labels              Labels  `json:"labels,omitempty"` // every one that the bundle declares; none = it declares none
	Alerts              *Alerts `json:"alerts,omitempty"` // nil in records of before
}

// Alerts are how many hours ago something spoke against whoever used a passkey of the account; see ladder.Hours.
type Alerts struct {
	CounterRegressedHours    int  `json:"counterRegressedHours"`
	BackupEligibilityHours   int  `json:"backupEligibilityHours"`
	AuthenticatorStatusHours *int `json:"authenticatorStatusHours,omitempty"` // nil in records of before
	FraudConfirmedHours      *int `json:"fraudConfirmedHours,omitempty"`      // since somebody told of it; nil in records of before
}

// Backup says whether a passkey can leave its device.
type Backup string

// The values of Backup.
const (
	DeviceBound Backup = "device-bound"
	Eligible    Backup = "eligible"
	BackedUp    Backup = "backed-up"
)

// Item is a passkey that a ceremony was finished with.
type Item struct {
	AAGUID   string `json:"aaguid"` // in lower case
	Class    Class  `json:"class"`
	AgeHours int    `json:"ageHours"` // since it was created; see ladder.Hours
	Backup   Backup `json:"backup"`
	UV       bool   `json:"uv"` // its user was verified
	// 1 = without that, 2 = with it, 3 = of a device that its maker vouches for besides, and that nothing is said against
	AAL int `json:"aal"`
	*Attested
}

// Attested is what an authenticator said of itself when it made a passkey, and what has become of its model. Records of before have none.
type Attested struct {
	By     account.Trust   `json:"attested"`
	Status metadata.Status `json:"status"`
	Level  int             `json:"level"` // of FIDO's certification
}

// Used is the passkey of a login that was verified.
type Used struct {
	Item
	UsedHours     int             `json:"usedHours"` // since the login before
	Route         event.Route     `json:"route"`
	Counter       Counter         `json:"counter"`
	BackupChanged backedup.Change `json:"backupChanged"`
	Availability  string          `json:"availability,omitempty"` // by what was known before; empty = not known, or in records of before
}

// Counter says what a signature counter tells, as callers name it: none, ok, regressed, reset.
type Counter string

// Created is the passkey of a creation that was verified.
type Created struct {
	Item
	Conditional bool   `json:"conditional"`      // without a prompt
	Format      string `json:"format,omitempty"` // of its attestation, none if there is none; empty in records of before
}

func ofRisk(f *Facts) bool { return f.RiskFacts != nil }

func told(f *Facts) bool { return f.Request.Told != nil }

func located(f *Facts) bool { return f.Request.Located != nil }

func ofUser(f *Facts) bool { return ofRisk(f) && f.User != nil }

// riskMembers are the members of RiskFacts.
func riskMembers() []member {
	return []member{
		word("stage", func(f *Facts) Stage { return f.Stage }).when(ofRisk),
		word("action", func(f *Facts) string { return f.Action }).when(ofRisk),
		group("project", word("id", func(f *Facts) string { return f.Project.ID })).when(ofRisk),
		group("request",
			word("family", func(f *Facts) string { return f.Request.Family }),
			word("scope", func(f *Facts) string { return f.Request.Scope }),
			count("hourUTC", func(f *Facts) int { return f.Request.HourUTC }),
			count("weekdayUTC", func(f *Facts) int { return f.Request.WeekdayUTC }),
			word("bot", func(f *Facts) string { return f.Request.Bot }),
			count("hour", func(f *Facts) int { return f.Request.Hour }).when(told),
			count("weekday", func(f *Facts) int { return f.Request.Weekday }).when(told),
			word("source", func(f *Facts) Source { return f.Request.Source }).when(told),
			word("agent", func(f *Facts) Agent { return f.Request.Agent }).when(told),
			group("contradictions",
				flag("osHint", func(f *Facts) bool { return f.Request.Contradictions.OSHint }),
				flag("mobileHint", func(f *Facts) bool { return f.Request.Contradictions.MobileHint }),
				flag("browserHint", func(f *Facts) bool { return f.Request.Contradictions.BrowserHint }),
				flag("frozenVersion", func(f *Facts) bool { return f.Request.Contradictions.FrozenVersion }),
				flag("capability", func(f *Facts) bool { return f.Request.Contradictions.Capability }),
				flag("touch", func(f *Facts) bool { return f.Request.Contradictions.Touch }),
			).when(told),
			word("network", func(f *Facts) string { return *f.Request.Network }).when(func(f *Facts) bool { return f.Request.Network != nil }),
			word("country", func(f *Facts) string { return f.Request.Country }).when(located),
			count("asn", func(f *Facts) int { return f.Request.ASN }).when(located),
			flags("lists", func(f *Facts) Labels { return f.Request.Lists }).when(func(f *Facts) bool { return len(f.Request.Lists) > 0 }),
		).when(ofRisk),
		group("familiar",
			word("environment", func(f *Facts) Familiarity { return f.Familiar.Environment }),
			word("network", func(f *Facts) Familiarity { return f.Familiar.Network }),
			word("country", func(f *Facts) Familiarity { return f.Familiar.Country }).
				when(func(f *Facts) bool { return f.Familiar.Country != "" }),
			word("asn", func(f *Facts) Familiarity { return f.Familiar.ASN }).when(func(f *Facts) bool { return f.Familiar.ASN != "" }),
			count("successes", func(f *Facts) int { return f.Familiar.Successes }).in(ladder.Counts()...),
		).when(func(f *Facts) bool { return ofRisk(f) && f.Familiar != nil }),
		group("travel",
			flag("located", func(f *Facts) bool { return f.Travel.Located }),
			count("distanceKm", func(f *Facts) int { return f.Travel.DistanceKm }).in(ladder.Distances()...),
			count("hours", func(f *Facts) int { return f.Travel.Hours }).in(ladder.Ages()...),
			count("kmh", func(f *Facts) int { return f.Travel.Kmh }).in(ladder.Speeds()...),
			flag("countryChanged", func(f *Facts) bool { return f.Travel.CountryChanged }),
		).when(func(f *Facts) bool { return ofRisk(f) && f.Travel != nil }),
		group("user",
			word("status", func(f *Facts) Status { return f.User.Status }),
			count("ageHours", func(f *Facts) int { return f.User.AgeHours }).in(ladder.Ages()...),
			count("passkeys", func(f *Facts) int { return f.User.Passkeys }),
			count("passkeyAddedHours", func(f *Facts) int { return f.User.PasskeyAddedHours }).in(ladder.Ages()...),
			count("passkeyRemovedHours", func(f *Facts) int { return f.User.PasskeyRemovedHours }).in(ladder.Ages()...),
			flags("labels", func(f *Facts) Labels { return f.User.Labels }).when(func(f *Facts) bool { return len(f.User.Labels) > 0 }),
			group("alerts",
				count("counterRegressedHours", func(f *Facts) int { return f.User.Alerts.CounterRegressedHours }).in(ladder.Ages()...),
				count("backupEligibilityHours", func(f *Facts) int { return f.User.Alerts.BackupEligibilityHours }).in(ladder.Ages()...),
				count("authenticatorStatusHours", func(f *Facts) int { return *f.User.Alerts.AuthenticatorStatusHours }).in(ladder.Ages()...).
					when(func(f *Facts) bool { return f.User.Alerts.AuthenticatorStatusHours != nil }),
				count("fraudConfirmedHours", func(f *Facts) int { return *f.User.Alerts.FraudConfirmedHours }).in(ladder.Ages()...).
					when(func(f *Facts) bool { return f.User.Alerts.FraudConfirmedHours != nil }),
			).when(func(f *Facts) bool { return f.User.Alerts != nil }),
		).when(ofUser),
		group("used", append(
			itemMembers(func(f *Facts) *Item { return &f.Used.Item }),
			count("usedHours", func(f *Facts) int { return f.Used.UsedHours }).in(ladder.Ages()...),
			word("route", func(f *Facts) event.Route { return f.Used.Route }),
			word("counter", func(f *Facts) Counter { return f.Used.Counter }),
			word("backupChanged", func(f *Facts) backedup.Change { return f.Used.BackupChanged }),
			word("availability", func(f *Facts) string { return f.Used.Availability }).
				when(func(f *Facts) bool { return f.Used.Availability != "" }),
		)...).when(func(f *Facts) bool { return ofRisk(f) && f.Used != nil }),
		group("created", append(
			itemMembers(func(f *Facts) *Item { return &f.Created.Item }),
			flag("conditional", func(f *Facts) bool { return f.Created.Conditional }),
			word("format", func(f *Facts) string { return f.Created.Format }).when(func(f *Facts) bool { return f.Created.Format != "" }),
		)...).when(func(f *Facts) bool { return ofRisk(f) && f.Created != nil }),
		named(member{name: "velocity", kind: tallies, tallies: func(f *Facts) *Velocity { return f.Velocity }}).
			when(func(f *Facts) bool { return ofRisk(f) && f.Velocity != nil }),
		named(member{name: "context", kind: added, added: func(f *Facts) Context { return f.Context }}).
			when(func(f *Facts) bool { return ofRisk(f) && len(f.Context) > 0 }),
		flag("contextGiven", func(f *Facts) bool { return *f.ContextGiven }).
			when(func(f *Facts) bool { return ofRisk(f) && f.ContextGiven != nil }),
	}
}

func itemMembers(of func(*Facts) *Item) []member {
	said := func(f *Facts) bool { return of(f).Attested != nil }
	return []member{
		word("aaguid", func(f *Facts) string { return of(f).AAGUID }),
		word("class", func(f *Facts) Class { return of(f).Class }),
		count("ageHours", func(f *Facts) int { return of(f).AgeHours }).in(ladder.Ages()...),
		word("backup", func(f *Facts) Backup { return of(f).Backup }),
		flag("uv", func(f *Facts) bool { return of(f).UV }),
		count("aal", func(f *Facts) int { return of(f).AAL }),
		word("attested", func(f *Facts) account.Trust { return of(f).By }).when(said),
		word("status", func(f *Facts) metadata.Status { return of(f).Status }).when(said),
		count("level", func(f *Facts) int { return of(f).Level }).when(said),
	}
}
