// Package rollfile is the SQLite file of what is counted of adoption: sums by minute, hour and day, of every combination of dimensions
// that there was, and who has passkeys. What is counted is stored in one transaction with the positions in the streams after it, so
// nothing counts twice or never, whatever ends in between. It is a file and no bucket since a report adds up thousands of sums at a time.
// It touches the file it is told of.
//
// What answers an offer is counted by what the decision behind it was about. Offers are kept for as long as one can be answered; an answer
// whose decision is yet to be read waits for it, and is counted in reports meanwhile as of an unknown one.
package rollfile

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/keyward/keyward/core/sqlitefile"
	"github.com/keyward/keyward/services/decision/adoption/internal/fold"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

// schemaVersion changes with anything that a file written before would answer wrongly; such a file is made anew.
const schemaVersion = 1

func tables() []string {
	return []string{
		`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
		// Combinations of dimensions, in JSON.
		`CREATE TABLE combinations (id INTEGER PRIMARY KEY, dimensions TEXT NOT NULL UNIQUE)`,
		// Start is in Unix seconds; bucket is of how long it took (package fold), 0 = that is not known.
		`CREATE TABLE counts (unit INTEGER NOT NULL, start INTEGER NOT NULL, combination INTEGER NOT NULL, outcome INTEGER NOT NULL,
			cause TEXT NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL, ms INTEGER NOT NULL,
			PRIMARY KEY (unit, start, combination, outcome, cause, bucket)) WITHOUT ROWID`,
		// Decisions that offered something, of a batch: when its records were stored, hashes of their IDs, and their combinations.
		`CREATE TABLE offers (id INTEGER PRIMARY KEY, ms INTEGER NOT NULL, entries BLOB NOT NULL)`,
		// Answers whose decision is yet to be read.
		`CREATE TABLE waiting (sequence INTEGER PRIMARY KEY, stored INTEGER NOT NULL, event BLOB NOT NULL)`,
		// Hashes of who has which passkeys, and how many each project has.
		`CREATE TABLE passkeys (project INTEGER NOT NULL, user INTEGER NOT NULL, credential INTEGER NOT NULL,
			PRIMARY KEY (project, user, credential)) WITHOUT ROWID`,
		`CREATE TABLE holders (project TEXT PRIMARY KEY, id INTEGER NOT NULL, users INTEGER NOT NULL, passkeys INTEGER NOT NULL) WITHOUT ROWID`,
	}
}

// leftOffers has hashes of decisions whose offer was left for other means, and when. Files of before have no such table, and are not made
// anew for it: they hold sums of what the streams no longer do.
const leftOffers = `CREATE TABLE IF NOT EXISTS left_offers (decision INTEGER PRIMARY KEY, ms INTEGER NOT NULL) WITHOUT ROWID`

// The sources of the file.
const (
	Decisions = iota
	Events
	SourceCount
)

// Config bounds a file.
type Config struct {
	Path         string
	Combinations int // of dimensions, in a day; more are counted as others
	Now          func() time.Time
}

// ErrClosed reports that there is no file that could be read at the moment.
var ErrClosed = errors.New("the file is not open")

// File is the file while it is open. Everything in memory follows from what is stored.
type File struct {
	cfg Config

	mu           sync.Mutex
	db           *sql.DB // one connection, that writes; nil = the file is not open
	readers      *sql.DB
	opened       os.FileInfo
	reader       outline.Reader
	state        state
	combinations []fold.Dimensions // by number, from 1
	numbers      map[fold.Dimensions]uint32
	days         map[int64]map[uint32]bool // combinations of a day, of the days that were written lately
	offers       *offers
	waiting      int
	held         map[holding]bool
	pruned       time.Time
	took         [SourceCount]time.Time // when something of each stream was taken up, or the file opened
}

// state is stored with what was counted.
type state struct {
	Positions [SourceCount]projection.Position `json:"positions"`
	// Up to which moment everything of the stream was taken up, Unix ms, by the time of its storing
	Reached [SourceCount]int64 `json:"reached"`
	// Since which moment the stream has been counted: of what it held when the file was made
	From    [SourceCount]int64 `json:"from"`
	Others  int64              `json:"others"`  // counted as others
	Unread  int64              `json:"unread"`  // messages that could not be read
	Unknown int64              `json:"unknown"` // answers whose decision was not to be had
}

// New returns a file that is not open.
func New(cfg Config) *File { return &File{cfg: cfg} }

// Open implements projection.File.
func (f *File) Open(ctx context.Context) ([]projection.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	f.db, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(f.cfg.Path, "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-8192)"))
	if err != nil {
		return nil, err
	}
	f.db.SetMaxOpenConns(1)
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	if f.readers, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(f.cfg.Path, "query_only(1)", "cache_size(-8192)")); err != nil {
		return nil, err
	}
	f.readers.SetMaxOpenConns(2) //nolint:mnd // who read at once
	f.opened, err = os.Stat(f.cfg.Path)
	return f.state.Positions[:], err
}

func (f *File) load(ctx context.Context) error {
	f.combinations, f.numbers, f.days = nil, map[fold.Dimensions]uint32{}, map[int64]map[uint32]bool{}
	f.offers, f.state, f.waiting = newOffers(), state{}, 0
	f.held = map[holding]bool{}
	f.took = [SourceCount]time.Time{time.Now(), time.Now()}
	known, err := projection.Open(ctx, f.db, tables(), schemaVersion, &f.state)
	if err == nil {
		_, err = f.db.ExecContext(ctx, leftOffers)
	}
	if err != nil || !known {
		return err
	}
	if err := f.db.QueryRowContext(ctx, `SELECT count(*) FROM waiting`).Scan(&f.waiting); err != nil {
		return err
	}
	return errors.Join(f.loadCombinations(ctx), f.loadOffers(ctx))
}

func (f *File) loadCombinations(ctx context.Context) error {
	return each(ctx, f.db, `SELECT id, dimensions FROM combinations ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id int
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		var d fold.Dimensions
		if err := json.Unmarshal([]byte(text), &d); err != nil || id != len(f.combinations)+1 {
			return fmt.Errorf("%w: combination %d is not as it was written: %w", projection.ErrAnew, id, err)
		}
		f.combinations = append(f.combinations, d)
		f.numbers[d] = uint32(id)
		return nil
	})
}

func (f *File) loadOffers(ctx context.Context) error {
	return each(ctx, f.db, `SELECT id, ms, entries FROM offers ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id, ms int64
		var raw []byte
		if err := rows.Scan(&id, &ms, &raw); err != nil {
			return err
		}
		b := offerBatch{id: id, ms: ms}
		for ; len(raw) >= offerSize; raw = raw[offerSize:] {
			b.add(binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint32(raw[8:]))
		}
		f.offers.put(b)
		return nil
	})
}

// Close implements projection.File.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, db := range []*sql.DB{f.readers, f.db} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	f.db, f.readers = nil, nil
	return errors.Join(errs...)
}

// Remove implements projection.File.
func (f *File) Remove() error { return sqlitefile.Remove(f.cfg.Path) }

// Gone implements projection.File.
func (f *File) Gone() bool {
	now, err := os.Stat(f.cfg.Path)
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Is(err, os.ErrNotExist) || err == nil && f.opened != nil && !os.SameFile(now, f.opened)
}

// Damaged implements projection.File.
func (f *File) Damaged(err error) bool { return sqlitefile.IsDamage(err) }

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each visits what a statement returns.
func each(ctx context.Context, q querier, text string, args []any, visit func(*sql.Rows) error) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return fmt.Errorf("%.60s: %w", text, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
