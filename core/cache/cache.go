// Package cache is the connection to a Redis by URL: one server, those that Sentinels know, or a Cluster. What is stored in it is the
// business of others; nothing in it is the only copy.
package cache

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says which Redis to use. Timeouts are short because the log answers when the cache does not.
type Config struct {
	URL      string        // redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL
	Timeout  time.Duration // for dialling, and for each read and write
	PoolSize int           // connections; 0 = the client's default
}

// DefaultConfig names no Redis.
func DefaultConfig() Config { return Config{Timeout: 250 * time.Millisecond} }

// Cache is an open client. Close it.
type Cache struct {
	Client redis.UniversalClient
	id     string // of this client among the probes
}

// Open returns a client. It fails only for a URL it cannot read: a Redis that is away is no error, since every reader can do without.
func Open(cfg Config) (*Cache, error) {
	if bySentinels(cfg.URL) {
		opts, err := sentinels(cfg.URL, cfg)
		if err != nil {
			return nil, fmt.Errorf("redis_url: %w", err)
		}
		return &Cache{Client: traced(redis.NewFailoverClient(opts)), id: rand.Text()}, nil
	}
	if inCluster(cfg.URL) {
		opts, err := cluster(cfg.URL, cfg)
		if err != nil {
			return nil, fmt.Errorf("redis_url: %w", err)
		}
		return &Cache{Client: traced(redis.NewClusterClient(opts)), id: rand.Text()}, nil
	}
	opts, err := redis.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("redis_url: %w", err)
	}
	return &Cache{Client: traced(redis.NewClient(tune(opts, cfg))), id: rand.Text()}, nil
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
	// One attempt: a second one would spend the caller's time on what the log can answer. The exception is a connection that the server closed
	// while it was idle.
	opts.MaxRetries = 1
	// No server that people run themselves announces its maintenance; the client would ask each connection, and complain.
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.MinRetryBackoff = -1
	opts.MaxRetryBackoff = -1
	return opts
}

// probeAge is how long what Writable writes is kept.
const probeAge = time.Minute

// Writable reports why nothing can be put into the cache: it does not answer, is full, takes no writes, or is no server for all keys. Of a
// Cluster each master has to answer.
func (c *Cache) Writable(ctx context.Context) error {
	if all, is := c.Client.(*redis.ClusterClient); is {
		err := all.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return node.Ping(ctx).Err() })
		if err != nil {
			return fmt.Errorf("reach the masters of redis: %w", err)
		}
	}
	if err := c.Client.Set(ctx, "keyward:probe:"+c.id, 1, probeAge).Err(); err != nil {
		return fmt.Errorf("write to redis: %w", err)
	}
	return nil
}

// Close ends the client.
func (c *Cache) Close() error { return c.Client.Close() }
