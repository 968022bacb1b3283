package projectcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newProjectFrontend(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "frontend",
		Short: "Show and change how a project meets browsers and apps",
		Long: `The Frontend API of a project follows its description, a YAML file: the host
names it is reached at, what users sign up with and what of it is verified, how
refresh tokens travel, and the apps and pages that share its passkeys. Without
one, users sign up with an email address, which is verified, or a user name.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFrontendShow(terminal), newFrontendSet(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

func newFrontendShow(terminal command.Terminal) *cobra.Command {
	var id string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the description of a project's frontend",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			return command.WithProjects(cmd, terminal, func(_ context.Context, projects *admin.Projects) error {
				found, err := projects.Frontend(id)
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, found)
				}
				return admin.WriteFrontend(cmd.OutOrStdout(), found)
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	out.Flag(cmd, "text")
	return cmd
}

func newFrontendSet(terminal command.Terminal) *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:     "set FILE",
		Short:   "Replace the description of a project's frontend, at once; - reads standard input",
		Example: "  keyward project frontend set --project pro-1 frontend.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return command.Usage(errors.New("name one file, or - for standard input"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			from, _, err := command.OpenInput(terminal, args[0])
			if err != nil {
				return err
			}
			defer func() { _ = from.Close() }()
			read, err := admin.ReadFrontend(from)
			if err != nil {
				return command.Usage(err)
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				if err := projects.SetFrontend(ctx, id, read); err != nil {
					return err
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Changed the frontend of %s.\n", id)
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	return cmd
}
