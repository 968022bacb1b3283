package rollfile

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/adoption/internal/fold"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

// Unit is how long one sum is of.
type Unit int64

// The units, in seconds.
const (
	Minute Unit = 60
	Hour   Unit = 60 * Minute
	Day    Unit = 24 * Hour
)

func units() []Unit { return []Unit{Minute, Hour, Day} }

// kept is how long sums of a unit are; 0 = for ever.
func (u Unit) kept() time.Duration {
	switch u {
	case Minute:
		return 2 * 24 * time.Hour
	case Hour:
		return 90 * 24 * time.Hour
	default:
		return 0
	}
}

// Start returns when the sum begins that a moment is in, in Unix seconds.
func (u Unit) Start(ms int64) int64 {
	s := ms / 1000
	return s - s%int64(u)
}

// sum is what is added to.
type sum struct {
	unit        Unit
	start       int64
	combination uint32
	outcome     int
	cause       string
	bucket      int
}

type added struct{ n, ms int64 }

// grace is how long after an answer to its offer the record of a decision may come.
const grace = 30 * time.Second

// taking is a batch while it is taken up.
type taking struct {
	f    *File
	ctx  context.Context
	tx   *sql.Tx
	sums map[sum]added
}

// Take implements projection.File.
func (f *File) Take(ctx context.Context, b projection.Batch) error {
	if err := f.abreast(ctx, b); err != nil {
		return err
	}
	// A transaction that has begun ends at once: it is short, and to interrupt it would cost the connection.
	ctx = context.WithoutCancel(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.db == nil {
		return ErrClosed
	}
	f.took[b.Source] = time.Now()
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &taking{f: f, ctx: ctx, tx: tx, sums: map[sum]added{}}
	if err := t.take(b); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

const (
	ahead = time.Minute     // by which decisions may be read before events, so that little has to be remembered
	idle  = 2 * time.Second // after which a stream of which nothing was read has nothing more
	pause = 10 * time.Millisecond
)

// abreast waits until the other stream has been read about as far, or has nothing more: events are read behind the decisions that they
// name.
func (f *File) abreast(ctx context.Context, b projection.Batch) error {
	for {
		f.mu.Lock()
		other, first, lead := SourceCount-1-b.Source, 0, ahead
		if b.Source == Events {
			first, lead = len(b.Messages)-1, 0
		}
		waits := len(b.Messages) > 0 && b.Messages[first].Time.UnixMilli() > f.state.Reached[other]+lead.Milliseconds() &&
			time.Since(f.took[other]) < idle
		f.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (t *taking) take(b projection.Batch) error {
	s := &t.f.state
	if len(b.Messages) > 0 {
		if s.From[b.Source] == 0 {
			s.From[b.Source] = b.Messages[0].Time.UnixMilli()
		}
		s.Reached[b.Source] = b.Messages[len(b.Messages)-1].Time.UnixMilli()
	}
	if b.Pending == 0 {
		s.Reached[b.Source] = max(s.Reached[b.Source], t.f.cfg.Now().UnixMilli())
	}
	s.Positions[b.Source] = b.Position
	var err error
	if b.Source == Decisions {
		err = t.decisions(b)
	} else {
		err = t.events(b)
	}
	if err == nil && t.f.waiting > 0 {
		err = t.settle()
	}
	if err != nil {
		return err
	}
	return errors.Join(t.write(), t.prune(), t.save())
}

func (t *taking) decisions(b projection.Batch) error {
	batch := offerBatch{id: int64(b.Position.Sequence)}
	for _, m := range b.Messages {
		o, err := t.f.reader.Read(m.Data)
		if err != nil {
			t.f.state.Unread++
			continue
		}
		asked, offered := fold.OfDecision(&o)
		if asked == nil {
			continue
		}
		if _, err := t.count(asked); err != nil {
			return err
		}
		if offered == nil {
			continue
		}
		combination, err := t.count(offered)
		if err != nil {
			return err
		}
		batch.ms = m.Time.UnixMilli()
		batch.add(uint64(hashed(o.ID)), combination)
	}
	if len(batch.entries) > 0 {
		t.f.offers.put(batch)
		if _, err := t.tx.ExecContext(t.ctx, `INSERT OR REPLACE INTO offers VALUES (?, ?, ?)`, batch.id, batch.ms, batch.entries); err != nil {
			return err
		}
	}
	// Events that are yet to be read may answer what is older than anything here.
	reached := min(t.f.state.Reached[Decisions], t.f.state.Reached[Events])
	if last := t.f.offers.drop(reached - answered.Milliseconds()); last > 0 {
		_, err := t.tx.ExecContext(t.ctx, `DELETE FROM offers WHERE id <= ?`, last)
		return err
	}
	return nil
}

func (t *taking) events(b projection.Batch) error {
	for _, m := range b.Messages {
		if !fold.Matters(event.Type(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])) {
			continue
		}
		var e event.Event
		if err := jsonv2.Unmarshal(m.Data, &e); err != nil {
			t.f.state.Unread++
			continue
		}
		if h, says := fold.OfHolding(&e); says {
			if err := t.hold(h); err != nil {
				return err
			}
		}
		if _, counts := fold.OfEvent(&e, nil); !counts {
			continue
		}
		stored := m.Time.UnixMilli()
		known, err := t.answer(&e, stored)
		if err != nil {
			return err
		}
		if !known {
			t.f.waiting++
			const text = `INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)`
			if _, err := t.tx.ExecContext(t.ctx, text, int64(m.Sequence), stored, m.Data); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer counts an event, unless the record of the decision that it names may be yet to come. stored is when the event was, in Unix ms.
func (t *taking) answer(e *event.Event, stored int64) (known bool, err error) {
	var of *fold.Dimensions
	if e.Decision != "" {
		combination, found := t.f.offers.of[uint64(hashed(string(e.Decision)))]
		switch {
		case found:
			of = &t.f.combinations[combination-1]
		case t.f.state.Reached[Decisions] < stored+grace.Milliseconds():
			return false, nil
		default:
			t.f.state.Unknown++
		}
	}
	fact, _ := fold.OfEvent(e, of)
	if _, err = t.count(&fact); err != nil {
		return true, err
	}
	return true, t.left(e, of)
}

// left counts that an offer was left for other means, of each offer once.
func (t *taking) left(e *event.Event, of *fold.Dimensions) error {
	fact, left := fold.OfLeft(e, of)
	if !left {
		return nil
	}
	done, err := t.tx.ExecContext(t.ctx, `INSERT OR IGNORE INTO left_offers VALUES (?, ?)`, hashed(string(e.Decision)), e.CreatedMs)
	if err != nil {
		return err
	}
	if first, err := done.RowsAffected(); err != nil || first == 0 {
		return err
	}
	_, err = t.count(&fact)
	return err
}

// settle counts what waits and can be counted now.
func (t *taking) settle() error {
	type waits struct {
		sequence, stored int64
		raw              []byte
	}
	var all []waits
	err := each(t.ctx, t.tx, `SELECT sequence, stored, event FROM waiting ORDER BY sequence`, nil, func(rows *sql.Rows) error {
		var w waits
		err := rows.Scan(&w.sequence, &w.stored, &w.raw)
		all = append(all, w)
		return err
	})
	for _, w := range all {
		if err != nil {
			return err
		}
		var e event.Event
		known := true
		if err = jsonv2.Unmarshal(w.raw, &e); err == nil {
			known, err = t.answer(&e, w.stored)
		}
		if err == nil && known {
			t.f.waiting--
			_, err = t.tx.ExecContext(t.ctx, `DELETE FROM waiting WHERE sequence = ?`, w.sequence)
		}
	}
	return err
}

// count adds a fact to its sums, and returns the combination of its dimensions.
func (t *taking) count(fact *fold.Fact) (combination uint32, err error) {
	day := Day.Start(fact.AtMs)
	there, err := t.f.ofDay(t.ctx, t.tx, day)
	if err != nil {
		return 0, err
	}
	if combination, err = t.combination(fact.Dimensions); err != nil {
		return 0, err
	}
	counted := combination
	if !there[combination] && len(there) >= t.f.cfg.Combinations {
		t.f.state.Others++
		if counted, err = t.combination(fact.Overflow()); err != nil {
			return 0, err
		}
	}
	there[counted] = true
	key := sum{combination: counted, cause: fact.Cause, bucket: fold.Bucket(fact.TookMs)}
	for i, outcome := range fold.Outcomes() {
		if outcome == fact.Outcome {
			key.outcome = i
		}
	}
	for _, key.unit = range units() {
		key.start = key.unit.Start(fact.AtMs)
		a := t.sums[key]
		a.n, a.ms = a.n+1, a.ms+max(fact.TookMs, 0)
		t.sums[key] = a
	}
	return combination, nil
}

// combination returns the number of a combination, which has one from then on.
func (t *taking) combination(d fold.Dimensions) (uint32, error) {
	if number, known := t.f.numbers[d]; known {
		return number, nil
	}
	text, err := json.Marshal(d)
	if err != nil {
		return 0, err
	}
	t.f.combinations = append(t.f.combinations, d)
	number := uint32(len(t.f.combinations))
	t.f.numbers[d] = number
	_, err = t.tx.ExecContext(t.ctx, `INSERT INTO combinations VALUES (?, ?)`, number, string(text))
	return number, err
}

const daysMost = 8 // whose combinations are kept in memory

// ofDay returns the combinations of a day.
func (f *File) ofDay(ctx context.Context, q querier, day int64) (map[uint32]bool, error) {
	if there, known := f.days[day]; known {
		return there, nil
	}
	if len(f.days) >= daysMost {
		clear(f.days)
	}
	there := map[uint32]bool{}
	f.days[day] = there
	const text = `SELECT DISTINCT combination FROM counts WHERE unit = ? AND start = ?`
	return there, each(ctx, q, text, []any{Day, day}, func(rows *sql.Rows) error {
		var combination uint32
		err := rows.Scan(&combination)
		there[combination] = true
		return err
	})
}

// write adds what was counted to what is stored.
func (t *taking) write() error {
	if len(t.sums) == 0 {
		return nil
	}
	statement, err := t.tx.PrepareContext(t.ctx, `INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (unit, start, combination, outcome, cause, bucket) DO UPDATE SET n = n + excluded.n, ms = ms + excluded.ms`)
	if err != nil {
		return err
	}
	for key, a := range t.sums {
		if _, err := statement.ExecContext(
			t.ctx, int64(key.unit), key.start, key.combination, key.outcome, key.cause, key.bucket, a.n, a.ms,
		); err != nil {
			return errors.Join(err, statement.Close())
		}
	}
	return statement.Close()
}

const pruning = time.Hour

// prune takes out sums that are older than their unit is kept.
func (t *taking) prune() error {
	now := t.f.cfg.Now()
	if now.Sub(t.f.pruned) < pruning {
		return nil
	}
	t.f.pruned = now
	// An event may be stored, and wait for its decision, long after it was made.
	const text = `DELETE FROM left_offers WHERE ms < ?`
	reached := min(t.f.state.Reached[Decisions], t.f.state.Reached[Events])
	if _, err := t.tx.ExecContext(t.ctx, text, reached-4*answered.Milliseconds()); err != nil {
		return err
	}
	for _, unit := range units() {
		if unit.kept() == 0 {
			continue
		}
		const text = `DELETE FROM counts WHERE unit = ? AND start < ?`
		if _, err := t.tx.ExecContext(t.ctx, text, int64(unit), now.Add(-unit.kept()).Unix()); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) save() error {
	raw, err := json.Marshal(t.f.state)
	if err != nil {
		return err
	}
	_, err = t.tx.ExecContext(t.ctx, `INSERT OR REPLACE INTO meta VALUES ('state', ?)`, string(raw))
	return err
}

// holding is a user who has a passkey, by the hashes of both.
type holding struct{ user, credential int64 }

// heldMost is of how many passkeys it is remembered that they are stored: those that are used again and again.
const heldMost = 100_000

// hold takes up who has passkeys.
func (t *taking) hold(h fold.Holding) error {
	project := string(h.Project)
	id, user, credential := hashed(project), hashed(project, string(h.User)), hashed(h.Credential)
	known := holding{user, credential}
	if h.Has && t.f.held[known] {
		return nil
	}
	var done sql.Result
	var err error
	switch {
	case h.Has:
		if len(t.f.held) >= heldMost {
			clear(t.f.held)
		}
		t.f.held[known] = true
		done, err = t.tx.ExecContext(t.ctx, `INSERT OR IGNORE INTO passkeys VALUES (?, ?, ?)`, id, user, credential)
	case h.Credential == "":
		clear(t.f.held)
		done, err = t.tx.ExecContext(t.ctx, `DELETE FROM passkeys WHERE project = ? AND user = ?`, id, user)
	default:
		const text = `DELETE FROM passkeys WHERE project = ? AND user = ? AND credential = ?`
		delete(t.f.held, known)
		done, err = t.tx.ExecContext(t.ctx, text, id, user, credential)
	}
	if err != nil {
		return err
	}
	changed, err := done.RowsAffected()
	if err != nil || changed == 0 {
		return err
	}
	has, err := t.passkeysOf(id, user)
	if err != nil {
		return err
	}
	had := has + changed
	if h.Has {
		had = has - changed
	}
	users := min(has, 1) - min(had, 1)
	_, err = t.tx.ExecContext(t.ctx, `INSERT INTO holders VALUES (?, ?, ?, ?)
		ON CONFLICT (project) DO UPDATE SET users = users + excluded.users, passkeys = passkeys + excluded.passkeys`, project, id, users, has-had)
	return err
}

func (t *taking) passkeysOf(project, user int64) (n int64, err error) {
	const text = `SELECT count(*) FROM passkeys WHERE project = ? AND user = ?`
	err = t.tx.QueryRowContext(t.ctx, text, project, user).Scan(&n)
	return n, err
}
