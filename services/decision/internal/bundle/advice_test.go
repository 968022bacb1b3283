package bundle_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	rule := func(text string) func(*testing.T, fstest.MapFS) {
		return func(_ *testing.T, files fstest.MapFS) {
			files["extra/extra.rego"] = &fstest.MapFile{Data: []byte("package keyward.extra\n\n" + text + "\n")}
		}
	}
	data := func(old, replacement string) func(*testing.T, fstest.MapFS) {
		return func(t *testing.T, files fstest.MapFS) { policiestest.Edit(t, files, "data.json", old, replacement) }
	}
	for _, tc := range []struct {
		name   string
		change func(*testing.T, fstest.MapFS)
		want   []string
	}{
		{"a bracket that is not closed", rule("x := ["), []string{"extra/extra.rego:4", "correct the syntax"}},
		{"a function that reaches outside", rule(`x := http.send({})`), []string{"extra/extra.rego:3", "a fact of the input or a parameter"}},
		{"a misspelt function", rule(`x := coumt([1])`), []string{"extra/extra.rego:3", "did you mean count?"}},
		{"a function that nobody knows", rule(`x := frobnicate([1])`), []string{"define the function or correct its name"}},
		{"too many arguments", rule(`x := count(1, 2, 3)`), []string{"extra/extra.rego:3", "look at the arguments"}},
		{"an argument of the wrong type", rule(`x := count(1)`), []string{"extra/extra.rego:3", "look at the arguments"}},
		{"a variable without a value", rule("x if y > 1"), []string{"extra/extra.rego:3", "give the variable a value"}},
		{"a rule that depends on itself", rule("x if y\n\ny if x"), []string{"extra/extra.rego:", "break the circle"}},
		{"two defaults", rule("default x := 1\n\ndefault x := 2"), []string{"extra/extra.rego:", "rename one of the two"}},
		{"a variable that nobody uses", rule("x if {\n\ty := 1\n\ttrue\n}"), []string{"extra/extra.rego:4", "remove it, or use it"}},
		{"a deprecated function", rule("x if any([true])"), []string{"extra/extra.rego:3", "strict mode"}},
		{
			"a misspelt fact",
			func(t *testing.T, files fstest.MapFS) {
				policiestest.Edit(t, files, "login/login.rego", "input.support.webauthn", "input.support.webauthm")
			},
			[]string{"login/login.rego:", "did you mean webauthn?"},
		},
		{"a failing test", rule("test_no if 1 == 2"), []string{"extra/extra.rego:3", "correct the rule, or the test"}},
		{
			"an unknown parameter", data(`"autoDesktop"`, `"autoDestkop"`),
			[]string{"data.json:19", "did you mean autoDesktop?", "missing parameter autoDesktop"},
		},
		{
			"an unknown parameter like no other", data(`"autoDesktop"`, `"weather": 1, "autoDesktop"`),
			[]string{"data.json:19", "schemas/parameters.jsonschema describes every parameter"},
		},
		{"a parameter of the wrong type", data(`"autoDesktop": false`, `"autoDesktop": 0`), []string{"data.json:19", "it means: "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Tested(t)
			tc.change(t, files)
			_, err := bundle.Load(t.Context(), files, entrypoints)
			if err == nil {
				t.Fatal("it was loaded")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("want an error with %q, got %v", part, err)
				}
			}
		})
	}
}
