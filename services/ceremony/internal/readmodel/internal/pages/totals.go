package pages

import (
	"slices"
	"strings"
	"sync"

	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
)

// Totals remembers how many rows filters left, for those who turn pages: it holds until the bucket changes.
type Totals struct {
	mu    sync.Mutex
	known map[string]total
}

type total struct {
	sequence uint64 // of the bucket's stream, up to which the rows were counted
	rows     int
}

const (
	totalsMax = 1000
	keyMax    = 1000 // bytes; what is asked for with more is counted each time
)

// NewTotals returns totals that remember nothing yet.
func NewTotals() *Totals { return &Totals{known: map[string]total{}} }

func (t *Totals) get(key string, sequence uint64) (int, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.known[key]
	return found.rows, ok && found.sequence == sequence
}

func (t *Totals) put(key string, sequence uint64, rows int) {
	if len(key) > keyMax {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= totalsMax {
		clear(t.known)
	}
	t.known[key] = total{sequence, rows}
}

// Forget forgets all: rows have changed although the bucket has not.
func (t *Totals) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
}

// lasting reports whether the number of rows changes with the bucket only, not with time.
func (q *Query) lasting() bool {
	return !slices.ContainsFunc(q.asked.Terms, func(t listing.Term) bool { return q.table.Columns[t.Field].Value != nil })
}

// total is count, remembered.
func (q *Query) total(r listdb.Reader) (int, error) {
	if len(q.asked.Terms) == 0 || !q.lasting() {
		return q.count(r)
	}
	sequence, err := r.Number(`SELECT sequence FROM cursors WHERE bucket = ?1`, listdb.BucketNames()[q.table.Bucket])
	if err != nil {
		return 0, err
	}
	key := strings.Join(append([]string{q.table.Name, string(q.name)}, q.filters...), "\x00")
	if rows, ok := q.totals.get(key, uint64(sequence)); ok {
		return rows, nil
	}
	rows, err := q.count(r)
	if err == nil {
		q.totals.put(key, uint64(sequence), rows)
	}
	return rows, err
}
