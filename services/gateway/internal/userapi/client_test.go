package userapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"github.com/go-json-experiment/json/jsontext"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/api/zitadel/user/v2beta/userv2betaconnect"
	zitadelv1 "github.com/keyward/keyward/api/zitadel/v1"
)

// reply is what a call was answered, whatever the protocol.
type reply struct {
	Code     string // of gRPC, as Connect writes it; ok
	Message  string
	ID, Text string // of the only detail
	Retry    string // Retry-After
	Status   int    // of HTTP, of the JSON API only
	Answer   proto.Message
}

const (
	protocolJSON    = "JSON"
	protocolConnect = "Connect"
	protocolGRPC    = "gRPC"
	protocolGRPCWeb = "gRPC-web"
)

func protocols() []string {
	return []string{protocolJSON, protocolConnect, protocolGRPC, protocolGRPCWeb}
}

// call makes a call in a protocol with a token.
func (s *server) call(protocol, token string, req proto.Message) reply {
	s.t.Helper()
	return s.callWith(s.t.Context(), protocol, map[string]string{"Authorization": "Bearer " + token}, req)
}

func (s *server) callWith(ctx context.Context, protocol string, headers map[string]string, req proto.Message) reply {
	s.t.Helper()
	if protocol == protocolJSON {
		return s.callJSON(ctx, headers, req)
	}
	var options []connect.ClientOption
	switch protocol {
	case protocolGRPC:
		options = append(options, connect.WithGRPC())
	case protocolGRPCWeb:
		options = append(options, connect.WithGRPCWeb())
	}
	ctx, info := connect.NewClientContext(ctx)
	for k, v := range headers {
		info.RequestHeader().Set(k, v)
	}
	answer, err := dispatch(ctx, s.h2, s.URL, req, options...)
	if err == nil {
		return reply{Code: "ok", Answer: answer}
	}
	var failed *connect.Error
	if !errors.As(err, &failed) {
		s.t.Fatalf("%s: %v", protocol, err)
	}
	got := reply{Code: failed.Code().String(), Message: failed.Message(), Retry: failed.Meta().Get("Retry-After")}
	for i, d := range failed.Details() {
		value, err := d.Value()
		detail, ok := value.(*zitadelv1.ErrorDetail)
		if err != nil || !ok || i > 0 {
			s.t.Fatalf("detail %d: %v %v", i, value, err)
		}
		got.ID, got.Text = detail.GetId(), detail.GetMessage()
	}
	return got
}

// dispatch calls the generated client of the request's method.
func dispatch(
	ctx context.Context, client *http.Client, url string, req proto.Message, options ...connect.ClientOption,
) (proto.Message, error) {
	v2 := userv2connect.NewUserServiceClient(client, url, options...)
	beta := userv2betaconnect.NewUserServiceClient(client, url, options...)
	switch m := req.(type) {
	case *userv2.RegisterPasskeyRequest:
		return v2.RegisterPasskey(ctx, m)
	case *userv2.VerifyPasskeyRegistrationRequest:
		return v2.VerifyPasskeyRegistration(ctx, m)
	case *userv2.CreatePasskeyRegistrationLinkRequest:
		return v2.CreatePasskeyRegistrationLink(ctx, m)
	case *userv2.ListPasskeysRequest:
		return v2.ListPasskeys(ctx, m)
	case *userv2.RemovePasskeyRequest:
		return v2.RemovePasskey(ctx, m)
	case *userv2beta.RegisterPasskeyRequest:
		return beta.RegisterPasskey(ctx, m)
	case *userv2beta.VerifyPasskeyRegistrationRequest:
		return beta.VerifyPasskeyRegistration(ctx, m)
	case *userv2beta.CreatePasskeyRegistrationLinkRequest:
		return beta.CreatePasskeyRegistrationLink(ctx, m)
	}
	return nil, fmt.Errorf("%T is no request", req)
}

func (s *server) callJSON(ctx context.Context, headers map[string]string, req proto.Message) reply {
	s.t.Helper()
	verb, path := route(req)
	body := ""
	if verb == http.MethodPost {
		text, err := protojson.Marshal(req)
		if err != nil {
			s.t.Fatal(err)
		}
		body = string(text)
	}
	a := s.send(ctx, verb, path, body, headers)
	got := reply{Status: a.status, Retry: a.header.Get("Retry-After"), Code: "ok"}
	if a.status == http.StatusOK {
		name := strings.Replace(string(req.ProtoReflect().Descriptor().FullName()), "Request", "Response", 1)
		kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
		if err != nil {
			s.t.Fatal(err)
		}
		got.Answer = kind.New().Interface()
		if err := protojson.Unmarshal([]byte(a.body), got.Answer); err != nil {
			s.t.Fatalf("%v: %s", err, a.body)
		}
		return got
	}
	var status spb.Status
	if err := protojson.Unmarshal([]byte(a.body), &status); err != nil {
		s.t.Fatalf("%v: %s", err, a.body)
	}
	got.Code, got.Message = connect.Code(status.GetCode()).String(), status.GetMessage()
	for i, d := range status.GetDetails() {
		var detail zitadelv1.ErrorDetail
		if err := d.UnmarshalTo(&detail); err != nil || i > 0 {
			s.t.Fatalf("detail %d: %v %v", i, d, err)
		}
		got.ID, got.Text = detail.GetId(), detail.GetMessage()
	}
	return got
}

// route returns where the JSON API takes a request, written down a second time here on purpose.
func route(req proto.Message) (verb, path string) {
	prefix := "/v2/users/"
	if strings.HasPrefix(string(req.ProtoReflect().Descriptor().FullName()), "zitadel.user.v2beta.") {
		prefix = "/v2beta/users/"
	}
	path = prefix + escape(req.(interface{ GetUserId() string }).GetUserId()) + "/passkeys"
	switch m := req.(type) {
	case interface{ GetPasskeyName() string }:
		return http.MethodPost, path + "/" + escape(req.(interface{ GetPasskeyId() string }).GetPasskeyId())
	case *userv2.CreatePasskeyRegistrationLinkRequest, *userv2beta.CreatePasskeyRegistrationLinkRequest:
		return http.MethodPost, path + "/registration_link"
	case *userv2.ListPasskeysRequest:
		return http.MethodPost, path + "/_search"
	case *userv2.RemovePasskeyRequest:
		return http.MethodDelete, path + "/" + escape(m.GetPasskeyId())
	}
	return http.MethodPost, path
}

// escape writes every byte of a path segment as %XX but those of IDs.
func escape(segment string) string {
	var b strings.Builder
	for _, c := range []byte(segment) {
		if c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request over HTTP/1.1.
func (s *server) send(ctx context.Context, verb, path, body string, headers map[string]string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, verb, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	rsp, err := s.plain.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rsp.Body.Close()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range rsp.Trailer {
		rsp.Header[k] = v
	}
	return answer{status: rsp.StatusCode, header: rsp.Header, body: string(text)}
}

// withToken returns a context whose calls have the token that may everything.
func withToken(ctx context.Context) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer all")
	return ctx
}

// sameJSON reports whether two texts are the same JSON, spaces aside, or the same at all.
func sameJSON(a, b string) bool {
	if a == b {
		return true
	}
	x, y := jsontext.Value(a), jsontext.Value(b)
	return x.Compact() == nil && y.Compact() == nil && string(x) == string(y)
}
