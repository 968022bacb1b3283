// Package listing sorts, filters and pages a list that is already in memory, in the wire's terms: sort=field:asc, filter[]=field:op:value,
// page from 1. It is pure; every error is a *fault.Fault that names sort, filter[], page or pageSize.
package listing

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

// The wire's page size if none is asked for, and the largest.
const (
	DefaultPageSize = 10
	MaxPageSize     = 1000
	maxPage         = 1_000_000_000
)

// op is a filter's comparison.
type op string

const (
	opEqual   op = "eq"
	opGreater op = "gt"
	opLess    op = "lt"
)

// holds says whether a comparison of the item's value with the filter's, as cmp.Compare gives it, satisfies o.
func (o op) holds(comparison int) bool {
	switch o {
	case opGreater:
		return comparison > 0
	case opLess:
		return comparison < 0
	default:
		return comparison == 0
	}
}

// Field is something to sort or filter by. Make one with String, Int, Time, Bool or Search.
type Field[T any] struct {
	compare func(a, b T) int                                 // nil: cannot be sorted by
	parse   func(o op, value string) (func(T) bool, *string) // nil: cannot be filtered by; the second result says what value must be
}

// SortOnly returns f as a field that no filter may name.
func (f Field[T]) SortOnly() Field[T] {
	f.parse = nil
	return f
}

// FilterOnly returns f as a field that no sort may name.
func (f Field[T]) FilterOnly() Field[T] {
	f.compare = nil
	return f
}

// String is a field compared byte by byte.
func String[T any](get func(T) string) Field[T] {
	return Field[T]{
		compare: func(a, b T) int { return cmp.Compare(get(a), get(b)) },
		parse: func(o op, value string) (func(T) bool, *string) {
			return func(item T) bool { return o.holds(cmp.Compare(get(item), value)) }, nil
		},
	}
}

// Int is a field of whole numbers.
func Int[T any](get func(T) int64) Field[T] {
	return Field[T]{
		compare: func(a, b T) int { return cmp.Compare(get(a), get(b)) },
		parse: func(o op, value string) (func(T) bool, *string) {
			want, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return nil, mustBe("a whole number")
			}
			return func(item T) bool { return o.holds(cmp.Compare(get(item), want)) }, nil
		},
	}
}

// Bool is a field of true and false; false comes first.
func Bool[T any](get func(T) bool) Field[T] {
	return Field[T]{
		compare: func(a, b T) int { return compareBool(get(a), get(b)) },
		parse: func(o op, value string) (func(T) bool, *string) {
			if value != "true" && value != "false" {
				return nil, mustBe("true or false")
			}
			return func(item T) bool { return o.holds(compareBool(get(item), value == "true")) }, nil
		},
	}
}

// Time is a field of moments, which get returns in Unix ms. A filter's value is the wire's yyyy-MM-dd'T'HH:mm:ss in UTC, RFC 3339, or Unix ms; one
// without a fraction stands for its whole second, as that is all a list shows.
func Time[T any](get func(T) int64) Field[T] {
	return Field[T]{
		compare: func(a, b T) int { return cmp.Compare(get(a), get(b)) },
		parse: func(o op, value string) (func(T) bool, *string) {
			want, unit, ok := parseTime(value)
			if !ok {
				return nil, mustBe("a time of the form yyyy-MM-dd'T'HH:mm:ss or Unix milliseconds")
			}
			return func(item T) bool { return o.holds(cmp.Compare(floor(get(item), unit), floor(want, unit))) }, nil
		},
	}
}

// Search is a field that is there to be filtered only: with eq, any of the texts contains the value, letter case aside.
func Search[T any](texts func(T) []string) Field[T] {
	return Field[T]{parse: func(o op, value string) (func(T) bool, *string) {
		if o != opEqual {
			return nil, mustBe("compared with eq")
		}
		part := strings.ToLower(value)
		return func(item T) bool {
			return slices.ContainsFunc(texts(item), func(text string) bool { return strings.Contains(strings.ToLower(text), part) })
		}, nil
	}}
}

// Apply returns the page of items that list asks for; the page is never nil. Items that compare equal keep the order they came in, so pages are
// stable only if that order is. defaultSort has the form of list.Sort and is taken if list asks for none. Items are not changed.
func Apply[T any](items []T, list service.List, fields map[string]Field[T], defaultSort string) ([]T, rest.Paging, error) {
	keep, err := parseFilters(list.Filter, fields)
	if err != nil {
		return nil, rest.Paging{}, err
	}
	compare, err := parseSort(cmp.Or(list.Sort, defaultSort), fields)
	if err != nil {
		return nil, rest.Paging{}, err
	}
	number, size := cmp.Or(list.Page, 1), cmp.Or(list.PageSize, DefaultPageSize)
	if number < 1 || number > maxPage {
		return nil, rest.Paging{}, fault.Field("page", "must be from 1 to %d", maxPage)
	}
	if size < 1 || size > MaxPageSize {
		return nil, rest.Paging{}, fault.Field("pageSize", "must be from 1 to %d", MaxPageSize)
	}

	kept := make([]T, 0, len(items))
	for _, item := range items {
		if keep(item) {
			kept = append(kept, item)
		}
	}
	slices.SortStableFunc(kept, compare)
	part, paging := slice(kept, number, size)
	return part, paging, nil
}

func slice[T any](kept []T, number, size int) ([]T, rest.Paging) {
	pages := (len(kept) + size - 1) / size
	paging := rest.Paging{Page: int32(number), TotalPages: int32(pages), TotalItems: int32(len(kept))}
	if number > pages {
		return []T{}, paging
	}
	start := (number - 1) * size
	return kept[start:min(start+size, len(kept))], paging
}

func parseSort[T any](sort string, fields map[string]Field[T]) (func(a, b T) int, error) {
	name, direction, found := strings.Cut(sort, ":")
	if !found || direction != "asc" && direction != "desc" {
		return nil, fault.Field("sort", "must be of the form field:asc or field:desc")
	}
	field, known := fields[name]
	if !known || field.compare == nil {
		return nil, fault.Field("sort", "must sort by one of %s", names(fields, func(f Field[T]) bool { return f.compare != nil }))
	}
	if direction == "desc" {
		return func(a, b T) int { return field.compare(b, a) }, nil
	}
	return field.compare, nil
}

// parseFilters returns the conjunction of filters. A value may contain colons: only the first two separate.
func parseFilters[T any](filters []string, fields map[string]Field[T]) (func(T) bool, error) {
	tests := make([]func(T) bool, 0, len(filters))
	for _, filter := range filters {
		parts := strings.SplitN(filter, ":", 3)
		if len(parts) != 3 {
			return nil, fault.Field("filter[]", "must be of the form field:op:value")
		}
		name, o, value := parts[0], op(parts[1]), parts[2]
		field, known := fields[name]
		if !known || field.parse == nil {
			return nil, fault.Field("filter[]", "must filter by one of %s", names(fields, func(f Field[T]) bool { return f.parse != nil }))
		}
		if o != opEqual && o != opGreater && o != opLess {
			return nil, fault.Field("filter[]", "op must be one of eq, gt, lt")
		}
		test, wrong := field.parse(o, value)
		if wrong != nil {
			return nil, fault.Field("filter[]", "%s must be %s", name, *wrong)
		}
		tests = append(tests, test)
	}
	return func(item T) bool {
		for _, test := range tests {
			if !test(item) {
				return false
			}
		}
		return true
	}, nil
}

func names[T any](fields map[string]Field[T], able func(Field[T]) bool) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if able(fields[name]) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

func mustBe(what string) *string { return &what }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// parseTime returns value in Unix ms and how many ms it stands for.
func parseTime(value string) (ms, unit int64, ok bool) {
	const second = 1000
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n, 1, true
	}
	if t, err := time.Parse("2006-01-02T15:04:05", value); err == nil && !strings.Contains(value, ".") {
		return t.UnixMilli(), second, true
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
