// Package telemetry is how an operator sees into a process: JSON logs, metrics, traces, and the health that the admin port reports. It
// writes to the writer and listens on the address that it is given, and reads the standard OTEL_* variables; it knows no service.
package telemetry

// Build names the program that runs.
type Build struct {
	Version  string `json:"version"`  // semantic version
	Revision string `json:"revision"` // of the source; empty if unknown
	Go       string `json:"go"`       // version of the toolchain
}
