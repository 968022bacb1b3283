package userapi_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/core/service"
)

// limited is a field that takes 1 to 200 runes, in a request that is valid otherwise.
type limited struct {
	field string // as errors name it
	req   func(t testing.TB, value string) proto.Message
}

func limitedFields() []limited {
	code := func(id, code string) *userv2.PasskeyRegistrationCode {
		return &userv2.PasskeyRegistrationCode{Id: id, Code: code}
	}
	return []limited{
		{"RegisterPasskeyRequest.UserId", func(_ testing.TB, v string) proto.Message { return &userv2.RegisterPasskeyRequest{UserId: v} }},
		{
			"RegisterPasskeyRequest.Code: embedded message failed validation | caused by: invalid PasskeyRegistrationCode.Id",
			func(_ testing.TB, v string) proto.Message {
				return &userv2.RegisterPasskeyRequest{UserId: "usr-1", Code: code(v, "c")}
			},
		},
		{
			"RegisterPasskeyRequest.Code: embedded message failed validation | caused by: invalid PasskeyRegistrationCode.Code",
			func(_ testing.TB, v string) proto.Message {
				return &userv2.RegisterPasskeyRequest{UserId: "usr-1", Code: code("i", v)}
			},
		},
		{"VerifyPasskeyRegistrationRequest.UserId", func(t testing.TB, v string) proto.Message {
			return &userv2.VerifyPasskeyRegistrationRequest{
				UserId: v, PasskeyId: "cre-1", PublicKeyCredential: structOf(t, testCredential), PasskeyName: "n",
			}
		}},
		{"VerifyPasskeyRegistrationRequest.PasskeyId", func(t testing.TB, v string) proto.Message {
			return &userv2.VerifyPasskeyRegistrationRequest{
				UserId: "usr-1", PasskeyId: v, PublicKeyCredential: structOf(t, testCredential), PasskeyName: "n",
			}
		}},
		{"VerifyPasskeyRegistrationRequest.PasskeyName", func(t testing.TB, v string) proto.Message {
			return &userv2.VerifyPasskeyRegistrationRequest{
				UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: structOf(t, testCredential), PasskeyName: v,
			}
		}},
		{"CreatePasskeyRegistrationLinkRequest.UserId", func(_ testing.TB, v string) proto.Message {
			return &userv2.CreatePasskeyRegistrationLinkRequest{UserId: v}
		}},
		{
			"CreatePasskeyRegistrationLinkRequest.SendLink: embedded message failed validation | caused by: invalid " +
				"SendPasskeyRegistrationLink.UrlTemplate",
			func(_ testing.TB, v string) proto.Message {
				link := &userv2.SendPasskeyRegistrationLink{UrlTemplate: &v}
				return &userv2.CreatePasskeyRegistrationLinkRequest{
					UserId: "usr-1", Medium: &userv2.CreatePasskeyRegistrationLinkRequest_SendLink{SendLink: link},
				}
			},
		},
		{"ListPasskeysRequest.UserId", func(_ testing.TB, v string) proto.Message { return &userv2.ListPasskeysRequest{UserId: v} }},
		{"RemovePasskeyRequest.UserId", func(_ testing.TB, v string) proto.Message {
			return &userv2.RemovePasskeyRequest{UserId: v, PasskeyId: "cre-1"}
		}},
		{"RemovePasskeyRequest.PasskeyId", func(_ testing.TB, v string) proto.Message {
			return &userv2.RemovePasskeyRequest{UserId: "usr-1", PasskeyId: v}
		}},
		{"RegisterPasskeyRequest.UserId", func(_ testing.TB, v string) proto.Message { return &userv2beta.RegisterPasskeyRequest{UserId: v} }},
		{"VerifyPasskeyRegistrationRequest.PasskeyName", func(t testing.TB, v string) proto.Message {
			return &userv2beta.VerifyPasskeyRegistrationRequest{
				UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: structOf(t, testCredential), PasskeyName: v,
			}
		}},
		{
			"CreatePasskeyRegistrationLinkRequest.SendLink: embedded message failed validation | caused by: invalid " +
				"SendPasskeyRegistrationLink.UrlTemplate",
			func(_ testing.TB, v string) proto.Message {
				link := &userv2beta.SendPasskeyRegistrationLink{UrlTemplate: &v}
				return &userv2beta.CreatePasskeyRegistrationLinkRequest{
					UserId: "usr-1", Medium: &userv2beta.CreatePasskeyRegistrationLinkRequest_SendLink{SendLink: link},
				}
			},
		},
	}
}

func TestLengthsAreCountedInRunes(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, field := range limitedFields() {
		for _, tc := range []struct {
			name, value string
			valid       bool
		}{
			{"none", "", false},
			{"1 rune", "é", true},
			{"200 runes of 1 byte", strings.Repeat("x", 200), true},
			{"200 runes of 4 bytes", strings.Repeat("𝔎", 200), true},
			{"201 runes of 1 byte", strings.Repeat("x", 201), false},
			{"201 runes of 3 bytes", strings.Repeat("鍵", 201), false},
		} {
			for _, protocol := range protocols() {
				req := field.req(t, tc.value)
				t.Run(string(req.ProtoReflect().Descriptor().FullName())+" "+field.field+" of "+tc.name+" over "+protocol, func(t *testing.T) {
					got := s.call(protocol, "all", req)
					if want := "invalid " + field.field + ": value length must be between 1 and 200 runes, inclusive"; (got.Message == want) == tc.valid {
						t.Fatalf("got %+v", got)
					}
					if !tc.valid && (got.Code != "invalid_argument" || got.ID != "" || protocol == protocolJSON && got.Status != 400) {
						t.Errorf("got %+v", got)
					}
					// What is within the limits but no ID is not found.
					if tc.valid && got.Code != "ok" && got.Code != "not_found" {
						t.Errorf("got %+v", got)
					}
				})
			}
		}
	}
}

func TestTheFirstFieldAtFaultIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	long := strings.Repeat("x", 201)
	for _, tc := range []struct {
		name string
		req  proto.Message
		want string
	}{
		{
			"a registration with nothing", &userv2.VerifyPasskeyRegistrationRequest{PasskeyId: "cre-1"},
			"invalid VerifyPasskeyRegistrationRequest.UserId: value length must be between 1 and 200 runes, inclusive",
		},
		{
			"no credential", &userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1"},
			"invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value is required",
		},
		{
			"no credential in v2beta", &userv2beta.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1"},
			"invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value is required",
		},
		{
			"a user and a code", &userv2.RegisterPasskeyRequest{UserId: long, Code: &userv2.PasskeyRegistrationCode{}},
			"invalid RegisterPasskeyRequest.UserId: value length must be between 1 and 200 runes, inclusive",
		},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				if got := s.call(protocol, "all", tc.req); got.Code != "invalid_argument" || got.Message != tc.want {
					t.Errorf("got %+v", got)
				}
			})
		}
	}
}

// A message that is not valid is told so before the caller is told that it may not.
func TestValidationComesBeforePermission(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, protocol := range protocols() {
		for _, req := range []proto.Message{
			&userv2.RemovePasskeyRequest{UserId: "usr-1", PasskeyId: strings.Repeat("x", 201)},
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: &structpb.Struct{}, PasskeyName: "n"},
		} {
			if got := s.call(protocol, "service", req); got.Code != "invalid_argument" {
				t.Errorf("%s %T: got %+v", protocol, req, got)
			}
		}
	}
}

// credentialOf returns a credential whose JSON text has n characters.
func credentialOf(t testing.TB, n int, fill string) *structpb.Struct {
	t.Helper()
	overhead := len(`{"id":""}`)
	s, err := structpb.NewStruct(map[string]any{"id": strings.Repeat(fill, n-overhead)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCredentialsAreWithinTheirLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, func(d *userDeps) { d.MaxBytes = 5 << 20 })
	const want = "invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value length must be between 55 and 1048576 characters, " +
		"inclusive"
	for _, tc := range []struct {
		name       string
		credential *structpb.Struct
		valid      bool
	}{
		{"an empty one", &structpb.Struct{}, false},
		{"54 characters", credentialOf(t, 54, "x"), false},
		{"55 characters", credentialOf(t, 55, "x"), true},
		{"55 characters of several bytes", credentialOf(t, 55, "鍵"), true},
		{"54 characters of many bytes", credentialOf(t, 54, "鍵"), false},
		{"1048576 characters", credentialOf(t, 1_048_576, "x"), true},
		{"1048576 characters of several bytes", credentialOf(t, 1_048_576, "鍵"), true},
		{"1048577 characters", credentialOf(t, 1_048_577, "x"), false},
	} {
		for _, protocol := range protocols() {
			for _, req := range []proto.Message{
				&userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: tc.credential, PasskeyName: "n"},
				&userv2beta.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: tc.credential, PasskeyName: "n"},
			} {
				t.Run(tc.name+" over "+protocol+" to "+string(req.ProtoReflect().Descriptor().FullName()), func(t *testing.T) {
					got := s.call(protocol, "all", req)
					if tc.valid && got.Code != "ok" || !tc.valid && (got.Code != "invalid_argument" || got.Message != want || got.ID != "") {
						t.Errorf("got %+v", got)
					}
					s.recorded.taken()
				})
			}
		}
	}
}

// Numbers and values that JSON does not have can be sent in binary only.
func TestACredentialIsAlwaysJSON(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	credential := credentialOf(t, 60, "x")
	var zero float64
	credential.Fields["a"], credential.Fields["b"] = structpb.NewNumberValue(zero/zero), &structpb.Value{}
	req := &userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: credential, PasskeyName: "n"}
	for _, protocol := range []string{protocolConnect, protocolGRPC, protocolGRPCWeb} {
		if got := s.call(protocol, "all", req); got.Code != "ok" {
			t.Fatalf("%s: got %+v", protocol, got)
		}
		asked := s.recorded.taken()[0].(service.ForUser[service.PasskeyVerification]).Body.Credential
		if want := `{"a":"NaN","b":null,"id":"` + strings.Repeat("x", 51) + `"}`; string(asked) != want {
			t.Errorf("%s: asked %s", protocol, asked)
		}
	}
}

func TestMessagesThatAreTooLargeAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(d *userDeps) { d.MaxBytes = 1000 })
	for _, tc := range []struct {
		name string
		size int
	}{{"a little too large", 1200}, {"far too large", 3_900}, {"larger than is read", 2_000_000}} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				got := s.call(protocol, "all", &userv2.RegisterPasskeyRequest{UserId: "usr-1", Domain: strings.Repeat("x", tc.size)})
				want, status := "resource_exhausted", got.Status
				if protocol == protocolJSON {
					want, status = "invalid_argument", 413
				}
				if got.Code != want || got.Status != status || !utf8.ValidString(got.Message) || got.Message == "" {
					t.Errorf("got %+v", got)
				}
				if o := s.observed(1)[0]; o.Code != "resource_exhausted" || o.Err == nil ||
					o.Procedure != "/zitadel.user.v2.UserService/RegisterPasskey" {
					t.Errorf("outcome %+v", o)
				}
			})
		}
	}
	for _, protocol := range protocols() {
		if got := s.call(protocol, "all", &userv2.RegisterPasskeyRequest{UserId: "usr-1", Domain: strings.Repeat("x", 900)}); got.Code != "ok" {
			t.Errorf("%s: got %+v", protocol, got)
		}
	}
}
