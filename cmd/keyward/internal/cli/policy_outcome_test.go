package cli_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestAnOfferIsExplainedWithWhatCameOfIt(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	user := decline(t, firstProject(t, environ, greeting), 1)
	var got result
	eventually(t, "the decision is not recorded", func() bool {
		got = run(t, environ, "policy", "explain", "--user", user, "--last")
		return got.code == cli.ExitOK
	})
	_, came, found := strings.Cut(got.out, "What came of it\n")
	if steps := lines(came); !found || len(steps) != 2 || !strings.HasSuffix(steps[0], "  append-offered") ||
		!strings.HasSuffix(steps[1], "  append-explicit-abort") {
		t.Errorf("it says\n%s", got.out)
	}
	if asJSON := run(t, environ, "policy", "explain", "--user", user, "--last", "--json"); !strings.Contains(asJSON.out, `"outcome": [`) {
		t.Errorf("as JSON: %s", asJSON.out)
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"the record says so too", nil, "\nWhat came of it\n"},
		{"as JSON", []string{"--json"}, `"outcome": [`},
	} {
		if shown := run(t, environ, append([]string{"decisions", "show", "--user", user}, tc.args...)...); !strings.Contains(shown.out, tc.want) {
			t.Errorf("%s: %+v", tc.name, shown)
		}
	}
}
