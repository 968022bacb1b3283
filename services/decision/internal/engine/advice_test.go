package engine

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
)

func TestWhoBarsThePublicIsAdvisedOfIt(t *testing.T) {
	t.Parallel()
	const reason = `"keys-alone": {"severity": 4, "about": "credential", "title": "Only keys"},`
	for name, c := range map[string]struct {
		rules, reason, want string // empty want = nothing is said
	}{
		"what nobody vouches for": {`reasons contains "keys-alone" if input.used.attested != "verified"`, reason, "keys-alone bars by attested"},
		"what is synchronised": {
			`reasons contains "keys-alone" if input.created.backup == "backed-up"`, reason, `keys-alone bars by backup "backed-up"`,
		},
		"of one of the account's passkeys": {
			"reasons contains \"keys-alone\" if {\n\tsome item in input.credentials.items\n\titem.attested == \"none\"\n}", reason, "attested",
		},
		"through a rule of its own": {
			"reasons contains \"keys-alone\" if weak(input.used)\n\nweak(passkey) if {\n\tpasskey.backup in {\"eligible\", \"backed-up\"}\n}",
			reason, "backed-up",
		},
		"of administrators": {
			"reasons contains \"keys-alone\" if {\n\tinput.user.labels.admin == true\n\tinput.used.attested != \"verified\"\n}", reason, "",
		},
		"as a note": {
			`reasons contains "keys-alone" if input.used.attested != "verified"`, strings.Replace(reason, "4", "1", 1), "",
		},
		"what is bound to its device": {`reasons contains "keys-alone" if input.used.backup == "device-bound"`, reason, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			policiestest.Edit(t, files, "data.json", `"bot": {"severity"`, c.reason+"\n"+`"bot": {"severity"`)
			policiestest.Edit(t, files, "data.json", `"labels": [],`, `"labels": ["admin"],`)
			files["risk/risk.rego"].Data = append(files["risk/risk.rego"].Data, "\n"+c.rules+"\n"...)
			e, err := Load(t.Context(), files, Options{})
			if err != nil {
				t.Fatal(err)
			}
			advice := strings.Join(e.Advice(), "\n")
			if c.want == "" && advice != "" || !strings.Contains(advice, c.want) {
				t.Errorf("advice %q, want %q", advice, c.want)
			}
			if c.want != "" && !strings.HasPrefix(advice, "risk/risk.rego:") {
				t.Errorf("it does not say where: %q", advice)
			}
		})
	}
}

func TestWhoMisspellsALabelInAParameterIsAdvisedOfIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, replacement, want string }{
		"of least assurance": {
			`"requireAal": {}`, `"requireAal": {"admn": 3}`,
			"the label admn is named by parameters.risk.requireAal alone",
		},
		"of office hours": {
			`"officeHours": {"labels": []`, `"officeHours": {"labels": ["admn"]`,
			"the label admn is named by parameters.risk.officeHours.labels alone",
		},
		"of a project": {
			`"projects": {}`, `"projects": {"pro-7": {"parameters": {"risk": {"requireAal": {"admn": 3}}}}}`,
			"the label admn is named by parameters.risk.requireAal alone",
		},
		"of one that is declared": {`"requireAal": {}`, `"requireAal": {"admin": 3}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			policiestest.Edit(t, files, "data.json", `"labels": [],
`, `"labels": ["admin"],
`)
			policiestest.Edit(t, files, "data.json", c.old, c.replacement)
			e, err := Load(t.Context(), files, Options{Admitted: true})
			if err != nil {
				t.Fatal(err)
			}
			advice := strings.Join(e.Advice(), "\n")
			if c.want == "" && advice != "" || !strings.Contains(advice, c.want) {
				t.Errorf("advice %q, want %q", advice, c.want)
			}
			if c.want != "" && (!strings.HasPrefix(advice, "data.json:") || !strings.Contains(advice, "did you mean admin?")) {
				t.Errorf("it says neither where nor what is meant: %q", advice)
			}
		})
	}
}
