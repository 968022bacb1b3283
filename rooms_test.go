package keyward_test

import (
	"go/ast"
	"go/parser"
	"path"
	"testing"
)

// What fits a reader's head: a package that outgrows it is split, a file first.
const (
	packageLines = 1500
	fileLines    = 600
)

func TestNoPackageOutgrowsWhatIsReadInOneSitting(t *testing.T) {
	t.Parallel()
	lines := map[string]int{}
	for _, f := range goFiles(t, ".", parser.ParseComments|parser.SkipObjectResolution) {
		if ast.IsGenerated(f.tree) {
			continue
		}
		count := f.set.File(f.tree.FileStart).LineCount()
		if count > fileLines {
			t.Errorf("%s has %d lines, more than %d", f.name, count, fileLines)
		}
		lines[path.Dir(f.name)] += count
	}
	for name, count := range lines {
		if count > packageLines {
			t.Errorf("package %s has %d lines written by hand, more than %d", name, count, packageLines)
		}
	}
}
