package event_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
)

// TestEveryDeclaredTypeIsListed reads the declarations themselves, so that a new type cannot be forgotten.
func TestEveryDeclaredTypeIsListed(t *testing.T) {
	t.Parallel()
	var declared []string
	declared = append(declared, constants(t, "event.go", "Type")...)
	declared = append(declared, constants(t, "../../api/rest/types.gen.go", "PasskeyEventType")...)
	var listed []string
	for _, kind := range event.Types() {
		listed = append(listed, string(kind))
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(slices.Compact(declared), listed); diff != "" {
		t.Error(diff)
	}
}

// constants returns the values of the string constants of a type in a file.
func constants(t *testing.T, file, kind string) []string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		group, ok := n.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			return true
		}
		for _, spec := range group.Specs {
			values = append(values, literals(spec.(*ast.ValueSpec), kind)...)
		}
		return false
	})
	if len(values) == 0 {
		t.Fatalf("%s declares no constant of type %s", file, kind)
	}
	return values
}

func literals(spec *ast.ValueSpec, kind string) []string {
	if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != kind {
		return nil
	}
	var values []string
	for _, value := range spec.Values {
		if literal, ok := value.(*ast.BasicLit); ok && strings.HasPrefix(literal.Value, `"`) {
			text, _ := strconv.Unquote(literal.Value)
			values = append(values, text)
		}
	}
	return values
}
