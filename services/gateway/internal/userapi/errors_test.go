package userapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

// faultCase is a failure of the ceremony service, and what callers get. A code for JSON is given where it is another one.
type faultCase struct {
	name     string
	fail     error
	code     string
	status   int
	message  string
	id, text string
	retry    string
	codeJSON string
}

func faultCases() []faultCase {
	plain := func(status int, details string) *fault.Fault {
		return &fault.Fault{Type: fault.TypeValidationError, Status: status, Details: details}
	}
	return []faultCase{
		{
			"a code that is wrong", plain(400, "Code is invalid").Named(service.ReasonCodeInvalid), "invalid_argument", 400,
			"Code is invalid (COMMAND-Eeb2a)", "COMMAND-Eeb2a", "Code is invalid", "", "",
		},
		{"a fault without a reason", plain(400, "no"), "invalid_argument", 400, "no", "", "", "", ""},
		{"a field at fault", fault.Field("domain", "is no domain"), "invalid_argument", 400, "domain: is no domain", "", "", "", ""},
		{
			"fields at fault with a reason",
			fault.Fields(fault.FieldError{Field: "a", Message: "b"}, fault.FieldError{Field: "c", Message: "d"}).Named("X-1"),
			"invalid_argument",
			400,
			"a: b; c: d (X-1)",
			"X-1",
			"a: b; c: d",
			"",
			"",
		},
		{
			"a state that does not allow it", fault.Precondition("User is not active").Named(service.ReasonUserInactive), "failed_precondition", 400,
			"User is not active (USER-Inactive)", "USER-Inactive", "User is not active", "", "",
		},
		{"a caller that is not known", fault.Login("who?"), "unauthenticated", 401, "who?", "", "", "", ""},
		{
			"a refusal", plain(403, "Passkeys are not offered").Named(service.ReasonDenied), "permission_denied", 403,
			"Passkeys are not offered (PASSKEY-Denied)", "PASSKEY-Denied", "Passkeys are not offered", "", "",
		},
		{
			"a user that is not known", fault.NotFound("User could not be found").Named(service.ReasonUserUnknown), "not_found", 404,
			"User could not be found (QUERY-Dfbg2)", "QUERY-Dfbg2", "User could not be found", "", "",
		},
		{
			"a passkey that is there already", fault.Conflict("credential", "exists").Named(service.ReasonPasskeyExists), "already_exists", 409,
			"credential: exists (PASSKEY-Exists)", "PASSKEY-Exists", "credential: exists", "", "",
		},
		{"something too large", plain(413, "too large"), "resource_exhausted", 413, "too large", "", "", "", "invalid_argument"},
		{
			"too many calls", &fault.Fault{Status: 429, Details: "slow down", RetryAfter: 1200 * time.Millisecond}, "resource_exhausted", 429,
			"slow down", "", "", "2", "",
		},
		{"a fault of the server", fault.Internal(errors.New("password=hunter2")), "internal", 500, "an internal error occurred", "", "", "", ""},
		{
			"a fault of the server with a reason", fault.Internal(errors.New("hunter2")).Named("X-2"), "internal", 500,
			"an internal error occurred (X-2)", "X-2", "an internal error occurred", "", "",
		},
		{"an error that is no fault", errors.New("hunter2"), "internal", 500, "an internal error occurred", "", "", "", ""},
		{"a wrapped fault", fmt.Errorf("hunter2: %w", fault.NotFound("gone")), "not_found", 404, "gone", "", "", "", ""},
		{"something that does not exist", plain(501, "not here"), "unimplemented", 501, "not here", "", "", "", ""},
		{
			"something that is away", fault.Unavailable(3*time.Second, "the log is away").Because(errors.New("hunter2")),
			"unavailable", 503, "the log is away", "", "", "3", "",
		},
		{"something that took too long", plain(504, "too slow"), "deadline_exceeded", 504, "too slow", "", "", "", ""},
		{"a status of no row, of the caller", plain(422, ""), "invalid_argument", 400, "Unprocessable Entity", "", "", "", ""},
		{"a status of no row, of the server", plain(502, ""), "internal", 500, "an internal error occurred", "", "", "", ""},
	}
}

// want returns what a client of a protocol sees of a failure.
func (tc faultCase) want(protocol string) reply {
	want := reply{Code: tc.code, Message: tc.message, ID: tc.id, Text: tc.text, Retry: tc.retry}
	if protocol == protocolJSON {
		want.Status = tc.status
		if tc.codeJSON != "" {
			want.Code = tc.codeJSON
		}
	}
	return want
}

func TestFaultsInEveryProtocol(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range faultCases() {
		s.recorded.fail = tc.fail
		for _, protocol := range protocols() {
			for _, req := range []proto.Message{&userv2.ListPasskeysRequest{UserId: "usr-1"}, &userv2beta.RegisterPasskeyRequest{UserId: "usr-1"}} {
				t.Run(tc.name+" over "+protocol+" to "+string(req.ProtoReflect().Descriptor().FullName()), func(t *testing.T) {
					if diff := cmp.Diff(tc.want(protocol), s.call(protocol, "all", req)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if o := s.observed(1)[0]; o.Code != tc.code || !errors.Is(o.Err, tc.fail) || o.Procedure == "" {
						t.Errorf("outcome %+v", o)
					}
				})
			}
		}
	}
}

func TestEveryMethodPassesFaultsOn(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.recorded.fail = fault.Precondition("no").Named("X-3")
	for _, tc := range append(casesV2(t), casesBeta(t)...) {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				if got := s.call(protocol, "all", tc.req); got.Code != "failed_precondition" || got.ID != "X-3" {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

func TestCallersThatAreNotAdmitted(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct {
		name, header string
		want         reply
	}{
		{"no header", "", reply{Code: "unauthenticated", Message: "auth header missing", Status: 401}},
		{"a token that is not valid", "Bearer x", reply{Code: "unauthenticated", Message: "the token is not valid", Status: 401}},
		{
			"a caller that calls too often", "Bearer busy",
			reply{
				Code:    "resource_exhausted",
				Message: "too many calls (PROJECT-Busy)",
				ID:      "PROJECT-Busy",
				Text:    "too many calls",
				Retry:   "2",
				Status:  429,
			},
		},
		{"an admission that panics", "Bearer panic", reply{Code: "internal", Message: "an internal error occurred", Status: 500}},
	} {
		for _, protocol := range protocols() {
			// The message is not valid either, which those who are not admitted are not told.
			for _, req := range []proto.Message{
				&userv2.RegisterPasskeyRequest{UserId: strings.Repeat("x", 201)}, &userv2beta.RegisterPasskeyRequest{},
			} {
				t.Run(tc.name+" over "+protocol+" to "+string(req.ProtoReflect().Descriptor().FullName()), func(t *testing.T) {
					headers := map[string]string{}
					if tc.header != "" {
						headers["Authorization"] = tc.header
					}
					want := tc.want
					if protocol != protocolJSON {
						want.Status = 0
					}
					if diff := cmp.Diff(want, s.callWith(t.Context(), protocol, headers, req)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
					if o := s.observed(1)[0]; o.Code != want.Code || o.Err == nil || o.Procedure == "" {
						t.Errorf("outcome %+v", o)
					}
				})
			}
		}
	}
	if calls := s.recorded.taken(); len(calls) != 0 {
		t.Errorf("the service was asked %v", calls)
	}
}

func TestIDsThatNobodyCanHaveAreNotFound(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	credential := structOf(t, testCredential)
	const user, passkey = "User could not be found (QUERY-Dfbg2)", "Passkey could not be found (PASSKEY-Unknown)"
	for _, tc := range []struct {
		name string
		req  proto.Message
		want string
	}{
		{"a number as a user", &userv2.RegisterPasskeyRequest{UserId: "163840776835432705"}, user},
		{"a user with a dot", &userv2.ListPasskeysRequest{UserId: "usr-1.x"}, user},
		{"a user with too many digits", &userv2.CreatePasskeyRegistrationLinkRequest{UserId: "usr-12345678901234567890"}, user},
		{"a user of other letters", &userv2.RemovePasskeyRequest{UserId: "Usr-1", PasskeyId: "cre-1"}, user},
		{"a number as a passkey", &userv2.RemovePasskeyRequest{UserId: "usr-1", PasskeyId: "163840776835432705"}, passkey},
		{
			"a user as a passkey",
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "usr-1", PasskeyName: "n", PublicKeyCredential: credential},
			passkey,
		},
		{"both: the user comes first", &userv2.RemovePasskeyRequest{UserId: "a", PasskeyId: "b"}, user},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				if got := s.call(protocol, "all", tc.req); got.Code != "not_found" || got.Message != tc.want || got.ID == "" {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
	if calls := s.recorded.taken(); len(calls) != 0 {
		t.Errorf("the service was asked %v", calls)
	}
}

func TestWriteErrorKnowsTheProtocol(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	busy := (&fault.Fault{Status: 429, Details: "slow", RetryAfter: time.Second}).Named("X-4")
	for _, tc := range []struct {
		name, path, contentType string
		err                     error
		status                  int
		header                  map[string]string
		body                    string
	}{
		{
			"JSON", "/v2/users/usr-1/passkeys", "application/json", busy, 429, map[string]string{
				"Content-Type": "application/json",
				"Retry-After":  "1",
			},
			`{"code":8,"message":"slow (X-4)","details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"X-4","message":"slow"}]}`,
		},
		{
			"a path of the JSON API with a content type of gRPC", "/v2beta/users/usr-1/passkeys", "application/grpc", fault.Login("who?"), 401,
			map[string]string{"Content-Type": "application/json", "Www-Authenticate": `Bearer realm="keyward"`}, `{"code":16,"message":"who?"}`,
		},
		{
			"Connect", "/zitadel.user.v2.UserService/ListPasskeys", "application/json", fault.Login("who?"), 401,
			map[string]string{
				"Content-Type":     "application/json",
				"Www-Authenticate": `Bearer realm="keyward"`,
			}, `{"code":"unauthenticated","message":"who?"}`,
		},
		{
			"Connect with a reason to wait", "/zitadel.user.v2.UserService/ListPasskeys", "application/proto",
			fault.Unavailable(time.Second, "away"), 503,
			map[string]string{"Content-Type": "application/json", "Retry-After": "1"}, `{"code":"unavailable","message":"away"}`,
		},
		{
			"a procedure without a content type", "/zitadel.user.v2.UserService/ListPasskeys", "", fault.NotFound("gone"), 404,
			map[string]string{"Content-Type": "application/json"}, `{"code":"not_found","message":"gone"}`,
		},
		{
			"gRPC-web", "/zitadel.user.v2.UserService/ListPasskeys", "application/grpc-web+proto", fault.NotFound("gone"), 200,
			map[string]string{"Content-Type": "application/grpc-web+proto", "Grpc-Status": "5", "Grpc-Message": "gone"}, "",
		},
		{
			"gRPC", "/zitadel.user.v2.UserService/ListPasskeys", "application/grpc", fault.NotFound("gone"), 200,
			map[string]string{"Content-Type": "application/grpc", "Grpc-Status": "5", "Grpc-Message": "gone"}, "",
		},
		{
			"gRPC to a service that is not there", "/other.Service/Do", "application/grpc+proto", fault.NotFound("gone"), 200,
			map[string]string{"Content-Type": "application/grpc+proto", "Grpc-Status": "5"}, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), "POST", tc.path, http.NoBody)
			req.Header.Set("Content-Type", tc.contentType)
			w := httptest.NewRecorder()
			s.api.WriteError(w, req, tc.err)
			rsp := w.Result()
			if rsp.StatusCode != tc.status || !sameJSON(w.Body.String(), tc.body) {
				t.Errorf("got %d %s", rsp.StatusCode, w.Body)
			}
			for k, v := range rsp.Trailer {
				rsp.Header[k] = v
			}
			for k, v := range tc.header {
				if rsp.Header.Get(k) != v {
					t.Errorf("%s is %q, want %q", k, rsp.Header.Get(k), v)
				}
			}
		})
	}
}

func TestACallThatIsOverSaysSo(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	s := serve(t, func(d *userDeps) { d.Timeout = 50 * time.Millisecond })
	s.recorded.wait = func(ctx context.Context) {
		entered <- struct{}{}
		<-ctx.Done()
	}
	for _, tc := range []struct {
		name string
		fail error
	}{
		{"as the context says it", context.DeadlineExceeded},
		{"as a fault of something that is away", fault.Unavailable(time.Second, "away")},
		{"as a fault of the server", errors.New("connection reset")},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				s.recorded.fail = tc.fail
				got := s.call(protocol, "all", &userv2.ListPasskeysRequest{UserId: "usr-1"})
				<-entered
				if got.Code != "deadline_exceeded" || got.Message != "the call ran out of time" || protocol == protocolJSON && got.Status != 504 {
					t.Errorf("got %+v", got)
				}
				if o := s.observed(1)[0]; o.Code != "deadline_exceeded" {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
}

func TestAClientsDeadlineIsHeededIfItIsTheEarlier(t *testing.T) {
	t.Parallel()
	var left time.Duration
	s := serve(t, func(d *userDeps) { d.Timeout = time.Hour })
	s.recorded.wait = func(ctx context.Context) {
		deadline, ok := ctx.Deadline()
		if !ok {
			t.Error("there is no deadline")
		}
		left = time.Until(deadline)
	}
	for _, tc := range []struct {
		name     string
		timeout  time.Duration
		min, max time.Duration
	}{
		{"an earlier one", time.Minute, 50 * time.Second, time.Minute},
		{"a later one", 10 * time.Hour, 59 * time.Minute, time.Hour},
		{"none", 0, 59 * time.Minute, time.Hour},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				ctx, headers := t.Context(), map[string]string{"Authorization": "Bearer all"}
				switch {
				case tc.timeout == 0:
				case protocol == protocolJSON:
					headers["Grpc-Timeout"] = fmt.Sprintf("%dS", int(tc.timeout.Seconds()))
				default:
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.timeout)
					defer cancel()
				}
				if got := s.callWith(ctx, protocol, headers, &userv2.ListPasskeysRequest{UserId: "usr-1"}); got.Code != "ok" {
					t.Fatalf("got %+v", got)
				}
				if left < tc.min || left > tc.max {
					t.Errorf("%s are left", left)
				}
			})
		}
	}
}

func TestACallThatIsCancelledIsObservedAsSuch(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	entered := make(chan struct{})
	s.recorded.wait = func(ctx context.Context) {
		close(entered)
		<-ctx.Done()
	}
	s.recorded.fail = context.Canceled
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	_, err := dispatch(withToken(ctx), s.h2, s.URL, &userv2.ListPasskeysRequest{UserId: "usr-1"}, connect.WithGRPC())
	if connect.CodeOf(err) != connect.CodeCanceled {
		t.Errorf("got %v", err)
	}
	if o := s.observed(1)[0]; o.Code != "canceled" {
		t.Errorf("outcome %+v", o)
	}
}

func TestAPanicIsAnInternalErrorAndLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.recorded.panic = "hunter2"
	for _, protocol := range protocols() {
		for _, req := range []proto.Message{&userv2.ListPasskeysRequest{UserId: "usr-1"}, &userv2beta.RegisterPasskeyRequest{UserId: "usr-1"}} {
			t.Run(protocol+" to "+string(req.ProtoReflect().Descriptor().FullName()), func(t *testing.T) {
				want := reply{Code: "internal", Message: "an internal error occurred"}
				if protocol == protocolJSON {
					want.Status = 500
				}
				if diff := cmp.Diff(want, s.call(protocol, "all", req)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if o := s.observed(1)[0]; o.Code != "internal" || !strings.Contains(o.Err.Error(), "hunter2") {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
	if log := s.log.String(); strings.Count(log, "panicked") != 8 || !strings.Contains(log, "harness_test.go") ||
		!strings.Contains(log, "hunter2") {
		t.Errorf("logged: %s", log)
	}
}
