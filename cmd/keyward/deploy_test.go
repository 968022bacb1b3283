package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/config"
	"github.com/keyward/keyward/core/atrest"
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

// setPasswords gives each user of NATS a password. It sets the environment, so its test does not run beside others.
func setPasswords(t *testing.T) {
	t.Helper()
	for _, name := range append(settings.ServiceNames(), "operator", "provision", "auditor") {
		t.Setenv("NATS_"+strings.ToUpper(name)+"_PASSWORD", "p"+name)
	}
}

// substitute gives every variable of a compose file a value.
func substitute(text string) string {
	key := regexp.MustCompile(`\$\{[A-Z]+_ENCRYPTION_KEY[^}]*\}`).ReplaceAllString(text, atrest.NewKey())
	return regexp.MustCompile(`\$\{[^}]+\}`).ReplaceAllString(key, "pEnv1")
}

func TestComposeRunsEveryServiceWithSettingsThatWork(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `yaml:"environment"`
			Command     []string          `yaml:"command"`
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
	if command := strings.Join(file.Services["redis"].Command, " "); !strings.Contains(command, "--requirepass pEnv1") {
		t.Errorf("redis asks for no password: %s", command)
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
		if !cfg.NATS.Provisioned {
			t.Errorf("%s creates streams, and may not", name)
		}
		if keepsSecrets := name == settings.Ceremony || name == settings.Events; keepsSecrets != (cfg.EncryptionKey != "") {
			t.Errorf("%s: it has an encryption key: %v", name, !keepsSecrets)
		}
		if usesCache := name != settings.Gateway; usesCache != (cfg.Redis.URL != "") {
			t.Errorf("%s: Redis is %q", name, cfg.Redis.URL.Reveal())
		}
		if usesCache := name != settings.Gateway; usesCache && !strings.HasPrefix(cfg.Redis.URL.Reveal(), "redis://:pEnv1@") {
			t.Errorf("%s has no password for Redis", name)
		}
	}
}

// It sets the environment, so it does not run beside others.
func TestTheNATSConfigurationIsDurableAndKnowsEveryService(t *testing.T) {
	setPasswords(t)
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

// A permission to purge is one for a stream. Erasing what is kept of a user is the business of the service of events.
func TestOnlyWhatAServiceErasesMayBePurgedByIt(t *testing.T) {
	setPasswords(t)
	opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	may := map[string][]string{
		settings.Decision: {"OBJ_" + bus.MetadataBucket, "OBJ_" + bus.PoliciesBucket},
		settings.Events: {
			bus.EventsStream, bus.OffersStream, bus.DecisionsStream, bus.WebhookRetriesStream, bus.WebhookDeadStream, bus.WebhookDeliveriesStream,
		},
	}
	for _, user := range opts.Users {
		if user.Username == "provision" || user.Permissions == nil {
			continue
		}
		var purged []string
		for _, subject := range user.Permissions.Publish.Allow {
			if name, is := strings.CutPrefix(subject, "$JS.API.STREAM.PURGE."); is {
				purged = append(purged, name)
			}
			if strings.HasPrefix(subject, "$JS.API.STREAM.CREATE") || strings.HasPrefix(subject, "$JS.API.STREAM.UPDATE") ||
				subject == "$JS.API.>" ||
				subject == ">" {
				t.Errorf("%s may create and change streams: %s", user.Username, subject)
			}
		}
		slices.Sort(purged)
		want := slices.Sorted(slices.Values(may[user.Username]))
		if !slices.Equal(purged, want) {
			t.Errorf("%s may purge %v, want %v", user.Username, purged, want)
		}
	}
}
