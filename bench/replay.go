package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/keyward/keyward/bench/internal/fleet"
)

// recorder stands before a Keyward and keeps the login starts that pass.
type recorder struct {
	proxy *httputil.ReverseProxy

	mu     sync.Mutex
	bodies [][]byte
	errs   int
}

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == fleet.Path {
		body, err := io.ReadAll(req.Body)
		r.mu.Lock()
		if err != nil {
			r.errs++
		}
		r.bodies = append(r.bodies, body)
		r.mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.proxy.ServeHTTP(w, req)
}

// replayDemo lets the demo's population live, replays its login starts and tells how often the memo knew the answer.
func (f bench) replayDemo(ctx context.Context) error {
	c, err := f.WithRedis(ctx, "demo", fleet.Crowd{Users: 1, Events: fleet.Usual.Events})
	if err != nil {
		return err
	}
	logins, err := f.demo(ctx, c)
	if err != nil {
		return err
	}
	requests := make([]*fasthttp.Request, len(logins))
	for i, body := range logins {
		requests[i] = fleet.Signed(c.Address)
		requests[i].SetBody(body)
	}
	lived, err := memoOf(c.Admin)
	if err != nil {
		return err
	}
	rate, err := once(ctx, c.Address, requests, f.Connections)
	if err != nil {
		return err
	}
	all, err := memoOf(c.Admin)
	if err != nil {
		return err
	}
	replayed := memo{hits: all.hits - lived.hits, misses: all.misses - lived.misses}
	fmt.Printf(
		"keyward demo --users %d, its %d login starts replayed at %.0f a second: hit ratio %.3f %% (%.0f misses; %.0f answers kept); while the "+
			"demo lived, logins and creations: %.2f %% (%.0f misses)\n",
		f.Population, len(logins), rate, replayed.ratio(), replayed.misses, all.entries, lived.ratio(), lived.misses,
	)
	return nil
}

// demo runs the demo through a recorder and returns the bodies of its login starts.
func (f bench) demo(ctx context.Context, c *fleet.Contender) ([][]byte, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &recorder{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: c.Address})}
	r.proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer func() { _ = server.Close() }()
	demo := exec.CommandContext(
		ctx, f.Settings.Keyward, "demo", "--url", "http://"+listener.Addr().String(), "--project", fleet.Project, "--secret", fleet.Secret,
		"--users", strconv.Itoa(f.Population),
	)
	if out, err := demo.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run the demo: %w: %s", err, out)
	}
	if r.errs > 0 {
		return nil, fmt.Errorf("%d login starts could not be recorded", r.errs)
	}
	return r.bodies, nil
}

// once sends every request once and returns how many were answered a second.
func once(ctx context.Context, address string, requests []*fasthttp.Request, connections int) (float64, error) {
	client := &fasthttp.HostClient{Addr: address, MaxConns: connections}
	defer client.CloseIdleConnections()
	next := make(chan *fasthttp.Request)
	failures := make(chan error, connections)
	began := time.Now()
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			var rsp fasthttp.Response
			for request := range next {
				err := client.Do(request, &rsp)
				if err == nil && rsp.StatusCode() != fasthttp.StatusOK {
					err = fmt.Errorf("status %d: %s", rsp.StatusCode(), rsp.Body())
				}
				if err != nil {
					failures <- err
					return
				}
			}
		})
	}
	defer all.Wait()
	defer close(next)
	for _, request := range requests {
		select {
		case next <- request:
		case err := <-failures:
			return 0, fmt.Errorf("replay: %w", err)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return float64(len(requests)) / time.Since(began).Seconds(), nil
}

// memo is what a Keyward says of its memo.
type memo struct{ hits, misses, entries float64 }

func (m memo) ratio() float64 { return 100 * m.hits / max(m.hits+m.misses, 1) }

// memoOf reads the metrics, added up over the actions.
func memoOf(admin string) (memo, error) {
	families, err := fleet.Metrics(admin)
	if err != nil {
		return memo{}, err
	}
	var m memo
	for _, metric := range families["keyward_policy_memo_total"].GetMetric() {
		for _, label := range metric.GetLabel() {
			switch label.GetValue() {
			case "hit":
				m.hits += metric.GetCounter().GetValue()
			case "miss":
				m.misses += metric.GetCounter().GetValue()
			}
		}
	}
	for _, metric := range families["keyward_policy_memo_entries"].GetMetric() {
		m.entries += metric.GetGauge().GetValue()
	}
	if m.hits+m.misses == 0 {
		return memo{}, errors.New("the metrics tell nothing of the memo")
	}
	return m, nil
}
