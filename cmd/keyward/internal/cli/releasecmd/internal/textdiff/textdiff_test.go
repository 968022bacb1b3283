package textdiff_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/releasecmd/internal/textdiff"
)

func TestTheDifferenceOfTwoTextsIsToldAsDiffTellsIt(t *testing.T) {
	t.Parallel()
	numbers := func(change func(int) string) string {
		var b strings.Builder
		for i := range 20 {
			b.WriteString(change(i))
		}
		return b.String()
	}
	plain := func(i int) string { return fmt.Sprintln(i) }
	for name, c := range map[string]struct{ before, after, want string }{
		"nothing":       {"a\nb\n", "a\nb\n", ""},
		"a first line":  {"", "a\n", "@@ -0,0 +1 @@\n+a\n"},
		"the last line": {"a\n", "", "@@ -1 +0,0 @@\n-a\n"},
		"the end":       {"a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		"one line": {numbers(plain), numbers(func(i int) string {
			if i == 10 {
				return "ten\n"
			}
			return plain(i)
		}), "@@ -8,7 +8,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13\n"},
		"two that are far from each other": {numbers(plain), numbers(func(i int) string {
			if i == 1 || i == 18 {
				return ""
			}
			return plain(i)
		}), "@@ -1,5 +1,4 @@\n 0\n-1\n 2\n 3\n 4\n@@ -16,5 +15,4 @@\n 15\n 16\n 17\n-18\n 19\n"},
	} {
		if diff := cmp.Diff(c.want, textdiff.Unified(c.before, c.after)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What a difference says, done to the one text, makes the other.
func TestADifferenceMakesOneTextTheOther(t *testing.T) {
	t.Parallel()
	texts := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "\n"}), 0, 40).Draw(t, "lines"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		before, after := texts.Draw(t, "before"), texts.Draw(t, "after")
		diff := textdiff.Unified(before, after)
		if (diff == "") != (before == after) {
			t.Fatalf("%q", diff)
		}
		if got := patched(t, before, diff); got != after {
			t.Fatalf("%q is made of it, want %q:\n%s", got, after, diff)
		}
	})
}

// patched applies hunks to a text.
func patched(t *rapid.T, text, diff string) string {
	left := strings.SplitAfter(text, "\n")
	left = left[:len(left)-1]
	var out strings.Builder
	at := 0
	for line := range strings.Lines(diff) {
		switch line[0] {
		case '@':
			where, _, _ := strings.Cut(strings.TrimPrefix(line, "@@ -"), " ")
			first, length, several := strings.Cut(where, ",")
			n, err := strconv.Atoi(first)
			if err != nil {
				t.Fatal(err)
			}
			if !several || length != "0" {
				n--
			}
			for ; at < n; at++ {
				out.WriteString(left[at])
			}
		case ' ', '-':
			if left[at] != line[1:] {
				t.Fatalf("line %d is %q, not %q", at, left[at], line[1:])
			}
			if line[0] == ' ' {
				out.WriteString(left[at])
			}
			at++
		case '+':
			out.WriteString(line[1:])
		}
	}
	return out.String() + strings.Join(left[at:], "")
}

func TestMembersThatDifferAreToldByTheirPath(t *testing.T) {
	t.Parallel()
	got, err := textdiff.Members(
		[]byte(`{"a":1,"b":{"c":[1,2],"d":"x","gone":{"e":1}},"l":[1],"same":1.50}`),
		[]byte(`{"a":2,"b":{"c":[1,3],"d":"x","more":null},"l":[1,2],"same":1.50}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []textdiff.Member{
		{Path: "a", Before: "1", After: "2"}, {Path: "b.c[1]", Before: "2", After: "3"}, {Path: "b.gone", Before: `{"e":1}`},
		{Path: "b.more", After: "null"}, {Path: "l", Before: "[1]", After: "[1,2]"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := textdiff.Members([]byte("{}"), []byte("{")); err == nil {
		t.Error("what is no JSON is compared")
	}
}
