package main_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
)

// It sets the environment, so it does not run beside others.
func TestPrivateKeysAreForTheCeremonyServiceAlone(t *testing.T) {
	for _, name := range append(settings.ServiceNames(), "operator") {
		t.Setenv("NATS_"+strings.ToUpper(name)+"_PASSWORD", "p"+name)
	}
	opts, err := server.ProcessConfigFile(filepath.Join("..", "..", "deploy", "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	opts.Host, opts.Port, opts.HTTPHost, opts.HTTPPort, opts.StoreDir, opts.NoSigs, opts.NoLog = "127.0.0.1", server.RANDOM_PORT, "", 0, t.TempDir(), true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	open := func(user string) (*nats.Conn, jetstream.JetStream) {
		conn, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "p"+user), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		t.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		if err != nil {
			t.Fatal(err)
		}
		return conn, js
	}
	_, js := open("operator")
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bus.KeysBucket}); err != nil {
		t.Fatal(err)
	}
	_, js = open(settings.Ceremony)
	own, err := js.KeyValue(t.Context(), bus.KeysBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Create(t.Context(), "pro-1", []byte("key")); err != nil {
		t.Fatalf("the ceremony service cannot store a key: %v", err)
	}
	if entry, err := own.Get(t.Context(), "pro-1"); err != nil || string(entry.Value()) != "key" {
		t.Fatalf("the ceremony service cannot read its key: %v", err)
	}
	for _, name := range settings.ServiceNames() {
		if name == settings.Ceremony {
			continue
		}
		conn, js := open(name)
		reads := map[string]func(context.Context) error{
			"a direct read": func(ctx context.Context) error {
				reply, err := conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET.KV_signing-keys.$KV.signing-keys.pro-1", nil)
				return answered(err, reply)
			},
			"a read by the last message": func(ctx context.Context) error {
				reply, err := conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET.KV_signing-keys", []byte(`{"last_by_subj":"$KV.signing-keys.pro-1"}`))
				return answered(err, reply)
			},
			"a read from the leader": func(ctx context.Context) error {
				reply, err := conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.KV_signing-keys", []byte(`{"last_by_subj":"$KV.signing-keys.pro-1"}`))
				return answered(err, reply)
			},
			"a consumer": func(ctx context.Context) error {
				_, err := js.CreateConsumer(ctx, "KV_signing-keys", jetstream.ConsumerConfig{})
				return err
			},
			"a durable consumer": func(ctx context.Context) error {
				_, err := js.CreateConsumer(ctx, "KV_signing-keys", jetstream.ConsumerConfig{Durable: "spy"})
				return err
			},
			"a write": func(ctx context.Context) error {
				_, err := js.Publish(ctx, "$KV.signing-keys.pro-1", []byte("mine"), jetstream.WithRetryAttempts(0))
				return err
			},
		}
		for what, read := range reads {
			ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
			if err := read(ctx); err == nil {
				t.Errorf("%s: %s succeeds", name, what)
			}
			cancel()
		}
	}
}

func answered(err error, reply *nats.Msg) error {
	if err == nil && len(reply.Data) == 0 {
		return errors.New("nothing was answered")
	}
	return err
}
