package bundle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// reason loads a bundle that must be refused.
func reason(t *testing.T, ctx context.Context, files fstest.MapFS) *bundle.Error {
	t.Helper()
	_, err := bundle.Load(ctx, files, entrypoints)
	var refused *bundle.Error
	if !errors.As(err, &refused) {
		t.Fatalf("want a refusal with its place, got %v", err)
	}
	return refused
}

func TestWhatOneCallCanSpendIsBoundedByItsArguments(t *testing.T) {
	t.Parallel()
	for name, condition := range map[string]string{
		"a shift by any number":                 "bits.lsh(1, 1099511627776) == 2",
		"every path of a graph":                 `count(graph.reachable_paths({"a": ["b"]}, ["a"])) > 0`,
		"a unit with any exponent":              `units.parse("1e1000000") > 0`,
		"a unit of bytes with any exponent":     `units.parse_bytes("1e1000000") > 0`,
		"YAML with aliases":                     `yaml.unmarshal("a: 1").a == 1`,
		"a wide format":                         `sprintf("%1000000000d", [1]) == ""`,
		"a wide format with flags":              `sprintf("%-0999999999d", [1]) == ""`,
		"a format of great precision":           `sprintf("%.1000000000f", [1]) == ""`,
		"a format of width and great precision": `sprintf("%10.1000000000f", [1]) == ""`,
		"a width among the arguments":           `sprintf("%*d", [1000000000, 1]) == ""`,
		"a precision among the arguments":       `sprintf("%.*f", [1000000000, 1]) == ""`,
		"a width by its index":                  `sprintf("%[1]*d", [1000000000, 1]) == ""`,
		"a format from elsewhere":               `sprintf(input.client.os, [1]) == ""`,
		"a wide format within a comprehension":  `count([x | x := sprintf("%1000000000d", [1])]) > 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			files["login/extra.rego"] = &fstest.MapFile{Data: []byte("package keyward.login\n\ndefault_deny if " + condition + "\n")}
			refused := reason(t, t.Context(), files)
			if refused.File != "login/extra.rego" || refused.Line != 3 || refused.Advice == "" {
				t.Errorf("%+v", refused)
			}
		})
	}
}

func TestAFormatOfUsualWidthIsTaken(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	files["login/extra.rego"] = &fstest.MapFile{
		Data: []byte("package keyward.login\n\nlabel := sprintf(\"%s %05d %-12.2f%%\", [\"a\", 1, 2])\n"),
	}
	if _, err := bundle.Load(t.Context(), files, entrypoints); err != nil {
		t.Error(err)
	}
}

func TestOneDeadlineIsForAllTests(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	slow := strings.Builder{}
	slow.WriteString("package keyward.login_slow_test\n")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		slow.WriteString("\ntest_" + name + " if count([1 | some i, j in numbers.range(1, 1000000); i + j == 0]) == 0\n")
	}
	files["login/slow_test.rego"] = &fstest.MapFile{Data: []byte(slow.String())}
	// Each takes many seconds.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if refused := reason(t, ctx, files); !strings.Contains(refused.Message, "did not end in time") || refused.Advice != bundle.AdviseTime {
		t.Errorf("%+v", refused)
	}
}

func TestAMissingTableIsSaidInALineBeforeTheTestsThatFailWithoutIt(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"login", "append", "mediation"} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Tested(t)
			delete(files, action+"/"+action+".rego")
			_, err := bundle.Load(t.Context(), files, entrypoints)
			if err == nil || strings.Count(err.Error(), "\n") != 0 ||
				!strings.Contains(err.Error(), "there is no rule data.keyward."+action+".decision") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatEditorsAndSystemsLeaveBesideTheFilesIsNoPartOfABundle(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	before, err := bundlefile.Hash(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"login/.#login.rego", "login/._login.rego", ".nfs0000000000000001.rego", "schemas/._login.json", ".login.rego.swp",
	} {
		files[name] = &fstest.MapFile{Data: []byte("\x00\x05\x16\x07 not Rego")}
	}
	after, err := bundlefile.Hash(files)
	if err != nil || before != after {
		t.Errorf("the revision is %s, was %s: %v", after, before, err)
	}
}
