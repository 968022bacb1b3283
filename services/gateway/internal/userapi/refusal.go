package userapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"connectrpc.com/connect"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	zitadelv1 "github.com/keyward/keyward/api/zitadel/v1"
	"github.com/keyward/keyward/core/fault"
)

const (
	textInternal  = "an internal error occurred" // all that a caller learns of a fault of the server
	textTimeout   = "the call ran out of time"
	textCancelled = "the call was cancelled"
)

// said is the text of an error for the caller, and its cause for errors.As.
type said struct {
	text  string
	cause error
}

func (s said) Error() string { return s.text }
func (s said) Unwrap() error { return s.cause }

// refusal returns err as what callers are told. A fault with a reason carries it in its text and as its only detail.
func refusal(ctx context.Context, err error) *connect.Error {
	var done *connect.Error
	if errors.As(err, &done) {
		return done
	}
	var f *fault.Fault
	if !errors.As(err, &f) {
		f = fault.Internal(err)
	}
	if f.Status >= http.StatusInternalServerError {
		// Whatever a call that is over failed with, it failed because it was over.
		switch over := errors.Join(ctx.Err(), err); {
		case errors.Is(ctx.Err(), context.Canceled):
			return connect.NewError(connect.CodeCanceled, said{textCancelled, over})
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return connect.NewError(connect.CodeDeadlineExceeded, said{textTimeout, over})
		}
	}
	text := textOf(f)
	if f.Reason == "" {
		return withRetry(connect.NewError(CodeOf(f.Status), said{text, err}), f)
	}
	refused := connect.NewError(CodeOf(f.Status), said{text + " (" + f.Reason + ")", err})
	if detail, err := connect.NewErrorDetail(&zitadelv1.ErrorDetail{Id: f.Reason, Message: text}); err == nil {
		refused.AddDetail(detail)
	}
	return withRetry(refused, f)
}

func withRetry(refused *connect.Error, f *fault.Fault) *connect.Error {
	if f.RetryAfter > 0 {
		// Rounded up: a caller that comes a moment too early is refused again.
		refused.Meta().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(f.RetryAfter.Seconds())), 10))
	}
	return refused
}

func textOf(f *fault.Fault) string {
	switch {
	case f.Details != "":
		return f.Details
	case len(f.Validation) > 0:
		texts := make([]string, len(f.Validation))
		for i, v := range f.Validation {
			texts[i] = v.Field + ": " + v.Message
		}
		return strings.Join(texts, "; ")
	case f.Status >= http.StatusInternalServerError:
		return textInternal
	}
	return http.StatusText(f.Status)
}

// CodeOf is the one place where a status becomes a code.
func CodeOf(status int) connect.Code {
	switch status {
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusNotFound:
		return connect.CodeNotFound
	case http.StatusConflict:
		return connect.CodeAlreadyExists
	case http.StatusPreconditionFailed:
		return connect.CodeFailedPrecondition
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return connect.CodeResourceExhausted
	case http.StatusNotImplemented:
		return connect.CodeUnimplemented
	case http.StatusServiceUnavailable:
		return connect.CodeUnavailable
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return connect.CodeDeadlineExceeded
	}
	if status >= http.StatusInternalServerError {
		return connect.CodeInternal
	}
	return connect.CodeInvalidArgument
}

// WriteError answers a request with err in the protocol of the request. Nothing may have been written yet. It neither reads the body nor
// logs.
func (a *API) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	refused := refusal(r.Context(), err)
	if !speaksRPC(r) {
		writeStatus(w, refused, 0)
		return
	}
	if refused.Code() == connect.CodeUnauthenticated && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		challenge(w)
	}
	// What cannot be written to a connection has nobody to be told of it.
	_ = a.errors.Write(w, r, refused)
}

// challenge names the scheme that a 401 must name (RFC 9110 section 11.6.1).
func challenge(w http.ResponseWriter) { w.Header().Set("WWW-Authenticate", `Bearer realm="keyward"`) }

// writeStatus writes an error of the JSON API. status 0 = that of the code, or of a body that is too long, for which there is no code.
func writeStatus(w http.ResponseWriter, refused *connect.Error, status int) {
	body := &spb.Status{Code: int32(refused.Code()), Message: refused.Message()}
	var f *fault.Fault
	if errors.As(refused, &f) && f.Status == http.StatusRequestEntityTooLarge {
		body.Code = int32(codes.InvalidArgument) // 8 is what a caller that calls too often gets
		status = f.Status
	}
	for _, d := range refused.Details() {
		if value, err := d.Value(); err == nil {
			if packed, err := anypb.New(value); err == nil {
				body.Details = append(body.Details, packed)
			}
		}
	}
	if status == 0 {
		status = runtime.HTTPStatusFromCode(codes.Code(body.Code))
	}
	if status == http.StatusUnauthorized {
		challenge(w)
	}
	if retry := refused.Meta().Get("Retry-After"); retry != "" {
		w.Header().Set("Retry-After", retry)
	}
	text, err := protojson.Marshal(body)
	if err != nil { // a text that is not UTF-8
		status, text = http.StatusInternalServerError, []byte(`{"code":13,"message":"`+textInternal+`"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // see WriteError
}
