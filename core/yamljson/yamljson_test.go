package yamljson_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/core/yamljson"
)

func TestYAMLBecomesJSONInItsOrder(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"b: 1\na: [x, 2.5, true, null, ~]\n":          `{"b": 1, "a": ["x", 2.5, true, null, null]}`,
		"'200': {a: <b>}\n404: '1'\non: 2026-01-02\n": `{"200": {"a": "<b>"}, "404": "1", "on": "2026-01-02"}`,
		"one: &x {a: 1}\ntwo: *x\n":                   `{"one": {"a": 1}, "two": {"a": 1}}`,
		"text: |\n  two\n  lines\n":                   `{"text": "two\nlines\n"}`,
		"big: 12345678901234567890\nhex: 0x10\n":      `{"big": 12345678901234567890, "hex": 16}`,
		"":                                            `null`,
	} {
		got, err := yamljson.ToJSON([]byte(text))
		if err != nil || string(got) != want+"\n" {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func TestWhatJSONCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: 1\nb: 2\na: 3\n": "line 3", "404: 1\n'404': 2\n": "line 2", "a: .nan\n": "line 1", "? [x]\n: 1\n": "map key", "a: [": "line 1",
	} {
		if _, err := yamljson.ToJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for name := 'b'; name <= 'i'; name++ {
		bomb += string(name) + ": &" + string(name) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(name-1)+", ", 10), ", ") + "]\n"
	}
	for _, text := range []string{"a: &x [*x]\n", "a: &x {b: {c: *x}}\n", bomb} {
		if got, err := yamljson.ToJSON([]byte(text)); err == nil {
			t.Errorf("%q became %d bytes", text, len(got))
		}
	}
}

func TestJSONComesBackFromYAML(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"b": "true", "a": ["1", "null", "2026-01-02", "", ": #", "ä\n<&>"], "n": -1.5, "o": {}, "l": []}`, `[]`, `"x"`,
	} {
		between, err := yamljson.ToYAML([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := yamljson.ToJSON(between); err != nil || string(got) != text+"\n" {
			t.Errorf("%s: by %s to %s, %v", text, between, got, err)
		}
	}
}
