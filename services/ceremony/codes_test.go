package ceremony_test

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
	"github.com/keyward/keyward/services/ceremony/delivery"
)

const mobile = "+4915112345678"

func codeTo(kind rest.ChallengeType, value string) rest.ChallengeCreateReq {
	return rest.ChallengeCreateReq{ChallengeType: kind, IdentifierValue: value}
}

func (st *stack) createCode(tb testing.TB, user ident.UserID, body rest.ChallengeCreateReq) (rest.Challenge, error) {
	tb.Helper()
	return st.CreateCode(tb.Context(), service.ForUser[rest.ChallengeCreateReq]{Project: st.project.ID, User: user, Body: body})
}

func checkCode(ctx context.Context, st *stack, svc service.Codes, user ident.UserID, id, value string) (rest.Challenge, error) {
	return svc.CheckCode(ctx, service.ForUser[service.CodeCheck]{Project: st.project.ID, User: user, Body: service.CodeCheck{ID: ident.CodeID(id), Value: value}})
}

// named makes a user with an address and a number, whose status is given.
func (st *stack) named(tb testing.TB, status account.IdentifierStatus) ident.UserID {
	tb.Helper()
	user := st.user(tb)
	for kind, value := range map[account.IdentifierType]string{account.IdentifierTypeEmail: email, account.IdentifierTypePhone: mobile} {
		if _, err := st.CreateIdentifier(tb.Context(), service.ForUser[rest.IdentifierCreateReq]{Project: st.project.ID, User: user, Body: rest.IdentifierCreateReq{
			IdentifierType: rest.IdentifierType(kind), IdentifierValue: value, Status: rest.IdentifierStatus(status),
		}}); err != nil {
			tb.Fatal(err)
		}
	}
	return user
}

func (st *stack) statusOf(tb testing.TB, user ident.UserID, kind account.IdentifierType, value string) account.IdentifierStatus {
	tb.Helper()
	a := st.get(tb, user)
	return a.Identifier(kind, value).Status
}

// wrong returns a code of the same form that is another.
func wrong(value string) string {
	if value[0] == '0' {
		return "1" + value[1:]
	}
	return "0" + value[1:]
}

func TestACodeIsSentAndVerifiesTheIdentifier(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body      rest.ChallengeCreateReq
		kind      account.IdentifierType
		to, value string // as kept; form of the value
		link      string
		lifetime  time.Duration
	}{
		"by email":                  {codeTo(rest.ChallengeTypeEmailOtp, email), account.IdentifierTypeEmail, email, `^[0-9]{6}$`, "", 5 * time.Minute},
		"to an address in capitals": {codeTo(rest.ChallengeTypeEmailOtp, "  ADA@Example.COM "), account.IdentifierTypeEmail, email, `^[0-9]{6}$`, "", 5 * time.Minute},
		"by text message, for a day": {
			rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeSmsOtp, IdentifierValue: mobile, LifetimeSeconds: ptr[int32](86400)},
			account.IdentifierTypePhone, mobile, `^[0-9]{6}$`, "", 24 * time.Hour,
		},
		"as a link": {codeTo(rest.ChallengeTypeEmailLink, email), account.IdentifierTypeEmail, email, `^[A-Za-z0-9]{40}$`, origin + "/", 5 * time.Minute},
		"as a link to a page": {
			rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailLink, IdentifierValue: email, ChallengeMetadata: &map[string]any{"redirectUrl": "HTTPS://LOGIN.example.com:443/in?next=%2Fcart&token=x#top"}},
			account.IdentifierTypeEmail, email, `^[A-Za-z0-9]{40}$`, "https://LOGIN.example.com:443/in", 5 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.named(t, account.IdentifierStatusPending)
			made, err := st.createCode(t, user, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(c.value).MatchString(made.Value) {
				t.Errorf("value %q", made.Value)
			}
			want := rest.Challenge{
				ChallengeID: made.ChallengeID, Type: c.body.ChallengeType, IdentifierValue: c.to, Value: made.Value,
				Expires: started.Add(c.lifetime).Unix(), Status: rest.ChallengeStatusPending,
			}
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("created (-want +got):\n%s", diff)
			}
			st.wantSent(t, user, made, c.body, c.link)
			if strings.Contains(st.log.String(), made.Value) {
				t.Error("the value was logged")
			}
			got, err := checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			if err != nil {
				t.Fatal(err)
			}
			want.Status = rest.ChallengeStatusCompleted
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("checked (-want +got):\n%s", diff)
			}
			if status := st.statusOf(t, user, c.kind, c.to); status != account.IdentifierStatusVerified {
				t.Errorf("the identifier is %s", status)
			}
			if told := st.events.ofType(event.UserUpdated); len(told) != 3 { // two identifiers, one verification
				t.Errorf("told of %d changes", len(told))
			}
			_, err = checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			wantField(t, err, 400, "value", "has been used already")
		})
	}
}

// wantSent checks the message that went out, and that its link names the challenge.
func (st *stack) wantSent(t *testing.T, user ident.UserID, made rest.Challenge, body rest.ChallengeCreateReq, page string) {
	t.Helper()
	sent := st.delivery.last()
	want := delivery.Message{
		Project: st.project.ID, User: user, ID: ident.CodeID(made.ChallengeID), Type: made.Type, Sender: "Shop", To: made.IdentifierValue, Value: made.Value,
		Link: sent.Link, Expires: time.Unix(made.Expires, 0).UTC(), Lifetime: time.Unix(made.Expires, 0).Sub(started),
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
	if q := u.Query(); q.Get("challengeID") != made.ChallengeID || !slices.Equal(q["token"], []string{made.Value}) || (strings.HasSuffix(page, "/in") && (q.Get("next") != "/cart" || u.Fragment != "top")) {
		t.Errorf("link %q", sent.Link)
	}
	if !strings.HasPrefix(sent.Link, page+"?") {
		t.Errorf("link %q leads elsewhere than %q", sent.Link, page)
	}
}

func TestAVerifiedIdentifierStaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, status := range []account.IdentifierStatus{account.IdentifierStatusPrimary, account.IdentifierStatusVerified} {
		st := newStack(t)
		user := st.named(t, status)
		made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email))
		if err != nil {
			t.Fatal(err)
		}
		before := len(st.events.told(user))
		if _, err := checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value); err != nil {
			t.Fatal(err)
		}
		if got := st.statusOf(t, user, account.IdentifierTypeEmail, email); got != status {
			t.Errorf("%s became %s", status, got)
		}
		if after := len(st.events.told(user)); after != before {
			t.Errorf("%d changes were told of, and there is none", after-before)
		}
	}
}

func TestWhatCannotBeSentIsRefusedByField(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, stranger := st.named(t, account.IdentifierStatusPending), st.user(t)
	link := func(target any) rest.ChallengeCreateReq {
		return rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailLink, IdentifierValue: email, ChallengeMetadata: &map[string]any{"redirectUrl": target}}
	}
	lasting := func(seconds int32) rest.ChallengeCreateReq {
		return rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailOtp, IdentifierValue: email, LifetimeSeconds: &seconds}
	}
	const (
		redirect = "challengeMetadata.redirectUrl"
		noURL    = "must be an absolute URL of http or https"
		foreign  = "must have an origin of the project"
		lifetime = "must be between 30 and 86400"
	)
	for name, c := range map[string]struct {
		user           ident.UserID
		body           rest.ChallengeCreateReq
		field, message string
	}{
		"no type":                            {user, codeTo("", email), "challengeType", "cannot be blank"},
		"an unknown type":                    {user, codeTo("fax", email), "challengeType", "must be one of email_otp, email_link, sms_otp"},
		"no identifier":                      {user, codeTo(rest.ChallengeTypeEmailOtp, " "), "identifierValue", "cannot be blank"},
		"an address nobody has":              {user, codeTo(rest.ChallengeTypeEmailOtp, "bob@example.com"), "identifierValue", "does not exist"},
		"an address of another user":         {stranger, codeTo(rest.ChallengeTypeEmailOtp, email), "identifierValue", "does not exist"},
		"a number for an email":              {user, codeTo(rest.ChallengeTypeEmailOtp, mobile), "identifierValue", "does not exist"},
		"an address for a text message":      {user, codeTo(rest.ChallengeTypeSmsOtp, email), "identifierValue", "does not exist"},
		"an unknown user":                    {"usr-404", codeTo(rest.ChallengeTypeEmailOtp, email), "userID", "does not exist"},
		"a lifetime of no time":              {user, lasting(0), "lifetimeSeconds", lifetime},
		"a lifetime below half a minute":     {user, lasting(29), "lifetimeSeconds", lifetime},
		"a lifetime above a day":             {user, lasting(86401), "lifetimeSeconds", lifetime},
		"a negative lifetime":                {user, lasting(-300), "lifetimeSeconds", lifetime},
		"metadata that are too long":         {user, rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailOtp, IdentifierValue: email, ChallengeMetadata: &map[string]any{"x": strings.Repeat("x", 9000)}}, "challengeMetadata", "must be at most 8192 bytes long"},
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
		"a link that is too long":            {user, link(origin + "/" + strings.Repeat("x", 2048)), redirect, noURL},
		"a link that is no text":             {user, link(5.0), redirect, noURL},
		"an empty link":                      {user, link(""), redirect, noURL},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := st.createCode(t, c.user, c.body)
			wantField(t, err, 400, c.field, c.message)
		})
	}
	if len(st.delivery.messages) != 0 {
		t.Errorf("sent %v", st.delivery.messages)
	}
	if _, err := st.createCode(t, user, rest.ChallengeCreateReq{LifetimeSeconds: ptr[int32](1)}); len(fault.As(err).Validation) != 3 {
		t.Errorf("not every field at fault is named: %v", err)
	}
}

func TestALinkNeedsAWebsite(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	p := st.project
	p.Origins = []string{"android:apk-key-hash:AAAA"}
	st.projects.set(p)
	_, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailLink, email))
	wantField(t, err, 400, "challengeMetadata.redirectUrl", "cannot be blank, since the project has no origin of a website")
}

func TestWhatIsCheckedMustBeThereAndOfTheUser(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, stranger := st.named(t, account.IdentifierStatusPending), st.user(t)
	made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email))
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
		"a wrong value":            {user, made.ChallengeID, wrong(made.Value), "value", "is wrong"},
		"a value with a space":     {user, made.ChallengeID, made.Value + " ", "value", "is wrong"},
		"a long value":             {user, made.ChallengeID, strings.Repeat("1", 128), "value", "is wrong"},
	} {
		_, err := checkCode(t.Context(), st, st, c.user, c.id, c.value)
		t.Log(name)
		wantField(t, err, 400, c.field, c.message)
	}
	if _, err := checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value); err != nil {
		t.Errorf("after three wrong values the right one is refused: %v", err)
	}
}

func TestACodeExpires(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(t *testing.T, st *stack, user ident.UserID, made rest.Challenge)
		want string
	}{
		"a moment before its time it is good": {func(_ *testing.T, st *stack, _ ident.UserID, _ rest.Challenge) {
			st.clock.advance(5*time.Minute - time.Millisecond)
		}, ""},
		"by its time":                        {func(_ *testing.T, st *stack, _ ident.UserID, _ rest.Challenge) { st.clock.advance(5 * time.Minute) }, "has expired"},
		"after four wrong values it is good": {guesses(4), ""},
		"by five wrong values":               {guesses(5), "has expired"},
		"when the identifier is gone": {func(t *testing.T, st *stack, user ident.UserID, _ rest.Challenge) {
			a := st.get(t, user)
			id := a.Identifier(account.IdentifierTypeEmail, email).ID
			if _, err := st.DeleteIdentifier(t.Context(), service.ForUser[ident.IdentifierID]{Project: st.project.ID, User: user, Body: id}); err != nil {
				t.Fatal(err)
			}
		}, "has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.named(t, account.IdentifierStatusPending)
			made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email))
			if err != nil {
				t.Fatal(err)
			}
			c.end(t, st, user, made)
			_, err = checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantField(t, err, 400, "value", c.want)
		})
	}
}

func guesses(n int) func(*testing.T, *stack, ident.UserID, rest.Challenge) {
	return func(t *testing.T, st *stack, user ident.UserID, made rest.Challenge) {
		t.Helper()
		for range n {
			_, err := checkCode(t.Context(), st, st, user, made.ChallengeID, wrong(made.Value))
			wantField(t, err, 400, "value", "is wrong")
		}
	}
}

// outcomes runs n checks at once on two instances and counts what they were told.
func outcomes(t *testing.T, st *stack, n int, check func(svc service.Codes, i int) error) map[string]int {
	t.Helper()
	instances := []service.Codes{st, st.process(t, &crash{left: -1})}
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
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email))
	if err != nil {
		t.Fatal(err)
	}
	got := outcomes(t, st, 100, func(svc service.Codes, i int) error {
		guess := fmt.Sprintf("%06d", i)
		if guess == made.Value {
			guess = "999999"
		}
		_, err := checkCode(t.Context(), st, svc, user, made.ChallengeID, guess)
		return err
	})
	if diff := cmp.Diff(map[string]int{"validation_error: value: is wrong": 5, "validation_error: value: has expired": 95}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
	wantField(t, err, 400, "value", "has expired")
	if status := st.statusOf(t, user, account.IdentifierTypeEmail, email); status != account.IdentifierStatusPending {
		t.Errorf("the identifier is %s", status)
	}
}

func TestARightValueGivenManyTimesAtOnceIsRightOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []account.IdentifierStatus{account.IdentifierStatusPending, account.IdentifierStatusPrimary} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.named(t, status)
			made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailLink, email))
			if err != nil {
				t.Fatal(err)
			}
			got := outcomes(t, st, 40, func(svc service.Codes, _ int) error {
				_, err := checkCode(t.Context(), st, svc, user, made.ChallengeID, made.Value)
				return err
			})
			if diff := cmp.Diff(map[string]int{"right": 1, "validation_error: value: has been used already": 39}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoCrashLosesARightValueOrLetsItBeUsedTwice(t *testing.T) {
	t.Parallel()
	everyCrash(t, func(t *testing.T, c *crash) {
		st := newStack(t)
		user := st.named(t, account.IdentifierStatusPending)
		made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailOtp, email))
		if err != nil {
			t.Fatal(err)
		}
		_, err = checkCode(t.Context(), st, st.process(t, c), user, made.ChallengeID, made.Value)
		if err != nil {
			if statusOf(err) < 500 {
				t.Errorf("a crash is said to be the caller's fault: %v", err)
			}
			again := st.restart(t)
			again.clock.advance(90 * time.Second)
			if _, err := checkCode(t.Context(), st, again, user, made.ChallengeID, made.Value); err != nil {
				// Only if the crash took nothing but the answer.
				wantField(t, err, 400, "value", "has been used already")
			}
		}
		if status := st.statusOf(t, user, account.IdentifierTypeEmail, email); status != account.IdentifierStatusVerified {
			t.Errorf("the identifier is %s", status)
		}
		st.wantTold(t, user, event.UserCreated, event.UserUpdated, event.UserUpdated, event.UserUpdated) // two identifiers, one verification
		_, err = checkCode(t.Context(), st, st, user, made.ChallengeID, made.Value)
		wantField(t, err, 400, "value", "has been used already")
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
			st := newStack(t)
			user := st.named(t, account.IdentifierStatusPending)
			var lost delivery.Message
			st.delivery.fail = func(m delivery.Message) error {
				lost = m
				return c.err
			}
			// What certainly reached nobody does not count towards the limit.
			for range 10 {
				_, err := st.createCode(t, user, codeTo(rest.ChallengeTypeSmsOtp, mobile))
				wantStatus(t, err, c.status)
			}
			_, err := checkCode(t.Context(), st, st, user, string(lost.ID), lost.Value)
			wantField(t, err, 400, "challengeID", "does not exist")
			if strings.Contains(st.log.String(), lost.Value) {
				t.Error("the value was logged")
			}
		})
	}
}

func TestOnlySoManyAreSentToAnIdentifierInSoLong(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	send := func(kind rest.ChallengeType, to string) error {
		_, err := st.createCode(t, user, codeTo(kind, to))
		return err
	}
	for i := range 5 {
		if err := send(rest.ChallengeTypeEmailOtp, email); err != nil {
			t.Fatalf("number %d: %v", i+1, err)
		}
		st.clock.advance(time.Minute)
	}
	for _, kind := range []rest.ChallengeType{rest.ChallengeTypeEmailOtp, rest.ChallengeTypeEmailLink} {
		var f *fault.Fault
		if err := send(kind, email); !errors.As(err, &f) || f.Status != http.StatusTooManyRequests || f.Type != fault.TypeRateLimited || f.RetryAfter != 5*time.Minute {
			t.Errorf("%s: got %+v", kind, f)
		}
	}
	if err := send(rest.ChallengeTypeSmsOtp, mobile); err != nil {
		t.Errorf("another identifier: %v", err)
	}
	st.clock.advance(5 * time.Minute)
	if err := send(rest.ChallengeTypeEmailOtp, email); err != nil {
		t.Errorf("when the first is old enough: %v", err)
	}
	wantStatus(t, send(rest.ChallengeTypeEmailOtp, email), http.StatusTooManyRequests)
}

func TestTheLimitOfSendsHoldsForAllInstancesAtOnce(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	var sent atomic.Int64
	got := outcomes(t, st, 40, func(svc service.Codes, _ int) error {
		_, err := svc.CreateCode(t.Context(), service.ForUser[rest.ChallengeCreateReq]{Project: st.project.ID, User: user, Body: codeTo(rest.ChallengeTypeEmailOtp, email)})
		if err == nil {
			sent.Add(1)
		}
		return err
	})
	if sent.Load() != 5 || len(st.delivery.messages) != 5 {
		t.Errorf("sent %d, delivered %d: %v", sent.Load(), len(st.delivery.messages), got)
	}
}

func TestNoCodeIsKeptOrTold(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	made, err := st.createCode(t, user, codeTo(rest.ChallengeTypeEmailLink, email))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := st.buckets.codes.Get(t.Context(), fmt.Sprintf("%s.%s.%s", st.project.ID, user, made.ChallengeID))
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{made.Value, email} {
		if strings.Contains(string(entry.Value()), hidden) {
			t.Errorf("kept: %s", entry.Value())
		}
	}
}
