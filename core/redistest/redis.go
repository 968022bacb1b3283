// Package redistest starts Redis servers for tests, each empty, of the test's own, and gone when it ends. It touches processes that it
// starts, ports of 127.0.0.1 and directories for temporary files.
package redistest

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Serve runs a redis-server and returns its URL.
func Serve(tb testing.TB) string {
	tb.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Fatalf("redis-server is not installed (make test installs it): %v", err)
	}
	// A socket of its own, in a directory whose name is short enough for one: a port could be given to somebody else meanwhile.
	dir, err := os.MkdirTemp("", "redis-")
	if err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command( //nolint:gosec,noctx // it runs until the test ends
		path, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", dir, "--enable-debug-command", "yes",
	)
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("unix", socket) //nolint:noctx // it is refused or there
		if err == nil {
			_ = conn.Close()
			return "unix://" + socket
		}
		if time.Now().After(deadline) {
			tb.Fatalf("redis did not answer: %v", err)
		}
	}
}

// Double runs a double of a Redis within the test's process and returns its URL: there can be hundreds of it, which start at once. It tells
// no run ID.
func Double(tb testing.TB) string {
	tb.Helper()
	server := miniredis.NewMiniRedis()
	password := rand.Text()
	server.RequireAuth(password)
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	stop := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() { age(server, stop) })
	tb.Cleanup(func() {
		close(stop)
		clock.Wait()
		server.Close()
	})
	return fmt.Sprintf("redis://:%s@%s/0", password, server.Addr())
}

// age lets the double's entries grow older, as in a real Redis.
func age(server *miniredis.Miniredis, stop <-chan struct{}) {
	const step = time.Second
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			server.FastForward(step)
		}
	}
}
