// Package pages finds the pages of lists: it turns filters and a sort into a statement that reads as few rows as it can, and remembers
// how many rows filters leave. It knows the tables it is told of by name, and is as fresh as the reader it is given. It is pure but for
// that memory.
package pages

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
)

// Column is how a field is found in a table.
type Column struct {
	Use   listing.Use
	Name  string              // of the column; also of the index that begins with it, unless Index says otherwise or there is none
	Value func(*Query) string // an expression instead of the column
	Index string              // name of the index after that of the table; "-" = none
	Few   bool                // an equal value finds few rows, as a rule
	// Read takes a filter's value as the column has it.
	Read func(string) string
	// Equal is the condition that the value is the filter's, where that is not equality of the column.
	Equal   func(q *Query, value string) string
	Keyed   string // the index for Equal
	Ordered string // what sorts by the field; empty = the column, then the list's own order
}

// Table is a list that can be asked for.
type Table struct {
	Name    string
	Bucket  int
	Columns map[string]Column
}

// Uses returns what can be done with each field, as lists are checked against.
func (t Table) Uses() map[string]listing.Use {
	uses := make(map[string]listing.Use, len(t.Columns))
	for name, c := range t.Columns {
		uses[name] = c.Use
	}
	return uses
}

const (
	createdIndex = "created"
	// NoIndex says that no index begins with a column.
	NoIndex = "-"
)

func (c Column) indexName() string {
	if c.Index != "" {
		return c.Index
	}
	return c.Name
}

// Request is a page that is asked for.
type Request struct {
	Project ident.ProjectID
	Asked   listing.Query
	Filters []string  // as the caller wrote them
	Now     time.Time // that statuses go by
}

// Find finds a page of a table, counting its rows with the help of what is remembered of earlier counts.
func (t Table) Find(r listdb.Reader, asked Request, remembered *Totals) (Found, error) {
	id, err := r.Number(`SELECT id FROM projects WHERE project = ?1`, string(asked.Project))
	if err != nil || id == 0 {
		return Found{}, err
	}
	q := &Query{
		table: t, asked: asked.Asked, project: int64(id), name: asked.Project, filters: asked.Filters, totals: remembered,
		Now: asked.Now.UnixMilli(),
	}
	f, err := q.find(r)
	f.Known, f.Project, f.table = true, q.project, t.Name
	return f, err
}

// Query is one page of a table being asked for. Every value is bound; the text is made of names in the program alone.
type Query struct {
	table   Table
	asked   listing.Query
	project int64
	name    ident.ProjectID
	filters []string // as the caller wrote them
	totals  *Totals
	Now     int64 // Unix ms
	args    []any
}

// Bind adds a value to the statement and returns the parameter that stands for it.
func (q *Query) Bind(value any) string {
	q.args = append(q.args, value)
	return "?" + strconv.Itoa(len(q.args))
}

// begin starts the text of another statement.
func (q *Query) begin() { q.args = nil }

// Found is a page: the numbers of its rows in their order, and how many rows there are on all pages.
type Found struct {
	Known   bool // of a project that has rows
	Project int64
	Total   int
	table   string
	rows    []int64
}

// sortMost is up to how many rows are sorted for a page; of more, those of the page are found in the order of the sort.
const sortMost = 5000

func (q *Query) find(r listdb.Reader) (Found, error) {
	total, err := q.total(r)
	if err != nil || total == 0 {
		return Found{}, err
	}
	offset := q.asked.Offset()
	if offset >= total {
		return Found{Total: total}, nil
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
	text += q.order(backwards) + ` LIMIT ` + q.Bind(limit) + ` OFFSET ` + q.Bind(offset)
	f := Found{Total: total, rows: make([]int64, 0, limit)}
	err = r.Each(text, q.args, func(rows *sql.Rows) error {
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
func (q *Query) count(r listdb.Reader) (int, error) {
	q.begin()
	terms := q.asked.Terms
	if len(terms) == 0 {
		return r.Number(`SELECT n FROM counts WHERE project = ?1 AND list = ?2 AND value = ''`, q.project, q.table.Name)
	}
	only := q.table.Columns[terms[0].Field]
	if len(terms) == 1 && terms[0].Op == listing.Equal && only.Name == listdb.Counted(q.table.Name) && only.Value == nil {
		return r.Number(
			`SELECT n FROM counts WHERE project = ?1 AND list = ?2 AND value = ?3 AND value <> ''`,
			q.project,
			q.table.Name,
			terms[0].Text,
		)
	}
	if len(terms) == 1 && only.Use.Kind == listing.Part {
		return q.countTexts(r, terms[0].Text)
	}
	filter, narrow := q.narrowest()
	if !narrow {
		filter = listing.Term{}
	}
	// Counting needs no order, so the index of the filter is the best there is, however many rows it finds.
	text := strings.Replace(q.rowsBy(filter), "SELECT "+q.table.Name+".id", "SELECT count(*)", 1)
	return r.Number(text, q.args...)
}

// narrowest returns the filter that can be expected to leave the fewest rows and has an index.
func (q *Query) narrowest() (listing.Term, bool) {
	rank := func(t listing.Term) int {
		c := q.table.Columns[t.Field]
		switch {
		case c.Use.Kind == listing.Part:
			if utf8.RuneCountInString(t.Text) < trigram || !utf8.ValidString(t.Text) {
				return 4
			}
			return 1
		case c.indexName() == NoIndex:
			return 4
		case t.Op == listing.Equal && c.Few:
			return 0
		case t.Op != listing.Equal || c.Use.Kind == listing.Moment:
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
func (q *Query) rowsBy(filter listing.Term) string {
	c := q.table.Columns[filter.Field]
	if filter.Field != "" && c.Use.Kind == listing.Part {
		low, high := q.span()
		text := `SELECT users.id FROM (SELECT rowid AS id FROM search WHERE search MATCH ` + q.Bind(trigrams(filter.Text)) +
			` AND rowid BETWEEN ` + q.Bind(low) + ` AND ` + q.Bind(high) + `) AS hits CROSS JOIN users ON users.id = hits.id WHERE true`
		return text + q.conditions()
	}
	index := createdIndex
	if filter.Field != "" {
		index = c.indexName()
		if filter.Op == listing.Equal && c.Keyed != "" {
			index = c.Keyed
		}
	}
	return q.rowsIn(index)
}

// rowsInOrder finds rows with the index of the sort.
func (q *Query) rowsInOrder() string {
	if q.asked.Sort == "" {
		return q.rowsIn(createdIndex)
	}
	return q.rowsIn(q.table.Columns[q.asked.Sort].indexName())
}

func (q *Query) rowsIn(index string) string {
	name := q.table.Name
	if index == NoIndex {
		index = createdIndex
	}
	text := `SELECT ` + name + `.id FROM ` + name + ` INDEXED BY ` + name + `_` + index
	return text + ` WHERE ` + name + `.project = ` + q.Bind(q.project) + q.conditions()
}

func (q *Query) conditions() string {
	var b strings.Builder
	for _, term := range q.asked.Terms {
		b.WriteString(` AND ` + q.condition(term))
	}
	return b.String()
}

func (q *Query) condition(term listing.Term) string {
	c := q.table.Columns[term.Field]
	switch c.Use.Kind {
	case listing.Part:
		return q.holdsText(term.Text)
	case listing.Text:
		value := term.Text
		if c.Read != nil {
			value = c.Read(value)
		}
		if term.Op == listing.Equal && c.Equal != nil {
			return c.Equal(q, value)
		}
		return q.expression(c) + map[listing.Op]string{listing.Equal: ` = `, listing.Greater: ` > `, listing.Less: ` < `}[term.Op] + q.Bind(value)
	default:
		low, high := term.Bounds()
		return `(` + q.expression(c) + ` BETWEEN ` + q.Bind(low) + ` AND ` + q.Bind(high) + `)`
	}
}

func (q *Query) expression(c Column) string {
	if c.Value != nil {
		return c.Value(q)
	}
	return q.table.Name + `.` + c.Name
}

func (q *Query) order(backwards bool) string {
	own := []string{q.table.Name + `.created`, q.table.Name + `.num`}
	keys := own
	if q.asked.Sort != "" {
		c := q.table.Columns[q.asked.Sort]
		keys = []string{q.expression(c)}
		if c.Ordered == "" {
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
func (q *Query) span() (low, high int64) {
	return q.project << listdb.RowBits, (q.project+1)<<listdb.RowBits - 1
}

// trigram is the least number of characters that the full-text index can find.
const trigram = 3

// trigrams returns the words of the full-text index that every text with part in it holds: each character of part is in one.
func trigrams(part string) string {
	const most = 32 // words; more would not find fewer
	runes := []rune(listdb.Searchable(part))
	var words []string
	for i := 0; i < len(runes) && len(words) < most; i += trigram {
		i = min(i, len(runes)-trigram)
		words = append(words, `"`+strings.ReplaceAll(string(runes[i:i+trigram]), `"`, `""`)+`"`)
	}
	return strings.Join(words, ` AND `)
}

// holdsText is the condition that the user in the row has a text with part in it.
func (q *Query) holdsText(part string) string {
	if !utf8.ValidString(part) {
		return `false`
	}
	return `EXISTS (SELECT 1 FROM texts WHERE texts.id = users.id AND instr(texts.text, ` + q.Bind(listdb.Searchable(part)) + `) > 0)`
}

// broad is from how many rows on it takes less time to look through all texts than to look at each that the full-text index finds.
const broad = 60_000

// countTexts counts the users that have a text with part in it.
func (q *Query) countTexts(r listdb.Reader, part string) (int, error) {
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
		return r.Number(`SELECT count(*) `+found, args...)
	}
	const hits = `SELECT rowid AS id ` + found + ` LIMIT ?4`
	var looked, hold int
	err := r.Each(`SELECT count(*), ifnull(sum(instr(texts.text, ?5) > 0), 0) FROM (`+hits+`) AS hits CROSS JOIN texts ON texts.id = hits.id`,
		append(args, broad, listdb.Searchable(part)), func(rows *sql.Rows) error { return rows.Scan(&looked, &hold) })
	if err != nil || looked < broad {
		return hold, err
	}
	return q.countAllTexts(r, part)
}

func (q *Query) countAllTexts(r listdb.Reader, part string) (int, error) {
	low, high := q.span()
	return r.Number(`SELECT count(*) FROM texts WHERE id BETWEEN ?1 AND ?2 AND instr(text, ?3) > 0`, low, high, listdb.Searchable(part))
}

// Fetch reads columns of rows by the numbers of the rows, in the order of the page. Scan is given a place for the number first.
func Fetch[T any](r listdb.Reader, page Found, columns string, scan func(rows *sql.Rows, id *int64) (T, error)) ([]T, error) {
	if len(page.rows) == 0 {
		return []T{}, nil
	}
	numbers, err := json.Marshal(page.rows)
	if err != nil {
		return nil, fmt.Errorf("encode row numbers: %w", err)
	}
	text := `SELECT id, ` + columns + ` FROM ` + page.table + ` WHERE id IN (SELECT value FROM json_each(?1))`
	byID := make(map[int64]T, len(page.rows))
	err = r.Each(text, []any{string(numbers)}, func(rows *sql.Rows) error {
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
