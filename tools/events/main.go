// Command events writes what follows from api/events/types.yaml, the list of event types: the enums of openapi.yaml and frontend.yaml and
// the messages of asyncapi.yaml, between markers, and the Go constants of core/event and sdk/event. It refuses a list that contradicts
// itself or the schemas beside it, and then writes nothing. It takes the root of the repository as its only argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
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
	if written[filepath.Join(root, "core", "event", "types.gen.go")], err = source(coreSource, types); err != nil {
		return err
	}
	if written[filepath.Join(root, "sdk", "event", "types.gen.go")], err = source(sdkSource, types); err != nil {
		return err
	}
	for file, text := range written {
		if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // sources are for everybody
			return err
		}
	}
	return nil
}
