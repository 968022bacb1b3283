package events

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// eventCallers are the numbers of users of whom each has events reported, so that few calls in a row are about the same.
const eventCallers = 1000

// eventBody is an event as an SDK reports it.
var eventBody = map[string]any{"eventType": "local-unlock", "processID": "prc-1234567890", "clientEnvID": "env-1234567890"}

// compareCalls measures POST /v2/users/{userID}/passkeyEvents on a server of its own, with as many connections as there were publishers.
func (f measurement) compareCalls(ctx context.Context) error {
	var contenders []*fleet.Contender
	for _, start := range []func(context.Context) (*fleet.Contender, error){f.reporting, f.reportingToRedis} {
		c, err := start(ctx)
		if err != nil {
			return err
		}
		contenders = append(contenders, c)
	}
	fmt.Printf(
		"\nPOST /v2/users/{userID}/passkeyEvents, %d users, every acknowledged write on disk; median of %d rounds of %s, load generator on the "+
			"same cores\n\n",
		eventCallers, f.Rounds, f.Duration,
	)
	t := fleet.NewTable("calls/s", "p50 ms", "p99 ms", "memory MiB")
	for _, connections := range publishers {
		results, err := f.Measure(ctx, contenders, connections)
		if err != nil {
			return err
		}
		for i, c := range contenders {
			r := results[i]
			t.Row(fmt.Sprintf("%s, %d", c.Name, connections), "%.0f", r.Rate(), "%.2f", r.P50(), "%.2f", r.P99(), "%.0f", r.Memory())
		}
	}
	return t.Print()
}

func (f measurement) reporting(ctx context.Context) (*fleet.Contender, error) {
	return reportOn(f.One(ctx, "embedded cache", fleet.Crowd{}, unlimitedCalls))
}

func (f measurement) reportingToRedis(ctx context.Context) (*fleet.Contender, error) {
	return reportOn(f.WithRedis(ctx, "Redis", fleet.Crowd{}, unlimitedCalls))
}

// unlimitedCalls lets the load generator, which is one caller, make all its calls.
const unlimitedCalls = "KEYWARD_RATE_LIMIT_PROJECT=off"

func reportOn(c *fleet.Contender, err error) (*fleet.Contender, error) {
	if err != nil {
		return nil, err
	}
	users, err := someUsers(c.Address, eventCallers)
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		c.Requests = append(c.Requests, report(c.Address, user))
	}
	return c, nil
}

// someUsers makes users and returns their IDs.
func someUsers(address string, count int) ([]string, error) {
	users := make([]string, count)
	var group errgroup.Group
	group.SetLimit(32)
	for i := range users {
		group.Go(func() error {
			var user struct {
				UserID string `json:"userID"`
			}
			err := fleet.Post(address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user)
			users[i] = user.UserID
			return err
		})
	}
	return users, group.Wait()
}

func eventsPath(user string) string { return "/v2/users/" + user + "/passkeyEvents" }

func report(address, user string) *fasthttp.Request {
	raw, _ := json.Marshal(eventBody)
	req := authorized(http.MethodPost, address, eventsPath(user))
	req.Header.SetContentType("application/json")
	req.SetBody(raw)
	return req
}

func authorized(method, address, path string) *fasthttp.Request {
	req := new(fasthttp.Request)
	req.Header.SetMethod(method)
	req.SetRequestURI("http://" + address + path)
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(fleet.Project+":"+fleet.Secret)))
	return req
}

// compareLists measures one page of a user's events, of which there are few and many.
func (f measurement) compareLists(ctx context.Context) error {
	c, err := f.One(ctx, "embedded cache", fleet.Crowd{}, unlimitedCalls)
	if err != nil {
		return err
	}
	fmt.Printf("\nGET /v2/users/{userID}/passkeyEvents?pageSize=20, the first page; median of %d rounds of %s\n\n", f.Rounds, f.Duration)
	t := fleet.NewTable("connections", "calls/s", "p50 ms", "p99 ms")
	for _, events := range []int{10, 10_000} {
		users, err := someUsers(c.Address, 1)
		if err != nil {
			return err
		}
		var group errgroup.Group
		group.SetLimit(256)
		for range events {
			group.Go(func() error { return fleet.Post(c.Address, eventsPath(users[0]), eventBody, nil) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		of := &fleet.Contender{
			Name:     fmt.Sprintf("%d events", events),
			Requests: []*fasthttp.Request{authorized(http.MethodGet, c.Address, eventsPath(users[0])+"?pageSize=20")},
		}
		for _, connections := range []int{1, 32} {
			results, err := f.Measure(ctx, []*fleet.Contender{of}, connections)
			if err != nil {
				return err
			}
			r := results[0]
			t.Row(of.Name, "%.0f", float64(connections), "%.0f", r.Rate(), "%.2f", r.P50(), "%.2f", r.P99())
		}
	}
	return t.Print()
}
