package connect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func (p *page) tell(tb testing.TB, kind frontend.PasskeyEventType, challenge *string) error {
	tb.Helper()
	message := "NotAllowedError: ada@example.com"
	_, err := p.ConnectEventCreate(
		tb.Context(), in(p, frontend.ConnectEventCreateReq{EventType: kind, Challenge: challenge, Message: &message}),
	)
	return err
}

func TestClientEventsAreRecordedOnceTheClientKnowsOfTheUser(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	var got []service.ForUser[rest.PasskeyEventCreateReq]
	p.Events.OnCreate = func(req service.ForUser[rest.PasskeyEventCreateReq]) error { got = append(got, req); return nil }
	p.token = ""
	p.loginInit(t)
	send := func(kind frontend.PasskeyEventType, challenge *string) {
		t.Helper()
		if err := p.tell(t, kind, challenge); err != nil {
			t.Error(err)
		}
	}
	send(rest.PasskeyEventTypeLoginOneTapSwitch, nil)
	p.identified(t, "nobody@example.com")
	send(rest.PasskeyEventTypeLoginError, nil)
	options := p.identified(t, "ada@example.com").Body.AssertionOptions
	challenge, other := authenticator.ChallengeIn(t, options), "abc"
	send(rest.PasskeyEventTypeLoginExplicitAbort, &other)
	send(rest.PasskeyEventTypeAppendExplicitAbort, nil)
	send(rest.PasskeyEventTypeManageError, nil)
	send(rest.PasskeyEventTypeLocalUnlock, nil)
	send(rest.PasskeyEventTypeLoginExplicitAbort, &options)
	send(rest.PasskeyEventTypeLoginExplicitAbort, &challenge)
	p.manageInit(t)
	if _, err := p.list(t, p.secret(t, rest.ConnectTokenTypePasskeyList, "ada@example.com"), ""); err != nil {
		t.Fatal(err)
	}
	send(rest.PasskeyEventTypeManageLearnMore, nil)

	process := p.token[:20]
	unproven := false
	environment := string(p.Decision.Last().Environment.ID)
	want := []service.ForUser[rest.PasskeyEventCreateReq]{
		{Project: p.Project.ID, User: user, Body: rest.PasskeyEventCreateReq{
			EventType:   rest.PasskeyEventTypeLoginExplicitAbort,
			ProcessID:   &process,
			ClientEnvID: &environment,
			Challenge:   &challenge,
			Proven:      &unproven,
		}},
		{Project: p.Project.ID, User: user, Body: rest.PasskeyEventCreateReq{
			EventType: rest.PasskeyEventTypeManageLearnMore, ProcessID: &process, ClientEnvID: &environment,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	counts := `# HELP keyward_ceremony_connect_events_total Events that Connect clients sent by type and what became of them: ` +
		`recorded, or not, since the client has not been told of a user (unnamed), ` +
		`or has no proof of being the user's and may not tell this without one (unproven), ` +
		`or as much without a proof is in the user's history as is recorded (withheld).
# TYPE keyward_ceremony_connect_events_total counter
keyward_ceremony_connect_events_total{outcome="recorded",type="login-explicit-abort"} 1
keyward_ceremony_connect_events_total{outcome="recorded",type="manage-learn-more"} 1
keyward_ceremony_connect_events_total{outcome="unnamed",type="login-error"} 1
keyward_ceremony_connect_events_total{outcome="unnamed",type="login-one-tap-switch"} 1
keyward_ceremony_connect_events_total{outcome="unproven",type="append-explicit-abort"} 1
keyward_ceremony_connect_events_total{outcome="unproven",type="local-unlock"} 1
keyward_ceremony_connect_events_total{outcome="unproven",type="login-explicit-abort"} 2
keyward_ceremony_connect_events_total{outcome="unproven",type="manage-error"} 1
`
	if err := testutil.GatherAndCompare(p.Registry, strings.NewReader(counts), "keyward_ceremony_connect_events_total"); err != nil {
		t.Error(err)
	}
}

func TestNothingIsRememberedOfWhereInPrivateMode(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	private := true
	req := p.initReq()
	req.ClientInformation.PrivateMode = &private
	begun, err := p.ConnectAppendInit(t.Context(), in(p, req))
	if err != nil || begun.Body.NewClientEnvHandle != nil {
		t.Fatalf("%+v, %v", begun, err)
	}
	p.token = begun.Body.ProcessID
	p.appendStartWith(t, p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com"))
	p.Events.OnCreate = func(req service.ForUser[rest.PasskeyEventCreateReq]) error {
		if req.Body.ClientEnvID != nil {
			t.Errorf("environment %s", *req.Body.ClientEnvID)
		}
		return nil
	}
	if err := p.tell(t, rest.PasskeyEventTypeAppendExplicitAbort, nil); err != nil {
		t.Error(err)
	}
}

func TestEveryTypeOfEventThatClientsHaveIsTaken(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.enrolled(t, "ada@example.com")
	p.Events.OnCreate = func(service.ForUser[rest.PasskeyEventCreateReq]) error { return nil }
	for _, kind := range event.Types() {
		if !kind.FromClients() {
			continue
		}
		if err := p.tell(t, frontend.PasskeyEventType(kind), nil); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for _, kind := range []frontend.PasskeyEventType{"", "login-completed", "user-login-blacklisted", "login-offered",
		"user-append-after-cross-platform-blacklisted", "user-append-after-login-error-blacklisted",
	} {
		ceremonytest.WantField(t, p.tell(t, kind, nil), 400, "eventType", "is no type that clients may send")
	}
}

func TestAnEventThatCannotBeRecordedIsAnError(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.enrolled(t, "ada@example.com")
	p.Events.OnCreate = func(service.ForUser[rest.PasskeyEventCreateReq]) error {
		return fault.Unavailable(1, "the log is away")
	}
	ceremonytest.WantStatus(t, p.tell(t, rest.PasskeyEventTypeLoginError, nil), 503)
	p.Events.OnCreate = func(service.ForUser[rest.PasskeyEventCreateReq]) error { return account.ErrUnknown }
	wantNoProcess(t, p.tell(t, rest.PasskeyEventTypeLoginError, nil))
	// The process that was left over is gone.
	p.Events.OnCreate = nil
	wantNoProcess(t, p.tell(t, rest.PasskeyEventTypeLoginError, nil))
}

func TestDurationsBecomeMetricsOfFewLabels(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.loginInit(t)
	var body frontend.ConnectEventsLowReq
	add := func(kind string, ms int64) {
		body.Items = append(body.Items, struct {
			DurationMs int64           `json:"durationMs"`
			EventType  string          `json:"eventType"`
			Timestamp  frontend.UnixMs `json:"timestamp"`
		}{ms, kind, 1})
	}
	add("login-error", 1500)
	add("anything", 20)
	add("something else", 20)
	add("login-error", -1)
	add("login-error", 3_600_001)
	if _, err := p.ConnectEventsLowCreate(t.Context(), in(p, body)); err != nil {
		t.Fatal(err)
	}
	families, err := p.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != "keyward_ceremony_connect_client_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			got[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
		}
	}
	if diff := cmp.Diff(map[string]uint64{"login-error": 1, "other": 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAProcessIsClearedOnce(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.loginInit(t)
	token := p.token
	p.token = "" // the call carries no credential but its body
	got, err := p.ConnectProcessClear(t.Context(), in(p, frontend.ConnectProcessClearReq{ProcessID: token}))
	if err != nil || got.ProcessID != token {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, id := range []string{token, "", token[:20], "prc-1", strings.Repeat(".", 46)} {
		_, err := p.ConnectProcessClear(t.Context(), in(p, frontend.ConnectProcessClearReq{ProcessID: id}))
		wantNoProcess(t, err)
	}
}

func TestADeletedUserLeavesNothingInProcesses(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*testing.T, *page){
		"after a login start": func(t *testing.T, p *page) { p.loginInit(t); p.identified(t, "ada@example.com") },
		"after conditional UI": func(t *testing.T, p *page) {
			challenge := p.loginInit(t).Body.ConditionalUIChallenge
			if _, err := p.loginFinishWith(t, p.device.Get(t, *challenge), true); err != nil {
				t.Error(err)
			}
		},
		"after an append start": func(t *testing.T, p *page) {
			p.appendInit(t)
			p.appendStartWith(t, p.secret(t, rest.ConnectTokenTypePasskeyAppend, "ada@example.com"))
		},
		"after a list": func(t *testing.T, p *page) {
			p.manageInit(t)
			if _, err := p.list(t, p.secret(t, rest.ConnectTokenTypePasskeyList, "ada@example.com"), ""); err != nil {
				t.Error(err)
			}
		},
		"after a delete": func(t *testing.T, p *page) {
			p.manageInit(t)
			_, err := p.delete(t, p.secret(t, rest.ConnectTokenTypePasskeyDelete, "ada@example.com"), "cre-1")
			ceremonytest.WantField(t, err, 400, "credentialID", "does not exist")
		},
	}
	for name, use := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			user := p.enrolled(t, "ada@example.com")
			p.token = ""
			use(t, p)
			deleteUser(t, p.Stack, user)
			names, err := faulty.Keys{KeyValue: p.Buckets.Processes}.ListKeys(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range names {
				if strings.HasPrefix(key, string(p.Project.ID)+".") {
					t.Errorf("left over: %s", key)
				}
			}
		})
	}
}

func TestNothingIsKeptOfWhoDoesNotExist(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.loginInit(t)
	p.identified(t, "nobody@example.com")
	entry, err := p.Buckets.Processes.Get(t.Context(), string(p.Project.ID)+"."+p.token[:20])
	if err != nil {
		t.Fatal(err)
	}
	if stored := string(entry.Value()); strings.Contains(stored, "nobody@example.com") || strings.Contains(stored, p.token[20:]) {
		t.Error(stored)
	}
}
