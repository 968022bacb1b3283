package subscribe

import "time"

// WithTakeover lets another process take over after that time.
func (c Config) WithTakeover(after time.Duration) Config {
	c.takeover = after
	return c
}
