package listdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

// Writer turns changes into rows, some at a time in one transaction with the cursors. After an error it is of no more use.
//
// Where changes change no row, which is so for most of an account's, nothing is written: the cursors in the file stay behind until rows
// change or Save is called. Rows that stand at a cursor stand as well at each later one up to which no row changed.
type Writer struct {
	file       *File
	loading    bool // rows are added only, without counting and searching
	statements map[string]*sql.Stmt
	projects   map[string]*projectRow
	counts     map[countKey]int  // what is yet to be added
	texts      uint64            // that were put into the full-text index
	scattered  int               // commits that have left pieces of the full-text index apart
	unsaved    map[string]Cursor // further than the file says
}

type projectRow struct {
	id, rows int64
	changed  bool
}

type countKey struct {
	project     int64
	list, value string
}

// NewWriter returns a writer of a file. Close it before the file.
func NewWriter(ctx context.Context, f *File) (*Writer, error) {
	w := &Writer{
		file: f, loading: f.loading,
		statements: map[string]*sql.Stmt{}, projects: map[string]*projectRow{}, counts: map[countKey]int{}, unsaved: map[string]Cursor{},
	}
	rows, err := f.writer.QueryContext(ctx, `SELECT project, id, rows FROM projects`)
	if err != nil {
		return nil, fmt.Errorf("read projects: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		p := &projectRow{}
		if err := rows.Scan(&name, &p.id, &p.rows); err != nil {
			return nil, fmt.Errorf("read projects: %w", err)
		}
		w.projects[name] = p
	}
	return w, rows.Err()
}

// Close releases the statements, not the file.
func (w *Writer) Close() error {
	var errs []error
	for _, statement := range w.statements {
		errs = append(errs, statement.Close())
	}
	return errors.Join(errs...)
}

// Commit applies changes, which are in the order of their streams, and moves the cursors, all or nothing.
func (w *Writer) Commit(ctx context.Context, changes []Change, cursors map[string]Cursor) error {
	// A transaction that has begun ends at once: it is short, and to interrupt it would cost the connection.
	ctx = context.WithoutCancel(ctx)
	if err := w.file.execute(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	texts := w.texts
	cursors = merged(w.unsaved, cursors)
	saved, err := w.applyAndSave(ctx, changes, cursors)
	if err != nil {
		return errors.Join(err, w.file.execute(ctx, `ROLLBACK`))
	}
	if w.texts > texts {
		w.scattered++
	}
	if err := w.file.execute(ctx, `COMMIT`); err != nil {
		return err
	}
	if w.unsaved = cursors; saved {
		w.unsaved = map[string]Cursor{}
	}
	return nil
}

func merged(before, after map[string]Cursor) map[string]Cursor {
	all := maps.Clone(before)
	maps.Copy(all, after)
	return all
}

// applyAndSave applies changes and, if they changed a row, writes the cursors.
func (w *Writer) applyAndSave(ctx context.Context, changes []Change, cursors map[string]Cursor) (saved bool, err error) {
	before, err := w.written(ctx)
	if err != nil {
		return false, err
	}
	if err := w.apply(ctx, changes); err != nil {
		return false, err
	}
	after, err := w.written(ctx)
	if err != nil || before == after && !w.loading {
		return false, err
	}
	return true, w.save(ctx, cursors)
}

// written returns how many rows the connection has written so far.
func (w *Writer) written(ctx context.Context) (n int64, err error) {
	err = w.each(ctx, `SELECT total_changes()`, nil, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, err
}

func (w *Writer) save(ctx context.Context, cursors map[string]Cursor) error {
	for bucket, c := range cursors {
		if err := w.run(ctx, `INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)`, bucket, c.Stream, int64(c.Sequence)); err != nil {
			return err
		}
	}
	return nil
}

// Save writes cursors that have moved although no row changed, so that a file opened later is not behind for nothing.
func (w *Writer) Save(ctx context.Context) error {
	if err := w.save(context.WithoutCancel(ctx), w.unsaved); err != nil {
		return err
	}
	w.unsaved = map[string]Cursor{}
	return nil
}

// latest visits changes but those of keys that come again: only what was said of a key last makes its rows.
func latest(changes []Change, visit func(*Change) error) error {
	type entry struct {
		bucket int
		key    string
	}
	last := make(map[entry]uint64, len(changes))
	for i := range changes {
		last[entry{changes[i].Bucket, changes[i].key}] = changes[i].Sequence
	}
	for i := range changes {
		c := &changes[i]
		if last[entry{c.Bucket, c.key}] != c.Sequence {
			continue
		}
		if err := visit(c); err != nil {
			return fmt.Errorf("write %s: %w", c.key, err)
		}
	}
	return nil
}

// scatteredMost is how many commits may go by before pieces of the full-text index are joined although changes wait.
const scatteredMost = 16

// Join joins pieces of the full-text index, a few at a time: for some milliseconds at most.
func (w *Writer) Join(ctx context.Context, idle bool) error {
	if w.scattered == 0 || !idle && w.scattered < scatteredMost {
		return nil
	}
	w.scattered = 0
	return w.run(context.WithoutCancel(ctx), `INSERT INTO search (search, rank) VALUES ('merge', 16)`)
}

func (w *Writer) apply(ctx context.Context, changes []Change) error {
	if err := latest(changes, func(c *Change) error { return w.change(ctx, c) }); err != nil {
		return err
	}
	for name, p := range w.projects {
		if !p.changed {
			continue
		}
		if err := w.run(
			ctx, `INSERT INTO projects VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET rows = excluded.rows`,
			p.id,
			name,
			p.rows,
		); err != nil {
			return err
		}
		p.changed = false
	}
	for key, n := range w.counts {
		const add = `INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT (project, list, value) DO UPDATE SET n = n + excluded.n`
		if err := w.run(ctx, add, key.project, key.list, key.value, n); err != nil {
			return err
		}
	}
	clear(w.counts)
	return nil
}

func (w *Writer) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if statement, ok := w.statements[text]; ok {
		return statement, nil
	}
	statement, err := w.file.writer.PrepareContext(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("%.60s: %w", text, err)
	}
	w.statements[text] = statement
	return statement, nil
}

func (w *Writer) run(ctx context.Context, text string, args ...any) error {
	statement, err := w.statement(ctx, text)
	if err != nil {
		return err
	}
	if _, err := statement.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("%.60s: %w", text, err)
	}
	return nil
}

// Each visits what a statement returns.
func (w *Writer) each(ctx context.Context, text string, args []any, scan func(*sql.Rows) error) error {
	statement, err := w.statement(ctx, text)
	if err != nil {
		return err
	}
	rows, err := statement.QueryContext(ctx, args...)
	if err != nil {
		return fmt.Errorf("%.60s: %w", text, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (w *Writer) count(project int64, list, value string, n int) {
	if w.loading {
		return // counted at the end
	}
	w.counts[countKey{project, list, ""}] += n
	w.counts[countKey{0, list, ""}] += n
	if value != "" {
		w.counts[countKey{project, list, value}] += n
	}
}

func (w *Writer) project(name string) *projectRow {
	p, known := w.projects[name]
	if !known {
		p = &projectRow{id: int64(len(w.projects)) + 1, changed: true}
		w.projects[name] = p
	}
	return p
}

func (w *Writer) change(ctx context.Context, c *Change) error {
	if c.key == "" {
		return nil
	}
	if err := w.mark(ctx, c); err != nil {
		return err
	}
	if c.project == "" {
		return nil
	}
	p := w.project(c.project)
	switch c.Bucket {
	case Accounts:
		return errors.Join(w.unfinished(ctx, c), w.user(ctx, p, c))
	case Sessions:
		return w.session(ctx, p, c)
	default:
		return w.token(ctx, p, c)
	}
}

func (w *Writer) mark(ctx context.Context, c *Change) error {
	bucket := BucketNames()[c.Bucket]
	if !c.shows() {
		return w.run(ctx, `INSERT OR IGNORE INTO markers VALUES (?, ?)`, bucket, c.key)
	}
	if w.loading {
		return nil
	}
	return w.run(ctx, `DELETE FROM markers WHERE bucket = ? AND key = ?`, bucket, c.key)
}

func (w *Writer) unfinished(ctx context.Context, c *Change) error {
	if c.unfinished {
		return w.run(ctx, `INSERT OR REPLACE INTO unfinished VALUES (?, ?, ?)`, c.project, c.id, c.stored)
	}
	if w.loading {
		return nil
	}
	return w.run(ctx, `DELETE FROM unfinished WHERE project = ? AND user = ?`, c.project, c.id)
}

func (w *Writer) user(ctx context.Context, p *projectRow, c *Change) error {
	var id, digest int64
	var status string
	if !w.loading {
		err := w.each(ctx, `SELECT id, digest, status FROM users WHERE project = ? AND user = ?`, []any{p.id, c.id}, func(rows *sql.Rows) error {
			return rows.Scan(&id, &digest, &status)
		})
		if err != nil {
			return err
		}
	}
	var now int64
	if c.user != nil {
		now = c.user.digest()
	}
	if id != 0 && c.user != nil && now == digest {
		return nil
	}
	if id != 0 {
		w.count(p.id, "users", status, -1)
		if err := w.removeUser(ctx, p, c.id, id); err != nil {
			return err
		}
	}
	if c.user == nil {
		return nil
	}
	if id == 0 {
		p.rows++
		p.changed = true
		id = p.id<<RowBits + p.rows
	}
	w.count(p.id, "users", string(c.user.Status), 1)
	return w.addUser(ctx, p, c, id, now)
}

func (w *Writer) removeUser(ctx context.Context, p *projectRow, user string, id int64) error {
	for _, child := range []string{"identifiers", "socials"} {
		err := w.each(
			ctx, `DELETE FROM `+child+` WHERE project = ? AND user = ? RETURNING `+counted[child],
			[]any{p.id, user},
			func(rows *sql.Rows) error {
				var value string
				if err := rows.Scan(&value); err != nil {
					return err
				}
				w.count(p.id, child, value, -1)
				return nil
			},
		)
		if err != nil {
			return err
		}
	}
	return errors.Join(
		w.run(ctx, `DELETE FROM texts WHERE id = ?`, id),
		w.run(ctx, `DELETE FROM search WHERE rowid = ?`, id),
		w.run(ctx, `DELETE FROM users WHERE id = ?`, id),
	)
}

func (w *Writer) addUser(ctx context.Context, p *projectRow, c *Change, id, digest int64) error {
	u := c.user
	err := w.run(ctx, `INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, p.id, c.id, number(c.id), u.name(), u.FullName != nil, u.ExplicitWebauthnID, string(u.Status), u.CreatedMs, u.UpdatedMs, digest)
	if err != nil {
		return err
	}
	for _, i := range u.Identifiers {
		w.count(p.id, "identifiers", string(i.Type), 1)
		err := w.run(
			ctx, `INSERT INTO identifiers VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.id,
			c.id,
			string(i.ID),
			number(string(i.ID)),
			string(i.Type),
			i.Value,
			account.IdentifierKey(i.Type, i.Value),
			string(i.Status),
			i.CreatedMs,
		)
		if err != nil {
			return err
		}
	}
	for _, s := range u.SocialAccounts {
		w.count(p.id, "socials", string(s.Provider), 1)
		err := w.run(ctx, `INSERT INTO socials VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.id, c.id, string(s.ID), number(string(s.ID)), string(s.Provider), s.ForeignID, s.IdentifierValue, s.AvatarURL, s.FullName, s.CreatedMs)
		if err != nil {
			return err
		}
	}
	text, any := u.text()
	if !any {
		return nil
	}
	if err := w.run(ctx, `INSERT INTO texts VALUES (?, ?)`, id, text); err != nil || w.loading {
		return err
	}
	w.texts++
	return w.run(ctx, `INSERT INTO search (rowid, text) VALUES (?, ?)`, id, text)
}

// replace removes the row of a list without rows of its own under it, if there is one, and counts what came of it.
func (w *Writer) replace(ctx context.Context, p *projectRow, list, id string, value *string) error {
	if !w.loading {
		err := w.each(ctx, `DELETE FROM `+list+` WHERE project = ? AND num = ? RETURNING status`, []any{p.id, id}, func(rows *sql.Rows) error {
			var status string
			if err := rows.Scan(&status); err != nil {
				return err
			}
			w.count(p.id, list, countedValue(list, status), -1)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if value != nil {
		w.count(p.id, list, countedValue(list, *value), 1)
	}
	return nil
}

func countedValue(list, status string) string {
	if counted[list] == "" {
		return ""
	}
	return status
}

func (w *Writer) session(ctx context.Context, p *projectRow, c *Change) error {
	s := c.session
	if s == nil {
		return w.replace(ctx, p, "sessions", c.id, nil)
	}
	status := string(s.Status)
	if err := w.replace(ctx, p, "sessions", c.id, &status); err != nil {
		return err
	}
	return w.run(ctx, `INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, sessionRow(p, c, s)...)
}

func sessionRow(p *projectRow, c *Change, s *session.Session) []any {
	return []any{
		p.id, c.id, string(s.User), s.IdentifierValue, string(s.Status), s.CreatedMs, s.UpdatedMs, s.LastActionMs, s.IdleMs, s.ExpiresMs,
		c.stored,
	}
}

func (w *Writer) token(ctx context.Context, p *projectRow, c *Change) error {
	t := c.token
	if t == nil {
		return w.replace(ctx, p, "tokens", c.id, nil)
	}
	status := string(t.Status)
	if err := w.replace(ctx, p, "tokens", c.id, &status); err != nil {
		return err
	}
	return w.run(ctx, `INSERT INTO tokens VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, tokenRow(p, c, t)...)
}

// msPerSecond turns Unix ms into the Unix seconds that callers see of a token's expiry.
const msPerSecond = 1000

func tokenRow(p *projectRow, c *Change, t *connecttoken.Token) []any {
	return []any{p.id, c.id, string(t.Type), t.Identifier, t.DisplayName, string(t.Status), t.CreatedMs, t.ExpiresMs / msPerSecond, c.stored}
}

// Prune removes rows whose entries the bucket has dropped by age.
func (w *Writer) Prune(ctx context.Context, list string, before int64) error {
	ctx = context.WithoutCancel(ctx)
	if err := w.file.execute(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	err := w.each(ctx, `DELETE FROM `+list+` WHERE stored < ? RETURNING project, status`, []any{before}, func(rows *sql.Rows) error {
		var project int64
		var status string
		if err := rows.Scan(&project, &status); err != nil {
			return err
		}
		w.count(project, list, countedValue(list, status), -1)
		return nil
	})
	if err == nil {
		err = w.apply(ctx, nil)
	}
	if err != nil {
		return errors.Join(err, w.file.execute(ctx, `ROLLBACK`))
	}
	return w.file.execute(ctx, `COMMIT`)
}
