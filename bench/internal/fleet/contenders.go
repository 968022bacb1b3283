package fleet

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"net/netip"
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

// Whose calls are made, from where, and the call that most figures are of.
const (
	Project = "pro-1"
	Secret  = "corbado1_benchSecret00000000000000000000"
	Origin  = "http://localhost:8080"
	Path    = "/v2/passkey/login/start"
)

// Contender is a server under load.
type Contender struct {
	Name      string
	Address   string              // of the API
	Admin     string              // of a Keyward's admin port
	Requests  []*fasthttp.Request // sent in turn
	Ready     time.Duration       // from start to readiness
	Processes []*exec.Cmd
}

// Memory returns the resident memory of all processes in MiB.
func (c *Contender) Memory() float64 {
	var kilobytes float64
	for _, p := range c.Processes {
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

// Fleet starts the contenders, and what they need beside them, and ends them.
type Fleet struct {
	Settings
	Dir     string
	Started []*exec.Cmd
}

// New returns a fleet of which nothing runs yet. What its processes store goes below dir.
func New(s Settings, dir string) *Fleet { return &Fleet{Settings: s, Dir: dir} }

// All starts contenders in turn.
func (f *Fleet) All(ctx context.Context, starts ...func(context.Context) (*Contender, error)) ([]*Contender, error) {
	started := make([]*Contender, len(starts))
	for i, start := range starts {
		var err error
		if started[i], err = start(ctx); err != nil {
			return nil, err
		}
	}
	return started, nil
}

// Stop ends every process that was started. The fleet can start others then.
func (f *Fleet) Stop() error {
	var errs []error
	for _, cmd := range f.Started {
		if err := cmd.Process.Kill(); !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
		_ = cmd.Wait()
	}
	f.Started = nil
	return errors.Join(errs...)
}

// Launch starts a process that Stop ends.
func (f *Fleet) Launch(env []string, name string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	f.Started = append(f.Started, cmd)
	return cmd, nil
}

// Attached measures a server that somebody else runs.
func (f *Fleet) Attached(context.Context) (*Contender, error) {
	return f.Populate(&Contender{Name: f.Attach}, f.Attach, Usual)
}

// Bare starts the floor: see serveBare.
func (f *Fleet) Bare(ctx context.Context) (*Contender, error) {
	return f.Floor(ctx, "bare Fiber", bareCommand)
}

// BareRedis is the bare handler that reads a history from Redis, too.
func (f *Fleet) BareRedis(ctx context.Context) (*Contender, error) {
	redis, err := f.Redis(ctx)
	if err != nil {
		return nil, err
	}
	return f.Floor(ctx, "bare Fiber and Redis", bareRedisCommand, redis)
}

// Floor starts this binary with a command by which it serves, and the address to serve at.
func (f *Fleet) Floor(ctx context.Context, name string, args ...string) (*Contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("own path: %w", err)
	}
	address := FreeAddress()
	began := time.Now()
	cmd, err := f.Launch(nil, self, append(args, address)...)
	if err != nil {
		return nil, err
	}
	if err := listening(ctx, address); err != nil {
		return nil, err
	}
	request := loginStart(Project, address, "usr-1", strings.Repeat("h", 90))
	return &Contender{Name: name, Ready: time.Since(began), Processes: []*exec.Cmd{cmd}, Requests: []*fasthttp.Request{request}}, nil
}

// Embedded starts a Keyward of one process that needs nothing beside it.
func (f *Fleet) Embedded(ctx context.Context) (*Contender, error) {
	return f.One(ctx, "one process, embedded cache", Usual)
}

// OneProcess starts a Keyward of one process with a Redis of its own.
func (f *Fleet) OneProcess(ctx context.Context) (*Contender, error) {
	return f.WithRedis(ctx, "one process, Redis", Usual)
}

// WithRedis is OneProcess under another name, with the crowd and the environment given.
func (f *Fleet) WithRedis(ctx context.Context, name string, of Crowd, env ...string) (*Contender, error) {
	redis, err := f.Redis(ctx)
	if err != nil {
		return nil, err
	}
	return f.One(ctx, name, of, append(env, "KEYWARD_REDIS_URL="+redis)...)
}

// One starts a Keyward of one process with the crowd and the environment given.
func (f *Fleet) One(ctx context.Context, name string, of Crowd, env ...string) (*Contender, error) {
	c, err := f.Alone(ctx, name, env...)
	if err != nil {
		return nil, err
	}
	return f.Populate(c, c.Address, of)
}

// Alone is One without users.
func (f *Fleet) Alone(ctx context.Context, name string, env ...string) (*Contender, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	return f.In(ctx, data, name, append(env, "KEYWARD_NATS_ADDR=off")...)
}

// In is Alone with its data in a directory, and a listener for commands unless the environment says otherwise.
func (f *Fleet) In(ctx context.Context, data, name string, env ...string) (*Contender, error) {
	began := time.Now()
	c := &Contender{Name: name}
	own := []string{"KEYWARD_NATS_ADDR=" + FreeAddress(), "KEYWARD_DATA_DIR=" + data}
	ready, err := f.Keyward(c, FreeAddress(), "all", append(own, env...))
	if err != nil {
		return nil, err
	}
	if err := Answering(ctx, ready); err != nil {
		return nil, err
	}
	c.Ready = time.Since(began)
	return c, nil
}

// Split starts a Keyward of a process for each service, with a NATS server and a Redis.
func (f *Fleet) Split(ctx context.Context) (*Contender, error) {
	c, err := f.Services(ctx, "split, Redis", "always")
	if err != nil {
		return nil, err
	}
	return f.Populate(c, c.Address, Usual)
}

// Services is Split without users, under another name, with the environment given. Sync is how often NATS flushes what it has stored:
// always, or after some time.
func (f *Fleet) Services(ctx context.Context, name, sync string, env ...string) (*Contender, error) {
	redis, err := f.Redis(ctx)
	if err != nil {
		return nil, err
	}
	nats, _, err := f.nats(ctx, "nats-"+sync, sync)
	if err != nil {
		return nil, err
	}
	c := &Contender{Name: name}
	began := time.Now()
	var ready []string
	for _, service := range []string{"events", "decision", "ceremony", "gateway"} {
		admin, err := f.Keyward(c, FreeAddress(), service, append(env, "KEYWARD_REDIS_URL="+redis, "KEYWARD_NATS_URL="+nats))
		if err != nil {
			return nil, err
		}
		ready = append(ready, admin)
	}
	if err := Answering(ctx, ready...); err != nil {
		return nil, err
	}
	c.Ready = time.Since(began)
	return c, nil
}

// Nats starts a NATS server that keeps its data under the name and returns its URL.
func (f *Fleet) Nats(ctx context.Context, name string) (string, error) {
	url, _, err := f.WatchedNats(ctx, name)
	return url, err
}

// WatchedNats is Nats, and returns the address at which the server tells what it has done, too.
func (f *Fleet) WatchedNats(ctx context.Context, name string) (url, monitor string, err error) {
	return f.nats(ctx, name, "always")
}

func (f *Fleet) nats(ctx context.Context, name, sync string) (url, monitor string, err error) {
	address, monitor := FreeAddress(), FreeAddress()
	config := filepath.Join(f.Dir, name+".conf")
	text := fmt.Sprintf(
		"listen: %q\nhttp: %q\njetstream { store_dir: %q, sync_interval: %s }\nmax_payload: 4MB\n", address, monitor,
		filepath.Join(f.Dir, name), sync,
	)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", "", fmt.Errorf("write nats configuration: %w", err)
	}
	if _, err := f.Launch(nil, f.NatsServer, "-c", config, "-l", filepath.Join(f.Dir, name+".log")); err != nil {
		return "", "", err
	}
	return "nats://" + address, monitor, listening(ctx, address)
}

// Keyward starts one more process of the contender and returns the URL at which it says that it is ready.
func (f *Fleet) Keyward(c *Contender, address, services string, env []string) (string, error) {
	admin := FreeAddress()
	cmd, err := f.Launch(append([]string{
		"KEYWARD_HTTP_ADDR=" + address,
		"KEYWARD_GRPC_ADDR=off",
		"KEYWARD_ADMIN_ADDR=" + admin,
		"KEYWARD_SERVICES=" + services,
		"KEYWARD_BOOTSTRAP_API_SECRET=" + Secret,
		"KEYWARD_LOG_LEVEL=warn",
		"KEYWARD_POLICY_TIMEOUT=1s",
		"KEYWARD_FRONTEND_URL=http://localhost:8080",
		"KEYWARD_BOOTSTRAP_ORIGINS=http://localhost:8080",
	}, env...), f.Settings.Keyward, "serve")
	if err != nil {
		return "", err
	}
	c.Processes = append(c.Processes, cmd)
	c.Address, c.Admin = address, admin
	return "http://" + admin + "/readyz", nil
}

// Redis starts a Redis that keeps nothing on disk and returns its URL.
func (f *Fleet) Redis(ctx context.Context) (string, error) {
	address := FreeAddress()
	_, port, _ := net.SplitHostPort(address)
	if _, err := f.Launch(
		nil, f.RedisServer, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", f.Dir, "--logfile",
		filepath.Join(f.Dir, "redis-"+port+".log"),
	); err != nil {
		return "", err
	}
	return "redis://" + address + "/0", listening(ctx, address)
}

// FreeAddress returns an address of the loopback that nobody listened at just now.
func FreeAddress() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Wait returns when something holds, or says after 30 s that what was waited for did not answer.
func Wait(ctx context.Context, what string, holds func() bool) error {
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
	return Wait(ctx, address, func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// Answering waits until each process says that it and all it needs are ready.
func Answering(ctx context.Context, ready ...string) error {
	for _, url := range ready {
		err := Wait(ctx, url, func() bool {
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

// Post calls the Backend API and decodes the answer unless into is nil. Any answer but 200 is an error.
func Post(address, path string, body, into any) error {
	return postAs(Project, address, path, body, into)
}

// postAs is Post by a project, whose secret is everybody's.
func postAs(project, address, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+address+path, bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(project, Secret)
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

// Delete calls the Backend API to delete what a path names. Any answer but 200 is an error.
func Delete(address, path string) error {
	req, err := http.NewRequest(http.MethodDelete, "http://"+address+path, nil)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	req.SetBasicAuth(Project, Secret)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", path, rsp.StatusCode)
	}
	return nil
}

// Crowd is who the calls are about.
type Crowd struct {
	Users, Events int
	Projects      int // that the users are of in turn, pro-1 and so on; 0 = one
}

// Usual is the crowd of most figures: more users than one, so that nothing is measured that only pays when the same user comes back at
// once.
var Usual = Crowd{Users: 100, Events: 20}

// Passkeys that each user has.
const Passkeys = 3

// Populate makes the users: each has 3 passkeys and the given number of events.
func (f *Fleet) Populate(c *Contender, address string, of Crowd) (*Contender, error) {
	c.Requests = make([]*fasthttp.Request, of.Users)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range of.Users {
		group.Go(func() (err error) {
			project := fmt.Sprint("pro-", 1+i%max(1, of.Projects))
			c.Requests[i], err = settle(project, address, of.Events)
			return err
		})
	}
	return c, group.Wait()
}

// settle makes one user and returns the user's login start.
func settle(project, address string, events int) (*fasthttp.Request, error) {
	var user struct {
		UserID string `json:"userID"`
	}
	if err := postAs(project, address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user); err != nil {
		return nil, err
	}
	handle := ""
	for i := range Passkeys {
		got, err := createPasskey(project, address, user.UserID, handle, i, authenticator.Phone())
		if err != nil {
			return nil, err
		}
		if handle == "" {
			handle = got
		}
	}
	// Every creation has left two events of its own.
	for i := range events - 2*Passkeys {
		body := map[string]any{
			"eventType": []string{"login-error-untyped", "manage-learn-more", "local-unlock"}[i%3], "processID": fmt.Sprint("bench-", i),
		}
		if err := postAs(project, address, "/v2/users/"+user.UserID+"/passkeyEvents", body, nil); err != nil {
			return nil, err
		}
	}
	return loginStart(project, address, user.UserID, handle), nil
}

// CreatePasskey makes a user's nth passkey on a device, from the environment with the handle, and returns the handle, which is a new one if
// it was empty.
func CreatePasskey(address, user, handle string, n int, device *authenticator.Device) (string, error) {
	return createPasskey(Project, address, user, handle, n, device)
}

func createPasskey(project, address, user, handle string, n int, device *authenticator.Device) (string, error) {
	process := fmt.Sprint("bench-append-", n)
	var start struct {
		AttestationOptions string `json:"attestationOptions"`
		NewClientEnvHandle string `json:"newClientEnvHandle"`
	}
	body := map[string]any{
		"userID": user, "processID": process, "username": "bench@example.com", "clientInformation": Client(user, handle),
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}
	if err := postAs(project, address, "/v2/passkey/append/start", body, &start); err != nil {
		return "", err
	}
	if handle == "" {
		handle = start.NewClientEnvHandle
	}
	response, err := device.Create(start.AttestationOptions, Origin)
	if err != nil {
		return "", fmt.Errorf("create a passkey: %w", err)
	}
	finish := map[string]any{"userID": user, "processID": process, "attestationResponse": response, "clientInformation": Client(user, handle)}
	err = postAs(project, address, "/v2/passkey/append/finish", finish, nil)
	return handle, err
}

// addressOf is a user's address, in the network that RFC 2544 keeps for benchmarks: many users of one address are what risk is judged by.
func addressOf(user string) string {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(user))
	n := sum.Sum32()
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16)&1, byte(n >> 8), byte(n)}).String()
}

// Client is what a user's browser tells of itself.
func Client(user, handle string) map[string]any {
	info := map[string]any{
		"remoteAddress": addressOf(user),
		"userAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 " +
			"Safari/605.1.15",
		"javascriptFingerprint":                       "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"bluetoothAvailable":                          true,
		"userVerifyingPlatformAuthenticatorAvailable": true,
		"conditionalMediationAvailable":               true,
		"privateMode":                                 false,
		"clientCapabilities": map[string]any{
			"conditionalCreate": true, "conditionalMediation": true, "hybridTransport": true,
			"passkeyPlatformAuthenticator": true, "userVerifyingPlatformAuthenticator": true,
		},
		"parsedDeviceInfo": map[string]any{"browserName": "Safari", "browserVersion": "18.1", "osName": "macOS", "osVersion": "15.1"},
	}
	if handle != "" {
		info["clientEnvHandle"] = handle
	}
	return info
}

func loginStart(project, address, user, handle string) *fasthttp.Request {
	raw, _ := json.Marshal(
		map[string]any{
			"userID": user, "processID": "bench-login",
			"crossDeviceAuthenticationStrategy": "standard", "clientInformation": Client(user, handle),
		},
	)
	req := signedBy(project, address)
	req.SetBody(raw)
	return req
}

// Signed is a login start without a body.
func Signed(address string) *fasthttp.Request { return signedBy(Project, address) }

func signedBy(project, address string) *fasthttp.Request {
	req := new(fasthttp.Request)
	req.Header.SetMethod(http.MethodPost)
	req.SetRequestURI("http://" + address + Path)
	req.Header.SetContentType("application/json")
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(project+":"+Secret)))
	return req
}
