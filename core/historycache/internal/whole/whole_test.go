package whole_test

import (
	"testing"

	"github.com/keyward/keyward/core/historycache/internal/whole"
)

func FuzzMarksAreReadAsTheyAreWritten(f *testing.F) {
	usual := whole.Mark{Token: "t", Epoch: 1, Run: "r", Evicted: 2}
	for i := range usual.Kinds {
		usual.Kinds[i].Generation, usual.Kinds[i].Since.Logged, usual.Kinds[i].Since.Unknown = uint64(i), 4, 5
	}
	f.Add(usual.String())
	f.Add("t 1 r 2 3 4")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m := whole.Parse(text)
		if m == nil {
			return
		}
		again := whole.Parse(m.String())
		if again == nil {
			t.Fatalf("%q is written as %q, which is no mark", text, m)
		}
		if again.Text, m.Text = "", ""; *again != *m {
			t.Errorf("%+v is read as %+v", m, again)
		}
	})
}
