package projectcmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newProjectRiskKey(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "risk-key",
		Short: "Rotate the key that names what is counted",
		Long: `What rules of risk count is kept by tokens of users, addresses, networks and
browsers, made with a key of the project. They name nobody to who has no key;
who has it can try addresses.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProjectRiskKeyRotate(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

// shownRiskKey is the key of what is counted as the command prints it.
type shownRiskKey struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	Since   string `json:"since"`
}

func newProjectRiskKeyRotate(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "rotate <project ID>",
		Short: "Forget all counts: another key names what is counted from now on",
		Long: `Gives the project another key of what is counted. All counts begin anew, but for
those of the whole project, which name nobody: what was kept by the key before is
read by nobody any more, and expires within a week. velocity.complete is false
until the window of every counter that is read has passed, and an hour before it,
in which step-ups that are under way are still named by the key before.`,
		Args: command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				version, err := projects.RotateRiskKey(ctx, args[0], time.Now())
				if err != nil {
					return err
				}
				made := shownRiskKey{ID: args[0], Version: version.Number, Since: command.Timestamp(version.SinceMs)}
				if out.JSON() {
					return command.WriteJSON(cmd, made)
				}
				_, err = fmt.Fprintf(
					cmd.OutOrStdout(), "project  %s\nversion  %d\n\nCounts begin anew, and are complete of what happens from %s on.\n",
					made.ID, made.Version, made.Since,
				)
				return err
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}
