package cache_test

import (
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
)

func TestAnEmbeddedEntryExpiresByTheWallClock(t *testing.T) {
	t.Parallel()
	c, err := cache.Open(cache.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Client.Set(t.Context(), "k", "v", 30*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if errors.Is(c.Client.Get(t.Context(), "k").Err(), redis.Nil) {
			return
		}
	}
	t.Error("the entry outlived its expiry")
}

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
