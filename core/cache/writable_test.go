package cache_test

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyward/keyward/core/cache"
)

func TestACacheThatAnswersAndTakesNothingIsNotWell(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]string{
		"a replica":                      "READONLY You can't write against a read only replica.",
		"memory that is full":            "OOM command not allowed when used memory > 'maxmemory'.",
		"a node of a cluster":            "MOVED 3999 127.0.0.1:6381",
		"a disk that is full":            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"a master with too few replicas": "NOREPLICAS Not enough good replicas to write.",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := miniredis.RunT(t)
			c, err := cache.Open(cache.Config{URL: "redis://" + server.Addr(), Timeout: cache.DefaultConfig().Timeout * 100})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if err := c.Writable(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.SetError(refusal)
			if err := c.Writable(t.Context()); err == nil || !strings.Contains(err.Error(), strings.Fields(refusal)[0]) {
				t.Errorf("%v does not tell %s", err, refusal)
			}
			server.SetError("")
			if err := c.Writable(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
