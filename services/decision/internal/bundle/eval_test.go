package bundle_test

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func TestEveryKindOfLoopIsCutAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"a cross product": "count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0",
		"a cross product over the data": "count([1 | list := data.keyward.list; some a in list; some b in list; some c in list; some d in " +
			"list; a + b + c + d < 0]) > 0",
		"a builtin that counts":         "count(numbers.range(1, 1000000000)) > 0",
		"a builtin that lists networks": `count(net.cidr_expand("0.0.0.0/0")) > 0`,
		"every of every":                "every i in numbers.range(1, 100000) { every j in numbers.range(1, 100000) { i + j > 0 } }",
		"a loop in a function":          "loop(1000000)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const entrypoint, allowed = "data.keyward.loops.decision", 20 * time.Millisecond
			numbers := "[0" + strings.Repeat(", 1", 199) + "]"
			files := fstest.MapFS{
				"loops/loops.rego": {
					Data: []byte(
						"package keyward.loops\n\ndecision := {\"found\": true} if {\n\t" + condition + "\n}\n\nloop(n) if count({i | some i, j in " +
							"numbers.range(1, n)}) > n\n",
					),
				},
				"schemas/loops.json":      {Data: []byte("{}")},
				"schemas/parameters.json": {Data: []byte("{}")},
				"data.json":               {Data: []byte(`{"keyward": {"parameters": {}, "list": ` + numbers + `}}`)},
			}
			b, err := bundle.Load(t.Context(), files, bundle.Entrypoints{Required: []string{entrypoint}})
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			_, err = b.Eval(t.Context(), allowed, entrypoint, ast.NewObject())
			if !errors.Is(err, bundle.ErrTimeout) {
				t.Errorf("want a timeout, got %v", err)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it stopped after %s", took)
			}
		})
	}
}

func TestABusyMachineDoesNotCutAShortEvaluation(t *testing.T) {
	t.Parallel()
	b, err := bundle.Load(t.Context(), policiestest.Files(t), entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := b.Eval(t.Context(), time.Nanosecond, login, ast.NewObject()); err != nil || answer.Len() == 0 {
		t.Errorf("%v, %v", answer, err)
	}
}

// Rules that double what they have reach any size in a few steps, and a deadline is looked at between two steps only.
func TestRulesThatDoubleWhatTheyHaveAreEnded(t *testing.T) {
	t.Parallel()
	chain := func(first, step string) string {
		lines := []string{"x0 := " + first}
		for i := range 40 {
			lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(step, "NEXT", "x"+strconv.Itoa(i+1)), "X", "x"+strconv.Itoa(i)))
		}
		return strings.Join(append(lines, "x40 != input"), "\n\t")
	}
	for name, body := range map[string]string{
		"numbers multiplied by themselves":    chain(strings.Repeat("9", 41), "NEXT := X * X"),
		"a number of one that was a text":     "x := to_number(\"1e1000000\")\n\tx % 7 == 0",
		"a product of many":                   "x := product([1e999 | some i in numbers.range(1, 1000)])\n\tx % 7 == 0",
		"texts joined with themselves":        chain(`"aaaaaaaaaaaaaaaa"`, "NEXT := concat(\"\", [X, X])"),
		"texts formatted into one":            chain(`"aaaaaaaaaaaaaaaa"`, "NEXT := sprintf(\"%s%s\", [X, X])"),
		"letters replaced by texts":           chain(`"aaaaaaaaaaaaaaaa"`, "NEXT := replace(X, \"a\", X)"),
		"patterns replaced by texts":          chain(`"aaaaaaaaaaaaaaaa"`, "NEXT := regex.replace(X, \"a\", X)"),
		"many letters replaced by texts":      chain(`"aaaaaaaaaaaaaaaa"`, "NEXT := strings.replace_n({\"a\": X}, X)"),
		"lists put one behind the other":      chain("numbers.range(1, 100)", "NEXT := array.concat(X, X)"),
		"lists of lists that share":           chain("[1, 2]", "NEXT := same([X, X])"),
		"lists of lists that are compared":    strings.ReplaceAll(chain("[1, 2]", "NEXT := same([X, X])"), "x40 != input", "x40 == [x39, x39]"),
		"objects of objects that share":       chain(`{"a": 1}`, `NEXT := same({"a": X, "b": X})`),
		"objects united with what they hold":  chain(`{"a": 1}`, `NEXT := object.union({"a": X}, {"b": X})`),
		"sets of sets that share":             chain("{1}", "NEXT := same({X, [X]})"),
		"comprehensions within each other":    chain("[1]", "NEXT := [X | some i in [1, 2, 3]]"),
		"functions that double what they get": chain("[1]", "NEXT := twice([X])"),
		"patches with what is patched":        chain(`{"a": 1}`, `NEXT := json.patch({"c": X}, [{"op": "add", "path": "b", "value": X}])`),
		"an input that is replaced":           chain("[1]", "NEXT := given with input as [X, X]"),
		"submatches without number": "x := regex.find_all_string_submatch_n(\"" +
			strings.Repeat("(", 200) + "a" + strings.Repeat(")", 200) +
			"\", concat(\"\", [\"aaaaaaaaaaaaaaaa\" | some i in numbers.range(1, 50000)]), -1)\n\tx != input",
		"a text joined as often as there is": "x := concat(\"\", [y | some i in numbers.range(1, 65536); y := \"" +
			strings.Repeat("a", 4096) + "\"])\n\tx != input",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const entrypoint = "data.keyward.doubling.decision"
			files := fstest.MapFS{
				"doubling/doubling.rego": {Data: []byte("package keyward.doubling\n\ndecision := {\"found\": true} if {\n\t" + body + "\n}\n" +
					"\ntwice(x) := [x, x]\n\nsame(x) := x\n\ngiven := input\n")},
				"schemas/doubling.json": {Data: []byte("{}")}, "schemas/parameters.json": {Data: []byte("{}")},
				"data.json": {Data: []byte(`{"keyward": {"parameters": {}}}`)},
			}
			b, err := bundle.Load(t.Context(), files, bundle.Entrypoints{Required: []string{entrypoint}})
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err = b.Eval(t.Context(), time.Minute, entrypoint, ast.NewObject()); err == nil {
				t.Error("it came to an end")
			}
			runtime.ReadMemStats(&after)
			if grown := (after.TotalAlloc - before.TotalAlloc) >> 20; grown > 1000 {
				t.Errorf("%d MiB were taken, by this and what else ran", grown)
			}
		})
	}
}
