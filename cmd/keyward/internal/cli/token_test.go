package cli_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/core/project"
)

func TestATokenOfAServiceUserIsIssuedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	var api string
	for _, setting := range environ {
		if address, ok := strings.CutPrefix(setting, "KEYWARD_HTTP_ADDR="); ok {
			api = "http://" + address + "/v2/users"
		}
	}
	status := func(method, url, token string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		return rsp.StatusCode
	}
	// The server follows the projects: it may take a moment until it knows the token.
	arrived := func(token string) {
		t.Helper()
		// Whoever asks without pause is taken for one who guesses.
		pause, end := time.NewTicker(100*time.Millisecond), time.After(time.Minute)
		defer pause.Stop()
		for status("GET", api, token) == http.StatusUnauthorized {
			select {
			case <-pause.C:
			case <-end:
				t.Fatal("the token is not let in")
			}
		}
	}
	form := regexp.MustCompile(`^kwk1_1_([A-Za-z0-9]{12})_[A-Z2-7]{26}$`)

	issued := run(t, environ, "token", "create", "--project", "pro-1")
	lines := strings.Split(strings.TrimSuffix(issued.out, "\n"), "\n")
	token := lines[len(lines)-1]
	if issued.code != cli.ExitOK || !form.MatchString(token) ||
		!strings.Contains(issued.out, "permissions  challenges:write credentials:read credentials:write passkeys:append\nexpires      never\n") {
		t.Fatalf("create: %+v", issued)
	}
	arrived(token)
	// Nobody has that user, but who may ask is told so.
	if got := []int{
		status("GET", api+"/usr-1/credentials", token), status("GET", api, token),
	}; got[0] == http.StatusUnauthorized || got[0] == http.StatusForbidden ||
		got[1] != http.StatusForbidden {
		t.Errorf("the token is answered %v", got)
	}

	asJSON := run(
		t, environ, "token", "create", "--project", "pro-1", "--name", "importer", "--permissions",
		"users:read,credentials:read", "--expires", "24h", "-o", "json",
	)
	var made struct {
		ID, Name, Token, Expires string
		Permissions              []string
	}
	if err := json.Unmarshal(
		[]byte(asJSON.out), &made,
	); err != nil || !form.MatchString(made.Token) || made.Name != "importer" || made.Expires == "" ||
		len(made.Permissions) != 2 {
		t.Errorf("create in JSON: %+v %v", asJSON, err)
	}
	arrived(made.Token)
	if got := status("GET", api, made.Token); got != http.StatusOK {
		t.Errorf("it is answered %d", got)
	}
	listed := run(t, environ, "project", "key", "list", "--project", "pro-1")
	if !strings.Contains(listed.out, "  service user  challenges:write ") || !strings.Contains(listed.out, made.ID+"  importer ") {
		t.Errorf("list: %+v", listed)
	}
	if unknown := run(
		t, environ, "token", "create", "--project", "pro-9",
	); unknown.code != cli.ExitFailure ||
		!strings.Contains(unknown.err, "does not exist") {
		t.Errorf("of an unknown project: %+v", unknown)
	}
}

func TestIssuersAreManagedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	const url = "https://id.example.com"
	issuer := func(args ...string) result {
		t.Helper()
		return run(t, environ, append(append([]string{"project", "issuer"}, args...), "--project", "pro-1")...)
	}
	if none := issuer("list"); none.out != "URL  AUDIENCE  SCOPES  USER CLAIM  PERMISSION CLAIM\n" {
		t.Errorf("at first: %+v", none)
	}
	if none := issuer("list", "-o", "json"); none.out != "[]\n" {
		t.Errorf("at first, in JSON: %+v", none)
	}
	added := issuer("add", "--url", url, "--audience", "a")
	if added.code != cli.ExitOK ||
		!strings.Contains(added.out, "scopes            openid urn:zitadel:iam:org:project:id:zitadel:aud\nuser claim        sub\n") {
		t.Errorf("add: %+v", added)
	}
	if again := issuer(
		"add", "--url", url, "--audience", "a",
	); again.code != cli.ExitFailure ||
		!strings.Contains(again.err, "remove it first") {
		t.Errorf("add again: %+v", again)
	}
	other := issuer(
		"add", "--url", url, "--audience", "b", "--scope", "x", "--scope", "y", "--user-claim", "u", "--permission-claim",
		"p", "-o", "json",
	)
	if other.code != cli.ExitOK {
		t.Errorf("add another: %+v", other)
	}
	if local := issuer(
		"add", "--url", "http://127.0.0.1:9000", "--audience", "b", "--any-scope",
	); !strings.Contains(
		local.out, "scopes            any\n",
	) {
		t.Errorf("add one on this machine: %+v", local)
	}
	var all []project.Issuer
	listed := issuer("list", "-o", "json")
	if err := json.Unmarshal([]byte(listed.out), &all); err != nil {
		t.Fatalf("list: %+v %v", listed, err)
	}
	want := []project.Issuer{
		{
			URL:             url,
			Audience:        "a",
			Scopes:          []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
			UserClaim:       "sub",
			PermissionClaim: "permissions",
		},
		{URL: url, Audience: "b", Scopes: []string{"x", "y"}, UserClaim: "u", PermissionClaim: "p"},
		{URL: "http://127.0.0.1:9000", Audience: "b", Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions"},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if table := issuer(
		"list",
	); strings.Count(table.out, "\n") != 4 || !strings.Contains(table.out, url+"  ") ||
		!strings.Contains(table.out, " x y ") {
		t.Errorf("list: %+v", table)
	}

	if which := issuer("remove", "--url", url); which.code != cli.ExitUsage || !strings.Contains(which.err, "with --audience") {
		t.Errorf("remove one of two: %+v", which)
	}
	if removed := issuer("remove", "--url", url, "--audience", "a"); removed.out != "Removed "+url+" for a.\n" {
		t.Errorf("remove: %+v", removed)
	}
	if removed := issuer("remove", "--url", url); removed.out != "Removed "+url+" for b.\n" {
		t.Errorf("remove the other: %+v", removed)
	}
	if again := issuer("remove", "--url", url); again.code != cli.ExitFailure || !strings.Contains(again.err, "does not exist") {
		t.Errorf("remove again: %+v", again)
	}
	for _, args := range [][]string{{"list"}, {"add", "--url", url, "--audience", "a"}, {"remove", "--url", url}} {
		if unknown := run(
			t,
			environ,
			append(append([]string{"project", "issuer"}, args...), "--project", "pro-9")...); unknown.code != cli.ExitFailure ||
			!strings.Contains(unknown.err, "does not exist") {
			t.Errorf("%v of an unknown project: %+v", args, unknown)
		}
	}
}
