package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/transfer"
)

// keywardCommand runs the binary and returns what it printed to each of its outputs.
func keywardCommand(t *testing.T, binary string, args ...string) (out, complaints string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// mover is a server with its command line.
type mover struct {
	*process
	binary, data string
}

func startMover(t *testing.T) mover {
	t.Helper()
	m := mover{binary: build(t), data: t.TempDir()}
	m.process = run(t, m.binary, m.data, "KEYWARD_NATS_ADDR=127.0.0.1:0", "KEYWARD_WEBHOOKS_ALLOW_PRIVATE=true")
	return m
}

func (m mover) user(t *testing.T, args ...string) (out, complaints string, code int) {
	t.Helper()
	return keywardCommand(t, m.binary, append([]string{"user", args[0], "--data-dir", m.data, "--project", project1}, args[1:]...)...)
}

func login(t *testing.T, p *person) {
	t.Helper()
	process := p.nextProcess()
	start := p.loginStart(t, process)
	as[rest.PasskeyLoginFinishRsp](t, p.loginFinish(t, process, start.AssertionOptions))
}

func records(t *testing.T, text string) []transfer.Record {
	t.Helper()
	var all []transfer.Record
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		r, err := transfer.Parse(lines.Bytes())
		if err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		all = append(all, r)
	}
	return all
}

func TestUsersMoveToAnotherKeywardWithPasskeysAndHistory(t *testing.T) {
	t.Parallel()
	old, next := startMover(t), startMover(t)
	ada := old.newPerson(t)
	ada.createPasskey(t)
	login(t, ada)
	as[rest.Identifier](
		t,
		old.call(
			t, "POST", "/v2/users/"+ada.id+"/identifiers",
			map[string]any{"identifierType": "email", "identifierValue": "ada@example.com", "status": "primary"},
		),
	)
	ada.postEvent(t, map[string]any{"eventType": "login-explicit-abort"})
	gone := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	as[rest.GenericRsp](t, old.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+gone.PasskeyEventID, nil))

	file := filepath.Join(t.TempDir(), "users.jsonl")
	if _, complaints, code := old.user(t, "export", "--out", file); code != 0 {
		t.Fatalf("export: %d %s", code, complaints)
	}
	for i, want := range []string{"1 users and ", "0 users and 0 events imported"} {
		out, complaints, code := next.user(t, "import", file)
		if code != 0 || !strings.HasPrefix(out, want) {
			t.Fatalf("import %d: %d %s %s", i, code, out, complaints)
		}
	}

	moved := *ada
	moved.client = next.client
	login(t, &moved)
	for _, path := range []string{"/identifiers?filter[]=userID:eq:" + ada.id, "/users/" + ada.id + "/passkeyEvents?pageSize=100"} {
		before, after := old.call(t, "GET", "/v2"+path, nil), next.call(t, "GET", "/v2"+path, nil)
		if string(before.body) != string(after.body) {
			t.Errorf("%s: before\n%s\nafter\n%s", path, before.body, after.body)
		}
	}
	twin := as[rest.User](t, next.call(t, "POST", "/v2/users", map[string]any{"status": "active"}))
	next.call(
		t, "POST", "/v2/users/"+twin.UserID+"/identifiers",
		map[string]any{"identifierType": "email", "identifierValue": "ADA@example.com", "status": "primary"},
	).
		fault(t, 409)
}

func TestADryRunReportsEveryBadLineAndStoresNothing(t *testing.T) {
	t.Parallel()
	m := startMover(t)
	ada := m.newPerson(t)
	as[rest.Identifier](
		t,
		m.call(
			t, "POST", "/v2/users/"+ada.id+"/identifiers",
			map[string]any{"identifierType": "username", "identifierValue": "ada", "status": "primary"},
		),
	)
	line := func(name, more string) string {
		return fmt.Sprintf(`{"user":{"status":"active","identifiers":[{"type":"username","value":%q,"status":"primary"}]%s}}`, name, more)
	}
	lines := []string{
		line("one", ""),
		`nonsense`,
		line("ada", ""),
		line("two", `,"userHandle":"AA","credentials":[{"credentialID":"AQ","publicKey":"Ag"}]`),
		line("one", ""),
		"",
		line("three", `,"shoeSize":42`),
		`{"event":{"id":"pke-1","user":"usr-1","type":"login-whistle","createdMs":1790000000000}}`,
		line("four", ""),
	}
	file := filepath.Join(t.TempDir(), "users.jsonl")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, code := m.user(t, "import", "--dry-run", file)
	if code != 1 || !strings.HasPrefix(out, "2 users and 0 events would be imported, 0 records there already, 7 lines refused") {
		t.Errorf("%d %s", code, out)
	}
	for _, want := range []string{
		"line 2: is no JSON", "line 3: identifiers.0.value: is another user's already",
		"line 4: credentials.0.publicKey: must be a COSE key", "line 5: identifiers.0.value: is on line 1 already",
		"line 6: is empty", "line 7: user.shoeSize: is no member", "line 8: type: is no type of event",
	} {
		if !strings.Contains(complaints, want) {
			t.Errorf("%q is not reported:\n%s", want, complaints)
		}
	}
	if list := as[rest.UserList](t, m.call(t, "GET", "/v2/users", nil)); list.Paging.TotalItems != 1 {
		t.Errorf("there are %d users", list.Paging.TotalItems)
	}
	if _, err := os.Stat(file + ".progress"); err == nil {
		t.Error("a dry run left notes behind")
	}
}

func TestAnInterruptedImportGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	m := startMover(t)
	const users = 3000
	file := filepath.Join(t.TempDir(), "users.jsonl")
	var all strings.Builder
	for i := range users {
		fmt.Fprintf(&all, `{"user":{"status":"active","identifiers":[{"type":"username","value":"user-%d","status":"primary"}]}}`+"\n", i)
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(m.binary, "user", "import", "--data-dir", m.data, "--project", project1, file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the import noted no progress", func() bool {
		raw, err := os.ReadFile(file + ".progress")
		var noted struct{ Line int }
		return err == nil && json.Unmarshal(raw, &noted) == nil && noted.Line > 0 && noted.Line < users
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	out, complaints, code := m.user(t, "import", file)
	var created, unchanged int
	if n, err := fmt.Sscanf(
		out, "%d users and 0 events imported, %d records there already, 0 lines refused", &created, &unchanged,
	); n != 2 || err != nil ||
		code != 0 {
		t.Fatalf("%d %s %s", code, out, complaints)
	}
	// The counts are of both runs together; what the first one stored and did not note is there already.
	if created+unchanged != users {
		t.Errorf("%d created and %d unchanged, want %d in all", created, unchanged, users)
	}
	if list := as[rest.UserList](t, m.call(t, "GET", "/v2/users?pageSize=1", nil)); list.Paging.TotalItems != users {
		t.Errorf("there are %d users, want %d", list.Paging.TotalItems, users)
	}
}

func TestOneUsersDataAreAllThatIsKept(t *testing.T) {
	t.Parallel()
	m := startMover(t)
	ada, other := m.newPerson(t), m.newPerson(t)
	ada.createPasskey(t)
	login(t, ada)
	other.createPasskey(t)
	as[rest.LongSession](t, m.call(t, "POST", "/v2/users/"+ada.id+"/longSessions", map[string]any{"appType": "web", "identifierValue": "ada"}))
	hook := as[rest.WebhookEndpoint](
		t,
		m.call(
			t, "POST", "/v2/webhookEndpoints",
			map[string]any{"url": "https://127.0.0.2:9/", "subscribedEvents": []string{"*"}, "customHeaders": map[string]string{}},
		),
	)
	ada.postEvent(t, map[string]any{"eventType": "local-unlock"})
	eventually(t, "nothing was tried to be delivered", func() bool {
		return as[rest.WebhookDeliveryList](t, m.call(t, "GET", "/v2/webhookEndpoints/"+hook.ID+"/deliveries", nil)).Paging.TotalItems > 0
	})
	kinds := map[string]int{}
	eventually(t, "not everything is exported", func() bool {
		out, complaints, code := m.user(t, "export", "--user", ada.id)
		if code != 0 {
			t.Fatalf("%d %s", code, complaints)
		}
		if strings.Contains(out, other.id) {
			t.Fatalf("something of another user is exported:\n%s", out)
		}
		clear(kinds)
		for _, r := range records(t, out) {
			for kind, is := range map[string]bool{
				"user":     r.User != nil,
				"event":    r.Event != nil,
				"offer":    r.Offer != nil,
				"decision": r.Decision != nil,
				"session":  r.Session != nil,
				"delivery": r.Delivery != nil,
			} {
				if is {
					kinds[kind]++
				}
			}
		}
		// Decisions are recorded in the background.
		return kinds["user"] == 1 && kinds["event"] >= 3 && kinds["offer"] >= 1 && kinds["decision"] >= 2 && kinds["session"] == 1 &&
			kinds["delivery"] >= 1
	})
	_, complaints, code := m.user(t, "export", "--user", "usr-123456789")
	if code != 1 || !strings.Contains(complaints, "userID: does not exist") {
		t.Errorf("%d %s", code, complaints)
	}
	if _, complaints, code = m.user(
		t, "export", "--user", "ada",
	); code != 2 ||
		!strings.Contains(complaints, "must be of the form usr-<number>") {
		t.Errorf("%d %s", code, complaints)
	}
}
