// Package telemetry is how an operator sees into a process: JSON logs, metrics, traces, and the health that the admin port reports. It writes to the writer and listens on the address that it is given, and reads the standard OTEL_*
// variables; it knows no service.
package telemetry

import (
	"fmt"
	"log/slog"
	"net"
)

// Config says what is shown, and where.
type Config struct {
	AdminAddr string     // host:port of the admin server
	LogLevel  slog.Level // what is less important is not logged
}

// DefaultConfig shows everything from info on, to this machine.
func DefaultConfig() Config {
	return Config{AdminAddr: "127.0.0.1:9090", LogLevel: slog.LevelInfo}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.AdminAddr); err != nil {
		return fmt.Errorf("admin_addr: must be of the form host:port, not %q", c.AdminAddr)
	}
	return nil
}

// Build names the program that runs.
type Build struct {
	Version  string `json:"version"`  // semantic version
	Revision string `json:"revision"` // of the source; empty if unknown
	Go       string `json:"go"`       // version of the toolchain
}
