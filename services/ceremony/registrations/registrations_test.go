package registrations_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func register(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, body service.PasskeyRegistration) (service.PendingPasskey, error) {
	tb.Helper()
	return st.RegisterPasskey(tb.Context(), service.ForUser[service.PasskeyRegistration]{Project: st.Project.ID, User: user, Body: body})
}

func verifyPasskey(
	ctx context.Context, st *ceremonytest.Stack, user ident.UserID, id ident.CredentialID, credential string,
) (service.Change, error) {
	return st.VerifyPasskey(ctx, service.ForUser[service.PasskeyVerification]{
		Project: st.Project.ID, User: user, Body: service.PasskeyVerification{
			ID: id, Credential: json.RawMessage(credential), Name: "Ada's phone", Address: "127.0.0.1",
		},
	})
}

func remove(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, id ident.CredentialID) (service.Change, error) {
	tb.Helper()
	return st.RemovePasskey(tb.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: id})
}

func passkeys(tb testing.TB, st *ceremonytest.Stack, user ident.UserID) service.PasskeyList {
	tb.Helper()
	list, err := st.ListPasskeys(tb.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func mustRegister(tb testing.TB, st *ceremonytest.Stack, user ident.UserID, body service.PasskeyRegistration) service.PendingPasskey {
	tb.Helper()
	pending, err := register(tb, st, user, body)
	if err != nil {
		tb.Fatal(err)
	}
	return pending
}

// wantReason checks that err is a fault of that status and reason.
func wantReason(tb testing.TB, err error, status int, reason string) {
	tb.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != status || f.Reason != reason {
		tb.Errorf("got %v, want a fault with the status %d and the reason %s", err, status, reason)
	}
}

func TestARegistrationThatIsRefusedLeavesItsEventOnceAndTellsWhatToSignal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(st *ceremonytest.Stack, d *authenticator.Device, answer *string, options []byte)
		reason string
		known  bool // the challenge
		signal bool
	}{
		"an answer that cannot be read": {func(_ *ceremonytest.Stack, _ *authenticator.Device, answer *string, _ []byte) {
			*answer = "null"
		}, "is not the JSON of a PublicKeyCredential", false, false},
		"an expired challenge": {func(st *ceremonytest.Stack, _ *authenticator.Device, _ *string, _ []byte) {
			st.Clock.Advance(time.Hour)
		}, "the challenge has expired", true, true},
		"another origin": {func(_ *ceremonytest.Stack, d *authenticator.Device, answer *string, options []byte) {
			d.Origin = "https://evil.example"
			*answer = d.Create(t, string(options))
		}, "the origin is not one of the project's", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NamedUser(t, account.IdentifierStatusVerified), authenticator.Phone()
			pending := mustRegister(t, st, user, service.PasskeyRegistration{})
			answer := d.Create(t, string(pending.Options))
			c.change(st, d, &answer, pending.Options)
			_, err := verifyPasskey(t.Context(), st, user, pending.ID, answer)
			wantReason(t, err, 400, service.ReasonCredential)
			if signals := fault.As(err).Signals; (signals != nil) != c.signal {
				t.Errorf("the client is to signal %+v", signals)
			}
			told := st.Events.OfType(event.AppendRefused)
			if len(told) != 1 || told[0].Refused.Reason != c.reason || (told[0].Ceremony != "") != c.known {
				t.Errorf("the refusal left %+v", told)
			}
		})
	}
}

func TestARegisteredPasskeyLogsIn(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NamedUser(t, account.IdentifierStatusVerified), authenticator.Phone()
	if list := passkeys(t, st, user); len(list.Passkeys) != 0 || list.ChangedMs != ceremonytest.Started.UnixMilli() {
		t.Errorf("at first: %+v", list)
	}
	pending := mustRegister(t, st, user, service.PasskeyRegistration{UserAgent: "Mozilla/5.0", Address: "127.0.0.1"})
	client := rest.ClientInformation{UserAgent: "Mozilla/5.0", RemoteAddress: "127.0.0.1", ClientCapabilities: &rest.ClientCapabilities{}}
	if diff := cmp.Diff(client, st.Decision.Last().Client); diff != "" {
		t.Errorf("the policy was asked about another client: %s", diff)
	}
	if list := passkeys(t, st, user); len(list.Passkeys) != 0 {
		t.Errorf("a pending passkey is listed: %+v", list)
	}
	st.Clock.Advance(time.Minute)
	nowMs := st.Clock.Now().UnixMilli()
	verified, err := verifyPasskey(t.Context(), st, user, pending.ID, d.Create(t, string(pending.Options)))
	if err != nil {
		t.Fatal(err)
	}
	if verified.ChangedMs != nowMs || verified.CreatedMs != ceremonytest.Started.UnixMilli() || pending.Change != (service.Change{
		ChangedMs: ceremonytest.Started.UnixMilli(), CreatedMs: ceremonytest.Started.UnixMilli(),
	}) {
		t.Errorf("changes: %+v, %+v", pending.Change, verified)
	}
	want := service.PasskeyList{Passkeys: []service.Passkey{{ID: pending.ID, Name: "Ada's phone"}}, ChangedMs: nowMs}
	if diff := cmp.Diff(want, passkeys(t, st, user)); diff != "" {
		t.Error(diff)
	}
	if a := st.Account(
		t, user,
	); a.Credentials[0].Username != ceremonytest.Email || a.Credentials[0].RPID != authenticator.RPID ||
		len(a.Environments) != 0 {
		t.Errorf("account: %+v", a)
	}

	common := event.Event{
		Project: st.Project.ID, User: user, Challenge: authenticator.ChallengeIn(t, string(pending.Options)),
		Kind: event.KindDefault, Credential: string(pending.ID), Decision: pending.Decision,
	}
	offered, completed := common, common
	offered.Type, offered.CreatedMs = event.AppendOffered, ceremonytest.Started.UnixMilli()
	completed.Type, completed.CreatedMs, completed.Client = event.AppendCompleted, nowMs, &event.Client{
		Address: "127.0.0.0", OS: "macOS", Browser: "Safari",
	}
	completed.Origin, completed.UV = &event.Origin{Address: "127.0.0.0", Network: "127.0.0.0/24"}, new(true)
	completed.Route, completed.Attachment = event.Local, "platform"
	completed.Sighted = st.Project.Namer().Name(string(user), "", "127.0.0.1")
	if diff := cmp.Diff(
		[]event.Event{offered, completed}, st.Events.All(), cmpopts.IgnoreFields(event.Event{}, "ID", "Ceremony"),
	); diff != "" {
		t.Error(diff)
	}

	start := st.BeginLogin(t, user, d)
	data, err := st.FinishLogin(t, user, d, d.Get(t, start.AssertionOptions))
	if err != nil || data.ID != string(pending.ID) {
		t.Errorf("the login: %+v, %v", data, err)
	}
}

// optionsOf are the parts of creation options that a caller of RegisterPasskey can choose.
type optionsOf struct {
	PublicKey struct {
		RP struct {
			ID string `json:"id"`
		} `json:"rp"`
		Timeout   int      `json:"timeout"`
		Hints     []string `json:"hints"`
		Selection struct {
			Attachment       string `json:"authenticatorAttachment"`
			UserVerification string `json:"userVerification"`
		} `json:"authenticatorSelection"`
		User struct {
			Name string `json:"name"`
		} `json:"user"`
		Exclude []any `json:"excludeCredentials"`
	} `json:"publicKey"`
}

func TestTheCallersChoicesAreInTheOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body       service.PasskeyRegistration
		rpID       string
		attachment string
		hints      []string
	}{
		"nothing is chosen": {service.PasskeyRegistration{}, authenticator.RPID, "platform", []string{"client-device"}},
		"this device": {
			service.PasskeyRegistration{Attachment: "platform"}, authenticator.RPID, "platform", []string{"client-device"},
		},
		"another device": {
			service.PasskeyRegistration{Attachment: "cross-platform"}, authenticator.RPID, "cross-platform",
			[]string{"security-key", "hybrid"},
		},
		"the domain there is": {
			service.PasskeyRegistration{Domain: authenticator.RPID}, authenticator.RPID, "platform", []string{"client-device"},
		},
		"a subdomain": {service.PasskeyRegistration{Domain: "login.example.com"}, "login.example.com", "platform", []string{"client-device"}},
		"a subdomain in capital": {
			service.PasskeyRegistration{Domain: "Login.Example.COM"}, "login.example.com", "platform", []string{"client-device"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NamedUser(t, account.IdentifierStatusVerified), authenticator.Phone()
			pending := mustRegister(t, st, user, c.body)
			var got optionsOf
			if err := json.Unmarshal(pending.Options, &got); err != nil {
				t.Fatal(err)
			}
			var want optionsOf
			want.PublicKey.RP.ID, want.PublicKey.Timeout = c.rpID, 300_000
			want.PublicKey.Hints, want.PublicKey.User.Name = c.hints, ceremonytest.Email
			want.PublicKey.Selection.Attachment, want.PublicKey.Selection.UserVerification = c.attachment, "required"
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			d.RPID = c.rpID
			if _, err := verifyPasskey(t.Context(), st, user, pending.ID, d.Create(t, string(pending.Options))); err != nil {
				t.Error(err)
			}
			if a := st.Account(t, user); len(a.Credentials) != 1 || a.Credentials[0].RPID != c.rpID {
				t.Errorf("kept: %+v", a.Credentials)
			}
		})
	}
}

func TestARegistrationIsRefusedWithAReasonAndNothingIsStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    service.PasskeyRegistration
		prepare func(*testing.T, *ceremonytest.Stack, *ident.UserID)
		status  int
		reason  string
	}{
		"nobody": {
			prepare: func(_ *testing.T, _ *ceremonytest.Stack, user *ident.UserID) { *user = "usr-1" },
			status:  404,
			reason:  service.ReasonUserUnknown,
		},
		"who is not active":         {prepare: disable, status: 412, reason: service.ReasonUserInactive},
		"who the policy refuses":    {prepare: refuse, status: 412, reason: service.ReasonDenied},
		"on another domain":         {body: service.PasskeyRegistration{Domain: "example.org"}, status: 400, reason: service.ReasonDomain},
		"on the domain above":       {body: service.PasskeyRegistration{Domain: "com"}, status: 400, reason: service.ReasonDomain},
		"on a domain without pages": {body: service.PasskeyRegistration{Domain: "shop.example.com"}, status: 400, reason: service.ReasonDomain},
		"on what only ends alike":   {body: service.PasskeyRegistration{Domain: "n.example.com"}, status: 400, reason: service.ReasonDomain},
		"with no such kind":         {body: service.PasskeyRegistration{Attachment: "roaming"}, status: 400},
		"with an unknown code": {
			body:   service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "x"}},
			status: 400,
			reason: service.ReasonCodeInvalid,
		},
		"nobody, with a code": {
			body:    service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "x"}},
			prepare: func(_ *testing.T, _ *ceremonytest.Stack, user *ident.UserID) { *user = "usr-1" }, status: 400,
			reason: service.ReasonCodeInvalid,
		},
		"with what is no code": {
			body:   service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "*", Code: "x"}},
			status: 400,
			reason: service.ReasonCodeInvalid,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NewUser(t)
			known := user
			if c.prepare != nil {
				c.prepare(t, st, &user)
			}
			_, err := register(t, st, user, c.body)
			wantReason(t, err, c.status, c.reason)
			if len(st.Events.All()) != 0 || len(st.Challenges(t, known)) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func disable(t *testing.T, st *ceremonytest.Stack, user *ident.UserID) {
	disabled := rest.UserStatusDisabled
	if _, err := st.UpdateUser(
		t.Context(),
		service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: *user, Body: rest.UserUpdateReq{Status: &disabled}},
	); err != nil {
		t.Fatal(err)
	}
}

func refuse(_ *testing.T, st *ceremonytest.Stack, _ *ident.UserID) {
	st.Decision.OnAppend = func(q service.AppendQuestion, v *service.AppendVerdict) { v.Allow = !q.Flags.ForcePasskeyAppend }
}

// registering is a registration that is to be verified.
type registering struct {
	st      *ceremonytest.Stack
	user    ident.UserID
	id      ident.CredentialID
	device  *authenticator.Device
	pending service.PendingPasskey
	answer  string
}

func (a *registering) sign(t *testing.T) {
	t.Helper()
	a.answer = a.device.Create(t, string(a.pending.Options))
}

func TestAnAnswerThatDoesNotFitRegistersNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *registering)
		status int
		reason string
	}{
		"for nobody":       {func(_ *testing.T, a *registering) { a.user = "usr-1" }, 404, service.ReasonUserUnknown},
		"for another user": {func(t *testing.T, a *registering) { a.user = a.st.NewUser(t) }, 404, service.ReasonPasskeyUnknown},
		"of another project": {
			func(t *testing.T, a *registering) { a.st = ceremonytest.New(t); a.user = a.st.NewUser(t) }, 404,
			service.ReasonPasskeyUnknown,
		},
		"with an unknown passkey":    {func(_ *testing.T, a *registering) { a.id = "cre-1" }, 404, service.ReasonPasskeyUnknown},
		"with no passkey":            {func(_ *testing.T, a *registering) { a.id = "" }, 404, service.ReasonPasskeyUnknown},
		"who is not active any more": {func(t *testing.T, a *registering) { disable(t, a.st, &a.user) }, 412, service.ReasonUserInactive},
		"too late":                   {func(_ *testing.T, a *registering) { a.st.Clock.Advance(time.Hour) }, 400, service.ReasonCredential},
		"that is no JSON":            {func(_ *testing.T, a *registering) { a.answer = "{" }, 400, service.ReasonCredential},
		"that is empty":              {func(_ *testing.T, a *registering) { a.answer = "{}" }, 400, service.ReasonCredential},
		"from another page": {
			func(t *testing.T, a *registering) { a.device.Origin = "https://evil.example"; a.sign(t) }, 400,
			service.ReasonCredential,
		},
		"of another relying party": {
			func(t *testing.T, a *registering) { a.device.RPID = "example.org"; a.sign(t) }, 400, service.ReasonCredential,
		},
		"to the challenge of an append": {func(t *testing.T, a *registering) {
			a.answer = a.device.Create(t, a.st.BeginAppend(t, a.user, a.device).AttestationOptions)
		}, 400, service.ReasonCredential},
		"to the challenge of a login": {func(t *testing.T, a *registering) {
			a.st.Enroll(t, a.user, authenticator.SecurityKey())
			a.pending.Options = json.RawMessage(
				strings.ReplaceAll(
					string(a.pending.Options), authenticator.ChallengeIn(t, string(a.pending.Options)),
					authenticator.ChallengeIn(t, a.st.BeginLogin(t, a.user, a.device).AssertionOptions),
				),
			)
			a.sign(t)
		}, 400, service.ReasonCredential},
		"to an unknown challenge": {func(t *testing.T, a *registering) {
			a.pending.Options = json.RawMessage(
				strings.ReplaceAll(string(a.pending.Options), authenticator.ChallengeIn(t, string(a.pending.Options)), strings.Repeat("A", 43)),
			)
			a.sign(t)
		}, 400, service.ReasonCredential},
		"to another registration": {func(t *testing.T, a *registering) {
			a.id = mustRegister(t, a.st, a.user, service.PasskeyRegistration{}).ID
		}, 400, service.ReasonCredential},
		"with a changed key": {func(t *testing.T, a *registering) {
			a.answer = authenticator.Edit(t, a.answer, func(_, response map[string]any) { authenticator.Flip(t, response, "attestationObject", -1) })
		}, 400, service.ReasonCredential},
		"on origins that are gone": {func(t *testing.T, a *registering) {
			a.st.Project.Origins = []string{"https://other.example.com"}
			a.st.Projects.Set(a.st.Project)
		}, 400, service.ReasonCredential},
		"under an RP ID that is gone": {func(t *testing.T, a *registering) {
			a.st.Project.RPID = "example.org"
			a.st.Projects.Set(a.st.Project)
		}, 400, service.ReasonCredential},
		"with a key that another user has": {
			func(t *testing.T, a *registering) { a.st.Enroll(t, a.st.NewUser(t), a.device) }, 409, service.ReasonPasskeyExists,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			a := &registering{st: st, user: st.NewUser(t), device: authenticator.Phone()}
			a.pending = mustRegister(t, st, a.user, service.PasskeyRegistration{})
			a.id = a.pending.ID
			a.answer = a.device.Create(t, string(a.pending.Options))
			c.change(t, a)
			before := len(st.Events.OfType(event.AppendCompleted))
			_, err := verifyPasskey(t.Context(), a.st, a.user, a.id, a.answer)
			wantReason(t, err, c.status, c.reason)
			if len(st.Events.OfType(event.AppendCompleted)) != before {
				t.Error("something was registered")
			}
		})
	}
}

func TestOfManyRegistrationsOfOnePasskeyOneSucceeds(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	pending := mustRegister(t, st, user, service.PasskeyRegistration{})
	answer := d.Create(t, string(pending.Options))
	var succeeded atomic.Int64
	var verifying sync.WaitGroup
	for range 8 {
		verifying.Go(func() {
			_, err := verifyPasskey(t.Context(), st, user, pending.ID, answer)
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantReason(t, err, 400, service.ReasonCredential)
		})
	}
	verifying.Wait()
	if succeeded.Load() != 1 || len(passkeys(t, st, user).Passkeys) != 1 {
		t.Errorf("%d succeeded", succeeded.Load())
	}
	_, err := verifyPasskey(t.Context(), st, user, pending.ID, answer)
	wantReason(t, err, 400, service.ReasonCredential)
}

func TestAPasskeyIsRemovedWhetherItIsPendingOrVerified(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	verified, pending := mustRegister(t, st, user, service.PasskeyRegistration{}), mustRegister(t, st, user, service.PasskeyRegistration{})
	if _, err := verifyPasskey(t.Context(), st, user, verified.ID, d.Create(t, string(verified.Options))); err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(time.Second)
	for _, id := range []ident.CredentialID{verified.ID, pending.ID} {
		change, err := remove(t, st, user, id)
		if err != nil || change.ChangedMs != st.Clock.Now().UnixMilli() || change.CreatedMs != ceremonytest.Started.UnixMilli() {
			t.Errorf("%s: %+v, %v", id, change, err)
		}
		_, err = remove(t, st, user, id)
		wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	}
	var told []string
	for _, e := range st.Events.OfType(event.PasskeyDeleted) {
		told = append(told, e.Credential)
	}
	if diff := cmp.Diff([]string{string(verified.ID), string(pending.ID)}, told); diff != "" {
		t.Error(diff)
	}
	_, err := verifyPasskey(t.Context(), st, user, pending.ID, authenticator.SecurityKey().Create(t, string(pending.Options)))
	wantReason(t, err, 400, service.ReasonCredential)
	if list := passkeys(t, st, user); len(list.Passkeys) != 0 {
		t.Errorf("left: %+v", list)
	}
	_, err = remove(t, st, "usr-1", verified.ID)
	wantReason(t, err, 404, service.ReasonUserUnknown)
	_, err = remove(t, st, st.NewUser(t), verified.ID)
	wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	expired := mustRegister(t, st, user, service.PasskeyRegistration{})
	st.Clock.Advance(time.Hour)
	_, err = remove(t, st, user, expired.ID)
	wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	_, err = st.ListPasskeys(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: "usr-1"})
	wantReason(t, err, 404, service.ReasonUserUnknown)
}

func TestOfARegistrationThatIsRemovedWhileItsAnswerIsJudgedNoPasskeyComes(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	marks := &faulty.Watched{KeyValue: b.Marks}
	b.Marks = marks
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	pending := mustRegister(t, st, user, service.PasskeyRegistration{})
	answer := d.Create(t, string(pending.Options))
	marks.AfterGet = func() {
		if _, err := remove(t, st, user, pending.ID); err != nil {
			t.Error(err)
		}
	}
	_, err := verifyPasskey(t.Context(), st, user, pending.ID, answer)
	wantReason(t, err, 400, service.ReasonCredential)
	if list := passkeys(t, st, user); len(list.Passkeys) != 0 {
		t.Errorf("left: %+v", list)
	}
	_, err = remove(t, st, user, pending.ID)
	wantReason(t, err, 404, service.ReasonPasskeyUnknown)
}

func TestAPasskeyWithoutANameHasThatOfItsProvider(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	data := st.Enroll(t, user, authenticator.Phone())
	if diff := cmp.Diff(
		[]service.Passkey{{ID: ident.CredentialID(data.ID), Name: ceremonytest.Names{}.Name(ceremonytest.PhoneAAGUID)}},
		passkeys(t, st, user).Passkeys,
	); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsRegisteredThatTheLogDoesNotHave(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Events.FailNext(9)
	_, err := register(t, st, user, service.PasskeyRegistration{})
	wantReason(t, err, 503, "")
	st.Events.FailNext(0)
	pending := mustRegister(t, st, user, service.PasskeyRegistration{})
	st.Events.FailNext(9)
	_, err = verifyPasskey(t.Context(), st, user, pending.ID, d.Create(t, string(pending.Options)))
	wantReason(t, err, 503, "")
	_, err = st.ListPasskeys(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
	wantReason(t, err, 503, "")
}

func TestTheUserServiceOfAProjectThatIsGone(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	st.Project.ID = "pro-99"
	_, a := register(t, st, user, service.PasskeyRegistration{})
	_, b := verifyPasskey(t.Context(), st, user, "cre-1", "{}")
	_, c := passkeyCode(t, st, user, service.PasskeyCodeRequest{})
	for _, err := range []error{a, b, c} {
		wantReason(t, err, 401, "")
	}
}
