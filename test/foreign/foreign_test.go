// Package foreign holds the clients' module to what it promises: that somebody else's module can require it and nothing of the product.
package foreign

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const (
	module  = "github.com/keyward/keyward/sdk"
	version = "v0.1.0"
	sdk     = "../../sdk"
)

// TestAForeignModuleBuildsAgainstTheClientsModule builds a program that follows events and verifies webhooks, in a module of its own, as go
// get sees it: from a module proxy, which has the clients' module and the modules that it says it needs, and neither the product nor a
// workspace nor a replacement.
func TestAForeignModuleBuildsAgainstTheClientsModule(t *testing.T) {
	t.Parallel()
	proxy := t.TempDir()
	publish(t, proxy)
	for _, needed := range requirements(t) {
		lend(t, proxy, needed.Path, needed.Version)
	}
	dir := t.TempDir()
	source, err := os.ReadFile("testdata/program/main.go")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "main.go"), source)
	write(t, filepath.Join(dir, "go.mod"), []byte("module example.com/foreign\n\ngo 1.26.0\n"))
	outside := []string{
		"GOPROXY=file://" + filepath.ToSlash(proxy), "GOMODCACHE=" + t.TempDir(), "GOFLAGS=-mod=mod -modcacherw -trimpath", "GOWORK=off",
		"GOSUMDB=off", "GONOPROXY=none", "GOPRIVATE=", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
	}
	run(t, dir, outside, "get", module+"@latest")
	run(t, dir, outside, "build", "-o", filepath.Join(t.TempDir(), "program"), ".")
	for line := range strings.Lines(string(run(t, dir, outside, "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))) {
		if of := strings.TrimSpace(line); strings.HasPrefix(of, "github.com/keyward/") && of != module {
			t.Errorf("the program carries %s of the product", of)
		}
	}
}

// TestTheClientsModuleNeedsTheNATSClientAlone reads what it requires by itself.
func TestTheClientsModuleNeedsTheNATSClientAlone(t *testing.T) {
	t.Parallel()
	var file struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []any
	}
	if err := json.Unmarshal(run(t, sdk, []string{"GOWORK=off"}, "mod", "edit", "-json"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Replace) > 0 {
		t.Errorf("it replaces modules, which no other module sees: %v", file.Replace)
	}
	for _, needed := range file.Require {
		if !needed.Indirect && needed.Path != "github.com/nats-io/nats.go" || strings.HasPrefix(needed.Path, "github.com/keyward/") {
			t.Errorf("it requires %s", needed.Path)
		}
	}
}

// publish lays the clients' module out as a module proxy does (go.dev/ref/mod, "GOPROXY protocol").
func publish(t *testing.T, proxy string) {
	t.Helper()
	at := filepath.Join(proxy, filepath.FromSlash(module), "@v")
	mod, err := os.ReadFile(filepath.Join(sdk, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, "list"), []byte(version+"\n"))
	write(t, filepath.Join(at, version+".info"), []byte(`{"Version":"`+version+`","Time":"2026-01-01T00:00:00Z"}`))
	write(t, filepath.Join(at, version+".mod"), mod)
	var archive bytes.Buffer
	zipped := zip.NewWriter(&archive)
	tree := os.DirFS(sdk)
	files := strings.Fields(string(git(t, "ls-files", "--cached", "--others", "--exclude-standard")))
	if len(files) == 0 {
		t.Fatal("the module has no files")
	}
	for _, name := range files {
		source, err := tree.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := zipped.Create(path.Join(module+"@"+version, name))
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(source); err != nil {
			t.Fatal(err)
		}
		_ = source.Close()
		if _, err := entry.Write(content.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, version+".zip"), archive.Bytes())
}

type required struct{ Path, Version string }

// requirements returns the modules that the clients' module may have to be built with.
func requirements(t *testing.T) []required {
	t.Helper()
	run(t, sdk, []string{"GOWORK=off"}, "mod", "download")
	var all []required
	decoder := json.NewDecoder(bytes.NewReader(run(t, sdk, []string{"GOWORK=off"}, "list", "-m", "-json", "all")))
	for decoder.More() {
		var m struct {
			Path, Version string
			Main          bool
		}
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if !m.Main {
			all = append(all, required{m.Path, m.Version})
		}
	}
	return all
}

// lend copies a module from the machine's cache, which is laid out as a proxy, to the proxy: the go.mod file, and the source if it is
// there.
func lend(t *testing.T, proxy, name, version string) {
	t.Helper()
	cache := strings.TrimSpace(string(run(t, sdk, nil, "env", "GOMODCACHE")))
	for _, kind := range []string{".info", ".mod", ".zip"} {
		file := filepath.Join(filepath.FromSlash(name), "@v", version+kind)
		content, err := os.ReadFile(filepath.Join(cache, "cache", "download", file))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(proxy, file), content)
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs the go command in a directory and returns what it printed.
func run(t *testing.T, dir string, environment []string, args ...string) []byte {
	t.Helper()
	return output(t, dir, environment, "go", args...)
}

func git(t *testing.T, args ...string) []byte {
	t.Helper()
	return output(t, sdk, nil, "git", args...)
}

func output(t *testing.T, dir string, environment []string, name string, args ...string) []byte {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), environment...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	printed, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaint.Bytes())
	}
	return printed
}
