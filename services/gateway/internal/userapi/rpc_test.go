package userapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const listPasskeys = "/zitadel.user.v2.UserService/ListPasskeys"

// frame is one message as gRPC and gRPC-web send it: flags, length and bytes.
func frame(flags byte, message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message)))) + message
}

func listOf(user string) string {
	raw, err := proto.Marshal(&userv2.ListPasskeysRequest{UserId: user})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// code returns what code of gRPC an answer tells, in its headers or in a frame of gRPC-web; "" if none.
func (a answer) code() string {
	state := a.header.Get("Grpc-Status")
	if state == "" {
		_, after, _ := strings.Cut(a.body, "grpc-status: ")
		state, _, _ = strings.Cut(after, "\r\n")
	}
	n, err := strconv.ParseUint(state, 10, 32)
	if err != nil {
		return ""
	}
	if n == 0 {
		return "ok"
	}
	return connect.Code(n).String()
}

func TestFramesThatAreBrokenAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(d *userDeps) { d.MaxBytes = 1000 })
	good := frame(0, listOf("usr-1"))
	var squeezed bytes.Buffer
	z := gzip.NewWriter(&squeezed)
	_, _ = z.Write(bytes.Repeat([]byte{0}, 1_000_000))
	_ = z.Close()
	for _, tc := range []struct {
		name, body string
		header     map[string]string
		code       string
	}{
		{"a good one", good, nil, "ok"},
		{"no frame at all", "", nil, "unimplemented"},
		{"a head that is cut off", good[:3], nil, "invalid_argument"},
		{"a message that is cut off", good[:len(good)-1], nil, "invalid_argument"},
		{"a length beyond what follows", frame(0, listOf("usr-1"))[:4] + "\xff" + listOf("usr-1"), nil, "invalid_argument"},
		{"a length beyond the bound", "\x00\xff\xff\xff\xff" + listOf("usr-1"), nil, "resource_exhausted"},
		{"two messages", good + good, nil, "unimplemented"},
		{"bytes that are no message", frame(0, "\xff\xff\xff"), nil, "invalid_argument"},
		{"text that is not UTF-8", frame(0, "\x0a\x01\xff"), nil, "invalid_argument"},
		{"a frame that says it is compressed, and does not say how", frame(1, listOf("usr-1")), nil, "invalid_argument"},
		{"compressed bytes that are none", frame(1, "secret"), map[string]string{"Grpc-Encoding": "gzip"}, "invalid_argument"},
		{"a little that becomes a lot", frame(1, squeezed.String()), map[string]string{"Grpc-Encoding": "gzip"}, "resource_exhausted"},
		{"a compression that nobody knows", good, map[string]string{"Grpc-Encoding": "zap"}, "unimplemented"},
		{"a deadline that is none", good, map[string]string{"Grpc-Timeout": "soon"}, "invalid_argument"},
		{"trailers only", frame(0x80, "grpc-status: 0\r\n"), nil, "invalid_argument"},
		{"flags that nobody knows", frame(0x70, listOf("usr-1")), nil, "invalid_argument"},
		{"trailers that are cut off", good + "\x80\x00\x00\x00\x09a", nil, "cut"},
		{"half a second frame", good + "\x00", nil, "unimplemented"},
		{"an empty message is a valid one, without an ID", frame(0, ""), nil, "invalid_argument"},
	} {
		for _, kind := range []string{"application/grpc-web+proto", "application/grpc-web", "application/grpc"} {
			t.Run(tc.name+" as "+kind, func(t *testing.T) {
				header := map[string]string{"Authorization": "Bearer all", "Content-Type": kind}
				for k, v := range tc.header {
					header[k] = v
				}
				a := s.send(t.Context(), "POST", listPasskeys, tc.body, header)
				want := tc.code
				if want == "cut" && kind == "application/grpc" {
					want = "unimplemented" // in gRPC there are none
				} else if want == "cut" {
					want = "invalid_argument"
				}
				if a.status != 200 || a.code() != want {
					t.Errorf("got %d %q %v, code %s", a.status, a.body, a.header, a.code())
				}
				if strings.Contains(a.body+a.header.Get("Grpc-Message"), "secret") || strings.Contains(a.header.Get("Grpc-Message"), "*userv2") {
					t.Errorf("too much is told: %q %v", a.body, a.header)
				}
				if o := s.observed(1); len(o) != 1 || o[0].Code != want || (o[0].Err == nil) != (want == "ok") {
					t.Errorf("outcomes %+v", o)
				}
			})
		}
	}
}

func TestOnlyGRPCWebHasTrailersInTheBody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for kind, want := range map[string]string{"application/grpc-web+proto": "ok", "application/grpc": "unimplemented"} {
		body := frame(0, listOf("usr-1")) + frame(0x80, "a: b\r\n")
		if a := s.send(
			t.Context(), "POST", listPasskeys, body, map[string]string{"Authorization": "Bearer all", "Content-Type": kind},
		); a.code() != want {
			t.Errorf("%s: got %d %q %v", kind, a.status, a.body, a.header)
		}
	}
}

func TestConnectRequestsThatAreBrokenAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct {
		name, verb, kind, body string
		header                 map[string]string
		status                 int
		code                   string
	}{
		{"good JSON", "POST", "application/json", `{"userId":"usr-1"}`, nil, 200, "ok"},
		{"good JSON with a charset", "POST", "application/json; charset=utf-8", `{"userId":"usr-1","unknown":1}`, nil, 200, "ok"},
		{"a good message", "POST", "application/proto", listOf("usr-1"), nil, 200, "ok"},
		{"JSON behind a byte order mark", "POST", "application/json", "\ufeff" + `{"userId":"usr-1"}`, nil, 200, "ok"},
		{"a byte order mark and no JSON", "POST", "application/json", "\ufeff", nil, 400, "invalid_argument"},
		{"broken JSON", "POST", "application/json", `{"userId":"secret`, nil, 400, "invalid_argument"},
		{"JSON of another form", "POST", "application/json", `["secret"]`, nil, 400, "invalid_argument"},
		{"no JSON", "POST", "application/json", "", nil, 400, "invalid_argument"},
		{"a broken message", "POST", "application/proto", "\xff\xff", nil, 400, "invalid_argument"},
		{"a message that is not valid", "POST", "application/proto", "", nil, 400, "invalid_argument"},
		{"a compression that nobody knows", "POST", "application/json", "{}", map[string]string{"Content-Encoding": "zap"}, 501, "unimplemented"},
		{
			"compressed bytes that are none", "POST", "application/json", "secret", map[string]string{"Content-Encoding": "gzip"},
			400, "invalid_argument",
		},
		{"a deadline that is none", "POST", "application/json", "{}", map[string]string{"Connect-Timeout-Ms": "soon"}, 400, "invalid_argument"},
		{"a content type of no protocol", "POST", "text/plain", "{}", nil, 415, "unimplemented"},
		{"gRPC-web as text", "POST", "application/grpc-web-text", "AAAA", nil, 415, "unimplemented"},
		{"GET", "GET", "", "", nil, 405, "unimplemented"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := map[string]string{"Authorization": "Bearer all", "Content-Type": tc.kind}
			for k, v := range tc.header {
				header[k] = v
			}
			a := s.send(t.Context(), tc.verb, listPasskeys, tc.body, header)
			if a.status != tc.status || strings.Contains(a.body, "secret") || strings.Contains(a.body, "*userv2") {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if a.status != 200 && a.status != 415 && a.status != 405 && !strings.Contains(a.body, `"code":"`+tc.code+`"`) {
				t.Errorf("got %s", a.body)
			}
			if o := s.observed(1); len(o) != 1 || o[0].Code != tc.code || o[0].Procedure != listPasskeys {
				t.Errorf("outcomes %+v", o)
			}
		})
	}
}

func TestProceduresThatAreNotThere(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct{ name, path, kind string }{
		{"a method of v2", "/zitadel.user.v2.UserService/Nothing", "application/grpc"},
		{"a method that v2beta has not", "/zitadel.user.v2beta.UserService/ListPasskeys", "application/grpc-web+proto"},
		{"a service", "/zitadel.org.v2.OrganizationService/AddOrganization", "application/grpc"},
		{"a service of somebody else", "/other.v1.Service/Do", "application/grpc+proto"},
		{"a service of gRPC", "/grpc.channelz.v1.Channelz/GetTopChannels", "application/grpc"},
		{"the service alone", "/zitadel.user.v2.UserService/", "application/grpc-web"},
		{"a method over Connect", "/zitadel.user.v2.UserService/Nothing", "application/json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.send(t.Context(), "POST", tc.path, frame(0, ""), map[string]string{"Content-Type": tc.kind})
			if tc.kind == "application/json" {
				if a.status != 501 || !sameJSON(a.body, `{"code":"unimplemented","message":"there is no such method"}`) {
					t.Errorf("got %d %s", a.status, a.body)
				}
			} else if a.status != 200 || a.code() != "unimplemented" || a.header.Get("Grpc-Message") != "there is no such method" {
				t.Errorf("got %d %v", a.status, a.header)
			}
			if o := s.observed(1)[0]; o.Code != "unimplemented" || o.Procedure != "" {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

// Callers that are not admitted get their answer though their body never comes: nothing of it was waited for.
func TestAdmissionDoesNotWaitForTheBody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct{ name, path, kind string }{
		{"JSON", "/v2/users/usr-1/passkeys", "application/json"},
		{"Connect", listPasskeys, "application/proto"},
		{"gRPC-web", listPasskeys, "application/grpc-web+proto"},
		{"gRPC", listPasskeys, "application/grpc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body, never := io.Pipe()
			defer never.Close()
			req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+tc.path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tc.kind)
			rsp, err := s.h2.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			if o := s.observed(1)[0]; o.Code != "unauthenticated" {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

func TestABodyThatNeverEndsEndsWithTheCall(t *testing.T) {
	t.Parallel()
	s := serve(t, func(d *userDeps) { d.Timeout = 100 * time.Millisecond })
	for _, tc := range []struct{ name, path, kind, begin string }{
		{"JSON", "/v2/users/usr-1/passkeys", "application/json", "{"},
		{"Connect", listPasskeys, "application/proto", "\x0a"},
		{"gRPC-web", listPasskeys, "application/grpc-web+proto", "\x00\x00"},
		{"gRPC", listPasskeys, "application/grpc", "\x00\x00"},
	} {
		for version, client := range map[string]*http.Client{"HTTP/1.1": s.plain, "HTTP/2": s.h2} {
			t.Run(tc.name+" over "+version, func(t *testing.T) {
				body, writer := io.Pipe()
				defer writer.Close()
				go func() { _, _ = io.WriteString(writer, tc.begin) }()
				req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+tc.path, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", tc.kind)
				req.Header.Set("Authorization", "Bearer all")
				rsp, err := client.Do(req)
				if err == nil {
					rsp.Body.Close()
				}
				if o := s.observed(1)[0]; o.Code != "deadline_exceeded" {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
	if calls := s.recorded.taken(); len(calls) != 0 {
		t.Errorf("the service was asked %v", calls)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	client := grpchealth.NewClient(s.h2, s.URL, connect.WithGRPC())
	for _, tc := range []struct {
		name    string
		serving bool
		want    grpchealth.Status
	}{
		{"at the start", true, grpchealth.StatusServing}, {"while it ends", false, grpchealth.StatusNotServing},
		{"again", true, grpchealth.StatusServing},
	} {
		if tc.name != "at the start" {
			s.api.SetServing(tc.serving)
		}
		for _, name := range []string{"", "zitadel.user.v2.UserService", "zitadel.user.v2beta.UserService"} {
			t.Run(tc.name+" of "+name, func(t *testing.T) {
				got, err := client.Check(t.Context(), &grpchealth.CheckRequest{Service: name})
				if err != nil || got.Status != tc.want {
					t.Errorf("got %v %v", got, err)
				}
			})
		}
	}
	if _, err := client.Check(t.Context(), &grpchealth.CheckRequest{Service: "other"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

func TestReflection(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	stream := grpcreflect.NewClient(s.h2, s.URL, connect.WithGRPC()).NewStream(t.Context())
	defer stream.Close()
	services, err := stream.ListServices()
	if err != nil {
		t.Fatal(err)
	}
	want := []protoreflect.FullName{"grpc.health.v1.Health", "zitadel.user.v2.UserService", "zitadel.user.v2beta.UserService"}
	if diff := cmp.Diff(map[protoreflect.FullName]bool{want[0]: true, want[1]: true, want[2]: true}, setOf(services)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, symbol := range append(want, "zitadel.v1.ErrorDetail", "zitadel.user.v2.ListPasskeysRequest") {
		if files, err := stream.FileContainingSymbol(symbol); err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", symbol, len(files), err)
		}
	}
	// Clients that know only the version before ask that.
	a := s.send(
		t.Context(), "POST", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "",
		map[string]string{"Content-Type": "application/grpc"},
	)
	if a.status != http.StatusHTTPVersionNotSupported {
		t.Errorf("got %d %v; a stream needs HTTP/2", a.status, a.header)
	}
}

func setOf(names []protoreflect.FullName) map[protoreflect.FullName]bool {
	set := map[protoreflect.FullName]bool{}
	for _, name := range names {
		set[name] = true
	}
	return set
}

// The HTTP port has neither: what is there for machines on the gRPC port is not for every page.
func TestTheHTTPPortHasNoReflection(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.Config.Handler = s.api.Handler()
	for _, path := range []string{"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.health.v1.Health/Check"} {
		if a := s.send(
			t.Context(), "POST", path, frame(0, ""), map[string]string{"Content-Type": "application/grpc-web"},
		); a.code() != "unimplemented" {
			t.Errorf("%s: got %d %v", path, a.status, a.header)
		}
	}
	if got := s.call(protocolGRPC, "all", &userv2.ListPasskeysRequest{UserId: "usr-1"}); got.Code != "ok" {
		t.Errorf("got %+v", got)
	}
}

func TestNewNeedsWhatItWorksWith(t *testing.T) {
	t.Parallel()
	whole := userapi.Deps{Registrations: &registrations{}, Admit: admit, MaxBytes: 1, Timeout: 1}
	for _, tc := range []struct {
		name   string
		change func(*userapi.Deps)
		fails  bool
	}{
		{"everything", func(*userapi.Deps) {}, false},
		{"no service", func(d *userapi.Deps) { d.Registrations = nil }, true},
		{"no admission", func(d *userapi.Deps) { d.Admit = nil }, true},
		{"no bound of size", func(d *userapi.Deps) { d.MaxBytes = 0 }, true},
		{"no bound of time", func(d *userapi.Deps) { d.Timeout = 0 }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			deps := whole
			tc.change(&deps)
			if _, err := userapi.New(deps); (err != nil) != tc.fails {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Without Observe and Log it works too.
func TestNobodyNeedsToListen(t *testing.T) {
	t.Parallel()
	s := serve(t, func(d *userDeps) { d.Observe, d.Log = nil, nil })
	s.recorded.panic = "x"
	if got := s.call(protocolGRPC, "all", &userv2.ListPasskeysRequest{UserId: "usr-1"}); got.Code != "internal" {
		t.Errorf("got %+v", got)
	}
	s.recorded.panic, s.recorded.list = nil, []service.Passkey{{ID: "cre-1"}}
	if got := s.call(protocolJSON, "all", &userv2.ListPasskeysRequest{UserId: "usr-1"}); got.Code != "ok" {
		t.Errorf("got %+v", got)
	}
}
