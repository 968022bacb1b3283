package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
)

const sessionUsers = 1000 // enough that no user's history grows much while it is measured

// compareSessions measures the start of a passkey for the current user beside a bare Fiber handler that decodes the same body and
// verifies the same JWT.
func (f bench) compareSessions(ctx context.Context) error {
	always, err := f.sessions(ctx, "one process, every event on disk", "always")
	if err != nil {
		return err
	}
	lazily, err := f.sessions(ctx, "one process, flushed every 2 s", "2s")
	if err != nil {
		return err
	}
	floor, err := f.bareSession(ctx, always)
	if err != nil {
		return err
	}
	contenders := []*fleet.Contender{floor, always, lazily}
	results, err := f.Measure(ctx, contenders, f.Connections)
	if err != nil {
		return err
	}
	fmt.Printf("POST %s, %d users with a session each, %d connections, median of %d rounds of %s, load generator on the same cores\n\n",
		fleet.MinePath, sessionUsers, f.Connections, f.Rounds, f.Duration)
	t := fleet.NewTable("calls/s", "of bare", "p50 ms", "p99 ms", "memory MiB")
	for i, c := range contenders {
		r := results[i]
		t.Row(c.Name, "%.0f", r.Rate(), "%.0f %%", 100*r.Rate()/results[0].Rate(), "%.2f", r.P50(), "%.2f", r.P99(), "%.0f", r.Memory())
	}
	return t.Print()
}

// Sessions starts a Keyward whose users have sessions.
func (f bench) sessions(ctx context.Context, name, sync string) (*fleet.Contender, error) {
	data, err := os.MkdirTemp(f.Dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	c := &fleet.Contender{Name: name}
	ready, err := f.Keyward(c, fleet.FreeAddress(), "all", []string{
		"KEYWARD_DATA_DIR=" + data, "KEYWARD_NATS_ADDR=off", "KEYWARD_SYNC_INTERVAL=" + sync, "KEYWARD_SHORT_SESSION_LIFETIME=1h",
		"KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROCESSES=off", "KEYWARD_RATE_LIMIT_SIGN_UPS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
	})
	if err != nil {
		return nil, err
	}
	if err := fleet.Answering(ctx, ready); err != nil {
		return nil, err
	}
	c.Requests = make([]*fasthttp.Request, sessionUsers)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range c.Requests {
		group.Go(func() (err error) {
			c.Requests[i], err = settleSession(c.Address)
			return err
		})
	}
	return c, group.Wait()
}

// settleSession makes one user with a session and returns the user's request.
func settleSession(address string) (*fasthttp.Request, error) {
	var user struct{ UserID string }
	if err := fleet.Post(address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user); err != nil {
		return nil, err
	}
	var long struct{ LongSessionID string }
	sessions := "/v2/users/" + user.UserID + "/longSessions"
	if err := fleet.Post(address, sessions, map[string]any{"appType": "web", "identifierValue": "ada@example.com"}, &long); err != nil {
		return nil, err
	}
	var short struct{ Value string }
	if err := fleet.Post(
		address, sessions+"/"+long.LongSessionID+"/shortSessions", map[string]any{"appType": "web", "issuer": fleet.Origin}, &short,
	); err != nil {
		return nil, err
	}
	return mine(address, short.Value)
}

func mine(address, token string) (*fasthttp.Request, error) {
	body, err := json.Marshal(map[string]any{"clientInformation": map[string]any{
		"bluetoothAvailable": true,
		"visitorId":          "9f86d081884c7d659a2feaa0c55ad015",
		"isUserVerifyingPlatformAuthenticatorAvailable": true,
		"isConditionalMediationAvailable":               true,
		"privateMode":                                   false,
		"webdriver":                                     false,
		"clientCapabilities": map[string]any{
			"conditionalCreate": true, "conditionalMediation": true, "hybridTransport": true,
			"passkeyPlatformAuthenticator": true,
		},
		"javaScriptHighEntropy": map[string]any{"platform": "macOS", "platformVersion": "15.1.0", "mobile": false},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	req := new(fasthttp.Request)
	req.Header.SetMethod(http.MethodPost)
	req.SetRequestURI("http://" + address + fleet.MinePath)
	req.Header.SetContentType("application/json")
	req.Header.SetUserAgent(
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
	)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Corbado-ProjectID", fleet.Project)
	req.SetBody(body)
	return req, nil
}

// bareSession is the floor: it gets the requests of another contender, and knows the keys that their tokens are signed with.
func (f bench) bareSession(ctx context.Context, of *fleet.Contender) (*fleet.Contender, error) {
	keys, err := fetch("http://" + of.Address + "/.well-known/jwks")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(f.Dir, "keys.json")
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		return nil, fmt.Errorf("write the keys: %w", err)
	}
	c, err := f.Floor(ctx, "bare Fiber that verifies the JWT", fleet.BareSessionCommand, file)
	if err != nil {
		return nil, err
	}
	address := string(c.Requests[0].Host())
	c.Requests = make([]*fasthttp.Request, len(of.Requests))
	for i, request := range of.Requests {
		c.Requests[i] = new(fasthttp.Request)
		request.CopyTo(c.Requests[i])
		c.Requests[i].SetRequestURI("http://" + address + fleet.MinePath)
		c.Requests[i].SetHost(address)
	}
	return c, nil
}

func fetch(url string) ([]byte, error) {
	rsp, err := http.Get(url)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	return io.ReadAll(rsp.Body)
}
