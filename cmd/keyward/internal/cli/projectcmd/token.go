package projectcmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func NewToken(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue tokens that a backend calls the user service with",
		Long: `A backend calls the user service as a service user, who is nobody's self and may
do for all users of a project what its token permits. Such a token is an API key:
keyward project key lists and revokes it.

Users call with access tokens of an issuer: see keyward project issuer.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
		byAPI(sub)
	}
	return cmd
}

// shownToken is a token as the command prints it.
type shownToken struct {
	shownKey
	Token string `json:"token"`
}

func newTokenCreate(terminal command.Terminal) *cobra.Command {
	var id, name, expires string
	var permissions []string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Issue a token for a service user and print it, once, alone on the last line",
		Example: `  keyward token create --project pro-1
  TOKEN=$(keyward token create --project pro-1 --name importer --permissions credentials:read --expires 24h | tail -n1)`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := keyAsked{project: id, name: name, expires: expires, flag: "--permissions", permissions: permissions}
			return asked.create(cmd, terminal, func(shown shownKey) error {
				token := shown.Key
				shown.Key = ""
				if out.JSON() {
					return command.WriteJSON(cmd, shownToken{shown, token})
				}
				_, err := fmt.Fprintf(
					cmd.OutOrStdout(), "project      %s\ntoken ID     %s\npermissions  %s\nexpires      %s\n\nThe token itself is not shown again:\n%s\n",
					id, shown.ID, strings.Join(shown.Permissions, " "), command.OrNever(shown.Expires), token,
				)
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	cmd.Flags().StringVar(&name, "name", "service user", "name for your own use")
	cmd.Flags().StringSliceVar(&permissions, "permissions",
		[]string{"passkeys:append", "credentials:read", "credentials:write", "challenges:write"},
		"what the token permits, with commas between, or * for everything")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it works, for example 90d or 24h; empty = until it is revoked")
	out.Flag(cmd, "text")
	return cmd
}
