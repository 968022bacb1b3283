// Package scope says what an operation of the Operator API is to an operator who is limited to some projects, as the document has it. It is
// pure.
package scope

import (
	"errors"
	"slices"
	"strings"
)

// Scope is that of an operation. The zero value is of one that is not for operators.
type Scope struct {
	Kind  Kind
	Field string // of ByFilter: the field of filter[] that names a project
}

// Kind is a kind of scope.
type Kind string

// The kinds.
const (
	ByPath       Kind = "path"         // it is about the project that the path names
	ByFilter     Kind = "filter"       // it is about what a filter leaves, which has to name a project
	ByAnswer     Kind = "answer"       // what answers it looks at the projects of the operator by itself
	OfAll        Kind = "shared"       // it is the same for all projects, and anybody's
	Installation Kind = "installation" // it concerns all projects, and is for operators of all
)

// What an operation names projects by.
const (
	PathParameter  = "projectID"
	QueryParameter = "filter[]"
)

// Of reads what a document says, x-projects of an operation.
func Of(said any) Scope {
	text, _ := said.(string)
	kind, field, _ := strings.Cut(text, " ")
	return Scope{Kind: Kind(kind), Field: field}
}

// What may be wrong with a scope.
var (
	errUnknown = errors.New("must name its x-projects, as one that there is, if it has an x-role, and only then")
	errPath    = errors.New("must have the x-projects path if its path names a project, and only then")
	errFilter  = errors.New("must say in x-projects of which field of its filter[] projects are, if they are of one")
)

// Check refuses a scope that does not fit what its operation takes: a project in the path that nobody looks at would be anybody's.
func (s Scope) Check(forOperators bool, path, query []string) error {
	known := slices.Contains([]Kind{ByPath, ByFilter, ByAnswer, OfAll, Installation}, s.Kind)
	switch {
	case known != forOperators:
		return errUnknown
	case forOperators && slices.Contains(path, PathParameter) != (s.Kind == ByPath):
		return errPath
	case (s.Field != "") != (s.Kind == ByFilter), s.Kind == ByFilter && !slices.Contains(query, QueryParameter):
		return errFilter
	}
	return nil
}
