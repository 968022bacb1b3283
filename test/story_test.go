package test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
)

func TestAPasskeyIsCreatedJudgedAndUsedAndAnEventChangesTheNextAnswer(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			story(t, s.start(t))
		})
	}
}

func story(t *testing.T, st *stack) {
	ada := st.newPerson(t)

	before := ada.loginStart(t, ada.nextProcess())
	if before.LoginAllow || before.DecisionTag != rest.DecisionTagUserNoPks || before.AssertionOptions != "" {
		t.Errorf("login without passkeys: %+v", before)
	}

	created := ada.createPasskey(t)
	if created.UserID != ada.id || created.Username != "ada@example.com" || created.CeremonyType != rest.CeremonyTypeLocal {
		t.Errorf("created passkey: %+v", created)
	}
	list := as[rest.CredentialList](t, ada.call(t, "GET", "/v2/users/"+ada.id+"/credentials", nil))
	if list.Paging.TotalItems != 1 || list.Credentials[0].ID != created.ID || !list.Credentials[0].BackupState ||
		list.Credentials[0].SourceOS != "macOS" {
		t.Errorf("credentials: %+v", list)
	}

	process := ada.nextProcess()
	start := ada.loginStart(t, process)
	if !start.LoginAllow || start.DecisionTag != rest.DecisionTagUserPositiveEnvHistory || start.DecisionInsights.Tag != start.DecisionTag {
		t.Fatalf("login with a passkey made here: %+v", start)
	}
	used := as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, start.AssertionOptions)).PasskeyData
	if used.ID != created.ID || used.CeremonyType != rest.CeremonyTypeLocal {
		t.Errorf("login: %+v", used)
	}

	event := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	barred := ada.loginStart(t, ada.nextProcess())
	if barred.LoginAllow || barred.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
		t.Errorf("login right after the blacklist event: %+v", barred)
	}
	as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+event.PasskeyEventID, nil))
	if again := ada.loginStart(t, ada.nextProcess()); !again.LoginAllow {
		t.Errorf("login right after the event was deleted: %+v", again)
	}

	twoFailures(t, ada)
	mediation(t, ada)
	lists(t, ada)
	erasure(t, ada)
}

// twoFailures: after two failed ceremonies in this environment the third is not offered.
func twoFailures(t *testing.T, p *person) {
	for range 2 {
		process := p.nextProcess()
		start := p.loginStart(t, process)
		if !start.LoginAllow {
			t.Fatalf("login was not allowed before two failures: %s", start.DecisionTag)
		}
		p.postEvent(t, map[string]any{
			"eventType": "login-error", "processID": process, "clientEnvID": start.DetectionInsights.ClientEnvIds[0],
			"challenge": challengeOf(t, start.AssertionOptions),
		})
	}
	denied := p.loginStart(t, p.nextProcess())
	if denied.LoginAllow || denied.DecisionTag != rest.DecisionTagUserNegativeEnvHistory {
		t.Errorf("third login: %+v", denied)
	}
}

// mediation: conditional UI logs in without a user named beforehand, and a success ends the streak of failures.
func mediation(t *testing.T, p *person) {
	process := p.nextProcess()
	start := as[rest.PasskeyMediationStartRsp](
		t,
		p.call(t, "POST", "/v2/passkey/mediation/start", map[string]any{"processID": process, "clientInformation": mac(p.handle)}),
	)
	if !start.LoginAllow {
		t.Fatal("mediation was not allowed")
	}
	response, err := p.device.Get(start.AssertionOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	finish := as[rest.PasskeyMediationFinishRsp](t, p.call(t, "POST", "/v2/passkey/mediation/finish", map[string]any{
		"processID": process, "assertionResponse": response, "clientInformation": mac(p.handle),
	}))
	if finish.PasskeyData.UserID != p.id || finish.Error != nil {
		t.Errorf("mediation: %+v", finish)
	}
	if after := p.loginStart(t, p.nextProcess()); !after.LoginAllow {
		t.Errorf("login after a success: %+v", after)
	}
}

// lists: the wire's types only, unless the engine's own are asked for.
func lists(t *testing.T, p *person) {
	types := func(query string) []string {
		page := as[rest.PasskeyEventList](t, p.call(t, "GET", "/v2/users/"+p.id+"/passkeyEvents?sort=created:asc&pageSize=100"+query, nil))
		var all []string
		for _, e := range page.PasskeyEvents {
			all = append(all, e.EventType)
		}
		return all
	}
	if diff := cmp.Diff([]string{"login-error", "login-error"}, types("")); diff != "" {
		t.Error(diff)
	}
	seen := map[string]int{}
	for _, name := range types("&include=engine") {
		seen[name]++
	}
	for _, name := range []string{"login-offered", "login-denied", "login-completed", "append-offered", "append-completed", "login-error"} {
		if seen[name] == 0 {
			t.Errorf("include=engine lacks %s: %v", name, seen)
		}
	}
	if seen["user-login-blacklisted"] != 0 {
		t.Error("a deleted event is listed")
	}
	challenges := as[rest.PasskeyChallengeList](t, p.call(t, "GET", "/v2/users/"+p.id+"/passkeyChallenges?filter[]=status:eq:completed", nil))
	if challenges.Paging.TotalItems != 2 {
		t.Errorf("completed challenges: %+v", challenges)
	}
}

// erasure: a deleted user is gone, and with it everything that was kept.
func erasure(t *testing.T, p *person) {
	as[rest.GenericRsp](t, p.call(t, "DELETE", "/v2/users/"+p.id, nil))
	for _, path := range []string{"", "/credentials", "/passkeyEvents", "/passkeyChallenges"} {
		e := p.call(t, "GET", "/v2/users/"+p.id+path, nil).fault(t, 400)
		if field(e, "userID") != "does not exist" {
			t.Errorf("GET %s of a deleted user: %+v", path, e.Error)
		}
	}
	e := p.call(t, "POST", "/v2/passkey/login/start", p.loginStartBody("p")).fault(t, 400)
	if field(e, "userID") != "does not exist" {
		t.Errorf("login start of a deleted user: %+v", e.Error)
	}
}
