package reads

import (
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// use is what rules do with one path of the input.
type use struct {
	with    []*ast.Term // what it is compared with, none of which depends on the input; the other names of data are written out
	ordered bool        // not only by equality
	whole   string      // where it is used otherwise; empty = nowhere
}

// uses are what rules do with the input.
type uses struct {
	of     map[string]*use // by path, dotted; the whole input under ""
	no     string          // why nothing can be said
	plain  map[string]bool // data below which there are no rules, by reference; found so far
	search *ast.Compiler
}

// usesIn looks at rules as they are written, of those that are given as they are compiled: a compiler moves what is compared into
// variables.
func usesIn(compiler *ast.Compiler, written map[string]*ast.Module, rules map[*ast.Rule]bool) *uses {
	u := &uses{of: map[string]*use{}, plain: map[string]bool{}, search: compiler}
	places := map[string]bool{}
	for rule := range rules {
		places[place(rule.Location)] = true
	}
	found := map[string]bool{}
	for _, module := range written {
		names := namesIn(module)
		for _, rule := range module.Rules {
			at := place(rule.Location)
			if _, operator := operators[string(rule.Head.Name)]; operator {
				u.no = at + " is a rule that is called like an operator"
			}
			if !places[at] {
				continue
			}
			for part := rule; part != nil; part = part.Else {
				found[place(part.Location)] = true
			}
			u.rule(rule, names)
		}
	}
	for rule := range rules {
		if at := place(rule.Location); !found[at] {
			u.no = at + " is not found as it is written"
		}
	}
	return u
}

func place(at *ast.Location) string {
	if at == nil {
		return ""
	}
	return strings.TrimPrefix(at.File, "/") + ":" + strconv.Itoa(at.Row) + ":" + strconv.Itoa(at.Col)
}

// operators compare, and say whether the order of values counts, too.
var operators = map[string]bool{
	ast.LessThan.Name: true, ast.LessThanEq.Name: true, ast.GreaterThan.Name: true, ast.GreaterThanEq.Name: true,
	ast.Equal.Name: false, ast.NotEqual.Name: false, ast.Equality.Name: false, ast.Member.Name: false,
}

// namesIn returns what a module calls other documents: its imports, and its rules that are nothing but such a name.
func namesIn(module *ast.Module) map[ast.Var]ast.Ref {
	names := map[ast.Var]ast.Ref{}
	for _, one := range module.Imports {
		if ref, ok := one.Path.Value.(ast.Ref); ok {
			names[one.Name()] = ref
		}
	}
	times := map[ast.Var]int{}
	for _, rule := range module.Rules {
		times[rule.Head.Name]++
	}
	for _, rule := range module.Rules {
		head := rule.Head
		if times[head.Name] > 1 || rule.Default || rule.Else != nil || head.Key != nil || len(head.Args) > 0 || len(head.Ref()) != 1 {
			continue
		}
		if ref, ok := head.Value.Value.(ast.Ref); ok && ref.HasPrefix(ast.DefaultRootRef) && ref.IsGround() && always(rule.Body) {
			names[head.Name] = ref
		}
	}
	return names
}

// always reports whether a body is none.
func always(body ast.Body) bool {
	return len(body) == 1 && body[0].Equal(ast.NewExpr(ast.BooleanTerm(true)))
}

// walk looks at one rule.
type walk struct {
	*uses
	names map[ast.Var]ast.Ref
	own   map[ast.Var]bool // that the rule may declare itself
	place string
}

func (u *uses) rule(rule *ast.Rule, names map[ast.Var]ast.Ref) {
	w := &walk{uses: u, names: names, own: map[ast.Var]bool{}, place: place(rule.Location)}
	declared := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			for _, term := range x[1:] {
				w.declare(term)
			}
			return true
		case ast.Var:
			w.own[x] = true
		}
		return false
	})
	for part := rule; part != nil; part = part.Else {
		for _, arg := range part.Head.Args {
			declared.Walk(arg)
		}
		declared.Walk(part.Body)
		if part.Head.Value != nil {
			declared.Walk(part.Head.Value)
		}
		if part.Head.Key != nil {
			declared.Walk(part.Head.Key)
		}
		for _, term := range part.Head.Reference[min(1, len(part.Head.Reference)):] {
			ast.NewGenericVisitor(w.see).Walk(term)
		}
	}
	ast.NewGenericVisitor(w.see).Walk(rule)
}

// declare takes every variable in a term for one that the rule may have declared.
func (w *walk) declare(term *ast.Term) {
	visitor := ast.NewVarVisitor()
	visitor.Walk(term)
	for name := range visitor.Vars() {
		w.own[name] = true
	}
}

// see looks at a node, and returns whether what is below it has been looked at.
func (w *walk) see(node any) bool {
	switch node := node.(type) {
	case *ast.Expr:
		for _, with := range node.With {
			if target, ok := with.Target.Value.(ast.Ref); !ok || !target.HasPrefix(ast.InputRootRef) {
				w.no = place(node.Location) + " replaces what is not input"
			}
		}
		if terms, ok := node.Terms.([]*ast.Term); ok && w.compared(terms, node.Location) {
			for _, with := range node.With {
				ast.NewGenericVisitor(w.see).Walk(with)
			}
			return true
		}
	case *ast.Term:
		if node.Location != nil {
			w.place = place(node.Location)
		}
		if call, ok := node.Value.(ast.Call); ok {
			return w.compared(call, node.Location)
		}
	case ast.Ref:
		w.reference(node)
		return true
	case ast.Var:
		if ref, named := w.names[node]; named {
			w.otherwise(ref)
		} else if ast.InputRootDocument.Value.Compare(node) == 0 {
			w.otherwise(ast.InputRootRef)
		}
	}
	return false
}

// reference looks at a reference that is no side of a comparison with a constant.
func (w *walk) reference(ref ast.Ref) {
	w.otherwise(w.expanded(ref))
	start := 1
	if _, name := ref[0].Value.(ast.Var); !name {
		start = 0 // what it is of is computed
	}
	for _, term := range ref[start:] {
		ast.NewGenericVisitor(w.see).Walk(term)
	}
}

// expanded writes out the name that a reference begins with.
func (w *walk) expanded(ref ast.Ref) ast.Ref {
	name, ok := ref[0].Value.(ast.Var)
	if !ok {
		return ref
	}
	if whole, named := w.names[name]; named {
		return whole.Concat(ref[1:])
	}
	return ref
}

// otherwise notes that a part of the input is more than compared.
func (w *walk) otherwise(ref ast.Ref) {
	if ref.HasPrefix(ast.InputRootRef) {
		w.at(constant(ref[1:])).whole = w.place
	}
}

func (u *uses) at(path []string) *use {
	name := strings.Join(path, ".")
	if u.of[name] == nil {
		u.of[name] = &use{}
	}
	return u.of[name]
}

// compared notes a comparison of a value of the input with a constant, and reports whether it is one.
func (w *walk) compared(terms []*ast.Term, at *ast.Location) bool {
	const sides = 2
	if len(terms) != sides+1 {
		return false
	}
	operator, ok := terms[0].Value.(ast.Ref)
	if !ok {
		return false
	}
	name := operator.String()
	ordered, compares := operators[name]
	if !compares {
		return false
	}
	if at != nil {
		w.place = place(at)
	}
	for side, term := range terms[1:] {
		other := terms[sides-side]
		path, is := w.input(term)
		if !is || side == 1 && name == ast.Member.Name {
			continue
		}
		with, constant := w.constant(other, name == ast.Member.Name)
		if !constant {
			continue
		}
		use := w.at(path)
		use.with, use.ordered = append(use.with, with...), use.ordered || ordered
		return true
	}
	return false
}

// input returns the path of a term that is a value of the input and nothing else.
func (w *walk) input(term *ast.Term) ([]string, bool) {
	ref, ok := term.Value.(ast.Ref)
	if !ok {
		return nil, false
	}
	if ref = w.expanded(ref); !ref.HasPrefix(ast.InputRootRef) {
		return nil, false
	}
	path := constant(ref[1:])
	return path, len(path) > 0 && len(path) == len(ref)-1
}

// constant returns the scalars that a term is, or that it holds; or names of the data, that are looked up later.
func (w *walk) constant(term *ast.Term, within bool) ([]*ast.Term, bool) {
	switch value := term.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		if within {
			return nil, true // nothing is in it
		}
		return []*ast.Term{term}, true
	case ast.Set:
		return w.each(value.Slice(), within)
	case *ast.Array:
		var all []*ast.Term
		value.Foreach(func(one *ast.Term) { all = append(all, one) })
		return w.each(all, within)
	case ast.Ref:
		if name, ok := value[0].Value.(ast.Var); ok && w.own[name] {
			return nil, false
		}
		ref := w.expanded(value)
		if !w.isData(ref) {
			return nil, false
		}
		return []*ast.Term{ast.NewTerm(ref)}, true
	}
	return nil, false
}

func (w *walk) each(all []*ast.Term, within bool) ([]*ast.Term, bool) {
	var constants []*ast.Term
	for _, one := range all {
		found, ok := w.constant(one, false)
		if _, scalar := one.Value.(ast.Ref); !ok || !within || scalar {
			return nil, false
		}
		constants = append(constants, found...)
	}
	return constants, true
}

// isData reports whether a reference leads to the bundle's data and to no rule, whatever the input is.
func (u *uses) isData(ref ast.Ref) bool {
	if !ref.HasPrefix(ast.DefaultRootRef) || len(constant(ref[1:])) != len(ref)-1 {
		return false
	}
	name := ref.String()
	plain, known := u.plain[name]
	if !known {
		plain = len(u.search.GetRules(ref)) == 0
		u.plain[name] = plain
	}
	return plain
}
