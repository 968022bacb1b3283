package readmodel

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
)

const (
	queueLength    = 4096                  // changes that were read and not yet written
	batchLimit     = 1000                  // changes of one transaction
	pullMost       = 256                   // messages that are read at a time
	patience       = time.Second           // at most, until it is looked whether there is something that nothing was heard of
	pullPause      = 50 * time.Millisecond // between two reads of a bucket, while nobody waits for what is in it
	upkeepInterval = time.Minute
	gatherTime     = 100 * time.Millisecond
	moveInterval   = time.Second // at least, between two moves of changes from the log into the file: each waits for the disk
	restartAfter   = 500 * time.Millisecond
	renewalPause   = time.Hour // between two files that are made anew because rows and entries did not agree
	ageMargin      = time.Minute
)

// errRenew ends the following of a file that is to be made anew.
var errRenew = errors.New("the rows are to be made anew")

// Run reads the buckets until ctx ends; it returns nil then. While NATS is away, and while the file is made anew, lists wait or are
// answered 503.
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
func (s *Store) origins(ctx context.Context) (map[string]listdb.Cursor, error) {
	found := map[string]listdb.Cursor{}
	for i, name := range listdb.BucketNames() {
		origin, err := s.ask(ctx, name)
		if err != nil {
			return nil, err
		}
		s.progress.heard(i, origin.Sequence)
		found[name] = origin
	}
	return found, nil
}

// Open returns the file that is there if it can be taken up, otherwise why not.
func (s *Store) open(ctx context.Context, origins map[string]listdb.Cursor) (*listdb.File, map[string]listdb.Cursor, string, error) {
	if reason := s.takeBroken(); reason != "" {
		return nil, nil, reason, nil
	}
	f, err := listdb.Open(ctx, s.path())
	if err != nil {
		if listdb.IsDamage(err) {
			return nil, nil, reasonDamaged, nil
		}
		return nil, nil, "", err
	}
	reason := reasonMissing
	if f.Complete(ctx) {
		cursors, err := f.Cursors(ctx)
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
func same(cursors, origins map[string]listdb.Cursor) bool {
	for name, origin := range origins {
		c, ok := cursors[name]
		if !ok || c.Stream != origin.Stream || c.Sequence > origin.Sequence {
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
	if s.broken == "" && listdb.IsDamage(err) {
		s.broken = reasonDamaged
	}
	if s.broken != "" {
		s.deps.Log.WarnContext(ctx, "the read model is made anew", "reason", s.broken, "error", err)
		return errRenew
	}
	return err
}

// keep writes what the buckets say, from the cursors on.
func (s *Store) keep(ctx context.Context, f *listdb.File, cursors map[string]listdb.Cursor, diverged *time.Time) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil)
	due := make(chan struct{}, 1)
	others.Go(func() { s.checkpoint(ctx, f, due) })
	w, err := listdb.NewWriter(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	changes := make(chan listdb.Change, queueLength)
	for i, name := range listdb.BucketNames() {
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
	batch := make([]listdb.Change, 0, batchLimit)
	for {
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), w.Save(ctx))
		case <-upkeep.C:
			if err := errors.Join(s.upkeep(ctx, f, w, cursors, diverged), w.Save(ctx)); err != nil {
				return err
			}
		case first := <-changes:
			batch = s.gather(ctx, append(batch[:0], first), changes)
			if err := s.write(ctx, f, w, batch, cursors); err != nil {
				return err
			}
			if err := w.Join(ctx, len(changes) == 0); err != nil {
				return err
			}
			if err := relieve(ctx, f, due); err != nil {
				return err
			}
		}
	}
}

// relieve keeps the log of changes short, and tells whoever moves it into the file when that is due.
func relieve(ctx context.Context, f *listdb.File, due chan<- struct{}) error {
	enough, err := f.Relieve(ctx)
	if err != nil || !enough {
		return err
	}
	select {
	case due <- struct{}{}:
	default:
	}
	return nil
}

// checkpoint moves changes into the file when it is told that it is time, until ctx ends.
func (s *Store) checkpoint(ctx context.Context, f *listdb.File, due <-chan struct{}) {
	pause := time.NewTicker(moveInterval)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
		}
		if err := f.Checkpoint(context.WithoutCancel(ctx)); err != nil {
			s.deps.Log.WarnContext(ctx, "the read model could not move changes into its file; it will try again", "error", err)
		}
		pause.Reset(moveInterval)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// gather adds the changes of a moment, until somebody waits for rows. Whoever stores does not wait for them, so many writes of an account
// become one, and many accounts one transaction.
func (s *Store) gather(ctx context.Context, batch []listdb.Change, changes <-chan listdb.Change) []listdb.Change {
	moment := time.NewTimer(s.deps.Gather)
	defer moment.Stop()
	for len(batch) < batchLimit && !s.progress.awaited() {
		select {
		case c := <-changes:
			batch = append(batch, c)
		case <-s.progress.wanted: // or was wanted before, and has been read
		case <-moment.C:
			return drain(batch, changes)
		case <-ctx.Done():
			return drain(batch, changes)
		}
	}
	return drain(batch, changes)
}

// drain adds what is there already, up to a limit.
func drain(batch []listdb.Change, changes <-chan listdb.Change) []listdb.Change {
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

func (s *Store) write(
	ctx context.Context, f *listdb.File, w *listdb.Writer, batch []listdb.Change, cursors map[string]listdb.Cursor,
) error {
	moved := map[string]listdb.Cursor{}
	var reached [listdb.BucketCount]uint64
	names := listdb.BucketNames()
	for _, c := range batch {
		reached[c.Bucket] = c.Sequence
		moved[names[c.Bucket]] = listdb.Cursor{Stream: cursors[names[c.Bucket]].Stream, Sequence: c.Sequence}
		s.warn(ctx, c)
	}
	if err := w.Commit(ctx, batch, moved); err != nil {
		return err
	}
	for name, c := range moved {
		cursors[name] = c
	}
	s.progress.advance(reached)
	s.showRows(f)
	return nil
}

func (s *Store) warn(ctx context.Context, c listdb.Change) {
	if c.Wrong != nil {
		s.metrics.unread.Inc()
		s.deps.Log.ErrorContext(ctx, "an entry is in no list", "bucket", listdb.BucketNames()[c.Bucket], "sequence", c.Sequence, "error", c.Wrong)
	}
}

func (s *Store) showRows(f *listdb.File) {
	for i, name := range listdb.BucketNames() {
		s.metrics.lag.WithLabelValues(name).Set(float64(s.progress.lag(i)))
	}
	err := f.Counts(context.Background(), func(list string, n int64) { s.metrics.rows.WithLabelValues(list).Set(float64(n)) })
	if err != nil {
		s.deps.Log.Warn("the rows of the read model could not be counted", "error", err)
	}
}

// pull hands on what a bucket's stream holds after a cursor, and what comes, in order, until ctx ends.
func (s *Store) pull(ctx context.Context, bucket int, from listdb.Cursor, changes chan<- listdb.Change) error {
	name := listdb.BucketNames()[bucket]
	p := puller{store: s, bucket: bucket, from: from, last: from.Sequence, changes: changes}
	err := p.run(ctx)
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // it was told to end
	case errors.Is(err, direct.ErrReset):
		s.replaced()
		return fmt.Errorf("follow bucket %s: %w", name, errors.Join(errRenew, err))
	}
	return fmt.Errorf("follow bucket %s: %w", name, err)
}

// puller reads what is written to a bucket. Writes that come soon after each other are read together, unless somebody waits for them.
type puller struct {
	store   *Store
	bucket  int
	from    listdb.Cursor
	last    uint64 // sequence that was handed on
	changes chan<- listdb.Change
}

func (p *puller) run(ctx context.Context) error {
	name := listdb.BucketNames()[p.bucket]
	subject := listdb.Subject(name, ">")
	stream, err := direct.Open(ctx, p.store.deps.JetStream, listdb.StreamName(name))
	if err != nil {
		return err
	}
	err = stream.Each(ctx, subject, direct.After(p.last), func(m direct.Message) (bool, error) { return true, p.hand(ctx, m) })
	if err != nil {
		return err
	}
	cursor, err := stream.Cursor(subject, p.last, patience)
	if err != nil {
		return err
	}
	defer cursor.Close()
	p.store.progress.wake(p.bucket, cursor.Look)
	defer p.store.progress.wake(p.bucket, nil)
	for {
		n, err := p.next(ctx, cursor)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = p.skip(ctx, stream, subject)
		}
		switch {
		case err == nil && n < pullMost:
			cursor.Rest(ctx, pullPause)
		case err == nil:
		case ctx.Err() == nil && !p.store.deps.JetStream.Conn().IsConnected():
			cursor.Rest(ctx, restartAfter)
		default:
			return err
		}
	}
}

// next hands on what comes next, and returns how much that was.
func (p *puller) next(ctx context.Context, cursor *direct.Cursor) (n int, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = cursor.Next(limited, pullMost, func(m direct.Message) error {
		n++
		return p.hand(ctx, m)
	})
	return n, err
}

// hand hands a message on, unless that was done before.
func (p *puller) hand(ctx context.Context, m direct.Message) error {
	if m.Sequence <= p.last {
		return nil
	}
	p.store.progress.heard(p.bucket, m.Sequence)
	return p.send(ctx, listdb.ReadChange(p.bucket, m.RawStreamMsg))
}

func (p *puller) send(ctx context.Context, c listdb.Change) error {
	select {
	case p.changes <- c:
		p.last = c.Sequence
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// skip finds out whether what lies between the last message and the end of the stream has been removed, so that no message will ever come
// of it, and hands that on.
func (p *puller) skip(ctx context.Context, stream *direct.Stream, subject string) error {
	if !p.store.progress.behind(p.bucket, p.last) {
		return nil
	}
	origin, err := p.store.ask(ctx, listdb.BucketNames()[p.bucket])
	if err != nil {
		return err
	}
	if origin.Stream != p.from.Stream {
		return direct.ErrReset
	}
	before := p.last
	err = stream.Each(ctx, subject, direct.After(p.last), func(m direct.Message) (bool, error) { return true, p.hand(ctx, m) })
	if err != nil || p.last > before || origin.Sequence <= p.last {
		return err
	}
	return p.send(ctx, listdb.Change{Bucket: p.bucket, Sequence: origin.Sequence})
}

// upkeep removes what has gone by age, and compares the number of rows with that of entries.
func (s *Store) upkeep(ctx context.Context, f *listdb.File, w *listdb.Writer, cursors map[string]listdb.Cursor, diverged *time.Time) error {
	for i, name := range listdb.BucketNames() {
		stream, err := s.deps.JetStream.Stream(ctx, listdb.StreamName(name))
		if err != nil {
			s.deps.Log.WarnContext(ctx, "the read model cannot look at a bucket", "bucket", name, "error", err)
			continue
		}
		info := stream.CachedInfo()
		if age := info.Config.MaxAge; age > 0 && i != listdb.Accounts {
			if err := w.Prune(ctx, listdb.ListOf(i), s.deps.Now().Add(-age-ageMargin).UnixMilli()); err != nil {
				return err
			}
			s.totals.Forget()
			continue
		}
		if info.State.LastSeq != cursors[name].Sequence || info.Created.UnixNano() != cursors[name].Stream {
			continue
		}
		rows, err := f.Entries(ctx, i)
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
			s.renew(f, reasonDiverged)
			return errRenew
		}
	}
	return nil
}
