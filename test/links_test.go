package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What leads a reader into the tree must lead somewhere: a file that is there, a command that the Makefile knows.
func TestTheLinksAndCommandsOfTheDocumentsLeadSomewhere(t *testing.T) {
	t.Parallel()
	link, target := regexp.MustCompile(`\]\(([^)#\s]+)`), regexp.MustCompile("`make ([a-z-]+)[` ]")
	makefile := repoFile(t, "Makefile")
	var documents []string
	for _, pattern := range []string{"*.md", "docs/*.md", "bench/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, found...)
	}
	for _, path := range documents {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			// Elsewhere, or at the server that the document is about.
			if to := found[1]; !strings.Contains(to, ":") && !strings.HasPrefix(to, "/") {
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			}
		}
		for _, found := range target.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(makefile, "\n"+found[1]+":") {
				t.Errorf("%s: the Makefile has no %q", path, found[1])
			}
		}
	}
}
