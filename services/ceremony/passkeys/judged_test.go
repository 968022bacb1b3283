package passkeys_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// reviewed is how a finish is judged in these tests.
func reviewed() service.Verdict {
	return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Allow: true, Rule: "R4", Risk: &service.Risk{
		Rule: "R4", Action: service.RiskReview, Level: service.RiskMedium,
		Reasons: []service.RiskReason{{Code: "bot", Severity: 2, Title: "A bot"}},
	}}
}

func judging(st *ceremonytest.Stack, verdict service.Verdict, err error) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) { return verdict, err }
}

// ended returns what the decision service was asked about finishes, and forgets it.
func ended(st *ceremonytest.Stack) []service.FinishQuestion {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	all := st.Decision.Ended
	st.Decision.Ended = nil
	return all
}

func one(t *testing.T, st *ceremonytest.Stack) service.FinishQuestion {
	t.Helper()
	all := ended(st)
	if len(all) != 1 {
		t.Fatalf("%d finishes were judged: %+v", len(all), all)
	}
	return all[0]
}

func TestALoginIsJudgedBeforeAnythingIsMadeOfIt(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	st.Enroll(t, user, d)
	created := one(t, st)
	if created.Login != nil || created.Passkey.ID == "" || !created.UV || created.Account.ID != user ||
		len(created.Account.Credentials) != 0 {
		t.Errorf("the creation: %+v", created)
	}

	judging(st, reviewed(), nil)
	st.Clock.Advance(time.Hour)
	options := st.BeginLogin(t, user, d).AssertionOptions
	answer := d.Get(t, options)
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		if done := st.Events.OfType(event.LoginCompleted); len(done) != 0 {
			t.Errorf("recorded before it was judged: %+v", done)
		}
		return reviewed(), nil
	}
	rsp, err := st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, answer))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reviewed().Risk, rsp.Risk); diff != "" || rsp.Decision != "dec-7" || rsp.PolicyRevision != "rev-1" {
		t.Errorf("told of %s by %s: %s", rsp.Decision, rsp.PolicyRevision, diff)
	}
	q := one(t, st)
	want := service.FinishedLogin{Route: event.SecurityKey, Counter: service.CounterOK}
	if diff := cmp.Diff(&want, q.Login); diff != "" || !q.UV || string(q.Passkey.ID) != rsp.Body.PasskeyData.ID ||
		q.Process != ceremonytest.Process {
		t.Errorf("asked %+v\n%s", q, diff)
	}
	if !q.Environment.Known || q.Environment.ID == "" {
		t.Errorf("the browser is not known: %+v", q.Environment)
	}
}

func TestWhereAFinishCannotBeJudgedItGoesItsWay(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	judging(st, service.Verdict{}, errors.New("nobody answers"))
	st.Enroll(t, user, d)
	rsp, err := st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)))
	if err != nil || rsp.Risk != nil || rsp.Decision != "" {
		t.Errorf("%+v, %v", rsp, err)
	}
}

func TestOfACounterIsToldWhatItSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after uint32
		want          service.Counter
		refused       bool
	}{
		"it goes up":           {3, 5, service.CounterOK, false},
		"it stands still":      {5, 5, service.CounterRegressed, true},
		"it goes back":         {5, 3, service.CounterRegressed, true},
		"it falls to 0":        {5, 0, service.CounterReset, false},
		"there is none":        {0, 0, service.CounterNone, false},
		"it begins to count":   {0, 1, service.CounterOK, false},
		"it leaps over a gulf": {1, 4_000_000, service.CounterOK, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			st.Enroll(t, user, d)
			login := func(counter uint32) error {
				d.Key.Counter = counter
				_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
				return err
			}
			if c.before > 0 {
				if err := login(c.before); err != nil {
					t.Fatal(err)
				}
			}
			ended(st)
			judging(st, reviewed(), nil)
			if err := login(c.after); (err != nil) != c.refused {
				t.Errorf("refused: %v", err)
			}
			if q := one(t, st); q.Login.Counter != c.want {
				t.Errorf("it says %s, want %s", q.Login.Counter, c.want)
			}
		})
	}
}

func TestAFinishOfWhatDoesNotVerifyIsNotJudged(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	ended(st)
	stranger := authenticator.Phone()
	if _, err := st.FinishLogin(t, user, stranger, stranger.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err == nil {
		t.Error("it was taken")
	}
	if all := ended(st); len(all) != 0 {
		t.Errorf("judged: %+v", all)
	}
}

func TestAMediationIsJudgedAsALoginOfItsUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	ended(st)
	judging(st, reviewed(), nil)
	d.Options.UserHandle = st.Account(t, user).UserHandle
	start := st.BeginMediation(t, d)
	rsp, err := st.MediationFinish(t.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID: ceremonytest.Process, AssertionResponse: d.Get(t, start.AssertionOptions), ClientInformation: d.Client(),
		},
	})
	if err != nil || rsp.Risk == nil {
		t.Fatalf("%+v, %v", rsp, err)
	}
	if q := one(t, st); q.Account.ID != user || q.Login == nil || q.Project != st.Project.ID {
		t.Errorf("asked %+v", q)
	}
}

func TestSubscribersAreToldOfAnotherBackupStateAndOfANewEnvironment(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	login := func(on *authenticator.Device) {
		t.Helper()
		if _, err := st.FinishLogin(t, user, on, on.Get(t, st.BeginLogin(t, user, on).AssertionOptions)); err != nil {
			t.Fatal(err)
		}
	}
	login(d)
	if told := append(st.Events.OfType(event.BackupStateChanged), st.Events.OfType(event.NewEnvironment)...); len(told) != 0 {
		t.Fatalf("told of nothing: %+v", told)
	}
	d.Options.BackupState = !d.Options.BackupState
	login(d)
	login(d)
	backup := st.Events.OfType(event.BackupStateChanged)
	if len(backup) != 1 || *backup[0].Backup != (event.Backup{Stored: true}) || backup[0].User != user || backup[0].Credential == "" {
		t.Errorf("told of the backup: %+v", backup)
	}
	other := authenticator.Phone()
	other.Key, other.Options = d.Key, d.Options
	start := st.BeginLogin(t, user, other)
	other.Handle = *start.NewClientEnvHandle
	if _, err := st.FinishLogin(t, user, other, other.Get(t, start.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	login(other)
	fresh := st.Events.OfType(event.NewEnvironment)
	if len(fresh) != 1 || fresh[0].Environment == "" || fresh[0].Client == nil || fresh[0].Ceremony == "" {
		t.Errorf("told of the environment: %+v", fresh)
	}
}

func TestEventsTellThePlaceThatTheyWereJudgedBy(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	at := place.Place{Country: "DE", ASN: 64500, Point: &place.Point{Lat: 52.5, Lon: 13.5}, RadiusKm: 20}
	located := reviewed()
	located.Place = at
	judging(st, located, nil)
	st.Enroll(t, user, d)
	if told := st.Events.OfType(event.NewCountry); len(told) != 0 {
		t.Fatalf("told of a country that is not new: %+v", told)
	}
	located.NewCountry = true
	judging(st, located, nil)
	if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []event.Type{event.AppendCompleted, event.LoginCompleted, event.NewCountry} {
		told := st.Events.OfType(kind)
		if len(told) != 1 || told[0].Origin == nil || told[0].Origin.Network == "" || told[0].Credential == "" || told[0].User != user {
			t.Errorf("%s: %+v", kind, told)
			continue
		}
		if diff := cmp.Diff(at, told[0].Origin.Place()); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}
