// Package limits says what rules of a policy may call, and bounds what one step of theirs may cost, since a deadline is looked at between
// steps only: builtins refuse operands beyond the bounds, and what rules put together is looked into while it is small. Either ends the
// evaluation with an error.
//
// It changes OPA's registry of builtins, which is the process's own, when the process starts.
package limits

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// What one call of a builtin may be given. A deadline is looked at between calls, so that what one call costs must be bounded by itself:
// rules that multiply numbers or join texts with themselves double them at each step, and thirty steps fill a machine. Decisions need a
// thousandth of it.
const (
	mostDigits = 1000    // of a number, written out
	mostText   = 1 << 20 // bytes of a text, and of all that a call puts together
	mostItems  = 100_000 // of a collection
)

// The registry of OPA's builtins is the process's own, and is read by every evaluation, so that it is changed before the first one.
var _ = boundBuiltins()

// boundBuiltins has every builtin that policies may call refuse operands beyond the bounds, and end the evaluation.
func boundBuiltins() bool {
	for _, builtin := range Capabilities().Builtins {
		call := topdown.GetBuiltin(builtin.Name)
		if call == nil {
			continue // the evaluator's own
		}
		excess := excessOf(builtin.Name)
		topdown.RegisterBuiltinFunc(builtin.Name, func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
			if what := excess(args); what != "" {
				return halt(bctx, builtin.Name, what)
			}
			return call(bctx, args, iter)
		})
	}
	return true
}

// halt ends an evaluation.
func halt(bctx topdown.BuiltinContext, who, what string) error {
	return topdown.Halt{Err: &topdown.Error{
		Code: topdown.BuiltinErr, Message: fmt.Sprintf("%s: %s is more than a policy may work with", who, what), Location: bctx.Location,
	}}
}

// excessOf returns what says which operand of a builtin is too much; empty: none.
func excessOf(name string) func([]*ast.Term) string {
	switch {
	case name == ast.Replace.Name || name == ast.ReplaceN.Name || name == ast.RegexReplace.Name:
		return excessOfReplacement
	case name == ast.Product.Name:
		return excessOfProduct
	case name == ast.RegexFindAllStringSubmatch.Name:
		return excessOfSubmatches
	case joins(name):
		return excessOfAll
	}
	return excessOfEach
}

// joins names the builtins that write out what is within their operands, where one text may stand many times.
func joins(name string) bool {
	for _, family := range []string{
		"concat", "sprintf", "strings.render_template", "json.", "yaml.", "urlquery.encode_object", "crypto.", "io.jwt.", "graphql.",
	} {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return false
}

// excessOfEach looks at operands, and not into them.
func excessOfEach(args []*ast.Term) string {
	for _, arg := range args {
		if what := tooMuch(arg); what != "" {
			return what
		}
	}
	return ""
}

func tooMuch(term *ast.Term) string {
	if term == nil {
		return ""
	}
	switch v := term.Value.(type) {
	case ast.Number:
		if !plain(string(v)) {
			return "such a number"
		}
	case ast.String:
		if len(v) > mostText {
			return "such a text"
		}
	case *ast.Array:
		return tooMany(v.Len())
	case ast.Set:
		return tooMany(v.Len())
	case ast.Object:
		return tooMany(v.Len())
	}
	return ""
}

func tooMany(items int) string {
	if items > mostItems {
		return "such a collection"
	}
	return ""
}

// plain reports whether a number is short, also when it is written out.
func plain(number string) bool { return digits(number) <= mostDigits }

// digits returns how many a number has when its exponent is written out.
func digits(number string) int {
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return len(number)
	}
	exponent, err := strconv.Atoi(number[at+1:])
	if err != nil || exponent > mostText || exponent < -mostText {
		return mostText
	}
	return at + max(exponent, -exponent)
}

// excessOfProduct bounds how long a product gets.
func excessOfProduct(args []*ast.Term) string {
	if what := excessOfAll(args); what != "" {
		return what
	}
	all := 0
	count := func(factor *ast.Term) {
		if n, ok := factor.Value.(ast.Number); ok {
			all += digits(string(n))
		}
	}
	switch v := args[0].Value.(type) {
	case *ast.Array:
		v.Foreach(count)
	case ast.Set:
		v.Foreach(count)
	}
	if all > 10*mostDigits {
		return "such a product"
	}
	return ""
}

// excessOfSubmatches bounds how many submatches there may be: as many as the text has bytes, for each group of the pattern.
func excessOfSubmatches(args []*ast.Term) string {
	if what := excessOfAll(args); what != "" {
		return what
	}
	pattern, isText := args[0].Value.(ast.String)
	text, also := args[1].Value.(ast.String)
	if isText && also && (1+strings.Count(string(pattern), "("))*len(text) > mostText {
		return "so many submatches"
	}
	return ""
}

// excessOfAll looks into operands, as far as there may be something.
func excessOfAll(args []*ast.Term) string {
	left := mostText
	for _, arg := range args {
		if what := tooMuch(arg); what != "" {
			return what
		}
		if left = spend(left, arg); left < 0 {
			return "so much text"
		}
	}
	return ""
}

// spend returns what is left of a budget of bytes once a term is written out, or less than nothing.
func spend(left int, term *ast.Term) int {
	left--
	each := func(inner *ast.Term) {
		if left >= 0 {
			left = spend(left, inner)
		}
	}
	switch v := term.Value.(type) {
	case ast.String:
		return left - len(v)
	case ast.Number:
		return left - digits(string(v))
	case *ast.Array:
		v.Foreach(each)
	case ast.Set:
		v.Foreach(each)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { each(key); each(value) })
	}
	return left
}

// excessOfReplacement bounds what becomes of a text each of whose bytes is replaced by a longer text.
func excessOfReplacement(args []*ast.Term) string {
	if what := excessOfAll(args); what != "" {
		return what
	}
	longest, all := 0, mostText-spend(mostText, ast.ArrayTerm(args...))
	for _, arg := range args {
		longest = max(longest, mostText-spend(mostText, arg))
	}
	// One text is at least half of the product's larger factor, whichever operand is which.
	if rest := all - longest; longest*rest > 4*mostText {
		return "so much text"
	}
	return ""
}
