package bundle

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// Capabilities returns what a policy may call: every builtin whose answer depends on its arguments alone, so that a decision can be replayed, and whose cost is
// bounded by the size of its arguments or by the deadline of the evaluation.
func Capabilities() *ast.Capabilities {
	capabilities := ast.CapabilitiesForThisVersion()
	capabilities.Builtins = slices.DeleteFunc(capabilities.Builtins, forbidden)
	// Empty, not nil: schemas may not be fetched from anywhere.
	capabilities.AllowNet = []string{}
	return capabilities
}

// forbidden goes beyond OPA's own mark: certificate checks read the clock, and the rest has no use in a decision and reaches outside it.
func forbidden(builtin *ast.Builtin) bool {
	if builtin.IsNondeterministic() || unbounded(builtin.Name) {
		return true
	}
	switch builtin.Name {
	case "rego.parse_module", "opa.runtime", "time.now_ns", "uuid.rfc4122", "io.jwt.decode_verify",
		"crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options":
		return true
	}
	for _, family := range []string{"http.", "net.lookup", "rand.", "providers."} {
		if strings.HasPrefix(builtin.Name, family) {
			return true
		}
	}
	return false
}

// unbounded names the builtins that a few bytes of arguments can make take all memory or hours, and that no deadline interrupts: a number says how large the
// result is, or every path of a graph is listed.
func unbounded(name string) bool {
	switch name {
	case "bits.lsh", "graph.reachable_paths", "units.parse", "units.parse_bytes", "yaml.unmarshal":
		return true
	}
	return false
}

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
