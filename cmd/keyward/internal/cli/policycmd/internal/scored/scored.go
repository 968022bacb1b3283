// Package scored is "keyward policy replay --score": it shows how well rules did by what callers have told became of decisions. It reads
// records, and changes nothing.
package scored

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/decisionscmd"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/replay"
)

// Run shows how well the rules did that decided, and those of the candidate, if there is one.
func Run(cmd *cobra.Command, terminal command.Terminal, of replay.Options, asJSON bool) error {
	return decisionscmd.WithRecords(cmd, terminal, func(ctx context.Context, records *replay.Records) error {
		score, err := records.Score(ctx, of.Selection, of.Candidate)
		if err != nil {
			return err
		}
		return show(cmd, score, asJSON)
	})
}

func show(cmd *cobra.Command, s *replay.Score, asJSON bool) error {
	if asJSON {
		return command.WriteJSON(cmd, s)
	}
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintf(out, "%d decisions have a known outcome.\n", s.Told)
	if s.Candidate != "" {
		_, _ = fmt.Fprintf(out, "%d of them revision %s cannot be asked about.\n", s.Unjudged, s.Candidate)
	}
	if s.Told == 0 {
		return nil
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	printConfusion(table, "AS DECIDED", s.Was)
	if s.Candidate != "" {
		printConfusion(table, "REVISION "+s.Candidate, s.Is)
	}
	if len(s.Reasons) > 0 {
		_, _ = fmt.Fprintln(table, "\nREASON\tFRAUDS\tLEGITIMATE\tPRECISION\tONLY IT CAUGHT")
	}
	for _, r := range s.Reasons {
		share := "-"
		if precision, known := r.Precision(); known {
			share = fmt.Sprintf("%.0f %%", 100*precision)
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\n", r.Reason, r.Frauds, r.Legitimate, share, r.OnlyIt)
	}
	return table.Flush()
}

func printConfusion(table io.Writer, heading string, c replay.Confusion) {
	_, _ = fmt.Fprintf(table, "\n%s\tFRAUD CONFIRMED\tSUSPECTED\tLEGITIMATE\tSTEP-UP ABANDONED\n", heading)
	for _, action := range []service.RiskAction{service.RiskAllow, service.RiskReview, service.RiskChallenge, service.RiskDeny, ""} {
		of := c[string(action)]
		if len(of) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\n", cmp.Or(string(action), "not judged"),
			of[event.FraudConfirmed], of[event.FraudSuspected], of[event.Legitimate], of[event.StepUpAbandoned])
	}
}
