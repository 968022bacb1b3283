package signin_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestAUserSignsUpAndLogsInWithAPasskey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identifier frontend.LoginIdentifier
		status     frontend.IdentifierStatus
	}{
		"with an email address that is not verified": {emailOf("ada@example.com"), "pending"},
		"with a user name":                           {usernameOf("ada"), "primary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			b := begin(t, st, func(r *frontend.ProcessInitReq) { r.PreferredBlock = new(frontend.BlockTypeSignupInit) })
			b.at(t, frontend.BlockTypeSignupInit)
			b.signUp(t, frontend.BlockTypePasskeyAppend, c.identifier)
			b.append(t, d)
			b.skip(t, frontend.BlockTypeCompleted)
			done := b.session(t)
			want := &frontend.PasskeyOperation{
				OperationType: "append", IdentifierValue: c.identifier.Identifier, IdentifierType: c.identifier.Type, CeremonyType: "local",
				AAGUIDDetails: frontend.AAGUIDDetails{Name: "Apple Passwords"},
			}
			if diff := cmp.Diff(want, done.PasskeyOperation); diff != "" {
				t.Error(diff)
			}
			me := whose(t, st, done.SessionToken)
			wantMe := []frontend.Identifier{{ID: me.Identifiers[0].ID, Type: c.identifier.Type, Value: c.identifier.Identifier, Status: c.status}}
			if diff := cmp.Diff(wantMe, me.Identifiers); diff != "" {
				t.Error(diff)
			}
			if b.cookies == nil || b.cookies.SessionToken != done.SessionToken || b.cookies.RefreshToken == "" || done.RefreshToken != nil {
				t.Errorf("cookies: %+v", b.cookies)
			}
			wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))

			again := begin(t, st)
			again.at(t, frontend.BlockTypeLoginInit)
			again.logIn(t, c.identifier.Identifier, frontend.BlockTypePasskeyVerify)
			st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.Allow = false }
			again.verify(t, d, frontend.BlockTypeCompleted)
			if got := whose(t, st, again.session(t).SessionToken); got.ID != me.ID {
				t.Errorf("logged in as %s, want %s", got.ID, me.ID)
			}
			if op := again.session(t).PasskeyOperation; op == nil || op.OperationType != "verify" || op.IdentifierValue != c.identifier.Identifier {
				t.Errorf("operation: %+v", op)
			}
			if len(st.Account(t, userNamed(t, st, me.ID)).Credentials) != 1 || st.Account(t, userNamed(t, st, me.ID)).SignUpUntilMs != 0 {
				t.Error("the account is not complete")
			}
		})
	}
}

func TestASignUpVerifiesAnAddressBeforeAnythingIsKept(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), verifying(false)), authenticator.Phone()
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf("Ada@Example.com"))
	want := frontend.BlockVerifyIdentifier{
		BlockType:                      "email-verify",
		VerificationMethod:             "email-otp",
		Identifier:                     "Ada@Example.com",
		AlternativeVerificationMethods: []frontend.AlternativeVerificationMethod{},
	}
	if diff := cmp.Diff(want, b.verification(t)); diff != "" {
		t.Error(diff)
	}
	sent := st.Delivery.Inbox(t, 1)
	if len(st.Everyone(t)) != 0 {
		t.Fatal("there is a user already")
	}
	// Whoever else wants the address can have it until it is proven.
	other := begin(t, st)
	other.signUp(t, frontend.BlockTypeEmailVerify, emailOf("ada@example.com"))

	wantPlace(t, try(t, b, b.ProcessComplete, service.Empty{}))
	wantPlace(t, try(t, b, b.BlockSkip, service.Empty{}))
	b.code(t, ceremonytest.Wrong(sent.Value), frontend.BlockTypeEmailVerify)
	if got := problem(b.verification(t).Error); got != "invalid_challenge_solution_email-otp" {
		t.Errorf("problem %q", got)
	}
	b.code(t, sent.Value, frontend.BlockTypePasskeyAppend)
	if q := st.Decision.Last(); q.Process != b.token[:20] {
		t.Errorf("asked for the process %q", q.Process)
	}
	b.append(t, d)
	do(t, b, b.ProcessComplete, service.Empty{}, frontend.BlockTypeCompleted)
	me := whose(t, st, b.session(t).SessionToken)
	if me.Identifiers[0].Status != rest.IdentifierStatusPrimary {
		t.Errorf("identifier: %+v", me.Identifiers[0])
	}
	st.WantTold(t, userNamed(t, st, me.ID), event.UserCreated)

	// The other one comes too late.
	other.code(t, st.Delivery.Inbox(t, 2).Value, frontend.BlockTypeSignupInit)
	form := dataOf(t, other.body.Data.AsBlockSignupInit)
	if problem(form.Identifiers[0].Error) != "identifier_already_in_use" {
		t.Errorf("form: %+v", form)
	}
}

func TestASignUpSaysWhatIsWrongInTheForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frontend func(*project.Frontend)
		given    []frontend.LoginIdentifier
		codes    []string // of the fields of the form
		form     string
	}{
		"with an address that is taken, in capitals": {
			nil, []frontend.LoginIdentifier{emailOf("ADA@example.com")}, []string{"identifier_already_in_use", ""}, "",
		},
		"with a user name that is taken": {
			nil, []frontend.LoginIdentifier{emailOf("new@example.com"), usernameOf("ada")},
			[]string{"", "identifier_already_in_use"}, "",
		},
		"with what is no address": {nil, []frontend.LoginIdentifier{emailOf("@")}, []string{"identifier_invalid_format", ""}, ""},
		"with nothing": {
			nil, []frontend.LoginIdentifier{usernameOf("")}, []string{"missing_identifier_type", "missing_identifier_type"}, "",
		},
		"without the full name": {
			func(f *project.Frontend) { f.FullName = true }, []frontend.LoginIdentifier{usernameOf("bob")}, []string{"", ""}, "",
		},
		"where there is no sign-up": {
			func(f *project.Frontend) { f.NoSignUp = true }, []frontend.LoginIdentifier{usernameOf("bob")}, []string{"", ""},
			"identifier_not_allowed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			member(t, st, authenticator.Phone(), emailOf(ceremonytest.Email), usernameOf("ada"))
			if c.frontend != nil {
				meeting(st, c.frontend)
			}
			before := len(st.Everyone(t))
			b := begin(t, st)
			b.signUp(t, frontend.BlockTypeSignupInit, c.given...)
			form := dataOf(t, b.body.Data.AsBlockSignupInit)
			var codes []string
			for _, f := range form.Identifiers {
				codes = append(codes, problem(f.Error))
			}
			if diff := cmp.Diff(c.codes, codes); diff != "" || problem(form.Error) != c.form {
				t.Errorf("form %q: %s", problem(form.Error), diff)
			}
			if form.FullName != nil && problem(form.FullName.Error) != "missing_full_name" {
				t.Errorf("full name: %+v", form.FullName)
			}
			wantPlace(t, try(t, b, b.ProcessComplete, service.Empty{}))
			if len(st.Everyone(t)) != before {
				t.Error("a user was created")
			}
		})
	}
}

func TestTheFirstBlockIsTheOneThatIsWanted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		noSignUp  bool
		preferred *frontend.BlockType
		want      frontend.BlockType
		other     int
	}{
		"login by default":                        {false, nil, frontend.BlockTypeLoginInit, 1},
		"sign-up if that is preferred":            {false, new(frontend.BlockTypeSignupInit), frontend.BlockTypeSignupInit, 1},
		"login where nobody can sign up":          {true, new(frontend.BlockTypeSignupInit), frontend.BlockTypeLoginInit, 0},
		"login if something else is preferred":    {false, new(frontend.BlockTypeCompleted), frontend.BlockTypeLoginInit, 1},
		"login if that is what is preferred most": {false, new(frontend.BlockTypeLoginInit), frontend.BlockTypeLoginInit, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := meeting(ceremonytest.New(t), func(f *project.Frontend) { f.NoSignUp = c.noSignUp })
			b := begin(t, st, func(r *frontend.ProcessInitReq) { r.PreferredBlock = c.preferred })
			b.at(t, c.want)
			alternatives := 0
			if b.body.Alternatives != nil {
				alternatives = len(*b.body.Alternatives)
			}
			if alternatives != c.other {
				t.Errorf("%d alternatives", alternatives)
			}
			common := frontend.ProcessCommon{AppName: "Shop", FrontendAPIURL: ceremonytest.FrontendURL, HideBadge: true, Environment: "development"}
			if diff := cmp.Diff(common, b.init.ProcessResponse.Common); diff != "" {
				t.Error(diff)
			}
			if b.init.NewClientEnvHandle == nil || b.init.ExpiresAt != ceremonytest.Started.Add(30*time.Minute).Unix() {
				t.Errorf("init: %+v", b.init)
			}
			got := begin(t, st)
			do(t, got, func(ctx context.Context, r service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
				return st.ProcessGet(ctx, r)
			}, c.preferred, c.want)
		})
	}
}

func TestACreationThatIsNotOfferedOrNotWantedLeadsToTheSession(t *testing.T) {
	t.Parallel()
	hour := ceremonytest.Started.Add(-time.Hour).Unix()
	for name, c := range map[string]struct {
		signUp bool
		change func(*frontend.ProcessInitReq)
		decide func(service.AppendQuestion, *service.AppendVerdict)
		via    frontend.BlockType // what is skipped; empty = nothing is shown
	}{
		"a sign-up without an offer":         {true, nil, noAppend, ""},
		"a sign-up with a silent offer only": {true, nil, func(_ service.AppendQuestion, v *service.AppendVerdict) { v.Conditional = true }, ""},
		"a sign-up whose offer is skipped":   {true, nil, nil, frontend.BlockTypePasskeyAppend},
		"a login without an offer":           {false, nil, noAppend, ""},
		"a login that the policy spares another offer": {
			false, func(r *frontend.ProcessInitReq) { r.PasskeyAppendShown = &hour }, unlessShown, "",
		},
		"a login whose offer is skipped": {false, nil, nil, frontend.BlockTypePasskeyAppend},
		"a sign-up an hour after the last login's one": {
			true, func(r *frontend.ProcessInitReq) { r.PasskeyAppendShown = &hour }, nil, frontend.BlockTypePasskeyAppend,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			if !c.signUp {
				member(t, st, d, emailOf(ceremonytest.Email))
			}
			st.Decision.OnAppend = c.decide
			var changes []func(*frontend.ProcessInitReq)
			if c.change != nil {
				changes = append(changes, c.change)
			}
			b := begin(t, st, changes...)
			next := frontend.BlockTypeCompleted
			if c.via != "" {
				next = c.via
			}
			if c.signUp {
				b.signUp(t, next, emailOf("bob@example.com"))
			} else {
				b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
				b.verify(t, d, next)
			}
			if c.via != "" {
				if canSkip := (*b.body.Alternatives)[0].Block == frontend.BlockTypeCompleted; !canSkip {
					t.Error("clients do not know that it can be skipped")
				}
				b.skip(t, frontend.BlockTypeCompleted)
			}
			if b.session(t).SessionToken == "" {
				t.Error("no session")
			}
		})
	}
}

// unlessShown is a policy that spares clients which have shown an offer.
func unlessShown(q service.AppendQuestion, v *service.AppendVerdict) {
	v.Allow = v.Allow && (q.Flags.AppendShown == nil || *q.Flags.AppendShown != ceremonytest.Started.Add(-time.Hour).Unix())
}

// unlessOptedOut is a policy that does as clients say of logins with another device.
func unlessOptedOut(q service.AppendQuestion, v *service.AppendVerdict) {
	v.Allow = v.Allow && (q.Flags.OptOutAfterHybrid == nil || !*q.Flags.OptOutAfterHybrid)
}

func TestALoginWithAnotherDeviceIsFollowedByAnOfferForThisOne(t *testing.T) {
	t.Parallel()
	for name, optOut := range map[string]bool{"by default": false, "unless the user does not want to be asked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			member(t, st, d, emailOf(ceremonytest.Email))
			st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.IsCDACandidate, v.Route = true, event.CDA }
			st.Decision.OnAppend = unlessOptedOut
			b := begin(t, st, func(r *frontend.ProcessInitReq) { r.OptOutOfPasskeyAppendAfterHybrid = &optOut })
			b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
			if hint := b.request(t).LoginHint; hint == nil || *hint != frontend.BlockPasskeyVerifyLoginHintCDA {
				t.Errorf("hint %v", hint)
			}
			d.Attachment = "cross-platform"
			if optOut {
				b.verify(t, d, frontend.BlockTypeCompleted)
				return
			}
			b.verify(t, d, frontend.BlockTypePasskeyAppend)
			want := frontend.BlockPasskeyAppend{
				BlockType: "passkey-append", Challenge: b.creation(t).Challenge, IdentifierValue: ceremonytest.Email, IdentifierType: "email",
				OnlyWayBack: new(false), PasskeyIconSet: "apple", Variant: "after-hybrid",
			}
			if diff := cmp.Diff(want, b.creation(t)); diff != "" {
				t.Error(diff)
			}
			b.skip(t, frontend.BlockTypeCompleted)
			if op := b.session(t).PasskeyOperation; op == nil || op.CeremonyType != "cda" {
				t.Errorf("operation %+v", op)
			}
		})
	}
}

func mediating(r *frontend.ProcessInitReq) {
	r.ClientInformation.IsConditionalMediationAvailable = new(true)
}

func TestTheLoginFormTakesAPasskey(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	user := member(t, st, d, usernameOf("ada"))
	st.Decision.OnAppend = noAppend
	b := begin(t, st, mediating)
	form := dataOf(t, b.body.Data.AsBlockLoginInit)
	if form.ConditionalUIChallenge == nil || form.IsPhoneAvailable || !form.IsEmailAvailable || !form.IsUsernameAvailable {
		t.Fatalf("form: %+v", form)
	}
	do(
		t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, *form.ConditionalUIChallenge)},
		frontend.BlockTypeCompleted,
	)
	if op := b.session(t).PasskeyOperation; op == nil || op.IdentifierType != "username" || op.IdentifierValue != "ada" {
		t.Errorf("operation: %+v", op)
	}

	credential := st.Account(t, user).Credentials[0].ID
	if _, err := st.DeleteCredential(
		t.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: credential},
	); err != nil {
		t.Fatal(err)
	}
	b = begin(t, st, mediating)
	first := *dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	do(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, first)}, frontend.BlockTypeLoginInit)
	next := dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	if problem(b.body.Error) != "invalid_conditional_ui_login" || next == nil || *next == first {
		t.Errorf("problem %q, options %v", problem(b.body.Error), next)
	}
	if told := dataOf(t, b.body.Data.AsBlockLoginInit).Signals; told != nil {
		t.Errorf("of a passkey that was revoked, browsers are told %+v", told)
	}
}

func TestAPasskeyThatTheProjectNeverHadIsSignalledAsUnknown(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	d.Options.UserHandle = []byte("somebody")
	b := begin(t, st, mediating)
	first := *dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	answer := d.Get(t, first)
	do(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: answer}, frontend.BlockTypeLoginInit)
	var passkey struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &passkey); err != nil {
		t.Fatal(err)
	}
	want := &frontend.PasskeySignals{RpID: st.Project.RPID, UnknownCredentialID: &passkey.ID}
	if diff := cmp.Diff(want, dataOf(t, b.body.Data.AsBlockLoginInit).Signals); diff != "" {
		t.Error(diff)
	}
}

// Only a passkey that the project does not have is called gone: a browser may be told to remove it.
func TestTheLoginFormSaysWhyAPasskeyDidNotLogAnybodyIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device, options string) string
		want   string
	}{
		"its challenge has expired": {func(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device, options string) string {
			signed := d.Get(tb, options)
			st.Clock.Advance(6 * time.Minute)
			return signed
		}, "conditional_ui_challenge_expired"},
		"the signature is bad": {func(tb testing.TB, _ *ceremonytest.Stack, d *authenticator.Device, options string) string {
			var signed map[string]any
			if err := json.Unmarshal([]byte(d.Get(tb, options)), &signed); err != nil {
				tb.Fatal(err)
			}
			signed["response"].(map[string]any)["signature"] = "MAYCAQECAQE"
			raw, err := json.Marshal(signed)
			if err != nil {
				tb.Fatal(err)
			}
			return string(raw)
		}, "conditional_ui_login_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			member(t, st, d, usernameOf("ada"))
			b := begin(t, st, mediating)
			first := *dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge
			do(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: c.answer(t, st, d, first)}, frontend.BlockTypeLoginInit)
			next := dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge
			if problem(b.body.Error) != c.want || next == nil || *next == first {
				t.Errorf("problem %q, options %v", problem(b.body.Error), next)
			}
		})
	}
}

func TestTheLoginFormAsksForNoPasskeyIf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		client func(*frontend.ProcessInitReq)
		decide func(service.Question, *service.Verdict)
	}{
		"the browser cannot":    {func(*frontend.ProcessInitReq) {}, nil},
		"the policy says no so": {mediating, func(_ service.Question, v *service.Verdict) { v.Allow = false }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			st.Decision.OnMediation = c.decide
			if form := dataOf(t, begin(t, st, c.client).body.Data.AsBlockLoginInit); form.ConditionalUIChallenge != nil {
				t.Errorf("options: %s", *form.ConditionalUIChallenge)
			}
		})
	}
}

func TestASessionLivesNoLongerThanThePolicyObliges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, then int // seconds that the finishes oblige to
		way         func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, then func()) frontend.BlockCompleted
		want        float64
	}{
		"of a login": {60, 0, func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, _ func()) frontend.BlockCompleted {
			st.Decision.OnAppend = noAppend
			b := begin(t, st)
			b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
			b.verify(t, d, frontend.BlockTypeCompleted)
			return b.session(t)
		}, 60},
		"of a passkey that the login form takes": {
			60, 0, func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, _ func()) frontend.BlockCompleted {
				st.Decision.OnAppend = noAppend
				b := begin(t, st, mediating)
				answer := d.Get(t, *dataOf(t, b.body.Data.AsBlockLoginInit).ConditionalUIChallenge)
				do(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: answer}, frontend.BlockTypeCompleted)
				return b.session(t)
			}, 60,
		},
		"of a login, and a creation that obliges to less":    {120, 60, loggedInAndCreated, 60},
		"of a login, and a creation that obliges to more":    {60, 120, loggedInAndCreated, 60},
		"of a login, and a creation that obliges to nothing": {60, 0, loggedInAndCreated, 60},
		"of a login without, and a creation that obliges":    {0, 60, loggedInAndCreated, 60},
		"of a login that obliges to nothing":                 {0, 0, loggedInAndCreated, 900},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			member(t, st, d, emailOf(ceremonytest.Email))
			st.Oblige(c.first, true)
			done := c.way(t, st, d, func() { st.Oblige(c.then, true) })
			if exp := st.Verified(t, done.SessionToken, ceremonytest.FrontendURL)["exp"]; exp != float64(st.Clock.Now().Unix())+c.want {
				t.Errorf("it ends in %v seconds, want %v", exp.(float64)-float64(st.Clock.Now().Unix()), c.want)
			}
		})
	}
}

// loggedInAndCreated logs in with a passkey of another device, does what is to be done then, and creates one here.
func loggedInAndCreated(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, then func()) frontend.BlockCompleted {
	t.Helper()
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.IsCDACandidate, v.Route = true, event.CDA }
	b := begin(t, st)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	b.verify(t, d, frontend.BlockTypePasskeyAppend)
	then()
	b.append(t, authenticator.Phone())
	b.skip(t, frontend.BlockTypeCompleted)
	return b.session(t)
}
