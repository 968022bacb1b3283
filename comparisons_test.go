package keyward_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/core/fault"
)

// told is what an expression says of an error beside what it is.
type told string

const (
	nothing told = ""
	text    told = "the text of an error"
	details told = "the text of a fault"
	fields  told = "a field of a fault"
	status  told = "the status of a fault"
	kind    told = "the kind of a fault"
	reason  told = "the reason of a fault"
)

// saying is what the fields of a fault tell. Other types have fields of these names too, so that it matters what they are compared with.
var saying = map[string]told{"Validation": fields, "Status": status, "Type": kind, "Reason": reason, "Details": details}

// kinds are the words that callers get for the kinds of failures.
var kinds = []fault.Type{
	fault.TypeAlreadyExists, fault.TypeCodesStopped, fault.TypeInternalError, fault.TypeInvalidJSON, fault.TypeInvalidOrigin,
	fault.TypeLoginError, fault.TypeMethodNotAllowed, fault.TypeNotFound, fault.TypeProcessNotAvailable, fault.TypeProjectIDMismatch,
	fault.TypeRateLimited, fault.TypeReauthentication, fault.TypeRiskDenied, fault.TypeStepUpRequired, fault.TypeUnavailable,
	fault.TypeUnknownCredential, fault.TypeValidationError,
}

// comparisons returns what a file reads from how an error is put. It knows no types but those that are written: it goes by names, and by
// what variables of one function are set to.
func comparisons(f goFile) []string {
	var found []string
	for _, declared := range f.tree.Decls {
		reader := newReader(f.name, declared)
		ast.Inspect(declared, func(n ast.Node) bool {
			if compared, what := reader.compared(n); what != nothing {
				found = append(found, fmt.Sprintf(
					"%s: %s is compared; use errors.Is or errors.As with what the package that owns the failure declares", f.at(compared.Pos()), what,
				))
			}
			return true
		})
	}
	return found
}

// places are where a parser's text is searched for a line and a column, which the parser tells nowhere else, to repeat them.
var places = []string{"services/decision/scenario/internal/strictyaml/reader.go", "services/gateway/internal/protocodec/codec.go"}

// reader reads one declaration.
type reader struct {
	file string
	edge bool                  // whether a status means something here
	set  map[string][]ast.Expr // what the variables are set to, by name
}

func newReader(file string, declared ast.Node) reader {
	edge := slices.ContainsFunc(edges, func(edge string) bool { return strings.HasPrefix(file, edge) })
	r := reader{file, edge, map[string][]ast.Expr{}}
	add := func(variable, value ast.Expr) {
		if name, ok := variable.(*ast.Ident); ok {
			r.set[name.Name] = append(r.set[name.Name], value)
		}
	}
	ast.Inspect(declared, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i := range n.Lhs {
				if len(n.Lhs) == len(n.Rhs) {
					add(n.Lhs[i], n.Rhs[i])
				}
			}
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if len(n.Values) == len(n.Names) {
					add(name, n.Values[i])
				}
			}
		case *ast.RangeStmt:
			add(n.Value, n.X)
		case *ast.Field:
			if is(n.Type, "fault", "FieldError") {
				for _, name := range n.Names {
					add(name, &ast.SelectorExpr{X: ast.NewIdent("a"), Sel: ast.NewIdent("Validation")})
				}
			}
		}
		return true
	})
	return r
}

// compared returns what of an error a node compares, if anything.
func (r reader) compared(n ast.Node) (ast.Expr, told) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op.Precedence() == token.EQL.Precedence() { // every comparison
			return r.either(n.X, n.Y)
		}
	case *ast.SwitchStmt:
		for _, clause := range n.Body.List {
			for _, value := range clause.(*ast.CaseClause).List {
				if expr, what := r.either(n.Tag, value); n.Tag != nil && what != nothing {
					return expr, what
				}
			}
		}
	case *ast.CallExpr:
		return r.searched(n)
	}
	return nil, nothing
}

// searched returns in what of an error a call looks for something, or which it looks for in something.
func (r reader) searched(call *ast.CallExpr) (ast.Expr, told) {
	if !searches(call) || finds(call) && slices.Contains(places, r.file) {
		return nil, nothing
	}
	for _, argument := range call.Args {
		if what := r.tells(argument); what == text || !r.edge && (what == details || what == fields) {
			return argument, what
		}
	}
	return nil, nothing
}

func (r reader) either(x, y ast.Expr) (ast.Expr, told) {
	if what := r.against(x, y); what != nothing {
		return x, what
	}
	return y, r.against(y, x)
}

// against returns what of an error an expression tells, if it is what it seems to be by what it is compared with.
func (r reader) against(expr, other ast.Expr) told {
	what, other := r.tells(expr), bare(other)
	switch {
	case isName(other, "nil"): // of another type than what it seems to be
		return nothing
	case what == text:
		return what
	case r.edge:
		return nothing
	case what == fields,
		what == status && (isLiteral(other, token.INT) || isSelectorOf(other, "http")),
		what == kind && (isSelectorOf(other, "fault") || isKind(other)),
		what == reason && (isReason(other) || isText(other)),
		what == details && isText(other):
		return what
	}
	return nothing
}

// tells returns what of an error an expression tells.
func (r reader) tells(expr ast.Expr) told {
	switch e := bare(expr).(type) {
	case *ast.Ident:
		for _, value := range r.set[e.Name] {
			if what := (reader{edge: r.edge}).tells(value); what != nothing { // as far as one variable
				return what
			}
		}
	case *ast.SelectorExpr:
		if r.tells(e.X) == fields {
			return fields
		}
		return saying[e.Sel.Name]
	case *ast.IndexExpr:
		return r.tells(e.X)
	case *ast.SliceExpr:
		return r.tells(e.X)
	case *ast.BinaryExpr:
		if what := r.tells(e.X); what != nothing {
			return what
		}
		return r.tells(e.Y)
	case *ast.CallExpr:
		return r.called(e)
	}
	return nothing
}

// called returns what of an error a call returns.
func (r reader) called(call *ast.CallExpr) told {
	method, ok := call.Fun.(*ast.SelectorExpr)
	switch {
	case !ok && isName(call.Fun, "len") && len(call.Args) == 1 && r.tells(call.Args[0]) == fields:
		return fields
	case !ok:
		return nothing
	case method.Sel.Name == "Error" && len(call.Args) == 0, is(method, "fault", "Words"):
		return text
	case isName(method.X, "fmt") && strings.HasPrefix(method.Sel.Name, "Sprint") && slices.ContainsFunc(call.Args, r.isError):
		return text
	case isName(method.X, "strings") && len(call.Args) > 0:
		return r.tells(call.Args[0])
	}
	return nothing
}

// isError reports whether an expression is an error by its name, or a variable set to what is unwrapped from one.
func (r reader) isError(expr ast.Expr) bool {
	name, ok := expr.(*ast.Ident)
	if !ok {
		return false
	}
	return name.Name == "err" || strings.HasSuffix(name.Name, "Err") || slices.ContainsFunc(r.set[name.Name], func(value ast.Expr) bool {
		call, ok := value.(*ast.CallExpr)
		return ok && is(call.Fun, "errors", "Unwrap")
	})
}

// bare returns an expression without parentheses and conversions to what texts are made of.
func bare(expr ast.Expr) ast.Expr {
	for {
		switch e := expr.(type) {
		case *ast.ParenExpr:
			expr = e.X
			continue
		case *ast.CallExpr:
			_, list := e.Fun.(*ast.ArrayType)
			if len(e.Args) == 1 && (list || isName(e.Fun, "string") || isName(e.Fun, "int")) {
				expr = e.Args[0]
				continue
			}
		}
		return expr
	}
}

func searches(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	switch {
	case !ok:
		return false
	case isName(f.X, "strings"), isName(f.X, "bytes"):
		return len(call.Args) == 2
	case isName(f.X, "slices"):
		return f.Sel.Name == "Contains" || f.Sel.Name == "Index"
	}
	return strings.HasPrefix(f.Sel.Name, "Match") || finds(call)
}

// finds reports whether a call returns what it finds, as those of a regular expression do.
func finds(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && strings.HasPrefix(f.Sel.Name, "Find")
}

func isName(expr ast.Expr, name string) bool {
	id, ok := expr.(*ast.Ident)
	return ok && id.Name == name
}

// is reports whether expr is what a package calls by a name.
func is(expr ast.Expr, pkg, name string) bool {
	s, ok := expr.(*ast.SelectorExpr)
	return ok && isName(s.X, pkg) && s.Sel.Name == name
}

// isSelectorOf reports whether expr is something of a package.
func isSelectorOf(expr ast.Expr, pkg string) bool {
	s, ok := expr.(*ast.SelectorExpr)
	return ok && isName(s.X, pkg)
}

// isReason reports whether expr is a reason by its name: a constant, or that of a fault that a package declares.
func isReason(expr ast.Expr) bool {
	s, ok := expr.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "Reason" {
		return ok && strings.HasPrefix(s.Sel.Name, "Reason")
	}
	of, ok := s.X.(*ast.SelectorExpr)
	return ok && strings.HasPrefix(of.Sel.Name, "Err")
}

func isLiteral(expr ast.Expr, of token.Token) bool {
	literal, ok := expr.(*ast.BasicLit)
	return ok && literal.Kind == of
}

// isText reports whether expr is a text that says something.
func isText(expr ast.Expr) bool { return written(expr) != "" }

func isKind(expr ast.Expr) bool { return slices.Contains(kinds, fault.Type(written(expr))) }

// written returns the text that is written, or nothing.
func written(expr ast.Expr) string {
	if !isLiteral(expr, token.STRING) {
		return ""
	}
	said, err := strconv.Unquote(expr.(*ast.BasicLit).Value)
	if err != nil {
		return ""
	}
	return said
}
