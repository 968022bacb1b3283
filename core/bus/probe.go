package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ProbesStream takes what processes write to find out whether anything can be stored. It keeps one small message of each for a while.
const (
	ProbesStream = "KEYWARD_PROBES"
	ProbesPrefix = "keyward.probes"

	probesMaxAge = time.Hour
	probesBytes  = 1 << 20
)

// probes is as durable as the stream of events: what can be stored here can be stored there.
func (b *Bus) probes() jetstream.StreamConfig {
	cfg := b.log(ProbesStream, ProbesPrefix)
	cfg.MaxMsgsPerSubject, cfg.MaxAge, cfg.MaxBytes, cfg.Duplicates = 1, probesMaxAge, probesBytes, observationDuplicateWindow
	return cfg
}

// ErrProbesMissing says that JetStream answers, but the stream of probes is not there: an earlier version provided the streams.
var ErrProbesMissing = errors.New("there is no stream for probes; restart the process that makes the streams")

// ErrDisconnected says that no server is connected at the moment.
var ErrDisconnected = errors.New("no server is connected")

// Writable reports why nothing can be stored: ErrDiskFull, ErrDisconnected, ErrProbesMissing, or that no server took a small write
// before ctx ended.
func (b *Bus) Writable(ctx context.Context) error {
	if b.guard != nil {
		if err := b.guard.Err(); err != nil {
			return err
		}
	}
	if !b.Conn.IsConnected() {
		return fmt.Errorf("nats is %s: %w", b.Conn.Status(), errors.Join(ErrDisconnected, b.Conn.LastError()))
	}
	_, err := b.JS.Publish(ctx, ProbesPrefix+"."+b.id, nil, jetstream.WithRetryAttempts(0))
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if _, missing := b.JS.Stream(ctx, ProbesStream); errors.Is(missing, jetstream.ErrStreamNotFound) {
			return ErrProbesMissing
		}
	}
	if err != nil {
		return fmt.Errorf("write to jetstream: %w", err)
	}
	return nil
}
