package operatorcmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/operator"
)

func newPasskeys(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "passkeys",
		Short: "List and remove the passkeys with which operators sign in to the console",
		Long: `Operators add passkeys of their own in the console, under "Operators and audit". Here they
are listed, and taken away from whoever has lost a device.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPasskeyList(terminal), newPasskeyRemove(terminal))
	return cmd
}

// shownPasskey is a passkey as the commands print it.
type shownPasskey struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Created  string `json:"created"`
	LastUsed string `json:"lastUsed,omitempty"` // empty = never
	Copied   bool   `json:"copied"`
}

func newPasskeyList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:     "list <operator ID>",
		Short:   "List the passkeys of an operator, the oldest first",
		Example: "  keyward operator passkeys list opr-7163245318476301234",
		Args:    command.OneArgument("the operator ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeeper(cmd, terminal, func(ctx context.Context, operators keeper) error {
				all, err := operators.passkeys(ctx, args[0])
				if err != nil {
					return err
				}
				return command.WriteRows(cmd, out, all, "ID\tNAME\tADDED\tLAST USED", func(p shownPasskey) string {
					used := command.OrNever(p.LastUsed)
					if p.Copied {
						used += " (copied: refused)"
					}
					return strings.Join([]string{p.ID, p.Name, p.Created, used}, "\t")
				})
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func passkey(p *operator.Passkey) shownPasskey {
	told := shownPasskey{ID: string(p.ID), Name: p.Name, Created: command.Timestamp(p.CreatedMs), Copied: p.CopiedMs != 0}
	if p.LastUsedMs != 0 {
		told.LastUsed = command.Timestamp(p.LastUsedMs)
	}
	return told
}

func newPasskeyRemove(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:     "remove <operator ID> <passkey ID>",
		Short:   "Remove a passkey of an operator, and end the sessions that it began",
		Example: "  keyward operator passkeys remove opr-7163245318476301234 cre-8213245318476305678",
		Args:    command.TwoArguments("the operator ID and the ID of the passkey"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeeper(cmd, terminal, func(ctx context.Context, operators keeper) error {
				if err := operators.removePasskey(ctx, args[0], args[1]); err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"operator": args[0], "id": args[1]})
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Removed %s of %s.\n", args[1], args[0])
				return err
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}
