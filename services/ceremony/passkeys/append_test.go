package passkeys_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func TestAUserHasAtMostSoManyPasskeys(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	most := ceremony.DefaultConfig().MaxPasskeys
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for i := range most - 1 {
			a.Credentials = append(a.Credentials, account.Credential{
				ID: ident.NewCredentialID(), CredentialID: []byte(strconv.Itoa(i)), RPID: authenticator.RPID,
			})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// Both begin while there is a place for one.
	first, second := authenticator.Phone(), authenticator.Phone()
	one, other := st.BeginAppend(t, user, first), st.BeginAppend(t, user, second)
	if _, err := st.FinishAppend(t, user, first, first.Create(t, one.AttestationOptions)); err != nil {
		t.Fatal(err)
	}
	if _, err := st.FinishAppend(t, user, second, second.Create(t, other.AttestationOptions)); !errors.Is(err, fault.TypeAlreadyExists) {
		t.Errorf("one too many: %v", err)
	}
	if rsp := st.BeginAppend(t, user, second); rsp.AppendAllow || rsp.AttestationOptions != "" {
		t.Errorf("one more is offered: %+v", rsp)
	}
	if n := len(st.Account(t, user).Credentials); n != most {
		t.Errorf("the user has %d", n)
	}
}

func TestAPasskeyIsCreated(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	start := st.BeginAppend(t, user, d)
	st.Clock.Advance(time.Minute)
	data, err := st.FinishAppend(t, user, d, d.Create(t, start.AttestationOptions))
	if err != nil {
		t.Fatal(err)
	}
	a := st.Account(t, user)
	nowMs := st.Clock.Now().UnixMilli()
	want := []account.Credential{
		{
			ID:              ident.CredentialID(data.ID),
			CredentialID:    d.Key.ID,
			AttestationType: "basic_surrogate",
			AAGUID:          ceremonytest.PhoneAAGUID,
			Transports:      []string{"internal", "hybrid"},
			Attachment:      "platform",
			BackupEligible:  true,
			BackupState:     true,
			UserVerified:    true,
			RPID:            authenticator.RPID,
			Username:        "ada@example.com",
			CreatedOS:       "macOS",
			CreatedBrowser:  "Safari",
			Environment:     a.Environments[0].ID,
			CreatedMs:       nowMs,
			LastUsedMs:      nowMs,
			Attestation:     &account.Attestation{Format: "packed", Trust: account.TrustSelf},
		},
	}
	if diff := cmp.Diff(want, a.Credentials, cmpopts.IgnoreFields(account.Credential{}, "PublicKey")); diff != "" {
		t.Error(diff)
	}
	if len(a.Credentials[0].PublicKey) == 0 || a.UpdatedMs != nowMs {
		t.Errorf("account: %+v", a)
	}
	environments := []account.Environment{
		{
			ID:             st.Decision.Last().Environment.ID,
			OSName:         "macOS",
			OSVersion:      "15",
			BrowserName:    "Safari",
			BrowserVersion: "18",
			UserAgent:      "Mozilla/5.0",
			CreatedMs:      nowMs,
			LastSeenMs:     nowMs,
		},
	}
	if diff := cmp.Diff(environments, a.Environments); diff != "" {
		t.Error(diff)
	}

	stored := st.Challenges(t, user)[0]
	if stored.Status != rest.PasskeyChallengeStatusCompleted || stored.Type != rest.PasskeyChallengeTypeRegister ||
		stored.Value != authenticator.ChallengeIn(t, start.AttestationOptions) {
		t.Errorf("challenge: %+v", stored)
	}
	common := event.Event{
		Project: st.Project.ID, User: user, Process: ceremonytest.Process, Environment: a.Environments[0].ID, Challenge: stored.Value,
		Ceremony: ident.ChallengeID(stored.ChallengeID), Kind: event.KindDefault, Decision: "dec-4693224802260150919",
	}
	offered, completed := common, common
	offered.Type, offered.CreatedMs = event.AppendOffered, ceremonytest.Started.UnixMilli()
	completed.Type, completed.CreatedMs, completed.Credential = event.AppendCompleted, nowMs, data.ID
	completed.Route, completed.Attachment = event.Local, "platform"
	completed.Client = &event.Client{Address: "127.0.0.0", OS: "macOS", Browser: "Safari"}
	completed.Origin, completed.UV = &event.Origin{Address: "127.0.0.0", Network: "127.0.0.0/24"}, new(true)
	completed.Sighted = st.Project.Namer().Name(string(user), a.Environments[0].ID, "127.0.0.1")
	got := st.Events.All()
	if diff := cmp.Diff([]event.Event{offered, completed}, got, cmpopts.IgnoreFields(event.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	if got[0].ID == got[1].ID {
		t.Error("both events have one ID")
	}
}

func TestWhatTheCallerParsedOfTheDeviceIsKept(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	start := st.BeginAppend(t, user, d)
	client := d.Client()
	client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: "iOS", OSVersion: "18", BrowserName: "Firefox", BrowserVersion: "140"}
	_, err := st.AppendFinish(t.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(
				user,
			),
			ProcessID:           ceremonytest.Process,
			AttestationResponse: d.Create(t, start.AttestationOptions),
			ClientInformation:   client,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := st.Account(t, user)
	if c := a.Credentials[0]; c.CreatedOS != "iOS" || c.CreatedBrowser != "Firefox" || a.Environments[0].OSVersion != "18" {
		t.Errorf("account: %+v", a)
	}
}

// An instance may have hung when it had all but answered: what another one answers then is good, and is the same offer.
func TestAStartOfACreationThatIsAskedAgainIsOneOffer(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	var unshown []ident.EventID
	st.Decision.OnAppend = func(q service.AppendQuestion, _ *service.AppendVerdict) { unshown = append(unshown, q.Unshown) }
	options := startTwice(t, st, user, d)
	offered := st.Events.All()
	if len(offered) != 1 || offered[0].Type != event.AppendOffered {
		t.Fatalf("in the log: %+v", offered)
	}
	if len(unshown) != 2 || unshown[0] != offered[0].ID || unshown[1] != offered[0].ID {
		t.Errorf("the decision was to leave out %v, and the offer is %s", unshown, offered[0].ID)
	}
	if _, err := st.FinishAppend(t, user, d, d.Create(t, options[1])); err != nil {
		t.Fatal(err)
	}
	if all := st.Events.All(); all[len(all)-1].Type != event.AppendCompleted || all[len(all)-1].Ceremony != offered[0].Ceremony {
		t.Errorf("the end is not that of the offer: %+v", all)
	}
	if c := listed(t, st, user); c.Status != rest.PasskeyChallengeStatusCompleted {
		t.Errorf("its challenge is %s", c.Status)
	}
}

// startTwice is a start of a creation that another instance is asked again. It returns the options of both answers.
func startTwice(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) []string {
	t.Helper()
	ctx := reqctx.WithSeed(t.Context(), ident.NewSeed())
	var options []string
	for range 2 {
		rsp, err := st.AppendStart(ctx, service.ForProject[rest.PasskeyAppendStartReq]{
			Project: st.Project.ID, Body: rest.PasskeyAppendStartReq{
				UserID: string(user), ProcessID: ceremonytest.Process, Username: "ada@example.com", ClientInformation: d.Client(),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if handle := rsp.Body.NewClientEnvHandle; handle != nil {
			d.Handle = *handle
		}
		options = append(options, rsp.Body.AttestationOptions)
	}
	return options
}

// listed returns the only challenge of a user.
func listed(t *testing.T, st *ceremonytest.Stack, user ident.UserID) rest.PasskeyChallenge {
	t.Helper()
	list, err := st.ListChallenges(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: user})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.PasskeyChallenges) != 1 {
		t.Fatalf("listed are %+v", list.PasskeyChallenges)
	}
	return list.PasskeyChallenges[0]
}

// Either of two answers may be the one that came in time.
func TestAStartOfACreationThatIsAskedAgainIsOneChallengeAndNoneOfItsAnswersIsGoodOnceThatIsConsumed(t *testing.T) {
	t.Parallel()
	for in, name := range []string{"the first answer", "the second answer"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d := st.NewUser(t), authenticator.Phone()
			options := startTwice(t, st, user, d)
			_, err := st.UpdateChallenge(t.Context(), service.ForUser[patch.Challenge]{
				Project: st.Project.ID, User: user, Body: patch.Challenge{
					ID: ident.ChallengeID(listed(t, st, user).ChallengeID), Status: rest.PasskeyChallengeStatusConsumed,
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if c := listed(t, st, user); c.Status != rest.PasskeyChallengeStatusConsumed {
				t.Errorf("it is %s", c.Status)
			}
			if _, err := st.FinishAppend(t, user, d, d.Create(t, options[in])); err == nil {
				t.Error("a challenge that is consumed can be answered")
			}
		})
	}
}

func TestADeniedAppend(t *testing.T) {
	t.Parallel()
	exists := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists
	for reason, want := range map[string]*rest.PasskeyAppendStartRspAppendNotAllowedReason{
		"passkey_already_exists": &exists,
		"private_mode":           nil,
		"":                       nil,
	} {
		t.Run("for reason "+reason, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) {
				v.Allow, v.Reason, v.Variant = false, reason, ""
			}
			user := st.NewUser(t)
			rsp := st.BeginAppend(t, user, authenticator.Phone())
			if rsp.AppendAllow || rsp.AttestationOptions != "" || !cmp.Equal(rsp.AppendNotAllowedReason, want) ||
				rsp.DecisionInsights.Variant != rest.AppendVariantDefault {
				t.Errorf("answer: %+v", rsp)
			}
			if len(st.Challenges(t, user)) != 0 || len(st.Events.All()) != 0 {
				t.Error("something was stored")
			}
		})
	}
}

func TestCreationOptionsFollowTheVerdict(t *testing.T) {
	t.Parallel()
	type selection struct {
		Attachment       *string `json:"authenticatorAttachment"`
		ResidentKey      string  `json:"residentKey"`
		RequireResident  bool    `json:"requireResidentKey"`
		UserVerification string  `json:"userVerification"`
	}
	platform := "platform"
	cases := map[string]struct {
		change func(*service.AppendVerdict)
		want   selection
		hints  []string
	}{
		"a local passkey": {func(*service.AppendVerdict) {}, selection{&platform, "required", true, "required"}, []string{"client-device"}},
		"an attachment left unset stays unset whatever the hints": {
			func(v *service.AppendVerdict) { v.Attachment = "" }, selection{nil, "required", true, "required"}, []string{"client-device"},
		},
		"a preferred verification": {
			func(v *service.AppendVerdict) { v.UserVerification, v.Hints = "preferred", nil },
			selection{&platform, "required", true, "preferred"},
			nil,
		},
		"a conditional creation cannot require verification": {
			func(v *service.AppendVerdict) { v.Conditional, v.Hints = true, nil }, selection{&platform, "required", true, "preferred"}, nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) { c.change(v) }
			var options struct {
				PublicKey struct {
					AuthenticatorSelection selection `json:"authenticatorSelection"`
					Hints                  []string  `json:"hints"`
				} `json:"publicKey"`
				Mediation *string `json:"mediation"`
			}
			if err := json.Unmarshal([]byte(st.BeginAppend(t, st.NewUser(t), authenticator.Phone()).AttestationOptions), &options); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, options.PublicKey.AuthenticatorSelection); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.hints, options.PublicKey.Hints); diff != "" {
				t.Error(diff)
			}
			if options.Mediation != nil {
				t.Error("the options hold more than publicKey")
			}
		})
	}
}

func TestAConditionalCreationNeedsNeitherPresenceNorVerification(t *testing.T) {
	t.Parallel()
	for _, conditional := range []bool{true, false} {
		st := ceremonytest.New(t)
		st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) {
			v.Conditional, v.ManualAllowed, v.UserVerification = conditional, true, "preferred"
			v.Kind = event.KindConditionalCreate
		}
		user, d := st.NewUser(t), authenticator.Phone()
		start := st.BeginAppend(t, user, d)
		if told := start.DecisionInsights.Conditional != nil && *start.DecisionInsights.Conditional; told != conditional {
			t.Errorf("insights: %+v", start.DecisionInsights)
		}
		d.Options.UserNotPresent, d.Options.UserNotVerified = true, true
		_, err := st.FinishAppend(t, user, d, d.Create(t, start.AttestationOptions))
		if conditional && err != nil {
			t.Error(err)
		}
		if !conditional {
			ceremonytest.WantField(t, err, 400, "attestationResponse", "the user was not present")
		}
	}
}

func TestAnAttestationIsTakenOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
	if _, err := st.FinishAppend(t, user, d, answer); err != nil {
		t.Fatal(err)
	}
	_, err := st.FinishAppend(t, user, d, answer)
	ceremonytest.WantField(t, err, 400, "attestationResponse", "the challenge has been used already")
}

func TestACredentialIDBelongsToOneUserOfAProject(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, other, d := st.NewUser(t), st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	for _, u := range []ident.UserID{other, user} {
		_, err := st.FinishAppend(t, u, d, d.Create(t, st.BeginAppend(t, u, d).AttestationOptions))
		ceremonytest.WantField(t, err, 409, "attestationResponse", "the credential is registered already")
	}
	if n := len(st.Account(t, other).Credentials); n != 0 {
		t.Errorf("the other user has %d credentials", n)
	}

	elsewhere := ceremonytest.New(t)
	elsewhere.Enroll(t, elsewhere.NewUser(t), d)
}

func TestAUserBlankOrAUsernameBlankIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	start := func(user, username string) error {
		_, err := st.AppendStart(t.Context(), service.ForProject[rest.PasskeyAppendStartReq]{
			Project: st.Project.ID, Body: rest.PasskeyAppendStartReq{
				UserID: user, ProcessID: ceremonytest.Process, Username: username, ClientInformation: authenticator.Phone().Client(),
			},
		})
		return err
	}
	ceremonytest.WantField(t, start(string(st.NewUser(t)), ""), 400, "username", "cannot be blank")
	ceremonytest.WantField(t, start("", "ada"), 400, "userID", "must be of the form usr-<number>")
	ceremonytest.WantField(t, start("usr-1", "ada"), 400, "userID", "does not exist")
}

func TestExcludedCredentialsCarryTheirTransports(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	var options struct {
		PublicKey struct {
			Exclude []struct {
				Transports []string `json:"transports"`
			} `json:"excludeCredentials"`
		} `json:"publicKey"`
	}
	rsp := st.BeginAppend(t, user, d)
	if err := json.Unmarshal([]byte(rsp.AttestationOptions), &options); err != nil {
		t.Fatal(err)
	}
	if len(options.PublicKey.Exclude) != 1 || !cmp.Equal(options.PublicKey.Exclude[0].Transports, d.Transports) || rsp.CredentialCount != 1 {
		t.Errorf("answer: %+v", rsp)
	}
}

func TestWritersOfOneAccountDoNotLoseOneAnothersPasskeys(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	const writers = 12
	var wait sync.WaitGroup
	for range writers {
		d := authenticator.Phone()
		answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
		wait.Go(func() {
			if _, err := st.AppendFinish(context.Background(), service.ForProject[rest.PasskeyAppendFinishReq]{
				Project: st.Project.ID, Body: rest.PasskeyAppendFinishReq{
					UserID: string(user), ProcessID: ceremonytest.Process, AttestationResponse: answer, ClientInformation: d.Client(),
				},
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if n := len(st.Account(t, user).Credentials); n != writers {
		t.Errorf("%d of %d passkeys were kept", n, writers)
	}
}

func TestAnAppendThatCannotBeStoredLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	broken := &faulty.Bucket{KeyValue: b.Accounts}
	b.Accounts = broken
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
	broken.FailUpdates(1)
	_, err := st.FinishAppend(t, user, d, answer)
	if f := fault.As(err); f.Status != 503 {
		t.Fatalf("got %v", err)
	}
	if len(st.Events.OfType(event.AppendCompleted)) != 0 || len(st.Account(t, user).Credentials) != 0 {
		t.Error("an append that failed was recorded")
	}
	// The credential ID is free again: the same passkey can be registered by a new ceremony.
	st.Enroll(t, user, d)
}

func TestAnAccountThatCannotBeReadIsLeftToThePolicy(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	broken := &faulty.Bucket{KeyValue: b.Accounts}
	b.Accounts = broken
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)

	broken.FailReads(1)
	rsp := st.BeginLogin(t, user, d)
	if q := st.Decision.Last(); !q.LookupFailed || q.Account != nil {
		t.Errorf("the decision was asked with %+v", q)
	}
	if rsp.LoginAllow || rsp.AssertionOptions != "" {
		t.Errorf("something was offered to nobody: %+v", rsp)
	}
	broken.FailReads(1)
	if rsp := st.BeginAppend(t, user, d); rsp.AppendAllow || rsp.AttestationOptions != "" {
		t.Errorf("something was offered to nobody: %+v", rsp)
	}
}

// silent is a bucket whose leader is gone: reads are answered by nobody.
type silent struct {
	jetstream.KeyValue
	gone atomic.Bool
}

func (s *silent) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if !s.gone.Load() {
		return s.KeyValue.Get(ctx, key)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAStartDoesNotSpendItsCallersTimeOnAnAccountThatNobodyReads(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	accounts := &silent{KeyValue: b.Accounts}
	b.Accounts = accounts
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	accounts.gone.Store(true)
	for range 2 {
		rsp, err := st.LoginStart(ctx, st.LoginStartReq(user, d))
		if err != nil || rsp.Body.LoginAllow || rsp.Body.AssertionOptions != "" {
			t.Fatalf("%+v, %v", rsp.Body, err)
		}
	}
	if ctx.Err() != nil {
		t.Error("the caller has no time left")
	}
	accounts.gone.Store(false)
	if rsp, err := st.LoginStart(ctx, st.LoginStartReq(user, d)); err != nil || !rsp.Body.LoginAllow {
		t.Errorf("once it is read: %+v, %v", rsp.Body, err)
	}
}
