package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
)

// raw sends a request whose target Go's client would not write as it is.
func (s *server) raw(method, target string) answer {
	s.t.Helper()
	return s.bytes(
		fmt.Sprintf(
			"%s %s HTTP/1.1\r\nHost: keyward\r\nAuthorization: %s\r\nConnection: close\r\n\r\n", method, target,
			basic("pro-1", secretA)["Authorization"],
		),
	)
}

// bytes sends request as it is over a connection of its own.
func (s *server) bytes(request string) answer {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.gateway.Addr())
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		s.t.Fatal(err)
	}
	rsp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatalf("%.80q: %v", request, err)
	}
	defer rsp.Body.Close()
	return s.read(rsp)
}

func TestRequestsThatAreNotHTTPStillGetTheEnvelope(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{ReadTimeout: 2 * time.Second}})
	for _, tc := range []struct {
		name, request string
		status        int
		readable      string // Access-Control-Allow-Origin
	}{
		{"no HTTP at all", "hello\r\n\r\n", 400, ""},
		{"headers that are too large", "GET /v2/users HTTP/1.1\r\nHost: a\r\nX-Big: " + strings.Repeat("x", 20_000) + "\r\n\r\n", 431, "*"},
		{"a body far too large", "POST /v2/users HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n", 413, ""},
		{
			"the same from a page",
			"POST /v2/users HTTP/1.1\r\nHost: a\r\nOrigin: " + originA + "\r\nContent-Length: 100000000\r\n\r\n", 413, originA,
		},
		{
			"the same from a page nobody lists",
			"POST /v2/users HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\nContent-Length: 100000000\r\n\r\n", 413, "",
		},
		{"a body that never comes", "POST /v2/users HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", 408, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := s.bytes(tc.request); a.status != tc.status || a.header.Get("Access-Control-Allow-Origin") != tc.readable {
				t.Errorf("got %d, readable for %q: %s", a.status, a.header.Get("Access-Control-Allow-Origin"), a.body)
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct{ name, sent, want string }{
		{"one that is sent is kept", "trace-1.2:3_4", "trace-1.2:3_4"},
		{"one with a space is replaced", "a b", ""},
		{"one with a quote is replaced", `a"b`, ""},
		{"one that is too long is replaced", strings.Repeat("a", 129), ""},
		{"none is made up", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.call("GET", "/v2/nothing", "", map[string]string{"X-Request-ID": tc.sent})
			got := a.header.Get("X-Request-ID")
			if tc.want != "" && got != tc.want {
				t.Errorf("got %q", got)
			}
			if tc.want == "" && (!strings.HasPrefix(got, "req-") || got == tc.sent) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestCrossOriginMatrix(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct {
		name      string
		method    string
		headers   map[string]string
		status    int
		readable  string // Access-Control-Allow-Origin
		preflight bool
	}{
		{"a call from no browser", "GET", nil, 200, "", false},
		{"the project's own origin", "GET", map[string]string{"Origin": originA}, 200, originA, false},
		{"the origin of another project", "GET", map[string]string{"Origin": originB}, 403, "", false},
		{"an origin that nobody lists", "GET", map[string]string{"Origin": "https://evil.example"}, 403, "", false},
		{"the null origin", "GET", map[string]string{"Origin": "null"}, 403, "", false},
		{"an origin in other letters", "GET", map[string]string{"Origin": "https://A.example"}, 403, "", false},
		{"the same name without TLS", "GET", map[string]string{"Origin": "http://a.example"}, 403, "", false},
		{"a failure is readable for a listed origin", "GET", with(basic("pro-1", "x"), "Origin", originA), 401, originA, false},
		{"a failure is not readable for others", "GET", with(basic("pro-1", "x"), "Origin", "https://evil.example"), 401, "", false},
		{"the other project from its origin", "GET", with(basic("pro-2", secretB), "Origin", originB), 200, originB, false},
		{
			"a preflight of a listed origin", "OPTIONS",
			map[string]string{"Origin": originB, "Access-Control-Request-Method": "POST", "Authorization": ""}, 204, originB, true,
		},
		{
			"a preflight of another origin", "OPTIONS",
			map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Authorization": ""}, 403,
			"", false,
		},
		{"OPTIONS that is no preflight", "OPTIONS", map[string]string{"Origin": originA}, 405, originA, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.call(tc.method, "/v2/users", "", tc.headers)
			if a.status != tc.status || a.header.Get("Access-Control-Allow-Origin") != tc.readable {
				t.Errorf("got %d, readable for %q", a.status, a.header.Get("Access-Control-Allow-Origin"))
			}
			if got := a.header.Get("Access-Control-Allow-Credentials"); (got == "true") != (tc.readable != "") {
				t.Errorf("credentials: %q", got)
			}
			if a.status == 403 && a.error.Error.Type != rest.ErrorTypeInvalidOrigin {
				t.Errorf("got %s", a.body)
			}
			if a.header.Get("Vary") != "Origin" {
				t.Errorf("Vary is %q", a.header.Get("Vary"))
			}
			if !tc.preflight {
				return
			}
			allowed := strings.ToLower(a.header.Get("Access-Control-Allow-Headers"))
			for _, h := range []string{
				"authorization", "content-type", "x-corbado-projectid", "x-corbado-sdk", "x-corbado-client-timezone",
				"x-corbado-flags", "x-corbado-process-id", "x-corbado-temp-process-id", "cache-control", "pragma", "expires",
				"x-request-id", "idempotency-key", "last-event-id",
			} {
				if !strings.Contains(allowed, h) {
					t.Errorf("%s may not be sent", h)
				}
			}
			if a.header.Get("Access-Control-Allow-Methods") != "GET, POST, PUT, PATCH, DELETE" || len(a.body) != 0 {
				t.Errorf("methods %q, body %q", a.header.Get("Access-Control-Allow-Methods"), a.body)
			}
		})
	}
}

func with(headers map[string]string, key, value string) map[string]string {
	headers[key] = value
	return headers
}

func TestRequestsAtOnceDoNotMixTheirBytes(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	const workers, each = 100, 20
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				id, process, agent := fmt.Sprintf("usr-%d", w*1000+i), fmt.Sprintf("process-%d-%d", w, i), strings.Repeat(string(rune('a'+w%26)), 10+w)
				body := fmt.Sprintf(
					`{"userID":%q,"processID":%q,"crossDeviceAuthenticationStrategy":"standard","clientInformation":{"remoteAddress":"::1",`+
						`"userAgent":%q}}`,
					id,
					process,
					agent,
				)
				a := s.call("POST", "/v2/passkey/login/start", body, map[string]string{"X-Request-ID": process})
				if want := fmt.Sprintf(
					`"assertionOptions":"%s %s %s"`,
					id,
					process,
					agent,
				); a.status != 200 || !strings.Contains(string(a.body), want) ||
					a.header.Get("X-Request-ID") != process {
					t.Errorf("got %d %s, want %s", a.status, a.body, want)
				}
				if a := s.call("GET", "/v2/users/"+id, "", nil); !strings.Contains(string(a.body), `"`+id+`"`) {
					t.Errorf("got %s, want user %s", a.body, id)
				}
			}
		})
	}
	group.Wait()

	// What the services kept must still read as it was sent, now that all buffers have been used for other requests.
	kept := map[ident.RequestID]string{}
	users := map[string]int{}
	for _, call := range s.services.Calls() {
		text := fmt.Sprintf("%+v", call.Request)
		if call.Method == "Ceremony.GetUser" {
			users[text]++
			continue
		}
		kept[call.RequestID] = text
	}
	if len(kept) != workers*each || len(users) != workers*each {
		t.Fatalf("%d login starts and %d users were kept", len(kept), len(users))
	}
	for w := range workers {
		for i := range each {
			process := fmt.Sprintf("process-%d-%d", w, i)
			if got := kept[ident.RequestID(process)]; !strings.Contains(got, "ProcessID:"+process+" ") ||
				!strings.Contains(got, fmt.Sprintf("UserID:usr-%d}", w*1000+i)) {
				t.Errorf("%s is kept as %s", process, got)
			}
			if users[fmt.Sprintf("{Project:pro-1 User:usr-%d Body:{}}", w*1000+i)] != 1 {
				t.Errorf("user %d is not kept", w*1000+i)
			}
		}
	}
}

func TestAPanicBecomesAnInternalErrorAndIsLoggedWithItsStack(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.services.Before(func(context.Context, string) error { panic("boom") })
	a := s.call("GET", "/v2/users", "", nil)
	if a.status != 500 || a.error.Error.Type != rest.ErrorTypeInternalError || strings.Contains(string(a.body), "boom") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	line := s.logged(1)[0]
	if line["level"] != "ERROR" || !strings.Contains(fmt.Sprint(line["error"]), "boom") ||
		!strings.Contains(fmt.Sprint(line["stack"]), "servicetest") ||
		line["request_id"] != a.header.Get("X-Request-ID") {
		t.Errorf("logged %v", line)
	}
	s.services.Before(nil)
	if a := s.call("GET", "/v2/users", "", nil); a.status != 200 {
		t.Errorf("after the panic: %d", a.status)
	}
}

func TestACallThatTakesTooLongIsUnavailable(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{RequestTimeout: 20 * time.Millisecond}})
	s.services.Before(func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return fmt.Errorf("read account: %w", ctx.Err())
	})
	a := s.call("GET", "/v2/users/usr-1", "", nil)
	if a.status != 503 || a.error.Error.Type != rest.ErrorTypeUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestTooManyRequestsAtOnceAreShed(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{MaxInFlight: 2}})
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	s.services.Before(func(context.Context, string) error { entered <- struct{}{}; <-leave; return nil })
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if a := s.call("GET", "/v2/users/usr-1", "", nil); a.status != 200 {
				t.Errorf("an early one got %d", a.status)
			}
		})
	}
	<-entered
	<-entered
	a := s.call("GET", "/v2/users/usr-1", "", nil)
	if a.status != 503 || a.error.Error.Type != rest.ErrorTypeUnavailable || a.header.Get("Retry-After") != "1" {
		t.Errorf("got %d %s", a.status, a.body)
	}
	close(leave)
	group.Wait()
	s.eventually(func() bool { return s.call("GET", "/v2/users/usr-1", "", nil).status == 200 }, "a free place")
	if got := s.metric("keyward_http_requests_shed_total"); got < 1 {
		t.Errorf("%v shed requests were counted", got)
	}
}

func TestShutdownFinishesWhatIsInFlightAndTakesNothingNew(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.services.Before(func(context.Context, string) error { close(entered); <-leave; return nil })
	answered := make(chan answer, 1)
	go func() { answered <- s.call("GET", "/v2/users/usr-1", "", nil) }()
	<-entered
	s.stop()
	s.eventually(func() bool {
		conn, err := net.Dial("tcp", s.gateway.Addr())
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, "the listener to close")
	close(leave)
	if a := <-answered; a.status != 200 {
		t.Errorf("the request in flight got %d %s", a.status, a.body)
	}
	if err := <-s.ended; err != nil {
		t.Errorf("run ended with %v", err)
	}
	close(s.ended)
}

func TestAShutdownWhoseGraceRunsOutCancelsWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{Grace: 50 * time.Millisecond}})
	entered, cancelled := make(chan struct{}), make(chan struct{})
	s.services.Before(func(ctx context.Context, _ string) error {
		close(entered)
		<-ctx.Done()
		close(cancelled)
		return ctx.Err()
	})
	answered := make(chan answer, 1)
	go func() { answered <- s.call("GET", "/v2/users/usr-1", "", nil) }()
	<-entered
	s.stop()
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run ended with %v", err)
	}
	close(s.ended)
	<-cancelled
	if a := <-answered; a.status != 503 {
		t.Errorf("the request in flight got %d", a.status)
	}
}

func TestAServerThatIsToldToStopBeforeItServesStops(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("run ended with %v", err)
	}
	close(s.ended)
}

func TestTheLogLineHasNoMoreOfTheAddressThanIsSet(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{LogAddresses: gateway.LogNetwork}})
	s.call("GET", "/v2/users", "", nil)
	if line := s.logged(1)[0]; line["client"] != "127.0.0.0/24" {
		t.Errorf("logged %v", line)
	}
}

func TestLogLinesNameTheRequestAndHoldNoSecrets(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	a := s.call("POST", "/v2/users/usr-77/passkeyEvents", `{"eventType":"login-error","credentialID":"hidden-credential"}`, nil)
	s.call("POST", "/v2/users", `{"status":"hidden-status"}`, nil)
	s.call("GET", "/hidden-path", "", basic("pro-1", "hidden-secret"))
	lines := s.logged(3)
	line := lines[0]
	if line["msg"] != "request" || line["method"] != "POST" || line["route"] != "/v2/users/{userID}/passkeyEvents" ||
		line["status"] != 200.0 || line["request_id"] != a.header.Get("X-Request-ID") ||
		line["project"] != "pro-1" ||
		line["duration_ms"] == nil ||
		line["client"] != "127.0.0.1" {
		t.Errorf("logged %v", line)
	}
	for _, word := range []string{"hidden", secretA, "corbado1_", "Basic", "usr-77"} {
		if strings.Contains(string(s.log.bytes()), word) {
			t.Errorf("the log has %q: %s", word, s.log.bytes())
		}
	}
}

func (s *server) metric(name string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

func TestMetricsHaveRoutePatternsAndNoIDs(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.call("GET", "/v2/users/usr-1", "", nil)
	s.call("GET", "/v2/users/usr-2", "", nil)
	s.call("GET", "/v2/users/usr-x", "", nil)
	s.call("BREW", "/v2/nothing", "", nil)
	s.logged(4)
	want := `
# HELP keyward_http_requests_total Requests answered, by route pattern, method and class of status.
# TYPE keyward_http_requests_total counter
keyward_http_requests_total{method="GET",route="/v2/users/{userID}",status="2xx"} 2
keyward_http_requests_total{method="GET",route="/v2/users/{userID}",status="4xx"} 1
keyward_http_requests_total{method="OTHER",route="unmatched",status="4xx"} 1
`
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "keyward_http_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(s.metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestSpansContinueTheCallersTrace(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	s := serve(t, setup{tracer: provider})
	const trace = "0af7651916cd43dd8448eb211c80319c"
	s.call("POST", "/v2/passkey/login/start", loginStart, map[string]string{"traceparent": "00-" + trace + "-b7ad6b7169203331-01"})
	line := s.logged(1)[0]
	if line["trace_id"] != trace {
		t.Errorf("logged %v", line)
	}
	s.eventually(func() bool { return len(spans.Ended()) == 1 }, "a span")
	span := spans.Ended()[0]
	if span.Name() != "POST /v2/passkey/login/start" || span.SpanContext().TraceID().String() != trace ||
		span.Parent().SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("span %s of trace %s below %s", span.Name(), span.SpanContext().TraceID(), span.Parent().SpanID())
	}
	attributes := map[string]string{}
	for _, a := range span.Attributes() {
		attributes[string(a.Key)] = a.Value.String()
	}
	want := map[string]string{"http.request.method": "POST", "http.route": "/v2/passkey/login/start", "http.response.status_code": "200",
		"keyward.request_id": fmt.Sprint(line["request_id"]), "keyward.project": "pro-1", "keyward.decision_id": "dec-2"}
	if diff := cmp.Diff(want, attributes); diff != "" {
		t.Error(diff)
	}
}

func TestTheDocumentAndItsPageAreServedWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{Version: "v9.8.7<test>", OperatorAPI: true}})
	open := map[string]string{"Authorization": ""}
	for path, want := range map[string][2]string{
		"/openapi.yaml":              {"application/yaml", "openapi: 3.1.0"},
		"/openapi.json":              {"application/json", `"openapi": "3.1.0"`},
		"/v2/openapi.yaml":           {"application/yaml", "openapi: 3.1.0"},
		"/frontend.yaml":             {"application/yaml", "title: Keyward Frontend API"},
		"/frontend.json":             {"application/json", `"title": "Keyward Frontend API"`},
		"/docs":                      {"text/html; charset=utf-8", "v9.8.7&lt;test&gt;"},
		"/docs/frontend":             {"text/html; charset=utf-8", `data-document="/frontend"`},
		"/operator.yaml":             {"application/yaml", "title: Keyward Operator API"},
		"/operator.json":             {"application/json", `"title": "Keyward Operator API"`},
		"/docs/operator":             {"text/html; charset=utf-8", `data-document="/operator"`},
		"/docs/docs.css":             {"text/css; charset=utf-8", "prefers-color-scheme: dark"},
		"/docs/start.js":             {"text/javascript; charset=utf-8", "dataset.document"},
		"/docs/swagger-ui-bundle.js": {"text/javascript; charset=utf-8", "SwaggerUIBundle"},
		"/docs/swagger-ui.css":       {"text/css; charset=utf-8", ".swagger-ui"},
	} {
		a := s.call("GET", path, "", open)
		if a.status != 200 || a.header.Get("Content-Type") != want[0] || !strings.Contains(string(a.body), want[1]) ||
			strings.Contains(a.header.Get("Content-Security-Policy"), "http") {
			t.Errorf("%s: got %d %v %.200s", path, a.status, a.header, a.body)
		}
	}
	zipped := s.call("GET", "/docs/swagger-ui-bundle.js", "", map[string]string{"Authorization": "", "Accept-Encoding": "gzip"})
	if zipped.header.Get("Content-Encoding") != "gzip" || len(zipped.body) > 600_000 {
		t.Errorf("the viewer came with %v, %d bytes", zipped.header, len(zipped.body))
	}
	if a := s.call("GET", "/", "", open); a.status != 302 || a.header.Get("Location") != "/docs" {
		t.Errorf("/ got %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(*gateway.Config){
		"http_addr":           func(c *gateway.Config) { c.Addr = "8080" },
		"body_limit":          func(c *gateway.Config) { c.BodyLimit = -1 },
		"header_limit":        func(c *gateway.Config) { c.HeaderLimit = 10 },
		"request_timeout":     func(c *gateway.Config) { c.RequestTimeout = 0 },
		"concurrency":         func(c *gateway.Config) { c.MaxInFlight = -1 },
		"grpc_addr":           func(c *gateway.Config) { c.GRPCAddr = "8081" },
		"grpc_max_message":    func(c *gateway.Config) { c.GRPCMaxMessage = 1000 },
		"grpc_max_streams":    func(c *gateway.Config) { c.GRPCMaxStreams = -1 },
		"grpc_keepalive":      func(c *gateway.Config) { c.GRPCKeepalive = time.Millisecond },
		"tls_cert":            func(c *gateway.Config) { c.TLSKey = "key.pem" },
		"tls_key":             func(c *gateway.Config) { c.TLSCert = "cert.pem" },
		"tls_ports":           func(c *gateway.Config) { c.TLSPorts = "admin" },
		"rate_limit_project":  func(c *gateway.Config) { c.RateProject.Per = time.Millisecond },
		"rate_limit_address":  func(c *gateway.Config) { c.RateAddress.Requests = -1 },
		"rate_limit_failures": func(c *gateway.Config) { c.RateFailures.Per = 0 },
	} {
		cfg := gateway.DefaultConfig()
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: got %v", key, err)
		}
	}
	if _, err := gateway.New(gateway.Config{}, gateway.Deps{}); err == nil {
		t.Error("a gateway without services is made")
	}
	services := newServices()
	whole := gateway.Deps{
		Ceremony: servicetest.Ceremony{Recording: services}, Events: servicetest.Events{Recording: services},
		Webhooks: servicetest.Webhooks{Recording: services}, Projects: newTenants(), Issuers: newTenants(),
		Idempotency: idempotency.NewStore(&bucket{}, time.Minute, time.Now),
	}
	if _, err := gateway.New(gateway.DefaultConfig(), whole); err == nil {
		t.Error("a gateway is made that is to limit calls and cannot count them")
	}
}
