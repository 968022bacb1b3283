package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/backup/kept"
	"github.com/keyward/keyward/core/bus"
)

// startLimit is how long a cluster may take until it makes streams, and startPause how long after one attempt comes the next.
const (
	startLimit = time.Minute
	startPause = 200 * time.Millisecond
)

// Began reports whether a restore has begun and not ended.
func Began(ctx context.Context, js jetstream.JetStream) (bool, error) {
	_, err := js.Stream(ctx, bus.RestoringStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find out what is there: %w", err)
	}
	return true, nil
}

// Begin removes every stream of Keyward. Until End nobody can open the store.
func Begin(ctx context.Context, js jetstream.JetStream, replicas int) error {
	if err := mark(ctx, js, replicas); err != nil {
		return fmt.Errorf("say that a restore begins: %w", err)
	}
	all, _ := bus.Names()
	for _, name := range all {
		if err := js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("remove stream %s: %w", name, err)
		}
	}
	return nil
}

func mark(ctx context.Context, js jetstream.JetStream, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, startLimit/10)
		_, err := js.CreateOrUpdateStream(attempt, jetstream.StreamConfig{
			Name: bus.RestoringStream, Subjects: []string{bus.RestoringStream}, Storage: jetstream.FileStorage, Replicas: replicas,
		})
		done()
		if err == nil {
			return nil
		}
		pause := time.NewTimer(startPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// End makes the streams that a backup does not hold, and lets the store be opened when what is last has been done.
func End(ctx context.Context, js jetstream.JetStream, layout []jetstream.StreamConfig, last func(context.Context) error) error {
	for _, cfg := range layout {
		if _, err := js.Stream(ctx, cfg.Name); err == nil {
			continue
		}
		if _, err := js.CreateStream(ctx, cfg); err != nil {
			return fmt.Errorf("make stream %s: %w", cfg.Name, err)
		}
	}
	if err := last(ctx); err != nil {
		return err
	}
	if err := js.DeleteStream(ctx, bus.RestoringStream); err != nil {
		return fmt.Errorf("say that the restore has ended: %w", err)
	}
	return nil
}

// held reports whether a backup may hold a stream.
func held(name string) bool { return slices.Contains(kept.Streams(), name) }
