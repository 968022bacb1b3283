package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	fileName    = "lists.db"
	lockName    = "lock"
	busyTimeout = 10 * time.Second
)

// file is an open SQLite file: one connection that writes and some that read.
type file struct {
	path    string
	pool    *sql.DB // of the writer
	writer  *sql.Conn
	mover   *sql.DB // moves what was written from the log to the file
	readers *readers
}

// open opens a file that may be there, in the mode of a load or for good.
func open(ctx context.Context, path string, loading bool) (*file, error) {
	f := &file{path: path}
	// While a load writes, nobody reads, and what a crash leaves is thrown away.
	write := []string{"journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-16384)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)"}
	if loading {
		write = []string{"journal_mode(OFF)", "synchronous(OFF)", "cache_size(-65536)", "locking_mode(EXCLUSIVE)"}
	}
	var err error
	if f.pool, err = sql.Open("sqlite", dsn(path, append(write, busy())...)); err != nil {
		return nil, fmt.Errorf("open the read model: %w", err)
	}
	f.pool.SetMaxOpenConns(1)
	if f.writer, err = f.pool.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	if f.mover, err = sql.Open("sqlite", dsn(path, "synchronous(NORMAL)", "cache_size(-1024)", busy())); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	f.mover.SetMaxOpenConns(1)
	if f.readers, err = openReaders(dsn(path, "query_only(1)", "cache_size(-16384)", busy())); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	return f, nil
}

func busy() string { return "busy_timeout(" + strconv.FormatInt(busyTimeout.Milliseconds(), 10) + ")" }

func dsn(path string, pragmas ...string) string {
	query := url.Values{"_pragma": pragmas}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}

// Close closes every connection. Nobody may be reading.
func (f *file) Close() error {
	var errs []error
	if f.readers != nil {
		errs = append(errs, f.readers.close())
	}
	if f.mover != nil {
		errs = append(errs, f.mover.Close())
	}
	if f.writer != nil {
		errs = append(errs, f.writer.Close())
	}
	if f.pool != nil {
		errs = append(errs, f.pool.Close())
	}
	return errors.Join(errs...)
}

// discard removes the file with what belongs to it.
func discard(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the read model: %w", err)
		}
	}
	return nil
}

// execute runs statements on the writing connection.
func (f *file) execute(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := f.writer.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}

// complete reports whether the file holds a whole load of this version of the schema.
func (f *file) complete(ctx context.Context) bool {
	var version string
	err := f.writer.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'loaded'`).Scan(&version)
	return err == nil && version == strconv.Itoa(schemaVersion)
}

// cursor is where the rows of a bucket stand.
type cursor struct {
	stream   int64 // when the stream was made, Unix ns
	sequence uint64
}

func (f *file) cursors(ctx context.Context) (map[string]cursor, error) {
	rows, err := f.writer.QueryContext(ctx, `SELECT bucket, stream, sequence FROM cursors`)
	if err != nil {
		return nil, fmt.Errorf("read cursors: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]cursor{}
	for rows.Next() {
		var bucket string
		var c cursor
		var sequence int64
		if err := rows.Scan(&bucket, &c.stream, &sequence); err != nil {
			return nil, fmt.Errorf("read cursors: %w", err)
		}
		c.sequence = uint64(sequence)
		found[bucket] = c
	}
	return found, rows.Err()
}

// isDamage reports whether err says that the file is not what was written.
func isDamage(err error) bool {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return false
	}
	if failure.Code() == sqlite3.SQLITE_IOERR_SHORT_READ {
		return true
	}
	const primary = 0xff // the rest of a code is detail
	switch failure.Code() & primary {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}

// size returns how many bytes the file takes.
func (f *file) size() int64 {
	var total int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(filepath.Clean(f.path + suffix)); err == nil {
			total += info.Size()
		}
	}
	return total
}
