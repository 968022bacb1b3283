package settings_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
)

func TestWhatIsForDevelopmentRefusesToRunWhereOthersSignIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*settings.Config)
		want   []string // the settings that are named
	}{
		"nothing is set":     {func(*settings.Config) {}, nil},
		"TLS on this laptop": {func(c *settings.Config) { c.Ceremony.FrontendURL = "https://localhost:8080" }, nil},
		"a public name": {
			func(c *settings.Config) { c.Ceremony.FrontendURL = "https://auth.example.com" }, []string{"trying_page", "delivery"},
		},
		"a public name with both off": {func(c *settings.Config) {
			c.Ceremony.FrontendURL, c.HTTP.TryingPage, c.Delivery.Kind = "https://auth.example.com", false, "off"
		}, nil},
		"a public name, and it is meant so": {func(c *settings.Config) {
			c.Ceremony.FrontendURL, c.DevOverHTTPS = "https://auth.example.com", true
		}, nil},
		"a public name and the decision service alone": {func(c *settings.Config) {
			c.Ceremony.FrontendURL, c.Services, c.NATS.URL = "https://auth.example.com", []string{settings.Decision}, "nats://127.0.0.1:4222"
		}, nil},
	} {
		cfg := settings.DefaultConfig()
		c.change(&cfg)
		told := ""
		if err := cfg.Validate(); err != nil {
			told = err.Error()
		}
		for _, key := range []string{"trying_page", "delivery"} {
			wanted := strings.Contains(strings.Join(c.want, " "), key)
			if strings.Contains(told, key+": ") != wanted {
				t.Errorf("%s: %s wanted: %t, in %q", name, key, wanted, told)
			}
		}
	}
}

func TestWhatIsUnsafeIsSaidInALineEach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*settings.Config)
		want   []string // what each line begins with
	}{
		"a laptop":                 {func(*settings.Config) {}, []string{"trying_page", "one-time codes"}},
		"a server as it should be": {func(c *settings.Config) { c.HTTP.TryingPage, c.Delivery.Kind = false, "smtp" }, nil},
		"an admin port for everybody": {func(c *settings.Config) {
			c.HTTP.TryingPage, c.Delivery.Kind, c.AdminAddr = false, "off", ":9090"
		}, []string{"admin_addr"}},
		"an admin port at an address": {func(c *settings.Config) {
			c.HTTP.TryingPage, c.Delivery.Kind, c.AdminAddr = false, "off", "10.0.0.7:9090"
		}, []string{"admin_addr"}},
		"an admin port at this machine": {func(c *settings.Config) {
			c.HTTP.TryingPage, c.Delivery.Kind, c.AdminAddr = false, "off", "[::1]:9090"
		}, nil},
		"profiles": {func(c *settings.Config) {
			c.HTTP.TryingPage, c.Delivery.Kind, c.AdminProfiles = false, "off", true
		}, []string{"admin_profiles"}},
	} {
		cfg := settings.DefaultConfig()
		c.change(&cfg)
		got := cfg.Unsafe()
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", name, got)
			continue
		}
		for i, line := range got {
			if !strings.HasPrefix(line, c.want[i]) || strings.Contains(line, "\n") {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
