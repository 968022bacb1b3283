package historycache

import (
	"errors"
	"time"

	"github.com/keyward/keyward/core/historycache/internal/inmemory"
	"github.com/keyward/keyward/core/historycache/internal/inredis"
	"github.com/keyward/keyward/core/historycache/internal/wanted"
)

// Config holds what may be tuned. Every instance of an installation must have the same Lease.
type Config struct {
	TTL             time.Duration // of a cache entry, from its filling on
	Lease           time.Duration // how long a view of the epochs is taken for current; what a write costs more while Redis is away
	Poll            time.Duration // how often the view is renewed while there are readers; below Lease
	Near            int           // events that this process keeps decoded beside Redis, of all users; 0 = none
	Memory          int64         // bytes that entries take, about, that this process keeps without a Redis; at least a mebibyte
	BreakerFailures uint32        // failures in a row after which Redis is left alone
	BreakerPause    time.Duration // for so long

	Wanted wanted.Config // how it is agreed which sets of sightings are written
}

// DefaultConfig returns the figures for production. The events kept decoded beside Redis take about 40 MB.
func DefaultConfig() Config {
	return Config{
		TTL: time.Hour, Lease: 100 * time.Millisecond, Poll: 30 * time.Millisecond, Near: 100_000, Memory: 48 << 20,
		BreakerFailures: 3, BreakerPause: time.Second, Wanted: wanted.DefaultConfig(),
	}
}

// Validate reports every figure that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.TTL < time.Second {
		errs = append(errs, errors.New("events_cache_ttl: must be at least one second"))
	}
	if c.Poll <= 0 || c.Poll >= c.Lease {
		errs = append(errs, errors.New("epochs_poll: must be above zero and below the lease"))
	}
	if c.Near < 0 {
		errs = append(errs, errors.New("events_near_cache: must not be negative"))
	}
	if c.Memory < inmemory.Least {
		errs = append(errs, errors.New("embedded_cache_max_bytes: must be at least 1MiB"))
	}
	if c.BreakerFailures == 0 || c.BreakerPause <= 0 {
		errs = append(errs, errors.New("redis_breaker: failures and pause must be above zero"))
	}
	return errors.Join(errs...)
}

func (c Config) redis() inredis.Config {
	return inredis.Config{TTL: c.TTL, Near: c.Near, BreakerFailures: c.BreakerFailures, BreakerPause: c.BreakerPause}
}
