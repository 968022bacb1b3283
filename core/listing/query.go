package listing

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/fault"
)

// The wire's page size if none is asked for, and the largest.
const (
	DefaultPageSize = 10
	MaxPageSize     = 1000
	maxPage         = 1_000_000_000
)

// Op is a filter's comparison of an item's value with its own.
type Op string

// The comparisons.
const (
	Equal   Op = "eq"
	Greater Op = "gt"
	Less    Op = "lt"
)

// holds says whether a comparison of the item's value with the filter's, as cmp.Compare gives it, satisfies o.
func (o Op) holds(comparison int) bool {
	switch o {
	case Greater:
		return comparison > 0
	case Less:
		return comparison < 0
	default:
		return comparison == 0
	}
}

// Kind is what the values of a field are, and so how a filter's value is read.
type Kind int

// The kinds of values.
const (
	Text  Kind = iota // compared byte by byte
	Whole             // whole numbers of 64 bits
	Truth             // true or false; false comes first
	// Moment is Unix ms. A filter's value is the wire's yyyy-MM-dd'T'HH:mm:ss in UTC, RFC 3339, a date, or Unix ms; a time without a fraction
	// stands for its whole second, as that is all a list shows, and a date for its whole day in UTC.
	Moment
	Part // texts to be searched, with eq only, for a part of any of them, letter case aside; not to be sorted by
)

// Use is what may be done with a field.
type Use struct {
	Kind     Kind
	NoSort   bool
	NoFilter bool
}

func (u Use) sorts() bool { return !u.NoSort && u.Kind != Part }

// Term is one filter, read.
type Term struct {
	Field  string
	Op     Op
	Text   string // of Text; of Part in lower case, as strings.ToLower has it
	Number int64  // of Whole and Moment; of Truth 0 or 1
	Unit   int64  // of Moment: how many ms Number stands for, those of its second or day; otherwise 1
}

// Bounds returns the smallest and the largest number that satisfy the term; none does if the first is above the second.
func (t Term) Bounds() (lowest, highest int64) {
	first := floor(t.Number, t.Unit)
	last := first + t.Unit - 1
	switch {
	case t.Op == Equal:
		return first, last
	case t.Op == Less && first == math.MinInt64, t.Op == Greater && last == math.MaxInt64:
		return 1, 0
	case t.Op == Less:
		return math.MinInt64, first - 1
	default:
		return last + 1, math.MaxInt64
	}
}

func (t Term) holdsText(value string) bool { return t.Op.holds(cmp.Compare(value, t.Text)) }

func (t Term) holdsNumber(value int64) bool {
	lowest, highest := t.Bounds()
	return lowest <= value && value <= highest
}

// Query is a request for a page, read and checked.
type Query struct {
	Terms      []Term // all must hold
	Sort       string // name of a field; empty = the list's own order
	Descending bool
	Page       int // from 1
	Size       int
}

// Offset returns how many items come before the page.
func (q Query) Offset() int { return (q.Page - 1) * q.Size }

// List asks for one page. The zero value asks for the first, in the list's own order.
type List struct {
	Sort     string   `json:"sort,omitempty"`   // field:asc or field:desc; empty = the list's own order
	Filter   []string `json:"filter,omitempty"` // field:op:value
	Page     int      `json:"page"`             // from 1
	PageSize int      `json:"pageSize"`
}

// Paging says where a page is.
type Paging struct {
	Page, TotalItems, TotalPages int32
}

// Paging tells the caller where the page is among total items.
func (q Query) Paging(total int) Paging {
	return Paging{Page: int32(q.Page), TotalPages: int32((total + q.Size - 1) / q.Size), TotalItems: int32(total)}
}

// Parse reads what list asks for. defaultSort has the form of list.Sort and is taken if list asks for none; if both are empty, the list's
// own order holds.
func Parse(list List, fields map[string]Use, defaultSort string) (Query, error) {
	q := Query{Page: cmp.Or(list.Page, 1), Size: cmp.Or(list.PageSize, DefaultPageSize)}
	for _, filter := range list.Filter {
		term, err := parseFilter(filter, fields)
		if err != nil {
			return Query{}, err
		}
		q.Terms = append(q.Terms, term)
	}
	if sort := cmp.Or(list.Sort, defaultSort); sort != "" {
		var err error
		if q.Sort, q.Descending, err = parseSort(sort, fields); err != nil {
			return Query{}, err
		}
	}
	if q.Page < 1 || q.Page > maxPage {
		return Query{}, fault.Field("page", "must be from 1 to %d", maxPage)
	}
	if q.Size < 1 || q.Size > MaxPageSize {
		return Query{}, fault.Field("pageSize", "must be from 1 to %d", MaxPageSize)
	}
	return q, nil
}

func parseSort(sort string, fields map[string]Use) (name string, descending bool, err error) {
	name, direction, found := strings.Cut(sort, ":")
	if !found || direction != "asc" && direction != "desc" {
		return "", false, fault.Field("sort", "must be of the form field:asc or field:desc")
	}
	if use, known := fields[name]; !known || !use.sorts() {
		return "", false, fault.Field(name, "not sortable by this column")
	}
	return name, direction == "desc", nil
}

// parseFilter reads field:op:value. A value may contain colons: only the first two separate.
func parseFilter(filter string, fields map[string]Use) (Term, error) {
	parts := strings.SplitN(filter, ":", 3)
	if len(parts) != 3 {
		return Term{}, fault.Field("filter[]", "must be of the form field:op:value")
	}
	term, value := Term{Field: parts[0], Op: Op(parts[1]), Unit: 1}, parts[2]
	use, known := fields[term.Field]
	if !known || use.NoFilter {
		return Term{}, fault.Field("filter[]", "must filter by one of %s", names(fields, func(u Use) bool { return !u.NoFilter }))
	}
	if term.Op != Equal && term.Op != Greater && term.Op != Less {
		return Term{}, fault.Field("filter[]", "op must be one of eq, gt, lt")
	}
	if wrong := term.read(use.Kind, value); wrong != "" {
		return Term{}, fault.Field("filter[]", "%s must be %s", term.Field, wrong)
	}
	return term, nil
}

// read takes the value as one of kind, or says what it must be.
func (t *Term) read(kind Kind, value string) (wrong string) {
	switch kind {
	case Whole:
		number, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return "a whole number"
		}
		t.Number = number
	case Truth:
		if value != "true" && value != "false" {
			return "true or false"
		}
		if value == "true" {
			t.Number = 1
		}
	case Moment:
		var ok bool
		if t.Number, t.Unit, ok = parseTime(value); !ok {
			return "a time of the form yyyy-MM-dd'T'HH:mm:ss, a date or Unix milliseconds"
		}
	case Part:
		if t.Op != Equal {
			return "compared with eq"
		}
		t.Text = strings.ToLower(value)
	default:
		t.Text = value
	}
	return ""
}

func names(fields map[string]Use, able func(Use) bool) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if able(fields[name]) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// parseTime returns value in Unix ms and how many ms it stands for.
func parseTime(value string) (ms, unit int64, ok bool) {
	const second, day = 1000, 86_400_000
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, 1, true
	}
	if t, err := time.Parse("2006-01-02T15:04:05", value); err == nil && !strings.Contains(value, ".") {
		return t.UnixMilli(), second, true
	}
	if t, err := time.Parse(time.DateOnly, value); err == nil {
		return t.UnixMilli(), day, true
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	if err != nil {
		return 0, 0, false
	}
	if t.Nanosecond() == 0 {
		return t.UnixMilli(), second, true
	}
	return t.UnixMilli(), 1, true
}

// floor rounds ms down to a multiple of unit, also before 1970.
func floor(ms, unit int64) int64 {
	over := ms % unit
	if over < 0 {
		over += unit
	}
	return ms - over
}
