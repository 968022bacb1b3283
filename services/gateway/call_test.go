package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	"github.com/keyward/keyward/services/gateway"
)

func TestTheUserServiceAnswersInEveryProtocolOnBothPorts(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	s := serve(t, setup{cfg: generous(), tracer: provider})
	const trace = "0af7651916cd43dd8448eb211c80319c"
	for i, w := range ways() {
		t.Run(w.String(), func(t *testing.T) {
			before := len(s.services.Calls())
			got := s.listPasskeys(
				w, "usr-7",
				map[string]string{"X-Request-ID": "sent-1", "Origin": originA, "traceparent": "00-" + trace + "-b7ad6b7169203331-01"},
			)
			if got.code != "ok" || len(got.names) != 1 || got.names[0] != "of usr-7" {
				t.Errorf("got %+v", got)
			}
			for name, want := range map[string]string{
				"X-Request-Id": "sent-1", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Ratelimit-Limit": "1000000",
				"Access-Control-Allow-Origin":      originA,
				"Access-Control-Allow-Credentials": "true",
			} {
				if values := got.header.Values(name); len(values) != 1 || values[0] != want {
					t.Errorf("%s is %q, want %s", name, values, want)
				}
			}
			calls := s.services.Calls()[before:]
			if len(calls) != 1 || calls[0].Method != "Ceremony.ListPasskeys" || calls[0].RequestID != "sent-1" {
				t.Errorf("the services saw %+v", calls)
			}
			line := s.logged(i + 1)[i]
			if line["route"] != "/zitadel.user.v2.UserService/ListPasskeys" || line["code"] != "ok" || line["project"] != "pro-1" ||
				line["status"] != 200.0 ||
				line["trace_id"] != trace {
				t.Errorf("logged %v", line)
			}
		})
	}
	s.eventually(func() bool { return len(spans.Ended()) == len(ways()) }, "the spans")
	for _, span := range spans.Ended() {
		if span.Name() != "POST /zitadel.user.v2.UserService/ListPasskeys" || span.SpanContext().TraceID().String() != trace {
			t.Errorf("span %s of trace %s", span.Name(), span.SpanContext().TraceID())
		}
	}
}

func TestCallsAreCountedByProcedureAndCode(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, w := range ways() {
		s.listPasskeys(w, "usr-1", nil)
	}
	s.listPasskeys(way{overGRPC, portGRPC}, "nobody", nil)
	s.listPasskeys(way{overJSON, portHTTP}, "usr-1", map[string]string{"Authorization": ""})
	s.logged(len(ways()) + 2)
	want := `
# HELP keyward_rpc_requests_total Calls of the user service answered, by procedure and code, whatever the protocol and the port.
# TYPE keyward_rpc_requests_total counter
keyward_rpc_requests_total{code="not_found",procedure="/zitadel.user.v2.UserService/ListPasskeys"} 1
keyward_rpc_requests_total{code="ok",procedure="/zitadel.user.v2.UserService/ListPasskeys"} 7
keyward_rpc_requests_total{code="unauthenticated",procedure="/zitadel.user.v2.UserService/ListPasskeys"} 1
`
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "keyward_rpc_requests_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(s.metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestTheRouteOfARegistrationAndItsDecisionAreLogged(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	a := s.send(portHTTP, "POST", "/v2beta/users/usr-1/passkeys", `{}`, basic("pro-1", secretA))
	if a.status != 200 || !strings.Contains(string(a.body), `"passkeyId":"cre-1"`) {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if line := s.logged(1)[0]; line["route"] != "/zitadel.user.v2beta.UserService/RegisterPasskey" || line["decision_id"] != "dec-4" {
		t.Errorf("logged %v", line)
	}
}

func TestPathsThatAreNotTheUserServicesStayTheBackendAPIs(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct{ name, method, path, contains string }{
		{"a route of the document", "GET", "/v2/users/usr-1", `"userID":"usr-1"`},
		{"no route at all", "GET", "/v2/nothing", `"type":"not_found"`},
		{"what only the gRPC port has", "POST", "/grpc.health.v1.Health/Check", `"type":"not_found"`},
		{"a wrong method on a path of the user service", "PUT", "/v2/users/usr-1/passkeys", `"code":12`},
		{"a method that HTTP does not know on a path of the user service", "BREW", "/v2/users/usr-1/passkeys", `"code":12`},
		{"a path below the beta version that is none", "GET", "/v2beta/nothing", `"code":5`},
		{"a target that cannot be read", "POST", "/v2/users/%zz/passkeys", `"code":3`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := s.rawAnswer(
				fmt.Sprintf(
					"%s %s HTTP/1.1\r\nHost: keyward\r\nAuthorization: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
					tc.method, tc.path, basic("pro-1", secretA)["Authorization"],
				),
			)
			if !strings.Contains(strings.ReplaceAll(string(conn.body), " ", ""), tc.contains) || conn.header.Get("X-Request-ID") == "" {
				t.Errorf("got %d %v %s", conn.status, conn.header, conn.body)
			}
		})
	}
}

func TestGRPCOnTheHTTPPortIsToldWhereToGo(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, kind := range []string{"application/grpc", "application/grpc+proto", "Application/gRPC; charset=utf-8"} {
		a := s.send(
			portHTTP, "POST", "/zitadel.user.v2.UserService/ListPasskeys", "\x00\x00\x00\x00\x00",
			map[string]string{"Content-Type": kind},
		)
		if a.status != http.StatusUnsupportedMediaType || !strings.Contains(string(a.body), "grpc_addr") {
			t.Errorf("%s: got %d %s", kind, a.status, a.body)
		}
	}
}

func TestCallsAtOnceDoNotMixTheirBytes(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	const workers, each = 16, 20
	done := make(chan struct{}, workers)
	for n := range workers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range each {
				user := fmt.Sprintf("usr-%d", n*1000+i)
				for _, w := range []way{{overJSON, portHTTP}, {overConnect, portHTTP}, {overConnect, portGRPC}} {
					if got := s.listPasskeys(
						w, user, map[string]string{"X-Request-ID": user},
					); len(got.names) != 1 || got.names[0] != "of "+user ||
						got.header.Get("X-Request-ID") != user {
						t.Errorf("%v: got %+v, want %s", w, got, user)
					}
				}
			}
		}()
	}
	for range workers {
		<-done
	}
	// What the services kept must still read as it was sent, now that all buffers have been used again.
	seen := map[string]int{}
	for _, call := range s.services.Calls() {
		seen[fmt.Sprintf("%s %+v", call.RequestID, call.Request)]++
	}
	for n := range workers {
		for i := range each {
			user := fmt.Sprintf("usr-%d", n*1000+i)
			if key := fmt.Sprintf("%s {Project:pro-1 User:%s Body:{}}", user, user); seen[key] != 3 {
				t.Errorf("%s was kept %d times", key, seen[key])
			}
		}
	}
}

func TestAPanicDuringACallIsAnsweredInItsProtocol(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.services.Before(func(context.Context, string) error { panic("boom") })
	for i, w := range ways() {
		if got := s.listPasskeys(w, "usr-1", nil); got.code != "internal" || strings.Contains(got.message, "boom") {
			t.Errorf("%v: got %+v", w, got)
		}
		if lines := s.logged(2 * (i + 1)); !strings.Contains(fmt.Sprint(lines), "boom") || lines[len(lines)-1]["level"] != "ERROR" {
			t.Errorf("%v: logged %v", w, lines)
		}
	}
}

func TestHealthIsServedOnTheGRPCPortWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	conn, err := grpc.NewClient(s.gateway.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, service := range []string{"", userv2connect.UserServiceName, "zitadel.user.v2beta.UserService"} {
		got, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, got, err)
		}
	}
	if line := s.logged(3)[0]; line["route"] != "/grpc.health.v1.Health/Check" {
		t.Errorf("logged %v", line)
	}
}

func TestCallsThatAreNoneOfTheUserServiceGetAnAnswerOnTheGRPCPort(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for path, want := range map[string]int{
		"/":                                    404,
		"/v2/users":                            404,
		"/zitadel.user.v2.UserService/Nothing": 501,
		"/grpc.health.v1.Health/Nothing":       501,
	} {
		a := s.send(portGRPC, "POST", path, "{}", map[string]string{"Content-Type": "application/json"})
		if a.status != want && a.status != 404 {
			t.Errorf("%s: got %d %s", path, a.status, a.body)
		}
		if a.header.Get("X-Request-ID") == "" {
			t.Errorf("%s: no request ID", path)
		}
	}
	s.eventually(func() bool { return len(s.logLines()) == 4 }, "four lines")
	for _, line := range s.logLines() {
		if line["route"] != "unmatched" || line["level"] != "INFO" {
			t.Errorf("logged %v", line)
		}
	}
}

func TestHealthIsAnsweredWhenThereIsTooMuchToDo(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{MaxInFlight: 1}})
	entered, leave := make(chan struct{}), make(chan struct{})
	s.services.Before(func(context.Context, string) error { close(entered); <-leave; return nil })
	done := make(chan outcome, 1)
	go func() { done <- s.listPasskeys(way{overConnect, portHTTP}, "usr-1", nil) }()
	<-entered
	for _, w := range ways() {
		got := s.listPasskeys(w, "usr-1", nil)
		if got.code != "unavailable" || got.header.Get("Retry-After") != "1" {
			t.Errorf("%v: got %+v", w, got)
		}
	}
	if a := s.call("GET", "/v2/users/usr-1", "", nil); a.status != 503 {
		t.Errorf("a call of the Backend API got %d", a.status)
	}
	if a := s.send(
		portGRPC, "POST", "/grpc.health.v1.Health/Check", "{}", map[string]string{"Content-Type": "application/json"},
	); a.status != 200 ||
		!bytes.Contains(a.body, []byte("STATUS_SERVING")) {
		t.Errorf("health: %d %s", a.status, a.body)
	}
	close(leave)
	if got := <-done; got.code != "ok" {
		t.Errorf("the call that was under way got %+v", got)
	}
	if got := s.metric("keyward_http_requests_shed_total"); got != 8 {
		t.Errorf("%v shed requests were counted", got)
	}
}

func TestWithoutAGRPCPortTheHTTPPortStillAnswersCalls(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{GRPCAddr: gateway.Off}})
	if addr := s.gateway.GRPCAddr(); addr != "" {
		t.Errorf("there is a gRPC port at %s", addr)
	}
	if got := s.listPasskeys(way{overConnect, portHTTP}, "usr-1", nil); got.code != "ok" {
		t.Errorf("got %+v", got)
	}
}

func TestAddressesThatAreTakenAreNamedByTheirSetting(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for want, cfg := range map[string]gateway.Config{
		"http_addr: ": {Addr: s.gateway.Addr(), GRPCAddr: "127.0.0.1:0"},
		"grpc_addr: ": {Addr: "127.0.0.1:0", GRPCAddr: s.gateway.GRPCAddr()},
	} {
		err := newGateway(t, cfg).Listen()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestOneHTTP2ConnectionCarriesAsManyCallsAtOnceAsItMay(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{GRPCMaxStreams: 2}})
	entered, leave := make(chan struct{}, 3), make(chan struct{})
	s.services.Before(func(context.Context, string) error { entered <- struct{}{}; <-leave; return nil })
	transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	answered := make(chan error, 3)
	for range 3 {
		go func() {
			sender := &sending{client: &http.Client{Transport: transport}, headers: basic("pro-1", secretA)}
			client := userv2connect.NewUserServiceClient(sender, s.portURL(portGRPC), connect.WithGRPC())
			_, err := client.ListPasskeys(t.Context(), &userv2.ListPasskeysRequest{UserId: "usr-1"})
			answered <- err
		}()
	}
	<-entered
	<-entered
	if n := len(s.services.Calls()); n != 2 {
		t.Errorf("%d calls are under way", n)
	}
	close(leave)
	for range 3 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
}
