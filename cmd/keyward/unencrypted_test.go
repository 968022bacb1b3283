package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
)

// startNATS is a NATS server of one's own, without users.
func startNATS(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, JetStreamMaxStore: 1 << 40, // however little the disk has left
		StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s
}

// serveOnce starts the binary, ends it when it has greeted, and returns what it has logged.
func serveOnce(t *testing.T, binary string, environ ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "serve")
	cmd.Env = append(
		os.Environ(), "KEYWARD_DATA_DIR="+t.TempDir(), "KEYWARD_HTTP_ADDR=127.0.0.1:0", "KEYWARD_GRPC_ADDR=127.0.0.1:0",
		"KEYWARD_ADMIN_ADDR=127.0.0.1:0",
	)
	cmd.Env = append(cmd.Env, environ...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	greeted := false
	for lines := bufio.NewScanner(out); !greeted && lines.Scan(); {
		greeted = strings.Contains(lines.Text(), "/docs")
	}
	signalled := cmd.Process.Signal(syscall.SIGTERM)
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := errors.Join(signalled, cmd.Wait()); err != nil || !greeted {
		t.Fatalf("it greeted: %v, and ended with %v\n%s", greeted, err, log.String())
	}
	return log.String()
}

func TestAStartWithoutAnEncryptionKeyWarnsAndIsInTheStreamOfSecurityEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	binary := build(t)
	for name, c := range map[string]struct {
		key    string
		warned int
	}{
		"without a key": {"", 1},
		"with a key":    {atrest.NewKey(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, err := nats.Connect(startNATS(t).ClientURL())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			log := serveOnce(t, binary, "KEYWARD_NATS_URL="+nc.ConnectedUrl(), "KEYWARD_ENCRYPTION_KEY="+c.key)
			if n := strings.Count(log, "secrets are stored unencrypted"); n != c.warned {
				t.Errorf("it is warned %d times, want %d", n, c.warned)
			}
			js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			stream, err := js.Stream(t.Context(), bus.AuditStream)
			if err != nil {
				t.Fatal(err)
			}
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(bus.AuditPrefix+"._."+string(audit.StartedUnencrypted)))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(info.State.Subjects); n != c.warned {
				t.Errorf("%d such events are in the stream, want %d", n, c.warned)
			}
		})
	}
}
