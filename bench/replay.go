package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
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
	if req.URL.Path == path {
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
func (f *fleet) replayDemo(ctx context.Context) error {
	c, err := f.withRedis(ctx, "demo", crowd{users: 1, events: usual.events})
	if err != nil {
		return err
	}
	logins, err := f.demo(ctx, c)
	if err != nil {
		return err
	}
	requests := make([]*fasthttp.Request, len(logins))
	for i, body := range logins {
		requests[i] = signed(c.address)
		requests[i].SetBody(body)
	}
	before, err := memoCounts(c.admin)
	if err != nil {
		return err
	}
	rate, err := once(ctx, c.address, requests, f.connections)
	if err != nil {
		return err
	}
	after, err := memoCounts(c.admin)
	if err != nil {
		return err
	}
	hits, misses := after["hits"]-before["hits"], after["misses"]-before["misses"]
	fmt.Printf("keyward demo --users %d, its %d login starts replayed at %.0f a second: hit ratio %.2f %% (%.0f hits, %.0f misses, %.0f answers kept); while the demo ran: %.2f %%\n",
		f.population, len(logins), rate, 100*hits/(hits+misses), hits, misses, after["size"], 100*before["hits"]/(before["hits"]+before["misses"]))
	return nil
}

// demo runs the demo through a recorder and returns the bodies of its login starts.
func (f *fleet) demo(ctx context.Context, c *contender) ([][]byte, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &recorder{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: c.address})}
	r.proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	server := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer func() { _ = server.Close() }()
	demo := exec.CommandContext(ctx, f.settings.keyward, "demo", "--url", "http://"+listener.Addr().String(), "--project", project, "--secret", secret, "--users", strconv.Itoa(f.population))
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

const memoPrefix = "keyward_decision_memo_"

// memoCounts reads the memo's metrics, added up over their labels, by the part of their names that tells them apart.
func memoCounts(admin string) (map[string]float64, error) {
	rsp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = rsp.Body.Close() }()
	text, err := io.ReadAll(rsp.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	counts := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, found := strings.CutPrefix(line, memoPrefix)
		if !found {
			continue
		}
		fields := strings.Fields(name)
		kind, _, _ := strings.Cut(fields[0], "{")
		value, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return nil, fmt.Errorf("read metric %s: %w", line, err)
		}
		counts[strings.TrimSuffix(kind, "_total")] += value
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("no metric begins with %s", memoPrefix)
	}
	return counts, nil
}
