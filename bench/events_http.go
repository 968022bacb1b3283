package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
)

// eventCallers are the numbers of users of whom each has events reported, so that few calls in a row are about the same.
const eventCallers = 1000

// eventBody is an event as an SDK reports it.
var eventBody = map[string]any{"eventType": "local-unlock", "processID": "prc-1234567890", "clientEnvID": "env-1234567890"}

// compareCalls measures POST /v2/users/{userID}/passkeyEvents on a server of its own, with as many connections as there were publishers.
func (f *fleet) compareCalls(ctx context.Context) error {
	var contenders []*contender
	for _, start := range []func(context.Context) (*contender, error){f.reporting, f.reportingToRedis} {
		c, err := start(ctx)
		if err != nil {
			return err
		}
		contenders = append(contenders, c)
	}
	fmt.Printf("\nPOST /v2/users/{userID}/passkeyEvents, %d users, every acknowledged write on disk; median of %d rounds of %s, load generator on the same cores\n\n", eventCallers, f.rounds, f.duration)
	t := newTable("calls/s", "p50 ms", "p99 ms", "memory MiB")
	for _, connections := range publishers {
		results, err := f.measure(ctx, contenders, connections)
		if err != nil {
			return err
		}
		for i, c := range contenders {
			r := results[i]
			t.row(fmt.Sprintf("%s, %d", c.name, connections), "%.0f", r.rate(), "%.2f", r.p50(), "%.2f", r.p99(), "%.0f", r.memory())
		}
	}
	return t.print()
}

func (f *fleet) reporting(ctx context.Context) (*contender, error) {
	return reportOn(f.one(ctx, "embedded cache", crowd{}, unlimitedCalls))
}

func (f *fleet) reportingToRedis(ctx context.Context) (*contender, error) {
	return reportOn(f.withRedis(ctx, "Redis", crowd{}, unlimitedCalls))
}

// unlimitedCalls lets the load generator, which is one caller, make all its calls.
const unlimitedCalls = "KEYWARD_RATE_LIMIT_PROJECT=off"

func reportOn(c *contender, err error) (*contender, error) {
	if err != nil {
		return nil, err
	}
	users, err := someUsers(c.address, eventCallers)
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		c.requests = append(c.requests, report(c.address, user))
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
			err := post(address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &user)
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
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(project+":"+secret)))
	return req
}

// compareLists measures one page of a user's events, of which there are few and many.
func (f *fleet) compareLists(ctx context.Context) error {
	c, err := f.one(ctx, "embedded cache", crowd{}, unlimitedCalls)
	if err != nil {
		return err
	}
	fmt.Printf("\nGET /v2/users/{userID}/passkeyEvents?pageSize=20, the first page; median of %d rounds of %s\n\n", f.rounds, f.duration)
	t := newTable("connections", "calls/s", "p50 ms", "p99 ms")
	for _, events := range []int{10, 10_000} {
		users, err := someUsers(c.address, 1)
		if err != nil {
			return err
		}
		var group errgroup.Group
		group.SetLimit(256)
		for range events {
			group.Go(func() error { return post(c.address, eventsPath(users[0]), eventBody, nil) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		of := &contender{name: fmt.Sprintf("%d events", events), requests: []*fasthttp.Request{authorized(http.MethodGet, c.address, eventsPath(users[0])+"?pageSize=20")}}
		for _, connections := range []int{1, 32} {
			results, err := f.measure(ctx, []*contender{of}, connections)
			if err != nil {
				return err
			}
			r := results[0]
			t.row(of.name, "%.0f", float64(connections), "%.0f", r.rate(), "%.2f", r.p50(), "%.2f", r.p99())
		}
	}
	return t.print()
}
