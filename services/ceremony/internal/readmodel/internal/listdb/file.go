// Package listdb is the SQLite file that lists are read from: its tables, the rows that entries of buckets become, one connection that
// writes and some that read. A writer applies changes and says how far it has come in one transaction; a reader sees one state of the
// file. A file is whole only when a load was finished, and says so when it is opened. The package touches the file it is told of, and no
// stream: messages are handed to it.
package listdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/keyward/keyward/core/sqlitefile"
)

// FileName is how the file is called in its directory.
const FileName = "lists.db"

// File is an open SQLite file: one connection that writes and some that read.
type File struct {
	path    string
	loading bool    // it is being filled
	pool    *sql.DB // of the writer
	writer  *sql.Conn
	mover   *sql.DB // moves what was written from the log to the file
	readers *readers
}

// Open opens a file that may be there, to follow it. Whether it is whole says Complete.
func Open(ctx context.Context, path string) (*File, error) { return openAs(ctx, path, false) }

// openAs opens a file in the mode of a load or for good.
func openAs(ctx context.Context, path string, loading bool) (*File, error) {
	f := &File{path: path, loading: loading}
	// While a load writes, nobody reads, and what a crash leaves is thrown away.
	write := []string{
		"journal_mode(WAL)", "synchronous(NORMAL)", "cache_size(-16384)", "wal_autocheckpoint(0)", "journal_size_limit(67108864)",
	}
	if loading {
		write = []string{"journal_mode(OFF)", "synchronous(OFF)", "cache_size(-65536)", "locking_mode(EXCLUSIVE)"}
	}
	var err error
	if f.pool, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(path, write...)); err != nil {
		return nil, fmt.Errorf("open the read model: %w", err)
	}
	f.pool.SetMaxOpenConns(1)
	if f.writer, err = f.pool.Conn(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	if f.mover, err = sql.Open(sqlitefile.Driver, sqlitefile.DSN(path, "synchronous(NORMAL)", "cache_size(-1024)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	f.mover.SetMaxOpenConns(1)
	if f.readers, err = openReaders(sqlitefile.DSN(path, "query_only(1)", "cache_size(-16384)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open the read model: %w", err), f.Close())
	}
	return f, nil
}

// Close closes every connection. Nobody may be reading.
func (f *File) Close() error {
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

// execute runs statements on the writing connection.
func (f *File) execute(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := f.writer.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return nil
}

// Complete reports whether the file holds a whole load of this version of the schema.
func (f *File) Complete(ctx context.Context) bool {
	var version string
	err := f.writer.QueryRowContext(ctx, `SELECT value FROM meta WHERE name = 'loaded'`).Scan(&version)
	return err == nil && version == strconv.Itoa(schemaVersion)
}

// Cursor is where the rows of a bucket stand.
type Cursor struct {
	Stream   int64 // when the stream was made, Unix ns
	Sequence uint64
}

// Cursors returns where the rows of each bucket stand, by the name of the bucket.
func (f *File) Cursors(ctx context.Context) (map[string]Cursor, error) {
	rows, err := f.writer.QueryContext(ctx, `SELECT bucket, stream, sequence FROM cursors`)
	if err != nil {
		return nil, fmt.Errorf("read cursors: %w", err)
	}
	defer func() { _ = rows.Close() }()
	found := map[string]Cursor{}
	for rows.Next() {
		var bucket string
		var c Cursor
		var sequence int64
		if err := rows.Scan(&bucket, &c.Stream, &sequence); err != nil {
			return nil, fmt.Errorf("read cursors: %w", err)
		}
		c.Sequence = uint64(sequence)
		found[bucket] = c
	}
	return found, rows.Err()
}

// IsDamage reports whether err says that the file is not what was written.
func IsDamage(err error) bool { return sqlitefile.IsDamage(err) }

// Size returns how many bytes the file takes.
func (f *File) Size() int64 { return sqlitefile.Size(f.path) }

// ListOf returns the list whose rows are those of a bucket's entries.
func ListOf(bucket int) string { return [BucketCount]string{"users", "sessions", "tokens"}[bucket] }

// Entries returns how many entries of a bucket the file knows of, with rows and without.
func (f *File) Entries(ctx context.Context, bucket int) (uint64, error) {
	const text = `SELECT (SELECT count(*) FROM markers WHERE bucket = ?) +
		ifnull((SELECT n FROM counts WHERE project = 0 AND list = ? AND value = ''), 0)`
	var n int64
	if err := f.writer.QueryRowContext(ctx, text, BucketNames()[bucket], ListOf(bucket)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count entries: %w", err)
	}
	return uint64(n), nil
}

// Counts visits the lists with the number of their rows. If they cannot be asked for it visits none: the next write says what is wrong.
func (f *File) Counts(ctx context.Context, visit func(list string, n int64)) error {
	rows, err := f.writer.QueryContext(ctx, `SELECT list, n FROM counts WHERE project = 0`)
	if err != nil {
		return nil
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var list string
		var n int64
		if rows.Scan(&list, &n) == nil {
			visit(list, n)
		}
	}
	return rows.Err()
}
