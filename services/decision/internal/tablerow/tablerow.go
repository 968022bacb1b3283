// Package tablerow finds the rows that the decision tables of a bundle can answer with, in the rules as they are written, so that it can
// be told which of them nothing has reached. It is pure: it reads the bundle it is given and evaluates nothing.
package tablerow

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// List returns the rows that a bundle's tables can answer with, by action, in the order of their numbers. A row is a text that becomes
// the member rule of an answer, written there or handed to a function that puts it there. An error says which file could not be read or
// parsed.
func List(source fs.FS) (map[string][]string, error) {
	var modules []*ast.Module
	err := fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".rego" || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		content, err := fs.ReadFile(source, name)
		if err != nil {
			return err
		}
		module, err := ast.ParseModuleWithOpts(name, string(content), ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		modules = append(modules, module)
		return nil
	})
	if err != nil {
		return nil, err
	}
	makers := rowMakers(modules)
	rows := map[string][]string{}
	for _, module := range modules {
		action := lastPart(module.Package.Path)
		rows[action] = append(rows[action], rowsOf(module, makers)...)
	}
	for action := range rows {
		slices.SortFunc(rows[action], byNumber)
		rows[action] = slices.Compact(rows[action])
	}
	return rows, nil
}

var firstNumber = regexp.MustCompile(`[0-9]+`)

// byNumber puts L7a before L10.
func byNumber(a, b string) int {
	number := func(row string) int {
		n, _ := strconv.Atoi(firstNumber.FindString(row))
		return n
	}
	return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b))
}

// rowMakers finds the functions that put one of their arguments into the member rule: its position by the function's name.
func rowMakers(modules []*ast.Module) map[string]int {
	makers := map[string]int{}
	for _, module := range modules {
		for _, rule := range module.Rules {
			if len(rule.Head.Args) == 0 || rule.Head.Value == nil {
				continue
			}
			walkRules(rule.Head.Value, func(row *ast.Term) {
				for i, argument := range rule.Head.Args {
					if argument.Equal(row) {
						makers[lastPart(rule.Head.Ref())] = i
					}
				}
			})
		}
	}
	return makers
}

func rowsOf(module *ast.Module, makers map[string]int) []string {
	var rows []string
	note := func(row *ast.Term) {
		if text, ok := row.Value.(ast.String); ok && text != "" {
			rows = append(rows, string(text))
		}
	}
	walkRules(module, note)
	ast.WalkTerms(module, func(term *ast.Term) bool {
		call, ok := term.Value.(ast.Call)
		if !ok {
			return false
		}
		if name, ok := call[0].Value.(ast.Ref); ok {
			if at, ok := makers[lastPart(name)]; ok && at+1 < len(call) {
				note(call[at+1])
			}
		}
		return false
	})
	return rows
}

// walkRules visits the value of every member rule.
func walkRules(node any, visit func(*ast.Term)) {
	ast.WalkTerms(node, func(term *ast.Term) bool {
		if object, ok := term.Value.(ast.Object); ok {
			if row := object.Get(ast.StringTerm("rule")); row != nil {
				visit(row)
			}
		}
		return false
	})
}

func lastPart(ref ast.Ref) string {
	switch last := ref[len(ref)-1].Value.(type) {
	case ast.String:
		return string(last)
	case ast.Var:
		return string(last)
	default:
		return ""
	}
}
