package readmodel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const loadBatch = 5000

// load makes the file anew, with everything that the streams hold up to origins. A load that ends early leaves a file that no one will open.
func (s *Store) load(ctx context.Context, origins map[string]cursor) (err error) {
	began := time.Now()
	if err := discard(s.path()); err != nil {
		return err
	}
	f, err := open(ctx, s.path(), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.execute(ctx, tables...); err != nil {
		return err
	}
	w, err := newWriter(ctx, f, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	var total, loaded uint64
	for _, origin := range origins {
		total += origin.sequence
	}
	s.progress.load(0, max(total, 1))
	for i, name := range bucketNames() {
		if err := s.loadBucket(ctx, w, i, origins[name], func(n uint64) { s.progress.load(loaded+n, total) }); err != nil {
			return fmt.Errorf("load bucket %s: %w", name, err)
		}
		loaded += origins[name].sequence
	}
	read := time.Since(began)
	if err := finish(ctx, f); err != nil {
		return fmt.Errorf("index what was loaded: %w", err)
	}
	if loaded > 0 {
		s.deps.Log.InfoContext(ctx, "the read model is made anew", "entries", loaded, "took", time.Since(began).String(), "reading", read.String())
	}
	return nil
}

// finish makes of a file that holds rows one that can be searched and followed.
func finish(ctx context.Context, f *file) error {
	if err := f.execute(ctx, indexes...); err != nil {
		return err
	}
	for list, column := range counted {
		if err := f.execute(ctx, tally(list, column)...); err != nil {
			return err
		}
	}
	return f.execute(ctx,
		// A large share of the index is gathered in memory at a time, which makes it several times as fast.
		`INSERT INTO search (search, rank) VALUES ('hashsize', 67108864)`,
		`INSERT INTO search (rowid, text) SELECT id, text FROM texts`,
		`INSERT INTO search (search, rank) VALUES ('hashsize', 1048576)`,
		// One piece, on a level of its own, which small pieces do not reach soon. It takes another piece to make the index do that.
		`INSERT INTO search (rowid, text) VALUES (-1, 'aaa')`,
		`INSERT INTO search (search) VALUES ('optimize')`,
		`DELETE FROM search WHERE rowid = -1`,
		// What changes add to the index is joined with it a little at a time, by who follows: left to itself, it would now and then take seconds for it.
		`INSERT INTO search (search, rank) VALUES ('automerge', 0)`,
		`INSERT INTO search (search, rank) VALUES ('crisismerge', 500)`,
		`INSERT INTO search (search, rank) VALUES ('usermerge', 4)`,
		`PRAGMA synchronous = FULL`,
		`INSERT INTO meta VALUES ('loaded', '`+strconv.Itoa(schemaVersion)+`')`,
	)
}

// loadBucket adds what a stream holds up to origin. The stream keeps one message of a key, so each key comes once at most.
func (s *Store) loadBucket(ctx context.Context, w *writer, bucket int, origin cursor, loaded func(uint64)) error {
	name := bucketNames()[bucket]
	cursors := map[string]cursor{name: origin}
	if origin.sequence == 0 {
		return w.commit(ctx, nil, cursors)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	changes := make(chan change, queueLength)
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
	batch := make([]change, 0, loadBatch)
	for c := range changes {
		s.warn(ctx, c)
		batch = append(batch, c)
		if len(batch) == loadBatch {
			if err := w.commit(ctx, batch, nil); err != nil {
				return err
			}
			loaded(c.sequence)
			batch = batch[:0]
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return w.commit(ctx, batch, cursors)
}

// pullUpTo hands on what a stream holds up to origin.
func (s *Store) pullUpTo(ctx context.Context, bucket int, origin cursor, changes chan<- change) error {
	consumer, err := s.deps.JetStream.OrderedConsumer(ctx, streamName(bucketNames()[bucket]), ordered(0))
	if err != nil {
		return err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullAhead))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for last := uint64(0); last < origin.sequence; {
		msg, err := next(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			c, err := s.skip(ctx, bucket, origin, consumer, last)
			if err != nil {
				return err
			}
			last = c.sequence
			continue
		}
		if err != nil {
			return err
		}
		c, err := read(bucket, msg)
		if err != nil {
			return err
		}
		if c.sequence > origin.sequence {
			return nil
		}
		if c.sequence > last {
			if last = c.sequence; !send(ctx, changes, c) {
				return ctx.Err()
			}
		}
	}
	return nil
}
