package subscribe_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	stored "github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
)

// A service that tells users of each new passkey: each event reaches the handler at least once, those of one user in order, and what cannot
// be handled is put aside after five attempts.
func Example() {
	address, stop := keyward()
	defer stop()

	conn, err := nats.Connect(address, nats.MaxReconnects(-1))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	events, err := subscribe.Open(ctx, js, subscribe.Config{
		Name:     "passkey-mailer",
		Types:    []event.Type{event.AppendCompleted, event.UserDeleted},
		Since:    subscribe.Beginning,
		Order:    subscribe.PerUser,
		Attempts: 5,
		OnPoison: func(_ context.Context, e subscribe.Event, cause error) { fmt.Println("put aside", e.Key(), cause) },
	})
	if err != nil {
		panic(err)
	}
	sent := map[string]bool{} // in a real service a table with the key, written together with the effect
	err = events.Run(ctx, func(_ context.Context, e subscribe.Event) error {
		if sent[e.Key()] {
			return nil
		}
		sent[e.Key()] = true
		fmt.Println(e.Key(), e.User, e.Type)
		if e.Type == event.UserDeleted {
			cancel() // the end of this example
		}
		return nil
	})
	fmt.Println("stopped:", err)
	// Output:
	// pke-1 usr-1 append-completed
	// pke-3 usr-1 user-deleted
	// stopped: <nil>
}

// keyward starts what keyward serve starts, and appends three events.
func keyward() (address string, stop func()) {
	dir, err := os.MkdirTemp("", "keyward-example-")
	if err != nil {
		panic(err)
	}
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.Addr = dir, "127.0.0.1:0"
	b, err := bus.Open(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	log, err := eventlog.NewLog(context.Background(), b.JS)
	if err != nil {
		panic(err)
	}
	for _, e := range []stored.Event{
		{ID: "pke-1", Project: "pro-1", User: "usr-1", Type: stored.AppendCompleted, CreatedMs: 1},
		{ID: "pke-2", Project: "pro-1", User: "usr-1", Type: stored.LoginCompleted, CreatedMs: 2},
		{ID: "pke-3", Project: "pro-1", User: "usr-1", Type: stored.UserDeleted, CreatedMs: 3},
	} {
		if _, err := log.Append(context.Background(), e); err != nil {
			panic(err)
		}
	}
	if address, err = bus.ServerURL(dir); err != nil {
		panic(err)
	}
	return address, func() {
		b.Close()
		_ = os.RemoveAll(dir)
	}
}
