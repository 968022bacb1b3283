package signin_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
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
)

// codeLogin is a login that waits for a code, from an address.
type codeLogin struct {
	*browser
	from string
}

func beginCode(t *testing.T, st *ceremonytest.Stack, email, from string) codeLogin {
	t.Helper()
	c := codeLogin{begin(t, st), from}
	visit := visitOf(st, c.token)
	visit.RemoteAddress = from
	rsp, err := st.LoginInit(
		t.Context(),
		service.ForVisit[frontend.LoginInitReq]{Visit: visit, Body: frontend.LoginInitReq{IdentifierValue: email}},
	)
	if err != nil {
		t.Fatal(err)
	}
	c.body = rsp.Body.BlockBody
	c.at(t, frontend.BlockTypeEmailVerify)
	return c
}

// try gives a code, and returns how long there is to wait until one is looked at again.
func (c codeLogin) try(t *testing.T, value string) (wait time.Duration, right bool) {
	visit := visitOf(c.Stack, c.token)
	visit.RemoteAddress = c.from
	rsp, err := c.IdentifierVerifyFinish(context.Background(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{
		Visit: visit, Body: frontend.IdentifierVerifyFinishReq{
			Code: value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
		},
	})
	var f *fault.Fault
	if errors.As(err, &f) && f.Status == http.StatusTooManyRequests {
		return f.RetryAfter, false
	}
	if err != nil {
		t.Error(err)
	}
	return 0, err == nil && rsp.Body.BlockBody.Block != frontend.BlockTypeEmailVerify
}

// codesOnly lets users log in by codes alone.
func codesOnly(t *testing.T) *ceremonytest.Stack {
	st := ceremonytest.New(t)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	st.Decision.OnAppend = noAppend
	return st
}

func TestWrongCodesForAnAccountMakeFurtherOnesWaitInEveryProcess(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	user := st.NamedUser(t, account.IdentifierStatusPrimary)
	for _, who := range []string{ceremonytest.Email, "nobody@example.com"} {
		// Ten are free. Five end a code, so there are two logins, each from elsewhere.
		for _, from := range []string{"192.0.2.1", "192.0.2.2"} {
			c := beginCode(t, st, who, from)
			for range 5 {
				if wait, right := c.try(t, "x23456"); wait != 0 || right {
					t.Fatalf("%s: a wait of %s, right %t", who, wait, right)
				}
			}
		}
		third := beginCode(t, st, who, "192.0.2.3")
		for i, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute} {
			if wait, _ := third.try(t, "x23456"); wait != want {
				t.Fatalf("%s: wait %d is %s, want %s", who, i+1, wait, want)
			}
			st.Clock.Advance(want)
			if wait, _ := third.try(t, "x23456"); wait != 0 {
				t.Fatalf("%s: after the wait there is another of %s", who, wait)
			}
		}
	}
	awaitEvents(t, st, 14)
	if told := st.Events.OfType(event.LoginCodeFailed); len(told) != 14 || told[0].User != user || told[0].Process == "" {
		t.Errorf("%d were told: %+v", len(told), told)
	}
}

func TestARightCodeEndsTheCountOfWrongOnes(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	st.NamedUser(t, account.IdentifierStatusPrimary)
	for i := range 4 {
		c := beginCode(t, st, ceremonytest.Email, "192.0.2.1")
		for range 4 {
			if wait, _ := c.try(t, "x23456"); wait != 0 {
				t.Fatalf("login %d: a wait of %s", i+1, wait)
			}
		}
		if _, right := c.try(t, st.Delivery.Inbox(t, i+1).Value); !right {
			t.Fatalf("login %d: the right code is not taken", i+1)
		}
		st.Clock.Advance(3 * time.Minute)
	}
}

func TestWrongCodesFromOneAddressCountForAllAccountsTogether(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	names := []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com"}
	for i, name := range names {
		// Of IPv6, a subscriber has a network.
		from := "2001:db8:0:7::" + string(rune('1'+i))
		c := beginCode(t, st, name, from)
		for range 5 {
			wait, _ := c.try(t, "x23456")
			if last := i == len(names)-1; (wait > 0) != last {
				t.Fatalf("%s: a wait of %s", name, wait)
			}
		}
	}
	if wait, _ := beginCode(t, st, "e@example.com", "2001:db8:0:8::1").try(t, "x23456"); wait != 0 {
		t.Errorf("another network waits %s", wait)
	}
}

func TestOfManyGuessesAtOnceNoneComesFree(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	st.NamedUser(t, account.IdentifierStatusPrimary)
	var looked atomic.Int32
	var wait sync.WaitGroup
	for i := range 4 {
		c := beginCode(t, st, ceremonytest.Email, "192.0.2."+string(rune('1'+i)))
		for range 5 {
			wait.Go(func() {
				if pause, _ := c.try(t, "x23456"); pause == 0 {
					looked.Add(1)
				}
			})
		}
	}
	wait.Wait()
	if looked.Load() != 10 {
		t.Errorf("%d were looked at", looked.Load())
	}
}

func TestAStrangersRequestsLeaveRoomForTheRightfulUsers(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	st.NamedUser(t, account.IdentifierStatusPrimary)
	for range 7 {
		beginCode(t, st, ceremonytest.Email, "192.0.2.66")
	}
	st.Delivery.Inbox(t, 5)
	own := beginCode(t, st, ceremonytest.Email, "192.0.2.1")
	if _, right := own.try(t, st.Delivery.Inbox(t, 6).Value); !right {
		t.Error("the user's own code is not taken")
	}
	// All of them together are limited nevertheless.
	for i := range 20 {
		beginCode(t, st, ceremonytest.Email, "198.51.100."+string(rune('1'+i%9)))
	}
	st.Delivery.Inbox(t, 15)
}

func TestWrongValuesOfChallengesCountTowardsTheSameAccount(t *testing.T) {
	t.Parallel()
	st := codesOnly(t)
	user := st.NamedUser(t, account.IdentifierStatusPrimary)
	check := func(id ident.CodeID, value string) error {
		_, err := ceremonytest.CheckCode(t.Context(), st, st, user, string(id), value)
		return err
	}
	var last rest.Challenge
	for range 2 {
		made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			ceremonytest.WantField(t, check(ident.CodeID(made.ChallengeID), ceremonytest.Wrong(made.Value)), 400, "value", "is wrong")
		}
		last = made
	}
	ceremonytest.WantStatus(t, check(ident.CodeID(last.ChallengeID), last.Value), http.StatusTooManyRequests)
	if wait, _ := beginCode(t, st, ceremonytest.Email, "192.0.2.1").try(t, "x23456"); wait != 30*time.Second {
		t.Errorf("a login waits %s", wait)
	}
	if told := st.Events.OfType(event.LoginCodeFailed); len(told) != 10 || told[0].User != user {
		t.Errorf("told: %+v", told)
	}
}

// awaitEvents waits for what no answer waits for.
func awaitEvents(t *testing.T, st *ceremonytest.Stack, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(st.Events.OfType(event.LoginCodeFailed)) < n; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d wrong codes were told, want %d", len(st.Events.OfType(event.LoginCodeFailed)), n)
		}
	}
}
