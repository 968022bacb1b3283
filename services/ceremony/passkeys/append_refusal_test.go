package passkeys_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

func TestAnAppendIsRefused(t *testing.T) {
	t.Parallel()
	const attestation = "attestationResponse"
	cases := map[string]struct {
		change  func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, options string, req *rest.PasskeyAppendFinishReq)
		field   string
		message string
	}{
		"of an answer that is not JSON": {
			func(_ *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
				req.AttestationResponse = "null"
			},
			attestation,
			"is not the JSON of a PublicKeyCredential",
		},
		"of an attestation object that is not CBOR": {
			func(t *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
				req.AttestationResponse = authenticator.Edit(
					t, req.AttestationResponse, func(_, response map[string]any) { response["attestationObject"] = "AAAA" },
				)
			},
			attestation,
			"response.attestationObject is not one (W3C WebAuthn §6.5.4): not CBOR, or without the data of a credential",
		},
		"of an assertion": {func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
			st.Enroll(t, ident.UserID(req.UserID), d)
			login := d.Get(t, st.BeginLogin(t, ident.UserID(req.UserID), d).AssertionOptions)
			req.AttestationResponse = authenticator.Edit(t, req.AttestationResponse, func(_, response map[string]any) {
				authenticator.Edit(t, login, func(_, signed map[string]any) { response["clientDataJSON"] = signed["clientDataJSON"] })
			})
		}, attestation, "the client data is not of type webauthn.create"},
		"of another process": {func(_ *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.ProcessID = "prc-2"
		}, attestation, "the challenge belongs to another process"},
		"of another user": {func(t *testing.T, st *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.UserID = string(st.NewUser(t))
		}, attestation, "the challenge is unknown, or was not given to this user"},
		"of an unknown user": {func(_ *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
			req.UserID = "usr-1"
		}, "userID", "does not exist"},
		"of an expired challenge": {
			func(_ *testing.T, st *ceremonytest.Stack, _ *authenticator.Device, _ string, _ *rest.PasskeyAppendFinishReq) {
				st.Clock.Advance(5 * time.Minute)
			},
			attestation,
			"the challenge has expired",
		},
		"of another origin": {
			func(t *testing.T, _ *ceremonytest.Stack, d *authenticator.Device, options string, req *rest.PasskeyAppendFinishReq) {
				d.Origin = "https://evil.example"
				req.AttestationResponse = d.Create(t, options)
			},
			attestation,
			"the origin is not one of the project's",
		},
		"of another RP ID": {
			func(t *testing.T, _ *ceremonytest.Stack, d *authenticator.Device, options string, req *rest.PasskeyAppendFinishReq) {
				d.RPID = "evil.example"
				req.AttestationResponse = d.Create(t, options)
			},
			attestation,
			"the RP ID hash is not that of the project's RP ID",
		},
		"of a user who was not verified": {
			func(t *testing.T, _ *ceremonytest.Stack, d *authenticator.Device, options string, req *rest.PasskeyAppendFinishReq) {
				d.Options.UserNotVerified = true
				req.AttestationResponse = d.Create(t, options)
			},
			attestation,
			"the user was not verified",
		},
		"of backup flags that contradict each other": {
			func(t *testing.T, _ *ceremonytest.Stack, d *authenticator.Device, options string, req *rest.PasskeyAppendFinishReq) {
				d.Options.BackupEligible = false
				req.AttestationResponse = d.Create(t, options)
			},
			attestation,
			"the backup flags contradict each other",
		},
		"of a tampered attestation": {
			func(t *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
				req.AttestationResponse = authenticator.Edit(
					t, req.AttestationResponse,
					func(_, response map[string]any) { authenticator.Flip(t, response, "attestationObject", -1) },
				)
			},
			attestation,
			"the public key in response.attestationObject could not verify a login (W3C WebAuthn §5.8.5)",
		},
		"of a credential ID that was not attested": {
			func(t *testing.T, _ *ceremonytest.Stack, _ *authenticator.Device, _ string, req *rest.PasskeyAppendFinishReq) {
				req.AttestationResponse = authenticator.Edit(
					t, req.AttestationResponse,
					func(credential, _ map[string]any) { credential["id"], credential["rawId"] = "AAAA", "AAAA" },
				)
			},
			attestation,
			"rawId is not the ID of the credential in response.attestationObject (W3C WebAuthn §5.1)",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			options := st.BeginAppend(t, user, d).AttestationOptions
			req := rest.PasskeyAppendFinishReq{
				UserID: string(user), ProcessID: ceremonytest.Process, AttestationResponse: d.Create(t, options),
				ClientInformation: d.Client(),
			}
			c.change(t, st, d, options, &req)
			before := st.Account(t, user)
			_, err := st.AppendFinish(t.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.Project.ID, Body: req})
			ceremonytest.WantField(t, err, 400, c.field, c.message)
			if diff := cmp.Diff(before, st.Account(t, user)); diff != "" {
				t.Errorf("the account was changed: %s", diff)
			}
			wantRefused(t, st, event.AppendRefused, err, req.UserID, c.message)
			wantSignal(t, st, err, req.AttestationResponse)
		})
	}
}

func TestACreationThatIsRefusedForWhatIsThereLeavesItsEvent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, answer string)
		status int
		field  string
		reason string // of the event; empty: none is left
		signal bool
	}{
		"a user who was disabled meanwhile": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, _ *authenticator.Device, _ string) {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
				Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: &disabled},
			}); err != nil {
				t.Fatal(err)
			}
		}, 400, "userID", "is not active", true},
		"a passkey that another user has": {func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, _ string) {
			st.Enroll(t, st.NewUser(t), d)
		}, 409, "attestationResponse", "the credential is registered already", false},
		"an answer that made a passkey before": {func(
			t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, answer string,
		) {
			if _, err := st.FinishAppend(t, user, d, answer); err != nil {
				t.Fatal(err)
			}
		}, 400, "attestationResponse", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
			c.change(t, st, user, d, answer)
			_, err := st.FinishAppend(t, user, d, answer)
			if f := fault.As(err); f.Status != c.status || f.Validation[0].Field != c.field || (f.Signals != nil) != c.signal {
				t.Errorf("got %v with the signals %+v", f, f.Signals)
			}
			if c.reason != "" {
				wantRefused(t, st, event.AppendRefused, err, string(user), c.reason)
			} else if n := len(st.Events.OfType(event.AppendRefused)); n != 0 {
				t.Errorf("%d events of a creation that was not refused", n)
			}
		})
	}
}

// wantRefused checks that one refusal has left one event with its reason, if its user is there.
func wantRefused(t *testing.T, st *ceremonytest.Stack, kind event.Type, err error, user, reason string) {
	t.Helper()
	told := st.Events.OfType(kind)
	if errors.Is(err, account.ErrUnknown) || fault.As(err).Validation[0].Message == "must be of the form usr-<number>" {
		if len(told) != 0 {
			t.Errorf("%d events of a user who is not there", len(told))
		}
		return
	}
	if len(told) != 1 || told[0].Refused == nil || told[0].Refused.Reason != reason || string(told[0].User) != user {
		t.Errorf("the refusal left %+v", told)
	}
	if kind == event.AppendRefused && told[0].Refused.Step != "" {
		t.Errorf("a creation is told to have failed at a step of a login: %+v", told[0].Refused)
	}
}

// wantSignal checks that a refused creation tells the client of its passkey, as far as the answer can be read.
func wantSignal(t *testing.T, st *ceremonytest.Stack, err error, answer string) {
	t.Helper()
	parsed, unreadable := relyingparty.ParseCreation(answer)
	if unreadable != nil || errors.Is(err, account.ErrUnknown) {
		return
	}
	want := &fault.Signals{RPID: st.Project.RPID, UnknownCredentialID: base64.RawURLEncoding.EncodeToString(parsed.RawID)}
	if diff := cmp.Diff(want, fault.As(err).Signals); diff != "" {
		t.Error(diff)
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
		"one that it names":              {[]string{other, ceremonytest.PhoneAAGUID}, true},
		"one that it names in capitals":  {[]string{strings.ToUpper(ceremonytest.PhoneAAGUID)}, true},
		"not one that it does not name":  {[]string{other}, false},
		"not one that it names in part":  {[]string{ceremonytest.PhoneAAGUID[:8]}, false},
		"not, if what it names is blank": {[]string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.AllowedAAGUIDs = c.allowed }
			user, d := st.NewUser(t), authenticator.Phone()
			answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
			// What counts is what the policy allowed when the creation was started.
			st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.AllowedAAGUIDs = []string{other} }
			_, err := st.FinishAppend(t, user, d, answer)
			if c.taken {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			ceremonytest.WantField(t, err, 400, "attestationResponse", "the authenticator is not one of those that the policy allows")
			if n := len(st.Account(t, user).Credentials); n != 0 {
				t.Errorf("%d passkeys were kept", n)
			}
			got := st.Events.All()
			if len(got) != 2 || got[0].Type != event.AppendOffered || got[1].Type != event.AppendRefused || got[1].Ceremony != got[0].Ceremony {
				t.Fatalf("something else was recorded: %+v", got)
			}
			want := &event.Refused{
				Passkey: base64.RawURLEncoding.EncodeToString(
					d.Key.ID,
				),
				AAGUID: ceremonytest.PhoneAAGUID,
				Reason: "the authenticator is not one of those that the policy allows",
			}
			if diff := cmp.Diff(want, got[1].Refused); diff != "" {
				t.Error(diff)
			}
			_, err = st.FinishAppend(t, user, d, answer)
			ceremonytest.WantField(t, err, 400, "attestationResponse", "the challenge has been used already")
			st.Decision.OnAppend = nil
			st.Enroll(t, user, d)
		})
	}
}

func TestASessionOfAnotherReleaseIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	options := st.BeginAppend(t, user, d).AttestationOptions
	key := string(st.Project.ID) + "." + string(user) + "." + authenticator.ChallengeIn(t, options)
	entry, err := st.Buckets.Challenges.Get(t.Context(), key)
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
	if _, err := st.Buckets.Challenges.Put(t.Context(), key, raw); err != nil {
		t.Fatal(err)
	}
	_, err = st.FinishAppend(t, user, d, d.Create(t, options))
	ceremonytest.WantField(t, err, 400, "attestationResponse", "the ceremony was started by another version of the server; start it again")
}
