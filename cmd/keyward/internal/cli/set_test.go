package cli_test

import (
	"regexp"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestListsAndSwitchesAreSetAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"lists", "add", "bad", "198.51.100.0/24", "192.0.2.1", "--kind", "address", "--for", "1h", "--reason", "INC-1"},
			`The list bad has 2 entries that were added to it\.\n` +
				`keyward: warning: no rule sees it: revision \S+ of the policy declares no list bad in data\.keyward\.lists\nEvery instance has it\.`},
		{[]string{"lists", "remove", "bad", "192.0.2.1"}, `The list bad has 1 entries`},
		{[]string{"lists", "list"}, `bad +address +1`},
		{[]string{"lists", "show", "bad"}, `198\.51\.100\.0/24 +20\S+Z +local +20\S+Z +INC-1`},
		{[]string{"lists", "history", "bad"}, `(?s)removed +192\.0\.2\.1/32.*added +198\.51\.100\.0/24`},
		{[]string{"switch", "on", "no-ios", "--os", "ios", "--action", "login", "--reason", "INC-2"},
			`The switch no-ios is on, about action=login os=ios\.\nEvery instance has it\.`},
		{[]string{"switch", "list"}, `no-ios +true +action=login os=ios +- +local`},
		{[]string{"switch", "off", "no-ios"}, `The switch no-ios is off\.`},
		{[]string{"switch", "list", "--history", "no-ios"}, `(?s)off .*on .*INC-2`},
	} {
		got := run(t, environ, c.args...)
		if got.code != cli.ExitOK || !regexp.MustCompile(c.want).MatchString(got.out+got.err) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no entry":               {[]string{"lists", "add", "bad"}, cli.ExitUsage, "needs the name of a list, and entries"},
		"no network":             {[]string{"lists", "add", "bad", "x"}, cli.ExitFailure, `add\[0\]: "x": not a network`},
		"another kind":           {[]string{"lists", "add", "bad", "DE", "--kind", "country"}, cli.ExitFailure, "kind: the list bad is of"},
		"a kind that is not":     {[]string{"lists", "add", "bad", "x", "--kind", "label"}, cli.ExitFailure, "kind"},
		"a list that is not":     {[]string{"lists", "show", "none"}, cli.ExitFailure, "nothing was ever added to a list none"},
		"a name that cannot be":  {[]string{"switch", "on", "A B"}, cli.ExitFailure, "switch"},
		"a switch that is not":   {[]string{"switch", "off", "none"}, cli.ExitFailure, "there is no switch none"},
		"a system that is not":   {[]string{"switch", "on", "x", "--os", "beos"}, cli.ExitFailure, "about.os"},
		"a time before now":      {[]string{"switch", "on", "x", "--for", "-1h"}, cli.ExitUsage, "--for"},
		"a history that is not":  {[]string{"switch", "list", "--history", "x"}, cli.ExitFailure, "there is no switch x"},
		"a project that is none": {[]string{"switch", "on", "x", "--project", "x"}, cli.ExitFailure, "about.projectID"},
	} {
		if got := run(t, environ, c.args...); got.code != c.code || !regexp.MustCompile(c.want).MatchString(got.err) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
