package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/keyward/keyward/api/rest"
	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	userv2beta "github.com/keyward/keyward/api/zitadel/user/v2beta"
	zitadelv1 "github.com/keyward/keyward/api/zitadel/v1"
	"github.com/keyward/keyward/core/loopbacktest"
)

// The suite itself is JavaScript: published clients, curl, buf and a browser, against the binary that users run.
func TestTheUserServiceWithItsOwnClients(t *testing.T) {
	t.Parallel()
	tools := suiteTools(t, "zitadel", "node", "curl", "chromium")
	buf, err := filepath.Abs(filepath.Join("..", "bin", "buf"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(buf); err != nil {
		t.Fatalf("buf is not there (make test fetches it): %v", err)
	}
	binary, data := build(t), t.TempDir()
	page, grpc := fmt.Sprintf("http://localhost:%d", loopbacktest.Port(t)), fmt.Sprintf("127.0.0.1:%d", loopbacktest.Port(t))
	server := run(t, binary, data, "KEYWARD_NATS_ADDR=127.0.0.1:0", "KEYWARD_GRPC_ADDR="+grpc, "KEYWARD_BOOTSTRAP_ORIGINS="+origin+","+page)
	said, err := exec.CommandContext(t.Context(), binary, "token", "create", "--project", server.project, "--data-dir", data).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	suite := exec.CommandContext(
		t.Context(), tools["node"], "--test", "--test-reporter=spec", "client.test.mjs", "contract.test.mjs",
		"terminal.test.mjs", "page.test.mjs",
	)
	suite.Dir = "zitadel"
	suite.Env = append(
		os.Environ(), "SUITE_URL="+server.base, "SUITE_GRPC_URL=http://"+grpc, "SUITE_PROJECT="+server.project,
		"SUITE_SECRET="+server.secret, "SUITE_TOKEN="+lines[len(lines)-1], "SUITE_BINARY="+binary, "SUITE_DATA_DIR="+data,
		"SUITE_PAGE_ORIGIN="+page, "SUITE_DESCRIPTORS="+descriptorFile(t), "SUITE_BUF="+buf,
		"SUITE_CHROMIUM="+tools["chromium"],
	)
	if out, err := suite.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// descriptorFile writes the descriptors that the server has to a file, each after those that it imports.
func descriptorFile(t *testing.T) string {
	t.Helper()
	set, known := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if known[file.Path()] {
			return
		}
		known[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range []protoreflect.FileDescriptor{
		userv2.File_zitadel_user_v2_user_service_proto, userv2beta.File_zitadel_user_v2beta_user_service_proto,
		(&zitadelv1.ErrorDetail{}).ProtoReflect().Descriptor().ParentFile(),
	} {
		add(file)
	}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "descriptors.binpb")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// userServiceCall calls the user service with the API secret and decodes what it answers.
func userServiceCall[T any](t *testing.T, c client, method, path string, body any) T {
	t.Helper()
	a, err := c.do(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return as[T](t, a)
}

func TestAPasskeyOfTheUserServiceLogsInWhateverTheShape(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			p := st.newPerson(t)
			type change struct {
				Details struct{ Sequence, ResourceOwner string } `json:"details"`
			}
			begun := userServiceCall[struct {
				change
				PasskeyID string          `json:"passkeyId"`
				Options   json.RawMessage `json:"publicKeyCredentialCreationOptions"`
			}](t, st.client, "POST", "/v2/users/"+p.id+"/passkeys", map[string]any{})
			credential, err := p.device.Create(string(begun.Options), origin)
			if err != nil {
				t.Fatal(err)
			}
			verified := userServiceCall[change](t, st.client, "POST", "/v2/users/"+p.id+"/passkeys/"+begun.PasskeyID, map[string]any{
				"publicKeyCredential": json.RawMessage(credential), "passkeyName": "Ada's phone",
			})
			if verified.Details.Sequence == "" || verified.Details.ResourceOwner != st.project {
				t.Errorf("details: %+v", verified)
			}
			// The next decision sees what has been registered, whoever makes it.
			process := p.nextProcess()
			start := p.loginStart(t, process)
			if !start.LoginAllow {
				t.Fatalf("no login is offered: %s", start.DecisionTag)
			}
			if data := as[rest.PasskeyLoginFinishRsp](t, p.loginFinish(t, process, start.AssertionOptions)).PasskeyData; data.ID != begun.PasskeyID {
				t.Errorf("logged in with %+v", data)
			}
			events := as[rest.PasskeyEventList](t, p.call(t, "GET", "/v2/users/"+p.id+"/passkeyEvents?include=engine", nil))
			found := 0
			for _, e := range events.PasskeyEvents {
				if e.EventType == "append-completed" {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%d events append-completed", found)
			}
			if _, port, err := net.SplitHostPort(st.gateway.GRPCAddr()); err != nil || port == "0" {
				t.Errorf("the gRPC port is at %q", st.gateway.GRPCAddr())
			}
			userServiceCall[change](t, st.client, "DELETE", "/v2/users/"+p.id+"/passkeys/"+begun.PasskeyID, nil)
			if a, err := st.do("DELETE", "/v2/users/"+p.id+"/passkeys/"+begun.PasskeyID, nil); err != nil || a.status != http.StatusNotFound {
				t.Errorf("removed twice: %d %s, %v", a.status, a.body, err)
			}
		})
	}
}
