package kv_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
)

// BenchmarkListOfAUser lists the five entries of one of twenty thousand users.
func BenchmarkListOfAUser(b *testing.B) {
	const users, each = 20_000, 5
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = b.TempDir(), time.Minute
	opened, err := bus.Open(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(opened.Close)
	for i := range users * each {
		subject := fmt.Sprintf("$KV.%s.pro-1.usr-%d.%d", bus.CodesBucket, i%users, i)
		if _, err := opened.JS.PublishAsync(subject, []byte(`"a code"`), jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	<-opened.JS.PublishAsyncComplete()
	watched, err := opened.Bucket(b.Context(), bus.CodesBucket)
	if err != nil {
		b.Fatal(err)
	}
	got, err := kv.Open(b.Context(), opened.JS, bus.CodesBucket)
	if err != nil {
		b.Fatal(err)
	}
	// As if there were several replicas.
	stream, err := opened.Stream(b.Context(), "KV_"+bus.CodesBucket)
	if err != nil {
		b.Fatal(err)
	}
	replicated := stream.CachedInfo().Config
	replicated.AllowDirect = false
	if _, err := opened.JS.UpdateStream(b.Context(), replicated); err != nil {
		b.Fatal(err)
	}
	led, err := kv.Open(b.Context(), opened.JS, bus.CodesBucket)
	if err != nil {
		b.Fatal(err)
	}
	replicated.AllowDirect = true
	if _, err := opened.JS.UpdateStream(b.Context(), replicated); err != nil {
		b.Fatal(err)
	}
	for name, bucket := range map[string]jetstream.KeyValue{"consumer": watched, "direct gets": got, "gets from the leader": led} {
		codes := kv.Bucket[string]{KV: bucket, Name: "code"}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				keys, err := codes.Keys(b.Context(), fmt.Sprintf("pro-1.usr-%d.*", i*7%users))
				if err != nil || len(keys) != each {
					b.Fatal(keys, err)
				}
			}
		})
	}
}
