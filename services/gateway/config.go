package gateway

import (
	"errors"
	"time"
)

// Config holds what an operator may set. Zero values mean the defaults.
type Config struct {
	Addr           string        // host:port to listen on; default 127.0.0.1:8080
	BodyLimit      int           // bytes of a request body; default 1.5 MiB
	HeaderLimit    int           // bytes of request line and headers; default 16 KiB
	ReadTimeout    time.Duration // from the first byte of a request to its last; default 15 s
	IdleTimeout    time.Duration // how long an idle connection is kept; default 120 s
	RequestTimeout time.Duration // deadline of everything behind the gateway; default 10 s
	Grace          time.Duration // how long Run waits for requests in flight when it is told to stop; default 15 s
	MaxInFlight    int           // requests handled at once, more are shed with 503; default 1024
	Version        string        // of the binary, shown on the API page
}

func (c Config) withDefaults() Config {
	setDefault(&c.Addr, "127.0.0.1:8080")
	setDefault(&c.BodyLimit, 1_572_864)
	setDefault(&c.HeaderLimit, 16<<10)
	setDefault(&c.ReadTimeout, 15*time.Second)
	setDefault(&c.IdleTimeout, 120*time.Second)
	setDefault(&c.RequestTimeout, 10*time.Second)
	setDefault(&c.Grace, 15*time.Second)
	setDefault(&c.MaxInFlight, 1024)
	setDefault(&c.Version, "dev")
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	for _, s := range []struct {
		bad  bool
		text string
	}{
		{c.BodyLimit < 0, "body limit: must not be negative"},
		{c.HeaderLimit < 0 || (c.HeaderLimit > 0 && c.HeaderLimit < 1024), "header limit: must be at least 1024 bytes"},
		{c.ReadTimeout < 0 || c.IdleTimeout < 0 || c.RequestTimeout < 0 || c.Grace < 0, "timeouts: must not be negative"},
		{c.MaxInFlight < 0, "requests in flight: must not be negative"},
	} {
		if s.bad {
			errs = append(errs, errors.New(s.text))
		}
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
