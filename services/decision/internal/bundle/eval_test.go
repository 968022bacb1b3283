package bundle_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func TestEveryKindOfLoopIsCutAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"a cross product":               "count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) > 0",
		"a cross product over the data": "count([1 | list := data.keyward.list; some a in list; some b in list; some c in list; some d in list; a + b + c + d < 0]) > 0",
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
				"loops/loops.rego":   {Data: []byte("package keyward.loops\n\ndecision := {\"found\": true} if {\n\t" + condition + "\n}\n\nloop(n) if count({i | some i, j in numbers.range(1, n)}) > n\n")},
				"schemas/loops.json": {Data: []byte("{}")}, "schemas/parameters.json": {Data: []byte("{}")},
				"data.json": {Data: []byte(`{"keyward": {"parameters": {}, "list": ` + numbers + `}}`)},
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
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it stopped after %s", took)
			}
		})
	}
}

func TestABusyMachineDoesNotCutAShortEvaluation(t *testing.T) {
	t.Parallel()
	b, err := bundle.Load(t.Context(), policies.Bundle, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := b.Eval(t.Context(), time.Nanosecond, login, ast.NewObject()); err != nil || answer.Len() == 0 {
		t.Errorf("%v, %v", answer, err)
	}
}
