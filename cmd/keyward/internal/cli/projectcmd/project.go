// Package projectcmd is "keyward project" and "keyward token": it changes what a running server keeps of projects.
package projectcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/secret"
)

func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "project",
		Short: "Create, list, update and delete projects; change their secrets, keys and issuers",
		Long: `A project is one relying party with its own API secret, origins, users and
events. These commands need a running server, and find it through --data-dir or
--nats-url. The server takes up changes at once.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newProjectCreate(terminal), newProjectList(terminal), newProjectUpdate(terminal), newProjectRotate(terminal), newProjectDelete(terminal),
		newProjectSigning(terminal), newProjectKeys(terminal), newProjectRiskKey(terminal),
	)
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	cmd.AddCommand(
		newProjectKey(terminal), newProjectIssuer(terminal), newProjectFrontend(terminal), newProjectAttestation(terminal),
		newProjectWebhook(terminal),
	)
	return cmd
}

// shownProject is a project as the commands print it.
type shownProject struct {
	ID      ident.ProjectID `json:"id"`
	Name    string          `json:"name"`
	RPID    string          `json:"rpID"`
	RPName  string          `json:"rpName"`
	Origins []string        `json:"origins"`
	Related []string        `json:"relatedOrigins,omitempty"`
	Hosts   []string        `json:"hosts,omitempty"`
	CNAME   string          `json:"cname,omitempty"`
	Verify  string          `json:"userVerification,omitempty"`
	Created string          `json:"created"`
	Secret  string          `json:"apiSecret,omitempty"` // only when it has just been made
}

func shown(p project.Project, made secret.Text) shownProject {
	return shownProject{
		ID: p.ID, Name: p.Name, RPID: p.RPID, RPName: p.RPName,
		Origins: p.Own(), Related: p.Related(), Hosts: p.Frontend.Hosts, CNAME: p.CNAME, Verify: p.UserVerification,
		Created: time.UnixMilli(p.CreatedMs).UTC().Format(time.RFC3339), Secret: made.Reveal(),
	}
}

func newProjectCreate(terminal command.Terminal) *cobra.Command {
	var n admin.New
	var out command.Output
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Create a project and print its secret, once",
		Example: "  keyward project create --rp-id example.com --origin https://example.com --origin https://login.example.com",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n.RPID == "" || len(n.Origins) == 0 {
				return command.Usage(errors.New("--rp-id and --origin are needed: a passkey made under a wrong relying party can never log in"))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				p, made, err := projects.Create(ctx, n, time.Now())
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, shown(p, made))
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "project     %s\nAPI secret  %s\n\nThe secret is not shown again.\n", p.ID, made.Reveal())
				return err
			})
		},
	}
	cmd.Flags().StringVar(&n.ID, "id", "", "ID of the form pro-<number>; empty = random")
	cmd.Flags().StringVar(&n.Name, "name", "", "name for your own use; empty = the relying party's name")
	cmd.Flags().StringVar(&n.RPID, "rp-id", "", "WebAuthn relying party ID: the domain that passkeys belong to, for good")
	cmd.Flags().StringVar(&n.RPName, "rp-name", "", "name that authenticators show; empty = the RP ID")
	cmd.Flags().StringArrayVar(&n.Origins, "origin", nil, "origin that ceremonies and CORS accept; repeat for several")
	cmd.Flags().StringArrayVar(&n.Related, "related-origin", nil, relatedHelp)
	out.Flag(cmd, "text")
	return cmd
}

func newProjectList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List all projects",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeeper(cmd, terminal, func(ctx context.Context, projects keeper) error {
				all, err := projects.list(ctx)
				if err != nil {
					return err
				}
				return command.WriteRows(cmd, out, all, "ID\tNAME\tRP ID\tORIGINS\tCREATED", func(p shownProject) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", p.ID, p.Name, p.RPID, strings.Join(slices.Concat(p.Origins, p.Related), " "), p.Created)
				})
			})
		},
	}
	out.Flag(cmd, "text")
	byAPI(cmd)
	return cmd
}

func newProjectRotate(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "rotate-secret <project ID>",
		Short: "Give a project another secret and print it, once",
		Args:  command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				made, err := projects.RotateSecret(ctx, args[0])
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"id": args[0], "apiSecret": made.Reveal()})
				}
				_, err = fmt.Fprintf(
					cmd.OutOrStdout(), "project     %s\nAPI secret  %s\n\nThe old secret has stopped working. The new one is not shown again.\n", args[0],
					made.Reveal(),
				)
				return err
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newProjectDelete(terminal command.Terminal) *cobra.Command {
	var yes bool
	var out command.Output
	cmd := &cobra.Command{
		Use:   "delete <project ID>",
		Short: "Delete a project; its secret stops working at once",
		Args:  command.OneArgument("the project ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes && !confirmed(cmd, terminal, args[0]) {
				return command.Usage(errors.New("nothing was deleted; say --yes to delete without being asked"))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				if err := projects.Delete(ctx, args[0]); err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"id": args[0]})
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "Deleted %s.\n", args[0])
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	out.Flag(cmd, "text")
	return cmd
}

func confirmed(cmd *cobra.Command, terminal command.Terminal, id string) bool {
	if !command.IsTerminal(terminal.In) {
		return false
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "Delete %s? Its users can no longer log in. Type the ID to go on: ", id)
	line, err := bufio.NewReader(terminal.In).ReadString('\n')
	return err == nil && strings.TrimSpace(line) == id
}
