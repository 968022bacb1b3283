package policycmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/decisionscmd"
	"github.com/keyward/keyward/services/decision/replay"
)

func newPolicyScenarios(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scenarios",
		Short: "Write scenarios; policy test runs them",
		Args:  command.NoArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFromDecision(terminal))
	return cmd
}

func newFromDecision(terminal command.Terminal) *cobra.Command {
	var whose decisionscmd.Filter
	var last bool
	cmd := &cobra.Command{
		Use:   "from-decision [decision ID]",
		Short: "Write a scenario from a recorded decision, ready to be edited",
		Long: `Prints a scenario file with what was known and had happened when a decision was made,
at times relative to it, and what was decided. It names nobody: users, passkeys,
environments, processes and challenges have numbers, and the address is another. What
clients say of their like stays, such as the user agent.

The revision that decided gives the same answer to the scenario, which is tried before
it is printed. The exit code is 1 if it does not, and if the record, the events that it
was made from or the revision are no longer there. The server is found through
--data-dir or --nats-url. --last means the newest decision, with --user the newest
about that user.`,
		Example: `  keyward policy scenarios from-decision dec-1795348800000123456789012 > mine.yaml
  keyward policy scenarios from-decision --user usr-4693224802260150919 --last`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if named := len(args) > 0; named == last {
				return command.Usage(errors.New("give the decision ID, or --last for the newest decision"))
			}
			return decisionscmd.WithRecord(
				cmd, terminal, &whose, args, func(ctx context.Context, records *replay.Records, record replay.Record) error {
					text, err := replay.NewDrafts(records).Write(ctx, &record)
					if err != nil {
						return err
					}
					_, err = cmd.OutOrStdout().Write(text)
					return err
				},
			)
		},
	}
	whose.Whose(cmd)
	cmd.Flags().BoolVar(&last, "last", false, "write down the newest decision of those that --project, --user and --action name")
	command.ServerFlags(cmd.Flags())
	return cmd
}
