// Package steps holds the rules of a bundle against the values that facts have: the steps in which they move, and what the schemas say of
// them. It promises that a number which can never decide what it says is found, wherever it is written, and so is a text that a fact can
// never be. It is pure.
package steps

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/comparison"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Check refuses comparisons of facts that move in steps with numbers between two of them, in the rules of files that read data: they mean
// another number than they say; and those with what the schemas among the files do not allow. The errors are *bundlefile.Error.
func Check(modules map[string]*ast.Module, data map[string]any, files map[string][]byte) []error {
	refused := checkValues(modules, data, bundlefile.Files(files).Schema)
	for _, c := range comparison.Find(modules, data) {
		steps := facts.Steps(c.Path)
		if steps == nil || slices.Contains(steps, int(c.Number)) {
			continue
		}
		said := strconv.FormatInt(c.Number, 10)
		if c.Named != "" {
			said = c.Named + ", which is " + said
		}
		refused = append(refused, &bundlefile.Error{
			File: c.File, Line: c.Line, Message: fmt.Sprintf("input.%s %s %s: %s", c.Path, c.Operator, said, meant(&c, steps)),
			Advice: "take one of the steps " + listed(steps),
		})
	}
	return refused
}

// meant says what a comparison with a number between two steps comes to.
func meant(c *comparison.Comparison, steps []int) string {
	above := slices.IndexFunc(steps, func(step int) bool { return int64(step) > c.Number })
	switch {
	case c.Operator == "==" || c.Operator == "!=" || c.Operator == comparison.In:
		return "the fact moves in steps, and is never that"
	case above < 0:
		return "the fact moves in steps, all of which are smaller"
	case above == 0:
		return "the fact moves in steps, all of which are larger"
	case c.Operator == "<" || c.Operator == ">=":
		return fmt.Sprintf("the fact moves in steps, and that means the same as %d", steps[above])
	default:
		return fmt.Sprintf("the fact moves in steps, and that means the same as %d", steps[above-1])
	}
}

func listed(steps []int) string {
	texts := make([]string, len(steps))
	for i, step := range steps {
		texts[i] = strconv.Itoa(step)
	}
	return strings.Join(texts, ", ")
}
