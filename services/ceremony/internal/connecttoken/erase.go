package connecttoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Erase removes every token of a project that matches says is to go. It reads all tokens of the project: nothing leads from an identifier to its tokens.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, matches func(Token) bool) error {
	keys, err := s.keys(ctx, project, matches)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := s.kv.Purge(ctx, k); err != nil {
			return unavailable("deleted", err)
		}
	}
	return nil
}

func (s *Store) keys(ctx context.Context, project ident.ProjectID, matches func(Token) bool) ([]string, error) {
	watch, err := s.kv.Watch(ctx, string(project)+".*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, unavailable("read", err)
	}
	defer func() { _ = watch.Stop() }()
	var keys []string
	for {
		select {
		case <-ctx.Done():
			return nil, fault.Unavailable(time.Second, "the connect tokens could not be read").Because(ctx.Err())
		case entry, open := <-watch.Updates():
			if !open {
				return nil, unavailable("read", errors.New("the watch ended"))
			}
			if entry == nil {
				return keys, nil
			}
			var t Token
			if err := json.Unmarshal(entry.Value(), &t); err != nil {
				return nil, fault.Internal(fmt.Errorf("decode connect token: %w", err))
			}
			if matches(t) {
				keys = append(keys, entry.Key())
			}
		}
	}
}
