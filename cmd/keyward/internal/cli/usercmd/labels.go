package usercmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/remote"
)

func newUserLabels(terminal command.Terminal) *cobra.Command {
	var w whose
	var labels []string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "labels",
		Short: "Show or replace the labels of a user",
		Long: `Labels say what a user is to the business; rules of risk read them. Which there may
be, the policy declares. With --set those given take the place of all that the user
has; --set "" leaves none.`,
		Example: `  keyward user labels --project pro-1 --user usr-4693224802260150919
  keyward user labels --project pro-1 --user usr-4693224802260150919 --set admin,employee`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var has rest.UserLabels
			var err error
			if cmd.Flags().Changed("set") {
				has, err = call(cmd, terminal, &w, rest.UserLabels{Labels: append([]string{}, labels...)}, remote.CeremonyClient.SetUserLabels)
			} else {
				has, err = call(cmd, terminal, &w, service.Empty{}, remote.CeremonyClient.GetUserLabels)
			}
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, has)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(has.Labels, " "))
			return err
		},
	}
	w.flags(cmd)
	cmd.Flags().StringSliceVar(&labels, "set", nil, "the labels that the user is to have, separated by commas")
	out.Flag(cmd, "text")
	command.ServerFlags(cmd.Flags())
	return cmd
}
