package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/devtls"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/loopbacktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The HTTP library's own: one for the date, for good, and one of each server that ends by itself within ten seconds of it.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"), // after storing an object
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

func configuration(t *testing.T) settings.Config {
	t.Helper()
	cfg := settings.DefaultConfig()
	cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.AdminAddr, cfg.NATS.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "off"
	cfg.NATS.DataDir = t.TempDir()
	return cfg
}

func start(t *testing.T, cfg settings.Config, out io.Writer) (*app.App, error) {
	t.Helper()
	return app.Start(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler), Out: out})
}

func mustStart(t *testing.T, cfg settings.Config, out io.Writer) (a *app.App, stop func()) {
	t.Helper()
	a, err := start(t, cfg, out)
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(stop)
	return a, stop
}

func get(t *testing.T, address, path, secret string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if secret != "" {
		req.SetBasicAuth("pro-1", secret)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	rsp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	body, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rsp.StatusCode, string(body)
}

func TestTheFirstStartMakesAProjectAndTellsItsSecretOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	cfg := configuration(t)
	var out bytes.Buffer
	first, stop := mustStart(t, cfg, &out)
	secret := first.BootstrapSecret()
	if !strings.HasPrefix(secret, "corbado1_") || strings.Count(out.String(), secret) != 2 {
		t.Errorf("the secret %q is not told, once to read and once to paste:\n%s", secret, out.String())
	}
	if status, body := get(t, first.HTTPAddr(), "/v2/users", secret); status != http.StatusOK {
		t.Errorf("the secret does not work: %d %s", status, body)
	}
	stop()

	out.Reset()
	cfg.Bootstrap.RPID = "com" // refused where there is no project yet
	second, _ := mustStart(t, cfg, &out)
	if second.BootstrapSecret() != "" || out.Len() > 0 {
		t.Errorf("the second start made a project too:\n%s", out.String())
	}
	if status, body := get(t, second.HTTPAddr(), "/v2/users", secret); status != http.StatusOK {
		t.Errorf("after a restart: %d %s", status, body)
	}
}

func TestTheFirstStartMakesAnOperatorForTheMachineAndKeepsTheTokenToItsOwner(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	cfg := configuration(t)
	path := filepath.Join(cfg.NATS.DataDir, "operator-token")
	if err := os.WriteFile(path, []byte("of an earlier server"), 0o644); err != nil {
		t.Fatal(err)
	}
	who := func(a *app.App, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.HTTPAddr()+"/operator/v1/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
		rsp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rsp.Body.Close() }()
		body, err := io.ReadAll(rsp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return rsp.StatusCode, string(body)
	}
	first, stop := mustStart(t, cfg, io.Discard)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v", info.Mode(), err)
	}
	token := strings.TrimSpace(string(raw))
	if status, body := who(first, token); status != 200 || !strings.Contains(body, `"name":"local"`) ||
		!strings.Contains(body, `"role":"admin"`) {
		t.Errorf("%d %s", status, body)
	}
	stop()

	second, stop := mustStart(t, cfg, io.Discard)
	if again, err := os.ReadFile(path); err != nil || string(again) != string(raw) {
		t.Errorf("the second start has made another: %v", err)
	}
	if status, body := who(second, token); status != 200 {
		t.Errorf("after a restart: %d %s", status, body)
	}
	stop()

	cfg.HTTP.OperatorAPI = false
	third, _ := mustStart(t, cfg, io.Discard)
	if status, body := who(third, token); status != 404 {
		t.Errorf("with operator_api off: %d %s", status, body)
	}
}

func TestReadinessListsEachDependency(t *testing.T) {
	t.Parallel()
	a, _ := mustStart(t, configuration(t), io.Discard)
	status, body := get(t, a.AdminAddr(), "/readyz?verbose", "")
	if status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"services ok\n", "nats ok\n", "integrity ok\n", "policy ok revision "} {
		if !strings.Contains(body, want) {
			t.Errorf("readiness lacks %q:\n%s", want, body)
		}
	}
	if strings.Contains(body, "redis") {
		t.Errorf("a Redis that there is none of is looked after:\n%s", body)
	}
	if _, metrics := get(t, a.AdminAddr(), "/metrics", ""); !strings.Contains(metrics, "keyward_build_info") {
		t.Error("no metrics")
	}
}

func externalNATS(t *testing.T) settings.Secret {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.Addr = t.TempDir(), "127.0.0.1:0"
	server, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	url, err := bus.ServerURL(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	return settings.Secret(url)
}

func TestOfTwoGatewaysThatStartAtOnceOneMakesTheProject(t *testing.T) {
	t.Parallel()
	url := externalNATS(t)
	apps := make([]*app.App, 2)
	errs := make([]error, 2)
	var all sync.WaitGroup
	for i := range apps {
		all.Go(func() {
			cfg := configuration(t)
			cfg.NATS.URL, cfg.Services = url, []string{settings.Gateway}
			apps[i], errs[i] = start(t, cfg, io.Discard)
		})
	}
	all.Wait()
	secret := ""
	for i, a := range apps {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(func() {
			if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		if a.BootstrapSecret() != "" && secret != "" {
			t.Error("both made a project")
		}
		secret += a.BootstrapSecret()
	}
	if secret == "" {
		t.Fatal("nobody made a project")
	}
	for _, a := range apps {
		// The one that lost learns of the project by its watch.
		deadline := time.Now().Add(time.Minute)
		for {
			status, body := get(t, a.HTTPAddr(), "/v2/users", secret)
			// No ceremony service runs: past authentication there is nobody to ask.
			if status == http.StatusServiceUnavailable {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d %s", status, body)
			}
		}
	}
}

func TestAGatewayAloneSaysWhichServiceItMisses(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	cfg := configuration(t)
	cfg.NATS.URL, cfg.Services = externalNATS(t), []string{settings.Gateway}
	a, _ := mustStart(t, cfg, io.Discard)
	status, body := get(t, a.AdminAddr(), "/readyz?verbose", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "ceremony down no ceremony service is running") ||
		!strings.Contains(body, "events down") {
		t.Errorf("got %d\n%s", status, body)
	}
	for _, name := range []string{settings.Events, settings.Decision, settings.Ceremony} {
		part := configuration(t)
		part.NATS.URL, part.Services = cfg.NATS.URL, []string{name}
		started, _ := mustStart(t, part, io.Discard)
		// Without a Redis the log answers.
		if status, body := get(
			t, started.AdminAddr(), "/readyz?verbose", "",
		); !strings.Contains(body, "redis degraded") ||
			!strings.Contains(body, "no redis_url is set") {
			t.Errorf("%s: got %d\n%s", name, status, body)
		}
	}
	if status, body := get(t, a.AdminAddr(), "/readyz?verbose", ""); status != http.StatusOK {
		t.Errorf("with all services there: %d\n%s", status, body)
	}
}

func TestAStartThatCannotWorkSaysWhyAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "login.rego"), []byte("package keyward.login\n\nthis is not rego\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*settings.Config)
		want   string
	}{
		"some services without a NATS": {func(c *settings.Config) { c.Services = []string{settings.Gateway} }, "nats_url"},
		"the API's address is taken":   {func(c *settings.Config) { c.HTTP.Addr = taken.Addr().String() }, "http_addr"},
		"the gRPC address is taken":    {func(c *settings.Config) { c.HTTP.GRPCAddr = taken.Addr().String() }, "grpc_addr"},
		"two certificates": {
			func(c *settings.Config) { c.TLSDev, c.HTTP.TLSCert, c.HTTP.TLSKey = true, "/a.pem", "/a.key" }, "tls_dev",
		},
		"a certificate that is not there": {
			func(c *settings.Config) { c.HTTP.TLSCert, c.HTTP.TLSKey = "/no/such.pem", "/no/such.key" }, "tls_cert",
		},
		"the admin address is taken":   {func(c *settings.Config) { c.AdminAddr = taken.Addr().String() }, "admin_addr"},
		"a policy that does not parse": {func(c *settings.Config) { c.Decision.PoliciesDir = broken }, "login.rego:3"},
		"a Redis URL that is none":     {func(c *settings.Config) { c.Redis.URL = "http://x" }, "redis_url"},
		"a secret of the wrong form":   {func(c *settings.Config) { c.Bootstrap.APISecret = "x" }, "bootstrap_api_secret"},
		"a relying party with a scheme": {
			func(c *settings.Config) { c.Bootstrap.RPID = "https://x" },
			"bootstrap_rp_id: https://x: must be a domain without the scheme https: use x",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configuration(t)
			c.change(&cfg)
			_, err := start(t, cfg, io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			// The data directory is free again.
			if _, err := os.Stat(cfg.NATS.DataDir); err != nil {
				t.Error(err)
			}
			mustStart(t, func() settings.Config {
				again := configuration(t)
				again.NATS.DataDir = cfg.NATS.DataDir
				return again
			}(), io.Discard)
		})
	}
}

func TestRunEndsWhenItsContextDoes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, configuration(t), app.Options{Log: slog.New(slog.DiscardHandler), Out: write})
	}()
	// The greeting is the last thing that a start does.
	if _, err := read.Read(make([]byte, 1<<16)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnInstanceThatIsToEndAnswersUntilBalancersKnowAndSendsItsClientsAway(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	cfg.ShutdownDelay = 5 * time.Minute
	a, err := start(t, cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	delayed, enough := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop(delayed) }()
	for {
		if status, _ := get(t, a.AdminAddr(), "/readyz", ""); status == http.StatusServiceUnavailable {
			break
		}
	}
	for closes := false; !closes; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.HTTPAddr()+"/v2/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("pro-1", a.BootstrapSecret())
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		if rsp.StatusCode != http.StatusOK {
			t.Fatalf("a call after the end was announced: %d", rsp.StatusCode)
		}
		closes = rsp.Close
	}
	enough()
	<-stopped
}

func TestAStartOnADamagedStoreIsDegradedAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	_, stop := mustStart(t, cfg, io.Discard)
	stop()
	projects := filepath.Join(cfg.NATS.DataDir, "nats", "jetstream", "$G", "streams", "KV_"+bus.ProjectsBucket, "msgs", "1.blk")
	if err := os.Truncate(projects, 0); err != nil {
		t.Fatal(err)
	}
	a, _ := mustStart(t, cfg, io.Discard)
	status, body := get(t, a.AdminAddr(), "/readyz?verbose", "")
	if status != http.StatusOK || !strings.Contains(body, "degraded") || !strings.Contains(body, "KV_"+bus.ProjectsBucket) {
		t.Errorf("%d %s", status, body)
	}
}

func TestEveryTakenAddressIsNamedAtOnceWithItsSetting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(cfg *settings.Config)
		named  []string
	}{
		"all four": {
			change: func(*settings.Config) {},
			named:  []string{"admin_addr", "http_addr", "grpc_addr", "nats_addr"},
		},
		"all but the first that is bound": {
			change: func(cfg *settings.Config) { cfg.AdminAddr = "127.0.0.1:0" },
			named:  []string{"http_addr", "grpc_addr", "nats_addr"},
		},
		"those of the gateway alone": {
			change: func(cfg *settings.Config) { cfg.AdminAddr, cfg.NATS.Addr = "127.0.0.1:0", "off" },
			named:  []string{"http_addr", "grpc_addr"},
		},
		"gRPC and NATS off": {
			change: func(cfg *settings.Config) { cfg.HTTP.GRPCAddr, cfg.NATS.Addr = "off", "off" },
			named:  []string{"admin_addr", "http_addr"},
		},
		"one address for two settings": {
			change: func(cfg *settings.Config) {
				free := loopbacktest.Address(t)
				cfg.AdminAddr, cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.NATS.Addr = free, free, "off", "off"
			},
			named: []string{"http_addr"},
		},
		"an address of another machine": {
			change: func(cfg *settings.Config) {
				cfg.AdminAddr, cfg.HTTP.Addr = "203.0.113.1:8080", "203.0.113.1:8081"
				cfg.HTTP.GRPCAddr, cfg.NATS.Addr = "off", "off"
			},
			named: []string{"admin_addr", "http_addr"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configuration(t)
			cfg.AdminAddr, cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.NATS.Addr = taken(t), taken(t), taken(t), taken(t)
			c.change(&cfg)
			_, err := start(t, cfg, io.Discard)
			if err == nil {
				t.Fatal("it started")
			}
			var named []string
			for line := range strings.Lines(err.Error()) {
				setting, _, _ := strings.Cut(line, ":")
				named = append(named, setting)
			}
			if !slices.Equal(named, c.named) {
				t.Errorf("named are %v, want %v:\n%v", named, c.named, err)
			}
		})
	}
}

// taken returns an address that somebody listens on.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestALocalAuthorityMakesTheServerAnswerByHTTPSToWhoTrustsIt(t *testing.T) {
	t.Parallel()
	cfg := configuration(t)
	cfg.TLSDev, cfg.NATS.DataDir = true, filepath.Join(t.TempDir(), "data")
	cfg.Follow(func(key string) bool { return key == "frontend_url" })
	a, _ := mustStart(t, cfg, io.Discard)
	raw, err := os.ReadFile(devtls.Authority(devtls.Dir(cfg.NATS.DataDir)))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(raw)
	for name, roots := range map[string]*x509.CertPool{"who trusts it": trusted, "who does not": x509.NewCertPool()} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		t.Cleanup(transport.CloseIdleConnections)
		rsp, err := (&http.Client{Transport: transport}).Get("https://" + a.HTTPAddr() + "/docs")
		if trusts := roots == trusted; (err == nil) != trusts {
			t.Fatalf("%s is answered %v", name, err)
		}
		if err != nil {
			continue
		}
		_ = rsp.Body.Close()
		if told := rsp.Header.Get("Strict-Transport-Security"); rsp.StatusCode != http.StatusOK || told != "" {
			t.Errorf("%s gets %d; browsers are told %q of everything at localhost", name, rsp.StatusCode, told)
		}
	}
}
