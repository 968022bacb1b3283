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
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// refusal is a login that goes wrong in one way.
type refusal struct {
	name    string
	change  func(t *testing.T, l *attempt)
	field   string
	message string
	spends  bool // the challenge is used up by the attempt
}

// attempt is a login about to be finished.
type attempt struct {
	st      *ceremonytest.Stack
	user    ident.UserID
	device  *authenticator.Device
	options string
	req     service.ForProject[rest.PasskeyLoginFinishReq]
}

// sign puts the device's answer into the request.
func (l *attempt) sign(t *testing.T) {
	t.Helper()
	l.req.Body.AssertionResponse = l.device.Get(t, l.options)
}

func (l *attempt) edit(t *testing.T, change func(credential, response map[string]any)) {
	t.Helper()
	l.req.Body.AssertionResponse = authenticator.Edit(t, l.req.Body.AssertionResponse, change)
}

// editClientData changes the client data after it was signed.
func (l *attempt) editClientData(t *testing.T, change func(map[string]any)) {
	t.Helper()
	l.edit(t, func(_, response map[string]any) {
		raw, err := base64.RawURLEncoding.DecodeString(response["clientDataJSON"].(string))
		if err != nil {
			t.Fatal(err)
		}
		var data map[string]any
		if err := json.Unmarshal(raw, &data); err != nil {
			t.Fatal(err)
		}
		change(data)
		if raw, err = json.Marshal(data); err != nil {
			t.Fatal(err)
		}
		response["clientDataJSON"] = base64.RawURLEncoding.EncodeToString(raw)
	})
}

func refusals() []refusal {
	const assertion = "assertionResponse"
	unknown := "the challenge is unknown, or was not given to this user"
	return []refusal{
		{
			"an answer that is not JSON", func(_ *testing.T, l *attempt) { l.req.Body.AssertionResponse = "{" }, assertion,
			"is not the JSON of a PublicKeyCredential", false,
		},
		{
			"an answer with something behind it", func(_ *testing.T, l *attempt) { l.req.Body.AssertionResponse += "{}" },
			assertion, "is not the JSON of a PublicKeyCredential", false,
		},
		{"an answer without authenticator data", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { response["authenticatorData"] = "AA" })
		}, assertion, "response.authenticatorData is not that of an authenticator (W3C WebAuthn §6.1)", false},
		{"an answer of the other type", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["type"] = "webauthn.create" })
		}, assertion, "the client data is not of type webauthn.get", false},
		{"a challenge that nobody issued", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["challenge"] = strings.Repeat("A", 43) })
		}, assertion, unknown, false},
		{"a challenge that could not be a key", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["challenge"] = "*.>" })
		}, assertion, unknown, false},
		{"a challenge of a creation", func(t *testing.T, l *attempt) {
			creation := l.st.BeginAppend(t, l.user, l.device)
			l.options = strings.Replace(
				l.options, authenticator.ChallengeIn(t, l.options), authenticator.ChallengeIn(t, creation.AttestationOptions), 1,
			)
			l.sign(t)
		}, assertion, "the challenge belongs to a ceremony of the other type", false},
		{"a challenge of a mediation", func(t *testing.T, l *attempt) {
			l.options = l.st.BeginMediation(t, l.device).AssertionOptions
			l.sign(t)
		}, assertion, unknown, false},
		{"another user", func(t *testing.T, l *attempt) { l.req.Body.UserID = string(l.st.NewUser(t)) }, assertion, unknown, false},
		{"a user of another project", func(t *testing.T, l *attempt) {
			other := ceremonytest.New(t)
			l.st.Projects.Set(other.Project)
			l.req.Project = other.Project.ID
		}, "userID", "does not exist", false},
		{"the same user ID and challenge in another project", func(t *testing.T, l *attempt) {
			other := ceremonytest.New(t)
			l.st.Projects.Set(other.Project)
			a := l.st.Account(t, l.user)
			a.Project = other.Project.ID
			if err := l.st.Accounts.Create(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			l.req.Project = other.Project.ID
		}, assertion, unknown, false},
		{
			"another process", func(_ *testing.T, l *attempt) { l.req.Body.ProcessID = "prc-2" }, assertion,
			"the challenge belongs to another process", false,
		},
		{
			"a user ID with a wildcard", func(_ *testing.T, l *attempt) { l.req.Body.UserID = "usr-*" }, "userID",
			"must be of the form usr-<number>", false,
		},
		{"a user who does not exist", func(_ *testing.T, l *attempt) { l.req.Body.UserID = "usr-1" }, "userID", "does not exist", false},
		{"a user who was disabled meanwhile", func(t *testing.T, l *attempt) {
			disabled := rest.UserStatusDisabled
			if _, err := l.st.UpdateUser(
				t.Context(),
				service.ForUser[rest.UserUpdateReq]{Project: l.st.Project.ID, User: l.user, Body: rest.UserUpdateReq{Status: &disabled}},
			); err != nil {
				t.Fatal(err)
			}
		}, "userID", "is not active", false},
		{
			"a challenge on the moment it expires", func(_ *testing.T, l *attempt) { l.st.Clock.Advance(5 * time.Minute) },
			assertion, "the challenge has expired", false,
		},
		{"a challenge that was consumed by hand", func(t *testing.T, l *attempt) {
			id := ident.ChallengeID(l.st.Challenges(t, l.user, "status:eq:pending")[0].ChallengeID)
			if _, err := l.st.UpdateChallenge(t.Context(), service.ForUser[patch.Challenge]{
				Project: l.st.Project.ID, User: l.user, Body: patch.Challenge{ID: id, Status: rest.PasskeyChallengeStatusConsumed},
			}); err != nil {
				t.Fatal(err)
			}
		}, assertion, "the challenge has been used already", true},
		{
			"another origin", func(t *testing.T, l *attempt) { l.device.Origin = "https://evil.example"; l.sign(t) }, assertion,
			"the origin is not one of the project's", true,
		},
		{"an origin that the project gave up", func(_ *testing.T, l *attempt) {
			p := l.st.Project
			p.Origins = []string{"android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}
			l.st.Projects.Set(p)
		}, assertion, "the origin is not one of the project's", true},
		{"an origin that the project took up meanwhile", func(t *testing.T, l *attempt) {
			p := l.st.Project
			p.Origins = append([]string{"https://new.example.com"}, p.Origins...)
			l.st.Projects.Set(p)
			l.device.Origin = "https://new.example.com"
			l.sign(t)
		}, assertion, "the origin is not one of the project's", true},
		{"a project with none of its origins left", func(_ *testing.T, l *attempt) {
			p := l.st.Project
			p.Origins = []string{"https://new.example.com"}
			l.st.Projects.Set(p)
		}, assertion, "the origins of the project have changed since the start", true},
		{"a frame of another origin", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["crossOrigin"] = true })
		}, assertion, "the ceremony took place in a frame of another origin", true},
		{
			"another RP ID", func(t *testing.T, l *attempt) { l.device.RPID = "evil.example"; l.sign(t) }, assertion,
			"the RP ID hash is not that of the project's RP ID", true,
		},
		{"a project whose RP ID has changed", func(_ *testing.T, l *attempt) {
			p := l.st.Project
			p.RPID = "login.example.com"
			l.st.Projects.Set(p)
		}, assertion, "the RP ID of the project has changed since the start", false},
		{"a tampered signature", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { authenticator.Flip(t, response, "signature", -1) })
		}, assertion, "the signature is invalid", true},
		{"tampered client data", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["extra"] = true })
		}, assertion, "the signature is invalid", true},
		{"a tampered counter", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { authenticator.Flip(t, response, "authenticatorData", -1) })
		}, assertion, "the signature is invalid", true},
		{"another key", func(t *testing.T, l *attempt) {
			id := l.device.Key.ID
			l.device.Key = authenticator.Phone().Key
			l.device.Key.ID = id
			l.sign(t)
		}, assertion, "the signature is invalid", true},
		{
			"a user who was not verified", func(t *testing.T, l *attempt) { l.device.Options.UserNotVerified = true; l.sign(t) },
			assertion, "the user was not verified", true,
		},
		{
			"a user who was not present", func(t *testing.T, l *attempt) { l.device.Options.UserNotPresent = true; l.sign(t) },
			assertion, "the user was not present", true,
		},
		{"a passkey that is no longer eligible for backup", func(t *testing.T, l *attempt) {
			l.device.Options.BackupEligible, l.device.Options.BackupState = false, false
			l.sign(t)
		}, assertion, "the backup eligibility of the credential has changed", true},
		{"backup flags that contradict each other", func(t *testing.T, l *attempt) {
			l.device.Options.BackupEligible = false
			l.sign(t)
		}, assertion, "the backup flags contradict each other", true},
		{
			"another user's handle",
			func(t *testing.T, l *attempt) { l.device.Options.UserHandle = []byte("somebody"); l.sign(t) }, assertion,
			"the user handle is another user's", true,
		},
		{
			"a passkey that nobody knows", func(t *testing.T, l *attempt) { l.device = authenticator.Phone(); l.sign(t) },
			assertion, "unknown credential", true,
		},
		{"another user's passkey", func(t *testing.T, l *attempt) {
			l.device = authenticator.Phone()
			l.st.Enroll(t, l.st.NewUser(t), l.device)
			l.sign(t)
		}, assertion, "unknown credential", true},
		{"a passkey that was deleted meanwhile", func(t *testing.T, l *attempt) {
			for _, c := range l.st.Account(t, l.user).Credentials {
				if _, err := l.st.DeleteCredential(
					t.Context(), service.ForUser[ident.CredentialID]{Project: l.st.Project.ID, User: l.user, Body: c.ID},
				); err != nil {
					t.Fatal(err)
				}
			}
		}, assertion, "the credential has been deleted", true},
		{"a passkey made after the start", func(t *testing.T, l *attempt) {
			l.device = authenticator.Phone()
			l.st.Enroll(t, l.user, l.device)
			l.sign(t)
		}, assertion, "the credential is not one of those that were allowed", true},
	}
}

// steps names what an assertion fails at by the words of its refusal.
func steps() map[string]string {
	return map[string]string{
		"the signature is invalid":                             "signature",
		"the origin is not one of the project's":               "origin",
		"the ceremony took place in a frame of another origin": "origin",
		"the RP ID hash is not that of the project's RP ID":    "rp",
		"the user was not present":                             "presence",
		"the user was not verified":                            "uv",
		"the backup eligibility of the credential has changed": "backup",
		"the backup flags contradict each other":               "backup",
	}
}

func TestALoginIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		t.Run("of "+c.name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			l := &attempt{st: st, user: st.NewUser(t), device: authenticator.Phone()}
			st.Enroll(t, l.user, l.device)
			l.options = st.BeginLogin(t, l.user, l.device).AssertionOptions
			good := l.device.Get(t, l.options)
			l.req = st.LoginFinishReq(l.user, l.device, good)
			before := *l.device
			c.change(t, l)
			account := st.Account(t, l.user)
			history := len(st.Events.OfType(event.LoginCompleted))

			rsp, err := st.LoginFinish(t.Context(), l.req)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
			if diff := cmp.Diff(rest.PasskeyLoginFinishRsp{}, rsp.Body); diff != "" {
				t.Errorf("a refusal came with an answer: %s", diff)
			}
			if diff := cmp.Diff(account, st.Account(t, l.user)); diff != "" {
				t.Errorf("the account was changed: %s", diff)
			}
			if len(st.Events.OfType(event.LoginCompleted)) != history {
				t.Error("a completed login was recorded")
			}
			if spent := errors.Is(err, challenge.ErrUsed); spent && len(st.Events.OfType(event.LoginRefused)) > 0 {
				t.Error("an answer to a spent challenge is told")
			} else if !spent {
				wantRefused(t, st, event.LoginRefused, err, l.req.Body.UserID, c.message)
			}
			for _, told := range st.Events.OfType(event.LoginRefused) {
				if want := steps()[c.message]; told.Refused.Step != want {
					t.Errorf("it is told to have failed at %q, want %q", told.Refused.Step, want)
				}
				// An answer to a challenge that is over, or was never given out, is evidence against nobody.
				if valid := !errors.Is(err, challenge.ErrExpired) && !errors.Is(err, challenge.ErrUnknown); (told.Sighted != nil) != valid {
					t.Errorf("%v is counted: %v", err, told.Sighted != nil)
				}
			}
			if signals := fault.As(err).Signals; (signals != nil) != (c.name == "a passkey that nobody knows") {
				t.Errorf("the client is to signal %+v", signals)
			}
			if strings.Contains(err.Error(), good) || strings.Contains(st.Log.String(), base64.RawURLEncoding.EncodeToString(before.Key.ID)) {
				t.Error("the answer's bytes were echoed")
			}

			// With the world as it was, the good answer is taken if, and only if, the attempt did not spend the challenge.
			st.Projects.Set(st.Project)
			st.Clock.Advance(ceremonytest.Started.Sub(st.Clock.Now()))
			active := rest.UserStatusActive
			if _, err := st.UpdateUser(
				t.Context(),
				service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: l.user, Body: rest.UserUpdateReq{Status: &active}},
			); err != nil {
				t.Fatal(err)
			}
			_, err = st.FinishLogin(t, l.user, &before, good)
			if c.spends {
				ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
			} else if err != nil {
				t.Errorf("the challenge was spent: %v", err)
			}
		})
	}
}
