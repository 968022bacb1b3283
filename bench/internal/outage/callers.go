package outage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// The kinds of calls, which take turns: a decision, a write and a read.
const (
	logins = iota
	appends
	lists
	kinds
)

var kindNames = [kinds]string{"login starts", "events stored", "lists of events"}

const (
	callTimeout = 15 * time.Second      // more than a server lets a call take
	backOff     = 20 * time.Millisecond // after a call that failed
)

// call is one that has ended.
type call struct {
	kind   int
	began  time.Time
	ended  time.Time
	status int // 0 = no answer
	said   string
}

func (c call) ok() bool { return c.status == http.StatusOK }

// callers call without a pause until they are stopped.
type callers struct {
	stop  context.CancelFunc
	work  sync.WaitGroup
	every time.Duration

	address string // of whom they call

	mu   sync.Mutex
	done []call
}

// crowd is the requests about a user, by their kind.
type crowd [][kinds]*fasthttp.Request

// crowdOf makes requests of each kind of the login starts of a contender's users.
func crowdOf(c *fleet.Contender) (crowd, error) {
	all := make(crowd, len(c.Requests))
	for i, login := range c.Requests {
		var who struct {
			UserID string `json:"userID"`
		}
		if err := json.Unmarshal(login.Body(), &who); err != nil {
			return nil, fmt.Errorf("read a login start: %w", err)
		}
		events := "http://" + c.Address + "/v2/users/" + who.UserID + "/passkeyEvents"
		write, read := fleet.Signed(c.Address), fleet.Signed(c.Address)
		write.SetRequestURI(events)
		write.SetBodyString(`{"eventType":"local-unlock"}`)
		read.SetRequestURI(events + "?pageSize=10")
		read.Header.SetMethod(http.MethodGet)
		all[i] = [kinds]*fasthttp.Request{logins: login, appends: write, lists: read}
	}
	return all, nil
}

// call starts callers, each with a connection and each waiting for its answer. The kinds take turns on each.
func (of crowd) call(ctx context.Context, connections int) *callers {
	return of.start(ctx, connections, 1, 0)
}

// callEvery is call with a time from the beginning of a caller's call to that of its next.
func (of crowd) callEvery(ctx context.Context, connections int, every time.Duration) *callers {
	return of.start(ctx, connections, 1, every)
}

// callApart is call with connections for each kind, so that those of one kind do not wait for those of another.
func (of crowd) callApart(ctx context.Context, connections int) *callers {
	return of.start(ctx, connections, kinds, 0)
}

func (of crowd) start(ctx context.Context, connections, step int, every time.Duration) *callers {
	ctx, stop := context.WithCancel(ctx)
	c := &callers{stop: stop, every: every, address: string(of[0][0].Host())} // which a request finds out once, and not for several at once
	for i := range connections {
		c.work.Go(func() { c.run(ctx, of, i, step) })
	}
	return c
}

func (c *callers) run(ctx context.Context, of crowd, next, step int) {
	client := &fasthttp.HostClient{Addr: c.address, MaxConns: 1, MaxIdemponentCallAttempts: 1}
	defer client.CloseIdleConnections()
	var req fasthttp.Request
	var rsp fasthttp.Response
	for ; ctx.Err() == nil; next += step {
		done := call{kind: next % kinds, began: time.Now()}
		of[next/kinds%len(of)][done.kind].CopyTo(&req)
		if err := client.DoTimeout(&req, &rsp, callTimeout); err != nil {
			done.said = err.Error()
		} else if done.status = rsp.StatusCode(); !done.ok() {
			done.said = string(rsp.Body())
		}
		done.ended = time.Now()
		c.mu.Lock()
		c.done = append(c.done, done)
		c.mu.Unlock()
		if !done.ok() {
			pause(ctx, backOff)
		}
		pause(ctx, time.Until(done.began.Add(c.every)))
	}
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// finish stops the callers and returns what they called.
func (c *callers) finish() []call {
	c.stop()
	c.work.Wait()
	return c.done
}

// take returns what was called since it last was asked.
func (c *callers) take() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.done
	c.done = nil
	return taken
}

// rate returns how many calls a second were answered well between two moments.
func rate(calls []call, from, to time.Time) float64 {
	n := 0
	for _, c := range calls {
		if c.ok() && !c.ended.Before(from) && c.ended.Before(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

// failed returns the calls of a time that were not answered well.
func failed(calls []call, from, to time.Time) []call {
	return slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.ok() || c.ended.Before(from) || !c.ended.Before(to) })
}

func only(calls []call, kind int) []call {
	return slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.kind != kind })
}

// quantile of values that are there; it sorts them.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// told is how many failed calls are printed.
const told = 40

// tell prints calls that failed.
func tell(calls []call) {
	for _, c := range calls[:min(len(calls), told)] {
		fmt.Printf(
			"  %s: %s after %s: status %d: %s\n", c.ended.Format(time.StampMilli), kindNames[c.kind], c.ended.Sub(c.began), c.status, c.said,
		)
	}
}
