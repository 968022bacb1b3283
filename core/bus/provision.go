package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus/internal/remake"
)

const (
	attemptLimit = 5 * time.Second // of one request to create a stream
	attemptPause = 100 * time.Millisecond
)

// Errors of JetStream that say how an installation must change. The first two come while a cluster starts, too.
const (
	noSuitablePeers  jetstream.ErrorCode = 10005
	clusterNotReady  jetstream.ErrorCode = 10008
	replicasTooMany  jetstream.ErrorCode = 10074
	storageExceeded  jetstream.ErrorCode = 10047
	accountExceeded  jetstream.ErrorCode = 10002
	notEnabledForAcc jetstream.ErrorCode = 10039
)

// provision creates or updates every stream and bucket, and the consumer that is there from the start. It is idempotent.
func (b *Bus) provision(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := b.whole(ctx); err != nil {
		return err
	}
	wanted, err := b.Layout(cfg, log)
	if err != nil {
		return err
	}
	for _, stream := range wanted {
		if err := b.ensure(ctx, stream); err != nil {
			return fmt.Errorf("create stream %s: %w%s", stream.Name, err, advice(err, cfg))
		}
	}
	if b.unlowered > 0 {
		log.Warn("streams keep more replicas than nats_replicas says: set it to what they have, or lower them with "+
			"keyward provision --lower-replicas", "nats_replicas", cfg.Replicas, "streams", b.unlowered)
	}
	err = retry(ctx, func(ctx context.Context) error {
		_, err := b.JS.CreateOrUpdateConsumer(ctx, EventsStream, erasure())
		return err
	}, passing)
	if err != nil {
		return fmt.Errorf("create the consumer %s of %s: %w", ErasureConsumer, EventsStream, err)
	}
	return nil
}

// Layout returns the streams as they are to be, on the volume that there is, that of events last.
func (b *Bus) Layout(cfg Config, log *slog.Logger) ([]jetstream.StreamConfig, error) {
	wanted := b.streams(cfg)
	if b.guard == nil {
		return wanted, nil
	}
	v, err := b.guard.measure(b.guard.dir)
	if err != nil {
		return nil, err
	}
	return wanted, fit(wanted, v, cfg, log)
}

// await waits until the streams and buckets are there. The stream of events is created last, but a version of Keyward that brings a
// stream of its own finds it there.
func (b *Bus) await(ctx context.Context, cfg Config, _ *slog.Logger) error {
	awaited := []string{EventsStream}
	if cfg.Sees {
		awaited = nil
		for _, stream := range b.streams(cfg) {
			awaited = append(awaited, stream.Name)
		}
	}
	for _, name := range awaited {
		err := retry(ctx, func(ctx context.Context) error {
			_, err := b.JS.Stream(ctx, name)
			return err
		}, func(err error) bool { return passing(err) || errors.Is(err, jetstream.ErrStreamNotFound) })
		if err != nil {
			return fmt.Errorf("wait for stream %s, which the ceremony service or keyward provision creates: %w", name, err)
		}
	}
	return nil
}

// ensure tries until ctx ends: a cluster that is starting has no leader for a moment, and does not answer what it is asked before it
// has one.
func (b *Bus) ensure(ctx context.Context, cfg jetstream.StreamConfig) error {
	return retry(ctx, func(ctx context.Context) error {
		stored, err := remake.Stored(ctx, b.JS, cfg.Name)
		if err != nil {
			return err
		}
		if cfg.Name == EventsStream {
			if err := b.rememberPositions(ctx, &cfg, stored); err != nil {
				return err
			}
		}
		if stored == nil || stored.Mirror != nil || stored.PersistMode == jetstream.AsyncPersistMode && cfg.PersistMode != stored.PersistMode {
			return remake.Stream(ctx, b.JS, cfg, stored)
		}
		if stored.Replicas > cfg.Replicas && !b.lowers {
			b.unlowered++
			cfg.Replicas, cfg.AllowDirect = stored.Replicas, stored.AllowDirect
		}
		// A stream that was replicated stays as durable as it was: how it is persisted cannot be changed.
		cfg.PersistMode = stored.PersistMode
		updated, err := b.JS.UpdateStream(ctx, cfg)
		if err != nil || stored.Replicas == cfg.Replicas {
			return err
		}
		return settle(ctx, updated, cfg.Replicas)
	}, passing)
}

// PositionsTold is in the metadata of the stream of events up to which number of its messages clients were told plain numbers, by versions
// that told them. Whoever asks for more than that has guessed.
const PositionsTold = "keyward_positions_told"

// rememberPositions keeps what the stream says of PositionsTold, and says it of a stream that does not.
func (b *Bus) rememberPositions(ctx context.Context, cfg, stored *jetstream.StreamConfig) error {
	told := "0"
	if stored != nil {
		if told = stored.Metadata[PositionsTold]; told == "" {
			stream, err := b.JS.Stream(ctx, cfg.Name)
			if err != nil {
				return err
			}
			told = strconv.FormatUint(stream.CachedInfo().State.LastSeq, 10)
		}
	}
	cfg.Metadata = map[string]string{PositionsTold: told}
	return nil
}

// settle returns when most replicas of a stream have what there is: while they agree on a leader for the first time, nobody answers writes.
func settle(ctx context.Context, stream jetstream.Stream, replicas int) error {
	for replicas > 1 {
		if info, err := stream.Info(ctx); err == nil && info.Cluster != nil && info.Cluster.Leader != "" {
			current := 1
			for _, peer := range info.Cluster.Replicas {
				if peer.Current {
					current++
				}
			}
			if current > replicas/2 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for replicas of %s: %w", stream.CachedInfo().Config.Name, ctx.Err())
		case <-time.After(attemptPause):
		}
	}
	return nil
}

// retry tries until it succeeds, ctx ends, or an error comes that waiting does not heal. It returns the last error.
func retry(ctx context.Context, try func(context.Context) error, heals func(error) bool) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, attemptLimit)
		err := try(attempt)
		cancel()
		if err == nil || !heals(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(attemptPause):
		}
	}
}

// passing reports whether waiting may heal err: nobody answered, or somebody who is not ready yet.
func passing(err error) bool {
	var refused jetstream.JetStreamError
	if !errors.As(err, &refused) || refused.APIError() == nil {
		return true
	}
	api := refused.APIError()
	switch api.ErrorCode {
	case noSuitablePeers, clusterNotReady:
		return true
	case notEnabledForAcc:
		return false
	default:
		return api.Code == http.StatusServiceUnavailable
	}
}

// advice names the settings that would help against an error that waiting does not heal.
func advice(err error, cfg Config) string {
	var refused jetstream.JetStreamError
	if !errors.As(err, &refused) || refused.APIError() == nil {
		return ""
	}
	switch refused.APIError().ErrorCode {
	case storageExceeded, accountExceeded:
		return fmt.Sprintf("; the server has no room for what streams may grow to: raise max_file in its jetstream block, or the limit of "+
			"the account, or lower decisions_max_bytes (%d MiB), webhooks_deliveries_max_bytes (%d MiB), events_max_bytes (%d MiB) or "+
			"offers_max_bytes (%d MiB)",
			cfg.DecisionsMaxBytes>>20, cfg.WebhookDeliveriesMaxBytes>>20, cfg.EventsMaxBytes>>20, cfg.OffersMaxBytes>>20)
	case replicasTooMany, noSuitablePeers:
		return fmt.Sprintf("; nats_replicas is %d: set it to at most the number of servers with JetStream", cfg.Replicas)
	case notEnabledForAcc:
		return "; nats_url: the account of the user has no JetStream"
	default:
		return ""
	}
}

// fit makes what streams may grow to fit the volume: observations, of which the oldest go first anyway, share a part of it.
func fit(streams []jetstream.StreamConfig, v volume, cfg Config, log *slog.Logger) error {
	if v.total == 0 {
		return nil
	}
	if v.total < 4*cfg.DiskReserve {
		return fmt.Errorf(
			"data_dir: the volume has %d MiB, and disk_reserve keeps %d MiB of it free: use a larger volume, or set disk_reserve to "+
				"at most %d MiB",
			v.total>>20,
			cfg.DiskReserve>>20,
			v.total>>22,
		)
	}
	if cfg.EventsMaxBytes > v.total-cfg.DiskReserve {
		return fmt.Errorf("events_max_bytes: %d MiB do not fit the volume of data_dir, which has %d MiB", cfg.EventsMaxBytes>>20, v.total>>20)
	}
	var reserved int64
	for i := range streams {
		if bounded(streams[i]) {
			reserved += streams[i].MaxBytes
		}
	}
	if reserved <= v.keptForLogs() {
		return nil
	}
	share := float64(v.keptForLogs()) / float64(reserved)
	for i := range streams {
		if bounded(streams[i]) {
			asked := streams[i].MaxBytes
			streams[i].MaxBytes = int64(float64(asked) * share)
			log.Info("a log is bounded to fit the disk", "stream", streams[i].Name, "max_bytes", streams[i].MaxBytes, "asked_for", asked)
		}
	}
	return nil
}

// bounded reports whether a stream is one of observations with a bound in bytes.
func bounded(cfg jetstream.StreamConfig) bool { return cfg.MaxBytes > 0 && cfg.Name != EventsStream }
