package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/core/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestALineCarriesWhatNamesTheRequestAndNoSecret(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := telemetry.NewLogger(&out, slog.LevelInfo).With(telemetry.KeyService, "gateway")
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(reqctx.WithRequestID(t.Context(), "req-7"), span)
	log.InfoContext(
		ctx, "hello", "api_secret", "plain-1", "Authorization", "plain-2", "token", secret.Text("plain-3"),
		telemetry.KeyProject, "pro-1",
	)
	log.Debug("not shown")
	log.InfoContext(ctx, "twice", telemetry.KeyRequestID, "req-7")
	if n := strings.Count(out.String(), telemetry.KeyRequestID); n != 2 {
		t.Errorf("two lines name their request %d times", n)
	}

	var got map[string]any
	if err := json.NewDecoder(&out).Decode(&got); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	delete(got, "time")
	want := map[string]any{
		"level":         "INFO",
		"msg":           "hello",
		"service":       "gateway",
		"project":       "pro-1",
		"request_id":    "req-7",
		"trace_id":      "01000000000000000000000000000000",
		"api_secret":    secret.Stars,
		"Authorization": secret.Stars,
		"token":         secret.Stars,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log line (-want +got):\n%s", diff)
	}
}

func TestReadinessSaysHowEachDependencyIs(t *testing.T) {
	t.Parallel()
	fine := func(context.Context) error { return nil }
	away := func(context.Context) error { return errors.New("connection\nrefused") }
	hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		nats, redis func(context.Context) error
		drain       bool
		status      int
		short, long string
	}{
		"all well":               {fine, fine, false, 200, "ok\n", "nats ok\nredis ok\nok\n"},
		"redis away is degraded": {fine, away, false, 200, "degraded\n", "nats ok\nredis degraded connection refused\ndegraded\n"},
		"nats away is down":      {away, fine, false, 503, "down\n", "nats down connection refused\nredis ok\ndown\n"},
		"down is worse than degraded": {
			away, away, false, 503, "down\n", "nats down connection refused\nredis degraded connection refused\ndown\n",
		},
		"no answer in time is down": {hangs, fine, false, 503, "down\n", "nats down context deadline exceeded\nredis ok\ndown\n"},
		"draining takes no calls":   {fine, fine, true, 503, "down\n", "shutdown down draining\ndown\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			health := &telemetry.Health{}
			health.Register("nats", telemetry.PingCheck(c.nats, telemetry.Down))
			health.Register("redis", telemetry.PingCheck(c.redis, telemetry.Degraded))
			if c.drain {
				health.Drain()
			}
			handler := telemetry.AdminHandler(telemetry.Shown{Metrics: telemetry.NewRegistry(telemetry.Build{}), Health: health})
			for path, want := range map[string]string{"/readyz": c.short, "/readyz?verbose": c.long} {
				rsp := httptest.NewRecorder()
				handler.ServeHTTP(rsp, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
				if rsp.Code != c.status || rsp.Body.String() != want {
					t.Errorf("%s: got %d %q, want %d %q", path, rsp.Code, rsp.Body.String(), c.status, want)
				}
			}
		})
	}
}

func TestTheAdminPortAnswersAndStops(t *testing.T) {
	t.Parallel()
	build := telemetry.Build{Version: "1.2.3", Revision: "abc", Go: "go1"}
	admin, err := telemetry.NewAdmin(
		t.Context(), "127.0.0.1:0",
		telemetry.Shown{Metrics: telemetry.NewRegistry(build), Health: &telemetry.Health{}, Build: build},
		slog.New(slog.DiscardHandler),
	)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- admin.Serve() }()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{
		"/livez":   "ok\n",
		"/readyz":  "ok\n",
		"/version": `{"version":"1.2.3","revision":"abc","go":"go1"}` + "\n",
		"/metrics": `keyward_build_info{go_version="go1",revision="abc",version="1.2.3"} 1`,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		rsp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(rsp.Body)
		if err := errors.Join(err, rsp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if rsp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: got %d %s, want %s", path, rsp.StatusCode, body, want)
		}
	}
	if err := admin.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestNothingIsTracedUnlessTheEnvironmentAsks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing set":            {nil, false},
		"an endpoint":            {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, true},
		"an endpoint for traces": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, true},
		"an exporter":            {map[string]string{"OTEL_TRACES_EXPORTER": "console"}, true},
		"none beats an endpoint": {map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, false},
		"disabled beats all":     {map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			getenv := func(key string) string { return c.env[key] }
			if got := telemetry.TracingWanted(getenv); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// It changes the process's environment and tracer, so it does not run beside others.
func TestSpansReachTheExporterNamedInTheEnvironment(t *testing.T) {
	received := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
	}))
	defer collector.Close()
	env := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "none",
	}
	for key, value := range env {
		t.Setenv(key, value)
	}
	provider, stop, err := telemetry.StartTracing(
		t.Context(), func(key string) string { return env[key] }, "ceremony", telemetry.Build{Version: "1.2.3"},
	)
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer("test").Start(t.Context(), "a-span-name")
	span.End()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := <-received
	for _, want := range []string{"a-span-name", "keyward-ceremony", "service.instance.id", "1.2.3"} {
		if !strings.Contains(body, want) {
			t.Errorf("the collector did not receive %q", want)
		}
	}
}

func TestAChangeOfReadinessIsToldWithItsCauseAndCounted(t *testing.T) {
	t.Parallel()
	health := &telemetry.Health{}
	health.Register("redis", telemetry.PingCheck(func(context.Context) error { return errors.New("READONLY replica") }, telemetry.Degraded))
	health.Register("nats", telemetry.PingCheck(func(context.Context) error { return nil }, telemetry.Down))
	var out bytes.Buffer
	registry := telemetry.NewRegistry(telemetry.Build{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- health.Watch(ctx, registry, telemetry.NewLogger(&out, slog.LevelInfo)) }()
	metrics := func() string {
		rsp := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil)
		telemetry.AdminHandler(telemetry.Shown{Metrics: registry, Health: health}).ServeHTTP(rsp, request)
		return rsp.Body.String()
	}
	limit := time.Now().Add(time.Minute)
	for !strings.Contains(metrics(), `keyward_dependency_state{name="redis"} 1`) {
		if time.Now().After(limit) {
			t.Fatalf("the state is not in the metrics:\n%s", metrics())
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "READONLY replica") || strings.Contains(out.String(), "nats") {
		t.Errorf("the log does not tell the cause, or tells what is well:\n%s", out.String())
	}
}

func TestACheckThatCostsSomethingIsMadeSeldom(t *testing.T) {
	t.Parallel()
	var looks atomic.Int64
	check := telemetry.Seldom(time.Hour, func(context.Context) telemetry.Status {
		looks.Add(1)
		return telemetry.Status{State: telemetry.Degraded, Detail: "full"}
	})
	for range 10 {
		if got := check(t.Context()); got.Detail != "full" {
			t.Errorf("got %+v", got)
		}
	}
	if n := looks.Load(); n != 1 {
		t.Errorf("looked %d times", n)
	}
}

func TestProfilesAreThereOnlyIfAskedFor(t *testing.T) {
	t.Parallel()
	for asked, want := range map[bool]int{false: http.StatusNotFound, true: http.StatusOK} {
		shows := telemetry.Shown{Metrics: telemetry.NewRegistry(telemetry.Build{}), Health: &telemetry.Health{}, Profiles: asked}
		rsp := httptest.NewRecorder()
		telemetry.AdminHandler(shows).ServeHTTP(rsp, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/", nil))
		if rsp.Code != want {
			t.Errorf("asked for: %t, answered %d", asked, rsp.Code)
		}
	}
}
