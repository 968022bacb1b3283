// Package rowfile is the SQLite file of the index of decisions: a row for each decision, and for each segment of the stream of decisions
// which places of it have a word, so that any combination of words is found, and counted, without a look at the rows.
//
// A place is the sequence of a record in the stream, so every instance has the same. What is taken up is stored with the position after it.
// The latest segment's sets are in memory alone, and made of its rows when the file is opened. The package touches the file it is told of.
package rowfile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/sqlitefile"
	"github.com/keyward/keyward/services/decision/index/internal/positions"
	"github.com/keyward/keyward/services/decision/index/internal/share"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

// schemaVersion changes with anything that a file written before would answer wrongly; such a file is made anew.
const schemaVersion = 1

// tables are made in a new file.
func tables() []string {
	return []string{
		`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
		// Texts that come again and again, by number.
		`CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)`,
		// Ms is when it was decided.
		`CREATE TABLE rows (seq INTEGER PRIMARY KEY, ms INTEGER NOT NULL, body BLOB NOT NULL)`,
		// Of sealed segments the places are stored: of a word one after the other, since all of them are read together.
		// Omitted are those that were left out for the rate.
		`CREATE TABLE segments (segment INTEGER PRIMARY KEY, rows INTEGER NOT NULL, omitted INTEGER NOT NULL, unread INTEGER NOT NULL,
			least INTEGER NOT NULL, most INTEGER NOT NULL, sealed INTEGER NOT NULL)`,
		`CREATE TABLE postings (segment INTEGER NOT NULL, dimension INTEGER NOT NULL, word INTEGER NOT NULL, places BLOB NOT NULL,
			PRIMARY KEY (dimension, word, segment)) WITHOUT ROWID`,
		`CREATE INDEX postings_segment ON postings (segment)`,
		`CREATE TABLE keys (segment INTEGER NOT NULL, dimension INTEGER NOT NULL, bucket INTEGER NOT NULL, entries BLOB NOT NULL,
			PRIMARY KEY (segment, dimension, bucket)) WITHOUT ROWID`,
		// Places whose rows were taken out again.
		`CREATE TABLE gone (segment INTEGER PRIMARY KEY, places BLOB NOT NULL)`,
		// Users that were deleted lately, and when that was heard of: what comes late of them is not taken up.
		`CREATE TABLE erased (user TEXT PRIMARY KEY, ms INTEGER NOT NULL) WITHOUT ROWID`,
	}
}

// The sources of the file.
const (
	Decisions = iota
	Deletions
	SourceCount
)

// Config bounds a file.
type Config struct {
	Path    string
	MaxAge  time.Duration // of a decision; 0 = as long as the file has room
	MaxSize int64         // bytes; 0 = no bound
	Rate    int           // decisions of a second; 0 = all
	Now     func() time.Time
}

// ErrBuilding reports that there is no file yet that could be read.
var ErrBuilding = errors.New("the index is not open")

// File is the file while it is open. Everything in memory follows from what is stored.
type File struct {
	cfg Config

	mu       sync.RWMutex // readers see what was committed last, and no less of it
	db       *sql.DB      // one connection, that writes; nil = the file is not open
	readers  *sql.DB
	opened   os.FileInfo
	insert   *sql.Stmt // of rows
	words    dictionary
	segments map[uint64]*segment
	reader   outline.Reader
	state    state
	pending  uint64
	pruned   time.Time
	erased   map[string]int64

	suspected atomic.Bool // a read has found damage
}

// state is stored with what was taken up.
type state struct {
	Positions [SourceCount]projection.Position `json:"positions"`
	Chooser   share.Chooser                    `json:"chooser"`
}

// segment is what is in memory of positions.Span sequences.
type segment struct {
	rows, omitted, unread int64
	least, most           int64 // ms
	sealed                bool
	gone                  positions.Set
	open                  *open // nil once it is sealed
}

// New returns a file that is not open.
func New(cfg Config) *File { return &File{cfg: cfg} }

// Open implements projection.File.
func (f *File) Open(ctx context.Context) ([]projection.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suspected.Store(false)
	var err error
	f.db, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(f.cfg.Path,
		"page_size(16384)", "journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-16384)", "journal_size_limit(67108864)"))
	if err != nil {
		return nil, err
	}
	f.db.SetMaxOpenConns(1)
	if err := f.load(ctx); err != nil {
		return nil, err
	}
	if f.insert, err = f.db.PrepareContext(ctx, `INSERT OR REPLACE INTO rows VALUES (?, ?, ?)`); err != nil {
		return nil, err
	}
	if f.readers, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(f.cfg.Path, "query_only(1)", "cache_size(-16384)")); err != nil {
		return nil, err
	}
	const together = 4 // who read at once
	f.readers.SetMaxOpenConns(together)
	f.readers.SetMaxIdleConns(together)
	f.opened, err = os.Stat(f.cfg.Path)
	return f.state.Positions[:], err
}

// load reads what is kept in memory, and makes the tables of a file that has none.
func (f *File) load(ctx context.Context) error {
	f.words, f.segments, f.erased, f.state, f.pending = dictionary{}, map[uint64]*segment{}, map[string]int64{}, state{}, 0
	f.state.Chooser.Rate = f.cfg.Rate
	if known, err := projection.Open(ctx, f.db, tables(), schemaVersion, &f.state); err != nil || !known {
		return err
	}
	return errors.Join(f.words.load(ctx, f.db), f.loadSegments(ctx), f.loadErased(ctx))
}

func (f *File) loadErased(ctx context.Context) error {
	return each(ctx, f.db, `SELECT user, ms FROM erased`, nil, func(rows *sql.Rows) error {
		var user string
		var ms int64
		err := rows.Scan(&user, &ms)
		f.erased[user] = ms
		return err
	})
}

func (f *File) loadSegments(ctx context.Context) error {
	err := each(ctx, f.db, `SELECT segment, rows, omitted, unread, least, most, sealed FROM segments`, nil, func(rows *sql.Rows) error {
		var number int64
		s := &segment{}
		err := rows.Scan(&number, &s.rows, &s.omitted, &s.unread, &s.least, &s.most, &s.sealed)
		f.segments[uint64(number)] = s
		return err
	})
	if err != nil {
		return err
	}
	err = each(ctx, f.db, `SELECT segment, places FROM gone`, nil, func(rows *sql.Rows) error {
		var number int64
		var raw []byte
		if err := rows.Scan(&number, &raw); err != nil {
			return err
		}
		s := f.segments[uint64(number)]
		if s == nil {
			return nil
		}
		var err error
		s.gone, err = positions.Decode(raw)
		return err
	})
	for number, s := range f.segments {
		if err == nil && !s.sealed {
			s.open = newOpen()
			err = f.reopen(ctx, number, s)
		}
	}
	return err
}

// reopen fills the sets of a segment that is not sealed.
func (f *File) reopen(ctx context.Context, number uint64, s *segment) error {
	first, last := bounds(number)
	return each(ctx, f.db, `SELECT seq, ms, body FROM rows WHERE seq BETWEEN ? AND ?`, []any{first, last}, func(rows *sql.Rows) error {
		r, err := f.scan(rows)
		if err == nil {
			s.open.add(&r, f.words.number)
		}
		return err
	})
}

// scan reads a row of the table of rows.
func (f *File) scan(rows *sql.Rows) (Row, error) {
	var seq, ms int64
	var body sql.RawBytes
	if err := rows.Scan(&seq, &ms, &body); err != nil {
		return Row{}, err
	}
	r, err := decodeRow(body, f.words.word)
	r.Sequence, r.Time = uint64(seq), time.UnixMilli(ms).UTC()
	return r, err
}

// bounds are the first and the last sequence of a segment.
func bounds(number uint64) (first, last int64) {
	return int64(number * positions.Span), int64((number+1)*positions.Span - 1)
}

// Close implements projection.File.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	if f.insert != nil {
		errs = append(errs, f.insert.Close())
	}
	if f.readers != nil {
		errs = append(errs, f.readers.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	f.db, f.readers, f.insert = nil, nil, nil
	return errors.Join(errs...)
}

// Remove implements projection.File.
func (f *File) Remove() error { return sqlitefile.Remove(f.cfg.Path) }

// Gone implements projection.File.
func (f *File) Gone() bool {
	now, err := os.Stat(f.cfg.Path)
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.suspected.Load() || errors.Is(err, os.ErrNotExist) || err == nil && f.opened != nil && !os.SameFile(now, f.opened)
}

// Damaged implements projection.File.
func (f *File) Damaged(err error) bool {
	return sqlitefile.IsDamage(err) || errors.Is(err, errRow) || errors.Is(err, positions.ErrDamaged)
}

// querier is a connection, or one that is chosen.
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

// dictionary gives words numbers.
type dictionary struct {
	numbers map[string]uint32
	texts   []string // by number, from 1
	saved   int      // of texts, how many are stored
}

func (d *dictionary) load(ctx context.Context, q querier) error {
	d.numbers = map[string]uint32{}
	err := each(ctx, q, `SELECT id, word FROM words ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id int
		var word string
		if err := rows.Scan(&id, &word); err != nil {
			return err
		}
		if id != len(d.texts)+1 {
			return errRow
		}
		d.number(word)
		return nil
	})
	d.saved = len(d.texts)
	return err
}

// number returns that of a word, which has one from then on.
func (d *dictionary) number(word string) uint32 {
	if word == "" {
		return 0
	}
	if n, known := d.numbers[word]; known {
		return n
	}
	if d.numbers == nil {
		d.numbers = map[string]uint32{}
	}
	d.texts = append(d.texts, word)
	n := uint32(len(d.texts))
	d.numbers[word] = n
	return n
}

func (d *dictionary) word(number uint64) (string, bool) {
	if number == 0 {
		return "", true
	}
	if number > uint64(len(d.texts)) {
		return "", false
	}
	return d.texts[number-1], true
}

// save stores the words that are new.
func (d *dictionary) save(ctx context.Context, tx *sql.Tx) error {
	for ; d.saved < len(d.texts); d.saved++ {
		if _, err := tx.ExecContext(ctx, `INSERT INTO words VALUES (?, ?)`, d.saved+1, d.texts[d.saved]); err != nil {
			return err
		}
	}
	return nil
}

// Behind returns how many records of the stream are known that are yet to be taken up.
func (f *File) Behind() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.pending
}

// Position returns up to which position the stream of decisions was taken up.
func (f *File) Position() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.state.Positions[Decisions].Sequence
}

// Suspect is told of an error of a read. If it says that the file is damaged, Gone says that the file is to be made anew.
func (f *File) Suspect(err error) {
	if f.Damaged(err) {
		f.suspected.Store(true)
	}
}
