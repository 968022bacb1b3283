package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
)

func TestEveryErrorBecomesAFaultThatTellsNoSecret(t *testing.T) {
	t.Parallel()
	secret := errors.New("password is swordfish")
	cases := map[string]struct {
		err  error
		want fault.Fault
	}{
		"a fault": {fault.Unknown("userID"), fault.Fault{
			Type: rest.ErrorTypeValidationError, Status: http.StatusBadRequest, Validation: []rest.FieldError{{Field: "userID", Message: "does not exist"}},
		}},
		"a wrapped fault":     {fmt.Errorf("load: %w", fault.NotFound("no such thing")), fault.Fault{Type: rest.ErrorTypeNotFound, Status: http.StatusNotFound, Details: "no such thing"}},
		"an unforeseen error": {secret, fault.Fault{Type: rest.ErrorTypeInternalError, Status: http.StatusInternalServerError}},
		"a deadline":          {fmt.Errorf("x: %w", context.DeadlineExceeded), fault.Fault{Type: rest.ErrorTypeUnavailable, Status: http.StatusServiceUnavailable, Details: "the call ran out of time", RetryAfter: time.Second}},
		"a fault with a cause": {fault.Unavailable(2*time.Second, "away").Because(secret), fault.Fault{
			Type: rest.ErrorTypeUnavailable, Status: http.StatusServiceUnavailable, Details: "away", RetryAfter: 2 * time.Second,
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
