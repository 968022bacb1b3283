// Package listing reads the parameters of a list in the wire's terms (sort=field:asc, filter[]=field:op:value, page from 1), and sorts,
// filters and pages a list that is already in memory. It is pure; every error is a *fault.Fault that names sort, filter[], page, pageSize,
// or the column to sort by.
package listing

import (
	"cmp"
	"slices"
	"strings"
)

// Field is something of an item to sort or filter by. Make one with String, Int, Time, Bool or Search.
type Field[T any] struct {
	use    Use
	text   func(T) string   // of Text
	number func(T) int64    // of Whole, Truth and Moment
	texts  func(T) []string // of Part
}

// SortOnly returns f as a field that no filter may name.
func (f Field[T]) SortOnly() Field[T] {
	f.use.NoFilter = true
	return f
}

// FilterOnly returns f as a field that no sort may name.
func (f Field[T]) FilterOnly() Field[T] {
	f.use.NoSort = true
	return f
}

// String is a field compared byte by byte.
func String[T any](get func(T) string) Field[T] {
	return Field[T]{use: Use{Kind: Text}, text: get}
}

// Int is a field of whole numbers.
func Int[T any](get func(T) int64) Field[T] {
	return Field[T]{use: Use{Kind: Whole}, number: get}
}

// Bool is a field of true and false; false comes first.
func Bool[T any](get func(T) bool) Field[T] {
	return Field[T]{use: Use{Kind: Truth}, number: func(item T) int64 {
		if get(item) {
			return 1
		}
		return 0
	}}
}

// Time is a field of moments, which get returns in Unix ms; see Moment for what a filter's value may be.
func Time[T any](get func(T) int64) Field[T] {
	return Field[T]{use: Use{Kind: Moment}, number: get}
}

// Search is a field that is there to be filtered only: with eq, any of the texts contains the value, letter case aside.
func Search[T any](texts func(T) []string) Field[T] {
	return Field[T]{use: Use{Kind: Part}, texts: texts}
}

func (f Field[T]) compare(a, b T) int {
	if f.use.Kind == Text {
		return cmp.Compare(f.text(a), f.text(b))
	}
	return cmp.Compare(f.number(a), f.number(b))
}

func (f Field[T]) satisfies(item T, term Term) bool {
	switch f.use.Kind {
	case Text:
		return term.holdsText(f.text(item))
	case Part:
		return slices.ContainsFunc(f.texts(item), func(text string) bool { return strings.Contains(strings.ToLower(text), term.Text) })
	default:
		return term.holdsNumber(f.number(item))
	}
}

// Apply returns the page of items that list asks for; the page is never nil. Items that compare equal keep the order they came in, so pages
// are stable only if that order is. defaultSort has the form of list.Sort and is taken if list asks for none. Items are not changed.
func Apply[T any](items []T, list List, fields map[string]Field[T], defaultSort string) ([]T, Paging, error) {
	uses := make(map[string]Use, len(fields))
	for name, field := range fields {
		uses[name] = field.use
	}
	query, err := Parse(list, uses, defaultSort)
	if err != nil {
		return nil, Paging{}, err
	}
	kept := make([]T, 0, len(items))
	for _, item := range items {
		if !slices.ContainsFunc(query.Terms, func(term Term) bool { return !fields[term.Field].satisfies(item, term) }) {
			kept = append(kept, item)
		}
	}
	if query.Sort != "" {
		compare := fields[query.Sort].compare
		if query.Descending {
			compare = func(a, b T) int { return fields[query.Sort].compare(b, a) }
		}
		slices.SortStableFunc(kept, compare)
	}
	start := min(query.Offset(), len(kept))
	return kept[start:min(start+query.Size, len(kept))], query.Paging(len(kept)), nil
}
