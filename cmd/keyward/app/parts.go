package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/gateway"
)

// defaultHTTP spells out what the gateway would assume, so that it can be printed.
func defaultHTTP() gateway.Config {
	return gateway.Config{
		Addr:           "127.0.0.1:8080",
		BodyLimit:      1536 << 10,
		HeaderLimit:    16 << 10,
		ReadTimeout:    15 * time.Second,
		IdleTimeout:    2 * time.Minute,
		RequestTimeout: 10 * time.Second,
		MaxInFlight:    1024,
	}
}

func validateHTTP(c gateway.Config) error {
	errs := []error{checkAddr("http_addr", c.Addr)}
	if c.BodyLimit < 64<<10 {
		errs = append(errs, errors.New("body_limit: must be at least 64KiB, which the answer of an authenticator may need"))
	}
	if c.HeaderLimit < 4<<10 {
		errs = append(errs, errors.New("header_limit: must be at least 4KiB"))
	}
	for key, d := range map[string]time.Duration{"read_timeout": c.ReadTimeout, "idle_timeout": c.IdleTimeout, "request_timeout": c.RequestTimeout} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be above 0", key))
		}
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, errors.New("concurrency: must be at least 1"))
	}
	return errors.Join(errs...)
}

// defaultDecision spells out what the decision service would assume, so that it can be printed.
func defaultDecision() decision.Config {
	return decision.Config{EvalTimeout: 50 * time.Millisecond, RecordQueue: 8192, DrainTimeout: 5 * time.Second, Debounce: 150 * time.Millisecond}
}

func validateDecision(c decision.Config) error {
	var errs []error
	if c.EvalTimeout <= 0 {
		errs = append(errs, errors.New("policy_timeout: must be above 0"))
	}
	if c.RecordQueue < 1 {
		errs = append(errs, errors.New("decisions_queue: must be at least 1"))
	}
	return errors.Join(errs...)
}
