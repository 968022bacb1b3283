package signin_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// setWrong says how many codes of a user were wrong in a row.
func setWrong(t *testing.T, st *ceremonytest.Stack, user ident.UserID, wrong int) {
	t.Helper()
	if _, err := st.Accounts.Amend(t.Context(), st.Project.ID, user, false, func(a *account.Account) error {
		a.WrongCodes = wrong
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// give gives a code of a login.
func give(t *testing.T, c codeLogin, value string) error {
	t.Helper()
	visit := visitOf(c.Stack, c.token)
	visit.RemoteAddress = c.from
	_, err := c.IdentifierVerifyFinish(t.Context(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{
		Visit: visit, Body: frontend.IdentifierVerifyFinishReq{
			Code: value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
		},
	})
	return err
}

func wantStopped(t *testing.T, err error) {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.Status != http.StatusForbidden || f.Type != fault.TypeCodesStopped || f.RetryAfter != 0 {
		t.Errorf("got %v, want 403 codes_stopped", err)
	}
}

func TestAfterAHundredWrongCodesInARowNoneIsTakenHoweverLongTheGuesserWaits(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	user := st.NamedUser(t, account.IdentifierStatusPrimary)
	send := func() rest.Challenge {
		t.Helper()
		st.Clock.Advance(26 * time.Hour) // after which the waits begin anew
		made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	check := func(made rest.Challenge, value string) error {
		_, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, value)
		return err
	}
	for range 20 {
		made := send()
		for range 5 {
			ceremonytest.WantField(t, check(made, ceremonytest.Wrong(made.Value)), 400, "value", "is wrong")
		}
	}
	last := send()
	wantStopped(t, check(last, last.Value))
	wantStopped(t, give(t, beginCode(t, st, ceremonytest.Email, "192.0.2.1"), st.Delivery.Inbox(t, 22).Value))
	told := st.Events.OfType(event.LoginCodeFailed)
	for i, e := range told {
		if want := (event.Codes{Wrong: i + 1, Stopped: i == 99}); e.Codes == nil || *e.Codes != want {
			t.Errorf("event %d tells %+v, want %+v", i, e.Codes, want)
		}
	}
	if len(told) != 100 {
		t.Errorf("%d wrong codes were told", len(told))
	}
	if n := st.Guessed.Load(); n != 1 {
		t.Errorf("an account that was guessed at is told of %d times", n)
	}

	active := rest.UserStatusActive
	if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
		Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: &active},
	}); err != nil {
		t.Fatal(err)
	}
	if err := check(last, last.Value); err != nil {
		t.Errorf("the operator has allowed codes again: %v", err)
	}
}

func TestWhoProvesToBeTheUserEndsTheCountOfWrongCodes(t *testing.T) {
	t.Parallel()
	for name, prove := range map[string]func(t *testing.T, st *ceremonytest.Stack, user ident.UserID){
		"by a passkey, also when codes are stopped": func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) {
			d := authenticator.Phone()
			st.Enroll(t, user, d)
			setWrong(t, st, user, 100)
			begun := st.BeginLogin(t, user, d)
			if _, err := st.FinishLogin(t, user, d, d.Get(t, begun.AssertionOptions)); err != nil {
				t.Fatal(err)
			}
		},
		"by a right code of a login": func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) {
			st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
			st.Decision.OnAppend = noAppend
			setWrong(t, st, user, 99)
			c := beginCode(t, st, ceremonytest.Email, "192.0.2.1")
			if _, right := c.try(t, st.Delivery.Inbox(t, 1).Value); !right {
				t.Fatal("the code is not taken")
			}
		},
		"by a right value of a challenge": func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) {
			setWrong(t, st, user, 99)
			made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusPrimary)
			prove(t, st, user)
			if left := st.Account(t, user).WrongCodes; left != 0 {
				t.Errorf("%d wrong codes count still", left)
			}
		})
	}
}

// What decides is stored when the answer is there: a process that ends then loses no wrong code.
func TestAWrongCodeIsCountedBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	user := st.NamedUser(t, account.IdentifierStatusPrimary)
	c := beginCode(t, st, ceremonytest.Email, "192.0.2.1")
	for given := 1; given <= 5; given++ {
		if wait, right := c.try(t, "x23456"); wait != 0 || right {
			t.Fatalf("a wait of %s, right %t", wait, right)
		}
		if counted := st.Account(t, user).WrongCodes; counted != given {
			t.Errorf("%d of %d wrong codes are counted", counted, given)
		}
	}
	awaitEvents(t, st, 5)
}

// By a hundred guesses in a row nobody learns who exists.
func TestCodesOfSomebodyWhoDoesNotExistStopAlike(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	st.NamedUser(t, account.IdentifierStatusPrimary)
	for _, who := range []string{ceremonytest.Email, "nobody@example.com"} {
		from := func(given int) string { return "192.0.2." + strconv.Itoa(1+given/20) } // one address has waits of its own
		c := beginCode(t, st, who, from(0))
		for given := 0; given < 100; {
			wait, _ := c.try(t, "x23456")
			if wait == 0 {
				given++
			}
			if wait > 0 || given%5 == 0 {
				st.Clock.Advance(wait + 10*time.Minute) // and another code can be sent
				c = beginCode(t, st, who, from(given))
			}
			if given == 50 {
				forgetCodes(t, st)
			}
		}
		st.Clock.Advance(2 * time.Hour)
		forgetCodes(t, st)
		wantStopped(t, give(t, beginCode(t, st, who, "192.0.2.9"), "x23456"))
	}
}

// forgetCodes is what an age of codes_max_age does to the project's bucket of codes: a day later one could tell who exists, and guess anew.
func forgetCodes(t *testing.T, st *ceremonytest.Stack) {
	t.Helper()
	codes, err := st.Buckets.Codes.ListKeysFiltered(t.Context(), string(st.Project.ID)+".>")
	if err != nil {
		t.Fatal(err)
	}
	for key := range codes.Keys() {
		if err := st.Buckets.Codes.Purge(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
}
