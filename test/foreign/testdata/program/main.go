// A service of somebody else: it follows events on NATS, and takes those that are posted to it.
package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
	"github.com/keyward/keyward/sdk/webhook"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	verifier, err := webhook.New(webhook.Options{}, os.Getenv("WEBHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /hook", receive(verifier))
	go func() { log.Print(http.ListenAndServe("127.0.0.1:8088", nil)) }()
	if err := follow(ctx); err != nil {
		log.Fatal(err)
	}
}

func follow(ctx context.Context) error {
	conn, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	events, err := subscribe.Open(ctx, js, subscribe.Config{
		Name: "foreign", Types: []event.Type{event.AppendCompleted, event.UserDeleted}, Since: subscribe.Beginning, Order: subscribe.PerUser,
	})
	if err != nil {
		return err
	}
	return events.Run(ctx, func(_ context.Context, e subscribe.Event) error {
		log.Print(e.Key(), e.User, e.Type, e.Route == event.Local)
		return nil
	})
}

func receive(verifier *webhook.Verifier) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := verifier.Verify(r.Header, body); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		told, err := webhook.Parse(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if told.Data.EventType == event.UserCreated {
			log.Print("welcome ", told.Data.UserID)
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
