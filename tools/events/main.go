// Command events writes what follows from api/events/types.yaml, the list of event types: the enums of openapi.yaml and frontend.yaml and
// the messages of asyncapi.yaml, between markers, and the Go constants of core/event and core/audit, sdk/event and sdk/audit. It refuses a
// list that contradicts
// itself or the schemas beside it, and then writes nothing. It takes the root of the repository as its only argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the root of the repository, got %q", args)
	}
	root := args[0]
	types, err := readTypes(filepath.Join(root, "api", "events"))
	if err != nil {
		return err
	}
	written := map[string][]byte{}
	for _, d := range documents(types) {
		file := filepath.Join(root, "api", d.name)
		text, err := os.ReadFile(file) //nolint:gosec // the caller says which repository
		if err != nil {
			return err
		}
		if written[file], err = d.fill(text); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	ofUsers, security := split(types)
	for _, made := range []struct {
		dir      string
		template *template.Template
		types    []eventType
	}{
		{"core/event", coreSource, ofUsers}, {"sdk/event", sdkSource, ofUsers}, {"core/audit", audit, security}, {"sdk/audit", audit, security},
	} {
		file := filepath.Join(root, filepath.FromSlash(made.dir), "types.gen.go")
		if written[file], err = source(made.template, made.types); err != nil {
			return err
		}
	}
	for file, text := range written {
		if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // sources are for everybody
			return err
		}
	}
	return nil
}
