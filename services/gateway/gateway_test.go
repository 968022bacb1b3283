package gateway_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/gateway"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

func TestMain(m *testing.M) {
	// fasthttp keeps one goroutine a process that formats the Date header, which has no end, and one a server that looks every 10 s
	// whether it is over.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		// Of the client that the benchmark uses.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean"))
}

const (
	secretA = "corbado1_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	secretB = "corbado1_bbbbbbbbbbbbbbbbbbbbbbbbbb"
	originA = "https://a.example"
	originB = "https://b.example"
)

// tenants are two projects, each with an origin of its own.
type tenants map[ident.ProjectID]project.Project

func newTenants() tenants {
	return tenants{
		"pro-1": {
			ID:       "pro-1",
			Secret:   project.HashSecret(secretA),
			Origins:  []string{originA},
			Frontend: project.Frontend{Hosts: []string{"127.0.0.1"}},
		},
		"pro-2": {
			ID:       "pro-2",
			Secret:   project.HashSecret(secretB),
			Origins:  []string{originB},
			Frontend: project.Frontend{Hosts: []string{"two.example.com"}},
		},
	}
}

func (t tenants) Find(_ context.Context, id ident.ProjectID) (project.Project, error) {
	if p, ok := t[id]; ok {
		return p, nil
	}
	return project.Project{}, project.ErrUnknown
}

func (t tenants) Issuers(url string) (all []project.Candidate) {
	for id, p := range t {
		for _, i := range p.Issuers {
			if i.URL == url {
				all = append(all, project.Candidate{Project: id, Issuer: i})
			}
		}
	}
	return all
}

func (t tenants) All() []project.Project {
	return slices.SortedFunc(maps.Values(t), func(a, b project.Project) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

func (t tenants) OriginAllowed(origin string) bool {
	for _, p := range t {
		for _, o := range p.Origins {
			if o == origin {
				return true
			}
		}
	}
	return false
}

func (t tenants) Visited(ctx context.Context, named ident.ProjectID, host string) (project.Project, error) {
	if named != "" {
		return t.Find(ctx, named)
	}
	for _, p := range t {
		if slices.Contains(p.Frontend.Hosts, host) {
			return p, nil
		}
	}
	return project.Project{}, project.ErrUnknown
}

func (t tenants) First() (project.Project, bool) { return t["pro-1"], true }

// server is a gateway on a free port with recorded services behind it.
type server struct {
	t        testing.TB
	gateway  *gateway.Gateway
	base     string
	services *servicetest.Recording
	log      *safeBuffer
	metrics  *prometheus.Registry
	client   *http.Client
	document *contract.Document
	ended    chan error
	stop     context.CancelFunc
}

type setup struct {
	cfg      gateway.Config
	tracer   trace.TracerProvider
	projects tenants // nil: newTenants
	staff    staff   // who may call the Operator API
	now      func() time.Time
}

func serve(t testing.TB, s setup) *server {
	t.Helper()
	document, err := contract.Backend()
	if err != nil {
		t.Fatal(err)
	}
	srv := &server{
		t: t, services: newServices(), log: &safeBuffer{}, metrics: prometheus.NewRegistry(), document: document,
		ended: make(chan error, 1),
	}
	s.cfg.Addr, s.cfg.GRPCAddr = "127.0.0.1:0", cmp.Or(s.cfg.GRPCAddr, "127.0.0.1:0")
	if s.projects == nil {
		s.projects = newTenants()
	}
	if s.now == nil {
		s.now = time.Now
	}
	limits, err := ratelimit.New(ratelimit.DefaultConfig(), ratelimit.Deps{Clock: s.now, Metrics: srv.metrics})
	if err != nil {
		t.Fatal(err)
	}
	srv.gateway, err = gateway.New(s.cfg, gateway.Deps{
		Ceremony: servicetest.Ceremony{
			Recording: srv.services,
		},
		Events:       servicetest.Events{Recording: srv.services},
		Webhooks:     servicetest.Webhooks{Recording: srv.services},
		Explanations: servicetest.Explanations{Recording: srv.services},
		Operating: gateway.Operating{
			Policies:  servicetest.Policies{Recording: srv.services},
			Decisions: servicetest.Decisions{Recording: srv.services},
			Adoption:  servicetest.Adoption{Recording: srv.services},
			Studies:   servicetest.Studies{Recording: srv.services},
			Desk:      servicetest.Desk{Recording: srv.services},
			Timelines: servicetest.Timelines{Recording: srv.services},
			Staff:     s.staff, Trail: trail(nil), Health: &telemetry.Health{}, Passkeys: ceremonies{s.staff["author"]},
		},
		Operators:   s.staff,
		Projects:    s.projects,
		Issuers:     s.projects,
		Tracer:      s.tracer,
		Limits:      limits,
		Idempotency: idempotency.NewStore(&bucket{}, time.Minute, s.now),
		Now:         s.now,
		Log:         slog.New(slog.NewJSONHandler(srv.log, nil)),
		Metrics:     srv.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.gateway.Listen(); err != nil {
		t.Fatal(err)
	}
	srv.base = "http://" + srv.gateway.Addr()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 128}
	srv.client = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	ctx, stop := context.WithCancel(context.Background())
	srv.stop = stop
	go func() { srv.ended <- srv.gateway.Run(ctx) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err, open := <-srv.ended; open && err != nil {
			t.Errorf("run ended with %v", err)
		}
	})
	return srv
}

type answer struct {
	status int
	header http.Header
	body   []byte
	error  rest.ErrorRsp
}

// call sends one request as project A unless headers say otherwise; a header with an empty value is not sent.
func (s *server) call(method, path, body string, headers map[string]string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("pro-1", secretA)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Host = headers["Host"]
	for k, v := range headers {
		req.Header.Del(k)
		if v != "" {
			req.Header.Set(k, v)
		}
	}
	rsp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rsp.Body.Close()
	return s.read(rsp)
}

func (s *server) read(rsp *http.Response) answer {
	s.t.Helper()
	raw, err := io.ReadAll(rsp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	a := answer{status: rsp.StatusCode, header: rsp.Header, body: raw}
	if rsp.StatusCode >= 400 && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.error); err != nil {
			s.t.Fatalf("status %d without an envelope: %v\n%s", rsp.StatusCode, err, raw)
		}
		s.checkEnvelope(a)
	}
	return a
}

// checkEnvelope holds every failure to the envelope's promises.
func (s *server) checkEnvelope(a answer) {
	s.t.Helper()
	if err := s.document.Operation("getUser").CheckResponse("default", a.body); err != nil {
		s.t.Errorf("the envelope does not fit the contract: %v\n%s", err, a.body)
	}
	e := a.error
	if int(e.HTTPStatusCode) != a.status || e.Message != http.StatusText(a.status) || e.RequestData.RequestID == "" ||
		e.RequestData.RequestID != a.header.Get("X-Request-ID") || e.Error.Links == nil || e.Runtime < 0 {
		s.t.Errorf("the envelope is inconsistent with status %d and request ID %q: %s", a.status, a.header.Get("X-Request-ID"), a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		s.t.Errorf("an error came as %q", got)
	}
}

func (a answer) fields() map[string]string {
	fields := map[string]string{}
	if a.error.Error.Validation != nil {
		for _, v := range *a.error.Error.Validation {
			fields[v.Field] = v.Message
		}
	}
	return fields
}

// logged waits until n request lines have been written, since a line follows its answer, and returns them.
func (s *server) logged(n int) []map[string]any {
	s.t.Helper()
	var lines []map[string]any
	s.eventually(func() bool {
		lines = s.logLines()
		return len(lines) >= n
	}, "%d log lines", n)
	return lines
}

func (s *server) logLines() (lines []map[string]any) {
	for _, raw := range bytes.Split(bytes.TrimSpace(s.log.bytes()), []byte("\n")) {
		var line map[string]any
		if json.Unmarshal(raw, &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

func (s *server) eventually(condition func() bool, format string, args ...any) {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			s.t.Fatalf("waited in vain for "+format, args...)
		case <-tick.C:
		}
	}
}

type safeBuffer struct {
	mu        sync.Mutex
	buffer    bytes.Buffer
	forgetful bool
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.forgetful {
		return len(p), nil
	}
	return b.buffer.Write(p)
}

func (b *safeBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buffer.Bytes())
}

// Request bodies that fit the contract.
const (
	client      = `{"remoteAddress":"203.0.113.7","userAgent":"Mozilla/5.0"}`
	loginStart  = `{"userID":"usr-1","processID":"p1","crossDeviceAuthenticationStrategy":"standard","clientInformation":` + client + `}`
	loginFinish = `{"userID":"usr-1","processID":"p1","assertionResponse":"{}","clientInformation":` + client + `}`
	appendStart = `{"userID":"usr-1","processID":"p1","username":"ada","clientInformation":` + client +
		`,"passkeyIntelFlags":{"forcePasskeyAppend":false}}`
	appendFinish = `{"userID":"usr-1","processID":"p1","attestationResponse":"{}","clientInformation":` + client + `}`
	mediation    = `{"assertionResponse":"{}","processID":"p1","clientInformation":` + client + `}`
)

// good holds the requests that a test looks into, and goodCall makes all others.
var good = map[string]example{
	"createUser": {"/v2/users", `{"status":"active","fullName":"Ada"}`},
	"listUsers": {
		"/v2/users?sort=created:desc&filter[]=status:eq:active&filter[]=created:gt:2026-01-01T00:00:00&page=2&pageSize=5", "",
	},
	"updateUser":         {"/v2/users/usr-1", `{"fullName":"Ada L."}`},
	"createPasskeyEvent": {"/v2/users/usr-1/passkeyEvents", `{"eventType":"login-error","expires":9223372036854775807}`},
	"listPasskeyEvents":  {"/v2/users/usr-1/passkeyEvents?include=engine", ""},
}
