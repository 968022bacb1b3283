package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place/mmdbtest"
	"github.com/keyward/keyward/policies/policiestest"
)

// Where people of these tests are. What comes from elsewhere nobody can locate.
const (
	berlin   = "203.0.113.10"
	munich   = "198.51.100.7"
	saoPaulo = "192.0.2.50"
)

// movingClock is a clock that goes on when it is told to, beside going on by itself.
type movingClock struct{ ahead atomic.Int64 }

func (c *movingClock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *movingClock) goOn(much time.Duration) { c.ahead.Add(int64(much)) }

// goTo goes on until it is so late, in UTC, of the next Wednesday.
func (c *movingClock) goTo(hour int) {
	next := c.now().UTC().Truncate(time.Hour).Add(time.Hour)
	for next.Weekday() != time.Wednesday || next.Hour() != hour {
		next = next.Add(time.Hour)
	}
	c.goOn(next.Sub(c.now()) + time.Minute)
}

// scene is where a scenario happens: a project with parameters of its own.
type scene struct {
	client
	clock *movingClock
}

// caller is a person who calls from an address, with whatever else the client says.
type caller struct {
	*person
	address string
	says    map[string]any
}

func (a caller) body(process string) map[string]any {
	client := mac(a.handle)
	client["remoteAddress"] = a.address
	maps.Copy(client, a.says)
	return map[string]any{"userID": a.id, "processID": process, "clientInformation": client}
}

// start begins a login.
func (a caller) start(t *testing.T) answer {
	t.Helper()
	body := a.body(a.nextProcess())
	body["crossDeviceAuthenticationStrategy"] = "standard"
	return a.call(t, http.MethodPost, "/v2/passkey/login/start?include=risk", body)
}

// options are those of a start that has to be allowed.
func (a caller) options(t *testing.T, started answer) string {
	t.Helper()
	start := as[rest.PasskeyLoginStartRsp](t, started)
	if !start.LoginAllow {
		t.Fatalf("the login is not offered: %s", started.body)
	}
	if start.NewClientEnvHandle != nil {
		a.handle = *start.NewClientEnvHandle
	}
	return start.AssertionOptions
}

// finish answers a challenge.
func (a caller) finish(t *testing.T, options string) answer {
	t.Helper()
	response, err := a.device.Get(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	body := a.body(fmt.Sprintf("process-%s-%d", a.id, a.process))
	body["assertionResponse"] = response
	return a.call(t, http.MethodPost, "/v2/passkey/login/finish?include=risk", body)
}

// login is a whole login, which has to be offered.
func (a caller) login(t *testing.T) answer {
	t.Helper()
	return a.finish(t, a.options(t, a.start(t)))
}

// create makes a passkey for which the user has asked.
func (a caller) create(t *testing.T) {
	t.Helper()
	process := a.nextProcess()
	body := a.body(process)
	start := a.askForAppend(t, process, body["clientInformation"].(map[string]any))
	response, err := a.device.Create(start.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	done := a.body(process)
	done["attestationResponse"] = response
	as[rest.PasskeyAppendFinishRsp](t, a.call(t, http.MethodPost, "/v2/passkey/append/finish", done))
}

// settled is a person who has had a passkey for long, and used it two days ago, at an address.
func (s scene) settled(t *testing.T, address string, device *authenticator.Device) caller {
	t.Helper()
	a := caller{person: s.newPerson(t), address: address}
	a.device = device
	a.create(t)
	s.clock.goOn(30 * 24 * time.Hour)
	as[rest.PasskeyLoginFinishRsp](t, a.login(t))
	s.clock.goOn(2 * 24 * time.Hour)
	return a
}

// mail gives a user an email address that is verified.
func (a caller) mail(t *testing.T) string {
	t.Helper()
	address := a.id + "@example.com"
	as[rest.Identifier](t, a.call(t, http.MethodPost, "/v2/users/"+a.id+"/identifiers", map[string]any{
		"identifierType": "email", "identifierValue": address, "status": "verified",
	}))
	return address
}

// prove passes a step-up by a code that is sent to an address.
func (a caller) prove(t *testing.T, stepUp, address string) {
	t.Helper()
	made := as[rest.Challenge](t, a.call(t, http.MethodPost, "/v2/users/"+a.id+"/challenges", map[string]any{
		"challengeType": "email_otp", "identifierValue": address, "clientInformation": mac(""), "stepUpID": stepUp,
	}))
	as[rest.Challenge](t, a.call(t, http.MethodPatch, "/v2/users/"+a.id+"/challenges/"+made.ChallengeID, map[string]any{"value": made.Value}))
}

// report tells of a login that a caller made by itself.
func (a caller) report(t *testing.T, status string) {
	t.Helper()
	body := a.body("")
	as[rest.AuthEvent](t, a.call(t, http.MethodPost, "/v2/users/"+a.id+"/authEvents", map[string]any{
		"username": a.id, "eventType": "login", "method": "password", "status": status, "clientInformation": body["clientInformation"],
	}))
}

// judgedAs holds the header of an answer to what it should say of risk. That something may be missing from what is counted is said on a
// busy machine now and then, and is no part of it.
func judgedAs(t *testing.T, a answer, want string) {
	t.Helper()
	if got := risk(a); got != want {
		t.Errorf("judged %s, want %s (status %d: %.300s)", got, want, a.status, a.body)
	}
}

func risk(a answer) string {
	return strings.NewReplacer(" incomplete", "", "incomplete ", "", "incomplete", "").Replace(a.header.Get("X-Keyward-Risk"))
}

// seen starts until what was counted is there, and returns the answer.
func (a caller) seen(t *testing.T, want string) answer {
	t.Helper()
	var last answer
	eventually(t, "it is not judged "+want, func() bool {
		last = a.start(t)
		return risk(last) == want
	})
	return last
}

// refused holds an answer to an error of 403, and to having nothing of what it refuses.
func refused(t *testing.T, a answer, want rest.ErrorType) string {
	t.Helper()
	if e := a.fault(t, http.StatusForbidden); e.Error.Type != want {
		t.Errorf("refused with %s, want %s", e.Error.Type, want)
	}
	for _, never := range []string{"passkeyData", "signedPasskeyData"} {
		if strings.Contains(string(a.body), never) {
			t.Errorf("%s is in %s", never, a.body)
		}
	}
	id, _, _ := strings.Cut(a.header.Get("X-Keyward-Step-Up"), ";")
	return id
}

// scenarios are what is judged with real ceremonies, each in a project with parameters of its own.
func scenarios() map[string]scenario {
	type set = map[string]any
	enforce := func(more set) set {
		all := set{"mode": "enforce"}
		maps.Copy(all, more)
		return all
	}
	severities := func(of set) set { return enforce(set{"severities": of}) }
	return map[string]scenario{
		"five wrong answers ask for a user who is verified, and say when it is worth trying again": {
			enforce(nil), wrongAnswers,
		},
		"passwords tried on many accounts from one address, as their callers report": {
			enforce(nil), spray,
		},
		"a country that is barred": {
			enforce(set{"blockedCountries": []string{"BR"}}), country,
		},
		"a new device elsewhere, where two figures were raised": {
			severities(set{"new-environment": 3, "new-network": 3}), newDevice,
		},
		"nobody travels that fast, but a passkey that verifies its user might": {
			set{}, travel,
		},
		"an authenticator that may not be used any more": {
			enforce(set{"allowedAaguids": []string{keyModel}}), authenticators,
		},
		"a passkey added a moment ago does not log in alone": {
			enforce(nil), quarantine,
		},
		"a passkey added a moment ago approves no payment": {
			enforce(nil), payment,
		},
		"a key that falls short of what an employee needs does not make up for itself": {
			enforce(set{"requireAal": set{"employee": 3}}), assurance,
		},
		"a signature counter that went back": {
			enforce(nil), counter,
		},
		"an employee at night": {
			enforce(set{"officeHours": set{"labels": []string{"employee"}}}), hours,
		},
		"a private window where it is barred": {
			severities(set{"private-window": 4}), private,
		},
		"a passkey that is to be created in a private window, which asks for more": {
			severities(set{"private-window": 3}), offer,
		},
		"four accounts in one browser": {
			set{}, shared,
		},
		"a first login is compared with nothing": {
			set{}, first,
		},
	}
}

// scenario is what happens, and the parameters of risk in its project.
type scenario struct {
	risk map[string]any
	tell func(*testing.T, scene)
}

// keyModel is the model of authenticator.SecurityKey.
const keyModel = "cb69481e-8ff7-4039-93ec-0a2729a154a8"

func TestRiskIsJudgedOverHTTPAsItsScenariosSay(t *testing.T) {
	t.Parallel()
	all := scenarios()
	names := slices.Sorted(maps.Keys(all))
	projects := map[string]any{}
	for i, name := range names {
		projects[scenarioProject(i)] = map[string]any{"parameters": map[string]any{"risk": all[name].risk, "labels": []string{"employee"}}}
	}
	clock := &movingClock{}
	bundle, cities := bundleWith(t, projects), placesFile(t)
	st := shape{name: "one process"}.startAt(t, clock.now, func(c *settings.Config) {
		c.Decision.PoliciesDir, c.Decision.Files.CityDB, c.NATS.Addr = bundle, cities, "127.0.0.1:0"
	})
	countsWhole(t, st, clock)
	for i, name := range names {
		id := scenarioProject(i)
		secret := fmt.Sprintf("corbado1_e2eSecretOfScene%020d", i)
		addProject(t, st.natsAddress(t), ident.ProjectID(id), secret)
		c := client{st.base, id, secret}
		eventually(t, "the new project is not let in", func() bool {
			a, err := c.do("GET", "/v2/users", nil)
			return err == nil && a.status == 200
		})
		t.Run(name, func(t *testing.T) { all[name].tell(t, scene{c, clock}) }) // one after another: they share the clock
	}
}

// countsWhole waits until nothing is missing from what is counted.
func countsWhole(t *testing.T, st *stack, clock *movingClock) {
	t.Helper()
	anybody := caller{person: st.newPerson(t), address: berlin}
	eventually(t, "what is counted is not whole", func() bool {
		clock.goOn(2 * time.Hour) // names that are no user's are counted since the start
		return !strings.Contains(anybody.start(t).header.Get("X-Keyward-Risk"), "incomplete")
	})
}

func scenarioProject(i int) string { return fmt.Sprintf("pro-%d", 100+i) }

// bundleWith is the default policy with parameters for projects.
func bundleWith(t *testing.T, projects map[string]any) string {
	t.Helper()
	said, err := json.Marshal(projects)
	if err != nil {
		t.Fatal(err)
	}
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"projects": {}`, `"projects": `+string(said))
	return policiestest.Dir(t, files)
}

func placesFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "places.mmdb")
	places := mmdbtest.Write(time.Now(), map[string]mmdbtest.Entry{
		"203.0.113.0/24":  mmdbtest.Located("DE", 52.52, 13.40, 20),
		"198.51.100.0/24": mmdbtest.Located("DE", 48.14, 11.58, 20),
		"192.0.2.0/24":    mmdbtest.Located("BR", -23.55, -46.63, 50),
	})
	if err := os.WriteFile(name, places, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func wrongAnswers(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	for n := range 5 {
		judgedAs(t, ada.start(t), "allow;level=low;enforced=?1;reasons=\"\"")
		response := ada.options(t, ada.start(t))
		body := ada.body(fmt.Sprintf("process-%s-%d", ada.id, ada.process))
		answered, err := ada.device.Get(response, origin)
		if err != nil {
			t.Fatal(err)
		}
		body["assertionResponse"] = tamper(t, answered)
		if a := ada.call(t, http.MethodPost, "/v2/passkey/login/finish", body); a.status != http.StatusBadRequest {
			t.Fatalf("wrong answer %d: %d %s", n, a.status, a.body)
		}
	}
	asked := ada.seen(t, `challenge;level=high;enforced=?1;reasons="user-velocity"`)
	options := ada.options(t, asked)
	if !strings.Contains(options, `"userVerification":"required"`) {
		t.Errorf("the user need not be verified: %s", options)
	}
	if asked.header.Get("X-Keyward-Next-Eligible-At") == "" {
		t.Error("nobody is told when it is worth trying again")
	}
	as[rest.PasskeyLoginFinishRsp](t, ada.finish(t, options))
	s.clock.goOn(15 * time.Minute)
	judgedAs(t, ada.start(t), "allow;level=low;enforced=?1;reasons=\"\"")
}

func spray(t *testing.T, s scene) {
	victim := s.settled(t, munich, authenticator.Phone())
	s.clock.goOn(time.Hour)
	attacker := victim
	attacker.person = victim.elsewhere(victim.device)
	judgedAs(t, attacker.start(t), `allow;level=low;enforced=?1;reasons=""`)
	for n := range 8 {
		judgedAs(t, attacker.start(t), `allow;level=low;enforced=?1;reasons=""`)
		another := caller{person: s.newPerson(t), address: munich}
		another.report(t, "failure")
		if n == 0 {
			another.report(t, "failure") // of one user is of one user
		}
	}
	attacker.seen(t, `challenge;level=high;enforced=?1;reasons="address-spray"`)
	elsewhere := attacker
	elsewhere.address = berlin
	if told := elsewhere.start(t).header.Get("X-Keyward-Risk"); strings.Contains(told, "spray") {
		t.Errorf("who comes from elsewhere is judged %s", told)
	}
}

func country(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	ada.address = saoPaulo
	asked := ada.start(t)
	judgedAs(t, asked, `deny;level=high;enforced=?1;reasons="blocked-country new-country new-network"`)
	start := as[rest.PasskeyLoginStartRsp](t, asked)
	if start.LoginAllow || start.DecisionTag != "env-blacklisted" || start.AssertionOptions != "" {
		t.Errorf("offered %+v", start)
	}
	ada.address = "100.64.3.3" // nobody can locate it
	judgedAs(t, ada.start(t), `allow;level=low;enforced=?1;reasons="new-network"`)
}

func newDevice(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	address := ada.mail(t)
	ada.person, ada.address = ada.elsewhere(ada.device), munich
	judgedAs(t, ada.start(t), `challenge;level=high;enforced=?1;reasons="new-network"`) // who has no handle yet is not known, and not new
	ada.options(t, ada.start(t))
	withheld := ada.login(t)
	judgedAs(t, withheld, `challenge;level=medium;enforced=?1;reasons="new-environment new-network"`)
	stepUp := refused(t, withheld, rest.ErrorTypeStepUpRequired)
	ada.prove(t, stepUp, address)
	had := as[rest.StepUpRedeemRsp](t, ada.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil))
	if had.PasskeyData.UserID != ada.id {
		t.Errorf("redeemed %+v", had)
	}
	judgedAs(t, ada.login(t), "allow;level=low;enforced=?1;reasons=\"\"") // it is known by now
}

func travel(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	as[rest.PasskeyLoginFinishRsp](t, ada.login(t))
	s.clock.goOn(time.Hour)
	ada.person, ada.address = ada.elsewhere(ada.device), saoPaulo
	ada.options(t, ada.start(t))
	asked := ada.start(t)
	judgedAs(t, asked, `challenge;level=high;enforced=?0;reasons="impossible-travel new-country new-environment new-network"`)
	judgedAs(t, ada.finish(t, ada.options(t, asked)),
		`review;level=medium;enforced=?0;reasons="impossible-travel new-country new-environment new-network"`)
}

func authenticators(t *testing.T, s scene) {
	phone := caller{person: s.newPerson(t), address: berlin}
	phone.device = authenticator.SecurityKey()
	phone.create(t)
	key := phone.device
	judgedAs(t, phone.login(t), `allow;level=low;enforced=?1;reasons="fresh-account"`)
	other := caller{person: phone.elsewhere(authenticator.Phone()), address: berlin}
	process := other.nextProcess()
	start := other.askForAppend(t, process, other.body(process)["clientInformation"].(map[string]any))
	response, err := other.device.Create(start.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	body := other.body(process)
	body["attestationResponse"] = response
	a := other.call(t, http.MethodPost, "/v2/passkey/append/finish?include=risk", body)
	refused(t, a, rest.ErrorTypeRiskDenied)
	judgedAs(t, a, `deny;level=high;enforced=?1;reasons="denied-authenticator fresh-account new-environment"`)
	if passkeys := phone.passkeys(t); len(passkeys) != 1 || key.Passkeys[0].Credential.Counter == 0 {
		t.Errorf("the account has %+v", passkeys)
	}
}

func quarantine(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	address := ada.mail(t)
	added := caller{person: ada.elsewhere(authenticator.Phone()), address: berlin}
	added.create(t)
	s.clock.goOn(30 * time.Minute)
	options := added.options(t, added.start(t))
	withheld := added.finish(t, options)
	stepUp := refused(t, withheld, rest.ErrorTypeStepUpRequired)
	if told := withheld.header.Get("X-Keyward-Step-Up"); !strings.Contains(told, `methods="other-passkey email-code"`) {
		t.Errorf("the methods are %s", told)
	}
	redeem := func() answer { return ada.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil) }
	refused(t, redeem(), rest.ErrorTypeStepUpRequired)
	added.prove(t, stepUp, address)
	as[rest.StepUpRedeemRsp](t, redeem())
	redeem().fault(t, http.StatusNotFound)
	s.clock.goOn(time.Hour)
	as[rest.PasskeyLoginFinishRsp](t, added.login(t))
}

// proof begins a login that is to pass a step-up.
func (a caller) proof(t *testing.T, stepUp string) answer {
	t.Helper()
	body := a.body(a.nextProcess())
	body["crossDeviceAuthenticationStrategy"], body["stepUpID"] = "standard", stepUp
	return a.call(t, http.MethodPost, "/v2/passkey/login/start", body)
}

func payment(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	added := caller{person: ada.elsewhere(authenticator.Phone()), address: berlin}
	added.create(t)
	asked := ada.body("")
	delete(asked, "processID")
	asked["action"] = "payment"
	judged := ada.call(t, http.MethodPost, "/v2/risk/evaluate", asked)
	judgedAs(t, judged, `challenge;level=high;enforced=?1;reasons="fresh-passkey"`)
	told := judged.header.Get("X-Keyward-Step-Up")
	stepUp, _, _ := strings.Cut(told, ";")
	if !strings.Contains(told, `methods="other-passkey"`) {
		t.Errorf("the methods are %s", told)
	}
	if _, err := added.device.Get(added.options(t, added.proof(t, stepUp)), origin); err == nil {
		t.Error("the passkey that was added is named")
	}
	options, again := ada.options(t, ada.proof(t, stepUp)), ada.options(t, ada.proof(t, stepUp))
	first := ada.process
	ada.process--
	proven := ada.finish(t, options)
	as[rest.PasskeyLoginFinishRsp](t, proven)
	judgedAs(t, proven, `allow;level=low;enforced=?1;reasons=""`)
	ada.process = first
	ada.finish(t, again).fault(t, http.StatusNotFound)
	ada.proof(t, stepUp).fault(t, http.StatusNotFound)
	as[rest.StepUpRedeemRsp](t, ada.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil))
}

func assurance(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.SecurityKey())
	as[rest.UserLabels](t, ada.call(t, http.MethodPut, "/v2/users/"+ada.id+"/labels", map[string]any{"labels": []string{"employee"}}))
	short := ada.login(t)
	refused(t, short, rest.ErrorTypeRiskDenied)
	judgedAs(t, short, `deny;level=high;enforced=?1;reasons="assurance-low no-step-up"`)
}

func counter(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	key := caller{person: ada.elsewhere(authenticator.SecurityKey()), address: berlin}
	key.create(t)
	s.clock.goOn(30 * 24 * time.Hour)
	for range 3 {
		as[rest.PasskeyLoginFinishRsp](t, key.login(t))
	}
	key.device.Passkeys[0].Credential.Counter = 1
	withheld := key.login(t)
	judgedAs(t, withheld, `challenge;level=high;enforced=?1;reasons="counter-regressed"`)
	refused(t, withheld, rest.ErrorTypeStepUpRequired)
	events := as[rest.PasskeyEventList](t, key.call(t, http.MethodGet, "/v2/users/"+key.id+"/passkeyEvents?include=engine", nil))
	if !slices.ContainsFunc(events.PasskeyEvents, func(e rest.PasskeyEvent) bool { return e.EventType == "passkey-counter-regressed" }) {
		t.Errorf("nobody is told: %+v", events.PasskeyEvents)
	}
}

func hours(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	as[rest.UserLabels](t, ada.call(t, http.MethodPut, "/v2/users/"+ada.id+"/labels", map[string]any{"labels": []string{"employee"}}))
	s.clock.goTo(12)
	judgedAs(t, ada.start(t), "allow;level=low;enforced=?1;reasons=\"\"")
	s.clock.goTo(23)
	judgedAs(t, ada.start(t), `review;level=medium;enforced=?1;reasons="outside-hours"`)
}

func private(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	ada.says = map[string]any{"privateMode": true}
	asked := ada.start(t)
	judgedAs(t, asked, `deny;level=high;enforced=?1;reasons="private-window"`)
	if start := as[rest.PasskeyLoginStartRsp](t, asked); start.LoginAllow {
		t.Errorf("offered %+v", start)
	}
}

func offer(t *testing.T, s scene) {
	ada := s.settled(t, berlin, authenticator.Phone())
	address := ada.mail(t)
	added := caller{person: ada.elsewhere(authenticator.SecurityKey()), address: berlin, says: map[string]any{"privateMode": true}}
	added.handle = ada.handle
	body := added.body(added.nextProcess())
	body["username"], body["passkeyIntelFlags"] = "ada@example.com", map[string]any{"forcePasskeyAppend": true}
	start := func() answer { return added.call(t, http.MethodPost, "/v2/passkey/append/start", body) }
	asked := start()
	judgedAs(t, asked, `challenge;level=high;enforced=?1;reasons="private-window"`)
	stepUp, methods, _ := strings.Cut(asked.header.Get("X-Keyward-Step-Up"), ";")
	told := as[rest.PasskeyAppendStartRsp](t, asked)
	if told.AppendAllow || told.DecisionTag != "env-blacklisted" || !strings.Contains(methods, "email-code") {
		t.Fatalf("offered %+v, or by no mail: %s", told, methods)
	}
	added.prove(t, stepUp, address)
	had := as[rest.StepUpRedeemRsp](t, added.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil))
	if had.PasskeyData != nil || had.Evaluation == nil || had.Evaluation.DecisionID != asked.header.Get("X-Keyward-Decision-ID") {
		t.Errorf("nothing was withheld but the offer, and redeemed %+v", had)
	}
	body["stepUpID"] = stepUp
	offered := as[rest.PasskeyAppendStartRsp](t, start())
	response, err := added.device.Create(offered.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	done := added.body(body["processID"].(string))
	done["attestationResponse"] = response
	finished := added.call(t, http.MethodPost, "/v2/passkey/append/finish", done)
	judgedAs(t, finished, `challenge;level=high;enforced=?1;reasons="private-window"`)
	as[rest.PasskeyAppendFinishRsp](t, finished)
	start().fault(t, http.StatusNotFound)
}

func shared(t *testing.T, s scene) {
	var last caller
	handle := ""
	for range 4 {
		a := caller{person: s.newPerson(t), address: berlin}
		a.handle = handle
		a.create(t)
		as[rest.PasskeyLoginFinishRsp](t, a.login(t))
		handle, last = a.handle, a
	}
	last.seen(t, `allow;level=low;enforced=?0;reasons="fresh-account shared-computer"`)
}

func first(t *testing.T, s scene) {
	ada := caller{person: s.newPerson(t), address: saoPaulo}
	ada.create(t)
	s.clock.goOn(50 * time.Minute)
	judgedAs(t, ada.login(t), `allow;level=low;enforced=?0;reasons="fresh-account"`)
}

// TestSubscribersAreToldHowStartsAreJudged follows what is told of a person in a private window, where that is barred.
func TestSubscribersAreToldHowStartsAreJudged(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			bundle := bundleWith(t, map[string]any{project1: map[string]any{"parameters": map[string]any{
				"risk": map[string]any{"severities": map[string]any{"private-window": 4}},
			}}})
			st := s.start(t, func(c *settings.Config) { c.Decision.PoliciesDir = bundle })
			ada := caller{person: st.newPerson(t), address: berlin}
			ada.create(t)
			told := ada.followEvents(t, "?userID="+ada.id+"&type=risk-decided", "")
			as[rest.PasskeyLoginStartRsp](t, ada.start(t)) // of what is allowed nothing is told
			ada.says = map[string]any{"privateMode": true}
			asked := ada.start(t)
			process := ada.nextProcess()
			creation := ada.askForAppend(t, process, ada.body(process)["clientInformation"].(map[string]any))
			if !creation.AppendAllow {
				t.Fatalf("it is observed alone: %+v", creation)
			}
			evaluated := ada.evaluated(t, map[string]any{"action": "payment", "clientInformation": ada.body("")["clientInformation"]})
			got := map[string]event.Event{}
			for len(got) < 3 {
				e := told.next().event
				got[e.Risk.Stage] = e
			}
			for stage, decision := range map[string]string{
				"login-start": asked.header.Get("X-Keyward-Decision-ID"), "append-start": "", "evaluate": evaluated.Risk.DecisionID,
			} {
				e := got[stage]
				if e.Type != event.RiskDecided || e.Risk.Action != "deny" || e.Risk.Level != "high" || e.Risk.Enforced || e.Ceremony != "" ||
					!slices.Contains(e.Risk.Reasons, "private-window") || decision != "" && string(e.Decision) != decision || e.Decision == "" {
					t.Errorf("of the %s: %+v %+v", stage, e, e.Risk)
				}
			}
		})
	}
}
