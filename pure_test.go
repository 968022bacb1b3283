package keyward_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// concurrent are packages by which one package runs in several goroutines, or guards against it.
var concurrent = []string{"sync", "sync/atomic", "golang.org/x/sync/errgroup", "net", "net/http", "net/http/httptest"}

// The race detector can be spared where there is one goroutine. Tests run beside each other in theirs, with values of their own.
func TestWhatRunsWithoutTheRaceDetectorStartsNoGoroutine(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^PURE := (.+)$`).FindSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile names no packages that are pure")
	}
	for _, pattern := range strings.Fields(string(list[1])) {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			names := filesOf(t, pattern)
			if len(names) == 0 {
				t.Error("there is no file")
			}
			for _, name := range names {
				concurrency(t, name)
			}
		})
	}
}

// filesOf returns the Go files of a pattern of packages, tests included.
func filesOf(t *testing.T, pattern string) []string {
	t.Helper()
	root, deep := strings.CutSuffix(pattern, "/...")
	var names []string
	err := filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && filepath.Clean(name) != filepath.Clean(root) && (!deep || notOurs(name)):
			return filepath.SkipDir
		case path.Ext(name) == ".go":
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func concurrency(t *testing.T, name string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range file.Imports {
		if of, err := strconv.Unquote(imported.Path.Value); err != nil || slices.Contains(concurrent, of) {
			t.Errorf("%s: imports %s", set.Position(imported.Pos()), imported.Path.Value)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if started, ok := n.(*ast.GoStmt); ok {
			t.Errorf("%s: starts a goroutine", set.Position(started.Pos()))
		}
		return true
	})
}
