// Package keyward_test holds the tests of the tree as a whole: what may import what, and how errors are told apart.
package keyward_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/keyward/keyward/"

// goFile is a file of the product that is no test.
type goFile struct {
	name string // from the root, with slashes
	set  *token.FileSet
	tree *ast.File
}

// at returns where something stands, as editors read it.
func (f goFile) at(p token.Pos) string { return f.set.Position(p).String() }

// goFiles parses the Go files of the product, the SDK and the tools, but for their tests; not those of modules that only pin a tool.
func goFiles(t *testing.T, root string, mode parser.Mode) []goFile {
	t.Helper()
	var files []goFile
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && notOurs(name):
			return fs.SkipDir
		case entry.IsDir() && name != "." && exists(filepath.Join(root, name, "go.mod")) && name != "sdk" && name != "tools":
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		set := token.NewFileSet()
		source, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		tree, err := parser.ParseFile(set, name, source, mode)
		if err != nil {
			return err
		}
		files = append(files, goFile{name, set, tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// notOurs reports whether a folder holds what is built, fetched or read by tests: the go command, too, passes over all of it.
func notOurs(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || base == "node_modules" || base == "testdata" || name == "bin" || name == "data" ||
		name == "coverage"
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
