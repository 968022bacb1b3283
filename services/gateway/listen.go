package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/keyward/keyward/services/gateway/internal/framing"
)

// farewell is how long calls that a shutdown has cancelled may take to say so to their clients.
const farewell = 250 * time.Millisecond

// newGRPCServer makes the server of the gRPC port. It speaks HTTP/2, which gRPC needs, and HTTP/1.1, with which the other protocols do.
// TLS is the listener's, so that what is said within is read along, and what net/http says by itself is legible.
func (g *Gateway) newGRPCServer(handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: g.cfg.GRPCMaxStreams, SendPingTimeout: g.cfg.GRPCKeepalive},
		ReadHeaderTimeout: g.cfg.ReadTimeout, // the handshake of TLS is within it
		ReadTimeout:       g.cfg.ReadTimeout,
		// Who does not read its answer has as long for it as it had to ask, and no longer.
		WriteTimeout:   2*g.cfg.ReadTimeout + g.cfg.RequestTimeout,
		IdleTimeout:    g.cfg.IdleTimeout,
		MaxHeaderBytes: g.cfg.HeaderLimit,
		ErrorLog:       slog.NewLogLogger(g.log.Handler(), slog.LevelDebug), // frames of clients that went wrong
		BaseContext:    func(net.Listener) context.Context { return g.base },
	}
}

// tlsConfig returns nil if there is no certificate.
func (g *Gateway) tlsConfig(protocols ...string) *tls.Config {
	if g.certificate == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: g.certificate.Get, NextProtos: protocols}
}

// Listen binds the addresses. It is called by Run unless it has been called before. An error begins with the setting that is at fault.
func (g *Gateway) Listen() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		return nil
	}
	listener, err := bind(g.cfg.Addr)
	if err != nil {
		return fmt.Errorf("http_addr: %w", err)
	}
	if g.cfg.GRPCAddr != Off {
		if g.grpcListener, err = bind(g.cfg.GRPCAddr); err != nil {
			return errors.Join(fmt.Errorf("grpc_addr: %w", err), listener.Close())
		}
	}
	listener = g.connections.Listen(listener)
	if g.cfg.UsesTLS(TLSHTTP) {
		listener = tls.NewListener(listener, g.tlsConfig("http/1.1"))
	}
	g.listener = framing.Listen(listener, framing.Config{LineLimit: 2 * g.cfg.HeaderLimit})
	if g.grpcListener == nil {
		return nil
	}
	grpc := g.connections.Listen(g.grpcListener)
	if g.cfg.UsesTLS(TLSGRPC) {
		grpc = tls.NewListener(grpc, g.tlsConfig("h2", "http/1.1"))
	}
	g.grpcListener = framing.Legible(framing.Listen(grpc, framing.Config{LineLimit: 2 * g.cfg.HeaderLimit, HTTP2: true}))
	return nil
}

func bind(addr string) (net.Listener, error) {
	var config net.ListenConfig
	return config.Listen(context.Background(), "tcp", addr)
}

// Addr returns the address of the HTTP port that Listen bound, or "" before that.
func (g *Gateway) Addr() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return addrOf(g.listener)
}

// GRPCAddr returns the address of the gRPC port that Listen bound, or "" before that and if there is none.
func (g *Gateway) GRPCAddr() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return addrOf(g.grpcListener)
}

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Run serves until ctx ends, then stops accepting and gives requests in flight the configured grace. It returns nil after a clean stop,
// an error if serving failed or the grace ran out.
func (g *Gateway) Run(ctx context.Context) error {
	if err := g.Listen(); err != nil {
		return err
	}
	defer g.streams.End()
	serving := []func() error{g.serveHTTP}
	if g.grpcListener != nil {
		serving = append(serving, g.serveGRPC)
	}
	served := make(chan error, len(serving))
	for _, serve := range serving {
		go func() { served <- serve() }()
	}
	g.users.SetServing(true)

	// One port without the other is not what the operator asked for, so that the end of one ends both.
	var ended []error
	select {
	case err := <-served:
		ended = append(ended, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Grace)
	defer cancel()
	ended = append(ended, g.Shutdown(grace))
	// Shutdown closes the listeners, unless serving had not yet begun.
	_ = g.listener.Close()
	if g.grpcListener != nil {
		_ = g.grpcListener.Close()
	}
	for len(ended) < len(serving)+1 {
		ended = append(ended, <-served)
	}
	return errors.Join(ended...)
}

func (g *Gateway) serveHTTP() error {
	if err := g.app.Listener(g.listener); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("gateway: serve HTTP: %w", err)
	}
	return nil // somebody called Shutdown
}

func (g *Gateway) serveGRPC() error {
	if err := g.grpc.Serve(g.grpcListener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("gateway: serve gRPC: %w", err)
	}
	return nil
}

// Drain has every answer from now on close its connection, so that clients make their next ones elsewhere. Calls are answered as before.
func (g *Gateway) Drain() {
	g.draining.Store(true)
	g.users.SetServing(false)
	g.grpc.SetKeepAlivesEnabled(false)
}

// dismiss asks a client to come back over another connection, if this gateway is to end.
func (g *Gateway) dismiss(c *fiber.Ctx) {
	if g.draining.Load() {
		c.Response().Header.SetConnectionClose()
	}
}

// Shutdown ends the event streams, whose clients connect again, stops accepting and waits for the requests in flight until ctx ends;
// those that are left then are cancelled and an error is returned.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.Drain()
	g.streams.End()
	other := make(chan error, 1)
	go func() { other <- g.grpc.Shutdown(ctx) }()
	err := g.app.ShutdownWithContext(ctx)
	err = errors.Join(err, <-other)
	g.stop()
	g.tokens.Close()
	if err == nil {
		return nil
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if g.grpc.Shutdown(leaving) != nil {
		_ = g.grpc.Close()
	}
	return fmt.Errorf("gateway: shut down: %w", err)
}
