package ceremony_test

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
)

func (st *stack) register(tb testing.TB, user ident.UserID, body service.PasskeyRegistration) (service.PendingPasskey, error) {
	tb.Helper()
	return st.RegisterPasskey(tb.Context(), service.ForUser[service.PasskeyRegistration]{Project: st.project.ID, User: user, Body: body})
}

func (st *stack) verifyPasskey(ctx context.Context, user ident.UserID, id ident.CredentialID, credential string) (service.Change, error) {
	return st.VerifyPasskey(ctx, service.ForUser[service.PasskeyVerification]{Project: st.project.ID, User: user, Body: service.PasskeyVerification{
		ID: id, Credential: json.RawMessage(credential), Name: "Ada's phone", Address: "127.0.0.1",
	}})
}

func (st *stack) remove(tb testing.TB, user ident.UserID, id ident.CredentialID) (service.Change, error) {
	tb.Helper()
	return st.RemovePasskey(tb.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: id})
}

func (st *stack) passkeys(tb testing.TB, user ident.UserID) service.PasskeyList {
	tb.Helper()
	list, err := st.ListPasskeys(tb.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user})
	if err != nil {
		tb.Fatal(err)
	}
	return list
}

func (st *stack) mustRegister(tb testing.TB, user ident.UserID, body service.PasskeyRegistration) service.PendingPasskey {
	tb.Helper()
	pending, err := st.register(tb, user, body)
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

func TestARegisteredPasskeyLogsIn(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.named(t, account.IdentifierStatusVerified), phone()
	if list := st.passkeys(t, user); len(list.Passkeys) != 0 || list.Sequence == 0 || list.ChangedMs != started.UnixMilli() {
		t.Errorf("at first: %+v", list)
	}
	pending := st.mustRegister(t, user, service.PasskeyRegistration{UserAgent: "Mozilla/5.0", Address: "127.0.0.1"})
	client := rest.ClientInformation{UserAgent: "Mozilla/5.0", RemoteAddress: "127.0.0.1", ClientCapabilities: &rest.ClientCapabilities{}}
	if diff := cmp.Diff(client, st.decision.last().Client); diff != "" {
		t.Errorf("the policy was asked about another client: %s", diff)
	}
	if list := st.passkeys(t, user); len(list.Passkeys) != 0 {
		t.Errorf("a pending passkey is listed: %+v", list)
	}
	st.clock.advance(time.Minute)
	nowMs := st.clock.Now().UnixMilli()
	verified, err := st.verifyPasskey(t.Context(), user, pending.ID, d.create(t, string(pending.Options)))
	if err != nil {
		t.Fatal(err)
	}
	if verified.Sequence <= pending.Sequence || verified.ChangedMs != nowMs || verified.CreatedMs != started.UnixMilli() || pending.Change != (service.Change{
		Sequence: pending.Sequence, ChangedMs: started.UnixMilli(), CreatedMs: started.UnixMilli(),
	}) {
		t.Errorf("changes: %+v, %+v", pending.Change, verified)
	}
	want := service.PasskeyList{Passkeys: []service.Passkey{{ID: pending.ID, Name: "Ada's phone"}}, Sequence: verified.Sequence, ChangedMs: nowMs}
	if diff := cmp.Diff(want, st.passkeys(t, user)); diff != "" {
		t.Error(diff)
	}
	if a := st.get(t, user); a.Credentials[0].Username != email || a.Credentials[0].RPID != rpID || len(a.Environments) != 0 {
		t.Errorf("account: %+v", a)
	}

	common := event.Event{Project: st.project.ID, User: user, Challenge: challengeIn(t, string(pending.Options)), Kind: event.KindDefault, Credential: string(pending.ID)}
	offered, completed := common, common
	offered.Type, offered.CreatedMs, offered.Decision = event.AppendOffered, started.UnixMilli(), pending.Decision
	completed.Type, completed.CreatedMs, completed.Client = event.AppendCompleted, nowMs, &event.Client{Address: "127.0.0.1", OS: "macOS", Browser: "Safari"}
	if diff := cmp.Diff([]event.Event{offered, completed}, st.events.all(), cmpopts.IgnoreFields(event.Event{}, "ID", "Ceremony")); diff != "" {
		t.Error(diff)
	}

	start := st.loginStart(t, user, d)
	data, err := st.loginFinish(t, user, d, d.get(t, start.AssertionOptions))
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
		"nothing is chosen":      {service.PasskeyRegistration{}, rpID, "platform", []string{"client-device"}},
		"this device":            {service.PasskeyRegistration{Attachment: "platform"}, rpID, "platform", []string{"client-device"}},
		"another device":         {service.PasskeyRegistration{Attachment: "cross-platform"}, rpID, "cross-platform", []string{"security-key", "hybrid"}},
		"the domain there is":    {service.PasskeyRegistration{Domain: rpID}, rpID, "platform", []string{"client-device"}},
		"a subdomain":            {service.PasskeyRegistration{Domain: "login.example.com"}, "login.example.com", "platform", []string{"client-device"}},
		"a subdomain in capital": {service.PasskeyRegistration{Domain: "Login.Example.COM"}, "login.example.com", "platform", []string{"client-device"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d := st.named(t, account.IdentifierStatusVerified), phone()
			pending := st.mustRegister(t, user, c.body)
			var got optionsOf
			if err := json.Unmarshal(pending.Options, &got); err != nil {
				t.Fatal(err)
			}
			var want optionsOf
			want.PublicKey.RP.ID, want.PublicKey.Timeout, want.PublicKey.Hints, want.PublicKey.User.Name = c.rpID, 300_000, c.hints, email
			want.PublicKey.Selection.Attachment, want.PublicKey.Selection.UserVerification = c.attachment, "required"
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			d.rpID = c.rpID
			if _, err := st.verifyPasskey(t.Context(), user, pending.ID, d.create(t, string(pending.Options))); err != nil {
				t.Error(err)
			}
			if a := st.get(t, user); len(a.Credentials) != 1 || a.Credentials[0].RPID != c.rpID {
				t.Errorf("kept: %+v", a.Credentials)
			}
		})
	}
}

func TestARegistrationIsRefusedWithAReasonAndNothingIsStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    service.PasskeyRegistration
		prepare func(*testing.T, *stack, *ident.UserID)
		status  int
		reason  string
	}{
		"nobody":                    {prepare: func(_ *testing.T, _ *stack, user *ident.UserID) { *user = "usr-1" }, status: 404, reason: service.ReasonUserUnknown},
		"who is not active":         {prepare: disable, status: 412, reason: service.ReasonUserInactive},
		"who the policy refuses":    {prepare: refuse, status: 412, reason: service.ReasonDenied},
		"on another domain":         {body: service.PasskeyRegistration{Domain: "example.org"}, status: 400, reason: service.ReasonDomain},
		"on the domain above":       {body: service.PasskeyRegistration{Domain: "com"}, status: 400, reason: service.ReasonDomain},
		"on a domain without pages": {body: service.PasskeyRegistration{Domain: "shop.example.com"}, status: 400, reason: service.ReasonDomain},
		"on what only ends alike":   {body: service.PasskeyRegistration{Domain: "n.example.com"}, status: 400, reason: service.ReasonDomain},
		"with no such kind":         {body: service.PasskeyRegistration{Attachment: "roaming"}, status: 400},
		"with an unknown code":      {body: service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "x"}}, status: 400, reason: service.ReasonCodeInvalid},
		"nobody, with a code": {
			body:    service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "x"}},
			prepare: func(_ *testing.T, _ *stack, user *ident.UserID) { *user = "usr-1" }, status: 400, reason: service.ReasonCodeInvalid,
		},
		"with what is no code": {body: service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "*", Code: "x"}}, status: 400, reason: service.ReasonCodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.user(t)
			known := user
			if c.prepare != nil {
				c.prepare(t, st, &user)
			}
			_, err := st.register(t, user, c.body)
			wantReason(t, err, c.status, c.reason)
			if len(st.events.all()) != 0 || len(st.challenges(t, known)) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func disable(t *testing.T, st *stack, user *ident.UserID) {
	disabled := rest.UserStatusDisabled
	if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: *user, Body: rest.UserUpdateReq{Status: &disabled}}); err != nil {
		t.Fatal(err)
	}
}

func refuse(_ *testing.T, st *stack, _ *ident.UserID) {
	st.decision.append = func(q service.AppendQuestion, v *service.AppendVerdict) { v.Allow = !q.Flags.ForcePasskeyAppend }
}

// registering is a registration that is to be verified.
type registering struct {
	st      *stack
	user    ident.UserID
	id      ident.CredentialID
	device  *device
	pending service.PendingPasskey
	answer  string
}

func (a *registering) sign(t *testing.T) {
	t.Helper()
	a.answer = a.device.create(t, string(a.pending.Options))
}

func TestAnAnswerThatDoesNotFitRegistersNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *registering)
		status int
		reason string
	}{
		"for nobody":                 {func(_ *testing.T, a *registering) { a.user = "usr-1" }, 404, service.ReasonUserUnknown},
		"for another user":           {func(t *testing.T, a *registering) { a.user = a.st.user(t) }, 404, service.ReasonPasskeyUnknown},
		"of another project":         {func(t *testing.T, a *registering) { a.st = newStack(t); a.user = a.st.user(t) }, 404, service.ReasonPasskeyUnknown},
		"with an unknown passkey":    {func(_ *testing.T, a *registering) { a.id = "cre-1" }, 404, service.ReasonPasskeyUnknown},
		"with no passkey":            {func(_ *testing.T, a *registering) { a.id = "" }, 404, service.ReasonPasskeyUnknown},
		"who is not active any more": {func(t *testing.T, a *registering) { disable(t, a.st, &a.user) }, 412, service.ReasonUserInactive},
		"too late":                   {func(_ *testing.T, a *registering) { a.st.clock.advance(time.Hour) }, 400, service.ReasonCredential},
		"that is no JSON":            {func(_ *testing.T, a *registering) { a.answer = "{" }, 400, service.ReasonCredential},
		"that is empty":              {func(_ *testing.T, a *registering) { a.answer = "{}" }, 400, service.ReasonCredential},
		"from another page":          {func(t *testing.T, a *registering) { a.device.origin = "https://evil.example"; a.sign(t) }, 400, service.ReasonCredential},
		"of another relying party":   {func(t *testing.T, a *registering) { a.device.rpID = "example.org"; a.sign(t) }, 400, service.ReasonCredential},
		"to the challenge of an append": {func(t *testing.T, a *registering) {
			a.answer = a.device.create(t, a.st.appendStart(t, a.user, a.device).AttestationOptions)
		}, 400, service.ReasonCredential},
		"to the challenge of a login": {func(t *testing.T, a *registering) {
			a.st.enroll(t, a.user, securityKey())
			a.pending.Options = json.RawMessage(strings.ReplaceAll(string(a.pending.Options), challengeIn(t, string(a.pending.Options)), challengeIn(t, a.st.loginStart(t, a.user, a.device).AssertionOptions)))
			a.sign(t)
		}, 400, service.ReasonCredential},
		"to an unknown challenge": {func(t *testing.T, a *registering) {
			a.pending.Options = json.RawMessage(strings.ReplaceAll(string(a.pending.Options), challengeIn(t, string(a.pending.Options)), strings.Repeat("A", 43)))
			a.sign(t)
		}, 400, service.ReasonCredential},
		"to another registration": {func(t *testing.T, a *registering) {
			a.id = a.st.mustRegister(t, a.user, service.PasskeyRegistration{}).ID
		}, 400, service.ReasonCredential},
		"with a changed key": {func(t *testing.T, a *registering) {
			a.answer = edit(t, a.answer, func(_, response map[string]any) { flip(t, response, "attestationObject", -1) })
		}, 400, service.ReasonCredential},
		"on origins that are gone": {func(t *testing.T, a *registering) {
			a.st.project.Origins = []string{"https://other.example.com"}
			a.st.projects.set(a.st.project)
		}, 400, service.ReasonCredential},
		"under an RP ID that is gone": {func(t *testing.T, a *registering) {
			a.st.project.RPID = "example.org"
			a.st.projects.set(a.st.project)
		}, 400, service.ReasonCredential},
		"with a key that another user has": {func(t *testing.T, a *registering) { a.st.enroll(t, a.st.user(t), a.device) }, 409, service.ReasonPasskeyExists},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			a := &registering{st: st, user: st.user(t), device: phone()}
			a.pending = st.mustRegister(t, a.user, service.PasskeyRegistration{})
			a.id = a.pending.ID
			a.answer = a.device.create(t, string(a.pending.Options))
			c.change(t, a)
			before := len(st.events.ofType(event.AppendCompleted))
			_, err := a.st.verifyPasskey(t.Context(), a.user, a.id, a.answer)
			wantReason(t, err, c.status, c.reason)
			if len(st.events.ofType(event.AppendCompleted)) != before {
				t.Error("something was registered")
			}
		})
	}
}

func TestOfManyRegistrationsOfOnePasskeyOneSucceeds(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	pending := st.mustRegister(t, user, service.PasskeyRegistration{})
	answer := d.create(t, string(pending.Options))
	var succeeded atomic.Int64
	var verifying sync.WaitGroup
	for range 8 {
		verifying.Go(func() {
			_, err := st.verifyPasskey(t.Context(), user, pending.ID, answer)
			if err == nil {
				succeeded.Add(1)
				return
			}
			wantReason(t, err, 400, service.ReasonCredential)
		})
	}
	verifying.Wait()
	if succeeded.Load() != 1 || len(st.passkeys(t, user).Passkeys) != 1 {
		t.Errorf("%d succeeded", succeeded.Load())
	}
	_, err := st.verifyPasskey(t.Context(), user, pending.ID, answer)
	wantReason(t, err, 400, service.ReasonCredential)
}

func TestAPasskeyIsRemovedWhetherItIsPendingOrVerified(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	verified, pending := st.mustRegister(t, user, service.PasskeyRegistration{}), st.mustRegister(t, user, service.PasskeyRegistration{})
	if _, err := st.verifyPasskey(t.Context(), user, verified.ID, d.create(t, string(verified.Options))); err != nil {
		t.Fatal(err)
	}
	st.clock.advance(time.Second)
	for _, id := range []ident.CredentialID{verified.ID, pending.ID} {
		change, err := st.remove(t, user, id)
		if err != nil || change.Sequence == 0 || change.ChangedMs != st.clock.Now().UnixMilli() || change.CreatedMs != started.UnixMilli() {
			t.Errorf("%s: %+v, %v", id, change, err)
		}
		_, err = st.remove(t, user, id)
		wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	}
	var told []string
	for _, e := range st.events.ofType(event.PasskeyDeleted) {
		told = append(told, e.Credential)
	}
	if diff := cmp.Diff([]string{string(verified.ID), string(pending.ID)}, told); diff != "" {
		t.Error(diff)
	}
	_, err := st.verifyPasskey(t.Context(), user, pending.ID, securityKey().create(t, string(pending.Options)))
	wantReason(t, err, 400, service.ReasonCredential)
	if list := st.passkeys(t, user); len(list.Passkeys) != 0 {
		t.Errorf("left: %+v", list)
	}
	_, err = st.remove(t, "usr-1", verified.ID)
	wantReason(t, err, 404, service.ReasonUserUnknown)
	_, err = st.remove(t, st.user(t), verified.ID)
	wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	expired := st.mustRegister(t, user, service.PasskeyRegistration{})
	st.clock.advance(time.Hour)
	_, err = st.remove(t, user, expired.ID)
	wantReason(t, err, 404, service.ReasonPasskeyUnknown)
	_, err = st.ListPasskeys(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: "usr-1"})
	wantReason(t, err, 404, service.ReasonUserUnknown)
}

func TestAPasskeyWithoutANameHasThatOfItsProvider(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	data := st.enroll(t, user, phone())
	if diff := cmp.Diff([]service.Passkey{{ID: ident.CredentialID(data.ID), Name: names{}.Name(phoneAAGUID)}}, st.passkeys(t, user).Passkeys); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsRegisteredThatTheLogDoesNotHave(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.events.failNext(9)
	_, err := st.register(t, user, service.PasskeyRegistration{})
	wantReason(t, err, 503, "")
	st.events.failNext(0)
	pending := st.mustRegister(t, user, service.PasskeyRegistration{})
	st.events.failNext(9)
	_, err = st.verifyPasskey(t.Context(), user, pending.ID, d.create(t, string(pending.Options)))
	wantReason(t, err, 503, "")
	_, err = st.ListPasskeys(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user})
	wantReason(t, err, 503, "")
}

func (st *stack) passkeyCode(tb testing.TB, user ident.UserID, body service.PasskeyCodeRequest) (service.PasskeyCodeCreated, error) {
	tb.Helper()
	return st.CreatePasskeyCode(tb.Context(), service.ForUser[service.PasskeyCodeRequest]{Project: st.project.ID, User: user, Body: body})
}

func TestACodeRegistersOnePasskey(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusVerified)
	made, err := st.passkeyCode(t, user, service.PasskeyCodeRequest{})
	if err != nil || made.Code == nil || len(made.Code.Code) != 40 || made.Sequence == 0 || made.ChangedMs != started.UnixMilli() || made.CreatedMs != started.UnixMilli() {
		t.Fatalf("got %+v, %v", made, err)
	}
	if told := st.events.ofType(event.PasskeyCode); len(told) != 1 || told[0].User != user {
		t.Errorf("told: %+v", told)
	}
	with := func(id, text string) service.PasskeyRegistration {
		return service.PasskeyRegistration{Code: &service.PasskeyCode{ID: id, Code: text}}
	}
	other := st.user(t)
	_, err = st.register(t, other, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
	_, err = st.register(t, user, with(made.Code.ID, wrong(made.Code.Code)))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
	if _, err := checkCode(t.Context(), st, st, user, made.Code.ID, made.Code.Code); err == nil {
		t.Error("it verifies an identifier")
	}
	refuse(t, st, nil)
	_, err = st.register(t, user, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 412, service.ReasonDenied)
	st.decision.append = nil
	if _, err := st.register(t, user, with(made.Code.ID, made.Code.Code)); err != nil {
		t.Errorf("a refusal of the policy has spent it: %v", err)
	}
	_, err = st.register(t, user, with(made.Code.ID, made.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)

	late, err := st.passkeyCode(t, user, service.PasskeyCodeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	st.clock.advance(time.Hour)
	_, err = st.register(t, user, with(late.Code.ID, late.Code.Code))
	wantReason(t, err, 400, service.ReasonCodeInvalid)
}

func TestACodeThatVerifiesAnIdentifierRegistersNothing(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	sent, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailLink, email))
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.register(t, user, service.PasskeyRegistration{Code: &service.PasskeyCode{ID: sent.ChallengeID, Code: sent.Value}})
	wantReason(t, err, 400, service.ReasonCodeInvalid)
}

func TestALinkIsSentToTheVerifiedAddress(t *testing.T) {
	t.Parallel()
	const all = "?userID=$U&orgID=$P&codeID=$I&code=$C"
	for name, c := range map[string]struct{ template, want string }{
		"without a template":   {"", origin + "/" + all},
		"with all there is":    {origin + "/in?u={{.UserID}}&o={{.OrgID}}&i={{.CodeID}}&c={{.Code}}", origin + "/in?u=$U&o=$P&i=$I&c=$C"},
		"with the code alone":  {origin + "/{{ .Code }}#{{.CodeID}}", origin + "/$C#$I"},
		"with nothing at all":  {origin + "/passkey", origin + "/passkey"},
		"with trimming braces": {origin + "/a {{- .Code -}} b", origin + "/a$Cb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.named(t, account.IdentifierStatusVerified)
			made, err := st.passkeyCode(t, user, service.PasskeyCodeRequest{Send: true, URLTemplate: c.template})
			if err != nil || made.Code != nil || made.Sequence == 0 {
				t.Fatalf("got %+v, %v", made, err)
			}
			m := st.delivery.last()
			want := strings.NewReplacer("$U", string(user), "$P", string(st.project.ID), "$I", string(m.ID), "$C", m.Value).Replace(c.want)
			if m.Link != want || m.To != email || m.Purpose != "passkey-registration" || m.Lifetime != time.Hour {
				t.Errorf("got %+v, want the link %s", m, want)
			}
			if _, err := st.register(t, user, service.PasskeyRegistration{Code: &service.PasskeyCode{ID: string(m.ID), Code: m.Value}}); err != nil {
				t.Errorf("the code of the link: %v", err)
			}
		})
	}
}

func TestALinkGoesToThePrimaryAddress(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusVerified)
	for value, status := range map[string]account.IdentifierStatus{"first@example.com": account.IdentifierStatusPrimary, "other@example.com": account.IdentifierStatusVerified} {
		if _, err := st.CreateIdentifier(t.Context(), service.ForUser[rest.IdentifierCreateReq]{Project: st.project.ID, User: user, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierTypeEmail, IdentifierValue: value, Status: rest.IdentifierStatus(status),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.passkeyCode(t, user, service.PasskeyCodeRequest{Send: true}); err != nil || st.delivery.last().To != "first@example.com" {
		t.Errorf("sent to %q: %v", st.delivery.last().To, err)
	}
}

func TestALinkThatCannotBeSentIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template string
		status   account.IdentifierStatus
		want     int
		reason   string
	}{
		"to an address that is not verified": {"", account.IdentifierStatusPending, 412, service.ReasonUserNoEmail},
		"with open braces":                   {origin + "/{{.Code", "", 400, service.ReasonTemplate},
		"with another field":                 {origin + "/{{.Secret}}", "", 400, service.ReasonTemplate},
		"with a function":                    {origin + "/{{printf .Code}}", "", 400, service.ReasonTemplate},
		"with a pipe":                        {origin + "/{{.Code | .UserID}}", "", 400, service.ReasonTemplate},
		"with a condition":                   {origin + "/{{if .Code}}x{{end}}", "", 400, service.ReasonTemplate},
		"with a definition":                  {`{{define "a"}}{{end}}` + origin, "", 400, service.ReasonTemplate},
		"with a field of a field":            {origin + "/{{.Code.UserID}}", "", 400, service.ReasonTemplate},
		"with a variable":                    {origin + "/{{$x := .Code}}", "", 400, service.ReasonTemplate},
		"with a comment alone":               {"{{/* x */}}", "", 400, service.ReasonTemplate},
		"to another page":                    {"https://evil.example/{{.Code}}", "", 400, service.ReasonTemplate},
		"to a page that a code names":        {"https://{{.Code}}.example.com/", "", 400, service.ReasonTemplate},
		"with a user":                        {"https://a@login.example.com/{{.Code}}", "", 400, service.ReasonTemplate},
		"to a script":                        {"javascript:alert('{{.Code}}')", "", 400, service.ReasonTemplate},
		"to nowhere":                         {"/{{.Code}}", "", 400, service.ReasonTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			if c.status == "" {
				c.status = account.IdentifierStatusVerified
			}
			user := st.named(t, c.status)
			_, err := st.passkeyCode(t, user, service.PasskeyCodeRequest{Send: true, URLTemplate: c.template})
			wantReason(t, err, c.want, c.reason)
			if len(st.delivery.messages) != 0 || len(st.events.ofType(event.PasskeyCode)) != 0 {
				t.Error("something was sent")
			}
		})
	}
	st := newStack(t)
	_, err := st.passkeyCode(t, "usr-1", service.PasskeyCodeRequest{})
	wantReason(t, err, 404, service.ReasonUserUnknown)
	user := st.user(t)
	disable(t, st, &user)
	_, err = st.passkeyCode(t, user, service.PasskeyCodeRequest{})
	wantReason(t, err, 412, service.ReasonUserInactive)
}

func TestTheUserServiceOfAProjectThatIsGone(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	st.project.ID = "pro-99"
	_, a := st.register(t, user, service.PasskeyRegistration{})
	_, b := st.verifyPasskey(t.Context(), user, "cre-1", "{}")
	_, c := st.passkeyCode(t, user, service.PasskeyCodeRequest{})
	for _, err := range []error{a, b, c} {
		wantReason(t, err, 401, "")
	}
}
