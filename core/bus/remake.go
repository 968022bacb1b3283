package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// copySuffix is of the stream that holds the messages while a stream is made anew.
const copySuffix = "_COPY"

// stored returns how a stream is configured, nil if there is none.
func (b *Bus) stored(ctx context.Context, name string) (*jetstream.StreamConfig, error) {
	stream, err := b.JS.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil //nolint:nilnil // no stream is no error here
	}
	if err != nil {
		return nil, err
	}
	return &stream.CachedInfo().Config, nil
}

// remake creates a stream, or one anew whose persist mode must change, as that of observations must when they are replicated: the server
// changes it on no stream. The messages, with their numbers and times, go into a copy and from there into the new stream, which becomes a
// stream of its own when it has them all. What is published while neither takes messages is refused. It goes on where it was interrupted.
func (b *Bus) remake(ctx context.Context, cfg jetstream.StreamConfig, stored *jetstream.StreamConfig) error {
	held, err := b.stored(ctx, cfg.Name+copySuffix)
	if err != nil {
		return err
	}
	if stored == nil && held == nil {
		_, err = b.JS.CreateStream(ctx, cfg)
		return err
	}
	if stored != nil && stored.Mirror == nil {
		if err := b.mirror(ctx, cfg.Name+copySuffix, cfg.Name, cfg.Replicas); err != nil {
			return err
		}
		if err := b.JS.DeleteStream(ctx, cfg.Name); err != nil {
			return fmt.Errorf("delete the stream of which there is a copy: %w", err)
		}
	}
	// The copy follows what is gone until it is told not to.
	if _, err := b.JS.UpdateStream(ctx, jetstream.StreamConfig{
		Name: cfg.Name + copySuffix, Subjects: []string{cfg.Name + copySuffix}, Storage: jetstream.FileStorage, Replicas: cfg.Replicas,
	}); err != nil {
		return fmt.Errorf("end the copy: %w", err)
	}
	if err := b.mirror(ctx, cfg.Name, cfg.Name+copySuffix, cfg.Replicas); err != nil {
		return err
	}
	cfg.PersistMode = jetstream.DefaultPersistMode
	if _, err := b.JS.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("turn the copy into a stream: %w", err)
	}
	if err := b.JS.DeleteStream(ctx, cfg.Name+copySuffix); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete the copy: %w", err)
	}
	return nil
}

// mirror makes a stream that follows another, and returns when it has all that the other has.
func (b *Bus) mirror(ctx context.Context, name, origin string, replicas int) error {
	copied, err := b.JS.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: name, Storage: jetstream.FileStorage, Replicas: replicas, Mirror: &jetstream.StreamSource{Name: origin},
	})
	if err != nil {
		return fmt.Errorf("copy %s: %w", origin, err)
	}
	source, err := b.JS.Stream(ctx, origin)
	if err != nil {
		return fmt.Errorf("copy %s: %w", origin, err)
	}
	for {
		from, err := source.Info(ctx)
		if err != nil {
			return fmt.Errorf("copy %s: %w", origin, err)
		}
		to, err := copied.Info(ctx)
		if err != nil {
			return fmt.Errorf("copy %s: %w", origin, err)
		}
		if to.State.LastSeq >= from.State.LastSeq {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("copy %s, %d of %d: %w", origin, to.State.LastSeq, from.State.LastSeq, ctx.Err())
		case <-time.After(attemptPause):
		}
	}
}
