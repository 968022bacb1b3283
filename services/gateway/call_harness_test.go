package gateway_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
)

// The ways to call the user service, and the ports that take them.
const (
	overJSON    = "JSON"
	overConnect = "Connect"
	overGRPCWeb = "gRPC-Web"
	overGRPC    = "gRPC"

	portHTTP = "the HTTP port"
	portGRPC = "the gRPC port"
)

type way struct{ protocol, port string }

func (w way) String() string { return w.protocol + " on " + w.port }

func ways() []way {
	return []way{
		{overJSON, portHTTP}, {overJSON, portGRPC}, {overConnect, portHTTP}, {overConnect, portGRPC},
		{overGRPCWeb, portHTTP}, {overGRPCWeb, portGRPC}, {overGRPC, portGRPC},
	}
}

func (s *server) portURL(port string) string {
	if port == portGRPC {
		return "http://" + s.gateway.GRPCAddr()
	}
	return s.base
}

// http2 returns a client that speaks HTTP/2 without TLS.
func http2(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// sending adds headers to every request, and keeps the header of the last answer.
type sending struct {
	client  *http.Client
	headers map[string]string
	answer  http.Header
}

func (s *sending) Do(r *http.Request) (*http.Response, error) {
	for k, v := range s.headers {
		r.Header.Del(k)
		if v != "" {
			r.Header.Set(k, v)
		}
	}
	rsp, err := s.client.Do(r)
	if err == nil {
		s.answer = rsp.Header
	}
	return rsp, err
}

// outcome is how a call ended, whatever the protocol.
type outcome struct {
	code, message string
	header        http.Header // of the answer, and what the protocol has in its trailers
	names         []string    // of the passkeys
}

// listPasskeys calls ListPasskeys as project A unless headers say otherwise; a header with an empty value is not sent.
func (s *server) listPasskeys(w way, user string, headers map[string]string) outcome {
	s.t.Helper()
	all := map[string]string{"Authorization": basic("pro-1", secretA)["Authorization"]}
	for k, v := range headers {
		all[k] = v
	}
	if w.protocol == overJSON {
		return s.listJSON(w, user, all)
	}
	sender := &sending{client: s.client, headers: all}
	var options []connect.ClientOption
	switch w.protocol {
	case overGRPC:
		sender.client = http2(s.t)
		options = append(options, connect.WithGRPC())
	case overGRPCWeb:
		options = append(options, connect.WithGRPCWeb())
	}
	got, err := userv2connect.NewUserServiceClient(sender, s.portURL(w.port), options...).
		ListPasskeys(s.t.Context(), &userv2.ListPasskeysRequest{UserId: user})
	o := outcome{code: "ok", header: sender.answer.Clone()}
	if err != nil {
		var failed *connect.Error
		if !errors.As(err, &failed) {
			s.t.Fatalf("%v: %v", w, err)
		}
		o.code, o.message = failed.Code().String(), failed.Message()
		for k, v := range failed.Meta() {
			o.header[k] = v
		}
	}
	for _, one := range got.GetResult() {
		o.names = append(o.names, one.GetName())
	}
	return o
}

func (s *server) listJSON(w way, user string, headers map[string]string) outcome {
	s.t.Helper()
	rsp := s.send(w.port, "POST", "/v2/users/"+user+"/passkeys/_search", "{}", headers)
	var body struct {
		Code    uint32
		Message string
		Result  []struct{ Name string }
	}
	if err := json.Unmarshal(rsp.body, &body); err != nil {
		s.t.Fatalf("%v: %v in %d %s", w, err, rsp.status, rsp.body)
	}
	o := outcome{code: "ok", message: body.Message, header: rsp.header}
	if rsp.status != http.StatusOK {
		o.code = connect.Code(body.Code).String()
	}
	for _, one := range body.Result {
		o.names = append(o.names, one.Name)
	}
	return o
}

// send sends a request over HTTP/1.1, with no other headers than these.
func (s *server) send(port, method, path, body string, headers map[string]string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.portURL(port)+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range headers {
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	rsp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rsp.Body.Close()
	raw, err := io.ReadAll(rsp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: rsp.StatusCode, header: rsp.Header, body: raw}
}

// rawAnswer sends request as it is to the HTTP port, whose answer need not be an envelope.
func (s *server) rawAnswer(request string) answer {
	s.t.Helper()
	return s.stubborn(portHTTP, request, "")
}

// stubborn sends the head of a request and then its body, for as long as somebody takes it, and reads the answer whatever became of that.
func (s *server) stubborn(port, head, body string) answer {
	s.t.Helper()
	address := s.gateway.Addr()
	if port == portGRPC {
		address = s.gateway.GRPCAddr()
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, head); err != nil {
		s.t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, body)
	}()
	rsp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatalf("%.80q: %v", head, err)
	}
	defer rsp.Body.Close()
	raw, err := io.ReadAll(rsp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.Close()
	<-sent
	return answer{status: rsp.StatusCode, header: rsp.Header, body: raw}
}

// newGateway returns a gateway that nobody serves.
func newGateway(t *testing.T, cfg gateway.Config) *gateway.Gateway {
	t.Helper()
	services := newServices()
	g, err := gateway.New(cfg, gateway.Deps{
		Ceremony: servicetest.Ceremony{
			Recording: services,
		},
		Events:      servicetest.Events{Recording: services},
		Webhooks:    servicetest.Webhooks{Recording: services},
		Projects:    newTenants(),
		Issuers:     newTenants(),
		Idempotency: idempotency.NewStore(&bucket{}, time.Minute, time.Now),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func sprint(v any) string { return fmt.Sprintf("%+v", v) }
