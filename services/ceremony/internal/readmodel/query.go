package readmodel

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
)

// column is how a field is found in a table.
type column struct {
	use   listing.Use
	name  string              // of the column; also of the index that begins with it, unless index says otherwise or there is none
	value func(*query) string // an expression instead of the column
	index string              // name of the index after that of the table; "-" = none
	few   bool                // an equal value finds few rows, as a rule
	// read takes a filter's value as the column has it.
	read func(string) string
	// equal is the condition that the value is the filter's, where that is not equality of the column.
	equal   func(q *query, value string) string
	keyed   string // the index for equal
	ordered string // what sorts by the field; empty = the column, then the list's own order
}

// table is a list that can be asked for.
type table struct {
	name    string
	bucket  int
	columns map[string]column
}

func (t table) uses() map[string]listing.Use {
	uses := make(map[string]listing.Use, len(t.columns))
	for name, c := range t.columns {
		uses[name] = c.use
	}
	return uses
}

const (
	createdIndex = "created"
	noIndex      = "-"
)

func (c column) indexName() string {
	if c.index != "" {
		return c.index
	}
	return c.name
}

// query is one page of a table being asked for. Every value is bound; the text is made of the names in this package alone.
type query struct {
	table   table
	asked   listing.Query
	project int64
	name    ident.ProjectID
	filters []string // as the caller wrote them
	totals  *totals
	now     int64 // Unix ms
	args    []any
}

func (q *query) bind(value any) string {
	q.args = append(q.args, value)
	return "?" + strconv.Itoa(len(q.args))
}

// begin starts the text of another statement.
func (q *query) begin() { q.args = nil }

// found is a page: the numbers of its rows in their order, and how many rows there are on all pages.
type found struct {
	rows    []int64
	total   int
	project int64
}

// sortMost is up to how many rows are sorted for a page; of more, those of the page are found in the order of the sort.
const sortMost = 5000

func (q *query) find(r reader) (found, error) {
	total, err := q.total(r)
	if err != nil || total == 0 {
		return found{}, err
	}
	offset := q.asked.Offset()
	if offset >= total {
		return found{total: total}, nil
	}
	limit := min(q.asked.Size, total-offset)
	// From the end it may be nearer.
	backwards := offset > total/2
	if backwards {
		offset = total - offset - limit
	}
	q.begin()
	var text string
	filter, narrow := q.narrowest()
	if narrow && total <= sortMost {
		text = q.rowsBy(filter)
	} else {
		text = q.rowsInOrder()
	}
	text += q.order(backwards) + ` LIMIT ` + q.bind(limit) + ` OFFSET ` + q.bind(offset)
	f := found{total: total, rows: make([]int64, 0, limit)}
	err = r.each(text, q.args, func(rows *sql.Rows) error {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return err
		}
		f.rows = append(f.rows, id)
		return nil
	})
	if backwards {
		slices.Reverse(f.rows)
	}
	return f, err
}

// count counts the rows that the filters leave: from the counts that are kept, from the texts, or with the narrowest index.
func (q *query) count(r reader) (int, error) {
	q.begin()
	terms := q.asked.Terms
	if len(terms) == 0 {
		return r.number(`SELECT n FROM counts WHERE project = ?1 AND list = ?2 AND value = ''`, q.project, q.table.name)
	}
	only := q.table.columns[terms[0].Field]
	if len(terms) == 1 && terms[0].Op == listing.Equal && only.name == counted[q.table.name] && only.value == nil {
		return r.number(`SELECT n FROM counts WHERE project = ?1 AND list = ?2 AND value = ?3 AND value <> ''`, q.project, q.table.name, terms[0].Text)
	}
	if len(terms) == 1 && only.use.Kind == listing.Part {
		return q.countTexts(r, terms[0].Text)
	}
	filter, narrow := q.narrowest()
	if !narrow {
		filter = listing.Term{}
	}
	// Counting needs no order, so the index of the filter is the best there is, however many rows it finds.
	text := strings.Replace(q.rowsBy(filter), "SELECT "+q.table.name+".id", "SELECT count(*)", 1)
	return r.number(text, q.args...)
}

// narrowest returns the filter that can be expected to leave the fewest rows and has an index.
func (q *query) narrowest() (listing.Term, bool) {
	rank := func(t listing.Term) int {
		c := q.table.columns[t.Field]
		switch {
		case c.use.Kind == listing.Part:
			if utf8.RuneCountInString(t.Text) < trigram || !utf8.ValidString(t.Text) {
				return 4
			}
			return 1
		case c.indexName() == noIndex:
			return 4
		case t.Op == listing.Equal && c.few:
			return 0
		case t.Op != listing.Equal || c.use.Kind == listing.Moment:
			return 2
		default:
			return 3
		}
	}
	if len(q.asked.Terms) == 0 {
		return listing.Term{}, false
	}
	best := slices.MinFunc(q.asked.Terms, func(a, b listing.Term) int { return rank(a) - rank(b) })
	return best, rank(best) < 4
}

// rowsBy finds rows with the index of a filter; with the zero Term, with that of the list's own order.
func (q *query) rowsBy(filter listing.Term) string {
	c := q.table.columns[filter.Field]
	if filter.Field != "" && c.use.Kind == listing.Part {
		low, high := q.span()
		text := `SELECT users.id FROM (SELECT rowid AS id FROM search WHERE search MATCH ` + q.bind(trigrams(filter.Text)) +
			` AND rowid BETWEEN ` + q.bind(low) + ` AND ` + q.bind(high) + `) AS hits CROSS JOIN users ON users.id = hits.id WHERE true`
		return text + q.conditions()
	}
	index := createdIndex
	if filter.Field != "" {
		index = c.indexName()
		if filter.Op == listing.Equal && c.keyed != "" {
			index = c.keyed
		}
	}
	return q.rowsIn(index)
}

// rowsInOrder finds rows with the index of the sort.
func (q *query) rowsInOrder() string {
	if q.asked.Sort == "" {
		return q.rowsIn(createdIndex)
	}
	return q.rowsIn(q.table.columns[q.asked.Sort].indexName())
}

func (q *query) rowsIn(index string) string {
	name := q.table.name
	if index == noIndex {
		index = createdIndex
	}
	return `SELECT ` + name + `.id FROM ` + name + ` INDEXED BY ` + name + `_` + index + ` WHERE ` + name + `.project = ` + q.bind(q.project) + q.conditions()
}

func (q *query) conditions() string {
	var b strings.Builder
	for _, term := range q.asked.Terms {
		b.WriteString(` AND ` + q.condition(term))
	}
	return b.String()
}

func (q *query) condition(term listing.Term) string {
	c := q.table.columns[term.Field]
	switch c.use.Kind {
	case listing.Part:
		return q.holdsText(term.Text)
	case listing.Text:
		value := term.Text
		if c.read != nil {
			value = c.read(value)
		}
		if term.Op == listing.Equal && c.equal != nil {
			return c.equal(q, value)
		}
		return q.expression(c) + map[listing.Op]string{listing.Equal: ` = `, listing.Greater: ` > `, listing.Less: ` < `}[term.Op] + q.bind(value)
	default:
		low, high := term.Bounds()
		return `(` + q.expression(c) + ` BETWEEN ` + q.bind(low) + ` AND ` + q.bind(high) + `)`
	}
}

func (q *query) expression(c column) string {
	if c.value != nil {
		return c.value(q)
	}
	return q.table.name + `.` + c.name
}

func (q *query) order(backwards bool) string {
	own := []string{q.table.name + `.created`, q.table.name + `.num`}
	keys := own
	if q.asked.Sort != "" {
		c := q.table.columns[q.asked.Sort]
		keys = []string{q.expression(c)}
		if c.ordered == "" {
			keys = append(keys, own...)
		}
	}
	direction := ` ASC`
	if q.asked.Descending != backwards {
		direction = ` DESC`
	}
	return ` ORDER BY ` + strings.Join(keys, direction+`, `) + direction
}

// span returns the numbers that rows of users of the project can have.
func (q *query) span() (low, high int64) {
	return q.project << rowBits, (q.project+1)<<rowBits - 1
}

// trigram is the least number of characters that the full-text index can find.
const trigram = 3

// trigrams returns the words of the full-text index that every text with part in it holds: each character of part is in one.
func trigrams(part string) string {
	const most = 32 // words; more would not find fewer
	runes := []rune(searchable(part))
	var words []string
	for i := 0; i < len(runes) && len(words) < most; i += trigram {
		i = min(i, len(runes)-trigram)
		words = append(words, `"`+strings.ReplaceAll(string(runes[i:i+trigram]), `"`, `""`)+`"`)
	}
	return strings.Join(words, ` AND `)
}

// holdsText is the condition that the user in the row has a text with part in it.
func (q *query) holdsText(part string) string {
	if !utf8.ValidString(part) {
		return `false`
	}
	return `EXISTS (SELECT 1 FROM texts WHERE texts.id = users.id AND instr(texts.text, ` + q.bind(searchable(part)) + `) > 0)`
}

// broad is from how many rows on it takes less time to look through all texts than to look at each that the full-text index finds.
const broad = 60_000

// countTexts counts the users that have a text with part in it.
func (q *query) countTexts(r reader, part string) (int, error) {
	if !utf8.ValidString(part) {
		return 0, nil
	}
	runes := utf8.RuneCountInString(part)
	if runes < trigram {
		return q.countAllTexts(r, part)
	}
	low, high := q.span()
	const found = `FROM search WHERE search MATCH ?1 AND rowid BETWEEN ?2 AND ?3`
	args := []any{trigrams(part), low, high}
	if runes == trigram {
		return r.number(`SELECT count(*) `+found, args...)
	}
	const hits = `SELECT rowid AS id ` + found + ` LIMIT ?4`
	var looked, hold int
	err := r.each(`SELECT count(*), ifnull(sum(instr(texts.text, ?5) > 0), 0) FROM (`+hits+`) AS hits CROSS JOIN texts ON texts.id = hits.id`,
		append(args, broad, searchable(part)), func(rows *sql.Rows) error { return rows.Scan(&looked, &hold) })
	if err != nil || looked < broad {
		return hold, err
	}
	return q.countAllTexts(r, part)
}

func (q *query) countAllTexts(r reader, part string) (int, error) {
	low, high := q.span()
	return r.number(`SELECT count(*) FROM texts WHERE id BETWEEN ?1 AND ?2 AND instr(text, ?3) > 0`, low, high, searchable(part))
}

// page reads what a list asks for: it checks the parameters, waits for the rows, and finds those of the page. fetch reads them in the same state of the file.
func (s *Store) page(ctx context.Context, t table, project ident.ProjectID, now time.Time, list service.List, fetch func(reader, found) error) (listing.Query, int, error) {
	asked, err := listing.Parse(list, t.uses(), "")
	if err != nil {
		return listing.Query{}, 0, err
	}
	if err := s.await(ctx, t.bucket); err != nil {
		return listing.Query{}, 0, err
	}
	var total int
	err = s.read(ctx, func(r reader) error {
		id, err := r.number(`SELECT id FROM projects WHERE project = ?1`, string(project))
		if err != nil || id == 0 {
			return err
		}
		q := &query{table: t, asked: asked, project: int64(id), name: project, filters: list.Filter, totals: s.totals, now: now.UnixMilli()}
		page, err := q.find(r)
		if err != nil {
			return err
		}
		total = page.total
		page.project = q.project
		return fetch(r, page)
	})
	if err != nil {
		return listing.Query{}, 0, s.unreadable(ctx, err)
	}
	return asked, total, nil
}

// unreadable returns the fault to answer when the rows could not be read: the file may be made anew, or the caller may have no time left.
func (s *Store) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, errAway) || isDamage(err) {
		s.metrics.timeouts.Inc()
		return fault.Unavailable(retrySoon, "the list could not be read").Because(err)
	}
	return fault.Internal(err)
}

// fetch reads rows by their numbers, in the order of the page. text has one parameter, a JSON array, and returns the number of a row first.
func fetch[T any](r reader, page found, text string, scan func(rows *sql.Rows, id *int64) (T, error)) ([]T, error) {
	if len(page.rows) == 0 {
		return []T{}, nil
	}
	numbers, err := json.Marshal(page.rows)
	if err != nil {
		return nil, fmt.Errorf("encode row numbers: %w", err)
	}
	byID := make(map[int64]T, len(page.rows))
	err = r.each(text, []any{string(numbers)}, func(rows *sql.Rows) error {
		var id int64
		item, err := scan(rows, &id)
		byID[id] = item
		return err
	})
	if err != nil {
		return nil, err
	}
	items := make([]T, len(page.rows))
	for i, id := range page.rows {
		items[i] = byID[id]
	}
	return items, nil
}

// Unfinished returns accounts with work left over (events that are not in the log yet, or a deletion under way) that were stored before olderThan, the oldest first, at most limit.
// It does not wait for what was stored a moment ago; while the rows are made anew it answers 503.
func (s *Store) Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]account.Ref, error) {
	refs := []account.Ref{}
	err := s.read(ctx, func(r reader) error {
		const text = `SELECT project, user FROM unfinished WHERE stored < ?1 ORDER BY stored, project, user LIMIT ?2`
		return r.each(text, []any{olderThan.UnixMilli(), limit}, func(rows *sql.Rows) error {
			var ref account.Ref
			if err := rows.Scan(&ref.Project, &ref.User); err != nil {
				return err
			}
			refs = append(refs, ref)
			return nil
		})
	})
	if err != nil {
		return nil, s.unreadable(ctx, err)
	}
	return refs, nil
}
