package project

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// bucket answers every read alike.
type bucket struct {
	jetstream.KeyValue
	err error
}

func (bucket) Bucket() string { return "projects" }

func (b bucket) Get(context.Context, string) (jetstream.KeyValueEntry, error) { return nil, b.err }

// A caller of a project that cannot be read was told that there is none, and took its credentials for wrong.
func TestAProjectThatCannotBeReadIsNotUnknown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id      ident.ProjectID
		answers error
		want    error
	}{
		"what the bucket does not have is unknown":          {"pro-1", jetstream.ErrKeyNotFound, ErrUnknown},
		"what cannot be an ID is, without a look":           {"pro 1", errors.New("asked"), ErrUnknown},
		"what a bucket that is away has is not":             {"pro-1", context.DeadlineExceeded, kv.ErrUnavailable},
		"nor what one has whose stream cannot be asked now": {"pro-1", jetstream.ErrNoStreamResponse, kv.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Store{
				log:      slog.New(slog.DiscardHandler),
				projects: kv.Bucket[Project]{KV: bucket{err: c.answers}, Name: "project", Missing: ErrUnknown},
			}
			s.snapshot.Store(&snapshot{})
			if _, err := s.Find(t.Context(), c.id); !errors.Is(err, c.want) {
				t.Errorf("found: %v, want %v", err, c.want)
			}
			if _, err := s.Visited(t.Context(), c.id, ""); !errors.Is(err, c.want) {
				t.Errorf("visited: %v, want %v", err, c.want)
			}
		})
	}
}
