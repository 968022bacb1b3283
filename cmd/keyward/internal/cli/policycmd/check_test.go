package policycmd

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/invariant"
)

func TestASampleThatTimeEndedIsSaidToBe(t *testing.T) {
	t.Parallel()
	const cut = "only 82 of 50000 situations were sampled within --timeout 5s"
	for _, c := range []struct {
		name      string
		asked     []string
		found     int
		fails     bool
		says, out string
	}{
		{"as many as are usual", nil, 50_000, false, "", "0 invariants hold in 50000 sampled situations."},
		{"fewer than are usual", nil, 82, false, cut, "0 invariants hold in 82 sampled situations."},
		{"as many as were asked for", []string{"--situations", "50000"}, 50_000, false, "", "0 invariants hold in 50000 sampled situations."},
		{"fewer than were asked for", []string{"--situations", "50000"}, 82, true, cut, ""},
		{"fewer than a program asked for", []string{"--situations", "50000", "--output", "json"}, 82, true, cut, `"asked": 50000`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var check policyCheck
			var out, complaints bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetOut(&out)
			cmd.SetErr(&complaints)
			cmd.Flags().IntVar(&check.sampled.Situations, "situations", usualSituations, "")
			check.out.Flag(cmd, "text")
			if err := cmd.ParseFlags(c.asked); err != nil {
				t.Fatal(err)
			}
			check.timeout = 5 * time.Second
			err := check.print(cmd, admit.Report{Revision: "1", Invariants: &invariant.Report{Situations: c.found, Asked: 50_000}})
			said := complaints.String()
			if err != nil {
				said += err.Error()
			}
			if (err != nil) != c.fails || !strings.Contains(said, c.says) || c.says == "" && said != "" || !strings.Contains(out.String(), c.out) {
				t.Errorf("%v\n%s\n%s", err, said, out.String())
			}
		})
	}
}
