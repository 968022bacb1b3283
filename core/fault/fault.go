// Package fault holds the one error type that crosses service borders. A Fault knows its type on the wire and its HTTP status; handlers
// never choose a status. It does no I/O.
package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
)

// Fault is a failure that a caller can act on. The zero value is not a fault; use a constructor.
type Fault struct {
	Type       rest.ErrorType    `json:"type"`
	Status     int               `json:"status"`               // HTTP status
	Details    string            `json:"details,omitempty"`    // for the caller: no secret, no internals
	Validation []rest.FieldError `json:"validation,omitempty"` // every field at fault, not only the first
	RetryAfter time.Duration     `json:"retryAfter,omitempty"` // 0: none stated
	Reason     string            `json:"reason,omitempty"`     // stable ID, for clients that tell failures apart by one; see core/service
	cause      error
}

// Error implements error.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(string(f.Type))
	if f.Details != "" {
		b.WriteString(": " + f.Details)
	}
	for _, v := range f.Validation {
		b.WriteString(": " + v.Field + ": " + v.Message)
	}
	if f.cause != nil {
		b.WriteString(": " + f.cause.Error())
	}
	return b.String()
}

// Unwrap returns what caused the fault; it is logged and never sent.
func (f *Fault) Unwrap() error { return f.cause }

// Because returns a copy of f with its cause set.
func (f *Fault) Because(cause error) *Fault {
	g := *f
	g.cause = cause
	return &g
}

// Named returns a copy of f with a reason.
func (f *Fault) Named(reason string) *Fault {
	g := *f
	g.Reason = reason
	return &g
}

// Field reports one field at fault: 400 validation_error.
func Field(field, format string, args ...any) *Fault {
	return Fields(rest.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Fields reports several fields at fault: 400 validation_error.
func Fields(fields ...rest.FieldError) *Fault {
	return &Fault{Type: rest.ErrorTypeValidationError, Status: http.StatusBadRequest, Validation: fields}
}

// Unknown reports a field that names something which is not there, in the words existing clients look for: 400 "<field>: does not exist".
func Unknown(field string) *Fault { return Field(field, "does not exist") }

// NotFound reports an unknown route or resource: 404.
func NotFound(format string, args ...any) *Fault {
	return &Fault{Type: rest.ErrorTypeNotFound, Status: http.StatusNotFound, Details: fmt.Sprintf(format, args...)}
}

// Precondition reports a state that does not allow the call: 412.
func Precondition(format string, args ...any) *Fault {
	return &Fault{Type: rest.ErrorTypeValidationError, Status: http.StatusPreconditionFailed, Details: fmt.Sprintf(format, args...)}
}

// Conflict reports a unique constraint: 409 already_exists, with the field.
func Conflict(field, format string, args ...any) *Fault {
	return &Fault{Type: rest.ErrorTypeAlreadyExists, Status: http.StatusConflict, Validation: []rest.FieldError{{Field: field, Message: fmt.Sprintf(format, args...)}}}
}

// Login reports wrong or missing project credentials: 401 login_error.
func Login(format string, args ...any) *Fault {
	return &Fault{Type: rest.ErrorTypeLoginError, Status: http.StatusUnauthorized, Details: fmt.Sprintf(format, args...)}
}

// Unavailable reports that something the call needs is away; nothing has been stored. 503 with Retry-After.
func Unavailable(retryAfter time.Duration, format string, args ...any) *Fault {
	return &Fault{Type: rest.ErrorTypeUnavailable, Status: http.StatusServiceUnavailable, Details: fmt.Sprintf(format, args...), RetryAfter: retryAfter}
}

// Internal reports a fault of the server: 500, with the cause kept for the log.
func Internal(cause error) *Fault {
	return &Fault{Type: rest.ErrorTypeInternalError, Status: http.StatusInternalServerError, cause: cause}
}

// As returns err as a Fault. What is not one becomes internal_error, except a deadline or cancellation, which becomes 503: the caller may try again.
func As(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Unavailable(time.Second, "the call ran out of time").Because(err)
	}
	return Internal(err)
}
