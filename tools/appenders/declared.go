package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// declared is what a package declares.
type declared struct {
	path, name string
	dir        string
	types      map[string]ast.Expr
	imports    map[string]string // paths by the names that files of the package have for them
}

// typed is a type as it stands in a package.
type typed struct {
	in *declared
	of ast.Expr
}

// read takes in what a package declares.
func read(dir string) (*declared, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	d := &declared{dir: dir, types: map[string]ast.Expr{}, imports: map[string]string{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || filepath.Base(name) == written {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		d.name = file.Name.Name
		for _, imported := range file.Imports {
			if err := d.imported(imported); err != nil {
				return nil, err
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, is := n.(*ast.TypeSpec); is {
				d.types[spec.Name.Name] = spec.Type
			}
			return true
		})
	}
	return d, nil
}

func (d *declared) imported(spec *ast.ImportSpec) error {
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return err
	}
	name := path[strings.LastIndex(path, "/")+1:]
	if spec.Name != nil {
		name = spec.Name.Name
	}
	d.imports[name] = path
	return nil
}

// other returns what another package of the same module declares; nil if it is of none.
func (w *writer) other(path string) *declared {
	if known, read := w.packages[path]; read {
		return known
	}
	w.packages[path] = nil
	root, module, err := moduleOf(w.own.dir)
	below, within := strings.CutPrefix(path, module+"/")
	if err != nil || !within {
		return nil
	}
	found, err := read(filepath.Join(root, filepath.FromSlash(below)))
	if err != nil || found.name == "" {
		return nil
	}
	found.path = path
	w.packages[path] = found
	return found
}

// moduleOf returns the directory of the module that a directory is in, and its path.
func moduleOf(dir string) (root, path string, err error) {
	if root, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	for {
		raw, err := os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil {
			first, _, _ := strings.Cut(string(raw), "\n")
			return root, strings.TrimSpace(strings.TrimPrefix(first, "module ")), nil
		}
		if parent := filepath.Dir(root); errors.Is(err, fs.ErrNotExist) && parent != root {
			root = parent
			continue
		}
		return "", "", err
	}
}

// named follows a name to where it is declared.
func (w *writer) named(of typed) typed {
	if selected, is := of.of.(*ast.SelectorExpr); is {
		if in := w.other(of.in.imports[named(selected.X)]); in != nil && in.types[selected.Sel.Name] != nil {
			return typed{in, selected.Sel}
		}
	}
	return of
}

// underlying follows the names that packages of the module declare.
func (w *writer) underlying(of typed) typed {
	for {
		of = w.named(of)
		name, is := of.of.(*ast.Ident)
		if !is || of.in.types[name.Name] == nil {
			return of
		}
		of.of = of.in.types[name.Name]
	}
}

// kind is what a type comes to, or empty. The IDs of another module are texts: if not, what is written does not compile.
func (w *writer) kind(of typed) string {
	switch under := w.underlying(of); of := under.of.(type) {
	case *ast.StructType:
		return "struct"
	case *ast.ArrayType:
		if element, is := of.Elt.(*ast.Ident); is && element.Name == "byte" && of.Len == nil {
			return "bytes"
		}
		if of.Len == nil {
			return "list"
		}
	case *ast.SelectorExpr:
		if of.Sel.Name == "RawMessage" {
			return "raw"
		}
		return "string"
	case *ast.Ident:
		switch of.Name {
		case "string", "bool":
			return of.Name
		case "int", "int32", "int64":
			return "int"
		case "uint32", "uint64":
			return "uint"
		case "float64":
			if w.flavour == "v1" {
				return "float"
			}
		}
	}
	return ""
}
