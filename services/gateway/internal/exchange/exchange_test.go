package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// asked and answered are the headers of net/http, in the shape that an exchange sees.
type asked struct{ http.Header }

func (a asked) Peek(name string) []byte { return []byte(a.Get(name)) }

func (a asked) PeekAll(name string) [][]byte {
	var all [][]byte
	for _, v := range a.Values(name) {
		all = append(all, []byte(v))
	}
	return all
}

func TestAnIDThatIsHarmlessInALogIsTheCallersOwn(t *testing.T) {
	t.Parallel()
	for sent, kept := range map[string]bool{
		"a": true, "Az09_.:-": true, strings.Repeat("a", 128): true,
		"": false, strings.Repeat("a", 129): false, "a b": false, "a\nb": false, `a"b`: false, "ä": false, "a,b": false,
	} {
		if got := string(requestID([]byte(sent))); (got == sent) != kept || got == "" {
			t.Errorf("%q is called %q", sent, got)
		}
	}
}

func TestCookiesOfASession(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cookies service.Cookies
		want    []string
	}{
		"scripts read the session token on every host of the project, and nobody the refresh token": {
			service.Cookies{SessionToken: "s", RefreshToken: "r", Domain: "shop.example", Secure: true, Seconds: 60},
			[]string{
				"cbo_session_token=s; Path=/; Domain=shop.example; Max-Age=60; Secure; SameSite=Lax",
				"cbo_refresh_token=r; Path=/v2; Max-Age=60; HttpOnly; Secure; SameSite=Lax",
			},
		},
		"a refresh token that is in the body has no cookie": {
			service.Cookies{SessionToken: "s", Seconds: 60, SameSite: "strict"},
			[]string{"cbo_session_token=s; Path=/; Max-Age=60; SameSite=Strict"},
		},
		"without tokens they are removed, the older one too": {
			service.Cookies{SameSite: "none", Secure: true},
			[]string{
				"cbo_session_token=; Path=/; Max-Age=0; Secure; SameSite=None",
				"cbo_refresh_token=; Path=/v2; Max-Age=0; HttpOnly; Secure; SameSite=None",
				"cbo_short_session=; Path=/; Max-Age=0; Secure; SameSite=None",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := Exchange{Answer: http.Header{}, Visit: &Visit{}}
			x.Tell(service.Decided{}, &c.cookies)
			header := x.Answer.(http.Header)
			if got := header.Values("Set-Cookie"); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%q", got)
			}
			if header.Get(HeaderDecisionID) != "" {
				t.Error("a decision that there was not is told")
			}
		})
	}
}

// A log line is what operators keep and pass on: it names who called by ID, never by secret, and never a path that a caller made up.
func TestWhatIsReportedOfAnExchange(t *testing.T) {
	t.Parallel()
	var line bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	registry := prometheus.NewRegistry()
	r, err := NewRecorder(Deps{
		Log: slog.New(slog.NewJSONHandler(&line, nil)), Metrics: registry, Now: func() time.Time { return now },
		InFlight: func() float64 { return 0 }, Address: func(*Exchange) string { return "192.0.2.0" },
	})
	if err != nil {
		t.Fatal(err)
	}
	sent := http.Header{"Authorization": {"Bearer secret"}}
	sent.Set(HeaderRequestID, "req-mine")
	x := &Exchange{Method: "BREW", Path: "/made/up?token=secret", Asked: asked{sent}, Answer: http.Header{}}
	ctx, span := r.Begin(context.Background(), x)
	if Of(ctx) != x || x.Answer.(http.Header).Get(HeaderRequestID) != "req-mine" {
		t.Error("the context is not of the exchange, or the answer does not name it")
	}
	now = now.Add(1500 * time.Microsecond)
	x.Project, x.Decision, x.Key = "pro-1", "dec-1", &project.APIKey{ID: "key-1"}
	r.Report(ctx, x, http.StatusNotFound, span)

	var told map[string]any
	if err := json.Unmarshal(line.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "INFO", "method": "OTHER", "route": Unmatched, "status": float64(404), "duration_ms": 1.5, "request_id": "req-mine",
		"client": "192.0.2.0", "project": "pro-1", "api_key": "key-1", "decision_id": "dec-1",
	} {
		if told[name] != want {
			t.Errorf("%s: %v, want %v", name, told[name], want)
		}
	}
	if strings.Contains(line.String(), "secret") || strings.Contains(line.String(), "made/up") {
		t.Error(line.String())
	}
	const series = `
# HELP keyward_http_requests_total Requests answered, by route pattern, method and class of status.
# TYPE keyward_http_requests_total counter
keyward_http_requests_total{method="OTHER",route="unmatched",status="4xx"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(series), "keyward_http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestMethodsThatNobodyKnowsShareALabel(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]string{"GET": "GET", "PATCH": "PATCH", "get": "OTHER", "": "OTHER", "X-1": "OTHER"} {
		if got := KnownMethod(method); got != want {
			t.Errorf("%q is counted as %s", method, got)
		}
	}
}

func TestOutsideAnExchangeThereIsNone(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a context without an exchange has one")
		}
	}()
	_ = Of(t.Context()).Project
}
