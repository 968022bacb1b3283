package cli_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestWhatAProjectWantsToKnowOfAuthenticatorsIsSetAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"show", "pro-1"}, cli.ExitOK, "conveyance  none\nformats     any\nunverified  keep\n"},
		{
			[]string{"set", "pro-1", "--conveyance", "direct", "--formats", "packed,tpm", "--unverified", "refuse"}, cli.ExitOK,
			"conveyance  direct\nformats     packed,tpm\nunverified  refuse\n",
		},
		{[]string{"set", "pro-1", "--formats", ""}, cli.ExitOK, "formats     any\nunverified  refuse\n"},
		{[]string{"show", "pro-1", "-o", "json"}, cli.ExitOK, `"conveyance": "direct"`},
		{[]string{"set", "pro-1", "--conveyance", "none", "--unverified", "refuse"}, cli.ExitFailure, "unverified: refuse needs a conveyance"},
		{[]string{"set", "pro-1", "--conveyance", "some"}, cli.ExitFailure, "conveyance: must be none"},
		{[]string{"set", "pro-1", "--conveyance", "none"}, cli.ExitOK, "conveyance  none\nformats     any\nunverified  keep\n"},
		{[]string{"set", "pro-1"}, cli.ExitUsage, "name --conveyance"},
		{[]string{"show", "pro-9"}, cli.ExitFailure, "does not exist"},
	} {
		answered := run(t, environ, append([]string{"project", "attestation"}, step.args...)...)
		if answered.code != step.code || !strings.Contains(answered.out+answered.err, step.want) {
			t.Errorf("%v: %+v", step.args, answered)
		}
	}
}
