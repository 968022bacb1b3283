package demo

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProseIsBrokenBetweenWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"nothing is an empty line", "", []string{""}},
		{"what fits stays", "one two", []string{"one two"}},
		{"a word that does not fit begins a line", "one two three", []string{"one two", "three"}},
		{"a word longer than a line has one of its own", "a considerable word", []string{"a", "considerable", "word"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, wrapped(tc.text, 8)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPageHasControlSequencesOnlyWhereColoursAreWanted(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string]Options{
		"\n1/2  A title\n     Some text.\n":                            {},
		"\n\x1b[35m1/2\x1b[m  \x1b[1mA title\x1b[m\n     Some text.\n": {Coloured: true},
	} {
		var out bytes.Buffer
		opts.Out = &out
		newPage(opts, false).begin(2, "A title", "Some text.")
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	}
}
