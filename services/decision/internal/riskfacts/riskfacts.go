// Package riskfacts finds what tells a request of an account's user from one of somebody else: where and when it comes from, what the
// account has succeeded with before, how old the account and its passkeys are. It promises that two situations which differ in nothing but
// identifiers have equal facts, and that a first login is new in no way. It is pure.
package riskfacts

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/backedup"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/ladder"
)

// Input is everything that the facts are made of.
type Input struct {
	Stage       facts.Stage
	Project     ident.ProjectID
	Account     *account.Account    // nil = there is no such user
	Events      event.Set           // the user's; empty if they could not be read
	Environment ident.EnvironmentID // empty = it is not known here
	Address     string              // as the client or its backend told it
	Sighted     *event.Sighted      // names it, and the network that it is in; nil = nothing does
	Client      *facts.Client
	Source      facts.Source
	Agent       facts.Agent
	Contradicts facts.Contradictions
	Zone        *time.Location // of hours and weekdays beside those of UTC; nil = UTC
	Labels      []string       // that the bundle declares, sorted
	Network     bool           // a rule reads it
	Lists       facts.Labels   // that the bundle declares, and whether the request is in them
	Place       place.Place    // that the address is in
	Standing    Standing       // nil = nothing is known of models of authenticators
	Now         time.Time
	Finish      *Finish       // of a stage that ends a ceremony
	Asked       *Asked        // of facts.Evaluate
	Context     facts.Context // nil = the caller added none
}

// Asked is what is asked about that is no ceremony.
type Asked struct {
	Action string // one that the bundle declares
}

// Finish is what ended a ceremony.
type Finish struct {
	*service.FinishQuestion
	Class facts.Class
}

// Stage is which end it is.
func (f *Finish) Stage() facts.Stage {
	if f.Login == nil {
		return facts.AppendFinish
	}
	return facts.LoginFinish
}

// Used returns the passkey that a login was made with; empty if it is the end of none.
func (f *Finish) Used() ident.CredentialID {
	if f == nil || f.Login == nil {
		return ""
	}
	return f.Passkey.ID
}

func (f *Finish) proves() bool { return f != nil && f.Proof }

// memory is how long a success makes familiar what it was done with.
const memory = 180 * 24 * time.Hour

// whole is the facts with all that they point to: there are some for every decision.
type whole struct {
	facts.RiskFacts
	located  facts.Located
	told     facts.Told
	familiar facts.Familiar
	travel   facts.Travel
	user     facts.User
	alerts   facts.Alerts
	changed  int // how many hours ago the status of an authenticator did
	fraud    int // how many hours ago fraud was confirmed
	given    bool
}

// Find finds the facts. Of mediation there is no user yet.
func Find(in *Input) *facts.RiskFacts {
	w := &whole{}
	f := &w.RiskFacts
	f.Stage, f.Action, f.Project.ID = in.Stage, facts.PasskeyLogin, string(in.Project)
	w.request(in)
	if in.Stage == facts.AppendStart || in.Stage == facts.AppendFinish {
		f.Action = facts.PasskeyAppend
	}
	if in.Stage != facts.MediationStart {
		w.familiar, w.travel = familiar(in), travel(in)
		w.known(in)
		f.Familiar, f.User, f.Travel = &w.familiar, &w.user, &w.travel
	}
	f.Context, w.given, f.ContextGiven = in.Context, in.Context != nil, &w.given
	if a := in.Asked; a != nil {
		f.Action = a.Action
	}
	switch end := in.Finish; {
	case end == nil:
	case end.Login != nil:
		f.Used = used(in)
	default:
		f.Created = &facts.Created{Item: item(in), Conditional: end.Conditional, Format: format(&end.Passkey)}
	}
	return f
}

func used(in *Input) *facts.Used {
	said := in.Finish.Login
	used := &facts.Used{
		Item: item(in), UsedHours: since(in.Now, in.Finish.Passkey.LastUsedMs), Route: said.Route, Counter: facts.Counter(said.Counter),
		BackupChanged: backedup.Same,
	}
	if said.BackupChanged {
		used.BackupChanged = backedup.State
	}
	return used
}

// item is what there is to know of the passkey. Authenticators without a model of their own have the AAGUID of zeros.
func item(in *Input) facts.Item {
	end := in.Finish
	i := facts.Item{
		AAGUID: strings.ToLower(end.Passkey.AAGUID), Class: end.Class, AgeHours: since(in.Now, end.Passkey.CreatedMs), UV: end.UV,
		Backup: backup(&end.Passkey), Attested: attested(in, &end.Passkey),
	}
	i.AAL = assurance(&i)
	return i
}

func (w *whole) request(in *Input) {
	utc := in.Now.UTC()
	w.told, w.located = told(in), facts.Located{Country: in.Place.Country, ASN: in.Place.ASN}
	r := &w.Request
	*r = facts.Request{
		Family: "none", Scope: "none", HourUTC: utc.Hour(), WeekdayUTC: weekday(utc), Bot: bot(in.Client), Told: &w.told, Lists: in.Lists,
		Located: &w.located,
	}
	if in.Network {
		r.Network = new(in.network())
	}
	from, ok := address.Client(in.Address)
	if !ok {
		return
	}
	r.Family, r.Scope = "ipv6", scope(from)
	if from.Is4() {
		r.Family = "ipv4"
	}
}

// network names the network: by its token, or where there is none, as with the address of the machine itself, by its text.
func (in *Input) network() string {
	if in.Sighted != nil && in.Sighted.Network != "" {
		return in.Sighted.Network
	}
	return address.NetworkOf(in.Address)
}

func told(in *Input) facts.Told {
	local := in.Now.UTC()
	if in.Zone != nil {
		local = in.Now.In(in.Zone)
	}
	return facts.Told{
		Hour: local.Hour(), Weekday: weekday(local), Source: in.Source, Agent: in.Agent, Contradictions: in.Contradicts,
	}
}

// FirstUsed returns how many hours ago the account first succeeded in the environment since that was last forgotten.
func FirstUsed(in *Input) int {
	if in.Environment == "" {
		return ladder.Never
	}
	ms, ever := pastOf(in).first(in.Environment, forgotten(in))
	if !ever {
		return ladder.Never
	}
	return since(in.Now, ms)
}

// weekday counts from Monday = 1 (ISO 8601).
func weekday(t time.Time) int {
	const sunday = 7
	if day := int(t.Weekday()); day != 0 {
		return day
	}
	return sunday
}

// shared is what carriers put many customers behind (RFC 6598).
var shared = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

func scope(from netip.Addr) string {
	switch {
	case from.IsPrivate():
		return "private"
	case shared.Contains(from):
		return "shared"
	case !from.IsGlobalUnicast():
		return "special"
	default:
		return "public"
	}
}

// bot says how far a client says itself that nobody sits in front of it.
func bot(c *facts.Client) string {
	switch {
	case c.Webdriver:
		return "automation"
	case c.Device == facts.DeviceHeadless:
		return "headless"
	case c.Device == facts.DeviceBot:
		return "declared"
	case c.Device == facts.DeviceScript:
		return "tool"
	default:
		return "none"
	}
}

func familiar(in *Input) facts.Familiar {
	p, since, until := pastOf(in), in.Now.Add(-memory).UnixMilli(), forgotten(in)
	here := string(in.Environment)
	hereSeen := p.environments.when(here) > max(since, until)
	return facts.Familiar{
		Environment: familiarity(here != "", hereSeen, hereSeen || p.environments.besides(here) > since),
		Network:     familiarNetwork(p, in, since),
		Country:     familiarityOf(&p.countries, in.Place.Country, since),
		ASN:         familiarityOf(&p.systems, in.Place.ASN, since),
		Successes:   ladder.Count(p.since(since)),
	}
}

// familiarityOf holds a value that there is now against those that there were since a moment. The zero value is not known.
func familiarityOf[T cmp.Ordered](were *known[T], is T, since int64) facts.Familiarity {
	var unknown T
	return familiarity(is != unknown, were.when(is) > since, were.newest > since)
}

func familiarity(isKnown, seen, some bool) facts.Familiarity {
	switch {
	case !isKnown || !some:
		return facts.FamiliarUnknown
	case seen:
		return facts.FamiliarSeen
	default:
		return facts.FamiliarNew
	}
}

// forgotten returns until when what happened in the environment is forgotten, in Unix ms.
func forgotten(in *Input) int64 {
	for _, e := range slices.Backward(in.Events.Of(event.EnvironmentForgotten)) {
		if e.Environment == in.Environment {
			return max(0, e.CreatedMs)
		}
	}
	return 0
}

// known adds what is known of the account.
func (w *whole) known(in *Input) {
	u := &w.user
	*u = facts.User{
		Status: facts.StatusUnknown, AgeHours: ladder.Never, PasskeyAddedHours: ladder.Never, PasskeyRemovedHours: ladder.Never,
		Alerts: &w.alerts,
	}
	w.changed, w.fraud = last(in, event.AuthenticatorStatusChanged), fraud(in)
	w.alerts = facts.Alerts{
		CounterRegressedHours: last(in, event.PasskeyCounterRegressed), BackupEligibilityHours: last(in, event.PasskeyBackupChanged),
		AuthenticatorStatusHours: &w.changed, FraudConfirmedHours: &w.fraud,
	}
	if in.Account == nil {
		u.Labels = facts.NewLabels(in.Labels, nil)
		return
	}
	u.Labels = facts.NewLabels(in.Labels, in.Account.Labels)
	added, removed := int64(0), int64(0)
	for i := range in.Account.Credentials {
		added = max(added, in.Account.Credentials[i].CreatedMs)
	}
	for i := range in.Account.Deleted {
		if t := &in.Account.Deleted[i]; !t.GivenUp() {
			removed = max(removed, t.DeletedMs)
		}
	}
	u.Status, u.Passkeys = facts.Status(in.Account.Status), len(in.Account.Credentials)
	u.AgeHours = since(in.Now, in.Account.CreatedMs)
	u.PasskeyAddedHours, u.PasskeyRemovedHours = since(in.Now, added), since(in.Now, removed)
}

// last returns how many hours ago the newest event of a type was; of a further proof, of those about its passkey.
func last(in *Input, of event.Type) int {
	for _, e := range slices.Backward(in.Events.Of(of)) {
		if !in.Finish.proves() || e.Credential == string(in.Finish.Passkey.ID) {
			return since(in.Now, max(0, e.CreatedMs))
		}
	}
	return ladder.Never
}

// fraud returns how many hours ago somebody told that the account was used by fraud. Of one decision the newest word counts.
func fraud(in *Input) int {
	said := map[ident.DecisionID]*event.Event{}
	newest := int64(0)
	for _, e := range in.Events.Of(event.RiskFeedback) { // oldest first
		if e.Feedback != nil {
			said[e.Decision] = e
		}
	}
	for _, e := range said {
		if e.Feedback.Outcome == event.FraudConfirmed {
			newest = max(newest, e.CreatedMs)
		}
	}
	return since(in.Now, newest)
}

// since returns how many hours ago something was, in Unix ms; 0 = it has not been, or nobody knows when.
func since(now time.Time, ms int64) int {
	if ms == 0 {
		return ladder.Never
	}
	return ladder.Hours(int64(now.Sub(time.UnixMilli(ms)) / time.Hour))
}
