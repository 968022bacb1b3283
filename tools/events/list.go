package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// eventType is an entry of the list, with what its schema says.
type eventType struct {
	Name    string
	Go      string
	From    []string
	Of      string
	Answers string
	Stream  string

	Summary string `yaml:"-"` // the description in the schema
}

func (t eventType) Backend() bool  { return slices.Contains(t.From, "backend") }
func (t eventType) Frontend() bool { return slices.Contains(t.From, "frontend") }
func (t eventType) Engine() bool   { return slices.Contains(t.From, "engine") }
func (t eventType) Observed() bool { return t.Stream == "offers" }
func (t eventType) Security() bool { return t.Of == "installation" }

// file is what the schema of the type is called, without its ending; so is its title, with a colon.
func (t eventType) file() string {
	if t.Security() {
		return "audit-" + t.Name
	}
	return t.Name
}

// split returns the types of users' events and those of security events.
func split(types []eventType) (ofUsers, security []eventType) {
	for _, t := range types {
		if t.Security() {
			security = append(security, t)
		} else {
			ofUsers = append(ofUsers, t)
		}
	}
	return ofUsers, security
}

// readTypes reads the list and the schemas in the directory, and reports everything that is wrong with them.
func readTypes(dir string) ([]eventType, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "types.yaml")) //nolint:gosec // the caller says which repository
	if err != nil {
		return nil, err
	}
	types, err := parseTypes(raw)
	if err != nil {
		return nil, fmt.Errorf("types.yaml: %w", err)
	}
	var errs []error
	schemas := map[string]bool{}
	for i := range types {
		file := types[i].file() + ".json"
		schemas[file] = true
		if types[i].Summary, err = summary(filepath.Join(dir, file), types[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	for _, file := range files {
		if name := filepath.Base(file); !schemas[name] && !strings.HasPrefix(name, "decision-") {
			errs = append(errs, fmt.Errorf("%s: types.yaml lists no such type", name))
		}
	}
	return types, errors.Join(append(errs, err)...)
}

var typeName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

func parseTypes(raw []byte) ([]eventType, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	var types []eventType
	if err := decoder.Decode(&types); err != nil {
		return nil, err
	}
	var errs []error
	names, constants := map[string]bool{}, map[string]bool{}
	for i := range types {
		t := &types[i]
		if t.Go == "" {
			t.Go = constant(t.Name)
		}
		if names[t.Name] || constants[t.Go] {
			errs = append(errs, fmt.Errorf("%s: is there twice", t.Name))
		}
		names[t.Name], constants[t.Go] = true, true
		for _, problem := range t.problems() {
			errs = append(errs, fmt.Errorf("%s: %s", t.Name, problem))
		}
	}
	return types, errors.Join(errs...)
}

// problems returns what an entry must not say.
func (t eventType) problems() []string {
	var problems []string
	check := func(holds bool, problem string) {
		if !holds {
			problems = append(problems, problem)
		}
	}
	check(typeName.MatchString(t.Name), "name must be lower-case words joined by -")
	check(len(t.From) > 0, "from names nobody")
	for _, from := range t.From {
		check(slices.Contains([]string{"engine", "backend", "frontend"}, from), "from must be engine, or backend and frontend")
	}
	check(!t.Engine() || len(t.From) == 1, "what the engine tells of nobody else does")
	check(!t.Frontend() || t.Backend(), "what clients may tell of the backend may")
	check(slices.Contains([]string{"history", "account", "installation"}, t.Of), "of must be history, account or installation")
	check(!t.Security() || t.Engine(), "of the installation the engine tells alone")
	check(slices.Contains([]string{"", "login", "append"}, t.Answers), "answers must be login or append")
	check(t.Answers == "" || t.Backend() && t.Of == "history", "answers is for what callers tell, of history")
	check(
		t.Stream == "" || t.Stream == "offers" && t.Engine() && t.Of == "history", "stream must be offers, of what the engine tells of history",
	)
	return problems
}

// constant returns login-error as LoginError.
func constant(name string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		if word != "" {
			out.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return out.String()
}

// summary returns the description in a type's schema.
func summary(file string, t eventType) (string, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // as above
	if err != nil {
		return "", err
	}
	var schema struct {
		Title, Description string
		Properties         struct {
			Type struct{ Const string }
		}
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		return "", err
	}
	if title := strings.Replace(t.file(), "audit-", "audit: ", 1); schema.Title != title || schema.Properties.Type.Const != t.Name {
		return "", fmt.Errorf("title must be %s, and the constant of type %s", title, t.Name)
	}
	if schema.Description == "" || strings.ContainsAny(schema.Description, "\n\"\\") {
		return "", errors.New("description must be one line of plain text")
	}
	return schema.Description, nil
}
