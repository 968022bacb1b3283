package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/keyward/keyward/policies"
)

// inflatedBundle writes the default bundle with factor times the rows in its login table: before each row stand others that never match.
// It returns the directory.
func (f bench) inflatedBundle(factor int) (string, error) {
	dir := filepath.Join(f.Dir, fmt.Sprintf("policies-%d", factor))
	if err := os.CopyFS(dir, policies.Bundle); err != nil {
		return "", fmt.Errorf("write the bundle: %w", err)
	}
	name := filepath.Join(dir, "login", "login.rego")
	source, err := fs.ReadFile(policies.Bundle, "login/login.rego")
	if err != nil {
		return "", fmt.Errorf("read the bundle: %w", err)
	}
	if err := os.WriteFile(name, []byte(inflate(string(source), factor)), 0o600); err != nil {
		return "", fmt.Errorf("write the bundle: %w", err)
	}
	return dir, nil
}

var row = regexp.MustCompile(`(?m)^else := .*$`)

func inflate(source string, factor int) string {
	var conditions strings.Builder
	n := 0
	rows := row.ReplaceAllStringFunc(source, func(line string) string {
		var rows strings.Builder
		for range factor - 1 {
			n++
			fmt.Fprintf(&rows, "else := deny(\"N%d\", \"default-deny\") if never_%d\n\n", n, n)
			fmt.Fprintf(&conditions, "\nnever_%d if {\n\tinput.client.osVersion == %d\n\tinput.credentials.total > %d\n}\n", n, 1_000_000+n, n)
		}
		return rows.String() + line
	})
	return rows + conditions.String()
}
