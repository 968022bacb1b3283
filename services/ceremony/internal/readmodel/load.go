package readmodel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
)

const loadBatch = 5000

// load makes the file anew, with everything that the streams hold up to origins. A load that ends early leaves a file that no one will
// open.
func (s *Store) load(ctx context.Context, origins map[string]listdb.Cursor) (err error) {
	began := time.Now()
	f, err := listdb.Create(ctx, s.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := listdb.NewWriter(ctx, f)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	var total, loaded uint64
	for _, origin := range origins {
		total += origin.Sequence
	}
	s.progress.load(0, max(total, 1))
	for i, name := range listdb.BucketNames() {
		if err := s.loadBucket(ctx, w, i, origins[name], func(n uint64) { s.progress.load(loaded+n, total) }); err != nil {
			return fmt.Errorf("load bucket %s: %w", name, err)
		}
		loaded += origins[name].Sequence
	}
	read := time.Since(began)
	if err := f.Finish(ctx); err != nil {
		return fmt.Errorf("index what was loaded: %w", err)
	}
	if loaded > 0 {
		s.deps.Log.InfoContext(ctx, "the read model is made anew",
			"entries", loaded, "took_ms", time.Since(began).Milliseconds(), "reading_ms", read.Milliseconds())
	}
	return nil
}

// loadBucket adds what a stream holds up to origin. The stream keeps one message of a key, so each key comes once at most.
func (s *Store) loadBucket(ctx context.Context, w *listdb.Writer, bucket int, origin listdb.Cursor, loaded func(uint64)) error {
	name := listdb.BucketNames()[bucket]
	cursors := map[string]listdb.Cursor{name: origin}
	if origin.Sequence == 0 {
		return w.Commit(ctx, nil, cursors)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	changes := make(chan listdb.Change, queueLength)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.pullUpTo(ctx, bucket, origin, changes); err != nil {
			cancel(err)
		}
		close(changes)
	}()
	defer func() {
		cancel(nil)
		<-done
	}()
	batch := make([]listdb.Change, 0, loadBatch)
	for c := range changes {
		s.warn(ctx, c)
		batch = append(batch, c)
		if len(batch) == loadBatch {
			if err := w.Commit(ctx, batch, nil); err != nil {
				return err
			}
			loaded(c.Sequence)
			batch = batch[:0]
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return w.Commit(ctx, batch, cursors)
}

// pullUpTo hands on what a stream holds up to origin.
func (s *Store) pullUpTo(ctx context.Context, bucket int, origin listdb.Cursor, changes chan<- listdb.Change) error {
	name := listdb.BucketNames()[bucket]
	stream, err := direct.Open(ctx, s.deps.JetStream, listdb.StreamName(name))
	if err != nil {
		return err
	}
	return stream.Each(ctx, listdb.Subject(name, ">"), direct.Start{}, func(m direct.Message) (bool, error) {
		if m.Sequence > origin.Sequence {
			return false, nil
		}
		select {
		case changes <- listdb.ReadChange(bucket, m.RawStreamMsg):
			return true, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	})
}
