package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/keyward/keyward/core/fault"
)

func TestAFieldBelowAnotherIsNamedWithIt(t *testing.T) {
	t.Parallel()
	original := fault.Fields(fault.FieldError{Field: "context"}, fault.FieldError{Field: "context.aal"})
	got := fault.As(fault.Below("data", fmt.Errorf("x: %w", original)))
	fields := []string{got.Validation[0].Field, got.Validation[1].Field, original.Validation[0].Field}
	if !slices.Equal(fields, []string{"data.context", "data.context.aal", "context"}) {
		t.Errorf("%+v, of %+v", got, original)
	}
	if other := errors.New("no"); !errors.Is(fault.Below("data", other), other) || fault.Below("data", nil) != nil {
		t.Error("what is no fault does not stay what it is")
	}
}

func TestEveryErrorBecomesAFaultThatTellsNoSecret(t *testing.T) {
	t.Parallel()
	secret := errors.New("password is swordfish")
	cases := map[string]struct {
		err  error
		want fault.Fault
	}{
		"a fault": {
			fault.Unknown("userID"),
			fault.Fault{
				Type: fault.TypeValidationError, Status: http.StatusBadRequest,
				Validation: []fault.FieldError{{Field: "userID", Message: "does not exist"}},
			},
		},
		"a wrapped fault": {
			fmt.Errorf("load: %w", fault.NotFound("no such thing")),
			fault.Fault{Type: fault.TypeNotFound, Status: http.StatusNotFound, Details: "no such thing"},
		},
		"an unforeseen error": {secret, fault.Fault{Type: fault.TypeInternalError, Status: http.StatusInternalServerError}},
		"a deadline": {
			fmt.Errorf("x: %w", context.DeadlineExceeded),
			fault.Fault{
				Type: fault.TypeUnavailable, Status: http.StatusServiceUnavailable, Details: "the call ran out of time",
				RetryAfter: time.Second,
			},
		},
		"a fault with a cause": {fault.Unavailable(2*time.Second, "away").Because(secret), fault.Fault{
			Type: fault.TypeUnavailable, Status: http.StatusServiceUnavailable, Details: "away", RetryAfter: 2 * time.Second,
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(&c.want, fault.As(c.err), cmpopts.IgnoreUnexported(fault.Fault{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if f := fault.Internal(secret); !errors.Is(f, secret) {
		t.Error("the cause is lost to the log")
	}
}

func TestBecauseLeavesTheOriginalAlone(t *testing.T) {
	t.Parallel()
	original := fault.Unknown("userID")
	if original.Because(errors.New("x")); original.Unwrap() != nil {
		t.Error("the original has a cause now")
	}
}

func TestAFaultIsToldByItsReason(t *testing.T) {
	t.Parallel()
	unknown := fault.Unknown("userID").Named("user-unknown")
	other := fault.Unknown("userID").Named("user-erased")
	raw, err := json.Marshal(unknown)
	if err != nil {
		t.Fatal(err)
	}
	travelled := new(fault.Fault)
	if err := json.Unmarshal(raw, travelled); err != nil {
		t.Fatal(err)
	}
	unavailable := fmt.Errorf("x: %w", fault.Unavailable(time.Second, "away"))
	for name, c := range map[string]struct {
		err, target error
		want        bool
	}{
		"itself":                          {unknown, unknown, true},
		"wrapped":                         {fmt.Errorf("x: %w", unknown), unknown, true},
		"with a cause":                    {unknown.Because(errors.New("x")), unknown, true},
		"the cause of another":            {fault.Internal(unknown), unknown, true},
		"in other words":                  {fault.Field("id", "is gone").Named("user-unknown"), unknown, true},
		"after it crossed a border":       {travelled, unknown, true},
		"another in the same words":       {other, unknown, false},
		"in the same words, without one":  {fault.Unknown("userID"), unknown, false},
		"two without a reason":            {fault.Unknown("userID"), fault.Unknown("userID"), false},
		"of a kind":                       {unavailable, fault.TypeUnavailable, true},
		"of another kind":                 {unknown, fault.TypeUnavailable, false},
		"no fault":                        {errors.New("x"), unknown, false},
		"nothing":                         {nil, unknown, false},
		"of a kind, but only as the text": {errors.New("unavailable"), fault.TypeUnavailable, false},
	} {
		if got := errors.Is(c.err, c.target); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestAFailureIsAnotherThingToThoseAbove(t *testing.T) {
	t.Parallel()
	below, above := fault.Unknown("userID").Named("below"), fault.Login("no user").Named("above")
	if err := above.Instead(fmt.Errorf("x: %w", below), below); !errors.Is(err, above) || errors.Is(err, below) {
		t.Errorf("got %v", err)
	}
	other := errors.New("other")
	if err := above.Instead(other, below); !errors.Is(err, other) {
		t.Errorf("got %v", err)
	}
	if err := above.Instead(nil, below); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestWhoIsToBlame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err                       error
		ofServer, unauthenticated bool
	}{
		"nothing":             {nil, false, false},
		"a field":             {fault.Field("a", "is wrong"), false, false},
		"no credentials":      {fmt.Errorf("x: %w", fault.Login("no")), false, true},
		"something away":      {fault.Unavailable(time.Second, "away"), true, false},
		"an unforeseen error": {errors.New("x"), true, false},
		"a deadline":          {context.DeadlineExceeded, true, false},
	} {
		if got := fault.OfServer(c.err); got != c.ofServer {
			t.Errorf("%s: of the server: %v", name, got)
		}
		if got := fault.Unauthenticated(c.err); got != c.unauthenticated {
			t.Errorf("%s: unauthenticated: %v", name, got)
		}
	}
}

func TestARefusalBecomesAFaultOfTheFieldItCameIn(t *testing.T) {
	t.Parallel()
	secret := errors.New("swordfish")
	expired, wrong := fault.Refuse("has expired"), fault.Refuse("has expired")
	because := expired.Because(secret)
	if !errors.Is(because, expired) || !errors.Is(because, secret) || errors.Is(because, wrong) || because.Error() != "has expired" {
		t.Errorf("with a cause it is %v", because)
	}
	f := fault.As(fault.At("code", fmt.Errorf("x: %w", because)))
	if diff := cmp.Diff(fault.Field("code", "has expired"), f, cmpopts.IgnoreUnexported(fault.Fault{})); diff != "" || !errors.Is(f, expired) {
		t.Error(diff, f)
	}
	if err := fault.At("code", secret); !errors.Is(err, secret) {
		t.Errorf("got %v", err)
	}
}

func TestAFieldIsCalledAsTheCallerCalledIt(t *testing.T) {
	t.Parallel()
	original := fault.Fields(fault.FieldError{Field: "a", Message: "is wrong"}, fault.FieldError{Field: "b", Message: "is wrong"}).
		Named("wrong")
	got := fault.Renamed(fmt.Errorf("x: %w", original), "a", "value")
	want := fault.Fields(fault.FieldError{Field: "value", Message: "is wrong"}, fault.FieldError{Field: "b", Message: "is wrong"}).
		Named("wrong")
	if diff := cmp.Diff(error(want), got, cmpopts.IgnoreUnexported(fault.Fault{})); diff != "" || original.Validation[0].Field != "a" {
		t.Error(diff, original)
	}
}
