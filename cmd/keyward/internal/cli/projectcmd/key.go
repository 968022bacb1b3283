package projectcmd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/gateway"
)

func newProjectKey(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Create, list and revoke API keys with permissions",
		Long: `An API key is sent as "Authorization: Bearer <key>" and may call what its
permissions name, where the API secret may call everything. The permission of
each operation is its x-permission in the API description, at /openapi.yaml.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyCreate(terminal), newKeyList(terminal), newKeyRevoke(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
		byAPI(sub)
	}
	return cmd
}

// shownKey is an API key as the commands print it.
type shownKey struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	Created     string   `json:"created"`
	Expires     string   `json:"expires,omitempty"` // empty = never
	Key         string   `json:"key,omitempty"`     // only when it has just been made
}

func showKey(k project.APIKey, made secret.Text) shownKey {
	shown := shownKey{ID: k.ID, Name: k.Name, Permissions: k.Permissions, Created: command.Timestamp(k.CreatedMs), Key: made.Reveal()}
	if k.ExpiresMs != 0 {
		shown.Expires = command.Timestamp(k.ExpiresMs)
	}
	return shown
}

// keyAsked is what a command was told of a key that it is to make.
type keyAsked struct {
	project, name, expires string
	flag                   string // that names the permissions
	permissions            []string
}

// create makes the key, and has what was made printed.
func (k keyAsked) create(cmd *cobra.Command, terminal command.Terminal, print func(shownKey) error) error {
	if k.project == "" {
		return command.ErrNoProject
	}
	lifetime, err := command.Lifetime(k.expires)
	if err != nil {
		return command.Usage(fmt.Errorf("--expires %w", err))
	}
	if err := checkPermissions(k.flag, k.permissions); err != nil {
		return command.Usage(err)
	}
	return withKeeper(cmd, terminal, func(ctx context.Context, projects keeper) error {
		made, err := projects.createKey(ctx, k.project, k.name, k.permissions, lifetime)
		if err != nil {
			return err
		}
		return print(made)
	})
}

func newKeyCreate(terminal command.Terminal) *cobra.Command {
	var id, name, expires string
	var permissions []string
	var out command.Output
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create an API key and print it, once, on the last line",
		Example: "  keyward project key create --project pro-1 --name backend --permission users:write --permission passkeys:login --expires 90d",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked := keyAsked{project: id, name: name, expires: expires, flag: "--permission", permissions: permissions}
			return asked.create(cmd, terminal, func(shown shownKey) error {
				if out.JSON() {
					return command.WriteJSON(cmd, shown)
				}
				_, err := fmt.Fprintf(
					cmd.OutOrStdout(), "project      %s\nkey ID       %s\npermissions  %s\nexpires      %s\n\nThe key itself is not shown again:\n%s\n",
					id, shown.ID, strings.Join(shown.Permissions, " "), command.OrNever(shown.Expires), shown.Key,
				)
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	cmd.Flags().StringVar(&name, "name", "", "name for your own use")
	cmd.Flags().StringArrayVar(&permissions, "permission", nil,
		"what the key may call, for example users:read, or * for everything; repeat for several")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it works, for example 90d or 12h; empty = until it is revoked")
	out.Flag(cmd, "text")
	return cmd
}

func newKeyList(terminal command.Terminal) *cobra.Command {
	var id string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys of a project",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			return withKeeper(cmd, terminal, func(ctx context.Context, projects keeper) error {
				all, err := projects.keys(ctx, id)
				if err != nil {
					return err
				}
				return command.WriteRows(cmd, out, all, "ID\tNAME\tPERMISSIONS\tCREATED\tEXPIRES", func(k shownKey) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", k.ID, k.Name, strings.Join(k.Permissions, " "), k.Created, command.OrNever(k.Expires))
				})
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	out.Flag(cmd, "text")
	return cmd
}

func newKeyRevoke(terminal command.Terminal) *cobra.Command {
	var id string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "revoke <key ID>",
		Short: "Revoke an API key; it stops working at once",
		Args:  command.OneArgument("the key ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			return withKeeper(cmd, terminal, func(ctx context.Context, projects keeper) error {
				if err := projects.revokeKey(ctx, id, args[0]); err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"id": args[0]})
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s.\n", args[0])
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	out.Flag(cmd, "text")
	return cmd
}

// checkPermissions refuses a permission that no operation needs: most likely it is misspelled.
func checkPermissions(flag string, wanted []string) error {
	known, err := gateway.Permissions()
	if err != nil {
		return fmt.Errorf("read the API description: %w", err)
	}
	if len(wanted) == 0 {
		return fmt.Errorf("%s is needed: %s, or * for everything", flag, strings.Join(known, ", "))
	}
	for _, permission := range wanted {
		if permission != project.AllPermissions && !slices.Contains(known, permission) {
			return fmt.Errorf("there is no permission %q; there are %s, and * for everything", permission, strings.Join(known, ", "))
		}
	}
	return nil
}
