package cli_test

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/core/bus"
)

func TestStreamsAreProvisionedOnceAndChangedAsTheSettingsSay(t *testing.T) {
	t.Parallel()
	nats1, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 40, // however full the disk is
	})
	if err != nil {
		t.Fatal(err)
	}
	nats1.Start()
	t.Cleanup(func() {
		nats1.Shutdown()
		nats1.WaitForShutdown()
	})
	if !nats1.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	age := func() time.Duration {
		conn, err := nats.Connect(nats1.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), bus.OffersStream)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config.MaxAge
	}
	for i, hours := range []string{"6h", "6h", "8h"} {
		done := run(t, nil, "provision", "--nats-url", nats1.ClientURL(), "--offers-max-age", hours)
		if done.code != cli.ExitOK || !strings.Contains(done.out, "every stream and bucket is there") {
			t.Fatalf("%+v", done)
		}
		if first := i == 0; strings.Contains(done.out, "API secret") != first {
			t.Errorf("run %d prints a secret: %v\n%s", i, !first, done.out)
		}
		if want, err := time.ParseDuration(hours); err != nil || age() != want {
			t.Errorf("offers are kept for %s, want %s", age(), hours)
		}
	}
}

func TestThereIsNothingToProvisionWithoutAServer(t *testing.T) {
	t.Parallel()
	if done := run(t, nil, "provision"); done.code != cli.ExitUsage || !strings.Contains(done.err, "nats_url") {
		t.Errorf("%+v", done)
	}
	if done := run(
		t, nil, "config", "--check", "--nats-provisioned",
	); done.code != cli.ExitUsage ||
		!strings.Contains(done.err, "nats_provisioned") {
		t.Errorf("%+v", done)
	}
}
