// Package cache is the connection to Redis: an external one by URL, or an embedded Redis-protocol server in this process for a laptop. Both
// are reached through the same client, so that nothing above can tell them apart. What is stored in it is the business of others; nothing
// in it is the only copy.
package cache

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config says which Redis to use. Timeouts are short because the log answers when the cache does not.
type Config struct {
	URL      string        // redis://, rediss://, unix://, redis+sentinel:// or redis+cluster:// URL; empty = embedded
	Timeout  time.Duration // for dialling, and for each read and write
	PoolSize int           // connections; 0 = the client's default
	MaxBytes int64         // that the embedded cache takes, about; 0 = as many as it is given
}

// DefaultConfig returns the embedded cache. It has room for some 70,000 events.
func DefaultConfig() Config { return Config{Timeout: 250 * time.Millisecond, MaxBytes: 48 << 20} }

// Cache is an open client. Close it.
type Cache struct {
	Client   redis.UniversalClient
	id       string // of this client among the probes
	embedded *miniredis.Miniredis
	stop     chan struct{}  // closed by Close
	clock    sync.WaitGroup // of the embedded server

	mu     sync.Mutex // of dialling and closing
	closed bool
}

// Open returns a client. It fails only for a URL it cannot read or an embedded server it cannot start: a Redis that is away is no error,
// since every reader can do without.
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
	if cfg.URL != "" {
		opts, err := redis.ParseURL(cfg.URL)
		if err != nil {
			return nil, fmt.Errorf("redis_url: %w", err)
		}
		return &Cache{Client: traced(redis.NewClient(tune(opts, cfg))), id: rand.Text()}, nil
	}
	embedded := miniredis.NewMiniRedis()
	password := rand.Text()
	embedded.RequireAuth(password)
	if err := embedded.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the embedded cache: %w", err)
	}
	if cfg.MaxBytes > 0 {
		kept := newLedger(cfg.MaxBytes, embedded.Exists, embedded.Del)
		embedded.Server().SetPreHook(func(_ *server.Peer, command string, args ...string) bool {
			kept.note(command, args)
			return false
		})
	}
	c := &Cache{id: rand.Text(), embedded: embedded, stop: make(chan struct{})}
	opts := &redis.Options{Addr: embedded.Addr(), Password: password, Dialer: c.dial}
	c.Client = traced(redis.NewClient(tune(opts, cfg)))
	c.clock.Go(c.age)
	return c, nil
}

// dial connects with the embedded server without the operating system, which spares half of a round trip. The server listens on loopback,
// too, for tests that cut a client off.
func (c *Cache) dial(context.Context, string, string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	client, served := pipe()
	c.embedded.Server().ServeConn(served)
	return client, nil
}

// age lets the embedded server's entries grow older, as in a real Redis, and removes those that expire. The server can follow the wall
// clock by itself, but then looks at every entry with each command.
func (c *Cache) age() {
	const step = time.Second
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-ticker.C:
			c.embedded.FastForward(step)
		}
	}
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

// Close ends the client and the embedded server.
func (c *Cache) Close() error {
	err := c.Client.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.embedded != nil && !c.closed {
		c.closed = true
		close(c.stop)
		c.clock.Wait()
		c.embedded.Close()
	}
	return err
}
