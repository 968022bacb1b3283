package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/scenario"
)

// What documents show as files of scenarios passes with the default policy.
func TestTheScenariosOfTheDocumentsPass(t *testing.T) {
	t.Parallel()
	bundle, err := scenario.Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../../../docs/*.md")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	shown, fence := 0, regexp.MustCompile("(?ms)^```yaml\n(.*?)^```\n")
	for _, name := range names {
		document, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range fence.FindAllSubmatchIndex(document, -1) {
			block := document[at[2]:at[3]]
			if !strings.Contains(string(block), "\nscenarios:\n") {
				continue
			}
			shown++
			line := 1 + strings.Count(string(document[:at[0]]), "\n")
			t.Run(fmt.Sprintf("%s in line %d", filepath.Base(name), line), func(t *testing.T) {
				t.Parallel()
				if failure := fails(t, bundle, block); failure != "" {
					t.Error(failure)
				}
			})
		}
	}
	if shown == 0 {
		t.Error("no document shows scenarios")
	}
}
