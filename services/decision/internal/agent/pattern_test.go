package agent_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/internal/agent"
)

func TestAPatternIsFoundWhereItStands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, pattern, text string
		want                bool
	}{
		{"a part", "Edg/", "Chrome/142 Edg/142", true},
		{"a part that is not there", "Edg/", "Chrome/142", false},
		{"capitals count", "edg/", "Edg/142", false},
		{"the beginning", "^Ruby", "Ruby/3.4", true},
		{"no beginning", "^Ruby", "x Ruby/3.4", false},
		{"the end", "wv$", "Android 15; wv", true},
		{"no end", "wv$", "wv; Android 15", false},
		{"the whole", "^node$", "node", true},
		{"more than the whole", "^node$", "node-fetch", false},
		{"a word", "compatible; *bot", "(compatible; Examplebot/1.0)", true},
		{"a word that is none", "compatible; *bot", "(compatible; bot/1.0)", true},
		{"more than a word", "compatible; *bot", "(compatible; an Examplebot/1.0)", false},
		{"a word to a bracket", "; AFT*)", "(Linux; Android 11; AFTKA)", true},
		{"a word that ends before it", "; AFT*)", "(Linux; Android 11; AFTEL Nova)", false},
		{"the second place fits", "; AFT*)", "(x; AFTEL Nova; AFTKA)", true},
		{"two words", "CrOS * *.", "CrOS x86_64 14541.0.0", true},
		{"a word at the end", "v*$", "a v1.2", true},
		{"nothing to find it in", "a", "", false},
		{"brackets are themselves", "[LinkedInApp]", "Mobile [LinkedInApp]/9", true},
	} {
		if p := agent.NewPattern(c.pattern); p.In(c.text) != c.want {
			t.Errorf("%s: %s in %q is %t", c.name, c.pattern, c.text, !c.want)
		}
	}
}

// A pattern is a regular expression of few means.
func TestAPatternIsFoundAsTheRegularExpressionOfItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		written := rapid.StringMatching(`\^?[ab/.]{0,2}(\*[ab/ ]{0,2}){0,3}\$?`).Draw(t, "pattern")
		text := rapid.StringMatching(`[ab/. ]{0,12}`).Draw(t, "text")
		inner, begin := strings.CutPrefix(written, "^")
		inner, end := strings.CutSuffix(inner, "$")
		expression := strings.ReplaceAll(regexp.QuoteMeta(inner), `\*`, `[A-Za-z0-9._-]*`)
		if begin {
			expression = "^" + expression
		}
		if end {
			expression += "$"
		}
		p := agent.NewPattern(written)
		if got, want := p.In(text), regexp.MustCompile(expression).MatchString(text); got != want {
			t.Fatalf("%q in %q is %t, not %t", written, text, got, want)
		}
	})
}
