package cli_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

// setting returns a variable of an environment.
func setting(t *testing.T, environ []string, name string) string {
	t.Helper()
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	t.Fatalf("%s is not set", name)
	return ""
}

func TestOperatorsAreManagedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	tokenForm := regexp.MustCompile(`(?m)^keyop_[0-9]{19}_[A-Z2-7]{26}$`)
	call := func(token string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(
			t.Context(), http.MethodGet, "http://"+setting(t, environ, "KEYWARD_HTTP_ADDR")+"/operator/v1/me", nil,
		)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		rsp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		return rsp.StatusCode
	}

	text := run(t, environ, "operator", "create", "--name", "Ada", "--role", "author", "--expires", "90d")
	token := tokenForm.FindString(text.out)
	if text.code != cli.ExitOK || token == "" || !strings.HasSuffix(text.out, token+"\n") || !strings.Contains(text.out, "role      author") {
		t.Fatalf("create: %+v", text)
	}
	if got := call(token); got != 200 {
		t.Errorf("the token is answered with %d", got)
	}
	var made struct{ ID, Name, Role, Token, Expires, CreatedBy string }
	asJSON := run(t, environ, "operator", "create", "--name", "Bob", "--role", "viewer", "-o", "json")
	if err := json.Unmarshal([]byte(asJSON.out), &made); err != nil || made.Name != "Bob" || made.Role != "viewer" || made.Expires != "" ||
		made.CreatedBy != "keyward operator create" || !tokenForm.MatchString(made.Token) {
		t.Fatalf("create: %+v, %v", asJSON, err)
	}
	listed := run(t, environ, "operator", "list")
	if strings.Count(listed.out, "\n") != 4 || !strings.Contains(listed.out, "local") || !strings.Contains(listed.out, "Ada") ||
		!strings.Contains(listed.out, made.ID) || tokenForm.MatchString(listed.out) || strings.Contains(listed.out, "keyop_") {
		t.Errorf("list: %+v", listed)
	}
	if revoked := run(t, environ, "operator", "revoke", made.ID); revoked.code != cli.ExitOK || revoked.out != "Revoked "+made.ID+" (Bob).\n" {
		t.Errorf("revoke: %+v", revoked)
	}
	for call(made.Token) != 401 { // as soon as the gateway is told, which the time of the test bounds
		continue
	}
	again := run(t, environ, "operator", "revoke", made.ID)
	if again.code != cli.ExitFailure || !strings.Contains(again.err, "does not exist") {
		t.Errorf("revoke again: %+v", again)
	}

	var all []struct{ ID, Name string }
	if err := json.Unmarshal([]byte(run(t, environ, "operator", "list", "-o", "json").out), &all); err != nil || all[0].Name != "local" {
		t.Fatalf("%+v, %v", all, err)
	}
	last := all[0].ID
	refused := run(t, environ, "operator", "revoke", last)
	if refused.code != cli.ExitFailure || !strings.Contains(refused.err, "last admin") {
		t.Errorf("revoke the last admin: %+v", refused)
	}
	elsewhere := run(t, environ, "operator", "revoke", last, "--force", "--nats-url", "nats://keyward.example")
	if elsewhere.code != cli.ExitUsage || !strings.Contains(elsewhere.err, "--data-dir") {
		t.Errorf("by force from elsewhere: %+v", elsewhere)
	}
	if forced := run(t, environ, "operator", "revoke", last, "--force"); forced.code != cli.ExitOK {
		t.Errorf("by force: %+v", forced)
	}

	told, raw, _ := audited(t, environ)
	var got []string
	for _, e := range told {
		got = append(got, string(e.Type)+" "+e.Operator.Name+" "+e.Operator.Role+" by "+e.Actor.Name+strings.TrimSuffix(" "+e.Reason, " "))
	}
	want := []string{
		"operator-created Ada author by keyward operator create", "operator-created Bob viewer by keyward operator create",
		"operator-revoked Bob viewer by keyward operator revoke",
		"operator-revoked local admin by keyward operator revoke forced: whether an admin is left was not looked at",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(raw, "keyop_") || strings.Contains(raw, strings.Split(token, "_")[2]) {
		t.Errorf("the stream holds a token: %s", raw)
	}
}

// With a URL and a token nobody needs the NATS of the server: neither its password nor its data directory is at hand here.
func TestOperatorsProjectsAndKeysAreManagedOverTheOperatorAPI(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	made := run(t, environ, "operator", "create", "--name", "Ada", "--role", "admin")
	token := regexp.MustCompile(`(?m)^keyop_\S+$`).FindString(made.out)
	url := "http://" + setting(t, environ, "KEYWARD_HTTP_ADDR")
	away := []string{"KEYWARD_OPERATOR_URL=" + url, "KEYWARD_OPERATOR_TOKEN=" + token, "KEYWARD_DATA_DIR=" + t.TempDir()}
	ok := func(args ...string) string {
		t.Helper()
		told := run(t, away, args...)
		if told.code != cli.ExitOK {
			t.Fatalf("%v: %+v", args, told)
		}
		return told.out
	}
	var bob, key struct{ ID, Token, Key, Expires string }
	read := func(text string, into any) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	read(ok("operator", "create", "--name", "Bob", "--role", "viewer", "--project", "pro-1", "--expires", "1h", "-o", "json"), &bob)
	if !strings.HasPrefix(bob.Token, "keyop_") || bob.Expires == "" {
		t.Errorf("created %+v", bob)
	}
	told := ok("operator", "list")
	if !strings.Contains(told, bob.ID) || !strings.Contains(told, "pro-1") || strings.Contains(told, "keyop_") {
		t.Errorf("list: %s", told)
	}
	if told := ok("operator", "passkeys", "list", bob.ID); strings.Count(told, "\n") != 1 {
		t.Errorf("passkeys: %s", told)
	}
	if told := ok("operator", "revoke", bob.ID); told != "Revoked "+bob.ID+" (Bob).\n" {
		t.Errorf("revoke: %s", told)
	}
	if told := ok("project", "list"); !strings.Contains(told, "pro-1") {
		t.Errorf("projects: %s", told)
	}
	asked := []string{"--project", "pro-1", "--name", "k", "--permission", "users:read", "--expires", "1h", "-o", "json"}
	read(ok(append([]string{"project", "key", "create"}, asked...)...), &key)
	if key.Key == "" || key.Expires == "" || !strings.Contains(ok("project", "key", "list", "--project", "pro-1"), key.ID) {
		t.Errorf("the key is %+v", key)
	}
	ok("project", "key", "revoke", key.ID, "--project", "pro-1")
	if told := ok("token", "create", "--project", "pro-1"); !strings.Contains(told, "not shown again") {
		t.Errorf("token: %s", told)
	}
	revoked := []string{away[0], "KEYWARD_OPERATOR_TOKEN=" + bob.Token, away[2]}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		code    int
		says    string
	}{
		"who is not there":     {away, []string{"operator", "revoke", bob.ID}, cli.ExitFailure, "does not exist"},
		"a passkey of nobody":  {away, []string{"operator", "passkeys", "remove", bob.ID, "cre-1"}, cli.ExitFailure, "does not exist"},
		"by force":             {away, []string{"operator", "revoke", bob.ID, "--force"}, cli.ExitUsage, "--data-dir"},
		"a wrong token":        {revoked, []string{"operator", "list"}, cli.ExitFailure, "token"},
		"no token":             {[]string{away[0], away[2]}, []string{"project", "list"}, cli.ExitUsage, "KEYWARD_OPERATOR_TOKEN"},
		"of a foreign project": {away, []string{"project", "key", "list", "--project", "pro-9"}, cli.ExitFailure, "pro"},
	} {
		if told := run(t, c.environ, c.args...); told.code != c.code || !strings.Contains(told.err, c.says) {
			t.Errorf("%s: %+v", name, told)
		}
	}
}
