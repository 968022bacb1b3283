package reads_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/reads"
)

const entrypoint = "data.keyward.reads.decision"

// loaded returns a bundle of one package, and what its answer reads.
func loaded(t *testing.T, rules string) (*bundle.Bundle, *reads.Reads) {
	t.Helper()
	files := fstest.MapFS{
		"reads/reads.rego": {Data: []byte("package keyward.reads\n\n" + rules + "\n")}, "schemas/reads.json": {Data: []byte("{}")},
		"schemas/parameters.json": {Data: []byte("{}")},
		"data.json": {Data: []byte(
			`{"keyward": {"parameters": {"most": 7, "group": {"least": 3, "days": [1, 5], "lands": ["DE", "AT"], "text": "m"}}}}`,
		)},
	}
	b, err := bundle.Load(t.Context(), files, bundle.Entrypoints{Required: []string{entrypoint}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := reads.Of(b.Compiler(), b.Modules(), entrypoint)
	if err != nil {
		t.Fatal(err)
	}
	return b, found
}

func TestOfWhichFactsTheCellCounts(t *testing.T) {
	t.Parallel()
	const (
		streak  = "input.pair.localStreak"
		country = "input.request.country"
	)
	for _, tc := range []struct{ name, rules, want string }{
		{"a number that is compared with one", "decision if " + streak + " >= 2", "below 2, 2, above"},
		{"from either side", "decision if 2 > " + streak, "below 2, 2, above"},
		{"in all rows", "decision if " + streak + " == 2\n\nelse if " + streak + " != 4", "below 2, 2, between, 4, above"},
		{
			"in a rule that only a later row needs",
			"decision if input.pair.positive\n\nelse if other\n\nother if " + streak + " == 2", "below 2, 2, above",
		},
		{"with a fraction", "decision if " + streak + " > 1.5", "up to 1, above"},
		{"with a number of the data", "decision if " + streak + " > data.keyward.parameters.most", "below 7, 7, above"},
		{
			"with one that a rule has a name for",
			"group := data.keyward.parameters.group\n\ndecision if " + streak + " > group.least", "below 3, 3, above",
		},
		{
			"with one of an import", "import data.keyward.parameters.group\n\ndecision if " + streak + " > group.least",
			"below 3, 3, above",
		},
		{
			"with numbers of a list of the data", "decision if " + streak + " in data.keyward.parameters.group.days",
			"below 1, 1, between, 5, above",
		},
		{"with those of a set", "decision if " + streak + " in {2, 3}", "below 2, 2, 3, above"},
		{"within a comprehension", "decision if count([1 | " + streak + " > 2]) > 0", "below 2, 2, above"},
		{"by its part's own name", "import input.pair\n\ndecision if pair.localStreak > 2", "below 2, 2, above"},
		{"with what is no number", "decision if " + streak + ` < "a"`, "the order of texts counts"},
		{"with what is not there", "decision if " + streak + " > data.keyward.parameters.nothing", "all are one"},
		{"a text that equals one", "decision if " + country + ` == "DE"`, `"DE", any other`},
		{"one that is in a list", "decision if not " + country + " in data.keyward.parameters.group.lands", `"AT", "DE", any other`},
		{"one in order", "decision if " + country + ` < "DE"`, "the order of texts counts"},
		{
			"with a text of the data, in order", "decision if " + country + " < data.keyward.parameters.group.text",
			"the order of texts counts",
		},

		{"a number that is added to", "decision if " + streak + " + 1 > 2", "used at "},
		{"one that has a name", "decision if {\n\tx := " + streak + "\n\tx > 2\n}", "used at "},
		{"one of which a part has a name", "decision if {\n\tx := input.pair\n\tx.localStreak > 2\n}", "used at "},
		{"one that a function is given", "decision if f(" + streak + ")\n\nf(x) if x > 2", "used at "},
		{"one that is told", "decision := " + streak + " if " + streak + " > 2", "used at "},
		{"one that is compared with another fact", "decision if " + streak + " > input.pair.cdaStreak", "used at "},
		{"one that numbers are looked for in", "decision if 2 in " + streak, "used at "},
		{"one that names a part of the data", "decision if data.keyward.parameters.group.days[" + streak + "]", "used at "},
		{"one that is replaced", "decision if {\n\tother with " + streak + " as 3\n}\n\nother if " + streak + " > 2", "used at "},
		{
			"one whose limit is computed",
			"decision if " + streak + " > limit\n\nlimit := 2 if input.pair.positive\n\ndefault limit := 3", "used at ",
		},
		{
			"one whose limit depends on a variable",
			"decision if {\n\tsome i in [0, 1]\n\t" + streak + " > data.keyward.parameters.group.days[i]\n}", "used at ",
		},
		{
			"one whose limit has the name of a rule",
			"group := data.keyward.parameters.group\n\ndecision if {\n\tsome group in [{\"least\": 1}, {\"least\": 9}]\n\t" + streak +
				" > group.least\n}",
			"used at ",
		},
		{
			"one where the data is replaced",
			"decision if {\n\tother with data.keyward.parameters.most as 3\n}\n\nother if " + streak + " > 2", "replaces what is not input",
		},
		{"one of which all is read", "decision if {\n\tcount(input.pair) > 2\n\t" + streak + " > 2\n}", "used at "},
		{"one beside a computed name", "decision if {\n\tsome k in [\"pair\"]\n\tinput[k]\n\t" + streak + " > 2\n}", "used at "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, found := loaded(t, tc.rules)
			path := strings.TrimPrefix(streak, "input.")
			if !strings.Contains(tc.rules, "ocalStreak") {
				path = strings.TrimPrefix(country, "input.")
			}
			for _, one := range found.Divided(b.Data) {
				if one.Path != path {
					continue
				}
				if tc.want != one.Cells && !(one.Cells == "" && strings.Contains(one.Why, tc.want)) {
					t.Errorf("cells %q, why %q; want %q", one.Cells, one.Why, tc.want)
				}
				return
			}
			t.Errorf("%s is not read", path)
		})
	}
}
