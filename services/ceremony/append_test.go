package ceremony_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
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
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

func TestAPasskeyIsCreated(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	start := st.appendStart(t, user, d)
	st.clock.advance(time.Minute)
	data, err := st.appendFinish(t, user, d, d.create(t, start.AttestationOptions))
	if err != nil {
		t.Fatal(err)
	}
	a := st.get(t, user)
	nowMs := st.clock.Now().UnixMilli()
	want := []account.Credential{{
		ID: ident.CredentialID(data.ID), CredentialID: d.key.ID, AttestationType: "basic_surrogate", AAGUID: phoneAAGUID,
		Transports: []string{"internal", "hybrid"}, Attachment: "platform", BackupEligible: true, BackupState: true, UserVerified: true,
		RPID: rpID, Username: "ada@example.com", CreatedOS: "macOS", CreatedBrowser: "Safari", Environment: a.Environments[0].ID, CreatedMs: nowMs, LastUsedMs: nowMs,
	}}
	if diff := cmp.Diff(want, a.Credentials, cmpopts.IgnoreFields(account.Credential{}, "PublicKey")); diff != "" {
		t.Error(diff)
	}
	if len(a.Credentials[0].PublicKey) == 0 || a.UpdatedMs != nowMs {
		t.Errorf("account: %+v", a)
	}
	environments := []account.Environment{{
		ID: st.decision.last().Environment.ID, OSName: "macOS", OSVersion: "15", BrowserName: "Safari", BrowserVersion: "18", UserAgent: "Mozilla/5.0", CreatedMs: nowMs, LastSeenMs: nowMs,
	}}
	if diff := cmp.Diff(environments, a.Environments); diff != "" {
		t.Error(diff)
	}

	stored := st.challenges(t, user)[0]
	if stored.Status != rest.PasskeyChallengeStatusCompleted || stored.Type != rest.PasskeyChallengeTypeRegister || stored.Value != challengeIn(t, start.AttestationOptions) {
		t.Errorf("challenge: %+v", stored)
	}
	common := event.Event{
		Project: st.project.ID, User: user, Process: process, Environment: a.Environments[0].ID, Challenge: stored.Value,
		Ceremony: ident.ChallengeID(stored.ChallengeID), Kind: event.KindDefault,
	}
	offered, completed := common, common
	offered.Type, offered.CreatedMs, offered.Decision = event.AppendOffered, started.UnixMilli(), "dec-4693224802260150919"
	completed.Type, completed.CreatedMs, completed.Credential = event.AppendCompleted, nowMs, data.ID
	completed.Client = &event.Client{Address: "127.0.0.1", OS: "macOS", Browser: "Safari"}
	got := st.events.all()
	if diff := cmp.Diff([]event.Event{offered, completed}, got, cmpopts.IgnoreFields(event.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	if got[0].ID == got[1].ID {
		t.Error("both events have one ID")
	}
}

func TestWhatTheCallerParsedOfTheDeviceIsKept(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	start := st.appendStart(t, user, d)
	client := d.client()
	client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: "iOS", OSVersion: "18", BrowserName: "Firefox", BrowserVersion: "140"}
	_, err := st.AppendFinish(t.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.project.ID, Body: rest.PasskeyAppendFinishReq{
		UserID: string(user), ProcessID: process, AttestationResponse: d.create(t, start.AttestationOptions), ClientInformation: client,
	}})
	if err != nil {
		t.Fatal(err)
	}
	a := st.get(t, user)
	if c := a.Credentials[0]; c.CreatedOS != "iOS" || c.CreatedBrowser != "Firefox" || a.Environments[0].OSVersion != "18" {
		t.Errorf("account: %+v", a)
	}
}

func TestADeniedAppend(t *testing.T) {
	t.Parallel()
	exists := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists
	for reason, want := range map[string]*rest.PasskeyAppendStartRspAppendNotAllowedReason{
		"passkey_already_exists": &exists,
		"private_mode":           nil,
		"":                       nil,
	} {
		t.Run("for reason "+reason, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) {
				v.Allow, v.Reason, v.Variant = false, reason, ""
			}
			user := st.user(t)
			rsp := st.appendStart(t, user, phone())
			if rsp.AppendAllow || rsp.AttestationOptions != "" || !cmp.Equal(rsp.AppendNotAllowedReason, want) || rsp.DecisionInsights.Variant != rest.AppendVariantDefault {
				t.Errorf("answer: %+v", rsp)
			}
			if len(st.challenges(t, user)) != 0 || len(st.events.all()) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestCreationOptionsFollowTheVerdict(t *testing.T) {
	t.Parallel()
	type selection struct {
		Attachment       *string `json:"authenticatorAttachment"`
		ResidentKey      string  `json:"residentKey"`
		RequireResident  bool    `json:"requireResidentKey"`
		UserVerification string  `json:"userVerification"`
	}
	platform := "platform"
	cases := map[string]struct {
		change func(*service.AppendVerdict)
		want   selection
		hints  []string
	}{
		"a local passkey": {func(*service.AppendVerdict) {}, selection{&platform, "required", true, "required"}, []string{"client-device"}},
		"an attachment left unset stays unset whatever the hints": {
			func(v *service.AppendVerdict) { v.Attachment = "" }, selection{nil, "required", true, "required"}, []string{"client-device"},
		},
		"a preferred verification": {
			func(v *service.AppendVerdict) { v.UserVerification, v.Hints = "preferred", nil }, selection{&platform, "required", true, "preferred"}, nil,
		},
		"a conditional creation cannot require verification": {
			func(v *service.AppendVerdict) { v.Conditional, v.Hints = true, nil }, selection{&platform, "required", true, "preferred"}, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) { c.change(v) }
			var options struct {
				PublicKey struct {
					AuthenticatorSelection selection `json:"authenticatorSelection"`
					Hints                  []string  `json:"hints"`
				} `json:"publicKey"`
				Mediation *string `json:"mediation"`
			}
			if err := json.Unmarshal([]byte(st.appendStart(t, st.user(t), phone()).AttestationOptions), &options); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, options.PublicKey.AuthenticatorSelection); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.hints, options.PublicKey.Hints); diff != "" {
				t.Error(diff)
			}
			if options.Mediation != nil {
				t.Error("the options hold more than publicKey")
			}
		})
	}
}

func TestAConditionalCreationNeedsNeitherPresenceNorVerification(t *testing.T) {
	t.Parallel()
	for _, conditional := range []bool{true, false} {
		st := newStack(t)
		st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) {
			v.Conditional, v.ManualAllowed, v.UserVerification = conditional, true, "preferred"
			v.Kind = event.KindConditionalCreate
		}
		user, d := st.user(t), phone()
		start := st.appendStart(t, user, d)
		if told := start.DecisionInsights.Conditional != nil && *start.DecisionInsights.Conditional; told != conditional {
			t.Errorf("insights: %+v", start.DecisionInsights)
		}
		d.options.UserNotPresent, d.options.UserNotVerified = true, true
		_, err := st.appendFinish(t, user, d, d.create(t, start.AttestationOptions))
		if conditional && err != nil {
			t.Error(err)
		}
		if !conditional {
			wantField(t, err, 400, "attestationResponse", "the user was not present")
		}
	}
}

func TestAnAppendIsRefused(t *testing.T) {
	t.Parallel()
	const attestation = "attestationResponse"
	cases := map[string]struct {
		change  func(t *testing.T, st *stack, d *device, options string, req *rest.PasskeyAppendFinishReq)
		field   string
		message string
	}{
		"of an answer that is not JSON": {func(_ *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.AttestationResponse = "null"
		}, attestation, "is not the JSON of a PublicKeyCredential"},
		"of an attestation object that is not CBOR": {func(t *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.AttestationResponse = edit(t, req.AttestationResponse, func(_, response map[string]any) { response["attestationObject"] = "AAAA" })
		}, attestation, "is not the JSON of a PublicKeyCredential"},
		"of an assertion": {func(t *testing.T, st *stack, d *device, _ string, req *rest.PasskeyAppendFinishReq) {
			st.enroll(t, ident.UserID(req.UserID), d)
			login := d.get(t, st.loginStart(t, ident.UserID(req.UserID), d).AssertionOptions)
			req.AttestationResponse = edit(t, req.AttestationResponse, func(_, response map[string]any) {
				edit(t, login, func(_, signed map[string]any) { response["clientDataJSON"] = signed["clientDataJSON"] })
			})
		}, attestation, "the client data is not of type webauthn.create"},
		"of another process": {func(_ *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.ProcessID = "prc-2"
		}, attestation, "the challenge belongs to another process"},
		"of another user": {func(t *testing.T, st *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.UserID = string(st.user(t))
		}, attestation, "the challenge is unknown, or was not given to this user"},
		"of an unknown user": {func(_ *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.UserID = "usr-1"
		}, "userID", "does not exist"},
		"of an expired challenge": {func(_ *testing.T, st *stack, _ *device, _ string, _ *rest.PasskeyAppendFinishReq) {
			st.clock.advance(5 * time.Minute)
		}, attestation, "the challenge has expired"},
		"of another origin": {func(t *testing.T, _ *stack, d *device, options string, req *rest.PasskeyAppendFinishReq) {
			d.origin = "https://evil.example"
			req.AttestationResponse = d.create(t, options)
		}, attestation, "the origin is not one of the project's"},
		"of another RP ID": {func(t *testing.T, _ *stack, d *device, options string, req *rest.PasskeyAppendFinishReq) {
			d.rpID = "evil.example"
			req.AttestationResponse = d.create(t, options)
		}, attestation, "the RP ID hash is not that of the project's RP ID"},
		"of a user who was not verified": {func(t *testing.T, _ *stack, d *device, options string, req *rest.PasskeyAppendFinishReq) {
			d.options.UserNotVerified = true
			req.AttestationResponse = d.create(t, options)
		}, attestation, "the user was not verified"},
		"of backup flags that contradict each other": {func(t *testing.T, _ *stack, d *device, options string, req *rest.PasskeyAppendFinishReq) {
			d.options.BackupEligible = false
			req.AttestationResponse = d.create(t, options)
		}, attestation, "the backup flags contradict each other"},
		"of a tampered attestation": {func(t *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.AttestationResponse = edit(t, req.AttestationResponse, func(_, response map[string]any) { flip(t, response, "attestationObject", -1) })
		}, attestation, "the attestation is invalid, or of an algorithm that was not asked for"},
		"of a credential ID that was not attested": {func(t *testing.T, _ *stack, _ *device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.AttestationResponse = edit(t, req.AttestationResponse, func(credential, _ map[string]any) { credential["id"], credential["rawId"] = "AAAA", "AAAA" })
		}, attestation, "the passkey could not be verified"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d := st.user(t), phone()
			options := st.appendStart(t, user, d).AttestationOptions
			req := rest.PasskeyAppendFinishReq{UserID: string(user), ProcessID: process, AttestationResponse: d.create(t, options), ClientInformation: d.client()}
			c.change(t, st, d, options, &req)
			before := st.get(t, user)
			_, err := st.AppendFinish(t.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.project.ID, Body: req})
			wantField(t, err, 400, c.field, c.message)
			if diff := cmp.Diff(before, st.get(t, user)); diff != "" {
				t.Errorf("the account was changed: %s", diff)
			}
		})
	}
}

func TestOnlyAuthenticatorsThatThePolicyAllowsCreatePasskeys(t *testing.T) {
	t.Parallel()
	const other = "08987058-cadc-4b81-b6e1-30de50dcbe96"
	for name, c := range map[string]struct {
		allowed []string
		taken   bool
	}{
		"any, if it names none":          {nil, true},
		"one that it names":              {[]string{other, phoneAAGUID}, true},
		"one that it names in capitals":  {[]string{strings.ToUpper(phoneAAGUID)}, true},
		"not one that it does not name":  {[]string{other}, false},
		"not one that it names in part":  {[]string{phoneAAGUID[:8]}, false},
		"not, if what it names is blank": {[]string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.AllowedAAGUIDs = c.allowed }
			user, d := st.user(t), phone()
			answer := d.create(t, st.appendStart(t, user, d).AttestationOptions)
			// What counts is what the policy allowed when the creation was started.
			st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.AllowedAAGUIDs = []string{other} }
			_, err := st.appendFinish(t, user, d, answer)
			if c.taken {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantField(t, err, 400, "attestationResponse", "the authenticator is not one of those that the policy allows")
			if n := len(st.get(t, user).Credentials); n != 0 {
				t.Errorf("%d passkeys were kept", n)
			}
			if got := st.events.all(); len(got) != 1 || got[0].Type != event.AppendOffered {
				t.Errorf("a success or a decline was recorded: %+v", got)
			}
			_, err = st.appendFinish(t, user, d, answer)
			wantField(t, err, 400, "attestationResponse", "the challenge has been used already")
			st.decision.append = nil
			st.enroll(t, user, d)
		})
	}
}

func TestAnAttestationIsTakenOnce(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	answer := d.create(t, st.appendStart(t, user, d).AttestationOptions)
	if _, err := st.appendFinish(t, user, d, answer); err != nil {
		t.Fatal(err)
	}
	_, err := st.appendFinish(t, user, d, answer)
	wantField(t, err, 400, "attestationResponse", "the challenge has been used already")
}

func TestACredentialIDBelongsToOneUserOfAProject(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, other, d := st.user(t), st.user(t), phone()
	st.enroll(t, user, d)
	for _, u := range []ident.UserID{other, user} {
		_, err := st.appendFinish(t, u, d, d.create(t, st.appendStart(t, u, d).AttestationOptions))
		wantField(t, err, 409, "attestationResponse", "the credential is registered already")
	}
	if n := len(st.get(t, other).Credentials); n != 0 {
		t.Errorf("the other user has %d credentials", n)
	}

	elsewhere := newStack(t)
	elsewhere.enroll(t, elsewhere.user(t), d)
}

func TestAUserBlankOrAUsernameBlankIsRefused(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	start := func(user, username string) error {
		_, err := st.AppendStart(t.Context(), service.ForProject[rest.PasskeyAppendStartReq]{Project: st.project.ID, Body: rest.PasskeyAppendStartReq{
			UserID: user, ProcessID: process, Username: username, ClientInformation: phone().client(),
		}})
		return err
	}
	wantField(t, start(string(st.user(t)), ""), 400, "username", "cannot be blank")
	wantField(t, start("", "ada"), 400, "userID", "must be of the form usr-<number>")
	wantField(t, start("usr-1", "ada"), 400, "userID", "does not exist")
}

func TestExcludedCredentialsCarryTheirTransports(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	var options struct {
		PublicKey struct {
			Exclude []struct {
				Transports []string `json:"transports"`
			} `json:"excludeCredentials"`
		} `json:"publicKey"`
	}
	rsp := st.appendStart(t, user, d)
	if err := json.Unmarshal([]byte(rsp.AttestationOptions), &options); err != nil {
		t.Fatal(err)
	}
	if len(options.PublicKey.Exclude) != 1 || !cmp.Equal(options.PublicKey.Exclude[0].Transports, d.transports) || rsp.CredentialCount != 1 {
		t.Errorf("answer: %+v", rsp)
	}
}

func TestWritersOfOneAccountDoNotLoseOneAnothersPasskeys(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	const writers = 12
	var wait sync.WaitGroup
	for range writers {
		d := phone()
		answer := d.create(t, st.appendStart(t, user, d).AttestationOptions)
		wait.Go(func() {
			if _, err := st.AppendFinish(context.Background(), service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.project.ID, Body: rest.PasskeyAppendFinishReq{
				UserID: string(user), ProcessID: process, AttestationResponse: answer, ClientInformation: d.client(),
			}}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := len(st.get(t, user).Credentials); n != writers {
		t.Errorf("%d of %d passkeys were kept", n, writers)
	}
}

func TestAnAppendThatCannotBeStoredLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	broken := &faulty{KeyValue: b.accounts}
	b.accounts = broken
	st := newStackOn(t, b)
	user, d := st.user(t), phone()
	answer := d.create(t, st.appendStart(t, user, d).AttestationOptions)
	broken.failUpdates(1)
	_, err := st.appendFinish(t, user, d, answer)
	if f := fault.As(err); f.Status != 503 {
		t.Fatalf("got %v", err)
	}
	if len(st.events.ofType(event.AppendCompleted)) != 0 || len(st.get(t, user).Credentials) != 0 {
		t.Error("an append that failed was recorded")
	}
	// The credential ID is free again: the same passkey can be registered by a new ceremony.
	st.enroll(t, user, d)
}

func TestAnAccountThatCannotBeReadIsLeftToThePolicy(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	broken := &faulty{KeyValue: b.accounts}
	b.accounts = broken
	st := newStackOn(t, b)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)

	broken.failReads(1)
	rsp := st.loginStart(t, user, d)
	if q := st.decision.last(); !q.LookupFailed || q.Account != nil {
		t.Errorf("the decision was asked with %+v", q)
	}
	if rsp.LoginAllow || rsp.AssertionOptions != "" {
		t.Errorf("something was offered to nobody: %+v", rsp)
	}
	broken.failReads(1)
	if rsp := st.appendStart(t, user, d); rsp.AppendAllow || rsp.AttestationOptions != "" {
		t.Errorf("something was offered to nobody: %+v", rsp)
	}
}

func TestASessionOfAnotherReleaseIsRefused(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	options := st.appendStart(t, user, d).AttestationOptions
	key := string(st.project.ID) + "." + string(user) + "." + challengeIn(t, options)
	entry, err := st.buckets.challenges.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var r challenge.Record
	if err := json.Unmarshal(entry.Value(), &r); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(r.Session.Format, "go-webauthn/") {
		t.Fatalf("format %q", r.Session.Format)
	}
	r.Session.Format = "go-webauthn/9.9"
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.buckets.challenges.Put(t.Context(), key, raw); err != nil {
		t.Fatal(err)
	}
	_, err = st.appendFinish(t, user, d, d.create(t, options))
	wantField(t, err, 400, "attestationResponse", "the ceremony was started by another version of the server; start it again")
}
