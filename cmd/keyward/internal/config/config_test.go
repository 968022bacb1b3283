package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
)

func load(t *testing.T, file string, environ, args []string) (settings.Config, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = write(t, file)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(path, environ, flags)
}

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALaterPlaceWins(t *testing.T) {
	t.Parallel()
	const inFile, inEnv, asFlag = "http_addr: 127.0.0.1:1\n", "KEYWARD_HTTP_ADDR=127.0.0.1:2", "--http-addr=127.0.0.1:3"
	for name, c := range map[string]struct {
		file    string
		environ []string
		args    []string
		want    string
	}{
		"the default":                {"", nil, nil, "127.0.0.1:8080"},
		"the file beats the default": {inFile, nil, nil, "127.0.0.1:1"},
		"the environment beats it":   {inFile, []string{inEnv}, nil, "127.0.0.1:2"},
		"a flag beats both":          {inFile, []string{inEnv}, []string{asFlag}, "127.0.0.1:3"},
		"a flag beats the default":   {"", nil, []string{asFlag}, "127.0.0.1:3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, c.file, c.environ, c.args)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.HTTP.Addr != c.want {
				t.Errorf("got %s, want %s", cfg.HTTP.Addr, c.want)
			}
		})
	}
}

func TestEveryKindOfValueIsRead(t *testing.T) {
	t.Parallel()
	secretFile := write(t, "redis://:hunter2@cache:6379\n")
	cfg, err := load(t, `
services: [gateway, ceremony]
nats_url: nats://bob:hunter2@n1:4222
sync_interval: 2s
decisions_max_bytes: 1GiB
body_limit: 131072
log_level: debug
bootstrap_origins: [http://localhost:3000, "http://localhost:8080"]
`, []string{
		"KEYWARD_REDIS_URL_FILE=" + secretFile, "KEYWARD_CONCURRENCY=7", "KEYWARD_EVENTS_MAX_AGE=8760h",
	}, []string{"--bootstrap-api-secret=corbado1_abcdefghijklmnop"})
	if err != nil {
		t.Fatal(err)
	}
	want := settings.DefaultConfig()
	want.Services = []string{"gateway", "ceremony"}
	want.NATS.URL = "nats://bob:hunter2@n1:4222"
	want.NATS.SyncInterval = 2 * time.Second
	want.NATS.DecisionsMaxBytes = 1 << 30
	want.NATS.EventsMaxAge = 365 * 24 * time.Hour
	want.HTTP.BodyLimit = 128 << 10
	want.HTTP.MaxInFlight = 7
	want.LogLevel = -4
	want.Redis.URL = "redis://:hunter2@cache:6379"
	want.Bootstrap.Origins = []string{"http://localhost:3000", "http://localhost:8080"}
	want.Bootstrap.APISecret = "corbado1_abcdefghijklmnop"
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestZeroHasItsName(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "always"} {
		cfg, err := load(t, "", []string{"KEYWARD_SYNC_INTERVAL=" + text, "KEYWARD_REDIS_URL="}, nil)
		if err != nil || cfg.NATS.SyncInterval != 0 || cfg.Redis.URL != "" {
			t.Errorf("%s: got %v, %v", text, cfg.NATS.SyncInterval, err)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	secretFile := write(t, "corbado1_x")
	for name, c := range map[string]struct {
		file    string
		environ []string
		args    []string
		want    []string
	}{
		"unknown key":               {"htp_addr: x\n", nil, nil, []string{"unknown key htp_addr", "did you mean http_addr?"}},
		"unknown key like no other": {"something_else_entirely: x\n", nil, nil, []string{"unknown key something_else_entirely"}},
		"nested key":                {"http:\n  addr: x\n", nil, nil, []string{"unknown key http.addr"}},
		"key twice":                 {"http_addr: a\nhttp_addr: b\n", nil, nil, []string{"already defined"}},
		"not YAML":                  {"\t:", nil, nil, []string{"read configuration file"}},
		"unknown variable": {
			"", []string{"KEYWARD_REDIS_URI=x"}, nil,
			[]string{"unknown variable KEYWARD_REDIS_URI", "did you mean KEYWARD_REDIS_URL?"},
		},
		"no _FILE for what is not secret": {"", []string{"KEYWARD_HTTP_ADDR_FILE=x"}, nil, []string{"unknown variable KEYWARD_HTTP_ADDR_FILE"}},
		"variable and file": {
			"", []string{"KEYWARD_BOOTSTRAP_API_SECRET=corbado1_y", "KEYWARD_BOOTSTRAP_API_SECRET_FILE=" + secretFile}, nil,
			[]string{"both set"},
		},
		"missing secret file":        {"", []string{"KEYWARD_NATS_URL_FILE=/nowhere"}, nil, []string{"KEYWARD_NATS_URL_FILE", "/nowhere"}},
		"missing configuration file": {"", []string{"KEYWARD_CONFIG=/nowhere"}, nil, []string{"/nowhere"}},
		"not an address":             {"", nil, []string{"--http-addr=8080"}, []string{"http_addr: must be of the form host:port"}},
		"not a duration":             {"request_timeout: 10\n", nil, nil, []string{"request_timeout: must be a duration"}},
		"negative duration":          {"request_timeout: -1s\n", nil, nil, []string{"request_timeout: must not be negative"}},
		"not a size":                 {"body_limit: big\n", nil, nil, []string{"body_limit: must be a size"}},
		"not a number":               {"concurrency: many\n", nil, nil, []string{"concurrency: must be a whole number"}},
		"not a level":                {"log_level: loud\n", nil, nil, []string{"log_level: must be debug, info, warn or error"}},
		"mapping for a value":        {"http_addr:\n  a: b\n", nil, nil, []string{"http_addr"}},
		"no such service": {
			"", []string{"KEYWARD_SERVICES=gateway,billing"}, nil, []string{`services: there is no service "billing"`},
		},
		"no service": {"services: []\n", nil, nil, []string{"services: cannot be blank"}},
		"some services with embedded NATS": {
			"", []string{"KEYWARD_SERVICES=gateway"}, nil, []string{"services: running only gateway", "KEYWARD_NATS_URL"},
		},
		"several things at once":            {"htp_addr: x\n", []string{"KEYWARD_X=1"}, nil, []string{"htp_addr", "KEYWARD_X"}},
		"replicas with embedded NATS":       {"nats_replicas: 3\n", nil, nil, []string{"nats_replicas"}},
		"challenge outliving its own store": {"challenge_ttl: 1h\n", nil, nil, []string{"challenge_ttl: must not be above challenge_max_age"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.file, c.environ, c.args)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

// A start that opened a pipe which nobody writes to would wait for ever.
func TestAPipeInThePlaceOfAFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"KEYWARD_NATS_URL_FILE", "KEYWARD_CONFIG"} {
		for _, path := range []string{pipe, "/dev/zero"} {
			loaded := make(chan error, 1)
			go func() {
				_, err := load(t, "", []string{name + "=" + path}, nil)
				loaded <- err
			}()
			select {
			case err := <-loaded:
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("%s=%s: %v", name, path, err)
				}
			case <-time.After(5 * time.Second):
				t.Errorf("%s=%s: still waiting", name, path)
			}
		}
	}
}

func TestVariablesThatKubernetesInjectsAreNotOurs(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", []string{
		"KEYWARD_SERVICE_HOST=10.0.0.1",
		"KEYWARD_SERVICE_PORT=8080",
		"KEYWARD_SERVICE_PORT_HTTP=8080",
		"KEYWARD_PORT=tcp://10.0.0.1:8080",
		"KEYWARD_PORT_8080_TCP=x",
		"KEYWARD_PORT_8080_TCP_ADDR=x",
		"KEYWARD_NATS_SERVICE_HOST=x",
		"KEYWARD_NATS_PORT_4222_TCP_PROTO=tcp",
		"KEYWARDEN=x",
		"PATH=/bin",
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

func TestSecretsArePrintedAsStars(t *testing.T) {
	t.Parallel()
	cfg, err := load(t, "", []string{
		"KEYWARD_NATS_URL=nats://bob:hunter2@n1:4222",
		"KEYWARD_REDIS_URL=redis://:hunter2@cache:6379",
		"KEYWARD_BOOTSTRAP_API_SECRET=corbado1_hunter2hunter2hunter2",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := config.WriteYAML(&out, cfg); err != nil {
		t.Fatal(err)
	}
	if err := config.WriteJSON(&out, cfg); err != nil {
		t.Fatal(err)
	}
	out.WriteString(cfg.String() + cfg.GoString() + cfg.LogValue().String())
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a secret is shown:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "nats://bob:********@n1:4222") {
		t.Errorf("the rest of a URL is hidden:\n%s", out.String())
	}
}

func TestWhatIsPrintedCanBeReadAgain(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	want := settings.DefaultConfig()
	if err := config.WriteYAML(&out, want); err != nil {
		t.Fatal(err)
	}
	got, err := load(t, out.String(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}

func TestTheReferencePageIsUpToDate(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	if err := config.WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("docs/configuration.md is stale; run make generate (-want +got):\n%s", diff)
	}
}

func TestEverySettingIsExplained(t *testing.T) {
	t.Parallel()
	cfg := settings.DefaultConfig()
	seen := map[string]bool{}
	for _, s := range cfg.Settings() {
		if s.Key == "" || s.Section == "" || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%q has no section or no sentence", s.Key)
		}
		if seen[s.Key] {
			t.Errorf("%s is there twice", s.Key)
		}
		seen[s.Key] = true
		if _, masked := s.Value.(interface{ Reveal() string }); masked != s.Secret {
			t.Errorf("%s: Secret is %v, but the value's masking is %v", s.Key, s.Secret, masked)
		}
	}
}

func TestAtAnotherPortOnlyTheAddressHasToBeChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		url     string
		origins []string
	}{
		"nothing is set":        {nil, "http://localhost:8080", []string{"http://localhost:8080"}},
		"another port":          {[]string{"KEYWARD_HTTP_ADDR=127.0.0.1:9000"}, "http://localhost:9000", []string{"http://localhost:9000"}},
		"the usual port":        {[]string{"KEYWARD_HTTP_ADDR=:80"}, "http://localhost", []string{"http://localhost"}},
		"a port that is chosen": {[]string{"KEYWARD_HTTP_ADDR=127.0.0.1:0"}, "http://localhost:8080", []string{"http://localhost:8080"}},
		"a URL that is set": {
			[]string{"KEYWARD_HTTP_ADDR=:9000", "KEYWARD_FRONTEND_URL=http://a.localhost:1/x"}, "http://a.localhost:1/x",
			[]string{"http://a.localhost:1"},
		},
		"origins that are set, too": {
			[]string{"KEYWARD_HTTP_ADDR=:9000", "KEYWARD_BOOTSTRAP_ORIGINS=http://b.localhost"}, "http://localhost:9000",
			[]string{"http://b.localhost"},
		},
		"a certificate for the port": {
			[]string{"KEYWARD_HTTP_ADDR=:9000", "KEYWARD_TLS_CERT=c", "KEYWARD_TLS_KEY=k"}, "https://localhost:9000",
			[]string{"https://localhost:9000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := load(t, "", c.environ, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.origins, cfg.Bootstrap.Origins); cfg.Ceremony.FrontendURL != c.url || diff != "" {
				t.Errorf("frontend_url %s, origins:\n%s", cfg.Ceremony.FrontendURL, diff)
			}
		})
	}
}
