package ceremony_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
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
	st      *stack
	user    ident.UserID
	device  *device
	options string
	req     service.ForProject[rest.PasskeyLoginFinishReq]
}

// sign puts the device's answer into the request.
func (l *attempt) sign(t *testing.T) {
	t.Helper()
	l.req.Body.AssertionResponse = l.device.get(t, l.options)
}

func (l *attempt) edit(t *testing.T, change func(credential, response map[string]any)) {
	t.Helper()
	l.req.Body.AssertionResponse = edit(t, l.req.Body.AssertionResponse, change)
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
		{"an answer that is not JSON", func(_ *testing.T, l *attempt) { l.req.Body.AssertionResponse = "{" }, assertion, "is not the JSON of a PublicKeyCredential", false},
		{"an answer with something behind it", func(_ *testing.T, l *attempt) { l.req.Body.AssertionResponse += "{}" }, assertion, "is not the JSON of a PublicKeyCredential", false},
		{"an answer without authenticator data", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { response["authenticatorData"] = "AA" })
		}, assertion, "is not the JSON of a PublicKeyCredential", false},
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
			creation := l.st.appendStart(t, l.user, l.device)
			l.options = strings.Replace(l.options, challengeIn(t, l.options), challengeIn(t, creation.AttestationOptions), 1)
			l.sign(t)
		}, assertion, "the challenge belongs to a ceremony of the other type", false},
		{"a challenge of a mediation", func(t *testing.T, l *attempt) {
			l.options = l.st.mediationStart(t, l.device).AssertionOptions
			l.sign(t)
		}, assertion, unknown, false},
		{"another user", func(t *testing.T, l *attempt) { l.req.Body.UserID = string(l.st.user(t)) }, assertion, unknown, false},
		{"a user of another project", func(t *testing.T, l *attempt) {
			other := newStack(t)
			l.st.projects.set(other.project)
			l.req.Project = other.project.ID
		}, "userID", "does not exist", false},
		{"the same user ID and challenge in another project", func(t *testing.T, l *attempt) {
			other := newStack(t)
			l.st.projects.set(other.project)
			a := l.st.get(t, l.user)
			a.Project = other.project.ID
			if err := l.st.accounts.Create(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			l.req.Project = other.project.ID
		}, assertion, unknown, false},
		{"another process", func(_ *testing.T, l *attempt) { l.req.Body.ProcessID = "prc-2" }, assertion, "the challenge belongs to another process", false},
		{"a user ID with a wildcard", func(_ *testing.T, l *attempt) { l.req.Body.UserID = "usr-*" }, "userID", "must be of the form usr-<number>", false},
		{"a user who does not exist", func(_ *testing.T, l *attempt) { l.req.Body.UserID = "usr-1" }, "userID", "does not exist", false},
		{"a user who was disabled meanwhile", func(t *testing.T, l *attempt) {
			disabled := rest.UserStatusDisabled
			if _, err := l.st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: l.st.project.ID, User: l.user, Body: rest.UserUpdateReq{Status: &disabled}}); err != nil {
				t.Fatal(err)
			}
		}, "userID", "is not active", false},
		{"a challenge on the moment it expires", func(_ *testing.T, l *attempt) { l.st.clock.advance(5 * time.Minute) }, assertion, "the challenge has expired", false},
		{"a challenge that was consumed by hand", func(t *testing.T, l *attempt) {
			id := ident.ChallengeID(l.st.challenges(t, l.user, "status:eq:pending")[0].ChallengeID)
			if _, err := l.st.UpdateChallenge(t.Context(), service.ForUser[service.ChallengePatch]{
				Project: l.st.project.ID, User: l.user, Body: service.ChallengePatch{ID: id, Status: rest.PasskeyChallengeStatusConsumed},
			}); err != nil {
				t.Fatal(err)
			}
		}, assertion, "the challenge has been used already", true},
		{"another origin", func(t *testing.T, l *attempt) { l.device.origin = "https://evil.example"; l.sign(t) }, assertion, "the origin is not one of the project's", true},
		{"an origin that the project gave up", func(_ *testing.T, l *attempt) {
			p := l.st.project
			p.Origins = []string{"android:apk-key-hash:AAAA"}
			l.st.projects.set(p)
		}, assertion, "the origin is not one of the project's", true},
		{"an origin that the project took up meanwhile", func(t *testing.T, l *attempt) {
			p := l.st.project
			p.Origins = append([]string{"https://new.example.com"}, p.Origins...)
			l.st.projects.set(p)
			l.device.origin = "https://new.example.com"
			l.sign(t)
		}, assertion, "the origin is not one of the project's", true},
		{"a project with none of its origins left", func(_ *testing.T, l *attempt) {
			p := l.st.project
			p.Origins = []string{"https://new.example.com"}
			l.st.projects.set(p)
		}, assertion, "the origins of the project have changed since the start", true},
		{"a frame of another origin", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["crossOrigin"] = true })
		}, assertion, "the ceremony took place in a frame of another origin", true},
		{"another RP ID", func(t *testing.T, l *attempt) { l.device.rpID = "evil.example"; l.sign(t) }, assertion, "the RP ID hash is not that of the project's RP ID", true},
		{"a project whose RP ID has changed", func(_ *testing.T, l *attempt) {
			p := l.st.project
			p.RPID = "login.example.com"
			l.st.projects.set(p)
		}, assertion, "the RP ID of the project has changed since the start", false},
		{"a tampered signature", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { flip(t, response, "signature", -1) })
		}, assertion, "the signature is invalid", true},
		{"tampered client data", func(t *testing.T, l *attempt) {
			l.editClientData(t, func(data map[string]any) { data["extra"] = true })
		}, assertion, "the signature is invalid", true},
		{"a tampered counter", func(t *testing.T, l *attempt) {
			l.edit(t, func(_, response map[string]any) { flip(t, response, "authenticatorData", -1) })
		}, assertion, "the signature is invalid", true},
		{"another key", func(t *testing.T, l *attempt) {
			id := l.device.key.ID
			l.device.key = phone().key
			l.device.key.ID = id
			l.sign(t)
		}, assertion, "the signature is invalid", true},
		{"a user who was not verified", func(t *testing.T, l *attempt) { l.device.options.UserNotVerified = true; l.sign(t) }, assertion, "the user was not verified", true},
		{"a user who was not present", func(t *testing.T, l *attempt) { l.device.options.UserNotPresent = true; l.sign(t) }, assertion, "the user was not present", true},
		{"a passkey that is no longer eligible for backup", func(t *testing.T, l *attempt) {
			l.device.options.BackupEligible, l.device.options.BackupState = false, false
			l.sign(t)
		}, assertion, "the backup eligibility of the credential has changed", true},
		{"backup flags that contradict each other", func(t *testing.T, l *attempt) {
			l.device.options.BackupEligible = false
			l.sign(t)
		}, assertion, "the backup flags contradict each other", true},
		{"another user's handle", func(t *testing.T, l *attempt) { l.device.options.UserHandle = []byte("somebody"); l.sign(t) }, assertion, "the user handle is another user's", true},
		{"a passkey that nobody knows", func(t *testing.T, l *attempt) { l.device = phone(); l.sign(t) }, assertion, "unknown credential", true},
		{"another user's passkey", func(t *testing.T, l *attempt) {
			l.device = phone()
			l.st.enroll(t, l.st.user(t), l.device)
			l.sign(t)
		}, assertion, "unknown credential", true},
		{"a passkey that was deleted meanwhile", func(t *testing.T, l *attempt) {
			for _, c := range l.st.get(t, l.user).Credentials {
				if _, err := l.st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: l.st.project.ID, User: l.user, Body: c.ID}); err != nil {
					t.Fatal(err)
				}
			}
		}, assertion, "the credential has been deleted", true},
		{"a passkey made after the start", func(t *testing.T, l *attempt) {
			l.device = phone()
			l.st.enroll(t, l.user, l.device)
			l.sign(t)
		}, assertion, "the credential is not one of those that were allowed", true},
	}
}

func challengeIn(t testing.TB, options string) string {
	t.Helper()
	var parsed struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &parsed); err != nil || parsed.PublicKey.Challenge == "" {
		t.Fatalf("options %q: %v", options, err)
	}
	return parsed.PublicKey.Challenge
}

func TestALoginIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range refusals() {
		t.Run("of "+c.name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			l := &attempt{st: st, user: st.user(t), device: phone()}
			st.enroll(t, l.user, l.device)
			l.options = st.loginStart(t, l.user, l.device).AssertionOptions
			good := l.device.get(t, l.options)
			l.req = st.loginFinishReq(l.user, l.device, good)
			before := *l.device
			c.change(t, l)
			account := st.get(t, l.user)
			history := len(st.events.ofType(event.LoginCompleted))

			rsp, err := st.LoginFinish(t.Context(), l.req)
			wantField(t, err, 400, c.field, c.message)
			if diff := cmp.Diff(rest.PasskeyLoginFinishRsp{}, rsp); diff != "" {
				t.Errorf("a refusal came with an answer: %s", diff)
			}
			if diff := cmp.Diff(account, st.get(t, l.user)); diff != "" {
				t.Errorf("the account was changed: %s", diff)
			}
			if len(st.events.ofType(event.LoginCompleted)) != history {
				t.Error("a completed login was recorded")
			}
			if strings.Contains(err.Error(), good) || strings.Contains(st.log.String(), base64.RawURLEncoding.EncodeToString(before.key.ID)) {
				t.Error("the answer's bytes were echoed")
			}

			// With the world as it was, the good answer is taken if, and only if, the attempt did not spend the challenge.
			st.projects.set(st.project)
			st.clock.advance(started.Sub(st.clock.Now()))
			active := rest.UserStatusActive
			if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: l.user, Body: rest.UserUpdateReq{Status: &active}}); err != nil {
				t.Fatal(err)
			}
			_, err = st.loginFinish(t, l.user, &before, good)
			if c.spends {
				wantField(t, err, 400, "assertionResponse", "the challenge has been used already")
			} else if err != nil {
				t.Errorf("the challenge was spent: %v", err)
			}
		})
	}
}
