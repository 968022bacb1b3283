// Package cache is the connection to Redis. What is stored there is the business of others; nothing in it is the only copy.
package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config says which Redis to use. Timeouts are short because the log answers when the cache does not.
type Config struct {
	URL      string        // redis://, rediss:// or unix:// URL
	Timeout  time.Duration // for dialling, and for each read and write
	PoolSize int           // connections; 0 = the client's default
}

// DefaultConfig returns the figures for production, without a URL.
func DefaultConfig() Config { return Config{Timeout: 250 * time.Millisecond} }

// Cache is an open client. Close it.
type Cache struct{ Client *redis.Client }

// Open returns a client. It fails only for a URL it cannot read: a Redis that is away is no error, since every reader can do without.
func Open(cfg Config) (*Cache, error) {
	opts, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis_url: %w", err)
	}
	return &Cache{Client: redis.NewClient(tune(opts, cfg))}, nil
}

func tune(opts *redis.Options, cfg Config) *redis.Options {
	opts.DialTimeout = cfg.Timeout
	opts.ReadTimeout = cfg.Timeout
	opts.WriteTimeout = cfg.Timeout
	opts.PoolTimeout = cfg.Timeout
	opts.PoolSize = cfg.PoolSize
	opts.ContextTimeoutEnabled = true
	opts.DisableIdentity = true
	opts.DialerRetries = 1
	// One attempt: a second one would spend the caller's time on what the log can answer. The exception is a connection that the server closed while it was idle.
	opts.MaxRetries = 1
	opts.MinRetryBackoff = -1
	opts.MaxRetryBackoff = -1
	return opts
}

// Ping reports whether the cache answers.
func (c *Cache) Ping(ctx context.Context) error {
	if err := c.Client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Close ends the client.
func (c *Cache) Close() error { return c.Client.Close() }
