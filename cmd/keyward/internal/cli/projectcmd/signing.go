package projectcmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/signing"
)

func newProjectSigning(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "signing-keys",
		Short: "List, rotate and remove the keys that sign sessions and signed passkey data",
		Long: `Each project signs with a key of its own, which is published, without its
private part, at /.well-known/jwks. Keys change by themselves as the setting
signing_key_max_age says; these commands do it by hand.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newProjectSigningList(terminal), newProjectSigningRotate(terminal), newProjectSigningRemove(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

// shownSigningKey is a signing key as the commands print it.
type shownSigningKey struct {
	ID      ident.KeyID   `json:"id"`
	State   signing.State `json:"state"`
	Created string        `json:"created"`
	Signs   string        `json:"signsFrom"`
}

func showSigningKeys(cmd *cobra.Command, out command.Output, keys signing.Keys, now time.Time) error {
	all := make([]shownSigningKey, len(keys))
	for i, k := range keys {
		all[i] = shownSigningKey{
			ID: k.ID, State: keys.StateOf(i, now), Created: command.Timestamp(k.CreatedMs), Signs: command.Timestamp(k.SignsMs),
		}
	}
	return command.WriteRows(cmd, out, all, "ID\tSTATE\tCREATED\tSIGNS FROM", func(k shownSigningKey) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s", k.ID, k.State, k.Created, k.Signs)
	})
}

func newProjectSigningList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list <project ID>",
		Short: "List the signing keys of a project; one that has signed nothing has none",
		Args:  command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				keys, err := projects.SigningKeys(ctx, args[0])
				if err != nil {
					return err
				}
				return showSigningKeys(cmd, out, keys, time.Now())
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newProjectSigningRotate(terminal command.Terminal) *cobra.Command {
	var (
		out command.Output
		now bool
	)
	cmd := &cobra.Command{
		Use:   "rotate <project ID>",
		Short: "Publish another signing key, which signs an hour later or, with --now, at once",
		Long: `Publishes another signing key. It signs an hour later, when every verifier that
keeps a key set has had the time to fetch it again. With --now it signs at once,
or the key that is published already does; verifiers that do not look again when
they meet a key they do not know then refuse what it signs.

The key that signed before stays published for a day, until everything it signed
has expired. If somebody else may have it, rotate --now and then remove it.`,
		Args: command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				keys, err := projects.RotateSigningKey(ctx, args[0], now)
				if err != nil {
					return err
				}
				return showSigningKeys(cmd, out, keys, time.Now())
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "let the key sign at once")
	out.Flag(cmd, "text")
	return cmd
}

func newProjectSigningRemove(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "remove <project ID> <key ID>",
		Short: "Unpublish a signing key that does not sign; what it signed is refused from then on",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return command.Usage(errors.New("needs two arguments, the project ID and the key ID; see " + cmd.CommandPath() + " --help"))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				if err := projects.RemoveSigningKey(ctx, args[0], args[1]); err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"id": args[1]})
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Removed %s.\n", args[1])
				return err
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}
