package bundle

import (
	"regexp"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// wideFormat finds widths and precisions of more than two digits, and those that an argument sets.
var wideFormat = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?(\*|\d{3,}|\d*\.\d{3,}|\d*\.(\[\d+\])?\*)`)

// checkCalls refuses calls of sprintf that a width makes as expensive as its number is large.
func checkCalls(modules []bundle.ModuleFile) error {
	var refused []error
	check := func(call []*ast.Term) {
		if len(call) < 2 || call[0].String() != ast.Sprintf.Name {
			return
		}
		format, constant := call[1].Value.(ast.String)
		if constant && !wideFormat.MatchString(string(format)) {
			return
		}
		e := &Error{Message: "sprintf with a format that is not known, or of great width", Advice: adviseFormat}
		if place := call[0].Location; place != nil {
			e.File, e.Line = tidy(place.File), place.Row
		}
		refused = append(refused, e)
	}
	for _, module := range modules {
		ast.WalkExprs(module.Parsed, func(expr *ast.Expr) bool {
			if expr.IsCall() {
				check(expr.Terms.([]*ast.Term))
			}
			return false
		})
		ast.WalkTerms(module.Parsed, func(term *ast.Term) bool {
			if call, ok := term.Value.(ast.Call); ok {
				check(call)
			}
			return false
		})
	}
	return join(refused)
}
