package settings_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
)

func TestBoundsOfMemoryLeaveRoomForAProcess(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, text string
		fault     string
	}{
		"a limit of its own":              {"memory_limit", "512MiB", ""},
		"what suits the process":          {"memory_limit", "auto", ""},
		"less than a process starts with": {"memory_limit", "63MiB", "memory_limit: must be at least 64MiB, or auto"},
		"a small cache":                   {"embedded_cache_max_bytes", "1MiB", ""},
		"no cache":                        {"embedded_cache_max_bytes", "0", "embedded_cache_max_bytes: must be at least 1MiB"},
	} {
		cfg := settings.DefaultConfig()
		for _, s := range cfg.Settings() {
			if s.Key != c.key {
				continue
			}
			if err := s.Value.Set(c.text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		err := cfg.Validate()
		if (err == nil) != (c.fault == "") || (err != nil && !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v, want %q", name, err, c.fault)
		}
	}
}
