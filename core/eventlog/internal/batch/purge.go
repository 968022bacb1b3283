package batch

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Purge removes what a stream has of a subject.
func Purge(ctx context.Context, js jetstream.JetStream, name, subject string) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("erase %s: %w", subject, err)
	}
	return nil
}

// PurgeBut removes what a stream has of subjects that begin so, but for the one that goes on with the kept text.
func PurgeBut(ctx context.Context, js jetstream.JetStream, name, start, kept string) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", name, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(start+">"))
	if err != nil {
		return fmt.Errorf("read what %s has of %s: %w", name, start, err)
	}
	for found := range info.State.Subjects {
		if strings.TrimPrefix(found, start) == kept {
			continue
		}
		if err := Purge(ctx, js, name, found); err != nil {
			return err
		}
	}
	return nil
}
