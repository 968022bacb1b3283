package rowfile

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/services/decision/index/internal/positions"
	"github.com/keyward/keyward/services/decision/index/internal/share"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

const (
	// late is how long after a user's deletion something may still come of the user's last calls.
	late = time.Hour
	// pruning is how often it is looked at what has become too old, or too much.
	pruning = 10 * time.Second
)

// Take implements projection.File.
func (f *File) Take(ctx context.Context, b projection.Batch) error {
	// A transaction that has begun ends at once: it is short, and to interrupt it would cost the connection.
	ctx = context.WithoutCancel(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db == nil {
		return ErrBuilding
	}
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f.take(ctx, tx, b); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (f *File) take(ctx context.Context, tx *sql.Tx, b projection.Batch) error {
	f.state.Positions[b.Source] = b.Position
	if b.Source == Deletions {
		for _, m := range b.Messages {
			if err := f.eraseOf(ctx, tx, m.Subject); err != nil {
				return err
			}
		}
		return f.save(ctx, tx)
	}
	f.pending = b.Pending
	touched := map[uint64]*segment{}
	insert := tx.StmtContext(ctx, f.insert)
	for _, m := range b.Messages {
		number := m.Sequence / positions.Span
		s := f.segment(number)
		touched[number] = s
		if err := f.index(ctx, insert, s, m); err != nil {
			return err
		}
	}
	if err := f.seal(ctx, tx, b.Position.Sequence/positions.Span, touched); err != nil {
		return err
	}
	for number, s := range touched {
		if err := f.saveSegment(ctx, tx, number, s); err != nil {
			return err
		}
	}
	if now := f.cfg.Now(); now.Sub(f.pruned) >= pruning {
		f.pruned = now
		if err := f.prune(ctx, tx, now); err != nil {
			return err
		}
	}
	return errors.Join(f.words.save(ctx, tx), f.save(ctx, tx))
}

// segment returns the segment of that number; there is one from then on.
func (f *File) segment(number uint64) *segment {
	s := f.segments[number]
	if s == nil {
		s = &segment{open: newOpen()}
		f.segments[number] = s
	}
	return s
}

// index takes up the record of a decision, or counts why it does not.
func (f *File) index(ctx context.Context, insert *sql.Stmt, s *segment, m direct.Message) error {
	o, err := f.reader.Read(m.Data)
	if err != nil || s.open == nil {
		s.unread++
		return nil //nolint:nilerr // it is counted
	}
	r := Row{Sequence: m.Sequence, Outline: o}
	if _, gone := f.erased[userKey(r.Project, r.User)]; gone && r.User != "" {
		return nil
	}
	if !f.state.Chooser.Choose(m.Time.Unix(), groupOf(&r), r.ID) {
		s.omitted++
		return nil
	}
	ms := r.Time.UnixMilli()
	if _, err := insert.ExecContext(ctx, int64(r.Sequence), ms, r.encode(nil, f.words.number)); err != nil {
		return err
	}
	if s.rows == 0 || ms < s.least {
		s.least = ms
	}
	s.most = max(s.most, ms)
	s.rows++
	s.open.add(&r, f.words.number)
	return nil
}

// groupOf says how much a decision matters.
func groupOf(r *Row) share.Group {
	switch {
	case r.Verdict != "" && r.Verdict != "allow", r.Level == "high", r.Rule == "default":
		return share.Doubted
	case r.User != "":
		return share.OfUser
	}
	return share.OfNobody
}

func userKey(project, user string) string { return project + "." + user }

// seal stores the places of the segments before one: no more comes of them.
func (f *File) seal(ctx context.Context, tx *sql.Tx, before uint64, touched map[uint64]*segment) error {
	for number, s := range f.segments {
		if number >= before || s.sealed {
			continue
		}
		if err := sealed(ctx, tx, number, s.open); err != nil {
			return err
		}
		s.sealed, s.open = true, nil
		touched[number] = s
	}
	return nil
}

func sealed(ctx context.Context, tx *sql.Tx, number uint64, o *open) error {
	byWord := func(a, b posting) int {
		if a.of != b.of {
			return int(a.of) - int(b.of)
		}
		return int(a.word) - int(b.word)
	}
	for _, at := range slices.SortedFunc(maps.Keys(o.sets), byWord) {
		const text = `INSERT OR REPLACE INTO postings VALUES (?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, text, int64(number), at.of, at.word, o.sets[at].Encode()); err != nil {
			return err
		}
	}
	for _, of := range []Dimension{User, Process} {
		entries := o.bucketed(of)
		for _, bucket := range slices.Sorted(maps.Keys(entries)) {
			const text = `INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)`
			if _, err := tx.ExecContext(ctx, text, int64(number), of, bucket, entries[bucket]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *File) saveSegment(ctx context.Context, tx *sql.Tx, number uint64, s *segment) error {
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)`,
		int64(number), s.rows, s.omitted, s.unread, s.least, s.most, s.sealed)
	return err
}

func (f *File) save(ctx context.Context, tx *sql.Tx) error {
	raw, err := json.Marshal(f.state)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO meta VALUES ('state', ?)`, string(raw))
	return err
}

// eraseOf takes out a user whose deletion was told under a subject.
func (f *File) eraseOf(ctx context.Context, tx *sql.Tx, subject string) error {
	rest, ok := strings.CutPrefix(subject, bus.EventsPrefix+".")
	project, rest, ok2 := strings.Cut(rest, ".")
	user, _, ok3 := strings.Cut(rest, ".")
	if !ok || !ok2 || !ok3 {
		return nil
	}
	now := f.cfg.Now().UnixMilli()
	f.erased[userKey(project, user)] = now
	if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO erased VALUES (?, ?)`, userKey(project, user), now); err != nil {
		return err
	}
	found, err := f.keyed(ctx, tx, User, keyOf(User, project, user))
	if err != nil {
		return err
	}
	for number, places := range found {
		if err := f.drop(ctx, tx, number, &places); err != nil {
			return err
		}
	}
	return nil
}

// drop takes rows out of a segment.
func (f *File) drop(ctx context.Context, tx *sql.Tx, number uint64, places *positions.Set) error {
	s := f.segments[number]
	first, _ := bounds(number)
	left := places.Without(&s.gone)
	for place := range left.Ascending() {
		if _, err := tx.ExecContext(ctx, `DELETE FROM rows WHERE seq = ?`, first+int64(place)); err != nil {
			return err
		}
		s.gone.Add(place)
	}
	if left.Len() == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO gone VALUES (?, ?)`, int64(number), s.gone.Encode())
	if err != nil || s.open != nil {
		if s.open != nil {
			s.open.drop(&left)
		}
		return err
	}
	return dropKeys(ctx, tx, number, &left)
}

// dropKeys takes the keys of places out of a sealed segment.
func dropKeys(ctx context.Context, tx *sql.Tx, number uint64, places *positions.Set) error {
	type kept struct {
		of, bucket int
		entries    []byte
	}
	var changed []kept
	const text = `SELECT dimension, bucket, entries FROM keys WHERE segment = ?`
	err := each(ctx, tx, text, []any{int64(number)}, func(rows *sql.Rows) error {
		var k kept
		var raw []byte
		if err := rows.Scan(&k.of, &k.bucket, &raw); err != nil {
			return err
		}
		entries, err := readEntries(raw)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !places.Has(e.place) {
				k.entries = appendEntry(k.entries, e)
			}
		}
		if len(k.entries) < len(raw) {
			changed = append(changed, k)
		}
		return nil
	})
	for _, k := range changed {
		if err != nil {
			return err
		}
		if k.entries == nil {
			k.entries = []byte{}
		}
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)`, int64(number), k.of, k.bucket, k.entries)
	}
	return err
}

// prune takes out what has become too old, and the oldest of what is too much.
func (f *File) prune(ctx context.Context, tx *sql.Tx, now time.Time) error {
	for user, ms := range f.erased {
		if ms < now.Add(-late).UnixMilli() {
			delete(f.erased, user)
			if _, err := tx.ExecContext(ctx, `DELETE FROM erased WHERE user = ?`, user); err != nil {
				return err
			}
		}
	}
	numbers := slices.Sorted(maps.Keys(f.segments))
	if f.cfg.MaxAge > 0 {
		oldest := now.Add(-f.cfg.MaxAge).UnixMilli()
		for _, number := range numbers {
			s := f.segments[number]
			switch {
			case s.rows > 0 && s.least >= oldest:
			case s.sealed && s.most < oldest:
				if err := f.forget(ctx, tx, number); err != nil {
					return err
				}
			case s.least < oldest:
				if err := f.trim(ctx, tx, number, oldest); err != nil {
					return err
				}
			}
		}
	}
	for _, number := range numbers {
		size, err := used(ctx, tx)
		if err != nil || f.cfg.MaxSize == 0 || size <= f.cfg.MaxSize {
			return err
		}
		if s := f.segments[number]; s != nil && s.sealed {
			if err := f.forget(ctx, tx, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// used returns how many bytes of the file hold something.
func used(ctx context.Context, tx *sql.Tx) (size int64, err error) {
	const text = `SELECT (p.page_count - f.freelist_count) * s.page_size FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s`
	err = tx.QueryRowContext(ctx, text).Scan(&size)
	return size, err
}

// forget takes out a segment.
func (f *File) forget(ctx context.Context, tx *sql.Tx, number uint64) error {
	first, last := bounds(number)
	if _, err := tx.ExecContext(ctx, `DELETE FROM rows WHERE seq BETWEEN ? AND ?`, first, last); err != nil {
		return err
	}
	for _, table := range []string{"postings", "keys", "gone", "segments"} {
		text := `DELETE FROM ` + table + ` WHERE segment = ?` //nolint:gosec // of names that are here
		if _, err := tx.ExecContext(ctx, text, int64(number)); err != nil {
			return fmt.Errorf("forget what is in %s: %w", table, err)
		}
	}
	delete(f.segments, number)
	return nil
}

// trim takes out the rows of a segment that are older than a moment.
func (f *File) trim(ctx context.Context, tx *sql.Tx, number uint64, oldest int64) error {
	s := f.segments[number]
	old, err := timed(ctx, tx, number, s.least, oldest-1)
	if err != nil {
		return err
	}
	s.least = oldest
	return errors.Join(f.drop(ctx, tx, number, &old), f.saveSegment(ctx, tx, number, s))
}

// timed returns the places of a segment that were decided within a time, both ends included.
func timed(ctx context.Context, q querier, number uint64, from, until int64) (set positions.Set, err error) {
	first, last := bounds(number)
	const text = `SELECT seq FROM rows WHERE seq BETWEEN ? AND ? AND ms BETWEEN ? AND ?`
	err = each(ctx, q, text, []any{first, last, from, until}, func(rows *sql.Rows) error {
		var seq int64
		err := rows.Scan(&seq)
		set.Add(uint16(seq % positions.Span))
		return err
	})
	return set, err
}
