package cli_test

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
)

// write puts content into a file of its own and returns its name.
func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// editedBundle copies the default bundle and changes one of its files.
func editedBundle(t *testing.T, name, old, changed string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, policies.Bundle); err != nil {
		t.Fatal(err)
	}
	content, err := policies.Bundle.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(content), old, changed, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// barringNobody returns the directory of a bundle that lets in users who are barred, without tests that would say so.
func barringNobody(t *testing.T) string {
	t.Helper()
	files := policiestest.Files(t)
	policiestest.Edit(
		t, files, "login/login.rego", "user_login_blacklisted if input.blacklist.login == true", "user_login_blacklisted if false",
	)
	return policiestest.Dir(t, files)
}

// waiving returns the directory of a bundle that waives I5 for a reason.
func waiving(t *testing.T, reason string) string {
	t.Helper()
	return editedBundle(t, "data.json", `"keyward": {`, `"keyward": {"invariants": {"waived": {"I5": "`+reason+`"}},`)
}

const oldBrowser = `now: 2026-11-22T12:00:00Z
clients: { OLD: { userAgent: "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)" } }
scenarios:
  - { name: "an old browser", action: login, client: OLD, expect: { rule: L1, allow: false } }
`

func TestPolicyTestSaysWhatFailedAndEndsAccordingly(t *testing.T) {
	t.Parallel()
	good := write(t, "good.yaml", oldBrowser)
	bad := write(t, "bad.yaml", strings.Replace(oldBrowser, "allow: false", "allow: true", 1))
	unknown := write(t, "unknown.yaml", strings.Replace(oldBrowser, "expect: {", "parameters: { streakTreshold: 1 }, expect: {", 1))
	misspelt := write(t, "misspelt.yaml", strings.Replace(oldBrowser, "expect: {", "expekt: {", 1))
	broken := editedBundle(t, "login/login.rego", "package keyward.login\n", "package keyward.login\n\nbroken if nonsense\n")
	bare := editedBundle(t, "data.json", "{", "{")
	if err := os.RemoveAll(filepath.Join(bare, "scenarios")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args     []string
		code     int
		out, err string // parts
	}{
		"the bundle's own": {nil, cli.ExitOK, " scenarios passed, 0 failed; policy revision ", ""},
		"one file":         {[]string{"--scenarios", good}, cli.ExitOK, "1 of 1 scenarios passed, 0 failed; policy revision ", ""},
		"in detail": {
			[]string{"--scenarios", good, "-v"}, cli.ExitOK, "ok   " + good + ":4 an old browser (login, answered by L1)\n", "",
		},
		"files behind the flag": {
			[]string{"--scenarios", good, bad}, cli.ExitFailure, "1 of 2 scenarios passed, 1 failed", "1 of 2 scenarios failed",
		},
		"the flag twice": {
			[]string{"--scenarios", good, "--scenarios", bad}, cli.ExitFailure,
			"FAIL " + bad + ":4 an old browser (login, answered by L1): allow: expected true, got false\n       - allow: true\n       + allow: " +
				"false\n",
			"1 of 2 scenarios failed",
		},
		"a selection":            {[]string{"--run", "^10[ab] "}, cli.ExitOK, "2 of 2 scenarios passed", ""},
		"a selection of nothing": {[]string{"--run", "^nobody$"}, cli.ExitUsage, "", `has a name that matches "^nobody$"`},
		"no regular expression":  {[]string{"--run", "("}, cli.ExitUsage, "", "--run: error parsing regexp"},
		"a misspelt key": {
			[]string{"--scenarios", misspelt}, cli.ExitUsage, "",
			"no scenario was run:\n" + misspelt + `:4: a scenario of action login has no key "expekt"; did you mean "expect"?`,
		},
		"an unknown parameter": {[]string{"--scenarios", unknown}, cli.ExitUsage, "", unknown + ":4: "},
		"no such file":         {[]string{"--scenarios", good + "x"}, cli.ExitUsage, "", "no such file"},
		"no such bundle":       {[]string{"--bundle", good + "x"}, cli.ExitUsage, "", "--bundle: "},
		"a file as bundle":     {[]string{"--bundle", good}, cli.ExitUsage, "", "is not a directory"},
		"a bundle that is refused": {
			[]string{"--bundle", broken, "--scenarios", good}, cli.ExitUsage, "",
			"the bundle in " + broken + " is refused:\nlogin/login.rego:",
		},
		"a bundle without its own": {
			[]string{"--bundle", bare}, cli.ExitUsage, "",
			"the bundle in " + bare + " has no scenarios of its own in scenarios/; name files with --scenarios",
		},
		"a report that cannot be": {
			[]string{"--scenarios", good, "--junit", filepath.Join(bare, "none", "x.xml")}, cli.ExitFailure, "", "--junit: ",
		},
		"rows that nothing reached": {[]string{"--scenarios", good}, cli.ExitOK, "note: no scenario was answered by L0, L1a, L2, L3,", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, nil, append([]string{"policy", "test"}, c.args...)...)
			if got.code != c.code || !strings.Contains(got.out, c.out) || !strings.Contains(got.err, c.err) || c.err == "" && got.err != "" {
				t.Errorf("got %d\n%s%s\nwant %d\n%s\n%s", got.code, got.out, got.err, c.code, c.out, c.err)
			}
		})
	}
}

func TestPolicyTestReportsForMachines(t *testing.T) {
	t.Parallel()
	bad := write(t, "bad.yaml", strings.Replace(oldBrowser, "allow: false", "allow: true", 1))
	junit := filepath.Join(t.TempDir(), "report.xml")
	got := run(t, nil, "policy", "test", "--scenarios", bad, "--json", "--junit", junit)
	var report struct {
		Total, Failed int
		Scenarios     []struct {
			Name, Rule string
			Passed     bool
			Mismatches []struct{ Key string }
			Facts      map[string]any
		}
	}
	if err := json.Unmarshal([]byte(got.out), &report); err != nil || got.code != cli.ExitFailure {
		t.Fatalf("%d %v: %s%s", got.code, err, got.out, got.err)
	}
	if report.Total != 1 || report.Failed != 1 || report.Scenarios[0].Passed || report.Scenarios[0].Mismatches[0].Key != "allow" ||
		report.Scenarios[0].Facts["complete"] != true {
		t.Errorf("got %s", got.out)
	}
	written, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal(written, &suites); err != nil || suites.Failures != 1 {
		t.Errorf("%v: %s", err, written)
	}
}

func TestPolicyCheckSaysWhetherTheServerWouldTakeABundle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"the one in the binary": {[]string{"--situations", "20"}, cli.ExitOK, "The bundle is good; its revision is ", ""},
		"a good one": {
			[]string{"--bundle", editedBundle(t, "data.json", `"streakThreshold": 2`, `"streakThreshold": 3`), "--situations", "0"}, cli.ExitOK,
			"The bundle is good; its revision is ", "",
		},
		"a syntax error": {
			[]string{"--bundle", editedBundle(t, "login/login.rego", "package keyward.login\n", "package keyward.login\n\nx {\n")},
			cli.ExitFailure, "", "login/login.rego:",
		},
		"a misspelt fact": {
			[]string{"--bundle", editedBundle(t, "login/login.rego", "input.support.webauthn", "input.support.webautn")},
			cli.ExitFailure, "", "login/login.rego:",
		},
		"an unknown parameter": {
			[]string{"--bundle", editedBundle(t, "data.json", `"streakThreshold"`, `"streakTreshold"`)}, cli.ExitFailure, "",
			"data.json:",
		},
		"a parameter as text": {
			[]string{"--bundle", editedBundle(t, "data.json", `"streakThreshold": 2`, `"streakThreshold": "2"`)}, cli.ExitFailure,
			"", "data.json:",
		},
		"few situations":  {[]string{"--situations", "7", "--seed", "3"}, cli.ExitOK, "invariants hold in 7 sampled situations.\n", ""},
		"fewer than none": {[]string{"--situations", "-1"}, cli.ExitUsage, "", "--situations: must not be below 0"},
		"an invariant broken": {
			[]string{"--bundle", barringNobody(t), "--situations", "60"}, cli.ExitFailure,
			"# I5: a user who is barred", "breaks invariants:\nI5, that a user who is barred",
		},
		"an invariant broken, for a program": {
			[]string{"--bundle", barringNobody(t), "--situations", "60", "--output", "json"}, cli.ExitFailure,
			`"name": "I5"`, "breaks invariants:\nI5, that a user who is barred",
		},
		"a syntax error, for a program": {
			[]string{
				"--bundle", editedBundle(t, "login/login.rego", "package keyward.login\n", "package keyward.login\n\nx {\n"), "--output", "json",
			},
			cli.ExitFailure, `"file": "login/login.rego"`, "is refused",
		},
		"an unfounded waiver": {[]string{"--bundle", waiving(t, "")}, cli.ExitFailure, "", "data.json:"},
		"a founded waiver": {
			[]string{"--bundle", waiving(t, "nobody is barred"), "--situations", "5"}, cli.ExitOK, "I5 is waived: nobody is barred\n", "",
		},
		"no such directory":      {[]string{"--bundle", "no/such/bundle"}, cli.ExitUsage, "", "--bundle: "},
		"an argument too many":   {[]string{"policies"}, cli.ExitUsage, "", `unknown argument "policies"`},
		"a directory of nothing": {[]string{"--bundle", t.TempDir()}, cli.ExitFailure, "", "no policy, data or schema file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, nil, append([]string{"policy", "check", "--timeout", "10m"}, c.args...)...) // a busy machine takes its time
			if got.code != c.code || !strings.Contains(got.out, c.out) || !strings.Contains(got.err, c.err) || c.err == "" && got.err != "" {
				t.Errorf("got %d\n%s%s\nwant %d\n%s\n%s", got.code, got.out, got.err, c.code, c.out, c.err)
			}
		})
	}
}
