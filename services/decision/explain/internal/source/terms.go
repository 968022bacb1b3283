package source

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Constant reports whether a term is the same whatever is asked.
func Constant(term *ast.Term) bool {
	fixed := true
	ast.NewGenericVisitor(func(x any) bool {
		switch x.(type) {
		case ast.Var, ast.Ref, ast.Call, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.TemplateString:
			fixed = false
		}
		return !fixed
	}).Walk(term)
	return fixed
}

// OperatorOf returns the name of what an expression calls, as a reference; nil if it calls nothing.
func OperatorOf(expr *ast.Expr) ast.Ref {
	if !expr.IsCall() {
		return nil
	}
	return expr.Operator()
}

// Plug replaces the variables in a reference that are bound, and cuts it where one is not.
func Plug(ref ast.Ref, bindings map[ast.Var]*ast.Term) ast.Ref {
	plugged := ast.Ref{ref[0]}
	for _, term := range ref[1:] {
		if v, ok := term.Value.(ast.Var); ok {
			bound, ok := bindings[v]
			if !ok {
				return plugged
			}
			term = bound
		}
		if !term.IsGround() {
			return plugged
		}
		if _, ok := term.Value.(ast.Ref); ok {
			return plugged
		}
		plugged = append(plugged, term)
	}
	return plugged
}

// Closed reports whether a term has names of its own, so that its parts mean nothing outside it.
func Closed(term *ast.Term) bool {
	switch term.Value.(type) {
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return true
	}
	return false
}

// WalkTerms visits the terms of a node from the outside in, until stop says not to go deeper. Names of what is called and heads of
// references are no terms.
func WalkTerms(node any, stop func(*ast.Term) bool) {
	each := func(terms []*ast.Term) bool {
		for _, term := range terms {
			WalkTerms(term, stop)
		}
		return true
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch v := x.(type) {
		case *ast.Expr:
			return v.IsCall() && len(v.With) == 0 && each(v.Operands())
		case *ast.Term:
			if stop(v) {
				return true
			}
			switch below := v.Value.(type) {
			case ast.Call:
				return each(below[1:])
			case ast.Ref:
				return each(below[1:])
			}
		}
		return false
	}).Walk(node)
}

// Declaration reports whether an expression begins with some.
func Declaration(expr *ast.Expr) bool {
	_, ok := expr.Terms.(*ast.SomeDecl)
	return ok
}

// Keys returns the names along a reference, without its head.
func Keys(ref ast.Ref) []string {
	names := make([]string, 0, len(ref))
	for _, term := range ref[1:] {
		switch v := term.Value.(type) {
		case ast.String:
			names = append(names, string(v))
		case ast.Number:
			names = append(names, v.String())
		default:
			names = append(names, v.String())
		}
	}
	return names
}

// Text returns a node as it would be written.
func Text(node any) string {
	raw, err := format.AstWithOpts(node, format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return fmt.Sprint(node)
	}
	return strings.Join(strings.Fields(string(raw)), " ")
}
