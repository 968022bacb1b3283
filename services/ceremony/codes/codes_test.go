package codes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
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
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

func TestACodeIsSentAndVerifiesTheIdentifier(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body      rest.ChallengeCreateReq
		kind      account.IdentifierType
		to, value string // as kept; form of the value
		link      string
		lifetime  time.Duration
	}{
		"by email": {
			ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email), account.IdentifierTypeEmail, ceremonytest.Email,
			`^[0-9]{6}$`, "", 5 * time.Minute,
		},
		"to an address in capitals": {
			ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, "  ADA@Example.COM "), account.IdentifierTypeEmail, ceremonytest.Email,
			`^[0-9]{6}$`, "", 5 * time.Minute,
		},
		"by text message, for a day": {
			rest.ChallengeCreateReq{
				ChallengeType:   rest.ChallengeTypeSmsOtp,
				IdentifierValue: ceremonytest.Mobile,
				LifetimeSeconds: new(int32(86400)),
			},
			account.IdentifierTypePhone, ceremonytest.Mobile, `^[0-9]{6}$`, "", 24 * time.Hour,
		},
		"as a link": {
			ceremonytest.CodeTo(rest.ChallengeTypeEmailLink, ceremonytest.Email), account.IdentifierTypeEmail, ceremonytest.Email,
			`^[A-Za-z0-9]{40}$`, authenticator.Origin + "/", 5 * time.Minute,
		},
		"as a link to a page": {
			rest.ChallengeCreateReq{
				ChallengeType:     rest.ChallengeTypeEmailLink,
				IdentifierValue:   ceremonytest.Email,
				ChallengeMetadata: &map[string]any{"redirectUrl": "HTTPS://LOGIN.example.com:443/in?next=%2Fcart&token=x#top"},
			},
			account.IdentifierTypeEmail, ceremonytest.Email, `^[A-Za-z0-9]{40}$`, "https://LOGIN.example.com:443/in", 5 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusPending)
			made, err := st.NewCode(t, user, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(c.value).MatchString(made.Value) {
				t.Errorf("value %q", made.Value)
			}
			want := rest.Challenge{
				ChallengeID: made.ChallengeID, Type: c.body.ChallengeType, IdentifierValue: c.to, Value: made.Value,
				Expires: ceremonytest.Started.Add(c.lifetime).Unix(), Status: rest.ChallengeStatusPending,
			}
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("created (-want +got):\n%s", diff)
			}
			wantSent(t, st, user, made, c.body, c.link)
			if strings.Contains(st.Log.String(), made.Value) {
				t.Error("the value was logged")
			}
			got, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			if err != nil {
				t.Fatal(err)
			}
			want.Status = rest.ChallengeStatusCompleted
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("checked (-want +got):\n%s", diff)
			}
			if status := st.IdentifierStatus(t, user, c.kind, c.to); status != account.IdentifierStatusVerified {
				t.Errorf("the identifier is %s", status)
			}
			if told := st.Events.OfType(event.UserUpdated); len(told) != 3 { // two identifiers, one verification
				t.Errorf("told of %d changes", len(told))
			}
			_, err = ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			ceremonytest.WantField(t, err, 400, "value", "has been used already")
		})
	}
}

// wantSent checks the message that went out, and that its link names the challenge.
func wantSent(t *testing.T, st *ceremonytest.Stack, user ident.UserID, made rest.Challenge, body rest.ChallengeCreateReq, page string) {
	t.Helper()
	sent := st.Delivery.Last()
	want := delivery.Message{
		Project:  st.Project.ID,
		User:     user,
		ID:       ident.CodeID(made.ChallengeID),
		Type:     made.Type,
		Sender:   "Shop",
		To:       made.IdentifierValue,
		Value:    made.Value,
		Link:     sent.Link,
		Expires:  time.Unix(made.Expires, 0).UTC(),
		Lifetime: time.Unix(made.Expires, 0).Sub(ceremonytest.Started),
	}
	if body.ChallengeMetadata != nil {
		want.Metadata = *body.ChallengeMetadata
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	if page == "" {
		if sent.Link != "" {
			t.Errorf("link %q", sent.Link)
		}
		return
	}
	u, err := url.Parse(sent.Link)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("challengeID") != made.ChallengeID || !slices.Equal(q["token"], []string{made.Value}) ||
		(strings.HasSuffix(page, "/in") && (q.Get("next") != "/cart" || u.Fragment != "top")) {
		t.Errorf("link %q", sent.Link)
	}
	if !strings.HasPrefix(sent.Link, page+"?") {
		t.Errorf("link %q leads elsewhere than %q", sent.Link, page)
	}
}

func TestAVerifiedIdentifierStaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, status := range []account.IdentifierStatus{account.IdentifierStatusPrimary, account.IdentifierStatusVerified} {
		st := ceremonytest.New(t)
		user := st.NamedUser(t, status)
		made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
		if err != nil {
			t.Fatal(err)
		}
		before := len(st.Events.Told(user))
		if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value); err != nil {
			t.Fatal(err)
		}
		if got := st.IdentifierStatus(t, user, account.IdentifierTypeEmail, ceremonytest.Email); got != status {
			t.Errorf("%s became %s", status, got)
		}
		if after := len(st.Events.Told(user)); after != before {
			t.Errorf("%d changes were told of, and there is none", after-before)
		}
	}
}

func TestWhatCannotBeSentIsRefusedByField(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, stranger := st.NamedUser(t, account.IdentifierStatusPending), st.NewUser(t)
	link := func(target any) rest.ChallengeCreateReq {
		return rest.ChallengeCreateReq{
			ChallengeType: rest.ChallengeTypeEmailLink, IdentifierValue: ceremonytest.Email,
			ChallengeMetadata: &map[string]any{"redirectUrl": target},
		}
	}
	lasting := func(seconds int32) rest.ChallengeCreateReq {
		return rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailOtp, IdentifierValue: ceremonytest.Email, LifetimeSeconds: &seconds}
	}
	const (
		redirect = "challengeMetadata.redirectUrl"
		noURL    = "must be an absolute URL of http or https"
		foreign  = "must have an origin of the project, or https and one of its hosts"
		lifetime = "must be between 30 and 86400"
	)
	for name, c := range map[string]struct {
		user           ident.UserID
		body           rest.ChallengeCreateReq
		field, message string
	}{
		"no type":         {user, ceremonytest.CodeTo("", ceremonytest.Email), "challengeType", "cannot be blank"},
		"an unknown type": {user, ceremonytest.CodeTo("fax", ceremonytest.Email), "challengeType", "must be a valid value"},
		"no identifier":   {user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, " "), "identifierValue", "cannot be blank"},
		"an address nobody has": {
			user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, "bob@example.com"), "identifierValue", "does not exist",
		},
		"an address of another user": {
			stranger, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email), "identifierValue", "does not exist",
		},
		"a number for an email": {
			user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Mobile), "identifierValue", "does not exist",
		},
		"an address for a text message": {
			user, ceremonytest.CodeTo(rest.ChallengeTypeSmsOtp, ceremonytest.Email), "identifierValue", "does not exist",
		},
		"an unknown user": {
			"usr-404", ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email), "userID", "does not exist",
		},
		"a lifetime of no time":          {user, lasting(0), "lifetimeSeconds", lifetime},
		"a lifetime below half a minute": {user, lasting(29), "lifetimeSeconds", lifetime},
		"a lifetime above a day":         {user, lasting(86401), "lifetimeSeconds", lifetime},
		"a negative lifetime":            {user, lasting(-300), "lifetimeSeconds", lifetime},
		"metadata that are too long": {
			user,
			rest.ChallengeCreateReq{
				ChallengeType:     rest.ChallengeTypeEmailOtp,
				IdentifierValue:   ceremonytest.Email,
				ChallengeMetadata: &map[string]any{"x": strings.Repeat("x", 9000)},
			},
			"challengeMetadata", "must be at most 8192 bytes long",
		},
		"a link to another origin":           {user, link("https://evil.example.org/"), redirect, foreign},
		"a link to an origin that begins so": {user, link("https://login.example.com.evil.example.org/"), redirect, foreign},
		"a link to another port":             {user, link("https://login.example.com:8443/"), redirect, foreign},
		"a link without TLS":                 {user, link("http://login.example.com/"), redirect, foreign},
		"a link with a user in it":           {user, link("https://login.example.com@evil.example.org/"), redirect, noURL},
		"a link with a user of our host":     {user, link("https://ada@login.example.com/"), redirect, noURL},
		"a script":                           {user, link("javascript:alert(1)"), redirect, noURL},
		"an app":                             {user, link("android:apk-key-hash:AAAA"), redirect, noURL},
		"a path alone":                       {user, link("/in"), redirect, noURL},
		"a host alone":                       {user, link("//login.example.com/in"), redirect, noURL},
		"a link with a line break":           {user, link("https://login.example.com/\r\nBcc: x"), redirect, noURL},
		"a link that is too long":            {user, link(authenticator.Origin + "/" + strings.Repeat("x", 2048)), redirect, noURL},
		"a link that is no text":             {user, link(5.0), redirect, noURL},
		"an empty link":                      {user, link(""), redirect, noURL},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := st.NewCode(t, c.user, c.body)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
	if len(st.Delivery.Messages) != 0 {
		t.Errorf("sent %v", st.Delivery.Messages)
	}
	if _, err := st.NewCode(t, user, rest.ChallengeCreateReq{LifetimeSeconds: new(int32(1))}); len(fault.As(err).Validation) != 3 {
		t.Errorf("not every field at fault is named: %v", err)
	}
}

func TestALinkNeedsAWebsite(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	p := st.Project
	p.Origins = []string{"android:apk-key-hash:AAAA"}
	st.Projects.Set(p)
	_, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailLink, ceremonytest.Email))
	ceremonytest.WantField(t, err, 400, "challengeMetadata.redirectUrl", "cannot be blank, since the project has no origin of a website")
}

func TestWhatIsCheckedMustBeThereAndOfTheUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, stranger := st.NamedUser(t, account.IdentifierStatusPending), st.NewUser(t)
	made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		user                      ident.UserID
		id, value, field, message string
	}{
		"no value":                 {user, made.ChallengeID, "", "value", "cannot be blank"},
		"an unknown challenge":     {user, "cha-1", made.Value, "challengeID", "does not exist"},
		"an ID that is a wildcard": {user, "*", made.Value, "challengeID", "does not exist"},
		"an ID of something else":  {user, "sends-ide-1", made.Value, "challengeID", "does not exist"},
		"an empty ID":              {user, "", made.Value, "challengeID", "does not exist"},
		"another user":             {stranger, made.ChallengeID, made.Value, "challengeID", "does not exist"},
		"an unknown user":          {"usr-404", made.ChallengeID, made.Value, "userID", "does not exist"},
		"a wrong value":            {user, made.ChallengeID, ceremonytest.Wrong(made.Value), "value", "is wrong"},
		"a value with a space":     {user, made.ChallengeID, made.Value + " ", "value", "is wrong"},
		"a long value":             {user, made.ChallengeID, strings.Repeat("1", 128), "value", "is wrong"},
	} {
		_, err := ceremonytest.CheckCode(t.Context(), st, st, c.user, c.id, c.value)
		t.Log(name)
		ceremonytest.WantField(t, err, 400, c.field, c.message)
	}
	if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value); err != nil {
		t.Errorf("after three wrong values the right one is refused: %v", err)
	}
}

func TestACodeExpires(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, made rest.Challenge)
		want string
	}{
		"a moment before its time it is good": {func(_ *testing.T, st *ceremonytest.Stack, _ ident.UserID, _ rest.Challenge) {
			st.Clock.Advance(5*time.Minute - time.Millisecond)
		}, ""},
		"by its time": {func(_ *testing.T, st *ceremonytest.Stack, _ ident.UserID, _ rest.Challenge) {
			st.Clock.Advance(5 * time.Minute)
		}, "has expired"},
		"after four wrong values it is good": {guesses(4), ""},
		"by five wrong values":               {guesses(5), "has expired"},
		"when the identifier is gone": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, _ rest.Challenge) {
			a := st.Account(t, user)
			id := a.Identifier(account.IdentifierTypeEmail, ceremonytest.Email).ID
			if _, err := st.DeleteIdentifier(
				t.Context(), service.ForUser[ident.IdentifierID]{Project: st.Project.ID, User: user, Body: id},
			); err != nil {
				t.Fatal(err)
			}
		}, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusPending)
			made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
			if err != nil {
				t.Fatal(err)
			}
			c.end(t, st, user, made)
			_, err = ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			ceremonytest.WantField(t, err, 400, "value", c.want)
		})
	}
}

func guesses(n int) func(*testing.T, *ceremonytest.Stack, ident.UserID, rest.Challenge) {
	return func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, made rest.Challenge) {
		t.Helper()
		for range n {
			_, err := ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, ceremonytest.Wrong(made.Value))
			ceremonytest.WantField(t, err, 400, "value", "is wrong")
		}
	}
}

// outcomes runs n checks at once on two instances and counts what they were told.
func outcomes(t *testing.T, st *ceremonytest.Stack, n int, check func(svc service.Codes, i int) error) map[string]int {
	t.Helper()
	instances := []service.Codes{st, st.Mortal(t, &ceremonytest.Crash{Left: -1})}
	var mu sync.Mutex
	var under sync.WaitGroup
	got := map[string]int{}
	for i := range n {
		under.Go(func() {
			err := check(instances[i%2], i)
			said := "right"
			var f *fault.Fault
			if errors.As(err, &f) {
				said = f.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			got[said]++
		})
	}
	under.Wait()
	return got
}

func TestAHundredGuessesAtOnceAreFive(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
	if err != nil {
		t.Fatal(err)
	}
	got := outcomes(t, st, 100, func(svc service.Codes, i int) error {
		guess := fmt.Sprintf("%06d", i)
		if guess == made.Value {
			guess = "999999"
		}
		_, err := ceremonytest.CheckCode(t.Context(), st, svc, user, made.ChallengeID, guess)
		return err
	})
	const wrong, expired = "validation_error: value: is wrong", "validation_error: value: has expired"
	unseen := got["rate_limited: too many wrong codes; this one was not looked at"] // while more than ten are under way
	if got[wrong] != 5 || got[expired]+unseen != 95 {
		t.Errorf("got %v", got)
	}
	st.Clock.Advance(time.Minute) // whatever wait there is
	_, err = ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
	ceremonytest.WantField(t, err, 400, "value", "has expired")
	if status := st.IdentifierStatus(t, user, account.IdentifierTypeEmail, ceremonytest.Email); status != account.IdentifierStatusPending {
		t.Errorf("the identifier is %s", status)
	}
}

func TestARightValueGivenManyTimesAtOnceIsRightOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []account.IdentifierStatus{account.IdentifierStatusPending, account.IdentifierStatusPrimary} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, status)
			made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailLink, ceremonytest.Email))
			if err != nil {
				t.Fatal(err)
			}
			got := outcomes(t, st, 40, func(svc service.Codes, _ int) error {
				_, err := ceremonytest.CheckCode(t.Context(), st, svc, user, made.ChallengeID, made.Value)
				return err
			})
			// Some are taken for guesses that come too fast, since those before them are still being looked at.
			used, early := got["validation_error: value: has been used already"], got["rate_limited: too many wrong codes; this one was not "+
				"looked at"]
			if got["right"] != 1 || used+early != 39 || used == 0 {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestNoCrashLosesARightValueOrLetsItBeUsedTwice(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user := st.NamedUser(t, account.IdentifierStatusPending)
		made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
		if err != nil {
			t.Fatal(err)
		}
		_, err = ceremonytest.CheckCode(t.Context(), st, st.Mortal(t, c), user, made.ChallengeID, made.Value)
		if err != nil {
			if ceremonytest.StatusOf(err) < 500 {
				t.Errorf("a crash is said to be the caller's fault: %v", err)
			}
			again := st.Restart(t)
			again.Clock.Advance(90 * time.Second)
			if _, err := ceremonytest.CheckCode(t.Context(), st, again, user, made.ChallengeID, made.Value); err != nil {
				// Only if the crash took nothing but the answer.
				ceremonytest.WantField(t, err, 400, "value", "has been used already")
			}
		}
		if status := st.IdentifierStatus(t, user, account.IdentifierTypeEmail, ceremonytest.Email); status != account.IdentifierStatusVerified {
			t.Errorf("the identifier is %s", status)
		}
		st.WantTold(t, user, event.UserCreated, event.UserUpdated, event.UserUpdated, event.UserUpdated) // two identifiers, one verification
		_, err = ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
		ceremonytest.WantField(t, err, 400, "value", "has been used already")
	})
}

func TestACodeThatIsNotDeliveredCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"the delivery is away":         {fault.Unavailable(time.Second, "the message could not be delivered"), http.StatusServiceUnavailable},
		"the delivery cannot carry it": {fault.Field("challengeType", "sms_otp cannot be delivered by email"), http.StatusBadRequest},
		"the delivery ran out of time": {context.DeadlineExceeded, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusPending)
			var lost delivery.Message
			st.Delivery.Fail = func(m delivery.Message) error {
				lost = m
				return c.err
			}
			// What certainly reached nobody does not count towards the limit.
			for range 10 {
				_, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeSmsOtp, ceremonytest.Mobile))
				ceremonytest.WantStatus(t, err, c.status)
			}
			_, err := ceremonytest.CheckCode(t.Context(), st, st, user, string(lost.ID), lost.Value)
			ceremonytest.WantField(t, err, 400, "challengeID", "does not exist")
			if strings.Contains(st.Log.String(), lost.Value) {
				t.Error("the value was logged")
			}
		})
	}
}

func TestOnlySoManyAreSentToAnIdentifierInSoLong(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	send := func(kind rest.ChallengeType, to string) error {
		_, err := st.NewCode(t, user, ceremonytest.CodeTo(kind, to))
		return err
	}
	for i := range 5 {
		if err := send(rest.ChallengeTypeEmailOtp, ceremonytest.Email); err != nil {
			t.Fatalf("number %d: %v", i+1, err)
		}
		st.Clock.Advance(time.Minute)
	}
	for _, kind := range []rest.ChallengeType{rest.ChallengeTypeEmailOtp, rest.ChallengeTypeEmailLink} {
		var f *fault.Fault
		if err := send(
			kind, ceremonytest.Email,
		); !errors.As(err, &f) || f.Status != http.StatusTooManyRequests || f.Type != fault.TypeRateLimited ||
			f.RetryAfter != 5*time.Minute {
			t.Errorf("%s: got %+v", kind, f)
		}
	}
	if err := send(rest.ChallengeTypeSmsOtp, ceremonytest.Mobile); err != nil {
		t.Errorf("another identifier: %v", err)
	}
	st.Clock.Advance(5 * time.Minute)
	if err := send(rest.ChallengeTypeEmailOtp, ceremonytest.Email); err != nil {
		t.Errorf("when the first is old enough: %v", err)
	}
	ceremonytest.WantStatus(t, send(rest.ChallengeTypeEmailOtp, ceremonytest.Email), http.StatusTooManyRequests)
}

func TestTheLimitOfSendsHoldsForAllInstancesAtOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	var sent atomic.Int64
	got := outcomes(t, st, 40, func(svc service.Codes, _ int) error {
		_, err := svc.CreateCode(t.Context(), service.ForUser[rest.ChallengeCreateReq]{
			Project: st.Project.ID, User: user, Body: ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email),
		})
		if err == nil {
			sent.Add(1)
		}
		return err
	})
	if sent.Load() != 5 || len(st.Delivery.Messages) != 5 {
		t.Errorf("sent %d, delivered %d: %v", sent.Load(), len(st.Delivery.Messages), got)
	}
}

func TestNoCodeIsKeptOrTold(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailLink, ceremonytest.Email))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := st.Buckets.Codes.Get(t.Context(), fmt.Sprintf("%s.%s.%s", st.Project.ID, user, made.ChallengeID))
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{made.Value, ceremonytest.Email} {
		if strings.Contains(string(entry.Value()), hidden) {
			t.Errorf("kept: %s", entry.Value())
		}
	}
}

func TestAWrongCodeCountsForItsUserAlone(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	made, err := st.NewCode(t, user, ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ceremonytest.CheckCode(t.Context(), st, st, user, made.ChallengeID, ceremonytest.Wrong(made.Value))
	ceremonytest.WantField(t, err, http.StatusBadRequest, "value", "is wrong")
	told := st.Events.OfType(event.LoginCodeFailed)
	if len(told) != 1 {
		t.Fatalf("told %+v", told)
	}
	if diff := cmp.Diff(st.Project.Namer().Name(string(user), "", ""), told[0].Sighted); diff != "" {
		t.Error(diff)
	}
}
