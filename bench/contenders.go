package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

const (
	project = "pro-1"
	secret  = "corbado1_benchSecret00000000000000000000"
	origin  = "http://localhost:8080"
	path    = "/v2/passkey/login/start"
)

// contender is a server under load.
type contender struct {
	name      string
	address   string              // of the API
	admin     string              // of a Keyward's admin port
	requests  []*fasthttp.Request // sent in turn
	ready     time.Duration       // from start to readiness
	processes []*exec.Cmd
}

// memory returns the resident memory of all processes in MiB.
func (c *contender) memory() float64 {
	var kilobytes float64
	for _, p := range c.processes {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
				kilobytes += n
			}
		}
	}
	return kilobytes / 1024
}

type fleet struct {
	settings
	dir     string
	started []*exec.Cmd
}

// all starts contenders in turn.
func (f *fleet) all(ctx context.Context, starts ...func(context.Context) (*contender, error)) ([]*contender, error) {
	started := make([]*contender, len(starts))
	for i, start := range starts {
		var err error
		if started[i], err = start(ctx); err != nil {
			return nil, err
		}
	}
	return started, nil
}

func (f *fleet) stop() error {
	var errs []error
	for _, cmd := range f.started {
		errs = append(errs, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	f.started = nil
	return errors.Join(errs...)
}

func (f *fleet) launch(env []string, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	f.started = append(f.started, cmd)
	return cmd, nil
}

// attached measures a server that somebody else runs.
func (f *fleet) attached(context.Context) (*contender, error) {
	return f.populate(&contender{name: f.attach}, f.attach, usual)
}

func (f *fleet) bare(ctx context.Context) (*contender, error) {
	return f.floor(ctx, "bare Fiber", bareCommand)
}

// bareRedis is the bare handler that reads a history from Redis, too.
func (f *fleet) bareRedis(ctx context.Context) (*contender, error) {
	redis, err := f.redis(ctx)
	if err != nil {
		return nil, err
	}
	return f.floor(ctx, "bare Fiber and Redis", bareRedisCommand, redis)
}

func (f *fleet) floor(ctx context.Context, name string, args ...string) (*contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("own path: %w", err)
	}
	address := freeAddress()
	began := time.Now()
	cmd, err := f.launch(nil, self, append(args, address)...)
	if err != nil {
		return nil, err
	}
	if err := listening(ctx, address); err != nil {
		return nil, err
	}
	request := loginStart(address, "usr-1", strings.Repeat("h", 90))
	return &contender{name: name, ready: time.Since(began), processes: []*exec.Cmd{cmd}, requests: []*fasthttp.Request{request}}, nil
}

func (f *fleet) embedded(ctx context.Context) (*contender, error) {
	return f.one(ctx, "one process, embedded cache", usual)
}

func (f *fleet) oneProcess(ctx context.Context) (*contender, error) {
	return f.withRedis(ctx, "one process, Redis", usual)
}

func (f *fleet) withRedis(ctx context.Context, name string, of crowd, env ...string) (*contender, error) {
	redis, err := f.redis(ctx)
	if err != nil {
		return nil, err
	}
	return f.one(ctx, name, of, append(env, "KEYWARD_REDIS_URL="+redis)...)
}

func (f *fleet) one(ctx context.Context, name string, of crowd, env ...string) (*contender, error) {
	data, err := os.MkdirTemp(f.dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	address := freeAddress()
	began := time.Now()
	c := &contender{name: name}
	ready, err := f.keyward(c, address, "all", append(env, "KEYWARD_DATA_DIR="+data, "KEYWARD_NATS_ADDR=off"))
	if err != nil {
		return nil, err
	}
	if err := answering(ctx, ready); err != nil {
		return nil, err
	}
	c.ready = time.Since(began)
	return f.populate(c, address, of)
}

func (f *fleet) split(ctx context.Context) (*contender, error) {
	redis, err := f.redis(ctx)
	if err != nil {
		return nil, err
	}
	nats, err := f.nats(ctx, "nats")
	if err != nil {
		return nil, err
	}
	c := &contender{name: "split, Redis"}
	address, began := "", time.Now()
	var ready []string
	for _, name := range []string{"events", "decision", "ceremony", "gateway"} {
		address = freeAddress()
		admin, err := f.keyward(c, address, name, []string{"KEYWARD_REDIS_URL=" + redis, "KEYWARD_NATS_URL=" + nats})
		if err != nil {
			return nil, err
		}
		ready = append(ready, admin)
	}
	if err := answering(ctx, ready...); err != nil {
		return nil, err
	}
	c.ready = time.Since(began)
	return f.populate(c, address, usual)
}

// nats starts a NATS server that keeps its data under the name and returns its URL.
func (f *fleet) nats(ctx context.Context, name string) (string, error) {
	address := freeAddress()
	config := filepath.Join(f.dir, name+".conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: always }\nmax_payload: 4MB\n", address, filepath.Join(f.dir, name))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write nats configuration: %w", err)
	}
	if _, err := f.launch(nil, f.natsServer, "-c", config, "-l", filepath.Join(f.dir, name+".log")); err != nil {
		return "", err
	}
	return "nats://" + address, listening(ctx, address)
}

// keyward starts one more process of the contender and returns the URL at which it says that it is ready.
func (f *fleet) keyward(c *contender, address, services string, env []string) (string, error) {
	admin := freeAddress()
	cmd, err := f.launch(append([]string{
		"KEYWARD_HTTP_ADDR=" + address, "KEYWARD_GRPC_ADDR=off", "KEYWARD_ADMIN_ADDR=" + admin, "KEYWARD_SERVICES=" + services, "KEYWARD_BOOTSTRAP_API_SECRET=" + secret,
		"KEYWARD_LOG_LEVEL=warn", "KEYWARD_POLICY_TIMEOUT=1s",
	}, env...), f.settings.keyward, "serve")
	if err != nil {
		return "", err
	}
	c.processes = append(c.processes, cmd)
	c.address, c.admin = address, admin
	return "http://" + admin + "/readyz", nil
}

func (f *fleet) redis(ctx context.Context) (string, error) {
	address := freeAddress()
	_, port, _ := net.SplitHostPort(address)
	if _, err := f.launch(nil, f.redisServer, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", f.dir, "--logfile", filepath.Join(f.dir, "redis-"+port+".log")); err != nil {
		return "", err
	}
	return "redis://" + address + "/0", listening(ctx, address)
}

func freeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func wait(ctx context.Context, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
	return nil
}

func listening(ctx context.Context, address string) error {
	return wait(ctx, address, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// answering waits until each process says that it and all it needs are ready.
func answering(ctx context.Context, ready ...string) error {
	for _, url := range ready {
		err := wait(ctx, url, func() bool {
			rsp, err := http.Get(url)
			if err != nil {
				return false
			}
			_ = rsp.Body.Close()
			return rsp.StatusCode == http.StatusOK
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func post(address, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(project, secret)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, rsp.StatusCode)
	}
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(rsp.Body).Decode(into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}

// crowd is who the calls are about.
type crowd struct{ users, events int }

// usual is the crowd of most figures: more users than one, so that nothing is measured that only pays when the same user comes back at once.
var usual = crowd{users: 100, events: 20}

// passkeys that each user has.
const passkeys = 3

// populate makes the users: each has 3 passkeys and the given number of events.
func (f *fleet) populate(c *contender, address string, of crowd) (*contender, error) {
	c.requests = make([]*fasthttp.Request, of.users)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range of.users {
		group.Go(func() (err error) {
			c.requests[i], err = settle(address, of.events)
			return err
		})
	}
	return c, group.Wait()
}

// settle makes one user and returns the user's login start.
func settle(address string, events int) (*fasthttp.Request, error) {
	var user struct {
		UserID string `json:"userID"`
	}
	if err := post(address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user); err != nil {
		return nil, err
	}
	handle := ""
	for i := range passkeys {
		got, err := createPasskey(address, user.UserID, handle, i)
		if err != nil {
			return nil, err
		}
		if handle == "" {
			handle = got
		}
	}
	// Every creation has left two events of its own.
	for i := range events - 2*passkeys {
		body := map[string]any{"eventType": []string{"login-error-untyped", "manage-learn-more", "local-unlock"}[i%3], "processID": fmt.Sprint("bench-", i)}
		if err := post(address, "/v2/users/"+user.UserID+"/passkeyEvents", body, nil); err != nil {
			return nil, err
		}
	}
	return loginStart(address, user.UserID, handle), nil
}

func createPasskey(address, user, handle string, n int) (string, error) {
	process := fmt.Sprint("bench-append-", n)
	var start struct {
		AttestationOptions string `json:"attestationOptions"`
		NewClientEnvHandle string `json:"newClientEnvHandle"`
	}
	body := map[string]any{
		"userID": user, "processID": process, "username": "bench@example.com", "clientInformation": client(handle),
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}
	if err := post(address, "/v2/passkey/append/start", body, &start); err != nil {
		return "", err
	}
	if handle == "" {
		handle = start.NewClientEnvHandle
	}
	response, err := authenticator.Phone().Create(start.AttestationOptions, origin)
	if err != nil {
		return "", fmt.Errorf("create a passkey: %w", err)
	}
	finish := map[string]any{"userID": user, "processID": process, "attestationResponse": response, "clientInformation": client(handle)}
	err = post(address, "/v2/passkey/append/finish", finish, nil)
	return handle, err
}

func client(handle string) map[string]any {
	info := map[string]any{
		"remoteAddress":         "192.0.2.7",
		"userAgent":             "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"javascriptFingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"javaScriptHighEntropy": map[string]any{"platform": "macOS", "platformVersion": "15.1.0", "mobile": false},
		"bluetoothAvailable":    true, "userVerifyingPlatformAuthenticatorAvailable": true, "conditionalMediationAvailable": true, "privateMode": false,
		"clientCapabilities": map[string]any{"conditionalCreate": true, "conditionalMediation": true, "hybridTransport": true, "passkeyPlatformAuthenticator": true, "userVerifyingPlatformAuthenticator": true},
		"parsedDeviceInfo":   map[string]any{"browserName": "Safari", "browserVersion": "18.1", "osName": "macOS", "osVersion": "15.1"},
	}
	if handle != "" {
		info["clientEnvHandle"] = handle
	}
	return info
}

func loginStart(address, user, handle string) *fasthttp.Request {
	raw, _ := json.Marshal(map[string]any{"userID": user, "processID": "bench-login", "crossDeviceAuthenticationStrategy": "standard", "clientInformation": client(handle)})
	req := signed(address)
	req.SetBody(raw)
	return req
}

// signed is a login start without a body.
func signed(address string) *fasthttp.Request {
	req := new(fasthttp.Request)
	req.Header.SetMethod(http.MethodPost)
	req.SetRequestURI("http://" + address + path)
	req.Header.SetContentType("application/json")
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(project+":"+secret)))
	return req
}
