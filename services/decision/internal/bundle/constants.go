package bundle

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// answerMember is a member that the objects of answers have, and hardly any other object.
const answerMember = "rule"

// Constant is a text that rules give a member of an answer.
type Constant struct {
	Text string
	file string
	line int
}

// Refuse returns an Error for the place of the constant.
func (c Constant) Refuse(message, advice string) *Error {
	return &Error{File: c.file, Line: c.line, Message: message, Advice: advice}
}

// Constants returns the texts that the rules of an entrypoint's package write for a member of their answers, whether in an answer itself or
// as an argument of a function that puts it there, or in a rule or function whose value is put there. Of an array each element counts.
// Whether a row with it is ever reached does not matter.
func (b *Bundle) Constants(entrypoint, member string) []Constant {
	ref := ast.MustParseRef(entrypoint)
	var rules []*ast.Rule
	for _, name := range slices.Sorted(maps.Keys(b.modules)) {
		if b.modules[name].Package.Path.Equal(ref[:len(ref)-1]) {
			rules = append(rules, b.modules[name].Rules...)
		}
	}
	f := &flow{member: ast.StringTerm(member), into: map[argument]bool{}, values: map[string]bool{}, found: map[*ast.Term]bool{}}
	for before := -1; before < len(f.into)+len(f.values); {
		before = len(f.into) + len(f.values)
		for _, rule := range rules {
			f.follow(rule)
		}
	}
	constants := make([]Constant, 0, len(f.found))
	for term := range f.found {
		c := Constant{Text: string(term.Value.(ast.String))}
		if term.Location != nil {
			c.file, c.line = tidy(term.Location.File), term.Location.Row
		}
		constants = append(constants, c)
	}
	slices.SortFunc(constants, func(a, b Constant) int { return a.line - b.line })
	return constants
}

// Contained returns the texts that rules of an entrypoint's package put into a set of the name.
func (b *Bundle) Contained(entrypoint, set string) []Constant {
	ref := ast.MustParseRef(entrypoint)
	var found []Constant
	for _, name := range slices.Sorted(maps.Keys(b.modules)) {
		if !b.modules[name].Package.Path.Equal(ref[:len(ref)-1]) {
			continue
		}
		for _, rule := range b.modules[name].Rules {
			if rule.Head.Key == nil || rule.Head.Name.String() != set {
				continue
			}
			if text, ok := rule.Head.Key.Value.(ast.String); ok {
				found = append(found, Constant{Text: string(text), file: name, line: rule.Head.Location.Row})
			}
		}
	}
	return found
}

// argument is one of a function, by its place.
type argument struct {
	function string
	at       int
}

// flow is what a member of answers gets its values from.
type flow struct {
	member *ast.Term
	into   map[argument]bool
	values map[string]bool // of rules and functions, by name
	found  map[*ast.Term]bool
}

func (f *flow) follow(rule *ast.Rule) {
	var take func(*ast.Term)
	take = func(term *ast.Term) {
		switch value := term.Value.(type) {
		case ast.String:
			f.found[term] = true
		case *ast.Array:
			value.Foreach(take)
		case ast.Call:
			f.values[value[0].String()] = true
		case ast.Var:
			f.values[value.String()] = true
			if own := slices.IndexFunc(rule.Head.Args, func(arg *ast.Term) bool { return arg.Value.Compare(value) == 0 }); own >= 0 {
				f.into[argument{rule.Head.Ref().String(), own}] = true
			}
		}
	}
	for branch := rule; branch != nil && f.values[rule.Head.Ref().String()]; branch = branch.Else {
		if branch.Head.Value != nil {
			take(branch.Head.Value)
		}
	}
	call := func(terms []*ast.Term) {
		for i, arg := range terms[1:] {
			if f.into[argument{terms[0].String(), i}] {
				take(arg)
			}
		}
	}
	ast.WalkTerms(rule, func(term *ast.Term) bool {
		switch value := term.Value.(type) {
		case ast.Object:
			if given := value.Get(f.member); given != nil && value.Get(ast.StringTerm(answerMember)) != nil {
				take(given)
			}
		case ast.Call:
			call(value)
		}
		return false
	})
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if expr.IsCall() {
			call(expr.Terms.([]*ast.Term))
		}
		return false
	})
}
