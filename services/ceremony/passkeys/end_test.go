package passkeys_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// answersWithOneCounter returns answers of a security key and its copies to a login each, all with the signature counter 1.
func answersWithOneCounter(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, n int) []string {
	t.Helper()
	answers := make([]string, n)
	for i := range answers {
		d.Key.Counter = 0
		answers[i] = d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	}
	return answers
}

func TestOfLoginsWithOneCounterOnePasses(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	st.Enroll(t, user, d)
	var passed atomic.Int32
	var finishing sync.WaitGroup
	answers := answersWithOneCounter(t, st, user, d, 20)
	for _, answer := range answers {
		finishing.Go(func() {
			_, err := st.FinishLogin(t, user, d, answer)
			if err == nil {
				passed.Add(1)
				return
			}
			ceremonytest.WantField(t, err, 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
		})
	}
	finishing.Wait()
	if n := passed.Load(); n != 1 {
		t.Errorf("%d of %d passed", n, len(answers))
	}
	if c := st.Account(t, user).Credentials[0]; c.SignCount != 1 || !c.CloneWarning {
		t.Errorf("credential: %+v", c)
	}
}

func TestNoCrashLetsALoginEndTwiceOrForgetsItsCounter(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.SecurityKey()
		st.Enroll(t, user, d)
		st.Clock.Advance(time.Second)
		loggedIn := st.Clock.Now().UnixMilli()
		answers := answersWithOneCounter(t, st, user, d, 2)
		_, err := st.Mortal(t, c).LoginFinish(t.Context(), st.LoginFinishReq(user, d, answers[0]))
		again := st.Restart(t)
		ended := len(st.Events.OfType(event.LoginCompleted)) == 1
		if err == nil && !ended {
			t.Fatal("acknowledged and lost")
		}
		_, second := again.FinishLogin(t, user, d, answers[0])
		_, copied := again.FinishLogin(t, user, d, answers[1])
		if !ended && second != nil {
			t.Errorf("nothing had been spent: %v", second)
		}
		if ended {
			if a := st.Account(t, user); a.Credentials[0].SignCount != 1 || len(a.Environments) != 1 || a.Environments[0].LastSeenMs != loggedIn {
				t.Errorf("whoever reads the account does not see the login: %+v", a)
			}
			ceremonytest.WantField(t, second, 400, "assertionResponse", "the challenge has been used already")
		}
		ceremonytest.WantField(t, copied, 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
		d.Key.Counter = 1
		if _, err := again.FinishLogin(t, user, d, d.Get(t, again.BeginLogin(t, user, d).AssertionOptions)); err != nil {
			t.Fatal(err)
		}
		a := st.Account(t, user)
		if used := a.Credentials[0]; used.SignCount != 2 || used.LastUsedMs != st.Clock.Now().UnixMilli() {
			t.Errorf("the account does not know its passkey's use: %+v", used)
		}
		if n := len(st.Events.OfType(event.LoginCompleted)); n != 2 {
			t.Errorf("%d logins were completed", n)
		}
	})
}

func TestNoCrashLeavesARefusedLoginToBeFinished(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user, d, _ := ceremonytest.Known(t, st)
		options := st.BeginLogin(t, user, d).AssertionOptions
		stranger := authenticator.Phone()
		_, err := st.Mortal(t, c).LoginFinish(t.Context(), st.LoginFinishReq(user, stranger, stranger.Get(t, options)))
		if err == nil {
			t.Fatal("a stranger logged in")
		}
		again := st.Restart(t)
		_, err = again.FinishLogin(t, user, d, d.Get(t, options))
		listed := st.Challenges(t, user, "type:eq:authenticate")[0].Status
		switch {
		case err == nil && listed == rest.PasskeyChallengeStatusCompleted:
			if told := len(st.Events.OfType(event.LoginRefused)); told != 0 {
				t.Errorf("%d refusals are told that have spent nothing", told)
			}
		case err != nil && listed == rest.PasskeyChallengeStatusConsumed:
			ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
		default:
			t.Errorf("listed as %s, and finished with %v", listed, err)
		}
	})
}

func TestAnAnswerInAnotherProcessIsToldAndSpendsNothing(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	req := st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
	elsewhere := req
	elsewhere.Body.ProcessID = "prc-2"
	_, err := st.LoginFinish(t.Context(), elsewhere)
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge belongs to another process")
	forged := req
	stranger := authenticator.Phone()
	forged.Body.AssertionResponse = stranger.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	if _, err := st.LoginFinish(t.Context(), forged); err == nil {
		t.Error("a stranger logged in")
	}
	if _, err := st.LoginFinish(t.Context(), req); err != nil {
		t.Error(err)
	}
	if told := st.Events.OfType(event.LoginRefused); len(told) != 2 {
		t.Errorf("told: %+v", told)
	}
}

// A log with a bound in bytes drops events of any age, and with them what was spent.
func TestWhereTheLogForgetsAMarkSpendsALoginToo(t *testing.T) {
	t.Parallel()
	for _, forgets := range []bool{true, false} {
		b := ceremonytest.OpenBuckets(t)
		st := ceremonytest.NewOn(t, b)
		user, d, _ := ceremonytest.Known(t, st)
		deps := st.Deps(b)
		deps.EventsForgotten, deps.Metrics = forgets, prometheus.NewRegistry()
		service, err := ceremony.New(ceremonytest.Config(), deps)
		if err != nil {
			t.Fatal(err)
		}
		req := st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
		if _, err := service.LoginFinish(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		done := st.Events.OfType(event.LoginCompleted)
		_, err = b.Marks.Get(t.Context(), strings.Join([]string{string(st.Project.ID), string(user), string(done[0].Ceremony)}, "."))
		if forgets && err != nil || !forgets && !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("forgets %t: the mark is %v", forgets, err)
		}
		if listed := st.Challenges(t, user, "type:eq:authenticate")[0].Status; listed != rest.PasskeyChallengeStatusCompleted {
			t.Errorf("forgets %t: listed as %s", forgets, listed)
		}
		_, err = service.LoginFinish(t.Context(), req)
		ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
	}
}

// As after an older backup of the log was restored, which docs/operations.md describes.
func TestAnAccountThatKnowsMoreThanTheLogGoesOnCounting(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	st.Enroll(t, user, d)
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.UsedTo = 1_000_000
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	login := func(counter uint32) error {
		d.Key.Counter = counter
		_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
		return err
	}
	if err := login(4); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantField(t, login(4), 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
	if used := st.Account(t, user).Credentials[0]; used.SignCount != 5 || !used.CloneWarning {
		t.Errorf("credential: %+v", used)
	}
}

// What an earlier version has stored says nothing of the log, and its events nothing of the use.
func TestAnAccountOfAnEarlierVersionGoesOnCounting(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	created := st.Enroll(t, user, d)
	for range 3 {
		if _, err := st.Events.Append(t.Context(), event.Event{
			ID: ident.NewEventID(), Project: st.Project.ID, User: user, Type: event.LoginCompleted, Credential: created.ID,
			Ceremony: ident.NewChallengeID(), CreatedMs: 1,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.Credentials[0].SignCount, a.UsedTo = 7, 0
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	login := func(counter uint32) error {
		d.Key.Counter = counter
		_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
		return err
	}
	ceremonytest.WantField(t, login(5), 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
	if err := login(7); err != nil {
		t.Fatal(err)
	}
	a := st.Account(t, user)
	if last, _, err := st.Events.Newest(t.Context(), st.Project.ID, user); err != nil || a.UsedTo != last || a.Credentials[0].SignCount != 8 {
		t.Errorf("the account knows up to %d of %d, %+v, %v", a.UsedTo, last, a.Credentials[0], err)
	}
	// A version that does not know of the log drops what it was read to, and keeps the rest.
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.Credentials[0].SignCount, a.UsedTo = 12, 0
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantField(t, login(9), 400, "assertionResponse", "the signature counter did not go up; the passkey may have been copied")
	if err := login(12); err != nil {
		t.Error(err)
	}
}

func TestAStatusThatSomebodyHasSetStands(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"authenticate", "register"} {
		set := func(to rest.PasskeyChallengeStatus) error {
			_, err := st.UpdateChallenge(t.Context(), service.ForUser[patch.Challenge]{
				Project: st.Project.ID, User: user, Body: patch.Challenge{
					ID: ident.ChallengeID(st.Challenges(t, user, "type:eq:"+kind)[0].ChallengeID), Status: to,
				},
			})
			return err
		}
		for _, step := range []struct {
			to, then rest.PasskeyChallengeStatus
			refused  string
		}{
			{rest.PasskeyChallengeStatusPending, rest.PasskeyChallengeStatusCompleted, "cannot go back from completed to pending"},
			{rest.PasskeyChallengeStatusCompleted, rest.PasskeyChallengeStatusCompleted, ""},
			{rest.PasskeyChallengeStatusConsumed, rest.PasskeyChallengeStatusConsumed, ""},
			{rest.PasskeyChallengeStatusCompleted, rest.PasskeyChallengeStatusConsumed, "cannot go back from consumed to completed"},
		} {
			if err := set(step.to); step.refused != "" {
				ceremonytest.WantField(t, err, 400, "status", step.refused)
			} else if err != nil {
				t.Error(err)
			}
			if got := st.Challenges(t, user, "type:eq:"+kind)[0].Status; got != step.then {
				t.Errorf("%s set to %s: listed as %s", kind, step.to, got)
			}
		}
	}
}

func TestALoginIsOneWriteAndTheAccountKnowsIt(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.SecurityKey()
	st.Enroll(t, user, d)
	_, created, err := st.Accounts.Stored(t.Context(), st.Project.ID, user)
	if err != nil {
		t.Fatal(err)
	}
	for counter := range uint32(3) {
		st.Clock.Advance(time.Minute)
		if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
			t.Fatal(err)
		}
		_, revision, err := st.Accounts.Stored(t.Context(), st.Project.ID, user)
		if err != nil || revision != created {
			t.Errorf("login %d wrote the account: %v", counter, err)
		}
		a := st.Account(t, user)
		now := st.Clock.Now().UnixMilli()
		if used := a.Credentials[0]; used.SignCount != counter+1 || used.LastUsedMs != now || a.Environments[0].LastSeenMs != now {
			t.Errorf("the account does not know login %d: %+v", counter, a)
		}
	}
}

func TestALoginThatEndsACountOfWrongCodesEndsItAtOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		a.WrongCodes = 3
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	if stored, _, err := st.Accounts.Stored(t.Context(), st.Project.ID, user); err != nil || stored.WrongCodes != 0 || stored.UsedTo == 0 {
		t.Errorf("stored: %+v, %v", stored, err)
	}
}

// meanwhile is a log before which something happens when it is about to be told of a login.
type meanwhile struct {
	*ceremonytest.Events
	happens func()
}

func (m meanwhile) Conclude(ctx context.Context, c service.Conclusion) (service.Concluded, error) {
	m.happens()
	return m.Events.Conclude(ctx, c)
}

func TestALoginIsNotToldToWhoHasLostTheRightToItMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*account.Account)
		want   string // of a passkey; empty: the user is inactive
	}{
		"the user is disabled":    {change: func(a *account.Account) { a.Status = account.StatusDisabled }},
		"the passkey is deleted":  {change: func(a *account.Account) { a.Credentials = nil }, want: "the credential has been deleted"},
		"the user is deleted too": {change: func(a *account.Account) { a.Erasing = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			deps := st.Deps(st.Buckets)
			deps.Metrics = prometheus.NewRegistry()
			deps.Events = meanwhile{st.Events, func() {
				if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
					tc.change(a)
					return nil
				}); err != nil {
					t.Error(err)
				}
			}}
			changed, err := ceremony.New(ceremonytest.Config(), deps)
			if err != nil {
				t.Fatal(err)
			}
			_, err = changed.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)))
			if tc.want != "" {
				ceremonytest.WantField(t, err, 400, "assertionResponse", tc.want)
			} else if !errors.Is(err, account.ErrInactive) && !errors.Is(err, account.ErrUnknown) {
				t.Errorf("got %v", err)
			}
			if n := len(st.Events.OfType(event.LoginCompleted)); n != 1 {
				t.Errorf("%d logins ended, which the change came before", n)
			}
		})
	}
}
