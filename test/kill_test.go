package test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/loopbacktest"
)

// process is a running binary.
type process struct {
	client
	admin string // URL of the admin port
	cmd   *exec.Cmd
}

func run(t *testing.T, binary, dataDir string, env ...string) *process {
	t.Helper()
	return runLogging(t, nil, binary, dataDir, env...)
}

// runLogging is run with the log written to log.
func runLogging(t *testing.T, log io.Writer, binary, dataDir string, env ...string) *process {
	t.Helper()
	return runAt(t, fmt.Sprintf("127.0.0.1:%d", loopbacktest.Port(t)), nil, log, binary, dataDir, env...)
}

// runAt is runLogging at an address that is known before, with what the server prints written to out.
func runAt(t *testing.T, address string, out, log io.Writer, binary, dataDir string, env ...string) *process {
	t.Helper()
	admin := fmt.Sprintf("127.0.0.1:%d", loopbacktest.Port(t))
	cmd := exec.Command(binary, "serve", "--http-addr", address)
	cmd.Env = append(os.Environ(), append([]string{
		"KEYWARD_DATA_DIR=" + dataDir,
		"KEYWARD_NATS_ADDR=off",
		"KEYWARD_ADMIN_ADDR=" + admin,
		"KEYWARD_GRPC_ADDR=127.0.0.1:0",
		"KEYWARD_BOOTSTRAP_API_SECRET=" + secret1,
		"KEYWARD_FRONTEND_URL=http://localhost:8080",
		"KEYWARD_BOOTSTRAP_ORIGINS=http://localhost:8080",
	}, env...)...)
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{client{"http://" + address, project1, secret1}, "http://" + admin, cmd}
	t.Cleanup(p.kill)
	within(t, 4*patience, "the server did not answer", func() bool {
		a, err := p.do("GET", "/v2/users?pageSize=1", nil)
		return err == nil && a.status == http.StatusOK
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func TestAfterKill9EveryAcknowledgedUserPasskeyAndEventIsThere(t *testing.T) {
	t.Parallel()
	binary, dataDir := build(t), t.TempDir()
	const rounds, writers, enough = 4, 6, 60
	var (
		mu     sync.Mutex
		users  = map[string]bool{}
		events = map[string]map[string]bool{}
	)
	var withPasskey []*person
	for range rounds {
		server := run(t, binary, dataDir)
		ada := server.newPerson(t)
		ada.createPasskey(t)
		withPasskey = append(withPasskey, ada)

		acknowledged := make(chan struct{}, 1000)
		var writing sync.WaitGroup
		for range writers {
			writing.Go(func() {
				for {
					user, event, err := server.write()
					if err != nil {
						return
					}
					mu.Lock()
					users[user] = true
					if events[user] == nil {
						events[user] = map[string]bool{}
					}
					events[user][event] = true
					mu.Unlock()
					select {
					case acknowledged <- struct{}{}:
					default:
					}
				}
			})
		}
		for range enough + rand.IntN(enough) {
			<-acknowledged
		}
		server.kill()
		writing.Wait()
	}

	server := run(t, binary, dataDir)
	for user := range users {
		page := as[rest.PasskeyEventList](t, server.call(t, "GET", "/v2/users/"+user+"/passkeyEvents?pageSize=1000", nil))
		have := map[string]bool{}
		for _, e := range page.PasskeyEvents {
			have[e.PasskeyEventID] = true
		}
		for event := range events[user] {
			if !have[event] {
				t.Errorf("event %s of user %s is lost", event, user)
			}
		}
	}
	for _, ada := range withPasskey {
		ada.client = server.client
		process := ada.nextProcess()
		start := ada.loginStart(t, process)
		if !start.LoginAllow {
			t.Errorf("the passkey of %s is lost: %s", ada.id, start.DecisionTag)
			continue
		}
		as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, start.AssertionOptions))
	}
	t.Logf("%d users and their events survived %d kills", len(users), rounds)
}

// write creates a user and an event and returns what the server acknowledged.
func (c client) write() (user, event string, err error) {
	a, err := c.do("POST", "/v2/users", map[string]any{"status": "active"})
	if err != nil || a.status != http.StatusOK {
		return "", "", fmt.Errorf("create user: %d: %w", a.status, err)
	}
	var u rest.User
	if err := json.Unmarshal(a.body, &u); err != nil {
		return "", "", err
	}
	a, err = c.do("POST", "/v2/users/"+u.UserID+"/passkeyEvents", map[string]any{"eventType": "local-unlock"})
	if err != nil || a.status != http.StatusOK {
		return "", "", fmt.Errorf("create event: %d: %w", a.status, err)
	}
	var e rest.PasskeyEvent
	if err := json.Unmarshal(a.body, &e); err != nil {
		return "", "", err
	}
	return u.UserID, e.PasskeyEventID, nil
}
