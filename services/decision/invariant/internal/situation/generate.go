package situation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/invariant/internal/population"
)

// generator makes plausible situations: of the clients and passkeys that there are, and of what happens with them. The same seed and number
// give the same situation.
type generator struct {
	*rand.Rand
	s      *Situation
	number uint64
	used   map[int64]bool // moments of events, in seconds before now: no two are of the same

	// What happens to people happens to them again.
	route event.Route
	kind  event.Kind
}

// clock is when everything is asked.
func clock() time.Time { return time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC) }

// Sample makes the situation of a number.
func Sample(seed, number uint64, parameters map[string]any) *Situation {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, number)), used: map[int64]bool{}} //nolint:gosec // it has to be the same again
	g.route, g.kind = one(g, Routes()), one(g, Kinds())
	g.number = number
	g.s = &Situation{
		Now: clock(), Env: here, Status: account.StatusActive, Process: "this-process", Parameters: maps.Clone(parameters),
		Strategy: one(g, []rest.CrossDeviceAuthenticationStrategy{
			rest.CrossDeviceAuthenticationStrategyStandard, rest.CrossDeviceAuthenticationStrategyMinimize,
			rest.CrossDeviceAuthenticationStrategyMaximize,
		}),
	}
	if g.often(40) {
		g.s.Source = one(g, event.Sources())
	}
	g.client()
	g.account()
	g.history()
	g.asked()
	s := g.s.joined(g.s.Log)
	s.More = g.passkey(len(s.Passkeys) + 1)
	return s
}

func one[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

// often is true so many times in a hundred.
func (g *generator) often(percent int) bool { return g.IntN(100) < percent }

// history tells what has happened: anything, or a story and little else.
func (g *generator) history() {
	journeys := 8
	switch n := g.IntN(100); {
	case n < 30:
		g.turnedDown()
		journeys = 2
	case n < 45:
		g.failing(one(g, Routes()))
		journeys = 2
	}
	for range g.IntN(journeys) {
		g.journey()
	}
}

// maybe is yes, no or unsaid, with the percentages of yes and no.
func (g *generator) maybe(yes, no int) *bool {
	switch n := g.IntN(100); {
	case n < yes:
		return new(true)
	case n < yes+no:
		return new(false)
	default:
		return nil
	}
}

// pick prefers what comes first.
func pick[T any](g *generator, of []T) T { return of[min(g.IntN(len(of)), g.IntN(len(of)))] }

func (g *generator) client() {
	var c rest.ClientInformation
	switch n := g.IntN(100); {
	case n < 12:
		c = one(g, population.Strangers())
	case n < 32:
		c = one(g, population.Apps())
	default:
		c = pick(g, population.People())
	}
	if c.NativeMeta == nil || g.often(15) {
		c.UserVerifyingPlatformAuthenticatorAvailable = g.maybe(75, 15)
		c.ConditionalMediationAvailable = g.maybe(70, 15)
		if g.often(40) {
			c.ClientCapabilities = &rest.ClientCapabilities{
				HybridTransport: g.maybe(40, 20), ImmediateGet: g.maybe(20, 20), ConditionalCreate: g.maybe(50, 20),
			}
		}
	} else {
		meta := *c.NativeMeta
		meta.DeviceOwnerAuth = one(g, []*string{new("biometrics"), new("code"), new("none"), nil})
		meta.IsGooglePlayServices, meta.IsBluetoothOn = g.maybe(40, 10), g.maybe(40, 20)
		meta.IsPlatformAuthenticatorAPISupported = g.maybe(20, 5)
		c.NativeMeta = &meta
	}
	c.BluetoothAvailable, c.PasswordManagerAvailable = g.maybe(45, 15), g.maybe(25, 15)
	if g.often(7) {
		c.PrivateMode = new(true)
	}
	if g.often(3) {
		c.Webdriver = new(true)
	}
	g.s.Client = c
	if g.often(10) {
		g.s.Handle = one(g, []Handle{Absent, Forged})
	}
}

// ago is a moment that no other event of the situation has: minutes, hours, days or months before now.
func (g *generator) ago(most time.Duration) time.Time {
	for {
		far := one(g, []time.Duration{50 * time.Minute, 20 * time.Hour, 8 * day, 28 * day, 28 * day, 400 * day})
		seconds := 60 + g.Int64N(int64(min(far, most)/time.Second))
		if !g.used[seconds] {
			g.used[seconds] = true
			return g.s.Now.Add(-time.Duration(seconds) * time.Second)
		}
	}
}

const (
	day    = 24 * time.Hour
	always = 1000 * day
)

func (g *generator) account() {
	if g.often(4) {
		g.s.Status = one(g, []account.Status{account.StatusPending, account.StatusDisabled})
	}
	g.s.LookupFailed = g.often(1)
	for n := range g.IntN(4) {
		p := g.passkey(n + 1)
		if g.often(10) {
			p.Deleted = time.UnixMilli(p.CreatedMs).Add(g.s.Now.Sub(time.UnixMilli(p.CreatedMs)) / 2).Truncate(time.Second)
		}
		g.s.Passkeys = append(g.s.Passkeys, p)
		if g.often(60) {
			g.created(&p)
		}
	}
}

func (g *generator) passkey(number int) Passkey {
	p := Passkey{Credential: one(g, population.Passkeys())}
	p.ID = ident.CredentialID("cre-" + strconv.Itoa(number))
	p.CredentialID = fmt.Appendf(nil, "passkey %d-%d", g.number, number) // a file may show several situations
	p.CreatedMs = g.ago(always).UnixMilli()
	p.LastUsedMs = p.CreatedMs
	p.Environment = one(g, []ident.EnvironmentID{here, elsewhere, phone, ""})
	return p
}

// created tells of the creation of a passkey.
func (g *generator) created(p *Passkey) {
	process, at := g.process(), time.UnixMilli(p.CreatedMs)
	offer := event.Event{
		Type: event.AppendOffered, Kind: event.KindDefault, Process: process, Environment: p.Environment,
		CreatedMs: at.Add(-5 * time.Second).UnixMilli(),
	}
	done := event.Event{
		Type: event.AppendCompleted, Credential: string(p.ID), Process: process, Environment: p.Environment, CreatedMs: at.UnixMilli(),
		Attachment: p.Attachment,
	}
	if g.often(70) { // older events say nothing of it
		done.Route = p.CreatedBy()
	}
	g.s.Log = append(g.s.Log, offer, done)
}

// process is the name of a journey: seldom that of the one that asks.
func (g *generator) process() string {
	if g.often(15) {
		return g.s.Process
	}
	return "process-" + strconv.Itoa(len(g.s.Log)+1)
}

// journey is something that the user, or somebody about the user, has done.
func (g *generator) journey() {
	env := one(g, []ident.EnvironmentID{here, here, here, here, elsewhere, phone})
	process := g.process()
	most := always
	if process == g.s.Process {
		most = 2 * time.Hour
	}
	at := g.ago(most)
	said := event.Event{Process: process, Environment: env, CreatedMs: at.UnixMilli()}
	switch n := g.IntN(100); {
	case n < 50:
		g.login(said)
	case n < 82:
		g.creation(said)
	case n < 86:
		said.Type = event.LoginDenied
		g.s.Log = append(g.s.Log, said)
	case n < 93:
		said.Type = one(g, []event.Type{event.LoginError, event.LoginNoCredentials, event.AppendCredentialExists, event.AppendError})
		g.s.Log = append(g.s.Log, said)
	default:
		g.barred(said)
	}
}

func (g *generator) login(offer event.Event) {
	offer.Type, offer.Route = event.LoginOffered, g.route
	if g.often(35) {
		offer.Route = one(g, Routes())
	}
	offer.Challenge = "challenge-" + strconv.Itoa(len(g.s.Log)+1)
	if g.often(30) {
		offer.Source = one(g, event.Sources())
	}
	answer := offer
	answer.Route, answer.Source, answer.CreatedMs = "", "", offer.CreatedMs+20*time.Second.Milliseconds()
	active := g.s.active()
	if g.often(30) && len(active) > 0 {
		p := one(g, active)
		answer.Type, answer.Route, answer.Credential = event.LoginCompleted, one(g, p.Routes()), string(p.ID)
	} else {
		answer.Type = one(g, []event.Type{
			event.LoginError, event.LoginError, event.LoginExplicitAbort, event.LoginErrorUntyped, event.LoginNoCredentials, event.LoginOneTapSwitch,
		})
	}
	g.s.Log = append(g.s.Log, offer)
	if g.often(90) {
		g.s.Log = append(g.s.Log, answer)
	}
}

func (g *generator) creation(offer event.Event) {
	offer.Type, offer.Kind = event.AppendOffered, g.kind
	if g.often(35) {
		offer.Kind = one(g, Kinds())
	}
	offer.Challenge = "challenge-" + strconv.Itoa(len(g.s.Log)+1)
	answer := offer
	answer.Kind, answer.CreatedMs = "", offer.CreatedMs+20*time.Second.Milliseconds()
	answer.Type = one(g, []event.Type{
		event.AppendExplicitAbort, event.AppendExplicitAbort, event.AppendError, event.AppendError, event.AppendCredentialExists,
		event.AppendErrorUnexpected,
	})
	g.s.Log = append(g.s.Log, offer)
	if g.often(85) {
		g.s.Log = append(g.s.Log, answer)
	}
}

// Routes returns the routes of logins.
func Routes() []event.Route { return []event.Route{event.Local, event.CDA, event.SecurityKey} }

// Kinds returns the kinds of offers to create a passkey.
func Kinds() []event.Kind {
	return []event.Kind{event.KindDefault, event.KindAfterError, event.KindAfterHybrid, event.KindAuto, event.KindConditionalCreate}
}

// barred says that something is not to be offered, here or everywhere, for a time or for ever.
func (g *generator) barred(said event.Event) {
	said.Type = one(g, []event.Type{event.UserLoginBlacklisted, event.AppendBlacklistedAfterHybrid, event.AppendBlacklistedAfterError})
	said.Process = ""
	if g.often(50) {
		said.Environment = ""
	}
	if g.often(50) {
		said.Expires = g.s.Now.Add(time.Duration(g.IntN(40)-10) * day).Unix()
	}
	g.s.Log = append(g.s.Log, said)
}

// asked is what an append is asked with.
func (g *generator) asked() {
	f := &g.s.Flags
	f.ForcePasskeyAppend = g.often(8)
	if g.often(25) {
		f.AskForAutoAppend = new(true)
	}
	if g.often(25) {
		f.AskForConditionalCreate = new(true)
	}
	if g.often(15) {
		f.LoginMethod = new(one(g, []rest.PasskeyIntelFlagsLoginMethod{
			rest.PasskeyIntelFlagsLoginMethodPassword, rest.PasskeyIntelFlagsLoginMethodCode, rest.PasskeyIntelFlagsLoginMethodPasskey,
		}))
	}
	if g.often(10) {
		f.AskForInAppAppend = new(one(g, []string{"after-unlock", "after-cta", "whenever"}))
	}
	if g.often(25) {
		g.s.Entry = one(g, []string{"post-login", "sign-up", "mfa", "in-app", "passkey-list", "current-user"})
	}
}
