package connect_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

var deniedAppend = frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault}

func TestAUserComesWithTheFirstAppendToken(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		identifier string
		kind       account.IdentifierType
	}{
		"of an email address": {"ada@example.com", account.IdentifierTypeEmail},
		"of a phone number":   {"+4915112345678", account.IdentifierTypePhone},
		"of a user name":      {"ada", account.IdentifierTypeUsername},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			begun := p.appendInit(t)
			want := frontend.ConnectAppendInitRsp{
				ProcessID:          begun.ProcessID,
				ExpiresAt:          ceremonytest.Started.Add(30 * time.Minute).Unix(),
				FrontendAPIURL:     ceremonytest.FrontendURL,
				AppendAllowed:      true,
				Flags:              frontend.Flags{},
				NewClientEnvHandle: begun.NewClientEnvHandle,
			}
			if diff := cmp.Diff(want, begun); diff != "" {
				t.Error(diff)
			}
			start := p.appendStartWith(t, p.secret(t, rest.ConnectTokenTypePasskeyAppend, c.identifier))
			wantStart := frontend.ConnectAppendStartRsp{
				AttestationOptions: start.AttestationOptions,
				Variant:            frontend.ConnectAppendStartRspVariantDefault,
				ExpiresMs:          ceremonytest.Started.Add(5 * time.Minute).UnixMilli(),
			}
			if diff := cmp.Diff(wantStart, start); diff != "" || !strings.Contains(start.AttestationOptions, `"displayName":"Ada"`) {
				t.Error(diff, start.AttestationOptions)
			}
			done, err := p.appendFinishWith(t, start.AttestationOptions)
			if err != nil {
				t.Fatal(err)
			}
			wantDone := frontend.ConnectAppendFinishRsp{PasskeyOperation: frontend.PasskeyOperation{
				OperationType: frontend.PasskeyOperationOperationTypeAppend, IdentifierValue: c.identifier, IdentifierType: rest.IdentifierType(c.kind),
				CeremonyType: rest.CeremonyTypeLocal, AAGUIDDetails: frontend.AAGUIDDetails{Name: "Apple Passwords"},
			}}
			if diff := cmp.Diff(wantDone, done); diff != "" {
				t.Error(diff)
			}
			a := p.Account(t, p.owner(t, c.identifier))
			wantID := []account.Identifier{
				{
					ID:        a.Identifiers[0].ID,
					Type:      c.kind,
					Value:     c.identifier,
					Status:    account.IdentifierStatusPrimary,
					CreatedMs: ceremonytest.Started.UnixMilli(),
				},
			}
			if diff := cmp.Diff(
				wantID, a.Identifiers,
			); diff != "" || a.Status != account.StatusActive || *a.FullName != "Ada" || len(a.Credentials) != 1 ||
				len(a.UserHandle) != 32 {
				t.Errorf("%s%+v", diff, a)
			}
			if told := p.Events.OfType(event.UserCreated); len(told) != 1 || told[0].User != a.ID {
				t.Errorf("events: %+v", told)
			}
			// Nobody else gets the identifier.
			_, err = p.AddIdentifier(t, p.Stack, p.NewUser(t), c.kind, c.identifier)
			ceremonytest.WantField(t, err, 409, "identifierValue", "already exists")
		})
	}
}

func TestAnAppendTokenFindsTheUserWhoIsThere(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := userWith(t, p.Stack, account.IdentifierTypeEmail, "Ada@example.com", account.IdentifierStatusVerified)
	p.enrolled(t, "ada@EXAMPLE.com")
	if a := p.Account(t, user); len(a.Credentials) != 1 || len(a.Identifiers) != 1 || a.Credentials[0].Username != "ada@EXAMPLE.com" {
		t.Errorf("%+v", a)
	}
}

func TestCallsAtOnceCreateOneUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	var group sync.WaitGroup
	for range 8 {
		p := newPage(st)
		p.appendInit(t)
		secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
		group.Go(func() {
			rsp, err := p.ConnectAppendStart(t.Context(), in(p, frontend.ConnectAppendStartReq{AppendTokenValue: secret}))
			if err != nil || rsp.Body.AttestationOptions == "" {
				t.Errorf("%+v, %v", rsp.Body, err)
			}
		})
	}
	group.Wait()
	users := 0
	if err := st.Accounts.All(t.Context(), st.Project.ID, func(account.Account) bool { users++; return true }); err != nil || users != 1 {
		t.Errorf("%d users, %v", users, err)
	}
	if told := st.Events.OfType(event.UserCreated); len(told) != 1 {
		t.Errorf("%d users were told of", len(told))
	}
}

func TestAnAppendStartSaysWhatThePolicyDecided(t *testing.T) {
	t.Parallel()
	yes, given, begun := true, "checkout", "profile"
	cases := map[string]struct {
		init   func(*frontend.ConnectInitReq)
		start  func(*frontend.ConnectAppendStartReq)
		decide func(*service.AppendVerdict)
		want   frontend.ConnectAppendStartRsp
		asked  service.AppendQuestion
	}{
		"and denied": {
			decide: func(v *service.AppendVerdict) { v.Allow, v.Auto, v.Variant = false, true, rest.AppendVariantAfterError },
			want:   frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantAfterError},
		},
		"after a cross-device login": {
			decide: func(v *service.AppendVerdict) { v.Variant, v.Auto = rest.AppendVariantAfterHybrid, true },
			want:   frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantAfterHybrid, AutoAppend: true},
		},
		"in words that Connect does not have": {
			decide: func(v *service.AppendVerdict) { v.Variant, v.IsRestrictedBrowser = rest.AppendVariantPasskeyList, true },
			want:   frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault, IsRestrictedBrowser: true},
		},
		"for a browser that can create conditionally": {
			init: func(r *frontend.ConnectInitReq) {
				r.ClientInformation.ClientCapabilities = &frontend.ClientCapabilities{ConditionalCreate: &yes}
			},
			decide: func(v *service.AppendVerdict) { v.Conditional = true },
			want:   frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault, ConditionalAppend: true},
			asked:  service.AppendQuestion{Flags: rest.PasskeyIntelFlags{AskForConditionalCreate: &yes}},
		},
		"for a situation that the start names": {
			init: func(r *frontend.ConnectInitReq) {
				r.Situation = &begun
				r.ClientInformation.ClientCapabilities = &frontend.ClientCapabilities{ConditionalCreate: &yes}
			},
			start: func(r *frontend.ConnectAppendStartReq) { r.Situation = &given },
			want:  frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault},
			asked: service.AppendQuestion{Situation: "checkout"},
		},
		"for a situation that the init named": {
			init:  func(r *frontend.ConnectInitReq) { r.Situation = &begun },
			want:  frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault},
			asked: service.AppendQuestion{Situation: "profile"},
		},
		"for a user who asks for it": {
			start: func(r *frontend.ConnectAppendStartReq) { r.ForcePasskeyAppend = &yes },
			want:  frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault},
			asked: service.AppendQuestion{Flags: rest.PasskeyIntelFlags{ForcePasskeyAppend: true}},
		},
		"after a login of which it says how it was done": {
			start: func(r *frontend.ConnectAppendStartReq) {
				r.LoginMethod = new(rest.PasskeyIntelFlagsLoginMethodCode)
			},
			want:  frontend.ConnectAppendStartRsp{Variant: frontend.ConnectAppendStartRspVariantDefault},
			asked: service.AppendQuestion{Flags: rest.PasskeyIntelFlags{LoginMethod: new(rest.PasskeyIntelFlagsLoginMethodCode)}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			var asked service.AppendQuestion
			p.Decision.OnAppend = func(q service.AppendQuestion, v *service.AppendVerdict) {
				asked = q
				if c.decide != nil {
					c.decide(v)
				}
			}
			req := p.initReq()
			if c.init != nil {
				c.init(&req)
			}
			begun, err := p.ConnectAppendInit(t.Context(), in(p, req))
			if err != nil {
				t.Fatal(err)
			}
			p.token = begun.Body.ProcessID
			start := frontend.ConnectAppendStartReq{AppendTokenValue: p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")}
			if c.start != nil {
				c.start(&start)
			}
			rsp, err := p.ConnectAppendStart(t.Context(), in(p, start))
			if err != nil {
				t.Fatal(err)
			}
			if allowed := name != "and denied"; allowed {
				c.want.ExpiresMs = ceremonytest.Started.Add(5 * time.Minute).UnixMilli()
				if rsp.Body.AttestationOptions == "" {
					t.Error("no options")
				}
			} else if rsp.Body.AttestationOptions != "" {
				t.Error("options of a denied append")
			}
			c.want.AttestationOptions = rsp.Body.AttestationOptions
			if diff := cmp.Diff(c.want, rsp.Body); diff != "" || rsp.Decision == "" {
				t.Error(diff)
			}
			c.asked.Question, c.asked.Flags.AskForAutoAppend = asked.Question, &yes
			if c.asked.Situation == "" {
				c.asked.Situation = "post-login"
			}
			if diff := cmp.Diff(c.asked, asked); diff != "" || asked.Process != p.token[:20] || !asked.Environment.Known {
				t.Error(diff)
			}
		})
	}
}

func TestTheRolloutOfAppendsCreatesNobody(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.appendInit(t)
	var asked service.RolloutQuestion
	p.Decision.OnRollout = func(q service.RolloutQuestion, v *service.Verdict) { asked, v.Allow = q, false }
	if diff := cmp.Diff(deniedAppend, p.appendStartWith(t, p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com"))); diff != "" {
		t.Error(diff)
	}
	if asked.Action != service.RolloutAppend || asked.Identifier != "ada@example.com" {
		t.Errorf("%+v", asked)
	}
	if told := p.Events.Everything(); len(told) != 0 {
		t.Errorf("%+v", told)
	}
}

func TestAnAppendTokenIsGoodForOnePasskeyInOneProcess(t *testing.T) {
	t.Parallel()
	const field = "appendTokenValue"
	cases := map[string]struct {
		secret  func(t *testing.T, p *page) string
		message string
	}{
		"without one":      {func(*testing.T, *page) string { return "" }, "there is no such connect token"},
		"that was guessed": {func(*testing.T, *page) string { return "ctk1_" + strings.Repeat("x", 30) }, "there is no such connect token"},
		"of another project": {func(t *testing.T, _ *page) string {
			return newPage(ceremonytest.New(t)).secret(t, "passkey-append", "ada@example.com")
		}, "there is no such connect token"},
		"for something else": {
			func(t *testing.T, p *page) string { return p.secret(t, "passkey-list", "ada@example.com") },
			"the connect token is for something else",
		},
		"that has expired":   {expiredSecret, "the connect token has expired"},
		"that was used up":   {usedSecret, "the connect token has been used already"},
		"of another process": {boundSecret, "the connect token is in use by another process"},
		"of what names nobody": {
			func(t *testing.T, p *page) string { return p.secret(t, "passkey-append", strings.Repeat("x", 200)) },
			"names what is no email address, phone number or user name",
		},
		"of a user who has not verified the identifier": {func(t *testing.T, p *page) string {
			userWith(t, p.Stack, account.IdentifierTypeEmail, "eve@example.com", account.IdentifierStatusPending)
			return p.secret(t, "passkey-append", "eve@example.com")
		}, "names an identifier that a user of the project has, but has not verified"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			secret := c.secret(t, p)
			p.token = ""
			p.appendInit(t)
			rsp, err := p.ConnectAppendStart(t.Context(), in(p, frontend.ConnectAppendStartReq{AppendTokenValue: secret}))
			ceremonytest.WantField(t, err, 400, field, c.message)
			if diff := cmp.Diff(service.Answered[frontend.ConnectAppendStartRsp]{}, rsp); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func expiredSecret(t *testing.T, p *page) string {
	secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
	p.Clock.Advance(time.Hour)
	return secret
}

func usedSecret(t *testing.T, p *page) string {
	secret := boundSecret(t, p)
	if _, err := p.appendFinishWith(t, p.appendStartWith(t, secret).AttestationOptions); err != nil {
		t.Fatal(err)
	}
	return secret
}

func boundSecret(t *testing.T, p *page) string {
	secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
	p.appendInit(t)
	p.appendStartWith(t, secret)
	return secret
}

func TestAnAppendFinishIsRefused(t *testing.T) {
	t.Parallel()
	const attestation = "attestationResponse"
	finish := func(t *testing.T, p *page, answer string) error {
		_, err := p.ConnectAppendFinish(t.Context(), in(p, frontend.ConnectAppendFinishReq{AttestationResponse: answer}))
		return err
	}
	cases := map[string]struct {
		try            func(t *testing.T, p *page, options string) error
		field, message string
	}{
		"without an answer": {
			func(t *testing.T, p *page, _ string) error { return finish(t, p, "") }, attestation,
			"is not the JSON of a PublicKeyCredential",
		},
		"of an unknown completion type": {func(t *testing.T, p *page, options string) error {
			typo := frontend.ConnectAppendFinishReqCompletionType("magic")
			_, err := p.ConnectAppendFinish(
				t.Context(),
				in(p, frontend.ConnectAppendFinishReq{AttestationResponse: p.device.Create(t, options), CompletionType: &typo}),
			)
			return err
		}, "completionType", "must be a valid value"},
		"for another origin": {func(t *testing.T, p *page, options string) error {
			p.device.Origin = "https://evil.example"
			return finish(t, p, p.device.Create(t, options))
		}, attestation, "the origin is not one of the project's"},
		"in a process that was not started": {func(t *testing.T, p *page, options string) error {
			p.token = ""
			p.appendInit(t)
			return finish(t, p, p.device.Create(t, options))
		}, attestation, "the challenge is unknown, or was not given to this user"},
		"after somebody else was named": {func(t *testing.T, p *page, options string) error {
			p.identified(t, "nobody@example.com")
			return finish(t, p, p.device.Create(t, options))
		}, attestation, "the challenge is unknown, or was not given to this user"},
		"twice": {func(t *testing.T, p *page, options string) error {
			if err := finish(t, p, p.device.Create(t, options)); err != nil {
				t.Fatal(err)
			}
			return finish(t, p, p.device.Create(t, options))
		}, "appendTokenValue", "the connect token has been used already"},
		"with a second challenge of the token": {func(t *testing.T, p *page, options string) error {
			secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
			first, second := p.appendStartWith(t, secret), p.appendStartWith(t, secret)
			if err := finish(t, p, p.device.Create(t, second.AttestationOptions)); err != nil {
				t.Fatal(err)
			}
			p.device.Key = authenticator.NewKey()
			return finish(t, p, p.device.Create(t, first.AttestationOptions))
		}, "appendTokenValue", "the connect token has been used already"},
		"by a user who was disabled": {func(t *testing.T, p *page, options string) error {
			disable(t, p.Stack, p.owner(t, "ada@example.com"))
			return finish(t, p, p.device.Create(t, options))
		}, attestation, "the user of the credential is not active"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			p.appendInit(t)
			start := p.appendStartWith(t, p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com"))
			ceremonytest.WantField(t, c.try(t, p, start.AttestationOptions), 400, c.field, c.message)
		})
	}
}

func TestWhatWasBegunWithATokenIsFinishedAfterItHasExpired(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
	p.Clock.Advance(59 * time.Minute)
	p.appendInit(t)
	start := p.appendStartWith(t, secret)
	p.Clock.Advance(2 * time.Minute)
	if _, err := p.appendFinishWith(t, start.AttestationOptions); err != nil {
		t.Error(err)
	}
}

func TestTwoFinishesOfOneTokenCreateOnePasskey(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.appendInit(t)
	secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
	var answers [4]string
	for i := range answers {
		answers[i] = authenticator.Phone().Create(t, p.appendStartWith(t, secret).AttestationOptions)
	}
	var group sync.WaitGroup
	for _, answer := range answers {
		group.Go(func() {
			_, _ = p.ConnectAppendFinish(t.Context(), in(p, frontend.ConnectAppendFinishReq{AttestationResponse: answer}))
		})
	}
	group.Wait()
	if a := p.Account(t, p.owner(t, "ada@example.com")); len(a.Credentials) != 1 {
		t.Errorf("%d passkeys", len(a.Credentials))
	}
}

func TestAUserWhoIsDeletedDuringAnAppendIsNotCreatedAgain(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.appendInit(t)
	secret := p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")
	start := p.appendStartWith(t, secret)
	deleteUser(t, p.Stack, p.owner(t, "ada@example.com"))
	_, err := p.appendFinishWith(t, start.AttestationOptions)
	wantNoProcess(t, err)
	// The deletion took the token along with the process.
	p.token = ""
	p.appendInit(t)
	_, err = p.ConnectAppendStart(t.Context(), in(p, frontend.ConnectAppendStartReq{AppendTokenValue: secret}))
	ceremonytest.WantField(t, err, 400, "appendTokenValue", "there is no such connect token")
}

func TestAUserWhoIsDeletedInTheMiddleOfAStartLeavesNoProcess(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.appendInit(t)
	var user ident.UserID
	p.Decision.OnAppend = func(q service.AppendQuestion, _ *service.AppendVerdict) {
		user = q.Account.ID
		deleteUser(t, p.Stack, user)
	}
	_, _ = p.ConnectAppendStart(
		t.Context(),
		in(p, frontend.ConnectAppendStartReq{AppendTokenValue: p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com")}),
	)
	_, err := p.ConnectAppendFinish(t.Context(), in(p, frontend.ConnectAppendFinishReq{AttestationResponse: "{}"}))
	wantNoProcess(t, err)
}
