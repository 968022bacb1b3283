// Plumbing writes what carries the calls of core/service: the method table, the NATS client and server of each service
// (core/service/remote) and the fakes that record (core/service/servicetest). It reads the interfaces that say by a comment which service
// they are of:
//
//	//keyward:service events
//
// Every method of one takes a context and a request, returns an answer and an error, and is called by its name in kebab case on the bus.
// One that may be called twice to the same effect as once says so by //keyward:repeatable, or by //keyward:seeded if that needs a seed.
// What is named Get or List must, so that no new read is forgotten.
// It adds the subject of a new method to those that were released (remote/testdata/subjects.txt), and takes none away: a test tells what
// is no longer served.
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"unicode"
)

const (
	directive  = "//keyward:"
	repeatable = "repeatable"
	seeded     = "seeded"
)

//go:embed plumbing.tmpl
var source string

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: plumbing <directory of core/service>")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "plumbing:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	read, err := readPackage(dir)
	if err != nil {
		return err
	}
	services, err := read.services()
	if err != nil {
		return err
	}
	templates := template.Must(
		template.New("").Funcs(template.FuncMap{"kebab": kebab, "lower": lowerFirst, "title": upperFirst, "quoted": quoted}).Parse(source),
	)
	for name, path := range map[string]string{"remote": "remote/remote.gen.go", "servicetest": "servicetest/fakes.gen.go"} {
		var out bytes.Buffer
		if err := templates.ExecuteTemplate(&out, name, map[string]any{"Imports": read.used(), "Services": services}); err != nil {
			return err
		}
		formatted, err := format.Source(out.Bytes())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), formatted, 0o600); err != nil { //nolint:gosec // the caller says where
			return err
		}
	}
	return addSubjects(filepath.Join(dir, "remote/testdata/subjects.txt"), services)
}

// addSubjects keeps what the list of released subjects has.
func addSubjects(path string, services []service) error {
	released, err := os.ReadFile(path) //nolint:gosec // the caller says where
	if err != nil {
		return err
	}
	subjects := strings.Fields(string(released))
	for _, s := range services {
		for _, i := range s.Interfaces {
			for _, m := range i.Methods {
				subjects = append(subjects, "keyward."+s.Name+"."+kebab(m.Name))
			}
		}
	}
	slices.Sort(subjects)
	return os.WriteFile(path, []byte(strings.Join(slices.Compact(subjects), "\n")+"\n"), 0o600) //nolint:gosec // the caller says where
}

// A service is what listens under one name on the bus.
type service struct {
	Name       string
	Interfaces []iface
}

type iface struct {
	Name    string
	Methods []method
}

type method struct{ Name, Request, Answer, again string }

// Repeatable returns the names on the bus of what may be called twice.
func (s service) Repeatable() []string { return s.again(repeatable) }

// Seeded returns the names on the bus of what may be called twice with one seed.
func (s service) Seeded() []string { return s.again(seeded) }

func (s service) again(how string) []string {
	var names []string
	for _, i := range s.Interfaces {
		for _, m := range i.Methods {
			if m.again == how {
				names = append(names, kebab(m.Name))
			}
		}
	}
	return names
}

// A source package, as far as interfaces go.
type sourcePackage struct {
	types      map[string]ast.Expr
	serviceOf  map[string]string // by name of an interface
	imports    map[string]string // path by name
	mentioned  map[string]bool   // names of imports
	interfaces []string          // those of a service, sorted
}

func readPackage(dir string) (*sourcePackage, error) {
	p := &sourcePackage{
		types: map[string]ast.Expr{}, serviceOf: map[string]string{}, imports: map[string]string{}, mentioned: map[string]bool{},
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.add(file)
	}
	slices.Sort(p.interfaces)
	return p, nil
}

func (p *sourcePackage) add(file *ast.File) {
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		p.imports[path[strings.LastIndex(path, "/")+1:]] = path
	}
	for _, decl := range file.Decls {
		types, ok := decl.(*ast.GenDecl)
		if !ok || types.Tok != token.TYPE {
			continue
		}
		for _, spec := range types.Specs {
			declared := spec.(*ast.TypeSpec)
			p.types[declared.Name.Name] = declared.Type
			for _, name := range directives(types.Doc, "service ") {
				p.serviceOf[declared.Name.Name] = name
				p.interfaces = append(p.interfaces, declared.Name.Name)
			}
		}
	}
}

// directives returns what a comment says after a word for this program, without the word.
func directives(doc *ast.CommentGroup, word string) []string {
	if doc == nil {
		return nil
	}
	var said []string
	for _, line := range doc.List {
		if text, ok := strings.CutPrefix(line.Text, directive+word); ok {
			said = append(said, strings.TrimSpace(text))
		}
	}
	return said
}

// services returns every service, the interface that bears its name first.
func (p *sourcePackage) services() ([]service, error) {
	var found []service
	for _, name := range p.interfaces {
		methods, err := p.methods(name)
		if err != nil {
			return nil, err
		}
		of := p.serviceOf[name]
		i := slices.IndexFunc(found, func(s service) bool { return s.Name == of })
		if i < 0 {
			i, found = len(found), append(found, service{Name: of})
		}
		made := iface{Name: name, Methods: methods}
		if strings.EqualFold(name, of) {
			found[i].Interfaces = slices.Insert(found[i].Interfaces, 0, made)
		} else {
			found[i].Interfaces = append(found[i].Interfaces, made)
		}
	}
	return found, nil
}

// methods returns the methods of an interface, those of the interfaces in it included, in the order of the source.
func (p *sourcePackage) methods(name string) ([]method, error) {
	declared, ok := p.types[name].(*ast.InterfaceType)
	if !ok {
		return nil, fmt.Errorf("%s is not an interface of this package", name)
	}
	var all []method
	for _, field := range declared.Methods.List {
		switch t := field.Type.(type) {
		case *ast.Ident:
			inner, err := p.methods(t.Name)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
		case *ast.FuncType:
			m, err := p.method(field.Names[0].Name, t)
			if err == nil {
				m.again, err = again(m.Name, field.Doc)
			}
			if err != nil {
				return nil, fmt.Errorf("%s.%w", name, err)
			}
			all = append(all, m)
		default:
			return nil, fmt.Errorf("%s holds what is neither a method nor an interface of this package", name)
		}
	}
	return all, nil
}

// again returns how a method may be called twice, or nothing.
func again(name string, doc *ast.CommentGroup) (string, error) {
	switch said := directives(doc, ""); {
	case len(said) > 1 || len(said) == 1 && said[0] != repeatable && said[0] != seeded:
		return "", fmt.Errorf("%s: a method is %s%s, %s%s or neither", name, directive, repeatable, directive, seeded)
	case len(said) == 1:
		return said[0], nil
	case strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List"):
		return "", fmt.Errorf("%s reads by its name, and does not say %s%s", name, directive, repeatable)
	}
	return "", nil
}

var errSignature = errors.New("a method is func(context.Context, Request) (Answer, error)")

func (p *sourcePackage) method(name string, f *ast.FuncType) (method, error) {
	if f.Params.NumFields() != 2 || f.Results.NumFields() != 2 || len(f.Params.List) != 2 || len(f.Results.List) != 2 {
		return method{}, fmt.Errorf("%s: %w", name, errSignature)
	}
	first, err := p.written(f.Params.List[0].Type)
	request, err2 := p.written(f.Params.List[1].Type)
	answer, err3 := p.written(f.Results.List[0].Type)
	last, err4 := p.written(f.Results.List[1].Type)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return method{}, fmt.Errorf("%s: %w", name, err)
	}
	if first != "context.Context" || last != "error" {
		return method{}, fmt.Errorf("%s: %w", name, errSignature)
	}
	return method{Name: name, Request: request, Answer: answer}, nil
}

// written returns a type as another package writes it.
func (p *sourcePackage) written(e ast.Expr) (string, error) {
	switch t := e.(type) {
	case *ast.Ident:
		if _, ours := p.types[t.Name]; ours {
			return "service." + t.Name, nil
		}
		return t.Name, nil
	case *ast.SelectorExpr:
		pkg := t.X.(*ast.Ident).Name
		p.mentioned[pkg] = true
		return pkg + "." + t.Sel.Name, nil
	case *ast.StarExpr:
		inner, err := p.written(t.X)
		return "*" + inner, err
	case *ast.ArrayType:
		inner, err := p.written(t.Elt)
		return "[]" + inner, err
	case *ast.IndexExpr:
		generic, err := p.written(t.X)
		argument, err2 := p.written(t.Index)
		return generic + "[" + argument + "]", errors.Join(err, err2)
	default:
		return "", fmt.Errorf("a type of a kind that is not known here: %T", e)
	}
}

// used returns the paths of what the methods' types come from.
func (p *sourcePackage) used() []string {
	var paths []string
	for name := range p.mentioned {
		if name != "context" {
			paths = append(paths, p.imports[name])
		}
	}
	slices.Sort(paths)
	return paths
}

func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// quoted returns names as arguments of a call.
func quoted(names []string) string {
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(name))
	}
	return b.String()
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

func upperFirst(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
