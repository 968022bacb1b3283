// Package operatorcmd is "keyward operator": it changes who may call the Operator API of a running server.
package operatorcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/secret"
)

// connectLimit bounds what a command waits for the server.
const connectLimit = 15 * time.Second

// New returns the command.
func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Create, list and revoke operators: who may push the policy and make it live",
		Long: `An operator calls the Operator API, and the commands that work over it, with a
token of their own. What they may do follows from the role, each of which may do what
the one before it may: viewer reads, author pushes revisions of the policy, approver
makes them live, takes them back and acts on users, admin manages operators and keys.
With --project they see and act on some projects alone, and change nothing of all.

These commands need a running server, and find its NATS through --data-dir or
--nats-url; or, with --operator-url and the token of an admin in KEYWARD_OPERATOR_TOKEN,
they call its Operator API. The server takes up changes at once. With the embedded NATS the first start
makes an operator for the machine itself, whose token is in operator-token in the data
directory.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCreate(terminal), newList(terminal), newRevoke(terminal))
	passkeys := newPasskeys(terminal)
	for _, sub := range append(cmd.Commands(), passkeys.Commands()...) {
		command.ServerFlags(sub.Flags())
		command.OperatorURLFlag(sub.Flags())
	}
	cmd.AddCommand(passkeys)
	return cmd
}

// withOperators runs do with the operators of the server that the command's flags name. A change that is not in the stream of security
// events is an error, though it is done.
func withOperators(cmd *cobra.Command, terminal command.Terminal, do func(context.Context, *admin.Operators) error) error {
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), connectLimit)
	defer cancel()
	operators, err := admin.OpenOperators(ctx, server, cmd.CommandPath())
	if err != nil {
		return err
	}
	defer operators.Close()
	return errors.Join(do(ctx, operators), operators.Unrecorded())
}

// shownOperator is an operator as the commands print it.
type shownOperator struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Role      string   `json:"role"`
	Projects  []string `json:"projects,omitempty"` // empty = all
	Created   string   `json:"created"`
	CreatedBy string   `json:"createdBy"`
	Expires   string   `json:"expires,omitempty"` // empty = never
	Token     string   `json:"token,omitempty"`   // only when it has just been made
}

func shown(o operator.Operator, token secret.Text) shownOperator {
	s := shownOperator{
		ID: string(o.ID), Name: o.Name, Role: string(o.Role), Created: command.Timestamp(o.CreatedMs), CreatedBy: o.CreatedBy,
		Token: token.Reveal(),
	}
	for _, one := range o.Projects {
		s.Projects = append(s.Projects, string(one))
	}
	if o.ExpiresMs != 0 {
		s.Expires = command.Timestamp(o.ExpiresMs)
	}
	return s
}

func orAll(projects []string) string {
	if len(projects) == 0 {
		return "all"
	}
	return strings.Join(projects, " ")
}

func newCreate(terminal command.Terminal) *cobra.Command {
	var name, role, expires string
	var projects []string
	var out command.Output
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create an operator and print the token, once, on the last line",
		Example: "  keyward operator create --name ada --role author --expires 90d",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lifetime, err := command.Lifetime(expires)
			if err != nil {
				return command.Usage(fmt.Errorf("--expires %w", err))
			}
			// What a name and a role must be is told before a server is looked for.
			wanted := operator.Wanted{Name: name, Role: operator.Role(role), Lifetime: lifetime}
			for _, one := range projects {
				wanted.Projects = append(wanted.Projects, ident.ProjectID(one))
			}
			if _, _, err := operator.New(wanted, time.Now()); err != nil {
				return command.Usage(admin.Plain(err))
			}
			return withKeeper(cmd, terminal, func(ctx context.Context, operators keeper) error {
				s, err := operators.create(ctx, wanted)
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, s)
				}
				_, err = fmt.Fprintf(
					cmd.OutOrStdout(),
					"operator  %s\nname      %s\nrole      %s\nprojects  %s\nexpires   %s\n\nThe token itself is not shown again:\n%s\n",
					s.ID, s.Name, s.Role, orAll(s.Projects), command.OrNever(s.Expires), s.Token,
				)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "who it is, as revisions and security events will say")
	cmd.Flags().StringVar(&role, "role", "", "what they may do: viewer, author, approver or admin")
	cmd.Flags().StringSliceVar(&projects, "project", nil, "the only project that they are to see and act on; repeatable; without it all")
	cmd.Flags().StringVar(&expires, "expires", "", "how long the token works, for example 90d or 12h; empty = until it is revoked")
	out.Flag(cmd, "text")
	return cmd
}

func newList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the operators, the oldest first",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeeper(cmd, terminal, func(ctx context.Context, operators keeper) error {
				all, err := operators.list(ctx)
				if err != nil {
					return err
				}
				return command.WriteRows(cmd, out, all, "ID\tNAME\tROLE\tPROJECTS\tCREATED\tEXPIRES", func(o shownOperator) string {
					return strings.Join([]string{o.ID, o.Name, o.Role, orAll(o.Projects), o.Created, command.OrNever(o.Expires)}, "\t")
				})
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newRevoke(terminal command.Terminal) *cobra.Command {
	var out command.Output
	var force bool
	cmd := &cobra.Command{
		Use:   "revoke <operator ID>",
		Short: "Revoke an operator; the token stops working at once",
		Long: `The last admin of all projects is not revoked: nobody could make operators any more. With
--force, on the machine of a server with the embedded NATS, it is, and that is told in the
security event; the next start of the server then makes an operator for the machine anew.`,
		Example: "  keyward operator revoke opr-7163245318476301234",
		Args:    command.OneArgument("the operator ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := command.FindServer(terminal, cmd.Flags())
			if err != nil {
				return err
			}
			if force && server.URL != "" {
				return errOnlyHere
			}
			return withKeeper(cmd, terminal, func(ctx context.Context, operators keeper) error {
				name, err := operators.revoke(ctx, args[0], force)
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"id": args[0], "name": name})
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Revoked %s (%s).\n", args[0], name)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "revoke the last admin too; only with --data-dir")
	out.Flag(cmd, "text")
	return cmd
}
