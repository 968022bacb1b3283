package sighting

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/event"
)

// Reading is a user's history, with what was seen beside it.
type Reading struct {
	event.Reading
	Seen
}

// Seen is what was read of sets, at one moment.
type Seen struct {
	Sets   []Set // in the order in which they were asked for; an empty one of each that nothing is named for
	Totals *Totals
	Since  Since
	By     Version // of the key that the question's tokens are made with: nothing that another one has named is counted
}

// Since says what cannot be missing: all that happened after these moments, in Unix ms.
type Since struct {
	Logged  int64 // what is in the log
	Unknown int64 // logins with names that are no user's, which are not
}

// Never is since when nothing is missing if that is not known at all.
const Never = math.MaxInt64

// NeverSince says that anything may be missing.
func NeverSince() Since { return Since{Logged: Never, Unknown: Never} }

// Covers reports whether nothing can be missing of a window that ends now.
func (s Since) Covers(of Types, window time.Duration, now time.Time) bool {
	began := now.Add(-window).UnixMilli()
	return began >= s.Logged && (!of.Has(LoginUnknown) || began >= s.Unknown)
}

// Under says the same of what a version of the key has named: before it there was nothing.
func (s Since) Under(v Version) Since {
	return Since{Logged: max(s.Logged, v.SinceMs), Unknown: max(s.Unknown, v.SinceMs)}
}

// Tally says what to count of a whole project, in buckets of time: far more happens there than a set holds.
type Tally struct {
	Of     Types
	Window time.Duration
	Bucket time.Duration
}

// Bucket is a part of time in which so much was seen of a type.
type Bucket struct {
	Type  Type
	Width time.Duration
	Start int64 // Unix ms
}

// The widths of buckets, and how long each is kept: fine ones for an hour, coarse ones for as long as anything is.
const (
	FineWidth   = 10 * time.Second
	FineFor     = time.Hour
	CoarseWidth = 10 * time.Minute
)

// Buckets returns the buckets that something seen of a type at a moment, in Unix ms, is counted in.
func Buckets(of Type, ms int64) [2]Bucket {
	return [...]Bucket{bucketAt(of, FineWidth, ms), bucketAt(of, CoarseWidth, ms)}
}

func bucketAt(of Type, width time.Duration, ms int64) Bucket {
	return Bucket{Type: of, Width: width, Start: ms - ms%width.Milliseconds()}
}

// Over reports whether no tally needs the bucket any more, with a fine bucket to spare for clocks that differ.
func (b Bucket) Over(now time.Time, horizon time.Duration) bool {
	kept := horizon
	if b.Width == FineWidth {
		kept = FineFor
	}
	return b.Start+(b.Width+kept+FineWidth).Milliseconds() < now.UnixMilli()
}

// Totals are what was seen in a project. They are not changed after they were made. Nil has none.
type Totals struct{ fine, coarse totals }

// totals are those of one width.
type totals struct {
	order sync.Once
	all   []total // newest first once they are in order
}

type total struct {
	Bucket
	n int
}

// NewTotals returns the totals of buckets.
func NewTotals(in map[Bucket]int) *Totals {
	t := &Totals{}
	for bucket, n := range in {
		of := t.of(bucket.Width)
		of.all = append(of.all, total{bucket, n})
	}
	return t
}

func (t *Totals) of(width time.Duration) *totals {
	if width == FineWidth {
		return &t.fine
	}
	return &t.coarse
}

// newestFirst puts them in order when it is first asked for: most of what is kept is older than what is counted.
func (t *totals) newestFirst() []total {
	t.order.Do(func() { slices.SortFunc(t.all, func(a, b total) int { return cmp.Compare(b.Start, a.Start) }) })
	return t.all
}

// Count returns how much of what a tally counts happened in its window, which ends now. Of the bucket in which the window begins only as
// much counts as the part of it that lies within.
func (t *Totals) Count(of Tally, now time.Time) int {
	if t == nil {
		return 0
	}
	stored := CoarseWidth
	if of.Window <= FineFor {
		stored = FineWidth
	}
	began, width := now.Add(-of.Window).UnixMilli(), max(of.Bucket.Milliseconds(), stored.Milliseconds())
	width -= width % stored.Milliseconds()
	whole, partly := 0, int64(0)
	all := t.of(stored).newestFirst()
	for i := range all {
		b := &all[i]
		start := b.Start - b.Start%width
		if start+width <= began {
			break // so are all that are older
		}
		switch {
		case !of.Of.Has(b.Type):
		case start >= began:
			whole += b.n
		default:
			partly += int64(b.n) * (start + width - began)
		}
	}
	return whole + int(partly/width)
}
