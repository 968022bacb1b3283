package webhook

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Config says what endpoints may be, and how hard they are tried.
type Config struct {
	AllowHTTP    bool     // endpoints may be http
	AllowPrivate bool     // endpoints may be on private, loopback and link-local addresses
	AllowCIDRs   []string // private address ranges that endpoints may be on, such as 10.1.0.0/16

	PerProject  int           // endpoints that a project may have
	Timeout     time.Duration // of one attempt, from dialling to the end of the answer
	Concurrency int           // attempts under way at once for one endpoint
	MaxAttempts int           // of one event; then it is a dead letter
	RetryMin    time.Duration // the first retry comes within this time, the next within twice of it, and so on
	RetryMax    time.Duration // but no retry later than this, unless the endpoint asks for it

	Lease time.Duration // after so long without a sign of life, the endpoints of an instance are taken over by others
}

// DefaultConfig returns the figures for production: an event is tried for about a day.
func DefaultConfig() Config {
	return Config{
		PerProject: 50, Timeout: 10 * time.Second, Concurrency: 32, MaxAttempts: 22,
		RetryMin: 10 * time.Second, RetryMax: 4 * time.Hour, Lease: 6 * time.Second,
	}
}

// Validate reports every figure that cannot work.
func (c Config) Validate() error {
	var errs []error
	if _, err := c.ranges(); err != nil {
		errs = append(errs, err)
	}
	for key, n := range map[string]int{
		"webhooks_per_project": c.PerProject, "webhooks_concurrency": c.Concurrency, "webhooks_max_attempts": c.MaxAttempts,
	} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("%s: must be at least 1", key))
		}
	}
	if c.Concurrency > 1024 {
		errs = append(errs, errors.New("webhooks_concurrency: must be at most 1024"))
	}
	if c.Timeout < time.Millisecond {
		errs = append(errs, errors.New("webhooks_timeout: must be at least one millisecond"))
	}
	if c.RetryMin < time.Millisecond || c.RetryMax < c.RetryMin {
		errs = append(errs, errors.New("webhooks_retry_min: must be at least one millisecond and not above webhooks_retry_max"))
	}
	if c.Lease < time.Second {
		errs = append(errs, errors.New("webhooks_lease: must be at least one second"))
	}
	return errors.Join(errs...)
}

func (c Config) ranges() ([]netip.Prefix, error) {
	ranges := make([]netip.Prefix, 0, len(c.AllowCIDRs))
	for _, text := range c.AllowCIDRs {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("webhooks_allow_cidrs: %q must be of the form 10.1.0.0/16", text)
		}
		ranges = append(ranges, p.Masked())
	}
	return ranges, nil
}

// maxRetryAfter bounds what an endpoint may ask for.
const maxRetryAfter = 24 * time.Hour

// Delay returns how long to wait after so many failed attempts, from 1: exponential backoff with full jitter, and no sooner than the
// endpoint asked for. random draws from [0, n); nil = the default.
func (c Config) Delay(failed int, retryAfter time.Duration, random func(n int64) int64) time.Duration {
	if random == nil {
		random = rand.Int64N
	}
	limit := c.RetryMax
	if shift := failed - 1; shift < 40 && c.RetryMin<<shift > 0 && c.RetryMin<<shift < limit {
		limit = c.RetryMin << shift
	}
	return max(time.Duration(random(int64(limit)+1)), min(retryAfter, maxRetryAfter))
}
