package rowfile

import (
	"context"
	"database/sql"

	"github.com/keyward/keyward/services/decision/index/internal/positions"
)

// Cell is how many decisions have a word, in a part of the time.
type Cell struct {
	Word  string
	Start int64 // of the part, in Unix ms; 0 = it is of the whole time
	Count int
}

// Counts are how many decisions have each word of a dimension.
type Counts struct {
	Cells []Cell // in no order
	Total int    // of all that satisfy the query, whether they have such a word or not
	Coverage
}

// cellOf is where a decision is counted.
type cellOf struct {
	word  uint32
	start int64
}

// Count counts what satisfies a query by a dimension, and by parts of so many ms if span is not 0. Of a query it knows terms and times.
func (f *File) Count(ctx context.Context, q Query, by Dimension, span int64) (Counts, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.readers == nil {
		return Counts{}, ErrBuilding
	}
	var told Counts
	told.Pending, told.Position = f.pending, f.state.Positions[Decisions].Sequence
	numbers := f.within(q, &told.Coverage)
	tests := make([]map[uint64]positions.Set, len(q.Terms))
	for i, term := range q.Terms {
		var err error
		if tests[i], err = f.having(ctx, term); err != nil {
			return Counts{}, err
		}
	}
	cells := map[cellOf]int{}
	for _, number := range numbers {
		set, err := f.satisfying(ctx, number, tests)
		if err == nil && set.Len() > 0 {
			err = f.count(ctx, number, set, q, by, span, cells, &told.Total)
		}
		if err != nil {
			return Counts{}, err
		}
	}
	for at, n := range cells {
		if name, known := f.words.word(uint64(at.word)); known {
			told.Cells = append(told.Cells, Cell{Word: name, Start: at.start, Count: n})
		}
	}
	return told, nil
}

// count counts a set of places of a segment. Their times are only read where they lie in several parts, or some without the query's.
func (f *File) count(
	ctx context.Context, number uint64, set positions.Set, q Query, by Dimension, span int64, cells map[cellOf]int, total *int,
) error {
	s := f.segments[number]
	start := func(ms int64) int64 {
		if span == 0 {
			return 0
		}
		return ms - ms%span
	}
	sets := map[int64]positions.Set{start(s.least): set}
	if s.least < q.From || s.most > q.Until || start(s.least) != start(s.most) {
		clear(sets)
		first, last := bounds(number)
		const text = `SELECT seq, ms FROM rows WHERE seq BETWEEN ? AND ? AND ms BETWEEN ? AND ?`
		err := each(ctx, f.readers, text, []any{first, last, q.From, q.Until}, func(rows *sql.Rows) error {
			var seq, ms int64
			err := rows.Scan(&seq, &ms)
			if place := uint16(seq % positions.Span); set.Has(place) {
				part := sets[start(ms)]
				part.Add(place)
				sets[start(ms)] = part
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	words, err := f.wordsIn(ctx, number, by)
	for at, part := range sets {
		*total += part.Len()
		for word, has := range words {
			if n := part.And(&has); n.Len() > 0 {
				cells[cellOf{word, at}] += n.Len()
			}
		}
	}
	return err
}

// wordsIn returns the places of each word of a dimension in a segment.
func (f *File) wordsIn(ctx context.Context, number uint64, by Dimension) (map[uint32]positions.Set, error) {
	words := map[uint32]positions.Set{}
	if s := f.segments[number]; s.open != nil {
		for at, set := range s.open.sets {
			if at.of == by {
				words[at.word] = *set
			}
		}
		return words, nil
	}
	found := map[uint64]positions.Set{}
	const text = `SELECT word, places FROM postings WHERE segment = ? AND dimension = ?`
	err := collect(ctx, f.readers, text, []any{int64(number), by}, found, positions.Decode)
	for word, set := range found {
		words[uint32(word)] = set
	}
	return words, err
}
