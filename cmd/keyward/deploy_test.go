package main_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/bus"
)

func deployFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// substitute gives every variable of a compose file a value.
func substitute(text string) string {
	return regexp.MustCompile(`\$\{[^}]+\}`).ReplaceAllString(text, "pEnv1")
}

func TestComposeRunsEveryServiceWithSettingsThatWork(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal([]byte(substitute(deployFile(t, "compose.yaml"))), &file); err != nil {
		t.Fatal(err)
	}
	var image []string
	for line := range strings.SplitSeq(deployFile(t, "Dockerfile"), "\n") {
		if values, found := strings.CutPrefix(line, "ENV "); found {
			image = append(image, strings.Fields(values)...)
		}
	}
	if len(image) == 0 {
		t.Error("the image sets nothing")
	}
	for _, name := range settings.ServiceNames() {
		environ := append([]string{}, image...)
		for key, value := range file.Services[name].Environment {
			environ = append(environ, key+"="+value)
		}
		cfg, err := config.Load("", environ, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !cfg.Runs(name) || cfg.RunsAll() {
			t.Errorf("%s runs %v", name, cfg.Services)
		}
		if !strings.HasPrefix(cfg.NATS.URL.Reveal(), "nats://"+name+":") {
			t.Errorf("%s does not log in to NATS as itself", name)
		}
		if usesCache := name != settings.Gateway; usesCache != (cfg.Redis.URL != "") {
			t.Errorf("%s: Redis is %q", name, cfg.Redis.URL.Reveal())
		}
	}
}

// It sets the environment, so it does not run beside others.
func TestTheNATSConfigurationIsDurableAndKnowsEveryService(t *testing.T) {
	for _, name := range append(settings.ServiceNames(), "operator") {
		t.Setenv("NATS_"+strings.ToUpper(name)+"_PASSWORD", "p"+name)
	}
	opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !opts.JetStream || !opts.SyncAlways || opts.MaxPayload != 4<<20 {
		t.Errorf("JetStream %v, sync always %v, largest message %d bytes", opts.JetStream, opts.SyncAlways, opts.MaxPayload)
	}
	users := map[string]*server.User{}
	for _, user := range opts.Users {
		users[user.Username] = user
	}
	for _, name := range settings.ServiceNames() {
		user := users[name]
		if user == nil || user.Password != "p"+name || user.Permissions == nil || user.Permissions.Publish == nil {
			t.Errorf("%s has no user with permissions of its own: %+v", name, user)
		}
	}
}

// A denial of all purges would keep the decision service from dropping old policy revisions, so its configuration names each stream that it may not purge.
func TestTheDecisionServiceMayPurgePolicyRevisionsAndNothingElse(t *testing.T) {
	for _, name := range append(settings.ServiceNames(), "operator") {
		t.Setenv("NATS_"+strings.ToUpper(name)+"_PASSWORD", "p"+name)
	}
	opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var denied []string
	for _, user := range opts.Users {
		if user.Username == settings.Decision {
			denied = user.Permissions.Publish.Deny
		}
	}
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	names := b.JS.StreamNames(t.Context())
	for name := range names.Name() {
		want := name != "OBJ_"+bus.PoliciesBucket
		if got := slices.Contains(denied, "$JS.API.STREAM.PURGE."+name); got != want {
			t.Errorf("purging %s is denied: %v, want %v", name, got, want)
		}
	}
	if err := names.Err(); err != nil {
		t.Fatal(err)
	}
}
