package listdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/keyward/keyward/core/sqlitefile"
)

const (
	readerLimit  = 4   // lists that are read at once; more wait
	statementMax = 100 // statements that a connection keeps prepared
)

// readers are connections that read, some at once.
type readers struct {
	db   *sql.DB
	free chan *connection // nil = one that is yet to be opened
}

// connection is one connection with its statements by their text.
type connection struct {
	*sql.Conn
	statements map[string]*sql.Stmt
}

func openReaders(dsn string) (*readers, error) {
	db, err := sql.Open(sqlitefile.Driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(readerLimit)
	r := &readers{db: db, free: make(chan *connection, readerLimit)}
	for range readerLimit {
		r.free <- nil
	}
	return r, nil
}

// Close waits for those who read.
func (r *readers) close() error {
	var errs []error
	for range readerLimit {
		if c := <-r.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(append(errs, r.db.Close())...)
}

func (c *connection) close() error {
	var errs []error
	for _, statement := range c.statements {
		errs = append(errs, statement.Close())
	}
	return errors.Join(append(errs, c.Close())...)
}

func (r *readers) take(ctx context.Context) (*connection, error) {
	var c *connection
	select {
	case c = <-r.free:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c != nil {
		return c, nil
	}
	conn, err := r.db.Conn(ctx)
	if err != nil {
		r.free <- nil
		return nil, err
	}
	return &connection{conn, map[string]*sql.Stmt{}}, nil
}

// give returns a connection. One that failed is closed: an interrupted one is of no more use.
func (r *readers) give(c *connection, failed bool) {
	if failed {
		_ = c.close()
		c = nil
	}
	r.free <- c
}

// Read runs do on what was committed last, as one state.
func (f *File) Read(ctx context.Context, do func(Reader) error) error {
	c, err := f.readers.take(ctx)
	if err != nil {
		return fmt.Errorf("open the read model: %w", err)
	}
	err = c.within(ctx, do)
	f.readers.give(c, err != nil)
	if err != nil {
		return fmt.Errorf("read the read model: %w", err)
	}
	return nil
}

func (c *connection) within(ctx context.Context, do func(Reader) error) error {
	if _, err := c.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	if err := do(Reader{ctx, c}); err != nil {
		return err
	}
	_, err := c.ExecContext(ctx, `COMMIT`)
	return err
}

// Reader reads one state of the file.
type Reader struct {
	ctx context.Context
	c   *connection
}

// Each visits the rows of a query.
func (r Reader) Each(text string, args []any, scan func(*sql.Rows) error) error {
	rows, err := r.query(text, args)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Query runs a statement that is kept prepared, if there are not too many already: callers can ask for any combination of filters.
func (r Reader) query(text string, args []any) (*sql.Rows, error) {
	statement, known := r.c.statements[text]
	if !known && len(r.c.statements) >= statementMax {
		return r.c.QueryContext(r.ctx, text, args...)
	}
	if !known {
		var err error
		if statement, err = r.c.PrepareContext(r.ctx, text); err != nil {
			return nil, err
		}
		r.c.statements[text] = statement
	}
	return statement.QueryContext(r.ctx, args...)
}

// Number returns the number that a query of one row and column answers; 0 if it has none.
func (r Reader) Number(text string, args ...any) (int, error) {
	var n int
	err := r.Each(text, args, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, err
}
