package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// BenchmarkWebhookDeliveries delivers what waits in the log to a receiver on the loopback, of 32 users, to one endpoint: one delivery is
// one operation.
func BenchmarkWebhookDeliveries(b *testing.B) {
	h := newHooks(b, quickHooks())
	var got atomic.Int64
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if got.Add(1) == int64(b.N) {
			close(done)
		}
	}))
	defer server.Close()
	// Created by an instance that does not run, so that everything waits in the log first.
	first := h.start("")
	first.stop()
	if _, err := first.CreateWebhook(
		b.Context(),
		service.ForProject[rest.WebhookEndpointCreateReq]{
			Project: project, Body: rest.WebhookEndpointCreateReq{URL: server.URL, SubscribedEvents: []string{"*"}},
		},
	); err != nil {
		b.Fatal(err)
	}
	h.bulk(b, b.N, 32)
	second := h.start("")
	b.ReportAllocs()
	b.ResetTimer()
	<-done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	second.stop()
}

// bulk appends events without waiting for each.
func (h *hooks) bulk(b *testing.B, n, users int) {
	b.Helper()
	js, err := jetstream.New(h.bus.Conn, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		b.Fatal(err)
	}
	for k := range n {
		e := event.Event{
			ID: ident.NewEventID(), Project: project, User: userOf(k % users), Type: event.LoginError, CreatedMs: time.Now().UnixMilli(),
			Process: "process-1", Environment: "env-1",
		}
		raw, err := json.Marshal(e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishAsync(fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, e.Project, e.User, e.Type), raw); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		b.Fatal("not all were appended")
	}
}
