// Package cachetest runs a server inside a test's process that speaks Redis' protocol and keeps nothing.
package cachetest

import (
	"crypto/rand"
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/cache"
)

// Server is a running server, with a client that is set up as in production.
type Server struct {
	*cache.Cache
	URL string

	server *miniredis.Miniredis
}

// Start starts a server that ends with the test, unless it is closed before.
func Start(tb testing.TB) *Server {
	tb.Helper()
	server := miniredis.NewMiniRedis()
	// Expiry follows the wall clock, as in a real Redis.
	server.ClockTTL(true)
	password := rand.Text()
	server.RequireAuth(password)
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	cfg := cache.DefaultConfig()
	cfg.URL = "redis://:" + password + "@" + server.Addr() + "/0"
	opened, err := cache.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{Cache: opened, URL: cfg.URL, server: server}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// Close ends the client and the server. It may be called twice.
func (s *Server) Close() error {
	err := s.Cache.Close()
	s.server.Close()
	if errors.Is(err, redis.ErrClosed) {
		return nil
	}
	return err
}
