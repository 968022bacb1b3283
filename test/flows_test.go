package test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// What the public benchmark of passkey flows asks of a server, end to end: docs/passkey-benchmark.md names these tests.

// descriptor names a passkey in options.
type descriptor struct {
	ID         string   `json:"id"`
	Transports []string `json:"transports"`
}

// creation is what options of a creation say.
type creation struct {
	Challenge string `json:"challenge"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"user"`
	Exclude []descriptor `json:"excludeCredentials"`
}

func creationIn(t *testing.T, options string) creation {
	t.Helper()
	var read struct {
		PublicKey creation `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &read); err != nil || read.PublicKey.Challenge == "" {
		t.Fatalf("creation options %q: %v", options, err)
	}
	return read.PublicKey
}

func allowedIn(t *testing.T, options string) []descriptor {
	t.Helper()
	var read struct {
		PublicKey struct {
			Allow []descriptor `json:"allowCredentials"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &read); err != nil {
		t.Fatalf("request options %q: %v", options, err)
	}
	return read.PublicKey.Allow
}

func idsOf(all []descriptor) []string {
	var ids []string
	for _, d := range all {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

func transportsOf(all []descriptor) map[string][]string {
	byID := map[string][]string{}
	for _, d := range all {
		byID[d.ID] = d.Transports
	}
	return byID
}

// passkeys are those that the account has, by what the server tells of them.
func (p *person) passkeys(t *testing.T) []rest.Credential {
	t.Helper()
	return as[rest.CredentialList](t, p.call(t, "GET", "/v2/users/"+p.id+"/credentials", nil)).Credentials
}

func (p *person) credentialIDs(t *testing.T) []string {
	t.Helper()
	var ids []string
	for _, c := range p.passkeys(t) {
		ids = append(ids, c.CredentialID)
	}
	slices.Sort(ids)
	return ids
}

// elsewhere is the same user with another device, in a browser or app that knows nothing yet.
func (p *person) elsewhere(device *authenticator.Device) *person {
	return &person{client: p.client, id: p.id, device: device, process: p.process + 100}
}

// add creates a passkey that the user asks for by themselves, on whatever device it is.
func (p *person) add(t *testing.T) rest.PasskeyData {
	t.Helper()
	process := p.nextProcess()
	start := p.askForAppend(t, process, mac(p.handle))
	return as[rest.PasskeyAppendFinishRsp](t, p.appendFinish(t, process, start.AttestationOptions)).PasskeyData
}

// askForAppend begins a creation from the list of passkeys.
func (p *person) askForAppend(t *testing.T, process string, client map[string]any) rest.PasskeyAppendStartRsp {
	t.Helper()
	start := as[rest.PasskeyAppendStartRsp](t, p.call(t, "POST", "/v2/passkey/append/start", map[string]any{
		"userID": p.id, "processID": process, "username": "ada@example.com",
		"clientInformation": client, "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}))
	if !start.AppendAllow {
		t.Fatalf("refused, though it was asked for: %s", start.DecisionTag)
	}
	if start.NewClientEnvHandle != nil {
		p.handle = *start.NewClientEnvHandle
	}
	return start
}

// iPhone is an app on a phone of the kind that syncs the passkeys of authenticator.Phone.
func iPhone(handle string) map[string]any {
	info := map[string]any{
		"remoteAddress": "192.0.2.8", "userAgent": "Shop/7 CFNetwork/1494.0.7 Darwin/23.4.0", "isNative": true,
		"nativeMeta": map[string]any{
			"platform": "iOS", "platformVersion": "18.1", "displayName": "Shop", "name": "com.example.shop", "version": "1.0", "build": "7",
			"deviceOwnerAuth": "biometrics",
		},
	}
	if handle != "" {
		info["clientEnvHandle"] = handle
	}
	return info
}

// After a login with a passkey has failed on a new device, in a browser as in an app, the passkey that is offered there is one more: the
// older one stays and goes on signing in where it is, and the added one signs in where it was made.
func TestAPasskeyThatIsAddedAfterAFailureSignsInAndTheOlderOneStays(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	for name, client := range map[string]func(handle string) map[string]any{"in a browser": mac, "in an app": iPhone} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ada := st.newPerson(t)
			older := ada.createPasskey(t)
			other := ada.elsewhere(authenticator.Phone())
			call := func(path string, body map[string]any) answer {
				t.Helper()
				body["userID"], body["clientInformation"] = other.id, client(other.handle)
				return other.call(t, "POST", path, body)
			}
			begin := func(process string) rest.PasskeyLoginStartRsp {
				t.Helper()
				start := as[rest.PasskeyLoginStartRsp](t, call("/v2/passkey/login/start", map[string]any{
					"processID": process, "crossDeviceAuthenticationStrategy": "standard",
				}))
				if start.NewClientEnvHandle != nil {
					other.handle = *start.NewClientEnvHandle
				}
				return start
			}

			process := other.nextProcess()
			start := begin(process)
			if !start.LoginAllow {
				t.Fatalf("the login was refused before it failed: %s", start.DecisionTag)
			}
			if _, err := other.device.Get(start.AssertionOptions, origin); err == nil {
				t.Fatal("the new device holds the passkey of the other")
			}
			other.postEvent(t, map[string]any{
				"eventType": "login-error", "processID": process, "challenge": challengeOf(t, start.AssertionOptions),
			})

			offered := as[rest.PasskeyAppendStartRsp](t, call("/v2/passkey/append/start", map[string]any{
				"processID": process, "username": "ada@example.com", "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
			}))
			if !offered.AppendAllow || offered.DecisionTag != rest.DecisionTagProcessPkLoginIncomplete {
				t.Fatalf("after the failure and another login: %+v", offered)
			}
			response, err := other.device.Create(offered.AttestationOptions, origin)
			if err != nil {
				t.Fatal(err)
			}
			added := as[rest.PasskeyAppendFinishRsp](t, call("/v2/passkey/append/finish", map[string]any{
				"processID": process, "attestationResponse": response,
			})).PasskeyData
			if kept := ada.passkeys(t); len(kept) != 2 || !slices.ContainsFunc(kept, func(c rest.Credential) bool {
				return c.ID == older.ID && c.Status == rest.CredentialStatusActive
			}) {
				t.Errorf("the account has %+v", kept)
			}

			again := other.nextProcess()
			signed, err := other.device.Get(begin(again).AssertionOptions, origin)
			if err != nil {
				t.Fatal(err)
			}
			used := as[rest.PasskeyLoginFinishRsp](t, call("/v2/passkey/login/finish", map[string]any{
				"processID": again, "assertionResponse": signed,
			})).PasskeyData
			if used.ID != added.ID {
				t.Errorf("where it was added %s signed in, want %s", used.ID, added.ID)
			}
			before := ada.nextProcess()
			finished := ada.loginFinish(t, before, ada.loginStart(t, before).AssertionOptions)
			if used := as[rest.PasskeyLoginFinishRsp](t, finished).PasskeyData; used.ID != older.ID {
				t.Errorf("where the older one is %s signed in, want %s", used.ID, older.ID)
			}
		})
	}
}

// Every passkey of the account is excluded, wherever it is, so that no device makes a second one; and one that makes the same again
// nevertheless is refused.
func TestASecondDeviceIsToldEveryPasskeyOfTheAccountAndNoneIsTakenTwice(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	ada := st.newPerson(t)
	ada.createPasskey(t)
	ada.elsewhere(authenticator.SecurityKey()).add(t)
	ada.elsewhere(authenticator.Phone()).add(t)
	all := ada.credentialIDs(t)

	second := ada.elsewhere(authenticator.Phone())
	process := second.nextProcess()
	start := second.appendStart(t, process)
	if start.AttestationOptions == "" {
		start = second.askForAppend(t, process, mac(second.handle))
	}
	if diff := cmp.Diff(all, idsOf(creationIn(t, start.AttestationOptions).Exclude)); len(all) != 3 || diff != "" {
		t.Errorf("excluded are not all passkeys: %s", diff)
	}
	if _, err := ada.device.Create(start.AttestationOptions, origin); !errors.Is(err, authenticator.ErrExcluded) {
		t.Errorf("a device that has one: %v", err)
	}

	parsed, err := virtualwebauthn.ParseAttestationOptions(start.AttestationOptions)
	if err != nil {
		t.Fatal(err)
	}
	rp := virtualwebauthn.RelyingParty{ID: parsed.RelyingPartyID, Name: parsed.RelyingPartyName, Origin: origin}
	twice := virtualwebauthn.CreateAttestationResponse(
		rp, virtualwebauthn.Authenticator{Aaguid: ada.device.AAGUID}, ada.device.Passkeys[0].Credential, *parsed,
	)
	refused := second.call(t, "POST", "/v2/passkey/append/finish", map[string]any{
		"userID": second.id, "processID": process, "attestationResponse": twice, "clientInformation": mac(second.handle),
	}).fault(t, http.StatusConflict)
	if field(refused, "attestationResponse") != "the credential is registered already" {
		t.Errorf("a passkey that is there already: %+v", refused.Error)
	}
	if diff := cmp.Diff(all, ada.credentialIDs(t)); diff != "" {
		t.Errorf("the account has others now: %s", diff)
	}
}

// Options of a creation: the project's RP ID, a handle that stays and says nothing, all passkeys, and a challenge of their own.
func TestOptionsOfACreationAreFreshAndTheirHandleIsLastingAndNeutral(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	ada := st.newPerson(t)
	ada.createPasskey(t)
	ada.elsewhere(authenticator.SecurityKey()).add(t)
	rpID := strings.Split(strings.TrimPrefix(origin, "http://"), ":")[0]

	challenges, handles := map[string]bool{}, map[string]bool{}
	for range 3 {
		options := creationIn(t, ada.askForAppend(t, ada.nextProcess(), mac(ada.handle)).AttestationOptions)
		challenges[options.Challenge], handles[options.User.ID] = true, true
		if options.RP.ID != rpID {
			t.Errorf("the RP ID is %q, want the project's, %q", options.RP.ID, rpID)
		}
		if diff := cmp.Diff(ada.credentialIDs(t), idsOf(options.Exclude)); len(options.Exclude) != 2 || diff != "" {
			t.Errorf("excluded are not all passkeys: %s", diff)
		}
	}
	if len(challenges) != 3 || len(handles) != 1 {
		t.Errorf("%d challenges and %d handles in three answers, want 3 and 1", len(challenges), len(handles))
	}
	for handle := range handles {
		raw, err := base64.RawURLEncoding.DecodeString(handle)
		for _, told := range []string{"ada", "lovelace", "example.com", ada.id, strings.TrimPrefix(ada.id, "usr-")} {
			if err != nil || len(raw) < 16 || strings.Contains(strings.ToLower(string(raw)), told) {
				t.Errorf("the handle %q tells of %s, or is not one (%v)", raw, told, err)
			}
		}
	}
}

// Transports are kept as the browser told them, also those that nobody knows the use of, and in its order, and go back so with logins and
// creations alike.
func TestTransportsAreSentBackAsTheyWereReported(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	ada, told := st.newPerson(t), map[string][]string{}
	for _, transports := range [][]string{{"hybrid", "internal"}, {"internal"}, {"nfc", "usb"}, {"smart-card", "ble", "usb"}, nil} {
		device := authenticator.Phone()
		if device.Transports = transports; slices.Contains(transports, "usb") {
			device.Attachment = "cross-platform"
		}
		made := ada.elsewhere(device).add(t)
		for _, c := range ada.passkeys(t) {
			if c.ID == made.ID {
				told[c.CredentialID] = transports
			}
		}
	}
	start := ada.loginStart(t, ada.nextProcess())
	if diff := cmp.Diff(told, transportsOf(allowedIn(t, start.AssertionOptions)), emptyAsAbsent); len(told) != 5 || diff != "" {
		t.Errorf("of a login: %s", diff)
	}
	options := creationIn(t, ada.askForAppend(t, ada.nextProcess(), mac(ada.handle)).AttestationOptions)
	if diff := cmp.Diff(told, transportsOf(options.Exclude), emptyAsAbsent); diff != "" {
		t.Errorf("of a creation: %s", diff)
	}
}

// emptyAsAbsent takes a list without entries for none.
var emptyAsAbsent = cmp.Transformer("list", func(list []string) []string { return append([]string{}, list...) })

// What is known of one passkey, of one user and in one browser goes with that passkey, and nothing else does.
func TestDeletingAPasskeyLeavesWhatIsKnownOfOthersAlone(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	ada := st.newPerson(t)
	first := ada.createPasskey(t)
	laptop := ada.elsewhere(authenticator.Phone())
	second := laptop.add(t)
	bob := st.newPerson(t)
	bob.handle = ada.handle // in the same browser
	bob.createPasskey(t)

	worked := func(p *person) bool {
		t.Helper()
		start := p.loginStart(t, p.nextProcess())
		if !start.LoginAllow {
			t.Errorf("refused: %s", start.DecisionTag)
		}
		return start.DecisionTag == rest.DecisionTagUserPositiveEnvHistory
	}
	for name, p := range map[string]*person{"where the first was made": ada, "where the second was made": laptop, "of another user": bob} {
		if !worked(p) {
			t.Fatalf("before, %s: it is not known that one works", name)
		}
	}
	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/credentials/"+second.ID, nil))
	if !worked(ada) {
		t.Errorf("that %s works where it was made is forgotten with %s", first.ID, second.ID)
	}
	if !worked(bob) {
		t.Error("what is known of another user in the same browser is forgotten")
	}
	if worked(laptop) {
		t.Errorf("that %s worked is still told, though it is gone", second.ID)
	}
}

// A passkey that is created silently after a login is of who has just logged in, whoever was in this app before, and nobody else's flow
// takes it.
func TestASilentCreationIsOfWhoHasJustLoggedIn(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	app := iPhone("")
	app["nativeMeta"].(map[string]any)["isConditionalCreateSupported"] = true
	delete(app, "remoteAddress")
	delete(app, "userAgent")
	call := func(path, process string, body any) answer {
		t.Helper()
		return sdkCall(t, st, map[string]string{
			"Content-Type": "application/json", "User-Agent": "Shop/7 CFNetwork/1494.0.7 Darwin/23.4.0", "X-Corbado-ProjectID": "",
		}, path, process, body)
	}
	type flow struct {
		process  string
		options  creation
		response string
		device   *authenticator.Device
	}
	begin := func(name string) flow {
		t.Helper()
		began := as[frontend.ConnectAppendInitRsp](t, call("/v2/connect/append/init", "", map[string]any{
			"clientInformation": app, "flags": map[string]any{},
		}))
		if began.NewClientEnvHandle != nil {
			app["clientEnvHandle"] = *began.NewClientEnvHandle
		}
		token := as[rest.ConnectToken](t, st.call(t, "POST", "/v2/connectTokens", map[string]any{
			"type": "passkey-append", "data": map[string]any{"displayName": name, "identifier": name + "@example.com"},
		}))
		start := as[frontend.ConnectAppendStartRsp](t, call("/v2/connect/append/start", began.ProcessID, map[string]any{
			"appendTokenValue": *token.Secret, "loadedMs": 1, "loginMethod": "password",
		}))
		if start.AttestationOptions == "" || !start.ConditionalAppend {
			t.Fatalf("%s is not offered a silent creation: %+v", name, start)
		}
		device := authenticator.Phone()
		response, err := device.Create(start.AttestationOptions, origin)
		if err != nil {
			t.Fatal(err)
		}
		return flow{began.ProcessID, creationIn(t, start.AttestationOptions), response, device}
	}
	ada, bob, eve := begin("ada"), begin("bob"), begin("eve")
	if ada.options.User.Name != "ada@example.com" || bob.options.User.Name != "bob@example.com" || ada.options.User.ID == bob.options.User.ID {
		t.Errorf("options are of %+v and %+v", ada.options.User, bob.options.User)
	}
	if ada.options.Challenge == bob.options.Challenge {
		t.Error("both have one challenge")
	}
	finish := func(process, response string) answer {
		t.Helper()
		return call("/v2/connect/append/finish", process, map[string]any{"attestationResponse": response})
	}
	if crossed := finish(eve.process, ada.response); crossed.status != http.StatusBadRequest {
		t.Errorf("another's passkey was taken: %d %s", crossed.status, crossed.body)
	}
	as[json.RawMessage](t, finish(bob.process, bob.response))
	as[json.RawMessage](t, finish(ada.process, ada.response))

	began := as[frontend.ConnectLoginInitRsp](t, call("/v2/connect/login/init", "", map[string]any{
		"clientInformation": app, "flags": map[string]any{},
	}))
	asked := as[frontend.ConnectLoginStartRsp](t, call("/v2/connect/login/start", began.Token, map[string]any{
		"identifier": "ada@example.com", "source": "text-field", "loadedMs": 1,
	}))
	signed, err := ada.device.Get(asked.AssertionOptions, origin)
	if err != nil {
		t.Fatalf("the passkey that was made silently is not asked for: %v, %+v", err, asked)
	}
	as[json.RawMessage](t, call("/v2/connect/login/finish", began.Token,
		map[string]any{"isConditionalUI": false, "assertionResponse": signed}))
}

func TestWhoCannotCreatePasskeysListsAndDeletesThem(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	begin := func(system string) map[string]any {
		app := iPhone("")
		app["nativeMeta"].(map[string]any)["platformVersion"] = system
		delete(app, "remoteAddress")
		delete(app, "userAgent")
		return map[string]any{"clientInformation": app, "flags": map[string]any{}}
	}
	call := func(path, process string, body any) answer {
		t.Helper()
		return sdkCall(t, st, map[string]string{
			"Content-Type": "application/json", "User-Agent": "Shop/7 CFNetwork/1494.0.7 Darwin/23.4.0", "X-Corbado-ProjectID": "",
		}, path, process, body)
	}
	token := func(kind string) string {
		return *as[rest.ConnectToken](t, st.call(t, "POST", "/v2/connectTokens", map[string]any{
			"type": kind, "data": map[string]any{"displayName": "Ada", "identifier": "ada@example.com"},
		})).Secret
	}
	offer := func(system string) (string, frontend.ConnectAppendStartRsp) {
		t.Helper()
		process := as[frontend.ConnectAppendInitRsp](t, call("/v2/connect/append/init", "", begin(system))).ProcessID
		return process, as[frontend.ConnectAppendStartRsp](t, call("/v2/connect/append/start", process, map[string]any{
			"appendTokenValue": token("passkey-append"), "loadedMs": 1, "forcePasskeyAppend": true,
		}))
	}
	process, offered := offer("18.1")
	response, err := authenticator.Phone().Create(offered.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	as[json.RawMessage](t, call("/v2/connect/append/finish", process, map[string]any{"attestationResponse": response}))

	const old = "15.8" // before there were passkeys
	if _, offered := offer(old); offered.AttestationOptions != "" {
		t.Errorf("a system without passkeys is to create one: %+v", offered)
	}
	process = as[frontend.ConnectManageInitRsp](t, call("/v2/connect/manage/init", "", begin(old))).ProcessID
	list := func() []frontend.Passkey {
		t.Helper()
		listed := call("/v2/connect/manage/list", process, map[string]any{"connectToken": token("passkey-list")})
		return as[frontend.ConnectManageListRsp](t, listed).Passkeys
	}
	kept := list()
	if len(kept) != 1 {
		t.Fatalf("listed are %+v", kept)
	}
	as[json.RawMessage](t, call("/v2/connect/manage/delete", process, map[string]any{
		"connectToken": token("passkey-delete"), "credentialID": kept[0].ID,
	}))
	if left := list(); len(left) != 0 {
		t.Errorf("left after the deletion: %+v", left)
	}
}
