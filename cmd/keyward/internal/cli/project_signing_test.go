package cli_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestSigningKeysAreRotatedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	type key struct{ ID, State string }
	ask := func(args ...string) []key {
		t.Helper()
		answered := run(t, environ, append(append([]string{"project", "signing-keys"}, args...), "-o", "json")...)
		var keys []key
		if err := json.Unmarshal([]byte(answered.out), &keys); err != nil || answered.code != cli.ExitOK {
			t.Fatalf("%v: %+v", args, answered)
		}
		return keys
	}
	states := func(keys []key) string {
		var all []string
		for _, k := range keys {
			all = append(all, k.State)
		}
		return strings.Join(all, " ")
	}
	if keys := ask("list", "pro-1"); len(keys) != 0 {
		t.Errorf("at first: %v", keys)
	}
	first := ask("rotate", "pro-1")
	if states(first) != "active" {
		t.Errorf("the first: %v", first)
	}
	if keys := ask("rotate", "pro-1"); states(keys) != "active next" {
		t.Errorf("rotated: %v", keys)
	}
	second := ask("rotate", "pro-1", "--now")
	if states(second) != "retired active" {
		t.Errorf("rotated at once: %v", second)
	}
	if refused := run(
		t, environ, "project", "signing-keys", "remove", "pro-1", second[1].ID,
	); refused.code != cli.ExitFailure ||
		!strings.Contains(refused.err, "rotate first") {
		t.Errorf("removing the active key: %+v", refused)
	}
	if removed := run(t, environ, "project", "signing-keys", "remove", "pro-1", first[0].ID); removed.code != cli.ExitOK {
		t.Errorf("removing the retired key: %+v", removed)
	}
	listed := run(t, environ, "project", "signing-keys", "list", "pro-1")
	if !strings.HasPrefix(listed.out, "ID ") || strings.Count(listed.out, "\n") != 2 ||
		!strings.Contains(listed.out, second[1].ID+"  active") {
		t.Errorf("list: %+v", listed)
	}
	if unknown := run(
		t, environ, "project", "signing-keys", "rotate", "pro-2",
	); unknown.code != cli.ExitFailure ||
		!strings.Contains(unknown.err, "does not exist") {
		t.Errorf("an unknown project: %+v", unknown)
	}
	if usage := run(t, environ, "project", "signing-keys", "remove", "pro-1"); usage.code != cli.ExitUsage {
		t.Errorf("without a key: %+v", usage)
	}
}

func TestKeysAreRotatedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "pro-1"}, "1 active"},
		{[]string{"rotate", "pro-1"}, "1 retired 2 active"},
		{[]string{"rotate", "pro-1"}, "1 retired 2 retired 3 active"},
		{[]string{"rotate", "pro-1", "--drop"}, "4 active"},
		{[]string{"list", "pro-1"}, "4 active"},
	} {
		answered := run(t, environ, append(append([]string{"project", "keys"}, step.args...), "-o", "json")...)
		var versions []struct {
			Version int
			State   string
		}
		if err := json.Unmarshal([]byte(answered.out), &versions); err != nil || answered.code != cli.ExitOK {
			t.Fatalf("%v: %+v", step.args, answered)
		}
		var got []string
		for _, v := range versions {
			got = append(got, fmt.Sprint(v.Version, " ", v.State))
		}
		if strings.Join(got, " ") != step.want {
			t.Errorf("%v: %v, want %s", step.args, got, step.want)
		}
	}
	if unknown := run(
		t, environ, "project", "keys", "rotate", "pro-2",
	); unknown.code != cli.ExitFailure ||
		!strings.Contains(unknown.err, "does not exist") {
		t.Errorf("an unknown project: %+v", unknown)
	}
}
