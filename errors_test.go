package keyward_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// edges are where faults are written for callers, where answers are read that others wrote, or where tests say which they want: a status
// means something there.
var edges = []string{
	"core/fault/", "core/rpc/", "services/gateway/", "services/ceremony/ceremonytest/", "cmd/keyward/", "bench/", "test/", "sdk/",
}

// TestErrorsAreToldByWhatTheyAre holds the tree to errors.Is and errors.As. A message may be put in other words, and several failures share
// a field or a status.
func TestErrorsAreToldByWhatTheyAre(t *testing.T) {
	t.Parallel()
	files := goFiles(t, ".", parser.SkipObjectResolution)
	if len(files) < 100 {
		t.Fatalf("found %d files", len(files))
	}
	for _, f := range files {
		for _, found := range comparisons(f) {
			t.Error(found)
		}
	}
}

func TestAComparisonOfWhatAnErrorSaysIsFound(t *testing.T) {
	t.Parallel()
	const head = "package x\nfunc x() {\n"
	for source, want := range map[string]bool{
		`if err.Error() == "no" {}`:                          true,
		`if "no" != errors.Unwrap(err).Error() {}`:           true,
		`switch err.Error() { case "no": }`:                  true,
		`if strings.Contains(err.Error(), "no") {}`:          true,
		`if strings.HasPrefix(err.Error(), "no") {}`:         true,
		`if f.Validation[0] == other {}`:                     true,
		`if f.Validation[0].Field == "userID" {}`:            true,
		`if len(f.Validation) == 1 {}`:                       true,
		`if fault.As(err).Status == 409 {}`:                  true,
		`if f.Status >= http.StatusInternalServerError {}`:   true,
		`switch f.Status { case 400: }`:                      true,
		`switch { case f.Status == http.StatusBadRequest: }`: true,
		`if f.Type == fault.TypeUnavailable {}`:              true,
		`if f.Reason == account.ErrUnknown.Reason {}`:        true,
		`if errors.Is(err, account.ErrUnknown) {}`:           false,
		`if a.Status == account.Active {}`:                   false,
		`if challenge.Type == event.LoginError {}`:           false,
		`fmt.Println(err.Error() + "!")`:                     false,
		`f := fault.Fault{Status: http.StatusConflict}`:      false,
	} {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, "core/x/x.go", head+source+"\n}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if found := comparisons(goFile{"core/x/x.go", set, tree}); (len(found) > 0) != want {
			t.Errorf("%s: found %q", source, found)
		}
	}
}

// comparisons returns what a file reads from how an error is put.
func comparisons(f goFile) []string {
	edge := slices.ContainsFunc(edges, func(edge string) bool { return strings.HasPrefix(f.name, edge) })
	var found []string
	judge := func(compared ...ast.Expr) {
		for i, expr := range compared {
			if reason := prose(expr, compared[1-min(i, 1)], edge); reason != "" {
				found = append(
					found,
					fmt.Sprintf("%s: %s; use errors.Is or errors.As with what the package that owns the failure declares", f.at(expr.Pos()), reason),
				)
				return
			}
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op.Precedence() == token.EQL.Precedence() { // every comparison
				judge(n.X, n.Y)
			}
		case *ast.SwitchStmt:
			for _, clause := range n.Body.List {
				for _, value := range clause.(*ast.CaseClause).List {
					if n.Tag != nil {
						judge(n.Tag, value)
					}
				}
			}
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && isName(called.X, "strings") && len(n.Args) == 2 && isCallOf(n.Args[0], "Error") {
				judge(n.Args...)
			}
		}
		return true
	})
	return found
}

// prose says why an operand of a comparison tells errors apart by how they are put, or nothing.
func prose(expr, other ast.Expr, edge bool) string {
	switch {
	case isCallOf(expr, "Error"):
		return "the text of an error is compared"
	case edge:
		return ""
	case mentions(expr, "Validation"):
		return "the fields of a fault are compared"
	case mentions(expr, "Status") && (isNumber(other) || isSelectorOf(other, "http")):
		return "a meaning is read from a status"
	case mentions(expr, "Type") && isSelectorOf(other, "fault"):
		return "the kind of a fault is compared"
	case mentions(expr, "Reason") && isReasonOf(other):
		return "the reason of a fault is compared"
	}
	return ""
}

func isName(expr ast.Expr, name string) bool {
	id, ok := expr.(*ast.Ident)
	return ok && id.Name == name
}

// isReasonOf reports whether expr is the reason of a fault that a package declares, by the name that such faults have.
func isReasonOf(expr ast.Expr) bool {
	s, ok := expr.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != "Reason" {
		return false
	}
	of, ok := s.X.(*ast.SelectorExpr)
	return ok && strings.HasPrefix(of.Sel.Name, "Err")
}

// isSelectorOf reports whether expr is something of a package.
func isSelectorOf(expr ast.Expr, pkg string) bool {
	s, ok := expr.(*ast.SelectorExpr)
	return ok && isName(s.X, pkg)
}

func isCallOf(expr ast.Expr, method string) bool {
	call, ok := expr.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return false
	}
	s, ok := call.Fun.(*ast.SelectorExpr)
	return ok && s.Sel.Name == method
}

func isNumber(expr ast.Expr) bool {
	literal, ok := expr.(*ast.BasicLit)
	return ok && literal.Kind == token.INT
}

// mentions reports whether expr ends in a field, an element of it, a field of that, or the length of it.
func mentions(expr ast.Expr, field string) bool {
	switch e := expr.(type) {
	case *ast.SelectorExpr:
		return e.Sel.Name == field || mentions(e.X, field) && field == "Validation"
	case *ast.IndexExpr:
		return mentions(e.X, field)
	case *ast.CallExpr:
		return isName(e.Fun, "len") && len(e.Args) == 1 && mentions(e.Args[0], field)
	}
	return false
}
