package projectcmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/keyring"
)

func newProjectKeys(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List and rotate the secrets that refresh tokens, handles and codes are made with",
		Long: `Each project has a secret of its own, from which one key is derived for each
purpose: refresh tokens, client environment handles, one-time codes and links,
secrets of connect tokens, and what stands for unknown users and counted
addresses. It is not published; what signs sessions is keyward project
signing-keys.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProjectKeysList(terminal), newProjectKeysRotate(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

// shownKeys is a version of a project's keys as the commands print it.
type shownKeys struct {
	Version int    `json:"version"`
	State   string `json:"state"`
	Created string `json:"created"`
	Retired string `json:"retired,omitempty"`
}

func showKeys(cmd *cobra.Command, out command.Output, versions keyring.Versions) error {
	all := make([]shownKeys, len(versions))
	for i, v := range versions {
		all[i] = shownKeys{Version: v.Number, State: "active", Created: command.Timestamp(v.CreatedMs)}
		if v.RetiredMs > 0 {
			all[i].State, all[i].Retired = "retired", command.Timestamp(v.RetiredMs)
		}
	}
	return command.WriteRows(cmd, out, all, "VERSION\tSTATE\tCREATED\tRETIRED", func(v shownKeys) string {
		return fmt.Sprintf("%d\t%s\t%s\t%s", v.Version, v.State, v.Created, v.Retired)
	})
}

func newProjectKeysList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list <project ID>",
		Short: "List the versions that are kept; version 0 is the key of an earlier Keyward",
		Args:  command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				versions, err := projects.KeyVersions(ctx, args[0])
				if err != nil {
					return err
				}
				return showKeys(cmd, out, versions)
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newProjectKeysRotate(terminal command.Terminal) *cobra.Command {
	var (
		out  command.Output
		drop bool
	)
	cmd := &cobra.Command{
		Use:   "rotate <project ID>",
		Short: "Make another version, which makes what is new from now on",
		Long: `Makes another version, which makes what is new from now on. Older versions go on
to verify what they made until all of it has expired, and are dropped then.

If somebody else may have them, use --drop: what they made is refused at once.
Whoever is logged in then logs in again when the session token expires, browsers
are not recognised, and codes that are under way have to be asked for again.`,
		Args: command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				versions, err := projects.RotateKeys(ctx, args[0], drop)
				if err != nil {
					return err
				}
				return showKeys(cmd, out, versions)
			})
		},
	}
	cmd.Flags().BoolVar(&drop, "drop", false, "drop the older versions, with all that they made")
	out.Flag(cmd, "text")
	return cmd
}
