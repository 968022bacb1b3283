package cache_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/cache"
)

func TestARedisThatIsAwayIsNoErrorUntilItIsAsked(t *testing.T) {
	t.Parallel()
	c, err := cache.Open(cache.Config{URL: "redis://127.0.0.1:1/0", Timeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Writable(t.Context()); err == nil {
		t.Error("an absent redis was written to")
	}
	if _, err := cache.Open(cache.Config{URL: "http://x"}); err == nil {
		t.Error("a URL of another scheme was accepted")
	}
}
