package projectcmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/project"
)

const relatedHelp = "origin on another domain that may use the RP ID, of at most five registrable labels; repeat for several"

func newProjectUpdate(terminal command.Terminal) *cobra.Command {
	var name, rpName, verification string
	var origins, related, hosts []string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "update <project ID>",
		Short: "Change a project's names, origins, hosts and user verification, at once",
		Long: `Each flag replaces what the project has of its kind; what is not named stays.
An empty value, as in --host '', leaves none. The RP ID cannot be changed:
passkeys belong to it for good.`,
		Example: "  keyward project update pro-1 --name Shop --origin https://example.com --origin https://login.example.com\n" +
			"  keyward project update pro-1 --related-origin https://example.de --host '*.example.com'",
		Args: command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			update := project.Update{
				Name: given(flags, "name", &name), RPName: given(flags, "rp-name", &rpName),
				Origins: list(flags, "origin", &origins), RelatedOrigins: list(flags, "related-origin", &related), Hosts: list(flags, "host", &hosts),
				UserVerification: given(flags, "verification", &verification),
			}
			if update == (project.Update{}) {
				return command.Usage(errors.New("nothing is to change; name --name, --rp-name, --origin, --related-origin, --host or --verification"))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				changed, err := projects.Update(ctx, args[0], update)
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, shown(changed, ""))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Changed %s.\n", args[0])
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name for your own use")
	cmd.Flags().StringVar(&rpName, "rp-name", "", "name that authenticators show")
	cmd.Flags().StringArrayVar(&origins, "origin", nil,
		"origin that ceremonies and CORS accept, on the RP ID or below it, or an app's; repeat for several")
	cmd.Flags().StringArrayVar(&related, "related-origin", nil, relatedHelp)
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "host name that frontends reach the project at, or *. and a host name; repeat for several")
	cmd.Flags().StringVar(&verification, "verification", "",
		"user verification that logins ask for: required or preferred; empty = as the installation has it")
	out.Flag(cmd, "text")
	return cmd
}

func given[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if !flags.Changed(name) {
		return nil
	}
	return value
}

// list is given, with one empty value as none.
func list(flags *pflag.FlagSet, name string, values *[]string) *[]string {
	if len(*values) == 1 && (*values)[0] == "" {
		*values = []string{}
	}
	return given(flags, name, values)
}
