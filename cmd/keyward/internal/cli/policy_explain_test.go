package cli_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/policies"
)

// runWith is run with something on standard input.
func runWith(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), args, command.Terminal{In: strings.NewReader(in), Out: &out, Err: &errs}, telemetry.Build{})
	return result{code, out.String(), errs.String()}
}

// loginFacts are those of a client that nothing speaks against.
const loginFacts = `{
	"complete": true, "account": "active", "strategy": "standard",
	"client": {"os": "macos", "osVersion": 15, "browser": "safari", "native": false,
		"mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on",
		"conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"credentials": {"total": 1, "likely": 1, "uncertain": 0, "remote": 0, "securityKey": 0},
	"cda": {"client": true, "remoteHigh": false, "remoteLow": false, "route": false}, "securityKeyOnly": false,
	"pair": {"localStreak": 1, "cdaStreak": 0, "securityKeyStreak": 0,
		"noCredentials": false, "lastFailedRoute": "local", "positive": false, "lastRoute": "",
		"positiveSecurityKey": false, "existsHere": false, "createdHere": false},
	"blacklist": {"login": false, "appendAfterHybrid": false, "appendAfterError": false}, "experiments": {}
}`

// rolloutFacts are those of a client that asks whether passkeys are switched on.
const rolloutFacts = `{
	"complete": true,
	"client": {"os": "macos", "osVersion": 15, "browser": "safari", "native": false,
		"mobile": false, "desktop": true, "privateMode": false, "webdriver": false},
	"support": {"webauthn": true, "uvpa": true, "ble": "on",
		"conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false},
	"environment": {"known": true, "rejected": false, "listed": "none"},
	"rollout": {"action": "login", "identifier": "none", "invitation": "", "browserVersion": 18, "samples": {}, "flags": {}}
}`

// changedPolicy returns a directory with the default bundle without its tests, in which one failure is enough.
func changedPolicy(t *testing.T) string {
	t.Helper()
	return policyWith(t, `"streakThreshold": 2`, `"streakThreshold": 1`)
}

// policyWith returns a directory with the default bundle without its tests, and something else in its data.
func policyWith(t *testing.T, was, is string) string {
	t.Helper()
	dir := t.TempDir()
	err := fs.WalkDir(policies.Bundle, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.rego") {
			return err
		}
		content, err := policies.Bundle.ReadFile(name)
		if err != nil {
			return err
		}
		if name == "data.json" {
			changed := bytes.ReplaceAll(content, []byte(was), []byte(is))
			if bytes.Equal(changed, content) {
				t.Fatalf("data.json has no %s", was)
			}
			content = changed
		}
		target := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFactsAreAnsweredByABundle(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "facts.json")
	if err := os.WriteFile(file, []byte(loginFacts), 0o600); err != nil {
		t.Fatal(err)
	}
	changed := changedPolicy(t)
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		want string // in what is printed, or in the complaint if the exit code is not 0
	}{
		"the answer document": {"", []string{"--input", file}, cli.ExitOK, `"rule": "L9"`},
		"from standard input": {loginFacts, []string{"--input", "-"}, cli.ExitOK, `"rule": "L9"`},
		"by another bundle":   {loginFacts, []string{"--input", "-", "--bundle", changed}, cli.ExitOK, `"rule": "L7a"`},
		"why": {
			loginFacts, []string{"--input", "-", "--explain"}, cli.ExitOK, "did not match: credentials.total is 1, not 0",
		},
		"facts of a rollout":       {rolloutFacts, []string{"--input", "-"}, cli.ExitOK, `"rule": "R5"`},
		"why, as JSON":             {loginFacts, []string{"--input", "-", "--explain", "--json"}, cli.ExitOK, `"above": [`},
		"without facts":            {"", nil, cli.ExitUsage, "--input is needed"},
		"a file that is not there": {"", []string{"--input", file + "x"}, cli.ExitUsage, "facts.jsonx"},
		"no object":                {"[]", []string{"--input", "-"}, cli.ExitUsage, "not a JSON object"},
		"an unknown fact": {
			strings.Replace(loginFacts, `"complete"`, `"weather": 1, "complete"`, 1), []string{"--input", "-"}, cli.ExitUsage,
			"unknown fact weather",
		},
		"a fact of the wrong type": {
			strings.Replace(loginFacts, `"total": 1`, `"total": "one"`, 1), []string{"--input", "-"}, cli.ExitUsage,
			"fact credentials.total: got string, want integer",
		},
		"facts of nothing": {
			strings.Replace(loginFacts, `"strategy": "standard",`, "", 1), []string{"--input", "-"}, cli.ExitUsage, "give --action",
		},
		"facts of something else": {
			loginFacts, []string{"--input", "-", "--action", "append"}, cli.ExitUsage, "these are not the facts of append",
		},
		"an unknown action": {loginFacts, []string{"--input", "-", "--action", "logout"}, cli.ExitUsage, "must be login, append, mediation"},
		"a project that cannot be one": {
			loginFacts, []string{"--input", "-", "--project", "mine"}, cli.ExitUsage, "--project: must be of the form pro-<number>",
		},
		"a bundle that is not there":      {loginFacts, []string{"--input", "-", "--bundle", file + "x"}, cli.ExitUsage, "--bundle"},
		"a directory that holds no rules": {loginFacts, []string{"--input", "-", "--bundle", t.TempDir()}, cli.ExitUsage, "is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, c.in, append([]string{"policy", "eval"}, c.args...)...)
			said := got.out
			if c.code != cli.ExitOK {
				said = got.err
			}
			if got.code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("got %d %q %q, want %d %q", got.code, got.out, got.err, c.code, c.want)
			}
		})
	}
}

func TestRecordedDecisionsAreReplayedAndExplained(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	environ, _ := server(t)
	if crowd := run(t, environ, "demo", "--users", "60", "--seed", "7"); crowd.code != cli.ExitOK {
		t.Fatalf("demo: %s\n%s", crowd.err, crowd.out)
	}
	changed := changedPolicy(t)

	same := run(t, environ, "policy", "replay", "--exit-code")
	if same.code != cli.ExitOK || !strings.Contains(same.out, ", 0 different.") || strings.HasPrefix(same.out, "0 decisions") {
		t.Errorf("with the same revision: %+v", same)
	}
	other := run(t, environ, "policy", "replay", "--bundle", changed, "--action", "login")
	if other.code != cli.ExitOK || strings.Contains(other.out, ", 0 different.") || !strings.Contains(other.out, "-> L7a") {
		t.Errorf("with another: %+v", other)
	}
	if strict := run(
		t, environ, "policy", "replay", "--bundle", changed, "--exit-code",
	); strict.code != cli.ExitFailure ||
		!strings.Contains(strict.err, "not every decision would be the same") {
		t.Errorf("with another, strictly: %+v", strict)
	}
	var summary struct {
		Decisions, Different int
		Changes              []struct {
			From, To string
			Examples []struct{ ID string }
		}
	}
	told := run(t, environ, "policy", "replay", "--bundle", changed, "--json")
	if err := json.Unmarshal([]byte(told.out), &summary); err != nil || summary.Different == 0 || len(summary.Changes) == 0 {
		t.Fatalf("as JSON: %v %+v", err, told)
	}

	id, row := summary.Changes[0].Examples[0].ID, summary.Changes[0].From
	why := run(t, environ, "policy", "explain", id)
	for _, want := range []string{
		"decision  " + id, "row " + row + ",", "The answer is the recorded one.", "Facts it read", "Rows above it",
		"did not match:",
	} {
		if why.code != cli.ExitOK || !strings.Contains(why.out, want) {
			t.Errorf("explain lacks %q: %+v", want, why)
		}
	}
	if instead := run(t, environ, "policy", "explain", id, "--bundle", changed); instead.code != cli.ExitOK ||
		!strings.Contains(instead.out, "THE ANSWER DIFFERS: row "+summary.Changes[0].To+" instead of "+row+".") {
		t.Errorf("with another bundle: %+v", instead)
	}
	var explained struct {
		Decision struct {
			Rule  string
			Facts json.RawMessage
		}
		SameAnswer  bool
		Explanation struct {
			Row struct{ Row string }
		}
	}
	if err := json.Unmarshal([]byte(run(t, environ, "policy", "explain", id, "--json").out), &explained); err != nil ||
		explained.Decision.Rule != row || !explained.SameAnswer || explained.Explanation.Row.Row != row {
		t.Errorf("as JSON: %v %+v", err, explained)
	}
	if again := runWith(
		t, string(explained.Decision.Facts), "policy", "eval", "--input", "-",
	); !strings.Contains(
		again.out,
		`"rule": "`+row+`"`,
	) {
		t.Errorf("its facts evaluated: %+v", again)
	}

	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"not an ID":            {[]string{"explain", "7"}, cli.ExitUsage, "copy it from the response header X-Keyward-Decision-ID"},
		"an ID without time":   {[]string{"explain", "dec-7"}, cli.ExitFailure, "does not tell when"},
		"an unknown ID":        {[]string{"explain", id[:len(id)-12] + "000000000000"}, cli.ExitFailure, "no such decision is recorded"},
		"no ID":                {[]string{"explain"}, cli.ExitUsage, "the decision ID"},
		"a negative span":      {[]string{"replay", "--since", "-1h"}, cli.ExitUsage, "must not be negative"},
		"an unknown action":    {[]string{"replay", "--action", "x"}, cli.ExitUsage, "--action"},
		"a project of no form": {[]string{"replay", "--project", "x"}, cli.ExitUsage, "--project"},
	} {
		if got := run(t, environ, append([]string{"policy"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: got %d %q, want %d %q", name, got.code, got.err, c.code, c.want)
		}
	}
	if nowhere := run(
		t, nil, "policy", "explain", id, "--data-dir", t.TempDir(),
	); nowhere.code != cli.ExitFailure ||
		!strings.Contains(nowhere.err, "start one with keyward serve") {
		t.Errorf("without a server: %+v", nowhere)
	}
}
