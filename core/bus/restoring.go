package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"
)

// RestoringStream is there while a backup is restored. It holds nothing: that it is there says that the others are not what they were.
const RestoringStream = "KEYWARD_RESTORING"

// ErrRestoring says that what is stored is a part of a backup.
var ErrRestoring = errors.New("a restore of this store did not come to its end; begin it again with keyward restore")

// OpenToRestore is Open, but makes no stream, and opens what ErrRestoring keeps from being opened.
func OpenToRestore(ctx context.Context, cfg Config, log *slog.Logger) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	b := &Bus{replicas: cfg.Replicas, measure: measure}
	err := b.connect(ctx, cfg, log)
	if err == nil {
		b.JS, err = jetstream.New(b.Conn)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("open nats: %w", err)
	}
	b.watch()
	return b, nil
}

// Names returns the names of all streams, that of events last, and that of probes.
func Names() (all []string, probes string) {
	for _, stream := range (&Bus{replicas: 1}).streams(DefaultConfig()) {
		all = append(all, stream.Name)
	}
	return all, (&Bus{replicas: 1}).probes().Name
}

// whole returns ErrRestoring of a store that is a part.
func (b *Bus) whole(ctx context.Context) error {
	err := retry(ctx, func(ctx context.Context) error {
		_, err := b.JS.Stream(ctx, RestoringStream)
		return err
	}, passing)
	if err == nil {
		return ErrRestoring
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}
