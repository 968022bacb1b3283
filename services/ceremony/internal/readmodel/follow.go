package readmodel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	queueLength    = 4096 // changes that were read and not yet written
	pullAhead      = 5000 // messages that are asked for at a time
	batchLimit     = 1000 // changes of one transaction
	patience       = 250 * time.Millisecond
	upkeepInterval = time.Minute
	restartAfter   = 500 * time.Millisecond
	renewalPause   = time.Hour // between two files that are made anew because rows and entries did not agree
	ageMargin      = time.Minute
)

// errRenew ends the following of a file that is to be made anew.
var errRenew = errors.New("the rows are to be made anew")

// Run reads the buckets until ctx ends; it returns nil then. While NATS is away, and while the file is made anew, lists wait or are answered 503.
func (s *Store) Run(ctx context.Context) error {
	var diverged time.Time
	for {
		err := s.follow(ctx, &diverged)
		s.progress.end()
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		if errors.Is(err, errRenew) {
			continue
		}
		s.metrics.restarts.Inc()
		s.deps.Log.WarnContext(ctx, "the read model begins to follow the buckets again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restartAfter):
		}
	}
}

// origins asks for the streams of all buckets.
func (s *Store) origins(ctx context.Context) (map[string]cursor, error) {
	found := map[string]cursor{}
	for i, name := range bucketNames() {
		origin, err := s.ask(ctx, name)
		if err != nil {
			return nil, err
		}
		s.progress.heard(i, origin.sequence)
		found[name] = origin
	}
	return found, nil
}

// open returns the file that is there if it can be taken up, otherwise why not.
func (s *Store) open(ctx context.Context, origins map[string]cursor) (*file, map[string]cursor, string, error) {
	if reason := s.takeBroken(); reason != "" {
		return nil, nil, reason, nil
	}
	f, err := open(ctx, s.path(), false)
	if err != nil {
		if isDamage(err) {
			return nil, nil, reasonDamaged, nil
		}
		return nil, nil, "", err
	}
	reason := reasonMissing
	if f.complete(ctx) {
		cursors, err := f.cursors(ctx)
		if err == nil && same(cursors, origins) {
			return f, cursors, "", nil
		}
		reason = reasonStream
		if err != nil {
			reason = reasonDamaged
		}
	}
	return nil, nil, reason, f.Close()
}

// same reports whether rows that have come as far as cursors are of these streams.
func same(cursors, origins map[string]cursor) bool {
	for name, origin := range origins {
		c, ok := cursors[name]
		if !ok || c.stream != origin.stream || c.sequence > origin.sequence {
			return false
		}
	}
	return true
}

// follow opens the file, makes it anew if need be, and keeps it up to date until ctx ends or something fails.
func (s *Store) follow(ctx context.Context, diverged *time.Time) error {
	origins, err := s.origins(ctx)
	if err != nil {
		return err
	}
	f, cursors, reason, err := s.open(ctx, origins)
	if err != nil {
		return err
	}
	if f == nil {
		s.metrics.rebuilds.WithLabelValues(reason).Inc()
		if err := s.load(ctx, origins); err != nil {
			return err
		}
		if f, cursors, reason, err = s.open(ctx, origins); err != nil {
			return err
		}
		if f == nil {
			return fmt.Errorf("the file just made cannot be opened: %s", reason)
		}
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	s.install(f, cancel)
	defer func() {
		s.withdraw()
		if err := f.Close(); err != nil {
			s.deps.Log.WarnContext(ctx, "close the read model", "error", err)
		}
	}()
	s.progress.begin(cursors)
	err = s.keep(following, f, cursors, diverged)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.broken == "" && isDamage(err) {
		s.broken = reasonDamaged
	}
	if s.broken != "" {
		s.deps.Log.WarnContext(ctx, "the read model is made anew", "reason", s.broken, "error", err)
		return errRenew
	}
	return err
}

// keep writes what the buckets say, from the cursors on.
func (s *Store) keep(ctx context.Context, f *file, cursors map[string]cursor, diverged *time.Time) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil)
	changed := make(chan struct{}, 1)
	defer close(changed)
	others.Go(func() { s.checkpoint(f, changed) })
	w, err := newWriter(ctx, f, false)
	if err != nil {
		return err
	}
	defer func() { _ = w.close() }()
	changes := make(chan change, queueLength)
	for i, name := range bucketNames() {
		from := cursors[name] // which moves on while others still begin
		others.Go(func() {
			if err := s.pull(ctx, i, from, changes); err != nil {
				cancel(err)
			}
		})
	}
	s.showRows(f)
	upkeep := time.NewTicker(s.deps.Upkeep)
	defer upkeep.Stop()
	batch := make([]change, 0, batchLimit)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-upkeep.C:
			if err := s.upkeep(ctx, w, cursors, diverged); err != nil {
				return err
			}
		case first := <-changes:
			batch = gather(append(batch[:0], first), changes)
			if err := s.write(ctx, w, batch, cursors); err != nil {
				return err
			}
			if err := errors.Join(f.relieve(ctx), w.join(ctx, len(changes) == 0)); err != nil {
				return err
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// gather adds what is there already, up to a limit.
func gather(batch []change, changes <-chan change) []change {
	for len(batch) < batchLimit {
		select {
		case c := <-changes:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

func (s *Store) write(ctx context.Context, w *writer, batch []change, cursors map[string]cursor) error {
	moved := map[string]cursor{}
	var reached [bucketCount]uint64
	names := bucketNames()
	for _, c := range batch {
		reached[c.bucket] = c.sequence
		moved[names[c.bucket]] = cursor{stream: cursors[names[c.bucket]].stream, sequence: c.sequence}
		s.warn(ctx, c)
	}
	if err := w.commit(ctx, batch, moved); err != nil {
		return err
	}
	for name, c := range moved {
		cursors[name] = c
	}
	s.progress.advance(reached)
	s.showRows(w.file)
	return nil
}

func (s *Store) warn(ctx context.Context, c change) {
	if c.wrong != nil {
		s.metrics.unread.Inc()
		s.deps.Log.ErrorContext(ctx, "an entry is in no list", "bucket", bucketNames()[c.bucket], "sequence", c.sequence, "error", c.wrong)
	}
}

func (s *Store) showRows(f *file) {
	for i, name := range bucketNames() {
		s.metrics.lag.WithLabelValues(name).Set(float64(s.progress.lag(i)))
	}
	rows, err := f.writer.QueryContext(context.Background(), `SELECT list, n FROM counts WHERE project = 0`)
	if err != nil {
		return // the next write says what is wrong
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var list string
		var n float64
		if rows.Scan(&list, &n) == nil {
			s.metrics.rows.WithLabelValues(list).Set(n)
		}
	}
	if err := rows.Err(); err != nil {
		s.deps.Log.Warn("the rows of the read model could not be counted", "error", err)
	}
}

// pull hands on what a bucket's stream holds after a cursor, and what comes, in order, until ctx ends.
func (s *Store) pull(ctx context.Context, bucket int, from cursor, changes chan<- change) error {
	name := bucketNames()[bucket]
	consumer, err := s.deps.JetStream.OrderedConsumer(ctx, streamName(name), ordered(from.sequence))
	if err != nil {
		return fmt.Errorf("follow bucket %s: %w", name, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pullAhead))
	if err != nil {
		return fmt.Errorf("follow bucket %s: %w", name, err)
	}
	defer messages.Stop()
	last := from.sequence
	for {
		msg, err := next(ctx, messages)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			if !s.progress.behind(bucket, last) {
				continue
			}
			c, err := s.skip(ctx, bucket, from, consumer, last)
			if err != nil {
				return err
			}
			if last = c.sequence; !send(ctx, changes, c) {
				return nil
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow bucket %s: %w", name, err)
		}
		c, err := read(bucket, msg)
		if err != nil {
			return err
		}
		if c.sequence <= last {
			continue
		}
		s.progress.heard(bucket, c.sequence+c.pending)
		if last = c.sequence; !send(ctx, changes, c) {
			return nil
		}
	}
}

func send(ctx context.Context, changes chan<- change, c change) bool {
	select {
	case changes <- c:
		return true
	case <-ctx.Done():
		return false
	}
}

// ordered starts after a sequence. A consumer that cannot be made again at once is made again from the start, by whoever follows.
func ordered(after uint64) jetstream.OrderedConsumerConfig {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, MaxResetAttempts: 1}
	if after > 0 {
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	}
	return cfg
}

func next(ctx context.Context, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return messages.Next(jetstream.NextContext(limited))
}

// skip finds out whether what lies between last and the end of the stream has been removed, so that no message will ever come of it; the change says how far that is so.
func (s *Store) skip(ctx context.Context, bucket int, from cursor, consumer jetstream.Consumer, last uint64) (change, error) {
	name := bucketNames()[bucket]
	still := change{bucket: bucket, sequence: last}
	origin, err := s.ask(ctx, name)
	if err != nil {
		return still, err
	}
	if origin.stream != from.stream {
		s.replaced()
		return still, fmt.Errorf("follow bucket %s: %w", name, errRenew)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return still, fmt.Errorf("follow bucket %s: %w", name, err)
	}
	if info.NumPending == 0 && info.Delivered.Stream <= last {
		still.sequence = max(last, origin.sequence)
	}
	return still, nil
}

// upkeep removes what has gone by age, and compares the number of rows with that of entries.
func (s *Store) upkeep(ctx context.Context, w *writer, cursors map[string]cursor, diverged *time.Time) error {
	for i, name := range bucketNames() {
		stream, err := s.deps.JetStream.Stream(ctx, streamName(name))
		if err != nil {
			s.deps.Log.WarnContext(ctx, "the read model cannot look at a bucket", "bucket", name, "error", err)
			continue
		}
		info := stream.CachedInfo()
		if age := info.Config.MaxAge; age > 0 && i != accounts {
			if err := w.prune(ctx, listOf(i), s.deps.Now().Add(-age-ageMargin).UnixMilli()); err != nil {
				return err
			}
			s.totals.forget()
			continue
		}
		if info.State.LastSeq != cursors[name].sequence || info.Created.UnixNano() != cursors[name].stream {
			continue
		}
		rows, err := w.file.entries(ctx, i)
		if err != nil {
			return err
		}
		if rows == info.State.Msgs {
			continue
		}
		s.metrics.diverging.Inc()
		s.deps.Log.ErrorContext(ctx, "rows and entries do not agree", "bucket", name, "rows", rows, "entries", info.State.Msgs)
		if now := s.deps.Now(); diverged.IsZero() || now.Sub(*diverged) > renewalPause {
			*diverged = now
			s.renew(w.file, reasonDiverged)
			return errRenew
		}
	}
	return nil
}

func listOf(bucket int) string { return [bucketCount]string{"users", "sessions", "tokens"}[bucket] }

// entries returns how many entries of a bucket the file knows of, with rows and without.
func (f *file) entries(ctx context.Context, bucket int) (uint64, error) {
	const text = `SELECT (SELECT count(*) FROM markers WHERE bucket = ?) + ifnull((SELECT n FROM counts WHERE project = 0 AND list = ? AND value = ''), 0)`
	var n int64
	if err := f.writer.QueryRowContext(ctx, text, bucketNames()[bucket], listOf(bucket)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count entries: %w", err)
	}
	return uint64(n), nil
}
