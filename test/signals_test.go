package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// scheduled is a row of the schedule of signals that docs/signin.md has: when, from which answer, and by which calls of the browser.
var scheduled = regexp.MustCompile("(?m)^\\| ([^|]+) \\| ([^|]+) \\| (`signal[^|]+) \\|$")

// Credential managers are told by a schedule that is written down. Each of its moments comes here, and its answer has what is to be told:
// of a user whole, of a passkey that is not there its ID alone.
func TestEveryMomentOfTheScheduleOfSignalsHasWhatIsToBeTold(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	moments := map[string]func(*testing.T, *guest) (got, want *frontend.PasskeySignals){
		"after each sign-in, and when the page opens with a session": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			list, me := ada.signals(t)
			if diff := cmp.Diff(list, me); diff != "" {
				t.Errorf("both answers tell the same: %s", diff)
			}
			return list, ada.whole(t, 1)
		},
		"after a passkey was created or deleted": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			_, answered := ada.createMine(t, authenticator.Phone(), origin)
			as[json.RawMessage](t, answered)
			list, _ := ada.signals(t)
			if diff := cmp.Diff(ada.whole(t, 2), list); diff != "" {
				t.Errorf("after a creation: %s", diff)
			}
			passkeys := as[frontend.MePasskeyRsp](t, ada.visit(t, "GET", "/v2/me/passkeys", "")).Passkeys
			as[json.RawMessage](t, ada.visit(t, "DELETE", "/v2/me/passkeys/"+passkeys[0].ID, ""))
			list, _ = ada.signals(t)
			return list, ada.whole(t, 1)
		},
		"after the name or an identifier has changed": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			as[json.RawMessage](t, ada.visit(t, "PATCH", "/v2/me", `{"fullName": "Countess of Lovelace"}`))
			_, me := ada.signals(t)
			want := ada.whole(t, 1)
			want.DisplayName = new("Countess of Lovelace")
			return me, want
		},
		"a passkey was picked in the login form that the project never had": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			page, ghost := ada.stranger(t)
			shown := page.visit(t, "GET", "/v2/auth/process?preferredBlock=login-init", "")
			signed := page.sign(t, *at[frontend.BlockLoginInit](t, shown, frontend.BlockTypeLoginInit).ConditionalUIChallenge)
			answered := page.visit(t, "POST", "/v2/auth/passkey/mediation/finish", quoted(t, "signedChallenge", signed))
			return at[frontend.BlockLoginInit](t, answered, frontend.BlockTypeLoginInit).Signals, ghost
		},
		"the same with a passkey that was asked for by name": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			page, ghost := ada.stranger(t)
			asked := at[frontend.BlockPasskeyVerify](
				t, page.visit(t, "POST", "/v2/auth/login/init", `{"identifierValue": "`+ada.name+`", "isPhone": false}`),
				frontend.BlockTypePasskeyVerify,
			)
			signed := page.sign(t, asked.Challenge)
			return refusedSignals(t, page.visit(t, "POST", "/v2/auth/passkey/login/finish", quoted(t, "signedChallenge", signed))), ghost
		},
		"a passkey was created, and its creation is refused": func(t *testing.T, ada *guest) (_, _ *frontend.PasskeySignals) {
			t.Helper()
			created, refused := ada.createMine(t, authenticator.Phone(), "https://elsewhere.example.com")
			return refusedSignals(t, refused), unknown(t, created)
		},
	}
	var written []string
	for _, row := range scheduled.FindAllStringSubmatch(repoFile(t, "docs/signin.md"), -1) {
		written = append(written, row[1])
		if moments[row[1]] == nil {
			t.Errorf("the schedule has the moment %q, which nothing is tested of", row[1])
		}
	}
	for when, moment := range moments {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			if !slices.Contains(written, when) {
				t.Fatal("the schedule that is written does not have it")
			}
			ada := &guest{&visitor{client: client{base: st.base}, device: authenticator.Phone()}, fmt.Sprintf("user%d", slices.Index(written, when))}
			ada.signUp(t, ada.name)
			got, want := moment(t, ada)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// guest is somebody who is signed in to the page of the project.
type guest struct {
	*visitor
	name string
}

// signals are what the page tells of the user: as the list of passkeys has it, and as the user's own data has it.
func (g *guest) signals(t *testing.T) (list, me *frontend.PasskeySignals) {
	t.Helper()
	list = as[frontend.MePasskeyRsp](t, g.visit(t, "GET", "/v2/me/passkeys", "")).Signals
	me = as[frontend.MeRsp](t, g.visit(t, "GET", "/v2/me", "")).Signals
	for _, told := range []*frontend.PasskeySignals{list, me} {
		if told == nil || told.AllAcceptedCredentialIDs == nil {
			t.Fatal("nothing is told of the user")
		}
		slices.Sort(*told.AllAcceptedCredentialIDs) // their order means nothing
	}
	return list, me
}

// whole is what is to be told of a user who has so many passkeys: all that the account lists, and the handle that they were made for.
func (g *guest) whole(t *testing.T, passkeys int) *frontend.PasskeySignals {
	t.Helper()
	all := []string{}
	for _, p := range as[frontend.MePasskeyRsp](t, g.visit(t, "GET", "/v2/me/passkeys", "")).Passkeys {
		all = append(all, p.CredentialID)
	}
	if len(all) != passkeys {
		t.Fatalf("the account has %d passkeys, want %d", len(all), passkeys)
	}
	slices.Sort(all)
	handle := base64.RawURLEncoding.EncodeToString(g.device.Passkeys[0].UserHandle)
	return &frontend.PasskeySignals{RpID: "localhost", UserID: &handle, AllAcceptedCredentialIDs: &all, Name: &g.name, DisplayName: &g.name}
}

// startMine begins the creation of a passkey that the user asked for, and returns its options.
func (g *guest) startMine(t *testing.T) string {
	t.Helper()
	started := g.visit(t, "POST", "/v2/me/passkeys/append/start", `{"clientInformation": `+visitorSays+`}`)
	return as[frontend.MePasskeysAppendStartRsp](t, started).AttestationOptions
}

// createMine creates a passkey that the user asked for, on a page of that origin, and returns it and what was answered.
func (g *guest) createMine(t *testing.T, on *authenticator.Device, origin string) (string, answer) {
	t.Helper()
	created, err := on.Create(g.startMine(t), origin)
	if err != nil {
		t.Fatal(err)
	}
	finish, err := json.Marshal(map[string]any{"attestationResponse": created, "clientInformation": json.RawMessage(visitorSays)})
	if err != nil {
		t.Fatal(err)
	}
	return created, g.visit(t, "POST", "/v2/me/passkeys/append/finish", string(finish))
}

// stranger is a page in a browser that knows nothing, whose device holds a passkey of the user that the project never had.
func (g *guest) stranger(t *testing.T) (*guest, *frontend.PasskeySignals) {
	t.Helper()
	device := authenticator.Phone()
	created, err := device.Create(g.startMine(t), origin)
	if err != nil {
		t.Fatal(err)
	}
	page := &guest{&visitor{client: g.client, device: device}, g.name}
	begun := page.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`, "preferredBlock": "login-init"}`)
	page.process = as[frontend.ProcessInitRsp](t, begun).Token
	return page, unknown(t, created)
}

// sign answers options with what the device has, though they name other passkeys.
func (g *guest) sign(t *testing.T, options string) string {
	t.Helper()
	var read map[string]map[string]any
	if err := json.Unmarshal([]byte(options), &read); err != nil {
		t.Fatal(err)
	}
	delete(read["publicKey"], "allowCredentials")
	open, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := g.device.Get(string(open), origin)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// unknown is what is to be told of a passkey that is not there: its ID, and nothing of anybody.
func unknown(t *testing.T, credential string) *frontend.PasskeySignals {
	t.Helper()
	var read struct{ ID string }
	if err := json.Unmarshal([]byte(credential), &read); err != nil || read.ID == "" {
		t.Fatalf("passkey %s: %v", credential, err)
	}
	return &frontend.PasskeySignals{RpID: "localhost", UnknownCredentialID: &read.ID}
}

// refusedSignals are those of a refusal.
func refusedSignals(t *testing.T, a answer) *frontend.PasskeySignals {
	t.Helper()
	var read struct {
		Data struct {
			Signals *frontend.PasskeySignals `json:"signals"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.body, &read); err != nil || a.status != http.StatusBadRequest {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	return read.Data.Signals
}
