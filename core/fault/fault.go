// Package fault holds the one error type that crosses service borders. A Fault knows what kind of failure it is and its HTTP status;
// handlers never choose a status. It does no I/O.
//
// A failure that callers tell from others is declared once, as a variable of the package that owns it, with a reason:
//
//	var ErrUnknown = fault.Unknown("userID").Named("user-unknown")
//
// errors.Is finds it by its reason, on whichever side of a process border. Nothing is ever read from a message or a field. A status is
// read by OfServer and Unauthenticated, which say whom a fault blames, and where faults are written for callers.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Type is the kind of a failure, in the word that callers get. It is an error so that errors.Is tells faults of a kind from others.
type Type string

// The kinds of failures.
const (
	TypeAlreadyExists       Type = "already_exists"
	TypeCodesStopped        Type = "codes_stopped"
	TypeInternalError       Type = "internal_error"
	TypeInvalidJSON         Type = "invalid_json"
	TypeInvalidOrigin       Type = "invalid_origin"
	TypeLoginError          Type = "login_error"
	TypeMethodNotAllowed    Type = "method_not_allowed"
	TypeNotFound            Type = "not_found"
	TypeProcessNotAvailable Type = "process_not_available"
	TypeProjectIDMismatch   Type = "project_id_mismatch"
	TypeRateLimited         Type = "rate_limited"
	TypeReauthentication    Type = "reauthentication_required"
	TypeRiskDenied          Type = "risk_denied"
	TypeStepUpRequired      Type = "step_up_required"
	TypeUnavailable         Type = "unavailable"
	TypeUnknownCredential   Type = "unknown_credential"
	TypeValidationError     Type = "validation_error"
)

// Error implements error.
func (t Type) Error() string { return string(t) }

// FieldError says what is wrong with one field.
type FieldError struct {
	Field   string `json:"field"` // with dots for nesting
	Message string `json:"message"`
}

// Fault is a failure that a caller can act on. The zero value is not a fault; use a constructor. A Fault is not changed once it is made:
// others are copies.
type Fault struct {
	Type       Type          `json:"type"`
	Status     int           `json:"status"`               // HTTP status
	Details    string        `json:"details,omitempty"`    // for the caller: no secret, no internals
	Validation []FieldError  `json:"validation,omitempty"` // every field at fault, not only the first
	RetryAfter time.Duration `json:"retryAfter,omitempty"` // 0: none stated
	Reason     string        `json:"reason,omitempty"`     // stable ID of this failure, by which it is told from others; see Is
	Signals    *Signals      `json:"signals,omitempty"`
	// How the call was judged for risk, as core/service writes and reads it; empty: it was not
	Judged json.RawMessage `json:"judged,omitempty"`
	cause  error
}

// Signals is what a client tells its credential manager by the WebAuthn Signal API: a passkey that it used or made, and the server does not
// have.
type Signals struct {
	RPID                string `json:"rpID"`
	UnknownCredentialID string `json:"unknownCredentialID"` // base64url without padding
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

// Is reports whether f is what target declares: a Type, or a fault with the same reason. A fault without a reason is like no other.
func (f *Fault) Is(target error) bool {
	switch t := target.(type) {
	case Type:
		return f.Type == t
	case *Fault:
		return t.Reason != "" && t.Reason == f.Reason
	}
	return false
}

// Unwrap returns what caused the fault; it is logged and never sent.
func (f *Fault) Unwrap() error { return f.cause }

// ErrNobody is the cause of a fault if no instance that runs takes such a call: either none runs, or all that do are of a version that has
// no such call.
var ErrNobody = errors.New("nobody takes such a call")

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

// Signalling returns a copy of f that tells the client of an unknown passkey.
func (f *Fault) Signalling(rpID, credentialID string) *Fault {
	g := *f
	g.Signals = &Signals{RPID: rpID, UnknownCredentialID: credentialID}
	return &g
}

// Instead returns f if err is what target declares, and err itself otherwise: one layer's failure is another thing to those above it.
func (f *Fault) Instead(err, target error) error {
	if errors.Is(err, target) {
		return f
	}
	return err
}

// Renamed returns err with a field called as the caller called it. What is no fault stays what it is.
func Renamed(err error, from, to string) error {
	var f *Fault
	if !errors.As(err, &f) {
		return err
	}
	g := *f
	g.Validation = slices.Clone(f.Validation)
	for i := range g.Validation {
		if g.Validation[i].Field == from {
			g.Validation[i].Field = to
		}
	}
	return &g
}

// Below returns err with its fields called as members of what the caller called name. What is no fault stays what it is.
func Below(name string, err error) error {
	var f *Fault
	if !errors.As(err, &f) {
		return err
	}
	g := *f
	g.Validation = slices.Clone(f.Validation)
	for i := range g.Validation {
		g.Validation[i].Field = name + "." + g.Validation[i].Field
	}
	return &g
}

// Field reports one field at fault: 400 validation_error.
func Field(field, format string, args ...any) *Fault {
	return Fields(FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Fields reports several fields at fault: 400 validation_error.
func Fields(fields ...FieldError) *Fault {
	return &Fault{Type: TypeValidationError, Status: http.StatusBadRequest, Validation: fields}
}

// Unknown reports a field that names something which is not there, in the words existing clients look for: 400 "<field>: does not exist".
func Unknown(field string) *Fault { return Field(field, "does not exist") }

// NotFound reports an unknown route or resource: 404.
func NotFound(format string, args ...any) *Fault {
	return &Fault{Type: TypeNotFound, Status: http.StatusNotFound, Details: fmt.Sprintf(format, args...)}
}

// Precondition reports a state that does not allow the call: 412.
func Precondition(format string, args ...any) *Fault {
	return &Fault{Type: TypeValidationError, Status: http.StatusPreconditionFailed, Details: fmt.Sprintf(format, args...)}
}

// Conflict reports a unique constraint: 409 already_exists, with the field.
func Conflict(field, format string, args ...any) *Fault {
	f := Field(field, format, args...)
	f.Type, f.Status = TypeAlreadyExists, http.StatusConflict
	return f
}

// Login reports wrong or missing project credentials: 401 login_error.
func Login(format string, args ...any) *Fault {
	return &Fault{Type: TypeLoginError, Status: http.StatusUnauthorized, Details: fmt.Sprintf(format, args...)}
}

// Reauthentication reports that the user has to log in anew: 403 reauthentication_required.
func Reauthentication(format string, args ...any) *Fault {
	return &Fault{Type: TypeReauthentication, Status: http.StatusForbidden, Details: fmt.Sprintf(format, args...)}
}

// Risk reports that the policy does not let a verified answer of an authenticator pass, or not yet: 403 risk_denied or step_up_required.
func Risk(t Type, format string, args ...any) *Fault {
	return &Fault{Type: t, Status: http.StatusForbidden, Details: fmt.Sprintf(format, args...)}
}

// JudgedAs returns a copy of f that says how the call was judged.
func (f *Fault) JudgedAs(judged json.RawMessage) *Fault {
	g := *f
	g.Judged = judged
	return &g
}

// NoProcess reports that a process of the Frontend API is not there, so that clients begin anew: 404 process_not_available.
func NoProcess(format string, args ...any) *Fault {
	return &Fault{Type: TypeProcessNotAvailable, Status: http.StatusNotFound, Details: fmt.Sprintf(format, args...)}
}

// Unavailable reports that something the call needs is away. Nobody may conclude that nothing has been stored: a write whose answer did
// not come may have been. 503 with Retry-After.
func Unavailable(retryAfter time.Duration, format string, args ...any) *Fault {
	return &Fault{Type: TypeUnavailable, Status: http.StatusServiceUnavailable, Details: fmt.Sprintf(format, args...), RetryAfter: retryAfter}
}

// Internal reports a fault of the server: 500, with the cause kept for the log.
func Internal(cause error) *Fault {
	return &Fault{Type: TypeInternalError, Status: http.StatusInternalServerError, cause: cause}
}

// As returns err as a Fault. What is not one becomes internal_error, except a deadline or cancellation, which becomes 503: the caller may
// try again.
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

// Words says what is wrong in the caller's words, whatever field it came in.
func Words(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.text
	}
	if f := As(err); len(f.Validation) > 0 {
		return f.Validation[0].Message
	}
	return As(err).Details
}

// OfServer reports whether the server is to blame for err rather than the caller: whatever is no Fault, and what is away or broken.
func OfServer(err error) bool { return err != nil && As(err).Status >= http.StatusInternalServerError }

// Unauthenticated reports whether err says that the caller has not proven who it is, which is less than not being allowed something.
func Unauthenticated(err error) bool { return err != nil && As(err).Status == http.StatusUnauthorized }
