package reads_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatAnEntrypointReads(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, rules, want string }{
		{"a value", "decision if input.pair.positive", "pair.positive"},
		{"the rows below the first", "decision if input.a.b\n\nelse if input.c", "a.b c"},
		{
			"through other rules and functions",
			"decision if other(input.a.b)\n\nother(x) if {\n\tx\n\tinput.c\n\tdata.keyward.reads.third\n}\n\nthird if input.d.e",
			"a.b c d.e",
		},
		{"all of a group that is iterated", "decision if {\n\tsome k\n\tinput.pair[k] == 1\n\tinput.pair.positive\n}", "pair"},
		{"everything for a computed name", "decision if {\n\tsome k in [\"a\"]\n\tinput[k]\n}", ""},
		{"all of a group that has a name of its own", "decision if {\n\tx := input.a\n\tx.b\n}", "a"},
		{
			"what a modifier reads",
			"decision if {\n\tinput.a.b\n\tx = other with input.c as input.a\n\tx\n}\n\ndefault other := false\n\nother if input.c.d",
			"a c",
		},
		{"an element of a list as the list", "decision if input.a[0].b", "a"},
		{"what only has to be there", "decision if {\n\t_ = input.a\n}", "a"},
		{"the head", "decision := {input.a: [input.b | true]}", "a b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, found := loaded(t, tc.rules)
			paths := make([]string, len(found.Paths))
			for i, path := range found.Paths {
				paths[i] = strings.Join(path, ".")
			}
			if diff := cmp.Diff(tc.want, strings.Join(paths, " ")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
