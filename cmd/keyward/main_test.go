package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// build makes the binary as the Makefile does, with a version.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyward")
	cmd := exec.CommandContext(
		t.Context(), "go", "build", "-trimpath", "-tags", "grpcnotrace", "-ldflags",
		"-X main.version=9.8.7 -X main.revision=abcdef", "-o", path, ".",
	)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

func TestTheBinaryServesDrainsOnSIGTERMAndLogsNoSecret(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	binary := build(t)
	version, err := exec.CommandContext(t.Context(), binary, "version").Output()
	if err != nil || !strings.HasPrefix(string(version), "keyward 9.8.7 (abcdef), go1.") {
		t.Errorf("version: %q, %v", version, err)
	}

	cmd := exec.CommandContext(t.Context(), binary, "serve")
	data := filepath.Join(t.TempDir(), "data")
	cmd.Env = append(
		os.Environ(), "KEYWARD_DATA_DIR="+data, "KEYWARD_HTTP_ADDR=127.0.0.1:0", "KEYWARD_GRPC_ADDR=127.0.0.1:0",
		"KEYWARD_ADMIN_ADDR=127.0.0.1:0", "KEYWARD_NATS_ADDR=off",
	)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The greeting ends a start; it holds what to paste.
	lines := bufio.NewScanner(out)
	var said strings.Builder
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "/docs") {
			break
		}
	}
	found := regexp.MustCompile(`curl -u '(pro-1):(corbado1_\w+)' (http://[^/]+)/v2/users`).FindStringSubmatch(said.String())
	if found == nil {
		_ = cmd.Process.Kill()
		t.Fatalf("no call to paste:\n%s%s", said.String(), log.String())
	}
	req, err := http.NewRequestWithContext(
		t.Context(),
		http.MethodPost,
		found[3]+"/v2/users",
		strings.NewReader(`{"fullName": "Ada Lovelace", "status": "active"}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(found[1], found[2])
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	if body, err := io.ReadAll(rsp.Body); err != nil || rsp.StatusCode != http.StatusOK {
		t.Errorf("the call to paste: %d %s %v", rsp.StatusCode, body, err)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, log.String())
	}
	if strings.Contains(log.String(), found[2]) {
		t.Error("the secret is in the log")
	}
	for line := range strings.SplitSeq(strings.TrimSpace(log.String()), "\n") {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["msg"] == nil {
			t.Errorf("not a line of JSON: %q", line)
		}
	}
	wantPrivate(t, data)
	for _, unsafe := range []string{"trying_page is on", "one-time codes are printed", "anybody can sign up"} {
		if n := strings.Count(log.String(), unsafe); n != 1 {
			t.Errorf("that %q was said %d times", unsafe, n)
		}
	}
}

// wantPrivate fails for each file and directory that others than its owner may read.
func wantPrivate(t *testing.T, dir string) {
	t.Helper()
	const others = 0o077
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		about, err := entry.Info()
		if err == nil && about.Mode().Perm()&others != 0 {
			t.Errorf("%s has the mode %s", path, about.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
