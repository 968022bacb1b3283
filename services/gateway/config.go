package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/ratelimit"
)

// Config holds what an operator may set. New takes zero values for the defaults.
type Config struct {
	Addr               string        // host:port of the HTTP port; default 127.0.0.1:8080
	BodyLimit          int           // bytes of a request body, but for calls of the user service; default 1.5 MiB
	HeaderLimit        int           // bytes of request line and headers; default 16 KiB
	ReadTimeout        time.Duration // from the first byte of a request to its last; default 15 s
	IdleTimeout        time.Duration // how long an idle connection is kept; default 120 s
	RequestTimeout     time.Duration // deadline of everything behind the gateway; default 10 s
	Grace              time.Duration // how long Run waits for requests in flight when it is told to stop; default 15 s
	MaxInFlight        int           // requests handled at once, more are shed with 503; default 1024
	MaxConnections     int           // connections open at once, of both ports, more are closed; 0: 3/4 of the files the process may open
	MaxConnectionsAddr int           // the same from one address that is no trusted proxy; default 1024
	MaxStreams         int           // event streams open at once, more are refused with 503; default 4096
	MaxStreamsProject  int           // event streams of one project open at once; 0: a quarter of MaxStreams
	StreamHeartbeat    time.Duration // between two comments on an event stream; default 15 s
	StreamWriteTimeout time.Duration // how long the client of an event stream may take no data; default 15 s
	Version            string        // of the binary, shown on the API page
	HSTSMaxAge         time.Duration // that browsers use https alone for, told with TLS; 0 = nothing is told
	TryingPage         bool          // / is the page to try passkeys with, which tells anybody who has a decision's ID why it was made

	Console         bool          // the console of operators is at /console, if there is the Operator API
	OperatorAPI     bool          // the Operator API is served below /operator/v1
	OperatorTimeout time.Duration // deadline of its calls: a bundle that is pushed is checked meanwhile; default 40 s

	GRPCAddr       string        // host:port of the gRPC port, or Off; default 127.0.0.1:8081
	GRPCMaxMessage int           // bytes of a message of the user service, on both ports; default 2 MiB
	GRPCMaxStreams int           // calls at once on one HTTP/2 connection; default 250
	GRPCKeepalive  time.Duration // how long an HTTP/2 connection may be silent before it is pinged; default 1 min

	TLSCert  string // PEM file of the certificate and its chain; empty: no TLS
	TLSKey   string // PEM file of its key
	TLSPorts string // which ports use it: TLSBoth, TLSHTTP or TLSGRPC; default TLSBoth

	// Of these the zero value limits nothing, and trusts nobody.
	RateProject    ratelimit.Limit // calls of one project
	RateAddress    ratelimit.Limit // calls from one address
	RateFailures   ratelimit.Limit // wrong credentials from one address; more guesses are answered 429
	RateProcesses  ratelimit.Limit // processes that visitors of one project begin from one address
	RateSignUps    ratelimit.Limit // users that visitors of one project make from one address
	RateLookups    ratelimit.Limit // identifiers that visitors of one project look up from one address
	TrustedProxies []netip.Prefix  // peers whose X-Forwarded-For is believed
	LogAddresses   string          // LogWhole, LogNetwork or LogNone; empty: LogWhole
}

// What settings that are words may be.
const (
	Off     = "off"
	TLSBoth = "both"
	TLSHTTP = "http"
	TLSGRPC = "grpc"
)

// How much of a client's address the request log has.
const (
	LogWhole   = "whole"
	LogNetwork = "network" // the first 24 bits of an IPv4 address and 48 of IPv6: a site, and no person
	LogNone    = "none"
)

// logged returns what the log has of an address.
func (c Config) logged(from netip.Addr) string {
	switch {
	case !from.IsValid() || c.LogAddresses == LogNone:
		return ""
	case c.LogAddresses == LogNetwork:
		return address.Network(from).String()
	default:
		return from.WithZone("").String()
	}
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Addr:               "127.0.0.1:8080",
		BodyLimit:          1536 << 10,
		HeaderLimit:        16 << 10,
		ReadTimeout:        15 * time.Second,
		IdleTimeout:        2 * time.Minute,
		RequestTimeout:     10 * time.Second,
		Grace:              15 * time.Second,
		MaxInFlight:        1024,
		MaxConnectionsAddr: 1024,
		MaxStreams:         4096,
		StreamHeartbeat:    15 * time.Second,
		StreamWriteTimeout: 15 * time.Second,
		Version:            "dev",
		HSTSMaxAge:         365 * 24 * time.Hour,
		TryingPage:         true,
		OperatorAPI:        true,
		Console:            true,
		OperatorTimeout:    40 * time.Second,
		GRPCAddr:           "127.0.0.1:8081",
		GRPCMaxMessage:     2 << 20,
		GRPCMaxStreams:     250,
		GRPCKeepalive:      time.Minute,
		TLSPorts:           TLSBoth,
		RateProject:        ratelimit.Limit{Requests: 200_000, Per: 10 * time.Second},
		LogAddresses:       LogWhole,
		RateAddress:        ratelimit.Limit{Requests: 200_000, Per: 10 * time.Second},
		RateFailures:       ratelimit.Limit{Requests: 100, Per: 10 * time.Second},
		RateProcesses:      ratelimit.Limit{Requests: 200, Per: 10 * time.Second},
		RateSignUps:        ratelimit.Limit{Requests: 30, Per: 10 * time.Second},
		RateLookups:        ratelimit.Limit{Requests: 600, Per: 10 * time.Minute},
	}
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	return Config{
		Addr:               cmp.Or(c.Addr, d.Addr),
		LogAddresses:       cmp.Or(c.LogAddresses, d.LogAddresses),
		BodyLimit:          cmp.Or(c.BodyLimit, d.BodyLimit),
		HeaderLimit:        cmp.Or(c.HeaderLimit, d.HeaderLimit),
		ReadTimeout:        cmp.Or(c.ReadTimeout, d.ReadTimeout),
		IdleTimeout:        cmp.Or(c.IdleTimeout, d.IdleTimeout),
		RequestTimeout:     cmp.Or(c.RequestTimeout, d.RequestTimeout),
		Grace:              cmp.Or(c.Grace, d.Grace),
		MaxInFlight:        cmp.Or(c.MaxInFlight, d.MaxInFlight),
		MaxConnections:     c.MaxConnections,
		MaxConnectionsAddr: cmp.Or(c.MaxConnectionsAddr, d.MaxConnectionsAddr),
		MaxStreams:         cmp.Or(c.MaxStreams, d.MaxStreams),
		MaxStreamsProject:  c.MaxStreamsProject,
		StreamHeartbeat:    cmp.Or(c.StreamHeartbeat, d.StreamHeartbeat),
		StreamWriteTimeout: cmp.Or(c.StreamWriteTimeout, d.StreamWriteTimeout),
		Version:            cmp.Or(c.Version, d.Version),
		HSTSMaxAge:         c.HSTSMaxAge,
		TryingPage:         c.TryingPage,
		OperatorAPI:        c.OperatorAPI,
		Console:            c.Console,
		OperatorTimeout:    cmp.Or(c.OperatorTimeout, d.OperatorTimeout),
		GRPCAddr:           cmp.Or(c.GRPCAddr, d.GRPCAddr),
		GRPCMaxMessage:     cmp.Or(c.GRPCMaxMessage, d.GRPCMaxMessage),
		GRPCMaxStreams:     cmp.Or(c.GRPCMaxStreams, d.GRPCMaxStreams),
		GRPCKeepalive:      cmp.Or(c.GRPCKeepalive, d.GRPCKeepalive),
		TLSCert:            c.TLSCert,
		TLSKey:             c.TLSKey,
		TLSPorts:           cmp.Or(c.TLSPorts, d.TLSPorts),
		RateProject:        c.RateProject,
		RateAddress:        c.RateAddress,
		RateFailures:       c.RateFailures,
		RateProcesses:      c.RateProcesses,
		RateSignUps:        c.RateSignUps,
		RateLookups:        c.RateLookups,
		TrustedProxies:     c.TrustedProxies,
	}
}

const (
	minMessage = 64 << 10
	maxMessage = 64 << 20
	maxStreams = 100_000
)

// UsesTLS reports whether a port, TLSHTTP or TLSGRPC, is served with TLS.
func (c Config) UsesTLS(port string) bool {
	return c.TLSCert != "" && (c.TLSPorts == TLSBoth || c.TLSPorts == port)
}

// strictTransport returns what browsers are told of https at a host; nil: nothing anywhere. A machine's own name is never for https alone,
// since browsers would hold everything to it that runs on the machine.
func (c Config) strictTransport() func(host string) string {
	if c.HSTSMaxAge < time.Second || !c.UsesTLS(TLSHTTP) {
		return nil
	}
	told := "max-age=" + strconv.FormatInt(int64(c.HSTSMaxAge/time.Second), 10)
	return func(host string) string {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
			return ""
		}
		return told
	}
}

// limits reports whether any calls are counted.
func (c Config) limits() bool {
	return c.RateProject.On() || c.RateAddress.On() || c.RateFailures.On() || c.RateProcesses.On() || c.RateSignUps.On() || c.RateLookups.On()
}

func isAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	return err == nil && port != ""
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	var errs []error
	if !isAddr(c.Addr) {
		errs = append(errs, fmt.Errorf("http_addr: must be of the form host:port, not %q", c.Addr))
	}
	if c.GRPCAddr != Off && !isAddr(c.GRPCAddr) {
		errs = append(errs, fmt.Errorf("grpc_addr: must be of the form host:port, or off, not %q", c.GRPCAddr))
	}
	for _, s := range []struct {
		bad  bool
		text string
	}{
		{c.BodyLimit < 1, "body_limit: must be above 0"},
		{c.HeaderLimit < 1024, "header_limit: must be at least 1KiB"},
		{c.ReadTimeout <= 0, "read_timeout: must be above 0"},
		{c.IdleTimeout <= 0, "idle_timeout: must be above 0"},
		{c.RequestTimeout <= 0, "request_timeout: must be above 0"},
		{c.OperatorTimeout <= 0, "the timeout of the Operator API must be above 0"},
		{c.Grace <= 0, "shutdown_grace: must be above 0"},
		{c.MaxInFlight < 1, "concurrency: must be at least 1"},
		{c.MaxConnections < 0, "max_connections: must be at least 1, or 0 for three quarters of the files that the process may open"},
		{c.MaxConnectionsAddr < 1, "max_connections_address: must be at least 1"},
		{c.MaxStreams < 1, "sse_max_streams: must be at least 1"},
		{c.MaxStreamsProject < 0, "sse_max_streams_project: must be at least 1, or 0 for a quarter of sse_max_streams"},
		{c.StreamHeartbeat <= 0, "the heartbeat of event streams must be above 0"},
		{c.StreamWriteTimeout <= 0, "the write timeout of event streams must be above 0"},
		{c.GRPCMaxMessage < minMessage || c.GRPCMaxMessage > maxMessage, "grpc_max_message: must be 64KiB to 64MiB"},
		{c.GRPCMaxStreams < 1 || c.GRPCMaxStreams > maxStreams, "grpc_max_streams: must be 1 to 100000"},
		{c.GRPCKeepalive < time.Second, "grpc_keepalive: must be at least 1s"},
		{c.TLSCert != "" && c.TLSKey == "", "tls_key: cannot be blank if tls_cert is set"},
		{c.TLSCert == "" && c.TLSKey != "", "tls_cert: cannot be blank if tls_key is set"},
		{!slices.Contains([]string{LogWhole, LogNetwork, LogNone}, c.LogAddresses), "log_addresses: must be whole, network or none"},
		{c.TLSPorts != TLSBoth && c.TLSPorts != TLSHTTP && c.TLSPorts != TLSGRPC, "tls_ports: must be both, http or grpc"},
	} {
		if s.bad {
			errs = append(errs, errors.New(s.text))
		}
	}
	for key, limit := range map[string]ratelimit.Limit{
		"rate_limit_project": c.RateProject, "rate_limit_address": c.RateAddress, "rate_limit_failures": c.RateFailures,
		"rate_limit_processes": c.RateProcesses, "rate_limit_sign_ups": c.RateSignUps, "rate_limit_lookups": c.RateLookups,
	} {
		if err := limit.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errors.Join(errs...)
}
