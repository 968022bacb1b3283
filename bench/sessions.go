package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

const (
	bareSessionCommand = "bare-session"
	minePath           = "/v2/me/passkeys/append/start"
	sessionUsers       = 1000 // enough that no user's history grows much while it is measured
)

// compareSessions measures the start of a passkey for the current user beside a bare Fiber handler that decodes the same body and verifies the same JWT.
func (f *fleet) compareSessions(ctx context.Context) error {
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
	contenders := []*contender{floor, always, lazily}
	results, err := f.measure(ctx, contenders, f.connections)
	if err != nil {
		return err
	}
	fmt.Printf("POST %s, %d users with a session each, %d connections, median of %d rounds of %s, load generator on the same cores\n\n",
		minePath, sessionUsers, f.connections, f.rounds, f.duration)
	t := newTable("calls/s", "of bare", "p50 ms", "p99 ms", "memory MiB")
	for i, c := range contenders {
		r := results[i]
		t.row(c.name, "%.0f", r.rate(), "%.0f %%", 100*r.rate()/results[0].rate(), "%.2f", r.p50(), "%.2f", r.p99(), "%.0f", r.memory())
	}
	return t.print()
}

// sessions starts a Keyward whose users have sessions.
func (f *fleet) sessions(ctx context.Context, name, sync string) (*contender, error) {
	data, err := os.MkdirTemp(f.dir, "data-")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	c := &contender{name: name}
	ready, err := f.keyward(c, freeAddress(), "all", []string{
		"KEYWARD_DATA_DIR=" + data, "KEYWARD_NATS_ADDR=off", "KEYWARD_SYNC_INTERVAL=" + sync, "KEYWARD_SHORT_SESSION_LIFETIME=1h",
		"KEYWARD_RATE_LIMIT_ADDRESS=off", "KEYWARD_RATE_LIMIT_PROJECT=off",
	})
	if err != nil {
		return nil, err
	}
	if err := answering(ctx, ready); err != nil {
		return nil, err
	}
	c.requests = make([]*fasthttp.Request, sessionUsers)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range c.requests {
		group.Go(func() (err error) {
			c.requests[i], err = settleSession(c.address)
			return err
		})
	}
	return c, group.Wait()
}

// settleSession makes one user with a session and returns the user's request.
func settleSession(address string) (*fasthttp.Request, error) {
	var user struct{ UserID string }
	if err := post(address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user); err != nil {
		return nil, err
	}
	var long struct{ LongSessionID string }
	sessions := "/v2/users/" + user.UserID + "/longSessions"
	if err := post(address, sessions, map[string]any{"appType": "web", "identifierValue": "ada@example.com"}, &long); err != nil {
		return nil, err
	}
	var short struct{ Value string }
	if err := post(address, sessions+"/"+long.LongSessionID+"/shortSessions", map[string]any{"appType": "web", "issuer": origin}, &short); err != nil {
		return nil, err
	}
	return mine(address, short.Value)
}

func mine(address, token string) (*fasthttp.Request, error) {
	body, err := json.Marshal(map[string]any{"clientInformation": map[string]any{
		"bluetoothAvailable": true, "visitorId": "9f86d081884c7d659a2feaa0c55ad015", "isUserVerifyingPlatformAuthenticatorAvailable": true,
		"isConditionalMediationAvailable": true, "privateMode": false, "webdriver": false,
		"clientCapabilities":    map[string]any{"conditionalCreate": true, "conditionalMediation": true, "hybridTransport": true, "passkeyPlatformAuthenticator": true},
		"javaScriptHighEntropy": map[string]any{"platform": "macOS", "platformVersion": "15.1.0", "mobile": false},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	req := new(fasthttp.Request)
	req.Header.SetMethod(http.MethodPost)
	req.SetRequestURI("http://" + address + minePath)
	req.Header.SetContentType("application/json")
	req.Header.SetUserAgent("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15")
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Corbado-ProjectID", project)
	req.SetBody(body)
	return req, nil
}

// bareSession is the floor: it gets the requests of another contender, and knows the keys that their tokens are signed with.
func (f *fleet) bareSession(ctx context.Context, of *contender) (*contender, error) {
	keys, err := fetch("http://" + of.address + "/.well-known/jwks")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(f.dir, "keys.json")
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		return nil, fmt.Errorf("write the keys: %w", err)
	}
	c, err := f.floor(ctx, "bare Fiber that verifies the JWT", bareSessionCommand, file)
	if err != nil {
		return nil, err
	}
	address := string(c.requests[0].Host())
	c.requests = make([]*fasthttp.Request, len(of.requests))
	for i, request := range of.requests {
		c.requests[i] = new(fasthttp.Request)
		request.CopyTo(c.requests[i])
		c.requests[i].SetRequestURI("http://" + address + minePath)
		c.requests[i].SetHost(address)
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

// serveBareSession decodes the body into a map, verifies the token as any service that trusts the keys would, and answers with two fields.
func serveBareSession(file, address string) error {
	keys, err := jwk.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(minePath, func(c *fiber.Ctx) error {
		token, err := jwt.ParseString(strings.TrimPrefix(c.Get(fiber.HeaderAuthorization), "Bearer "), jwt.WithKeySet(keys), jwt.WithIssuer(origin))
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		var body map[string]any
		if err := json.Unmarshal(c.Body(), &body); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		subject, _ := token.Subject()
		return c.JSON(fiber.Map{"attestationOptions": "", "userID": subject})
	})
	return app.Listen(address)
}
