package projectcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/project"
)

func newProjectIssuer(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issuer",
		Short: "Add, list and remove the OpenID Connect issuers whose access tokens a project takes",
		Long: `The user service takes access tokens, JWTs, of the issuers that a project names:
your users call it with the token that they got when they logged in. Keyward
fetches the issuer's keys by itself. What a token must have, and which of its
claims holds the ID of the Keyward user, is said for each issuer and audience.

A service user needs no issuer: see keyward token create.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIssuerAdd(terminal), newIssuerList(terminal), newIssuerRemove(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

func newIssuerAdd(terminal command.Terminal) *cobra.Command {
	var id, url, audience string
	var options project.IssuerOptions
	var anyScope bool
	var out command.Output
	cmd := &cobra.Command{
		Use:     "add",
		Short:   "Let a project take the access tokens of an issuer, at once",
		Example: "  keyward project issuer add --project pro-1 --url https://login.example.com --audience keyward --user-claim keyward_user",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			if url == "" || audience == "" {
				return command.Usage(errors.New("--url and --audience are needed: exactly what the issuer's tokens have in iss and aud"))
			}
			if anyScope && options.Scopes != nil {
				return command.Usage(errors.New("--scope and --any-scope exclude each other"))
			}
			if anyScope {
				options.Scopes = []string{}
			}
			added, err := project.NewIssuer(url, audience, options)
			if err != nil {
				return command.Usage(admin.Plain(err))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				if err := projects.AddIssuer(ctx, id, added); err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, added)
				}
				_, err := fmt.Fprintf(
					cmd.OutOrStdout(),
					"project           %s\nissuer            %s\naudience          %s\nscopes            %s\nuser claim        %s\npermission claim  %s\n",
					id, added.URL, added.Audience, orAny(added.Scopes), added.UserClaim, added.PermissionClaim,
				)
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	issuerFlags(cmd, &url, &audience)
	cmd.Flags().StringArrayVar(&options.Scopes, "scope", nil,
		"scope that a token must have; repeat for several (default "+project.ScopeOpenID+" and "+project.ScopeAudience+")")
	cmd.Flags().BoolVar(&anyScope, "any-scope", false, "take tokens whatever their scope, for issuers that write none into them")
	cmd.Flags().StringVar(&options.UserClaim, "user-claim", project.DefaultUserClaim,
		"claim that holds the ID of the Keyward user who the token is of")
	cmd.Flags().StringVar(&options.PermissionClaim, "permission-claim", project.DefaultPermissionClaim,
		"claim that holds what the bearer may do for users that it is not")
	out.Flag(cmd, "text")
	return cmd
}

func issuerFlags(cmd *cobra.Command, url, audience *string) {
	cmd.Flags().StringVar(url, "url", "", "the issuer, exactly as tokens have it in iss")
	cmd.Flags().StringVar(audience, "audience", "", "whom the tokens are for, exactly as they have it in aud")
}

func orAny(scopes []string) string {
	if len(scopes) == 0 {
		return "any"
	}
	return strings.Join(scopes, " ")
}

func newIssuerList(terminal command.Terminal) *cobra.Command {
	var id string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the issuers whose access tokens a project takes",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			return command.WithProjects(cmd, terminal, func(_ context.Context, projects *admin.Projects) error {
				all, err := projects.Issuers(id)
				if err != nil {
					return err
				}
				heading := "URL\tAUDIENCE\tSCOPES\tUSER CLAIM\tPERMISSION CLAIM"
				return command.WriteRows(cmd, out, append([]project.Issuer{}, all...), heading, func(i project.Issuer) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", i.URL, i.Audience, orAny(i.Scopes), i.UserClaim, i.PermissionClaim)
				})
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	out.Flag(cmd, "text")
	return cmd
}

func newIssuerRemove(terminal command.Terminal) *cobra.Command {
	var id, url, audience string
	var out command.Output
	cmd := &cobra.Command{
		Use:     "remove",
		Short:   "Make a project refuse the access tokens of an issuer, at once",
		Example: "  keyward project issuer remove --project pro-1 --url https://login.example.com",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			if url == "" {
				return command.Usage(errors.New("--url is needed; keyward project issuer list shows all"))
			}
			return command.WithProjects(cmd, terminal, func(ctx context.Context, projects *admin.Projects) error {
				removed, err := projects.RemoveIssuer(ctx, id, url, audience)
				if errors.Is(err, admin.ErrAudience) {
					return command.Usage(fmt.Errorf("%w with --audience", err))
				}
				if err != nil {
					return err
				}
				if out.JSON() {
					return command.WriteJSON(cmd, map[string]string{"url": removed.URL, "audience": removed.Audience})
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Removed %s for %s.\n", removed.URL, removed.Audience)
				return err
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	issuerFlags(cmd, &url, &audience)
	cmd.Flags().Lookup("audience").Usage += "; empty = the only one there is"
	out.Flag(cmd, "text")
	return cmd
}
