package releasecmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newShadow(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "Have a revision judge beside what is live, and decide nothing",
		Long: `A shadow is a revision that judges what is judged, beside what is live, and decides
nothing: it says where it would have answered otherwise. No answer waits for it.`,
		Args: command.NoArguments,
	}
	cmd.AddCommand(newShadowBegin(terminal), newShadowEnd(terminal), newShadowShow(terminal))
	return cmd
}

func newShadowBegin(terminal command.Terminal) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:     "begin <number>",
		Short:   "Begin a shadow of a revision",
		Long:    `Begins a shadow of a revision in the store, in the place of the one that there is.`,
		Example: `  keyward policy shadow begin 7 --share 10% --wait`,
		Args:    command.OneArgument("the number of the revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := parseNumber(args[0])
			if err != nil {
				return err
			}
			asked := operator.PolicyShadowReq{Step: operator.PolicyShadowReqStepBegin, Revision: &number}
			if asked.Share, err = parseShare(t.share); err != nil {
				return err
			}
			return t.steer(cmd, terminal, shadowStep(asked), func(c operator.PolicyChange) string {
				return fmt.Sprintf("Revision %d judges %s of decisions beside revision %d: change %d, by %s.",
					number, percent(*asked.Share), c.Revision, c.Number, by(c.By))
			})
		},
	}
	cmd.Flags().StringVar(&t.share, "share", "100%", "share of decisions")
	t.flags(cmd)
	return cmd
}

func newShadowEnd(terminal command.Terminal) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use: "end", Short: "End the shadow", Long: "Ends the shadow. What it has seen can be looked at no more.", Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := operator.PolicyShadowReq{Step: operator.PolicyShadowReqStepEnd}
			return t.steer(cmd, terminal, shadowStep(asked), func(c operator.PolicyChange) string {
				return fmt.Sprintf("The shadow is over: change %d, by %s.", c.Number, by(c.By))
			})
		},
	}
	t.flags(cmd)
	return cmd
}

func shadowStep(asked operator.PolicyShadowReq) step {
	return func(ctx context.Context, api api, reason *string) (operator.PolicyChange, error) {
		asked.Reason = reason
		return api.SteerShadow(ctx, asked)
	}
}

func newShadowShow(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show where the shadow would have answered otherwise",
		Long: `Shows what the shadow would have answered otherwise, on all instances, the most
frequent difference first; keyward policy explain tells of each example why it was
answered as it was.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			seen, err := api.GetShadow(cmd.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, seen)
			}
			return writeShadow(cmd, out, seen)
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func writeShadow(cmd *cobra.Command, out command.Output, s operator.PolicyShadow) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(),
		"Revision %d has judged %d decisions since %s: %d the same, %d otherwise, %d failed; %d skipped.\n",
		s.Share.Revision, s.Compared, at(s.Begun), s.Same, s.Different, s.Failed, s.Skipped)
	if err == nil && s.Failure != nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "It failed last: %s\n", firstLine(*s.Failure))
	}
	if err != nil || len(s.Differences) == 0 {
		return err
	}
	_, _ = fmt.Fprintln(cmd.OutOrStdout())
	heading := "ACTION\tLIVE\tSHADOW\tCOUNT\tFOR EXAMPLE"
	return command.WriteRows(cmd, out, s.Differences, heading, func(d operator.PolicyDifference) string {
		return fmt.Sprintf("%s\t%s\t%s\t%d\t%s", d.Action, answered(d.Live), answered(d.Shadow), d.Count, d.Examples[0])
	})
}

// answered is an answer in a few words.
func answered(a operator.PolicyAnswer) string {
	words := []string{a.Row}
	if a.Tag != nil {
		words = append(words, *a.Tag)
	}
	if a.Risk != nil && *a.Risk != "allow" {
		words = append(words, *a.Risk)
	}
	if a.Reasons != nil {
		words = append(words, "("+strings.Join(*a.Reasons, " ")+")")
	}
	return printable(strings.Join(words, " "))
}
