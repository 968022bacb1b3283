package keyward_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	flowRow     = regexp.MustCompile(`(?m)^\| ([EWN]\d(?:\.\d)?-AC\d\d) \| ([^|]+) \| ([^|]+) \|([^|]*)\|([^|]*)\|$`)
	goTest      = regexp.MustCompile("`(Test\\w+)`")
	pageStory   = regexp.MustCompile(`page: "([^"]+)"`)
	scenarioOf  = regexp.MustCompile(`scenario: "([^"]+)"`)
	scenarioDef = regexp.MustCompile(`(?m)^\s*- (?:\{ )?name: "([^"]+)"`)
	goTestDef   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
)

// goTests returns the names of all tests of the product.
func goTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && notOurs(name):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(name)
		for _, found := range goTestDef.FindAllSubmatch(source, -1) {
			tests[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// scenarios returns the names of the bundle's own scenarios.
func scenarios(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("policies", "scenarios", "*", "scenarios.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		for _, found := range scenarioDef.FindAllStringSubmatch(read(t, file), -1) {
			names[found[1]] = true
		}
	}
	return names
}

// theirSuite runs all scenarios, so a row that rests on it says on which.
const theirSuite = "TestTheBundlesOwnScenariosPass"

func read(t *testing.T, name ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(name...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheTableOfTheBenchmarkNamesTestsThatExistOrReasons(t *testing.T) {
	t.Parallel()
	table, story := read(t, "docs", "passkey-benchmark.md"), ""
	for _, file := range []string{"page.test.mjs", "link.test.mjs", "waits.test.mjs"} {
		story += read(t, "test", "page", file)
	}
	tests, written, states, seen := goTests(t), scenarios(t), map[string]int{}, map[string]bool{}
	for _, row := range flowRow.FindAllStringSubmatch(table, -1) {
		number, state, shown, reason := row[1], row[3], row[4], strings.TrimSpace(row[5])
		if seen[number] {
			t.Errorf("%s is there twice", number)
		}
		seen[number] = true
		states[state]++
		named := goTest.FindAllStringSubmatch(shown, -1)
		stories := pageStory.FindAllStringSubmatch(shown, -1)
		shows := scenarioOf.FindAllStringSubmatch(shown, -1)
		if (len(shows) > 0) != strings.Contains(shown, theirSuite) {
			t.Errorf("%s names scenarios or %s, but not both", number, theirSuite)
		}
		for _, one := range shows {
			if !written[one[1]] {
				t.Errorf("%s names the scenario %q, which the bundle does not have", number, one[1])
			}
		}
		for _, one := range named {
			if !tests[one[1]] {
				t.Errorf("%s names the test %s, which does not exist", number, one[1])
			}
		}
		for _, one := range stories {
			if !strings.Contains(story, "test('"+one[1]+"'") {
				t.Errorf("%s names the story %q, which the page does not have", number, one[1])
			}
		}
		if reason == "" && (state != "met" || len(named)+len(stories) == 0) {
			t.Errorf("%s is %s, and neither a test nor a reason says so", number, state)
		}
	}
	told := fmt.Sprintf(
		"%d are met, %d partly, %d not, and %d are a client's alone", states["met"], states["partly"], states["not"], states["client's"],
	)
	counted := states["met"] + states["partly"] + states["not"] + states["client's"]
	if len(seen) != 166 || counted != len(seen) || !strings.Contains(table, told) {
		t.Errorf("there are %d of 166 criteria: %s; the head of the table says otherwise, or a state is none of the four", len(seen), told)
	}
}
