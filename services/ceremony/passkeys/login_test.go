package passkeys_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestAPasskeyLogsIn(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*authenticator.Device, []byte){
		"with the user handle":    func(d *authenticator.Device, handle []byte) { d.Options.UserHandle = handle },
		"without the user handle": func(*authenticator.Device, []byte) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			created := st.Enroll(t, user, d)
			prepare(d, st.Account(t, user).UserHandle)

			st.Clock.Advance(time.Hour)
			start := st.BeginLogin(t, user, d)
			data, err := st.FinishLogin(t, user, d, d.Get(t, start.AssertionOptions))
			if err != nil {
				t.Fatal(err)
			}
			if data.ID != created.ID || data.UserID != string(user) || data.Username != "ada@example.com" ||
				data.CeremonyType != rest.CeremonyTypeLocal ||
				data.AAGUIDDetails != (rest.AAGUIDDetails{AAGUID: ceremonytest.PhoneAAGUID, Name: "Apple Passwords"}) {
				t.Errorf("passkey data: %+v", data)
			}

			a := st.Account(t, user)
			c := a.Credentials[0]
			if c.LastUsedMs != st.Clock.Now().UnixMilli() || !cmp.Equal(c.UsedOn, []string{"macOS"}) || !c.BackupState {
				t.Errorf("credential: %+v", c)
			}
			if len(a.Environments) != 1 || a.Environments[0].LastSeenMs != st.Clock.Now().UnixMilli() || a.Environments[0].ID != c.Environment {
				t.Errorf("environments: %+v", a.Environments)
			}

			challenge := st.Challenges(t, user, "type:eq:authenticate")[0]
			if challenge.Status != rest.PasskeyChallengeStatusCompleted || challenge.ChallengeID != data.ChallengeID {
				t.Errorf("challenge: %+v", challenge)
			}
			offered, completed := st.Events.OfType(event.LoginOffered), st.Events.OfType(event.LoginCompleted)
			if len(offered) != 1 || len(completed) != 1 {
				t.Fatalf("events: %+v", st.Events.All())
			}
			want := event.Event{
				ID:          completed[0].ID,
				Project:     st.Project.ID,
				User:        user,
				Type:        event.LoginCompleted,
				CreatedMs:   st.Clock.Now().UnixMilli(),
				Process:     ceremonytest.Process,
				Environment: c.Environment,
				Credential:  created.ID,
				Challenge:   challenge.Value,
				Ceremony:    ident.ChallengeID(challenge.ChallengeID),
				Route:       event.Local,
				Client:      &event.Client{Address: "127.0.0.0", OS: "macOS", Browser: "Safari"},
				Origin:      &event.Origin{Address: "127.0.0.0", Network: "127.0.0.0/24"},
				UV:          new(true),
				Use:         &event.Use{BackedUp: true, After: new(uint64), Seen: &event.Seen{Same: true}},
				Sighted:     st.Project.Namer().Name(string(user), c.Environment, "127.0.0.1"),
			}
			if diff := cmp.Diff(want, completed[0]); diff != "" {
				t.Error(diff)
			}
			if _, err := ident.ParseEventID(string(completed[0].ID)); err != nil {
				t.Errorf("event ID %s: %v", completed[0].ID, err)
			}
			want = event.Event{
				ID:          offered[0].ID,
				Project:     st.Project.ID,
				User:        user,
				Type:        event.LoginOffered,
				CreatedMs:   st.Clock.Now().UnixMilli(),
				Process:     ceremonytest.Process,
				Environment: c.Environment,
				Challenge:   challenge.Value,
				Ceremony:    ident.ChallengeID(challenge.ChallengeID),
				Route:       event.Local,
				Decision:    "dec-4693224802260150919",
			}
			if diff := cmp.Diff(want, offered[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAChallengeIsFinishedOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)

	const callers = 200
	var (
		gate      = make(chan struct{})
		succeeded atomic.Int32
		others    sync.Map
		wait      sync.WaitGroup
	)
	for range callers {
		wait.Go(func() {
			<-gate
			_, err := st.LoginFinish(context.Background(), st.LoginFinishReq(user, d, answer))
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
	if n := len(st.Events.OfType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}
}

func TestASignatureCounterThatDoesNotGoUpIsRefusedAndRemembered(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	st.Enroll(t, user, d)
	login := func() error {
		_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
		return err
	}
	if err := login(); err != nil {
		t.Fatal(err)
	}
	if c := st.Account(t, user).Credentials[0]; c.SignCount != 1 || c.CloneWarning {
		t.Fatalf("credential: %+v", c)
	}
	d.Key.Counter = 0 // the copy that was not used signs with 1 again
	ceremonytest.WantField(t, login(), 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
	if c := st.Account(t, user).Credentials[0]; c.SignCount != 1 || !c.CloneWarning {
		t.Errorf("credential: %+v", c)
	}
	told := st.Events.OfType(event.PasskeyCounterRegressed)
	if len(told) != 1 || told[0].User != user || told[0].Credential != string(st.Account(t, user).Credentials[0].ID) ||
		told[0].Client == nil ||
		*told[0].Counter != (event.Counter{Stored: 1, Received: 1}) {
		t.Errorf("told: %+v", told)
	}
	if n := len(st.Events.OfType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}
	if err := login(); err != nil {
		t.Errorf("the one that counts on was locked out: %v", err)
	}
}

// As after an update of a system that counted before (W3C WebAuthn Level 3 §6.1.1: authenticators may do without a counter).
func TestAPasskeyWhoseCounterFallsToZeroForGoodGoesOnBeingUsedAndIsTold(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	d.Key.Counter = 7
	st.Enroll(t, user, d)
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.Credentials[0].SignCount = 7
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.Key.Counter = 0
	for range 3 {
		if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
			t.Fatal(err)
		}
	}
	if c := st.Account(t, user).Credentials[0]; c.SignCount != 0 || !c.CloneWarning {
		t.Errorf("credential: %+v", c)
	}
	told := st.Events.OfType(event.PasskeyCounterRegressed)
	if len(told) != 1 || *told[0].Counter != (event.Counter{Stored: 7, Received: 0}) {
		t.Errorf("told: %+v", told)
	}
	if n := len(st.Events.OfType(event.LoginCompleted)); n != 3 {
		t.Errorf("%d completed logins were recorded", n)
	}
}

func TestABackupEligibilityThatChangesIsTold(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	d.Options.BackupEligible, d.Options.BackupState = false, false
	_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the backup eligibility of the credential has changed")
	told := st.Events.OfType(event.PasskeyBackupChanged)
	if len(told) != 1 || told[0].User != user || told[0].Credential == "" || *told[0].Backup != (event.Backup{Stored: true, Received: false}) {
		t.Errorf("told: %+v", told)
	}
}

func TestABackupStateThatChangesIsKept(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	d.Options.BackupState = false
	st.Enroll(t, user, d)
	d.Options.BackupState = true
	if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	if !st.Account(t, user).Credentials[0].BackupState {
		t.Error("the backup state was not updated")
	}
}

func TestAnotherPasskeyDeletedMeanwhileDoesNotHinderALogin(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	other := st.Enroll(t, user, authenticator.Phone())
	options := st.BeginLogin(t, user, d).AssertionOptions
	if _, err := st.DeleteCredential(
		t.Context(),
		service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(other.ID)},
	); err != nil {
		t.Fatal(err)
	}
	if _, err := st.FinishLogin(t, user, d, d.Get(t, options)); err != nil {
		t.Error(err)
	}
}

func TestADeniedLogin(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) {
		v.Allow, v.Rule, v.Tag = false, "L3", rest.DecisionTagUserNoPks
	}
	rsp := st.BeginLogin(t, user, d)
	if rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.DecisionTag != rest.DecisionTagUserNoPks {
		t.Errorf("answer: %+v", rsp)
	}
	if len(st.Challenges(t, user)) != 0 {
		t.Error("a challenge was stored")
	}
	denied := st.Events.OfType(event.LoginDenied)
	if len(denied) != 1 || denied[0].User != user || denied[0].Process != ceremonytest.Process || denied[0].Decision == "" ||
		denied[0].Environment == "" {
		t.Errorf("events: %+v", st.Events.All())
	}
}

func TestAPolicyThatAllowsALoginWithoutAPasskeyIsOverruled(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*ceremonytest.Stack, ident.UserID, *authenticator.Device){
		"of a user who has none": func(*ceremonytest.Stack, ident.UserID, *authenticator.Device) {},
		"of a user whose only one is of another RP ID": func(st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) {
			st.Enroll(t, user, d)
			p := st.Project
			p.RPID = "login.example.com"
			st.Projects.Set(p)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			prepare(st, user, d)
			rsp := st.BeginLogin(t, user, d)
			if rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.DecisionTag != rest.DecisionTagDefaultDeny ||
				rsp.DecisionInsights.Tag != rest.DecisionTagDefaultDeny {
				t.Errorf("answer: %+v", rsp)
			}
			if len(st.Events.OfType(event.LoginDenied)) != 1 || !strings.Contains(st.Log.String(), "L9") {
				t.Errorf("events %+v, log %s", st.Events.All(), st.Log)
			}
		})
	}
}

func TestLoginOptionsFollowTheVerdict(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, first, second := st.NewUser(t), authenticator.Phone(), authenticator.Phone()
	first.Transports = []string{"hybrid", "future-transport", "internal"}
	second.Transports = nil
	a, b := st.Enroll(t, user, first), st.Enroll(t, user, second)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) {
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
	if err := json.Unmarshal([]byte(st.BeginLogin(t, user, first).AssertionOptions), &options); err != nil {
		t.Fatal(err)
	}
	got := options.PublicKey
	if len(got.AllowCredentials) != 2 || !cmp.Equal(got.Hints, []string{"hybrid", "client-device"}) {
		t.Fatalf("options: %+v", got)
	}
	if got.AllowCredentials[0].ID != base64.RawURLEncoding.EncodeToString(second.Key.ID) || got.AllowCredentials[0].Transports != nil {
		t.Errorf("first: %+v", got.AllowCredentials[0])
	}
	if diff := cmp.Diff([]string{"hybrid", "future-transport", "internal"}, *got.AllowCredentials[1].Transports); diff != "" {
		t.Errorf("transports were edited: %s", diff)
	}
}

func TestALoginVerifiesItsUserAsTheProjectAndThePolicySay(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		project  string
		replaces bool // the second factor
		want     string
	}{
		"as the installation has it":                     {"", false, "required"},
		"as the project has it":                          {"preferred", false, "preferred"},
		"where a passkey stands for the second factor":   {"preferred", true, "required"},
		"there it is required of an installation's, too": {"", true, "required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, device := st.NewUser(t), authenticator.Phone()
			st.Enroll(t, user, device)
			st.ChangeProject(func(p *project.Project) { p.UserVerification = tc.project })
			st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.ReplacesSecondFactor = tc.replaces }
			st.Decision.OnMediation = func(_ service.Question, v *service.Verdict) { v.ReplacesSecondFactor = tc.replaces }
			start := st.BeginLogin(t, user, device)
			mediation := st.BeginMediation(t, device)
			for what, options := range map[string]string{"login": start.AssertionOptions, "mediation": mediation.AssertionOptions} {
				if !strings.Contains(options, `"userVerification":"`+tc.want+`"`) {
					t.Errorf("%s: %s", what, options)
				}
			}
			data, err := st.FinishLogin(t, user, device, device.Get(t, start.AssertionOptions))
			if err != nil {
				t.Fatal(err)
			}
			var want *[]string
			if tc.replaces {
				want = &[]string{"pop", "mfa"}
			}
			if diff := cmp.Diff(want, data.Amr); diff != "" {
				t.Errorf("what the login says: %s", diff)
			}
		})
	}
}

func TestHowALoginStartCameAboutReachesThePolicy(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, device := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, device)
	var asked []event.Source
	st.Decision.OnLogin = func(q service.LoginQuestion, _ *service.LoginVerdict) { asked = append(asked, q.Source) }
	st.BeginLogin(t, user, device)
	pressed := st.LoginStartReq(user, device)
	pressed.Body.Source = new(rest.LoginSourceButton)
	if _, err := st.LoginStart(t.Context(), pressed); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Source{"", event.Button}, asked); diff != "" {
		t.Error(diff)
	}
	offers := st.Events.OfType(event.LoginOffered)
	if len(offers) != 2 || offers[0].Source+offers[1].Source != event.Button {
		t.Errorf("the offers do not say it: %+v", offers)
	}
}

func TestALoginWithoutAllowCredentialsTakesAnyPasskeyOfTheUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.AllowCredentials = nil }
	options := st.BeginLogin(t, user, d).AssertionOptions
	if strings.Contains(options, "allowCredentials") {
		t.Errorf("options: %s", options)
	}
	if _, err := st.FinishLogin(t, user, d, d.Get(t, options)); err != nil {
		t.Error(err)
	}
}

func TestAStartOfAnUnknownUserOrProjectIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	_, err := st.LoginStart(t.Context(), st.LoginStartReq("usr-1", authenticator.Phone()))
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
	_, err = st.LoginStart(t.Context(), st.LoginStartReq("usr-1.>", authenticator.Phone()))
	ceremonytest.WantField(t, err, 400, "userID", "must be of the form usr-<number>")
	if len(st.Decision.Asked) != 0 {
		t.Error("a decision was asked for")
	}
	req := st.LoginStartReq("usr-1", authenticator.Phone())
	req.Project = "pro-404"
	_, err = st.LoginStart(t.Context(), req)
	if f := fault.As(err); f.Type != fault.TypeLoginError {
		t.Errorf("got %v", err)
	}
}

func TestAStartThatCannotBeStoredIsAnsweredWithTheSafeDefault(t *testing.T) {
	t.Parallel()
	for name, allow := range map[string]bool{"an offer": true, "a denial": false} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = allow }
		st.Events.FailNext(1)
		rsp, err := st.LoginStart(t.Context(), st.LoginStartReq(user, d))
		if err != nil || rsp.Body.LoginAllow || rsp.Body.AssertionOptions != "" || allow && rsp.Body.DecisionTag != rest.DecisionTagDefaultDeny {
			t.Errorf("%s: %+v, %v", name, rsp.Body, err)
		}
		if stored := len(st.Events.OfType(event.LoginOffered)) + len(st.Events.OfType(event.LoginDenied)); stored != 0 {
			t.Errorf("%s: %d were stored", name, stored)
		}
		// The log is there again.
		if rsp, err = st.LoginStart(t.Context(), st.LoginStartReq(user, d)); err != nil || rsp.Body.LoginAllow != allow {
			t.Errorf("%s, afterwards: %+v, %v", name, rsp.Body, err)
		}
	}
}

func TestAFinishTriesAgainToRecordWhatHasHappened(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	st.Events.FailNext(2)
	if _, err := st.FinishLogin(t, user, d, answer); err != nil {
		t.Fatal(err)
	}
	if n := len(st.Events.OfType(event.LoginCompleted)); n != 1 {
		t.Errorf("%d completed logins were recorded", n)
	}

	answer = d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	st.Events.FailNext(1000)
	_, err := st.FinishLogin(t, user, d, answer)
	if f := fault.As(err); f.Status != 503 {
		t.Errorf("a login that was not recorded was answered with %v", err)
	}
}

func TestTheProjectOfAnotherOriginIsNotServed(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	d.Origin = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	st.Enroll(t, user, d)
	if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
		t.Errorf("a native app of the project was refused: %v", err)
	}
	d.Origin = "android:apk-key-hash:BBBB"
	_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the origin is not one of the project's")
}

func TestAnAppThatIsDescribedIsServedAtItsOrigin(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	// What keytool prints of a certificate, and what Android makes of it.
	print := "A9:FC:88:3C:6F:D7:0F:3C:20:72:3A:7E:E1:2F:4C:74:34:FE:22:37:F4:03:C1:73:CA:7B:84:B2:9A:67:F9:0F"
	digest, err := hex.DecodeString(strings.ReplaceAll(print, ":", ""))
	if err != nil {
		t.Fatal(err)
	}
	android, apple := "android:apk-key-hash:"+base64.RawURLEncoding.EncodeToString(digest), "https://"+d.RPID
	login := func(origin string) error {
		d.Origin = origin
		_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
		return err
	}
	for _, origin := range []string{android, apple} {
		ceremonytest.WantField(t, login(origin), 400, "assertionResponse", "the origin is not one of the project's")
	}
	st.ChangeProject(func(p *project.Project) {
		p.Frontend.AndroidApps = []project.AndroidApp{{Package: "com.example.app", Fingerprints: []string{print}}}
		p.Frontend.AppleApps = []string{"ABCDE12345.com.example.app"}
	})
	for _, origin := range []string{android, apple} {
		if err := login(origin); err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
	ceremonytest.WantField(t, login("android:apk-key-hash:BBBB"), 400, "assertionResponse", "the origin is not one of the project's")
}
