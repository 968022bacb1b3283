package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

const (
	loginUsers = 1000 // each with one passkey
	warmers    = 100  // who are not measured
	// How much more a call may allocate after the most login starts than before them.
	loginGrowth = 1.2
)

// loginUser signs in with a software authenticator.
type loginUser struct {
	id, handle string
	device     *authenticator.Device
}

// loginCaller calls one Keyward for the users, and reads what that costs it.
type loginCaller struct {
	address, admin string
	http           *fasthttp.HostClient
}

// cost is what a process has used since it began, or, of one call, more than before it.
type cost struct{ seconds, allocations float64 }

// loginFigures are of calls of one kind after so many login starts.
type loginFigures struct {
	fleet.Sample
	cost
}

// compareLogins measures the start of a passkey and full logins of users of whom nothing was begun yet, and of the same users after each
// has begun many logins without an end. What was begun must not make what comes after it dearer: an error says that it did. Allocations
// are compared, since they do not depend on how busy the machine is.
func (f bench) compareLogins(ctx context.Context) error {
	c, users, err := f.loginCrowd(ctx)
	if err != nil {
		return err
	}
	workloads := map[string]func(context.Context, loginUser) error{"append start": c.appendStart, "full login": c.login}
	fmt.Printf(
		"%d users with a passkey each, one process, every write on disk, %d connections, each user once, load generator on the same cores\n\n",
		loginUsers, f.Connections,
	)
	t := fleet.NewTable("calls/s", "of fresh", "p50 ms", "p99 ms", "CPU µs a call", "allocations a call", "of fresh")
	fresh, grown := map[string]loginFigures{}, []error(nil)
	begun := 0
	for _, starts := range []int{0, 14, 50} {
		for ; begun < starts; begun++ {
			if _, err := eachOnce(ctx, f.Connections, users, c.loginStart); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(workloads)) {
			got, err := c.measure(ctx, f.Connections, users, workloads[name])
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if starts == 0 {
				fresh[name] = got
			}
			was := fresh[name]
			t.Row(
				fmt.Sprintf("%s, %d login starts a user before", name, starts),
				"%.0f", got.Rate, "%.0f %%", 100*got.Rate/was.Rate, "%.2f", got.P50, "%.2f", got.P99,
				"%.0f", 1e6*got.seconds, "%.0f", got.allocations, "%.2f", got.allocations/was.allocations,
			)
			if growth := got.allocations / was.allocations; growth > loginGrowth {
				grown = append(grown, fmt.Errorf("%s allocates %.2f times as much after %d login starts a user", name, growth, starts))
			}
		}
	}
	return errors.Join(append([]error{t.Print()}, grown...)...)
}

// loginCrowd starts a Keyward with the users.
func (f bench) loginCrowd(ctx context.Context) (*loginCaller, []loginUser, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a directory: %w", err)
	}
	contender, address := &fleet.Contender{}, fleet.FreeAddress()
	ready, err := f.Keyward(contender, address, "all", []string{
		"KEYWARD_DATA_DIR=" + data, "KEYWARD_NATS_ADDR=off", "KEYWARD_SYNC_INTERVAL=always",
		"KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
	})
	if err != nil {
		return nil, nil, err
	}
	if err := fleet.Answering(ctx, ready); err != nil {
		return nil, nil, err
	}
	client := &fasthttp.HostClient{Addr: address, MaxConns: f.Connections}
	c := &loginCaller{address: address, admin: contender.Admin, http: client}
	users := make([]loginUser, warmers+loginUsers)
	var group errgroup.Group
	group.SetLimit(f.Connections)
	for i := range users {
		group.Go(func() (err error) {
			users[i], err = c.newUser()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for _, call := range []func(context.Context, loginUser) error{c.appendStart, c.login} {
		if _, err := eachOnce(ctx, f.Connections, users[:warmers], call); err != nil {
			return nil, nil, err
		}
	}
	return c, users[warmers:], nil
}

func (c *loginCaller) newUser() (loginUser, error) {
	var user struct {
		ID string `json:"userID"`
	}
	if err := c.post("/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user); err != nil {
		return loginUser{}, err
	}
	device := authenticator.Phone()
	handle, err := fleet.CreatePasskey(c.address, user.ID, "", 0, device)
	return loginUser{id: user.ID, handle: handle, device: device}, err
}

// measure makes a call for each user and returns what one cost on average.
func (c *loginCaller) measure(
	ctx context.Context, connections int, users []loginUser, call func(context.Context, loginUser) error,
) (loginFigures, error) {
	before, err := c.spent()
	if err != nil {
		return loginFigures{}, err
	}
	sample, err := eachOnce(ctx, connections, users, call)
	if err != nil {
		return loginFigures{}, err
	}
	after, err := c.spent()
	n := float64(len(users))
	return loginFigures{sample, cost{(after.seconds - before.seconds) / n, (after.allocations - before.allocations) / n}}, err
}

// spent returns what the process has used so far.
func (c *loginCaller) spent() (cost, error) {
	families, err := metricsOf(c.admin)
	if err != nil {
		return cost{}, err
	}
	counter := func(name string) (n float64) {
		for _, metric := range families[name].GetMetric() {
			n += metric.GetCounter().GetValue()
		}
		return n
	}
	spent := cost{counter("process_cpu_seconds_total"), counter("go_memstats_mallocs_total")}
	if spent.seconds == 0 || spent.allocations == 0 {
		return cost{}, errors.New("the metrics tell nothing of CPU time and allocations")
	}
	return spent, nil
}

// appendStart offers the user a further passkey, as asked for, and leaves it at that.
func (c *loginCaller) appendStart(_ context.Context, u loginUser) error {
	return c.post("/v2/passkey/append/start", map[string]any{
		"userID": u.id, "processID": "bench-append-start", "username": "bench@example.com", "clientInformation": fleet.Client(u.handle),
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}, nil)
}

// begin begins a login.
func (c *loginCaller) begin(u loginUser, process string) (options string, err error) {
	var start struct {
		AssertionOptions string `json:"assertionOptions"`
	}
	err = c.post(fleet.Path, map[string]any{
		"userID": u.id, "processID": process, "crossDeviceAuthenticationStrategy": "standard", "clientInformation": fleet.Client(u.handle),
	}, &start)
	if err == nil && start.AssertionOptions == "" {
		err = errors.New("no passkey was offered")
	}
	return start.AssertionOptions, err
}

// loginStart begins a login that the user does not go on with.
func (c *loginCaller) loginStart(_ context.Context, u loginUser) error {
	_, err := c.begin(u, "bench-begun")
	return err
}

// login is a whole login: begun, signed, and finished.
func (c *loginCaller) login(_ context.Context, u loginUser) error {
	const process = "bench-login"
	options, err := c.begin(u, process)
	if err != nil {
		return err
	}
	assertion, err := u.device.Get(options, fleet.Origin)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return c.post("/v2/passkey/login/finish", map[string]any{
		"userID": u.id, "processID": process, "assertionResponse": assertion, "clientInformation": fleet.Client(u.handle),
	}, nil)
}

// post calls the Backend API and decodes the answer unless into is nil. Any answer but 200 is an error.
func (c *loginCaller) post(path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req, rsp := fleet.Signed(c.address), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(rsp)
	req.SetRequestURI("http://" + c.address + path)
	req.SetBody(raw)
	if err := c.http.Do(req, rsp); err != nil {
		return fmt.Errorf("call: %w", err)
	}
	if rsp.StatusCode() != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", path, rsp.StatusCode(), rsp.Body())
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(rsp.Body(), into); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
