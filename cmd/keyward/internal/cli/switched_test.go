package cli_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestADecisionThatASwitchStoppedIsExplainedByTheSwitch(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	api := firstProject(t, environ, greeting)
	if on := run(t, environ, "switch", "on", "no-nudges", "--action", "append"); on.code != cli.ExitOK {
		t.Fatalf("%+v", on)
	}
	user := decline(t, api, 1)
	byFlags := []string{"decisions", "show", "--tag", "switched-off", "--user", user}
	eventually(t, "the decision is not recorded", func() bool { return run(t, environ, byFlags...).code == cli.ExitOK })
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"shown": {byFlags, cli.ExitOK, []string{
			"answer    allow no, row switch:no-nudges, tag switched-off",
			"Answer\n    none: the switch no-nudges was on, and the rules were not asked",
		}},
		"shown by the server": {slices.Concat(byFlags, operatorURL(environ)), cli.ExitOK, []string{"none: the switch no-nudges was on"}},
		"explained": {[]string{"policy", "explain", "--user", user, "--last"}, cli.ExitOK, []string{
			"row switch:no-nudges, tag switched-off",
			"The switch no-nudges was on, and the rules were not asked. Explained with the revision that decided, which would answer:",
		}},
		"replayed": {[]string{"policy", "replay"}, cli.ExitOK, []string{
			"1 were left out, because the policy had given no answer: it failed, or a switch was on.",
		}},
		"made a scenario of": {[]string{"policy", "scenarios", "from-decision", "--user", user, "--last"}, cli.ExitFailure, []string{
			"a switch was on, so that the rules were not asked",
		}},
	} {
		got := run(t, environ, c.args...)
		for _, want := range c.want {
			if got.code != c.code || !strings.Contains(got.out+got.err, want) {
				t.Errorf("%s, it lacks %q: code %d\n%s%s", name, want, got.code, got.out, got.err)
			}
		}
		if strings.Contains(got.out, "the policy failed") || strings.Contains(got.out, "The policy failed") {
			t.Errorf("%s: the policy did not fail:\n%s", name, got.out)
		}
	}
}
