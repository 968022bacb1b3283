package reference_test

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/reference"
)

const tableOf = `# METADATA
# title: A table
# description: Whether to. It is read
#   from the top.
package keyward.NAME

# METADATA
# title: No row answers
# custom:
#   row: X9
default decision := {"rule": "X9"}

decision := deny("X1", "barred", "for_good") if barred

else := allow("X2", "well", input.way) if well

else := offer_silently("X3", "well", "quiet", well_open) if {
	input.x > 1
	well_silent
}

# METADATA
# title: It is barred | for good
# scope: rule
# custom:
#   row: X1
barred if input.a == 1

# METADATA
# title: It is barred by another
# scope: rule
# custom:
#   row: X1
barred if input.b == 1

# METADATA
# title: All is well
# scope: rule
# custom:
#   row: X2
well if shared

# METADATA
# title: All is well, and quiet
# scope: rule
# custom:
#   row: X3
well_silent if input.c == 1

# METADATA
# title: What rows share is no row
# scope: rule
shared if input.d == 1
`

func TestTablesAreWrittenFromTheTopInTheWordsOfTheirRules(t *testing.T) {
	t.Parallel()
	const want = "| row | answer | tag | how, or why not | holds if |\n|---|---|---|---|---|\n" +
		"| X1 | no | `barred` | `for_good` | It is barred \\| for good; or: It is barred by another |\n" +
		"| X2 | yes | `well` | `way` | All is well |\n" +
		"| X3 | yes, silently | `well` | `quiet` | All is well, and quiet |\n"
	files := fstest.MapFS{}
	for _, action := range []string{"rollout", "mediation", "login", "append"} {
		files[action+"/"+action+".rego"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(tableOf, "NAME", action))}
	}
	var out strings.Builder
	if err := reference.WriteTables(&out, files); err != nil {
		t.Fatal(err)
	}
	_, tables, _ := strings.Cut(out.String(), "## A table\n\nWhether to.\n\n")
	first, _, _ := strings.Cut(tables, "\n## ")
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if n := strings.Count(out.String(), "\n## A table\n"); n != 4 {
		t.Errorf("%d tables, want 4", n)
	}

	delete(files, "login/login.rego")
	if err := reference.WriteTables(&strings.Builder{}, files); !strings.Contains(err.Error(), "login/login.rego") {
		t.Errorf("a bundle without a table: %v", err)
	}
}

// A row that the reference leaves out would be one that nobody can look up.
func TestEveryRowOfTheDefaultBundleIsInTheReference(t *testing.T) {
	t.Parallel()
	source := os.DirFS("../../../../../../../policies")
	var out strings.Builder
	if err := reference.WriteTables(&out, source); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"rollout", "mediation", "login", "append"} {
		content, err := fs.ReadFile(source, action+"/"+action+".rego")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			row, ok := strings.CutPrefix(strings.TrimSpace(line), "#   row: ")
			if !ok || strings.Contains(string(content), "\t\"rule\": \""+row+"\",") || strings.Contains(string(content), "{\"rule\": \""+row+"\",") {
				continue // the default, which no line answers with
			}
			if !strings.Contains(out.String(), "\n| "+row+" |") {
				t.Errorf("row %s of %s is missing", row, action)
			}
		}
	}
}
