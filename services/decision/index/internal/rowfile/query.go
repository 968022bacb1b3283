package rowfile

import (
	"context"
	"database/sql"
	"maps"
	"math"
	"slices"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/index/internal/positions"
)

// Term is one thing that a decision is to have.
type Term struct {
	Of      Dimension
	Word    string
	Project string // of User and Process: whose they are; empty = of any project that there is
}

// Query asks for decisions. All terms must hold.
type Query struct {
	Terms       []Term
	IDs         []string // of which it must be each; a decision is found by when its ID says that it was made
	From, Until int64    // when they were decided, in Unix ms, both included
	After       uint64   // only those whose records come after this position
	Oldest      bool     // the oldest first
	Offset      int
	Most        int
}

// Any is a query without bounds.
func Any() Query { return Query{From: math.MinInt64, Until: math.MaxInt64} }

// Page is what was asked for.
type Page struct {
	Rows  []Row
	Total int
	Coverage
}

// Coverage says what the index has of the decisions of the time that was asked for.
type Coverage struct {
	Indexed  int64  // before those that were taken out again
	Omitted  int64  // for the rate
	Unread   int64  // whose records could not be read
	Oldest   int64  // of the whole index, Unix ms; 0 = it has none
	Pending  uint64 // records of the stream that are yet to be taken up
	Position uint64 // up to which the stream was taken up
}

// Find answers a query.
func (f *File) Find(ctx context.Context, q Query) (Page, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.readers == nil {
		return Page{}, ErrBuilding
	}
	q, possible := q.narrowed()
	var page Page
	page.Pending, page.Position = f.pending, f.state.Positions[Decisions].Sequence
	numbers := f.within(q, &page.Coverage)
	if !possible {
		return page, nil
	}
	tests := make([]map[uint64]positions.Set, len(q.Terms))
	for i, term := range q.Terms {
		var err error
		if tests[i], err = f.having(ctx, term); err != nil {
			return Page{}, err
		}
	}
	if q.Oldest {
		slices.Sort(numbers)
	} else {
		slices.SortFunc(numbers, func(a, b uint64) int { return int(int64(b) - int64(a)) })
	}
	var sequences []int64
	for _, number := range numbers {
		found, total, err := f.select1(ctx, number, q, tests, page.Total)
		if err != nil {
			return Page{}, err
		}
		page.Total += total
		sequences = append(sequences, found...)
	}
	var err error
	page.Rows, err = f.fetch(ctx, sequences)
	if len(q.IDs) > 0 {
		page.Rows = slices.DeleteFunc(page.Rows, func(r Row) bool { return r.ID != q.IDs[0] })
		page.Total = len(page.Rows)
	}
	return page, err
}

// narrowed returns a query for a decision with the time that its ID tells, and whether there can be an answer.
func (q Query) narrowed() (Query, bool) {
	if len(q.IDs) == 0 {
		return q, true
	}
	made, known := ident.DecisionID(q.IDs[0]).Time()
	if ms := made.UnixMilli(); known {
		q.From, q.Until, q.Offset, q.Most = max(q.From, ms), min(q.Until, ms), 0, math.MaxInt32
	}
	return q, known && len(slices.Compact(slices.Clone(q.IDs))) == 1
}

// within returns the segments that may have what was decided in the time of a query, and counts what they cover.
func (f *File) within(q Query, c *Coverage) []uint64 {
	var numbers []uint64
	for number, s := range f.segments {
		if s.rows > 0 && (c.Oldest == 0 || s.least < c.Oldest) {
			c.Oldest = s.least
		}
		if s.rows > 0 && (s.most < q.From || s.least > q.Until) || number < q.After/positions.Span {
			continue
		}
		c.Indexed, c.Omitted, c.Unread = c.Indexed+s.rows, c.Omitted+s.omitted, c.Unread+s.unread
		if s.rows > 0 {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// having returns the places that have what a term asks for, by segment.
func (f *File) having(ctx context.Context, t Term) (map[uint64]positions.Set, error) {
	if t.Of.keyed() {
		return f.keyedOfAny(ctx, t)
	}
	word, known := f.words.numbers[t.Word]
	found := map[uint64]positions.Set{}
	if !known {
		return found, nil
	}
	for number, s := range f.segments {
		if s.open != nil {
			if set := s.open.sets[posting{t.Of, word}]; set != nil {
				found[number] = *set
			}
		}
	}
	const text = `SELECT segment, places FROM postings WHERE dimension = ? AND word = ?`
	return found, collect(ctx, f.readers, text, []any{t.Of, word}, found, positions.Decode)
}

// collect reads a set of each segment.
func collect(
	ctx context.Context, q querier, text string, args []any, into map[uint64]positions.Set, read func([]byte) (positions.Set, error),
) error {
	return each(ctx, q, text, args, func(rows *sql.Rows) error {
		var number int64
		var raw sql.RawBytes
		if err := rows.Scan(&number, &raw); err != nil {
			return err
		}
		set, err := read(raw)
		if err == nil && set.Len() > 0 {
			into[uint64(number)] = set
		}
		return err
	})
}

// keyedOfAny returns the places of a user or a process, by segment: of one project, or of each that there is.
func (f *File) keyedOfAny(ctx context.Context, t Term) (map[uint64]positions.Set, error) {
	projects := []string{t.Project}
	if t.Project == "" {
		var err error
		if projects, err = f.projects(ctx); err != nil {
			return nil, err
		}
	}
	found := map[uint64]positions.Set{}
	for _, project := range projects {
		of, err := f.keyed(ctx, f.readers, t.Of, keyOf(t.Of, project, t.Word))
		if err != nil {
			return nil, err
		}
		for number, set := range of {
			have := found[number]
			for place := range set.Ascending() {
				have.Add(place)
			}
			found[number] = have
		}
	}
	return found, nil
}

// projects are those of which there is a decision.
func (f *File) projects(ctx context.Context) ([]string, error) {
	found := map[uint32]bool{}
	for _, s := range f.segments {
		if s.open == nil {
			continue
		}
		for at := range s.open.sets {
			if at.of == Project {
				found[at.word] = true
			}
		}
	}
	const text = `SELECT DISTINCT word FROM postings WHERE dimension = ?`
	err := each(ctx, f.readers, text, []any{Project}, func(rows *sql.Rows) error {
		var word uint32
		err := rows.Scan(&word)
		found[word] = true
		return err
	})
	var names []string
	for word := range maps.Keys(found) {
		if name, known := f.words.word(uint64(word)); known {
			names = append(names, name)
		}
	}
	return names, err
}

// keyed returns the places of a key by segment.
func (f *File) keyed(ctx context.Context, q querier, of Dimension, key uint64) (map[uint64]positions.Set, error) {
	found := map[uint64]positions.Set{}
	for number, s := range f.segments {
		if s.open != nil {
			if set := s.open.keyed(of, key); set.Len() > 0 {
				found[number] = set
			}
		}
	}
	const text = `SELECT k.segment, k.entries FROM segments s CROSS JOIN keys k ON k.segment = s.segment AND k.dimension = ? AND k.bucket = ?`
	return found, collect(ctx, q, text, []any{of, bucketOf(key)}, found, func(raw []byte) (positions.Set, error) { return placesIn(raw, key) })
}

// select1 returns how many of a segment satisfy a query, and those of them that are on its page. before is how many there were before.
func (f *File) select1(
	ctx context.Context, number uint64, q Query, tests []map[uint64]positions.Set, before int,
) (sequences []int64, total int, err error) {
	s := f.segments[number]
	whole := s.least >= q.From && s.most <= q.Until && number > q.After/positions.Span
	rows := int(s.rows) - s.gone.Len()
	if whole && len(tests) == 0 && (before+rows <= q.Offset || before >= q.Offset+q.Most) {
		return nil, rows, nil // nothing of it is on the page
	}
	set, err := f.satisfying(ctx, number, tests)
	if err != nil || set.Len() == 0 {
		return nil, 0, err
	}
	if s.least < q.From || s.most > q.Until {
		in, err := timed(ctx, f.readers, number, q.From, q.Until)
		if err != nil {
			return nil, 0, err
		}
		set = set.And(&in)
	}
	first, _ := bounds(number)
	order := set.Descending()
	if q.Oldest {
		order = set.Ascending()
	}
	for place := range order {
		sequence := first + int64(place)
		if q.After > 0 && uint64(sequence) <= q.After {
			continue
		}
		if at := before + total; at >= q.Offset && at < q.Offset+q.Most {
			sequences = append(sequences, sequence)
		} else if at >= q.Offset+q.Most && q.After == 0 {
			return sequences, set.Len(), nil
		}
		total++
	}
	return sequences, total, nil
}

// satisfying returns the places of a segment that pass all tests.
func (f *File) satisfying(ctx context.Context, number uint64, tests []map[uint64]positions.Set) (set positions.Set, err error) {
	s := f.segments[number]
	if len(tests) == 0 {
		if s.open != nil {
			set = *s.open.sets[posting{all, 0}]
		} else {
			found := map[uint64]positions.Set{}
			const text = `SELECT segment, places FROM postings WHERE segment = ? AND dimension = ? AND word = 0`
			if err := collect(ctx, f.readers, text, []any{int64(number), all}, found, positions.Decode); err != nil {
				return set, err
			}
			set = found[number]
		}
	}
	for i, test := range tests {
		passes := test[number]
		if i == 0 {
			set = passes
		} else {
			set = set.And(&passes)
		}
	}
	return set.Without(&s.gone), nil
}

// fetch reads rows in the order of their sequences here.
func (f *File) fetch(ctx context.Context, sequences []int64) ([]Row, error) {
	rows := make([]Row, 0, len(sequences))
	for _, sequence := range sequences {
		err := each(ctx, f.readers, `SELECT seq, ms, body FROM rows WHERE seq = ?`, []any{sequence}, func(found *sql.Rows) error {
			r, err := f.scan(found)
			rows = append(rows, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}
