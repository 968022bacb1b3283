package logins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

const (
	crowd   = 1000 // users, each with one passkey
	warmers = 100  // who are not measured
)

// user signs in with a software authenticator.
type user struct {
	id, handle string
	device     *authenticator.Device
}

// caller calls one Keyward for the users, and reads what that costs it.
type caller struct {
	address, admin string
	http           *fasthttp.HostClient
}

// crowdOf makes the users of a Keyward, some of whom have done each of the calls then.
func crowdOf(ctx context.Context, of *fleet.Contender, size, connections int) (*caller, []user, error) {
	client := &fasthttp.HostClient{Addr: of.Address, MaxConns: connections}
	c := &caller{address: of.Address, admin: of.Admin, http: client}
	users := make([]user, warmers+size)
	var group errgroup.Group
	group.SetLimit(connections)
	for i := range users {
		group.Go(func() (err error) {
			users[i], err = c.newUser()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for _, call := range []func(context.Context, user) error{c.appendStart, c.login} {
		if _, err := fleet.EachOnce(ctx, connections, users[:warmers], call); err != nil {
			return nil, nil, err
		}
	}
	return c, users[warmers:], nil
}

// unlimited is the environment of a Keyward that takes as many calls as are made.
func unlimited() []string {
	return []string{"KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off"}
}

func (c *caller) newUser() (user, error) {
	var made struct {
		ID string `json:"userID"`
	}
	if err := c.post("/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &made); err != nil {
		return user{}, err
	}
	device := authenticator.Phone()
	handle, err := fleet.CreatePasskey(c.address, made.ID, "", 0, device)
	return user{id: made.ID, handle: handle, device: device}, err
}

// appendStart offers the user a further passkey, as asked for, and leaves it at that.
func (c *caller) appendStart(_ context.Context, u user) error {
	return c.post("/v2/passkey/append/start", map[string]any{
		"userID": u.id, "processID": "bench-append-start", "username": "bench@example.com", "clientInformation": fleet.Client(u.id, u.handle),
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}, nil)
}

// begin begins a login.
func (c *caller) begin(u user, process string) (options string, err error) {
	var start struct {
		AssertionOptions string `json:"assertionOptions"`
	}
	err = c.post(fleet.Path, map[string]any{
		"userID": u.id, "processID": process, "crossDeviceAuthenticationStrategy": "standard", "clientInformation": fleet.Client(u.id, u.handle),
	}, &start)
	if err == nil && start.AssertionOptions == "" {
		err = errors.New("no passkey was offered")
	}
	return start.AssertionOptions, err
}

// loginStart begins a login that the user does not go on with.
func (c *caller) loginStart(_ context.Context, u user) error {
	_, err := c.begin(u, "bench-begun")
	return err
}

// login is a whole login: begun, signed, and finished.
func (c *caller) login(_ context.Context, u user) error {
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
		"userID": u.id, "processID": process, "assertionResponse": assertion, "clientInformation": fleet.Client(u.id, u.handle),
	}, nil)
}

// post calls the Backend API and decodes the answer unless into is nil. Any answer but 200 is an error.
func (c *caller) post(path string, body, into any) error {
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
