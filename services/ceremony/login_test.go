package ceremony_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

func TestAPasskeyLogsIn(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*device, []byte){
		"with the user handle":    func(d *device, handle []byte) { d.options.UserHandle = handle },
		"without the user handle": func(*device, []byte) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d := st.user(t), phone()
			created := st.enroll(t, user, d)
			prepare(d, st.get(t, user).UserHandle)

			st.clock.advance(time.Hour)
			start := st.loginStart(t, user, d)
			data, err := st.loginFinish(t, user, d, d.get(t, start.AssertionOptions))
			if err != nil {
				t.Fatal(err)
			}
			if data.ID != created.ID || data.UserID != string(user) || data.Username != "ada@example.com" || data.CeremonyType != rest.CeremonyTypeLocal ||
				data.AAGUIDDetails != (rest.AAGUIDDetails{AAGUID: phoneAAGUID, Name: "Apple Passwords"}) {
				t.Errorf("passkey data: %+v", data)
			}

			a := st.get(t, user)
			c := a.Credentials[0]
			if c.LastUsedMs != st.clock.Now().UnixMilli() || !cmp.Equal(c.UsedOn, []string{"macOS"}) || !c.BackupState {
				t.Errorf("credential: %+v", c)
			}
			if len(a.Environments) != 1 || a.Environments[0].LastSeenMs != st.clock.Now().UnixMilli() || a.Environments[0].ID != c.Environment {
				t.Errorf("environments: %+v", a.Environments)
			}

			challenge := st.challenges(t, user, "type:eq:authenticate")[0]
			if challenge.Status != rest.PasskeyChallengeStatusCompleted || challenge.ChallengeID != data.ChallengeID {
				t.Errorf("challenge: %+v", challenge)
			}
			offered, completed := st.events.ofType(event.LoginOffered), st.events.ofType(event.LoginCompleted)
			if len(offered) != 1 || len(completed) != 1 {
				t.Fatalf("events: %+v", st.events.all())
			}
			want := event.Event{
				ID: completed[0].ID, Project: st.project.ID, User: user, Type: event.LoginCompleted, CreatedMs: st.clock.Now().UnixMilli(), Process: process,
				Environment: c.Environment, Credential: created.ID, Challenge: challenge.Value, Ceremony: ident.ChallengeID(challenge.ChallengeID), Route: event.Local,
				Client: &event.Client{Address: "127.0.0.1", OS: "macOS", Browser: "Safari"},
			}
			if diff := cmp.Diff(want, completed[0]); diff != "" {
				t.Error(diff)
			}
			if _, err := ident.ParseEventID(string(completed[0].ID)); err != nil {
				t.Errorf("event ID %s: %v", completed[0].ID, err)
			}
			want = event.Event{
				ID: offered[0].ID, Project: st.project.ID, User: user, Type: event.LoginOffered, CreatedMs: st.clock.Now().UnixMilli(), Process: process,
				Environment: c.Environment, Challenge: challenge.Value, Ceremony: ident.ChallengeID(challenge.ChallengeID), Route: event.Local,
				Decision: "dec-4693224802260150919",
			}
			if diff := cmp.Diff(want, offered[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAChallengeIsFinishedOnce(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	answer := d.get(t, st.loginStart(t, user, d).AssertionOptions)

	const callers = 1000
	var (
		gate      = make(chan struct{})
		succeeded atomic.Int32
		others    sync.Map
		wait      sync.WaitGroup
	)
	for range callers {
		wait.Go(func() {
			<-gate
			_, err := st.LoginFinish(context.Background(), st.loginFinishReq(user, d, answer))
			if err == nil {
				succeeded.Add(1)
				return
			}
			others.Store(err.Error(), true)
		})
	}
	close(gate)
	wait.Wait()
	if succeeded.Load() != 1 {
		t.Errorf("%d of %d finishes succeeded", succeeded.Load(), callers)
	}
	others.Range(func(message, _ any) bool {
		if !strings.Contains(message.(string), "the challenge has been used already") {
			t.Errorf("a finish failed for another reason: %s", message)
		}
		return true
	})
	if n := len(st.events.ofType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}
}

func TestASignatureCounterThatDoesNotGoUpIsRefusedAndRemembered(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), securityKey()
	st.enroll(t, user, d)
	login := func() error {
		_, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions))
		return err
	}
	if err := login(); err != nil {
		t.Fatal(err)
	}
	if c := st.get(t, user).Credentials[0]; c.SignCount != 1 || c.CloneWarning {
		t.Fatalf("credential: %+v", c)
	}
	d.key.Counter = 0 // the copy that was not used signs with 1 again
	wantField(t, login(), 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
	if c := st.get(t, user).Credentials[0]; c.SignCount != 1 || !c.CloneWarning {
		t.Errorf("credential: %+v", c)
	}
	if !strings.Contains(st.log.String(), "signature counter") {
		t.Errorf("nothing was logged: %s", st.log)
	}
	if n := len(st.events.ofType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}
	if err := login(); err != nil {
		t.Errorf("the one that counts on was locked out: %v", err)
	}
}

func TestABackupEligibilityThatChangesIsLogged(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	d.options.BackupEligible, d.options.BackupState = false, false
	_, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions))
	wantField(t, err, 400, "assertionResponse", "the backup eligibility of the credential has changed")
	if !strings.Contains(st.log.String(), "backup eligibility") || !strings.Contains(st.log.String(), string(user)) {
		t.Errorf("log: %s", st.log)
	}
}

func TestABackupStateThatChangesIsKept(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	d.options.BackupState = false
	st.enroll(t, user, d)
	d.options.BackupState = true
	if _, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	if !st.get(t, user).Credentials[0].BackupState {
		t.Error("the backup state was not updated")
	}
}

func TestAnotherPasskeyDeletedMeanwhileDoesNotHinderALogin(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	other := st.enroll(t, user, phone())
	options := st.loginStart(t, user, d).AssertionOptions
	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(other.ID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.loginFinish(t, user, d, d.get(t, options)); err != nil {
		t.Error(err)
	}
}

func TestADeniedLogin(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) {
		v.Allow, v.Rule, v.Tag = false, "L3", rest.DecisionTagUserNoPks
	}
	rsp := st.loginStart(t, user, d)
	if rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.DecisionTag != rest.DecisionTagUserNoPks {
		t.Errorf("answer: %+v", rsp)
	}
	if len(st.challenges(t, user)) != 0 {
		t.Error("a challenge was stored")
	}
	denied := st.events.ofType(event.LoginDenied)
	if len(denied) != 1 || denied[0].User != user || denied[0].Process != process || denied[0].Decision == "" || denied[0].Environment == "" {
		t.Errorf("events: %+v", st.events.all())
	}
}

func TestAPolicyThatAllowsALoginWithoutAPasskeyIsOverruled(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*stack, ident.UserID, *device){
		"of a user who has none": func(*stack, ident.UserID, *device) {},
		"of a user whose only one is of another RP ID": func(st *stack, user ident.UserID, d *device) {
			st.enroll(t, user, d)
			p := st.project
			p.RPID = "login.example.com"
			st.projects.set(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d := st.user(t), phone()
			prepare(st, user, d)
			rsp := st.loginStart(t, user, d)
			if rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.DecisionTag != rest.DecisionTagDefaultDeny || rsp.DecisionInsights.Tag != rest.DecisionTagDefaultDeny {
				t.Errorf("answer: %+v", rsp)
			}
			if len(st.events.ofType(event.LoginDenied)) != 1 || !strings.Contains(st.log.String(), "L9") {
				t.Errorf("events %+v, log %s", st.events.all(), st.log)
			}
		})
	}
}

func TestLoginOptionsFollowTheVerdict(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, first, second := st.user(t), phone(), phone()
	first.transports = []string{"hybrid", "future-transport", "internal"}
	second.transports = nil
	a, b := st.enroll(t, user, first), st.enroll(t, user, second)
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) {
		v.AllowCredentials = []ident.CredentialID{ident.CredentialID(b.ID), "cre-404", ident.CredentialID(a.ID)}
		v.Hints = []string{"hybrid", "client-device"}
	}
	var options struct {
		PublicKey struct {
			Hints            []string `json:"hints"`
			AllowCredentials []struct {
				ID         string    `json:"id"`
				Transports *[]string `json:"transports"`
			} `json:"allowCredentials"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(st.loginStart(t, user, first).AssertionOptions), &options); err != nil {
		t.Fatal(err)
	}
	got := options.PublicKey
	if len(got.AllowCredentials) != 2 || !cmp.Equal(got.Hints, []string{"hybrid", "client-device"}) {
		t.Fatalf("options: %+v", got)
	}
	if got.AllowCredentials[0].ID != base64.RawURLEncoding.EncodeToString(second.key.ID) || got.AllowCredentials[0].Transports != nil {
		t.Errorf("first: %+v", got.AllowCredentials[0])
	}
	if diff := cmp.Diff([]string{"hybrid", "future-transport", "internal"}, *got.AllowCredentials[1].Transports); diff != "" {
		t.Errorf("transports were edited: %s", diff)
	}
}

func TestALoginWithoutAllowCredentialsTakesAnyPasskeyOfTheUser(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.AllowCredentials = nil }
	options := st.loginStart(t, user, d).AssertionOptions
	if strings.Contains(options, "allowCredentials") {
		t.Errorf("options: %s", options)
	}
	if _, err := st.loginFinish(t, user, d, d.get(t, options)); err != nil {
		t.Error(err)
	}
}

func TestAStartOfAnUnknownUserOrProjectIsRefused(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	_, err := st.LoginStart(t.Context(), st.loginStartReq("usr-1", phone()))
	wantField(t, err, 400, "userID", "does not exist")
	_, err = st.LoginStart(t.Context(), st.loginStartReq("usr-1.>", phone()))
	wantField(t, err, 400, "userID", "must be of the form usr-<number>")
	if len(st.decision.asked) != 0 {
		t.Error("a decision was asked for")
	}
	req := st.loginStartReq("usr-1", phone())
	req.Project = "pro-404"
	_, err = st.LoginStart(t.Context(), req)
	if f := fault.As(err); f.Type != fault.TypeLoginError {
		t.Errorf("got %v", err)
	}
}

func TestAStartFailsIfTheOfferCannotBeStored(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	st.events.failNext(1)
	_, err := st.LoginStart(t.Context(), st.loginStartReq(user, d))
	if f := fault.As(err); f.Status != 503 || f.RetryAfter == 0 {
		t.Errorf("got %v", err)
	}
}

func TestAFinishTriesAgainToRecordWhatHasHappened(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	answer := d.get(t, st.loginStart(t, user, d).AssertionOptions)
	st.events.failNext(2)
	if _, err := st.loginFinish(t, user, d, answer); err != nil {
		t.Fatal(err)
	}
	if n := len(st.events.ofType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}

	answer = d.get(t, st.loginStart(t, user, d).AssertionOptions)
	st.events.failNext(1000)
	_, err := st.loginFinish(t, user, d, answer)
	if f := fault.As(err); f.Status != 503 {
		t.Errorf("a login that was not recorded was answered with %v", err)
	}
}

func TestTheProjectOfAnotherOriginIsNotServed(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	d.origin = "android:apk-key-hash:AAAA"
	st.enroll(t, user, d)
	if _, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions)); err != nil {
		t.Errorf("a native app of the project was refused: %v", err)
	}
	d.origin = "android:apk-key-hash:BBBB"
	_, err := st.loginFinish(t, user, d, d.get(t, st.loginStart(t, user, d).AssertionOptions))
	wantField(t, err, 400, "assertionResponse", "the origin is not one of the project's")
}
