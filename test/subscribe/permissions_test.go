package subscribe_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
)

// TestASubscriberNeedsNoMoreThanTheDocumentSays takes the NATS user from docs/events.md. The environment is set, so it does not run beside
// others.
func TestASubscriberNeedsNoMoreThanTheDocumentSays(t *testing.T) {
	t.Setenv("NATS_MAILER_PASSWORD", "mailer-password")
	raw, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	user := regexp.MustCompile("(?ms)^```text\n(\\{\n  user: mailer.*?)^```").FindSubmatch(raw)
	if user == nil {
		t.Fatal("the document shows no user")
	}
	config := filepath.Join(t.TempDir(), "nats.conf")
	text := "authorization { users = [ {user: admin, password: admin}\n" + string(user[1]) + "] }\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(config)
	if err != nil {
		t.Fatal(err)
	}
	opts.Host, opts.Port, opts.JetStream, opts.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, t.TempDir()
	opts.NoSigs, opts.NoLog, opts.JetStreamMaxStore = true, true, 1<<40 // however full the disk is
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	cfg := bus.DefaultConfig()
	cfg.URL = strings.Replace(srv.ClientURL(), "nats://", "nats://admin:admin@", 1)
	admin, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)

	refused := make(chan error, 16)
	conn, err := nats.Connect(srv.ClientURL(), nats.UserInfo("mailer", "mailer-password"), nats.CustomInboxPrefix("_INBOX.mailer"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, bus: admin}
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		s, err := subscribe.Open(t.Context(), js, subscribe.Config{Name: "passkey-mailer", Order: order, AckWait: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var book notebook
		stop := h.run(s, book.handle)
		h.publish("pro-1", "usr-1", event.LoginError)
		last := h.publish("pro-1", "usr-1", event.LoginCompleted)
		h.eventually("events were not handled and acknowledged", func() bool {
			consumer, err := admin.JS.Consumer(t.Context(), bus.EventsStream, "passkey-mailer")
			return err == nil && len(book.all()) == 2 && consumer.CachedInfo().AckFloor.Stream == last
		})
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := admin.JS.DeleteConsumer(t.Context(), bus.EventsStream, "passkey-mailer"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-refused:
		t.Errorf("it needed more: %v", err)
	default:
	}
	if _, err := js.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", nil); err == nil {
		t.Error("it may append events")
	}
}
