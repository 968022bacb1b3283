package detect

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
)

// Status is the status of an account as facts name it: the wire's, or unknown for a user that does not exist.
type Status string

// StatusUnknown is the status of a user that does not exist.
const StatusUnknown Status = "unknown"

// Input is everything that facts are made of. Detection does not look anything up.
type Input struct {
	Question service.Question
	Complete bool // every lookup succeeded
	History  history.History
	Now      time.Time
	Strategy rest.CrossDeviceAuthenticationStrategy // of a login; empty otherwise
}

// Facts are what a policy is asked about. Value and the JSON form are the same document, described by the bundle's schemas. Nothing in it is a date, an
// identifier or free text of a user, so equal situations have equal facts.
type Facts struct {
	Complete      bool        `json:"complete"`
	Account       Status      `json:"account,omitempty"` // empty only of mediation and rollout
	Strategy      string      `json:"strategy,omitempty"`
	Client        ClientFacts `json:"client"`
	Support       Support     `json:"support"`
	Environment   Environment `json:"environment"`
	*AccountFacts             // nil only of mediation and rollout
	Flags         *Flags      `json:"flags,omitempty"` // this and what follows down to Nudges: of append only
	Situation     *string     `json:"situation,omitempty"`
	Process       *Process    `json:"process,omitempty"`
	Nudges        *Nudges     `json:"nudges,omitempty"`

	Rollout *RolloutFacts `json:"rollout,omitempty"` // of rollout only
}

// AccountFacts are what is known of the account and its history.
type AccountFacts struct {
	Credentials     Counts      `json:"credentials"`
	CDA             CDA         `json:"cda"`
	SecurityKeyOnly bool        `json:"securityKeyOnly"`
	Pair            Pair        `json:"pair"`
	Blacklist       Blacklist   `json:"blacklist"`
	Experiments     Assignments `json:"experiments"` // none of a user that does not exist
}

// ClientFacts are what the client is.
type ClientFacts struct {
	OS          string `json:"os"`
	OSVersion   int    `json:"osVersion"`
	Browser     string `json:"browser"`
	Native      bool   `json:"native"`
	Mobile      bool   `json:"mobile"`
	Desktop     bool   `json:"desktop"`
	PrivateMode bool   `json:"privateMode"`
	Webdriver   bool   `json:"webdriver"`
}

// Support is what the client can do.
type Support struct {
	WebAuthn          bool   `json:"webauthn"`
	UVPA              bool   `json:"uvpa"`
	BLE               string `json:"ble"`
	ConditionalGet    bool   `json:"conditionalGet"`
	ConditionalCreate bool   `json:"conditionalCreate"`
	Hybrid            string `json:"hybrid"`
	ImmediateGet      bool   `json:"immediateGet"`
}

// Environment is the browser profile or app installation.
type Environment struct {
	Known    bool    `json:"known"`
	Rejected bool    `json:"rejected"`
	Listed   Listing `json:"listed"`
}

// Counts are the account's passkeys by availability. What counts in no column but Total cannot be reached.
type Counts struct {
	Total       int `json:"total"`
	Likely      int `json:"likely"`
	Uncertain   int `json:"uncertain"`
	Remote      int `json:"remote"`
	SecurityKey int `json:"securityKey"`
}

// CDA is what is known of cross-device authentication.
type CDA struct {
	Client     bool `json:"client"`
	RemoteHigh bool `json:"remoteHigh"`
	RemoteLow  bool `json:"remoteLow"`
	Route      bool `json:"route"`
}

// Pair is the history of the account in the environment.
type Pair struct {
	LocalStreak         int         `json:"localStreak"`
	CDAStreak           int         `json:"cdaStreak"`
	SecurityKeyStreak   int         `json:"securityKeyStreak"`
	NoCredentials       bool        `json:"noCredentials"`
	LastFailedRoute     event.Route `json:"lastFailedRoute"`
	Positive            bool        `json:"positive"`
	LastRoute           event.Route `json:"lastRoute"`
	PositiveSecurityKey bool        `json:"positiveSecurityKey"`
	ExistsHere          bool        `json:"existsHere"`
	CreatedHere         bool        `json:"createdHere"`
}

// Blacklist is what is barred for the user.
type Blacklist struct {
	Login             bool `json:"login"`
	AppendAfterHybrid bool `json:"appendAfterHybrid"`
	AppendAfterError  bool `json:"appendAfterError"`
}

// Flags are what the caller of an append start asked for.
type Flags struct {
	Force             bool   `json:"force"`
	Auto              bool   `json:"auto"`
	ConditionalCreate bool   `json:"conditionalCreate"`
	InApp             string `json:"inApp"`
}

// Process is how the passkey login of the process went.
type Process struct {
	Outcome         history.Outcome `json:"outcome"`
	FailedLocal     int             `json:"failedLocal"`
	MissingEvidence bool            `json:"missingEvidence"`
	CredentialClass Class           `json:"credentialClass"`
}

// Nudge is how the account answered offers of one kind.
type Nudge struct {
	Declines int  `json:"declines"`
	Cooldown bool `json:"cooldown"`
}

// Nudges is how the account answered earlier offers.
type Nudges struct {
	Default           Nudge `json:"default"`
	AfterError        Nudge `json:"afterError"`
	AfterHybrid       Nudge `json:"afterHybrid"`
	Auto              Nudge `json:"auto"`
	ConditionalCreate struct {
		Cooldown bool `json:"cooldown"`
	} `json:"conditionalCreate"`
	Spaced bool `json:"spaced"`
}

// Detection is what was found out: the facts for the policy, and what answers need beyond them.
type Detection struct {
	Facts       Facts
	Client      Client
	Insights    rest.DetectionInsights
	Experiments []string // name:arm of those that run, sorted; shared, read only

	passkeys []passkey
}

// DefaultSituation is where an append start comes from unless it says otherwise.
const DefaultSituation = "post-login"

// Login finds the facts of a login start.
func (k *Knowledge) Login(in Input) Detection {
	if in.Strategy == "" {
		in.Strategy = rest.CrossDeviceAuthenticationStrategyStandard
	}
	d := k.detect(in)
	d.Facts.Strategy = string(in.Strategy)
	return d
}

// Append finds the facts of an append start.
func (k *Knowledge) Append(in Input, flags rest.PasskeyIntelFlags, situation string) Detection {
	in.Strategy = rest.CrossDeviceAuthenticationStrategyStandard
	d := k.detect(in)
	if situation == "" {
		situation = DefaultSituation
	}
	d.Facts.Situation = &situation
	d.Facts.Flags = &Flags{Force: flags.ForcePasskeyAppend, Auto: is(flags.AskForAutoAppend), ConditionalCreate: is(flags.AskForConditionalCreate)}
	if flags.AskForInAppAppend != nil {
		d.Facts.Flags.InApp = *flags.AskForInAppAppend
	}
	d.Facts.Process = d.process(in.History.Process)
	d.Facts.Nudges = k.nudges(in)
	return d
}

// Mediation finds the facts of conditional mediation, where there is no user yet.
func (k *Knowledge) Mediation(question service.Question) Detection {
	d := Detection{Client: k.DetectClient(question.Client, question.Environment), Experiments: []string{}}
	d.Facts = clientFacts(&d.Client, question.Environment, !question.LookupFailed)
	d.Insights = d.insights(nil, history.History{}, k.Parameters.StreakThreshold)
	return d
}

func (k *Knowledge) detect(in Input) Detection {
	d := Detection{Client: k.DetectClient(in.Question.Client, in.Question.Environment)}
	d.Facts = clientFacts(&d.Client, in.Question.Environment, in.Complete)
	d.Facts.Account = status(in.Question.Account)
	d.Facts.AccountFacts = &AccountFacts{Pair: pairFacts(in.History.Pair), Blacklist: Blacklist(in.History.Blacklist)}
	d.assess(k, in)
	d.Facts.Experiments, d.Experiments = k.experiments.assign(in.Question.Project, in.Question.Account)
	d.Insights = d.insights(in.Question.Account, in.History, k.Parameters.StreakThreshold)
	return d
}

// assess looks at every passkey and counts what can be reached. Whether a cross-device route is open depends on all of them, so it comes in two steps.
func (d *Detection) assess(k *Knowledge, in Input) {
	f := d.Facts.AccountFacts
	f.CDA.Client = cdaClient(&d.Client, in.Strategy)
	if in.Question.Account != nil {
		credentials := in.Question.Account.Credentials
		d.passkeys = make([]passkey, len(credentials))
		for i := range credentials {
			d.passkeys[i] = k.assess(&credentials[i], &d.Client)
			f.CDA.RemoteHigh = f.CDA.RemoteHigh || d.passkeys[i].remoteHigh
			f.CDA.RemoteLow = f.CDA.RemoteLow || d.passkeys[i].remoteLow
		}
	}
	maximize := in.Strategy == rest.CrossDeviceAuthenticationStrategyMaximize
	minimize := in.Strategy == rest.CrossDeviceAuthenticationStrategyMinimize
	f.CDA.Route = !minimize && f.CDA.Client && (f.CDA.RemoteHigh || (maximize && f.CDA.RemoteLow))
	f.Credentials.Total = len(d.passkeys)
	for i := range d.passkeys {
		p := &d.passkeys[i]
		if p.availability == AvailabilityNot && f.CDA.Route && (p.remoteHigh || p.remoteLow) {
			p.availability = Remote
		}
		switch p.availability {
		case Likely:
			f.Credentials.Likely++
		case Uncertain:
			f.Credentials.Uncertain++
		case Remote:
			f.Credentials.Remote++
		case SecurityKey:
			f.Credentials.SecurityKey++
		}
	}
	f.SecurityKeyOnly = f.Credentials.SecurityKey > 0 && f.Credentials.Likely+f.Credentials.Uncertain == 0 && !f.CDA.Route
}

func cdaClient(c *Client, strategy rest.CrossDeviceAuthenticationStrategy) bool {
	maximize := strategy == rest.CrossDeviceAuthenticationStrategyMaximize
	return c.BLE != No && c.Hybrid != No && (c.Desktop || maximize) && (c.Hybrid == Yes || c.BLE == Yes || maximize)
}

func status(a *account.Account) Status {
	if a == nil {
		return StatusUnknown
	}
	return Status(a.Status)
}

func clientFacts(c *Client, environment service.Environment, complete bool) Facts {
	return Facts{
		Complete: complete,
		Client: ClientFacts{
			OS: string(c.OS), OSVersion: c.OSMajor, Browser: c.Browser, Native: c.Native, Mobile: c.Mobile, Desktop: c.Desktop,
			PrivateMode: c.PrivateMode, Webdriver: c.Webdriver,
		},
		Support: Support{
			WebAuthn: c.WebAuthn, UVPA: c.UVPA, BLE: c.BLE.word("on", "off"), ConditionalGet: c.ConditionalGet, ConditionalCreate: c.ConditionalCreate,
			Hybrid: c.Hybrid.word("yes", "no"), ImmediateGet: c.ImmediateGet,
		},
		Environment: Environment{Known: environment.Known && !c.PrivateMode, Rejected: environment.Rejected, Listed: c.Listed},
	}
}

func pairFacts(p history.Pair) Pair {
	return Pair{
		LocalStreak: p.LocalStreak, CDAStreak: p.CDAStreak, SecurityKeyStreak: p.SecurityKeyStreak, NoCredentials: p.NoCredentials,
		LastFailedRoute: p.LastFailedRoute, Positive: p.Positive, LastRoute: p.LastRoute, PositiveSecurityKey: p.PositiveSecurityKey,
		ExistsHere: p.ExistsHere, CreatedHere: p.CreatedHere,
	}
}

func (d *Detection) process(p history.Process) *Process {
	facts := &Process{Outcome: p.Outcome, FailedLocal: p.FailedLocal, MissingEvidence: p.MissingEvidence}
	if facts.Outcome == "" {
		facts.Outcome = history.OutcomeNotOffered
	}
	for i := range d.passkeys {
		if p.Credential != "" && string(d.passkeys[i].ID) == p.Credential {
			facts.CredentialClass = d.passkeys[i].class
		}
	}
	return facts
}

func (k *Knowledge) nudges(in Input) *Nudges {
	h := in.History.Append
	facts := &Nudges{Default: Nudge(h.Default), AfterError: Nudge(h.AfterError), AfterHybrid: Nudge(h.AfterHybrid), Auto: Nudge(h.Auto)}
	facts.ConditionalCreate.Cooldown = h.ConditionalCreateCooldown
	spacing := time.Duration(k.Parameters.InAppSpacingSeconds) * time.Second
	facts.Spaced = h.LastOffer.IsZero() || in.Now.Sub(h.LastOffer) >= spacing
	return facts
}
