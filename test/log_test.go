package test

import (
	"bytes"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
)

func TestEveryLogLineIsJSONAndNoneHoldsASecret(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	var logged bytes.Buffer
	server := runLogging(t, &logged, build(t), t.TempDir(), "KEYWARD_REDIS_URL="+redis.url(), "KEYWARD_LOG_LEVEL=debug")
	ada := server.newPerson(t)
	ada.createPasskey(t)
	process := ada.nextProcess()
	start := ada.loginStart(t, process)
	finish := ada.loginFinish(t, process, start.AssertionOptions)
	if finish.status != 200 {
		t.Fatalf("login: %s", finish.body)
	}
	client{server.base, project1, "corbado1_notTheSecretButClose"}.call(t, "GET", "/v2/users", nil)
	redis.stop()
	barAndLift(t, ada, "with Redis gone")
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}

	requests, decisions := 0, 0
	for line := range strings.Lines(logged.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("not JSON: %s", line)
			continue
		}
		if entry["request_id"] != nil {
			requests++
		}
		if entry["decision_id"] != nil {
			decisions++
		}
	}
	if requests == 0 || decisions == 0 {
		t.Errorf("%d lines with a request ID, %d with a decision ID", requests, decisions)
	}
	credential := ada.device.Passkeys[0].Credential
	for what, secret := range map[string]string{
		"the API secret": secret1, "a wrong secret": "notTheSecretButClose", "the environment handle": ada.handle,
		"the challenge":     challengeOf(t, start.AssertionOptions),
		"the credential ID": encoded(credential.ID),
	} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("%s is in the log", what)
		}
	}
}
