// Package remake makes a stream of NATS anew whose configuration the server changes on no stream, with the messages that it has. It touches
// the stream and its copy, loses no message and no number of one, and goes on where it was interrupted.
package remake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// copySuffix is of the stream that holds the messages while a stream is made anew.
const copySuffix = "_COPY"

// pause is between two looks at how far a copy is.
const pause = 100 * time.Millisecond

// Stored returns how a stream is configured, nil if there is none.
func Stored(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamConfig, error) {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil //nolint:nilnil // no stream is no error here
	}
	if err != nil {
		return nil, err
	}
	return &stream.CachedInfo().Config, nil
}

// Stream creates a stream, or one anew whose persist mode must change, as that of observations must when they are replicated: the server
// changes it on no stream. The messages, with their numbers and times, go into a copy and from there into the new stream, which becomes a
// stream of its own when it has them all. What is published while neither takes messages is refused. It goes on where it was interrupted.
func Stream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig, stored *jetstream.StreamConfig) error {
	held, err := Stored(ctx, js, cfg.Name+copySuffix)
	if err != nil {
		return err
	}
	if stored == nil && held == nil {
		_, err = js.CreateStream(ctx, cfg)
		return err
	}
	if stored != nil && stored.Mirror == nil {
		if err := mirror(ctx, js, cfg.Name+copySuffix, cfg.Name, cfg.Replicas); err != nil {
			return err
		}
		if err := js.DeleteStream(ctx, cfg.Name); err != nil {
			return fmt.Errorf("delete the stream of which there is a copy: %w", err)
		}
	}
	// The copy follows what is gone until it is told not to.
	if _, err := js.UpdateStream(ctx, jetstream.StreamConfig{
		Name: cfg.Name + copySuffix, Subjects: []string{cfg.Name + copySuffix}, Storage: jetstream.FileStorage, Replicas: cfg.Replicas,
	}); err != nil {
		return fmt.Errorf("end the copy: %w", err)
	}
	if err := mirror(ctx, js, cfg.Name, cfg.Name+copySuffix, cfg.Replicas); err != nil {
		return err
	}
	cfg.PersistMode = jetstream.DefaultPersistMode
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("turn the copy into a stream: %w", err)
	}
	if err := js.DeleteStream(ctx, cfg.Name+copySuffix); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete the copy: %w", err)
	}
	return nil
}

// mirror makes a stream that follows another, and returns when it has all that the other has.
func mirror(ctx context.Context, js jetstream.JetStream, name, origin string, replicas int) error {
	copied, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: name, Storage: jetstream.FileStorage, Replicas: replicas, Mirror: &jetstream.StreamSource{Name: origin},
	})
	if err != nil {
		return fmt.Errorf("copy %s: %w", origin, err)
	}
	source, err := js.Stream(ctx, origin)
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
		case <-time.After(pause):
		}
	}
}
