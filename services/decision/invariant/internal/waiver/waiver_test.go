package waiver

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestABundleWaivesAnInvariantByNameWithAReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, data, want string }{
		{"with a reason", `{"waived": {"I5": "the bank's own helpdesk bars nobody"}}`, ""},
		{"nothing", `{"waived": {}}`, ""},
		{"no invariants at all", `null`, ""},
		{"an invariant that there is not", `{"waived": {"I99": "why not"}}`, `there is no invariant "I99" to waive`},
		{"without a reason", `{"waived": {"I5": " "}}`, "invariant I5 is waived without a reason"},
		{"with something else for a reason", `{"waived": {"I5": true}}`, "invariant I5 is waived without a reason"},
		{"a misspelt member", `{"waved": {"I5": "why not"}}`, "invariants have no member waved"},
		{"a list", `{"waived": ["I5"]}`, "what is waived must be an object"},
		{"a text", `"I5"`, "invariants must be an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var data any
			if err := json.Unmarshal([]byte(c.data), &data); err != nil {
				t.Fatal(err)
			}
			waived, wrong := read(data, []string{"I1", "I5"})
			switch {
			case c.want == "" && (wrong != nil || (waived["I5"] != "") != strings.Contains(c.data, "I5")):
				t.Errorf("waived %v, %v", waived, wrong)
			case c.want != "" && (wrong == nil || wrong.message != c.want):
				t.Errorf("got %v, want %q", wrong, c.want)
			}
		})
	}
}
