package detect

import (
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Input is everything that facts are made of. Detection does not look anything up.
type Input struct {
	Question service.Question
	Complete bool // every lookup succeeded
	History  history.History
	Now      time.Time
	Strategy rest.CrossDeviceAuthenticationStrategy // of a login; empty otherwise
	Source   event.Source                           // of a login; empty if its caller does not say
}

// Detection is what was found out: the facts for the policy, and what answers need beyond them.
type Detection struct {
	Facts       facts.Facts
	Client      recognition.Client
	Insights    rest.DetectionInsights
	Experiments []string             // name:arm of those that run, sorted; shared, read only
	Items       []ident.CredentialID // of Facts.Credentials.Items, in their order

	passkeys []passkey
}

// DefaultSituation is where an append start comes from unless it says otherwise.
const DefaultSituation = "post-login"

// situations are those that mean something to the rules of every bundle.
var situations = [...]string{DefaultSituation, "sign-up", "mfa", "in-app", "passkey-list", "current-user"}

// Login finds the facts of a login start.
func (k *Knowledge) Login(in Input) Detection {
	if in.Strategy == "" {
		in.Strategy = rest.CrossDeviceAuthenticationStrategyStandard
	}
	d := k.detect(in)
	d.Facts.Strategy, d.Facts.Source = string(in.Strategy), source(in.Source)
	return d
}

// Append finds the facts of an append start.
func (k *Knowledge) Append(in Input, flags rest.PasskeyIntelFlags, situation string) Detection {
	in.Strategy = rest.CrossDeviceAuthenticationStrategyStandard
	d := k.detect(in)
	situation = k.situation(situation)
	d.Facts.Situation = &situation
	d.Facts.Flags = &facts.Flags{
		Force: flags.ForcePasskeyAppend, Auto: is(flags.AskForAutoAppend), ConditionalCreate: is(flags.AskForConditionalCreate),
		ShownLately: k.shownLately(flags.AppendShown, in.Now), OptOutAfterHybrid: is(flags.OptOutAfterHybrid),
		LoginMethod: loginMethod(flags.LoginMethod),
	}
	if flags.AskForInAppAppend != nil {
		d.Facts.Flags.InApp = k.trigger(*flags.AskForInAppAppend)
	}
	d.Facts.Process = d.process(in.History.Process)
	d.Facts.Nudges = k.nudges(in)
	return d
}

// situation is where an append start comes from. What neither the product nor the bundle has a name for is one and the same.
func (k *Knowledge) situation(said string) string {
	switch {
	case said == "":
		return DefaultSituation
	case slices.Contains(situations[:], said) || slices.Contains(k.Parameters.Situations, said):
		return said
	default:
		return facts.Other
	}
}

// trigger is the moment at which an app asks; empty = it names none. What the bundle does not name is one and the same.
func (k *Knowledge) trigger(said string) string {
	if said == "" || slices.Contains(k.Parameters.InAppTriggers, said) {
		return said
	}
	return facts.Other
}

// source is how a login start came about.
func source(said event.Source) event.Source {
	if slices.Contains(event.Sources(), said) {
		return said
	}
	return facts.SourceUnknown
}

// loginMethod is how a caller says that the login was done; empty = it does not.
func loginMethod(said *rest.PasskeyIntelFlagsLoginMethod) string {
	if said == nil || !said.Valid() {
		return ""
	}
	return string(*said)
}

// shownLately reports whether a client's word of when it last showed an offer counts. A moment to come is none: its clock is wrong.
func (k *Knowledge) shownLately(shown *int64, now time.Time) bool {
	spacing, skew := k.Parameters.ShownSpacingSeconds, k.Parameters.ClockSkewSeconds
	return shown != nil && spacing > 0 && *shown > now.Unix()-spacing && *shown <= now.Unix()+skew
}

// Mediation finds the facts of conditional mediation, where there is no user yet.
func (k *Knowledge) Mediation(question service.Question) Detection { return k.nobody(question) }

// Rollout finds the facts of a rollout, where there is no user yet.
func (k *Knowledge) Rollout(q service.RolloutQuestion) Detection {
	d := k.nobody(q.Question)
	d.Facts.Rollout = k.rollout.Facts(q, agent.Major(d.Client.BrowserVersion))
	return d
}

// nobody finds the facts of a client that has named no user.
func (k *Knowledge) nobody(question service.Question) Detection {
	d := Detection{Client: k.Clients.Recognise(question.Client, question.Environment), Experiments: []string{}}
	d.Facts = clientFacts(&d.Client, question.Environment, !question.LookupFailed)
	d.Insights = d.insights(nil, history.History{}, k.Parameters.StreakThreshold)
	return d
}

func (k *Knowledge) detect(in Input) Detection {
	d := Detection{Client: k.Clients.Recognise(in.Question.Client, in.Question.Environment)}
	d.Facts = clientFacts(&d.Client, in.Question.Environment, in.Complete)
	d.Facts.Account = status(in.Question.Account)
	d.Facts.AccountFacts = &facts.AccountFacts{
		Pair: pairFacts(&in.History.Pair), Blacklist: facts.Blacklist(in.History.Blacklist), Doubts: facts.Doubts(in.History.Doubts),
	}
	d.assess(k, in)
	d.Facts.Experiments, d.Experiments = k.experiments.Assign(in.Question.Project, in.Question.Account)
	d.Insights = d.insights(in.Question.Account, in.History, k.Parameters.StreakThreshold)
	return d
}

// assess looks at every passkey and counts what can be reached. Whether a cross-device route is open depends on all of them, so it comes in
// two steps.
func (d *Detection) assess(k *Knowledge, in Input) {
	f := d.Facts.AccountFacts
	minimize := in.Strategy == rest.CrossDeviceAuthenticationStrategyMinimize
	// Who asks for another device means any that can be had, one with a passkey that is here too.
	elsewhere := in.Source == event.OtherDevice && !minimize
	maximize := in.Strategy == rest.CrossDeviceAuthenticationStrategyMaximize || elsewhere
	f.CDA.Client = cdaClient(&d.Client, maximize, &k.Parameters.MinimumVersions)
	if in.Question.Account != nil {
		credentials := in.Question.Account.Credentials
		d.passkeys = make([]passkey, len(credentials))
		for i := range credentials {
			d.passkeys[i] = k.assess(&credentials[i], &d.Client, &in.History)
		}
	}
	f.Credentials.Total = len(d.passkeys)
	for i := range d.passkeys {
		p := &d.passkeys[i]
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
		if (p.availability != Likely || elsewhere) && p.availability != SecurityKey {
			f.CDA.RemoteHigh = f.CDA.RemoteHigh || p.byPhone.value == high
			f.CDA.RemoteLow = f.CDA.RemoteLow || p.byPhone.value == low
		}
		f.Pair.EvidenceHere = f.Pair.EvidenceHere || p.proven
		f.Pair.ExistsHere = f.Pair.ExistsHere || ((p.proven || p.said) && !p.gone)
	}
	d.wins(in.History.Pair.Wins)
	f.CDA.Route = !minimize && f.CDA.Client && (f.CDA.RemoteHigh || (maximize && f.CDA.RemoteLow))
	f.SecurityKeyOnly = f.Credentials.SecurityKey > 0 && f.Credentials.Likely+f.Credentials.Uncertain == 0 && !f.CDA.Route
}

// wins fills in the routes that worked here, newest first, as far as their passkeys can still be reached so.
func (d *Detection) wins(wins []history.Win) {
	pair := &d.Facts.Pair
	at := [...]*event.Route{&pair.FirstWin, &pair.SecondWin, &pair.ThirdWin}
	found := 0
	for _, win := range wins {
		reachable := slices.ContainsFunc(d.passkeys, func(p passkey) bool { return p.ID == win.Credential && p.reachable(win.Route) })
		known := slices.ContainsFunc(at[:found], func(r *event.Route) bool { return *r == win.Route })
		if reachable && !known && found < len(at) {
			*at[found] = win.Route
			found++
		}
	}
}

// reachable reports whether the passkey can be used on the route again.
func (p *passkey) reachable(route event.Route) bool {
	switch route {
	case event.CDA:
		return p.byPhone.value != none
	case event.SecurityKey:
		return p.class == facts.ClassSecurityKey
	default:
		return p.local.value != none
	}
}

// firstWindowsOfCDA is the oldest Windows whose own dialog serves passkeys of phones, for browsers that bring none.
const firstWindowsOfCDA = 11

// cdaClient reports whether the client can log in with the help of a phone. What it states itself outranks what is known of its like.
func cdaClient(c *recognition.Client, maximize bool, minimum *recognition.MinimumVersions) bool {
	if c.BLE == recognition.No || c.Hybrid == recognition.No || (!c.Desktop && !maximize) {
		return false
	}
	if c.Hybrid == recognition.Yes {
		return true
	}
	return (c.BLE == recognition.Yes || maximize) && !withoutPhones(c, minimum)
}

// withoutPhones reports whether clients of the kind are known to serve no passkeys of phones.
func withoutPhones(c *recognition.Client, minimum *recognition.MinimumVersions) bool {
	switch c.Device {
	case facts.DeviceTV, facts.DeviceConsole, facts.DeviceHeadset:
		return true
	}
	if c.Native || c.Chromium != recognition.No {
		return false
	}
	switch c.OS {
	case agent.Linux:
		return true
	case agent.Windows:
		return !agent.AtLeast(c.OSMajor, firstWindowsOfCDA)
	case agent.MacOS:
		return !agent.AtLeast(c.OSMajor, minimum.MacOS)
	default:
		return false
	}
}

func status(a *account.Account) facts.Status {
	if a == nil {
		return facts.StatusUnknown
	}
	return facts.Status(a.Status)
}

func clientFacts(c *recognition.Client, environment service.Environment, complete bool) facts.Facts {
	return facts.Facts{
		Complete:    complete,
		Client:      c.Facts(),
		Support:     c.Support(),
		Environment: facts.Environment{Known: environment.Known && !c.PrivateMode, Rejected: environment.Rejected, Listed: c.Listed},
	}
}

func pairFacts(p *history.Pair) facts.Pair {
	return facts.Pair{
		LocalStreak: p.LocalStreak, CDAStreak: p.CDAStreak, SecurityKeyStreak: p.SecurityKeyStreak, NoCredentials: p.NoCredentials,
		LastFailedRoute: p.LastFailedRoute, Positive: p.Positive, LastRoute: p.LastRoute, PositiveSecurityKey: p.PositiveSecurityKey,
		CreatedHere: p.CreatedHere, Lost: p.Lost,
	}
}

func (d *Detection) process(p history.Process) *facts.Process {
	found := &facts.Process{Outcome: p.Outcome, FailedLocal: p.FailedLocal, MissingEvidence: p.MissingEvidence}
	if found.Outcome == "" {
		found.Outcome = history.OutcomeNotOffered
	}
	for i := range d.passkeys {
		if p.Credential != "" && string(d.passkeys[i].ID) == p.Credential {
			found.CredentialClass = d.passkeys[i].class
		}
	}
	return found
}

func (k *Knowledge) nudges(in Input) *facts.Nudges {
	h := in.History.Append
	found := &facts.Nudges{
		Default:     facts.Nudge(h.Default),
		AfterError:  facts.Nudge(h.AfterError),
		AfterHybrid: facts.Nudge(h.AfterHybrid),
		Auto:        facts.Nudge(h.Auto),
	}
	found.ConditionalCreate.Cooldown, found.Spent = h.ConditionalCreateCooldown, h.BudgetSpent
	spacing := time.Duration(k.Parameters.InAppSpacingSeconds) * time.Second
	found.Spaced = h.LastOffer.IsZero() || in.Now.Sub(h.LastOffer) >= spacing
	return found
}

func is(b *bool) bool { return b != nil && *b }
