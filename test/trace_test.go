package test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/keyward/keyward/core/loopbacktest"
)

func TestOneTraceFollowsACallThroughEveryService(t *testing.T) {
	t.Parallel()
	binary, nats := build(t), startNATS(t, t.TempDir())
	address := "127.0.0.1:" + strconv.Itoa(loopbacktest.Port(t))
	printed := map[string]*bytes.Buffer{}
	var processes []*exec.Cmd
	for _, service := range []string{"events", "decision", "ceremony", "gateway"} {
		cmd := exec.Command(
			binary, "serve", "--services="+service, "--http-addr", address, "--grpc-addr", "127.0.0.1:0", "--admin-addr",
			"127.0.0.1:0",
		)
		cmd.Env = append(os.Environ(), "KEYWARD_NATS_URL="+nats, "KEYWARD_BOOTSTRAP_API_SECRET="+secret1, "OTEL_TRACES_EXPORTER=console",
			"KEYWARD_FRONTEND_URL=http://localhost:8080", "KEYWARD_BOOTSTRAP_ORIGINS=http://localhost:8080")
		printed[service] = new(bytes.Buffer)
		cmd.Stdout = printed[service]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		processes = append(processes, cmd)
	}
	api := client{"http://" + address, project1, secret1}
	eventually(t, "the servers did not answer", func() bool {
		a, err := api.do("GET", "/v2/users?pageSize=1", nil)
		return err == nil && a.status == http.StatusOK
	})
	ada := api.newPerson(t)
	eventually(t, "a passkey was not created", func() bool {
		a, err := api.do("POST", "/v2/passkey/append/start", map[string]any{
			"userID":            ada.id,
			"processID":         "p",
			"username":          "ada",
			"clientInformation": mac(""),
			"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
		})
		return err == nil && a.status == http.StatusOK
	})

	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	req, err := http.NewRequest(
		http.MethodPost,
		api.base+"/v2/passkey/append/start",
		strings.NewReader(`{"userID":"`+ada.id+`","processID":"q","username":"ada",
		"clientInformation":{"remoteAddress":"192.0.2.1","userAgent":"x","userVerifyingPlatformAuthenticatorAvailable":true},
		"passkeyIntelFlags":{"forcePasskeyAppend":true}}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(project1, secret1)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	if rsp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", rsp.StatusCode)
	}
	for i := len(processes) - 1; i >= 0; i-- {
		if err := processes[i].Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := processes[i].Wait(); err != nil {
			t.Errorf("a process ended with %v", err)
		}
	}
	for service, spans := range printed {
		if !strings.Contains(spans.String(), traceID) {
			t.Errorf("%s has no span of the trace", service)
		}
	}
}
