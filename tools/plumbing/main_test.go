package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is generated to testdata")

// plumbed returns what a package's plumbing is: the files that are written beside it, by name.
func plumbed(t *testing.T, source string) (map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	const released = "keyward.library.list-books\nkeyward.library.retired\n"
	for name, text := range map[string]string{"service.go": source, "remote/testdata/subjects.txt": released, "servicetest/x": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(dir); err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, name := range []string{"remote/remote.gen.go", "servicetest/fakes.gen.go", "remote/testdata/subjects.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(text)
	}
	return files, nil
}

func TestPlumbingIsWrittenAsRecorded(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("testdata/service.go")
	if err != nil {
		t.Fatal(err)
	}
	files, err := plumbed(t, string(source))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range files {
		golden := filepath.Join("testdata", name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s is not what is recorded (go test -update records it):\n%s", name, got)
		}
	}
}

func TestWhatCannotBePlumbedIsNamed(t *testing.T) {
	t.Parallel()
	const head = "package service\nimport \"context\"\n//keyward:service library\ntype Library "
	for declared, want := range map[string]string{
		"struct{}":             "Library is not an interface",
		"interface{ Missing }": "Missing is not an interface",
		"interface{ ~int }":    "neither a method nor an interface",
		"interface{ GetBook(context.Context, int) (int, error) }":                                       "Library.GetBook reads by its name",
		"interface{\n//keyward:often\nFind(context.Context, int) (int, error) }":                        "a method is //keyward:repeatable",
		"interface{\n//keyward:seeded\n//keyward:repeatable\nFind(context.Context, int) (int, error) }": "or neither",
		"interface{ Find(context.Context) error }":                                                      "Library.Find: a method is",
		"interface{ Find(int, int) (int, error) }":                                                      "Library.Find: a method is",
		"interface{ Find(context.Context, int) int }":                                                   "Library.Find: a method is",
		"interface{ Find(context.Context, func()) (int, error) }":                                       "a type of a kind that is not known",
	} {
		if _, err := plumbed(t, head+declared); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", declared, err)
		}
	}
}
