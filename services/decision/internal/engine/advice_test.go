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
