package demo

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/demo/visitor"
)

// guest is a user of the crowd with all that they can sign with.
type guest struct {
	*visitor.Visitor
	phone, key *authenticator.Device // beside the device in hand; nil = none
	seen       *tally
}

// step is one thing that a guest does.
type step interface {
	take(ctx context.Context, g *guest) error
}

// life is what guests of a kind go through, in this order.
type life struct {
	name  string
	steps []step
}

// moves is another browser, which the server has not seen.
type moves struct {
	to     func() rest.ClientInformation
	device func() *authenticator.Device // nil = what syncs is there too
}

func (m moves) take(_ context.Context, g *guest) error {
	g.Browser = m.to()
	if m.device != nil {
		g.Device = m.device()
	}
	return nil
}

// tells is an event about the account, of no ceremony.
type tells struct{ kind rest.PasskeyEventType }

func (t tells) take(ctx context.Context, g *guest) error {
	return event(ctx, g.Visitor, t.kind, "", "", g.seen)
}

// reply is how a guest answers an offer.
type reply int

const (
	ignores reply = iota
	withDevice
	withPhone // by QR code
	withKey
	cancels // the dialog
	leaves  // for another way
)

// visit is one sign-in: what is asked for, how an offer is answered, and the chance to create a passkey afterwards, if there is one.
type visit struct {
	strategy rest.CrossDeviceAuthenticationStrategy // empty = standard
	source   rest.LoginSource                       // empty = not said
	autofill bool                                   // nobody is named before a passkey is picked
	unasked  bool                                   // the caller asks for no passkey login at all
	reply    reply
	then     *chance
}

// chance is the question whether a passkey should be created, and how an offer is answered.
type chance struct {
	flags     rest.PasskeyIntelFlags
	situation string
	reply     reply
}

func (v visit) take(ctx context.Context, g *guest) error {
	process := g.Arrive()
	if err := v.signIn(ctx, g, process); err != nil || v.then == nil {
		return err
	}
	return v.then.take(ctx, g, process)
}

func (v visit) signIn(ctx context.Context, g *guest, process string) error {
	switch {
	case v.unasked:
		return nil
	case v.autofill:
		_, err := g.MediationStart(ctx, process)
		return err
	}
	req := rest.PasskeyLoginStartReq{
		UserID: g.ID, ProcessID: process, ClientInformation: g.Client(),
		CrossDeviceAuthenticationStrategy: cmp.Or(v.strategy, rest.CrossDeviceAuthenticationStrategyStandard),
	}
	if v.source != "" {
		req.Source = &v.source
	}
	start, err := g.API.LoginStart(ctx, req)
	if err != nil {
		return err
	}
	g.Keep(start.NewClientEnvHandle)
	g.seen.count(func(t *tally) { t.logins[answer{string(start.DecisionTag), start.LoginAllow}]++ })
	if !start.LoginAllow {
		return nil
	}
	switch v.reply {
	case ignores:
		return nil
	case cancels:
		return event(ctx, g.Visitor, rest.PasskeyEventTypeLoginError, process, start.AssertionOptions, g.seen)
	case leaves:
		return event(ctx, g.Visitor, rest.PasskeyEventTypeLoginExplicitAbort, process, start.AssertionOptions, g.seen)
	}
	err = g.by(v.reply, func() error { return g.LoginFinish(ctx, process, start.AssertionOptions) })
	if errors.Is(err, authenticator.ErrNoCredentials) {
		return event(ctx, g.Visitor, rest.PasskeyEventTypeLoginNoCredentials, process, start.AssertionOptions, g.seen)
	}
	if err == nil {
		g.seen.count(func(t *tally) { t.used++ })
	}
	return err
}

func (c *chance) take(ctx context.Context, g *guest, process string) error {
	req := rest.PasskeyAppendStartReq{
		UserID: g.ID, ProcessID: process, Username: g.Name, ClientInformation: g.Client(), PasskeyIntelFlags: c.flags,
	}
	if c.situation != "" {
		req.Situation = &c.situation
	}
	offer, err := g.API.AppendStart(ctx, req)
	if err != nil {
		return err
	}
	g.Keep(offer.NewClientEnvHandle)
	g.seen.count(func(t *tally) { t.appends[answer{string(offer.DecisionTag), offer.AppendAllow}]++ })
	if !offer.AppendAllow || c.reply == ignores {
		return nil
	}
	switch c.reply {
	case cancels:
		return event(ctx, g.Visitor, rest.PasskeyEventTypeAppendError, process, offer.AttestationOptions, g.seen)
	case leaves:
		return event(ctx, g.Visitor, rest.PasskeyEventTypeAppendExplicitAbort, process, offer.AttestationOptions, g.seen)
	}
	err = g.by(c.reply, func() error { return g.AppendFinish(ctx, process, offer.AttestationOptions) })
	if errors.Is(err, authenticator.ErrExcluded) {
		return event(ctx, g.Visitor, rest.PasskeyEventTypeAppendCredentialExists, process, offer.AttestationOptions, g.seen)
	}
	if err == nil {
		g.seen.count(func(t *tally) { t.passkeys++ })
	}
	return err
}

// by does something with what the guest takes for it in the place of the device in hand. A phone is then no part of the client.
func (g *guest) by(r reply, do func() error) error {
	inHand := g.Device
	defer func() { g.Device = inHand }()
	switch r {
	case withPhone:
		phone := *g.phone
		phone.Attachment = "cross-platform"
		g.Device = &phone
		defer func() { g.phone.Passkeys = phone.Passkeys }()
	case withKey:
		g.Device = g.key
	}
	return do()
}

// lives are what befalls people now and then, each of whom an ordinary life would lead past most rows of the tables.
func lives() []life {
	return slices.Concat(livesWithMore(), livesWithTrouble(), livesElsewhere())
}

// livesWithMore are those with a phone or a security key beside the device in hand.
func livesWithMore() []life {
	force := rest.PasskeyIntelFlags{ForcePasskeyAppend: true}
	accepts := &chance{reply: withDevice}
	declines := &chance{reply: leaves}
	asks := &chance{}
	atPhone := []step{visit{then: accepts}, phoneInPocket{}}
	return []life{
		{"a phone at the PC, by QR code", after(atPhone,
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, visit{reply: withPhone, then: declines}, visit{reply: withPhone, then: asks},
			tells{rest.PasskeyEventTypeUserAppendAfterCrossPlatformBlacklisted}, visit{reply: withPhone, then: asks},
		)},
		{"a phone that fails", after(atPhone,
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, visit{reply: cancels}, visit{reply: cancels}, visit{then: asks},
			visit{source: rest.LoginSourceButton, reply: withPhone}, visit{source: rest.LoginSourceOtherDevice, reply: withPhone},
		)},
		{"a passkey made by QR code", []step{
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, hasPhone{}, visit{then: &chance{flags: force, reply: withPhone}},
			visit{reply: withPhone},
		}},
		{"a security key", []step{
			moves{visitor.ChromeOnOldWindows, visitor.WindowsHello}, hasKey{}, visit{then: asks}, visit{then: &chance{flags: force, reply: withKey}},
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, visit{reply: withKey, then: asks}, visit{reply: cancels}, visit{reply: cancels},
			visit{then: asks}, visit{source: rest.LoginSourceOneTap, reply: withKey},
		}},
		{"a security key beside another passkey", []step{
			moves{visitor.EdgeOnWindows, visitor.WindowsHello}, hasKey{}, visit{then: accepts}, visit{then: &chance{flags: force, reply: withKey}},
			moves{visitor.EdgeOnWindows, visitor.WindowsHello}, visit{reply: cancels}, visit{reply: cancels}, visit{reply: withKey},
		}},
	}
}

// livesWithTrouble are those in which something fails, or is not wanted.
func livesWithTrouble() []life {
	force := rest.PasskeyIntelFlags{ForcePasskeyAppend: true}
	accepts := &chance{reply: withDevice}
	declines := &chance{reply: leaves}
	asks := &chance{}
	atPhone := []step{visit{then: accepts}, phoneInPocket{}}
	return []life{
		{"a passkey that is lost", []step{
			moves{visitor.SafariOnMac, authenticator.Phone}, visit{then: accepts}, visit{reply: cancels}, visit{reply: leaves}, visit{then: accepts},
			visit{reply: withDevice, then: asks},
		}},
		{"a passkey that fails, and is asked for", []step{
			moves{visitor.EdgeOnWindows, visitor.WindowsHello}, visit{then: accepts}, visit{reply: cancels}, visit{reply: cancels},
			visit{source: rest.LoginSourceTextField}, visit{source: rest.LoginSourceButton, reply: withDevice},
			visit{source: rest.LoginSourceOtherDevice},
		}},
		{"no, thank you", []step{
			moves{visitor.EdgeOnWindows, visitor.WindowsHello}, visit{then: declines}, visit{then: declines}, visit{then: &chance{reply: cancels}},
			visit{then: asks}, visit{then: &chance{situation: "sign-up"}},
		}},
		{"not after a failed login", []step{
			moves{visitor.ChromeOnWindows, visitor.PasswordManager}, visit{then: accepts}, moves{visitor.ChromeOnWindows, visitor.WindowsHello},
			visit{reply: cancels, then: declines}, tells{rest.PasskeyEventTypeUserAppendAfterLoginErrorBlacklisted},
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, visit{reply: cancels, then: asks},
		}},
		{"barred", after(atPhone, tells{rest.PasskeyEventTypeUserLoginBlacklisted}, visit{then: asks}, visit{source: rest.LoginSourceButton})},
		{"automation", []step{
			moves{visitor.Automated, visitor.WindowsHello}, visit{then: asks}, visit{autofill: true}, visit{then: &chance{flags: force}},
		}},
	}
}

// livesElsewhere are those that go on in other browsers, apps and windows.
func livesElsewhere() []life {
	force := rest.PasskeyIntelFlags{ForcePasskeyAppend: true}
	accepts := &chance{reply: withDevice}
	declines := &chance{reply: leaves}
	asks := &chance{}
	inApp := func(trigger string) *chance {
		return &chance{flags: rest.PasskeyIntelFlags{AskForInAppAppend: &trigger}, situation: "in-app"}
	}
	atPhone := []step{visit{then: accepts}, phoneInPocket{}}
	return []life{
		{"autofill", []step{
			moves{visitor.SafariOnMac, authenticator.Phone}, visit{then: accepts}, visit{autofill: true}, moves{visitor.OldBrowser, nil},
			visit{autofill: true},
			moves{visitor.WindowsOfBefore, nil}, visit{autofill: true}, moves{visitor.Instagram, nil}, visit{autofill: true},
		}},
		{"the list of passkeys", []step{
			moves{visitor.EdgeOnWindows, visitor.WindowsHello}, visit{unasked: true, then: &chance{situation: "current-user", reply: withDevice}},
			visit{unasked: true, then: &chance{situation: "current-user"}}, visit{unasked: true, then: &chance{situation: "passkey-list"}},
			visit{unasked: true, then: asks},
		}},
		{"a private window", after(atPhone,
			moves{visitor.Private(visitor.SafariOnMac), nil}, visit{reply: withDevice}, visit{then: asks}, visit{unasked: true, then: asks},
		)},
		{"the browser of another app", after(atPhone,
			moves{visitor.Instagram, nil}, visit{then: asks}, visit{then: &chance{flags: force, reply: withDevice}}, visit{reply: withDevice},
		)},
		{"a manager here and there", []step{
			moves{visitor.ChromeOnWindows, visitor.PasswordManager}, visit{then: accepts}, visit{reply: withDevice, then: asks},
			moves{visitor.SafariOnMac, nil},
			visit{reply: withDevice}, moves{visitor.WithoutManager(visitor.ChromeOnWindows), nil}, visit{then: asks},
			moves{visitor.ChromeOnLinux, nil}, visit{then: asks},
		}},
		{"from a Mac to a PC", []step{
			moves{visitor.SafariOnMac, authenticator.Phone}, visit{then: accepts}, moves{visitor.SafariOnMac, nil}, visit{unasked: true, then: asks},
			moves{visitor.ChromeOnWindows, visitor.WindowsHello}, visit{then: declines},
			visit{strategy: rest.CrossDeviceAuthenticationStrategyMaximize, reply: cancels},
			visit{unasked: true, then: accepts},
		}},
		{"an app", []step{
			moves{visitor.AppOnPhone, authenticator.Phone},
			visit{unasked: true, then: &chance{flags: rest.PasskeyIntelFlags{AskForAutoAppend: new(true)}, reply: cancels}},
			visit{unasked: true, then: inApp("after-unlock")}, visit{unasked: true, then: inApp("whenever")},
			visit{then: &chance{flags: rest.PasskeyIntelFlags{AskForConditionalCreate: new(true)}, reply: withDevice}},
			visit{reply: withDevice}, moves{visitor.AppOnPhone, authenticator.Phone}, visit{reply: withDevice}, visit{then: accepts},
		}},
	}
}

// after is one part of a life behind another.
func after(first []step, then ...step) []step { return append(first[:len(first):len(first)], then...) }

// phoneInPocket is the end of a life with a phone in hand: from now on it is taken out for other clients' codes.
type phoneInPocket struct{}

func (phoneInPocket) take(_ context.Context, g *guest) error {
	g.phone = g.Device
	return nil
}

// hasPhone and hasKey are things that the guest owns, without a passkey yet.
type (
	hasPhone struct{}
	hasKey   struct{}
)

func (hasPhone) take(_ context.Context, g *guest) error {
	g.phone = authenticator.Phone()
	return nil
}

func (hasKey) take(_ context.Context, g *guest) error {
	g.key = authenticator.SecurityKey()
	return nil
}

// eventful leads one of the lives.
func eventful(ctx context.Context, v *visitor.Visitor, random *rand.Rand, seen *tally) error {
	all := lives()
	chosen := all[random.IntN(len(all))]
	v.Device, v.Browser = authenticator.Phone(), visitor.SafariOfNewPhone()
	seen.count(func(t *tally) { t.devices[chosen.name]++ })
	if err := v.SignUp(ctx); err != nil {
		return err
	}
	g := &guest{Visitor: v, seen: seen}
	for _, step := range chosen.steps {
		if err := step.take(ctx, g); err != nil {
			return err
		}
	}
	return nil
}
