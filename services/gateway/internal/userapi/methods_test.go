package userapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	optionsv1 "github.com/keyward/keyward/api/keyward/options/v1"
	objectv2 "github.com/keyward/keyward/api/zitadel/object/v2"
	objectv2beta "github.com/keyward/keyward/api/zitadel/object/v2beta"
	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

func structOf(t testing.TB, text string) *structpb.Struct {
	t.Helper()
	s := &structpb.Struct{}
	if err := protojson.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

const testCredential = `{"id":"AQID","number":7,"rawId":"AQID","response":{"attestationObject":"o2NmbXQ","clientDataJSON":"eyJ0eXAi"},` +
	`"type":"public-key"}`

func about[T any](body T) service.ForUser[T] {
	return service.ForUser[T]{Project: testProject, User: "usr-1", Body: body}
}

type methodCase struct {
	name   string
	req    proto.Message
	asked  any // of the ceremony service
	answer proto.Message
	out    userapi.Outcome
}

func detailsV2() *objectv2.Details {
	return &objectv2.Details{
		Sequence: 1_767_323_045_678, ChangeDate: &timestamppb.Timestamp{Seconds: 1_767_323_045, Nanos: 678_000_000}, ResourceOwner: "pro-7",
		CreationDate: &timestamppb.Timestamp{Seconds: 1_767_323_044, Nanos: 678_000_000},
	}
}

func detailsBeta() *objectv2beta.Details {
	d := detailsV2()
	return &objectv2beta.Details{
		Sequence: d.GetSequence(), ChangeDate: d.GetChangeDate(), ResourceOwner: d.GetResourceOwner(),
		CreationDate: d.GetCreationDate(),
	}
}

func casesV2(t testing.TB) []methodCase {
	const p = "/zitadel.user.v2.UserService/"
	options, credential := structOf(t, testOptions), structOf(t, testCredential)
	return []methodCase{
		{
			"a registration anywhere", &userv2.RegisterPasskeyRequest{UserId: "usr-1"}, about(service.PasskeyRegistration{}),
			&userv2.RegisterPasskeyResponse{Details: detailsV2(), PasskeyId: "cre-9", PublicKeyCredentialCreationOptions: options},
			userapi.Outcome{Procedure: p + "RegisterPasskey", Decision: "dec-1", Policy: "rev-a"},
		},
		{
			"a registration with everything",
			&userv2.RegisterPasskeyRequest{
				UserId: "usr-1", Code: &userv2.PasskeyRegistrationCode{Id: "cha-1", Code: "secret"}, Domain: "a.example",
				Authenticator: userv2.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_CROSS_PLATFORM,
			},
			about(
				service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "secret"}, Attachment: "cross-platform", Domain: "a.example"},
			),
			&userv2.RegisterPasskeyResponse{Details: detailsV2(), PasskeyId: "cre-9", PublicKeyCredentialCreationOptions: options},
			userapi.Outcome{Procedure: p + "RegisterPasskey", Decision: "dec-1", Policy: "rev-a"},
		},
		{
			"a verification",
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "usr-1", PasskeyId: "cre-9", PublicKeyCredential: credential, PasskeyName: "Schlüssel"},
			about(service.PasskeyVerification{ID: "cre-9", Credential: []byte(testCredential), Name: "Schlüssel"}),
			&userv2.VerifyPasskeyRegistrationResponse{Details: detailsV2()},
			userapi.Outcome{Procedure: p + "VerifyPasskeyRegistration"},
		},
		{
			"a link by no medium", &userv2.CreatePasskeyRegistrationLinkRequest{UserId: "usr-1"}, about(service.PasskeyCodeRequest{Send: true}),
			&userv2.CreatePasskeyRegistrationLinkResponse{Details: detailsV2()}, userapi.Outcome{Procedure: p + "CreatePasskeyRegistrationLink"},
		},
		{
			"a link that is sent with a template", &userv2.CreatePasskeyRegistrationLinkRequest{
				UserId: "usr-1",
				Medium: &userv2.CreatePasskeyRegistrationLinkRequest_SendLink{
					SendLink: &userv2.SendPasskeyRegistrationLink{UrlTemplate: proto.String("https://a.example/{{.Code}}")},
				},
			},
			about(service.PasskeyCodeRequest{Send: true, URLTemplate: "https://a.example/{{.Code}}"}),
			&userv2.CreatePasskeyRegistrationLinkResponse{Details: detailsV2()}, userapi.Outcome{Procedure: p + "CreatePasskeyRegistrationLink"},
		},
		{
			"a code that is returned", &userv2.CreatePasskeyRegistrationLinkRequest{
				UserId: "usr-1", Medium: &userv2.CreatePasskeyRegistrationLinkRequest_ReturnCode{ReturnCode: &userv2.ReturnPasskeyRegistrationCode{}},
			},
			about(service.PasskeyCodeRequest{}),
			&userv2.CreatePasskeyRegistrationLinkResponse{Details: detailsV2(), Code: &userv2.PasskeyRegistrationCode{Id: "cha-1", Code: "secret"}},
			userapi.Outcome{Procedure: p + "CreatePasskeyRegistrationLink"},
		},
		{
			"a list", &userv2.ListPasskeysRequest{UserId: "usr-1"}, about(service.Empty{}),
			&userv2.ListPasskeysResponse{
				Details: &objectv2.ListDetails{TotalResult: 2, ProcessedSequence: 2000, Timestamp: &timestamppb.Timestamp{Seconds: 2}},
				Result: []*userv2.Passkey{
					{
						Id:    "cre-1",
						State: userv2.AuthFactorState_AUTH_FACTOR_STATE_READY,
						Name:  "one",
					},
					{Id: "cre-2", State: userv2.AuthFactorState_AUTH_FACTOR_STATE_READY, Name: "two"},
				},
			}, userapi.Outcome{Procedure: p + "ListPasskeys"},
		},
		{
			"a removal", &userv2.RemovePasskeyRequest{UserId: "usr-1", PasskeyId: "cre-2"}, about(ident.CredentialID("cre-2")),
			&userv2.RemovePasskeyResponse{Details: detailsV2()}, userapi.Outcome{Procedure: p + "RemovePasskey"},
		},
	}
}

func casesBeta(t testing.TB) []methodCase {
	const p = "/zitadel.user.v2beta.UserService/"
	return []methodCase{
		{
			"a registration of v2beta",
			&userv2beta.RegisterPasskeyRequest{
				UserId: "usr-1", Code: &userv2beta.PasskeyRegistrationCode{Id: "cha-1", Code: "secret"}, Domain: "a.example",
				Authenticator: userv2beta.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_PLATFORM,
			},
			about(service.PasskeyRegistration{Code: &service.PasskeyCode{ID: "cha-1", Code: "secret"}, Attachment: "platform", Domain: "a.example"}),
			&userv2beta.RegisterPasskeyResponse{
				Details: detailsBeta(), PasskeyId: "cre-9", PublicKeyCredentialCreationOptions: structOf(t, testOptions),
			},
			userapi.Outcome{Procedure: p + "RegisterPasskey", Decision: "dec-1", Policy: "rev-a"},
		},
		{
			"a verification of v2beta",
			&userv2beta.VerifyPasskeyRegistrationRequest{
				UserId: "usr-1", PasskeyId: "cre-9", PublicKeyCredential: structOf(t, testCredential), PasskeyName: "n",
			},
			about(service.PasskeyVerification{ID: "cre-9", Credential: []byte(testCredential), Name: "n"}),
			&userv2beta.VerifyPasskeyRegistrationResponse{Details: detailsBeta()},
			userapi.Outcome{Procedure: p + "VerifyPasskeyRegistration"},
		},
		{
			"a link of v2beta",
			&userv2beta.CreatePasskeyRegistrationLinkRequest{
				UserId: "usr-1",
				Medium: &userv2beta.CreatePasskeyRegistrationLinkRequest_SendLink{
					SendLink: &userv2beta.SendPasskeyRegistrationLink{UrlTemplate: proto.String("u")},
				},
			},
			about(
				service.PasskeyCodeRequest{Send: true, URLTemplate: "u"},
			),
			&userv2beta.CreatePasskeyRegistrationLinkResponse{Details: detailsBeta()},
			userapi.Outcome{Procedure: p + "CreatePasskeyRegistrationLink"},
		},
		{
			"a code of v2beta",
			&userv2beta.CreatePasskeyRegistrationLinkRequest{
				UserId: "usr-1",
				Medium: &userv2beta.CreatePasskeyRegistrationLinkRequest_ReturnCode{ReturnCode: &userv2beta.ReturnPasskeyRegistrationCode{}},
			},
			about(service.PasskeyCodeRequest{}),
			&userv2beta.CreatePasskeyRegistrationLinkResponse{
				Details: detailsBeta(), Code: &userv2beta.PasskeyRegistrationCode{Id: "cha-1", Code: "secret"},
			},
			userapi.Outcome{Procedure: p + "CreatePasskeyRegistrationLink"},
		},
	}
}

func TestEveryMethodInEveryProtocol(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.recorded.list = []service.Passkey{{ID: "cre-1", Name: "one"}, {ID: "cre-2", Name: "two"}}
	for _, tc := range append(casesV2(t), casesBeta(t)...) {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				got := s.call(protocol, "all", tc.req)
				if got.Code != "ok" {
					t.Fatalf("got %+v", got)
				}
				if diff := cmp.Diff(tc.answer, got.Answer, protocmp.Transform()); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]any{tc.asked}, s.recorded.taken()); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				tc.out.Code = "ok"
				if diff := cmp.Diff([]userapi.Outcome{tc.out}, s.observed(1)); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	register := &userv2.RegisterPasskeyRequest{UserId: "usr-1"}
	withCode := &userv2.RegisterPasskeyRequest{UserId: "usr-1", Code: &userv2.PasskeyRegistrationCode{Id: "cha-1", Code: "c"}}
	verify := &userv2.VerifyPasskeyRegistrationRequest{
		UserId: "usr-1", PasskeyId: "cre-1", PublicKeyCredential: structOf(t, testCredential), PasskeyName: "n",
	}
	link := &userv2.CreatePasskeyRegistrationLinkRequest{UserId: "usr-1"}
	list := &userv2.ListPasskeysRequest{UserId: "usr-1"}
	remove := &userv2.RemovePasskeyRequest{UserId: "usr-1", PasskeyId: "cre-1"}
	const other, lacks = "Request user not equal to authenticated user (AUTH-Bohd2)", "The permission challenges:write is needed " +
		"(AUTH-Permission)"
	for _, tc := range []struct {
		name, token string
		req         proto.Message
		refused     string
	}{
		{"users register for themselves", "usr-1", register, ""},
		{"users verify for themselves", "usr-1", verify, ""},
		{"users list their own", "usr-1", list, ""},
		{"users remove their own", "usr-1", remove, ""},
		{"users make no link for themselves", "usr-1", link, lacks},
		{"users with the permission make a link for themselves", "usr-1+challenges:write", link, ""},
		{"users do not register for others", "usr-2", register, other},
		{"users do not verify for others", "usr-2", verify, other},
		{"users do not list those of others", "usr-2", list, other},
		{"users do not remove those of others", "usr-2", remove, other},
		{"users make no link for others", "usr-2", link, other},
		{"users with a code register for others", "usr-2", withCode, ""},
		{"users with the permission register for others", "usr-2+passkeys:append", register, ""},
		{"users with the permission verify for others", "usr-2+passkeys:append", verify, ""},
		{"users with another permission do not", "usr-2+credentials:read", register, other},
		{"a service without permissions registers nobody", "service", register, other},
		{"a service with a code registers", "service", withCode, ""},
		{"a service registers with the permission", "service+passkeys:append", register, ""},
		{"a service makes a link with the permission", "service+challenges:write", link, ""},
		{"a service makes no link without it", "service+passkeys:append", link, other},
		{"a service lists with the permission", "service+credentials:read", list, ""},
		{"a service that only lists does not remove", "service+credentials:read", remove, other},
		{"a service removes with the permission", "service+credentials:write", remove, ""},
		{"a service may everything", "all", remove, ""},
		{"a user ID that is a prefix of one's own is another's", "usr-1", &userv2.ListPasskeysRequest{UserId: "usr-"}, other},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				got := s.call(protocol, tc.token, tc.req)
				calls := s.recorded.taken()
				if tc.refused == "" {
					if got.Code != "ok" || len(calls) != 1 {
						t.Errorf("got %+v, %d calls", got, len(calls))
					}
					return
				}
				text, id, _ := strings.Cut(strings.TrimSuffix(tc.refused, ")"), " (")
				want := reply{Code: "permission_denied", Message: tc.refused, ID: id, Text: text}
				if protocol == protocolJSON {
					want.Status = 403
				}
				if diff := cmp.Diff(want, got); diff != "" || len(calls) != 0 {
					t.Errorf("%d calls, (-want +got):\n%s", len(calls), diff)
				}
			})
		}
	}
}

func TestTheBrowserIsNamedOnlyIfThereIsOne(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct {
		name, origin string
	}{
		{"a page", "https://a.example"},
		{"a server", ""},
	} {
		for _, protocol := range protocols() {
			t.Run(tc.name+" over "+protocol, func(t *testing.T) {
				headers := map[string]string{"Authorization": "Bearer all", "User-Agent": "browser/1"}
				if tc.origin != "" {
					headers["Origin"] = tc.origin
				}
				if got := s.callWith(t.Context(), protocol, headers, &userv2.RegisterPasskeyRequest{UserId: "usr-1"}); got.Code != "ok" {
					t.Fatalf("got %+v", got)
				}
				asked := s.recorded.taken()[0].(service.ForUser[service.PasskeyRegistration]).Body
				want := service.PasskeyRegistration{}
				if tc.origin != "" {
					want.UserAgent, want.Address = "browser/1", "127.0.0.1"
				}
				if protocol != protocolJSON && tc.origin != "" {
					want.UserAgent = asked.UserAgent // the generated clients name themselves
				}
				if diff := cmp.Diff(want, asked); diff != "" || (asked.UserAgent != "") != (tc.origin != "") {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestDescriptorsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	type row struct{ Method, Route, Permission string }
	want := []row{
		{"zitadel.user.v2.UserService.RegisterPasskey", "POST /v2/users/{user_id}/passkeys *", "passkeys:append, or own user"},
		{
			"zitadel.user.v2.UserService.VerifyPasskeyRegistration", "POST /v2/users/{user_id}/passkeys/{passkey_id} *",
			"passkeys:append, or own user",
		},
		{
			"zitadel.user.v2.UserService.CreatePasskeyRegistrationLink", "POST /v2/users/{user_id}/passkeys/registration_link *",
			"challenges:write",
		},
		{"zitadel.user.v2.UserService.ListPasskeys", "POST /v2/users/{user_id}/passkeys/_search *", "credentials:read, or own user"},
		{"zitadel.user.v2.UserService.RemovePasskey", "DELETE /v2/users/{user_id}/passkeys/{passkey_id} ", "credentials:write, or own user"},
		{"zitadel.user.v2beta.UserService.RegisterPasskey", "POST /v2beta/users/{user_id}/passkeys *", "passkeys:append, or own user"},
		{
			"zitadel.user.v2beta.UserService.VerifyPasskeyRegistration", "POST /v2beta/users/{user_id}/passkeys/{passkey_id} *",
			"passkeys:append, or own user",
		},
		{
			"zitadel.user.v2beta.UserService.CreatePasskeyRegistrationLink",
			"POST /v2beta/users/{user_id}/passkeys/registration_link *", "challenges:write",
		},
	}
	var got []row
	for _, file := range []protoreflect.FileDescriptor{
		userv2.File_zitadel_user_v2_user_service_proto, userv2beta.File_zitadel_user_v2beta_user_service_proto,
	} {
		methods := file.Services().ByName("UserService").Methods()
		for i := range methods.Len() {
			m := methods.Get(i)
			rule := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			verb, path := "POST", rule.GetPost()
			if path == "" {
				verb, path = "DELETE", rule.GetDelete()
			}
			needed := proto.GetExtension(m.Options(), optionsv1.E_Permission).(*optionsv1.Permission)
			permission := needed.GetPermission()
			if needed.GetOwnUser() {
				permission += ", or own user"
			}
			if m.IsStreamingClient() || m.IsStreamingServer() {
				t.Errorf("%s is a stream", m.FullName())
			}
			got = append(got, row{string(m.FullName()), verb + " " + path + " " + rule.GetBody(), permission})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFieldsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"RegisterPasskeyRequest":                "1 userId, 2 code, 3 authenticator, 4 domain",
		"RegisterPasskeyResponse":               "1 details, 2 passkeyId, 3 publicKeyCredentialCreationOptions",
		"VerifyPasskeyRegistrationRequest":      "1 userId, 2 passkeyId, 3 publicKeyCredential, 4 passkeyName",
		"VerifyPasskeyRegistrationResponse":     "1 details",
		"CreatePasskeyRegistrationLinkRequest":  "1 userId, 2 sendLink, 3 returnCode",
		"CreatePasskeyRegistrationLinkResponse": "1 details, 2 code",
		"ListPasskeysRequest":                   "1 userId",
		"ListPasskeysResponse":                  "1 details, 2 result",
		"RemovePasskeyRequest":                  "1 userId, 2 passkeyId",
		"RemovePasskeyResponse":                 "1 details",
		"PasskeyRegistrationCode":               "1 id, 2 code",
		"SendPasskeyRegistrationLink":           "1 urlTemplate",
		"ReturnPasskeyRegistrationCode":         "",
		"Passkey":                               "1 id, 2 state, 3 name",
		"Details":                               "1 sequence, 2 changeDate, 3 resourceOwner, 4 creationDate",
		"ListDetails":                           "1 totalResult, 2 processedSequence, 3 timestamp",
	}
	onlyV2 := []string{
		"ListPasskeysRequest", "ListPasskeysResponse", "RemovePasskeyRequest", "RemovePasskeyResponse", "Passkey",
		"ListDetails",
	}
	fields := func(files ...protoreflect.FileDescriptor) map[string]string {
		got := map[string]string{}
		for _, file := range files {
			for i := range file.Messages().Len() {
				message := file.Messages().Get(i)
				var texts []string
				for j := range message.Fields().Len() {
					texts = append(texts, fmt.Sprintf("%d %s", message.Fields().Get(j).Number(), message.Fields().Get(j).JSONName()))
				}
				got[string(message.Name())] = strings.Join(texts, ", ")
			}
		}
		return got
	}
	v2 := fields(
		userv2.File_zitadel_user_v2_user_service_proto, userv2.File_zitadel_user_v2_passkey_proto,
		objectv2.File_zitadel_object_v2_object_proto,
	)
	if diff := cmp.Diff(want, v2); diff != "" {
		t.Errorf("v2 (-want +got):\n%s", diff)
	}
	beta := fields(
		userv2beta.File_zitadel_user_v2beta_user_service_proto, userv2beta.File_zitadel_user_v2beta_passkey_proto,
		objectv2beta.File_zitadel_object_v2beta_object_proto,
	)
	for _, name := range onlyV2 {
		delete(want, name)
	}
	if diff := cmp.Diff(want, beta, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("v2beta (-want +got):\n%s", diff)
	}
}
