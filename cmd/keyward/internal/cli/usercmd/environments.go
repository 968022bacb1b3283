package usercmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/remote"
)

func newUserEnvironments(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "environments",
		Short: "List the browsers and apps that a user was seen in, and forget one",
		Long: `Keyward remembers of each user in each browser profile and app which passkeys are
at hand there and what failed there. These commands list them and forget one, as
when a device was given away.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserEnvironmentsList(terminal), newUserEnvironmentsForget(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	return cmd
}

// callTimeout is how long a call about one user may take.
const callTimeout = 10 * time.Second

// whose is the user that a command is about.
type whose struct{ project, user string }

func (w *whose) flags(cmd *cobra.Command) {
	command.ProjectFlag(cmd, &w.project)
	cmd.Flags().StringVar(&w.user, "user", "", "the user")
	_ = cmd.MarkFlagRequired("user")
}

// call makes a call about the user to the server.
func call[T, Out any](
	cmd *cobra.Command, terminal command.Terminal, w *whose, body T,
	made func(remote.CeremonyClient, context.Context, service.ForUser[T]) (Out, error),
) (none Out, err error) {
	project, err := command.ParseProject(w.project)
	if err != nil {
		return none, err
	}
	user, err := ident.ParseUserID(w.user)
	if err != nil {
		return none, command.Usage(fmt.Errorf("--user: %w", err))
	}
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return none, err
	}
	conn, err := admin.Connect(server, cmd.CommandPath())
	if err != nil {
		return none, fmt.Errorf("find the server: %w", err)
	}
	defer conn.Close()
	req := service.ForUser[T]{Project: project, User: user, Body: body}
	answer, err := made(remote.NewCeremonyClient(conn, rpc.Within(callTimeout)), cmd.Context(), req)
	if err != nil {
		return none, admin.Plain(err)
	}
	return answer, nil
}

func newUserEnvironmentsList(terminal command.Terminal) *cobra.Command {
	var w whose
	var out command.Output
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the browsers and apps that a user was seen in, the latest first",
		Example: "  keyward user environments list --project pro-1 --user usr-4693224802260150919",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := call(cmd, terminal, &w, service.Empty{}, remote.CeremonyClient.ListClientEnvs)
			if err != nil {
				return err
			}
			return command.WriteRows(cmd, out, list.ClientEnvs, "ENVIRONMENT\tSYSTEM\tBROWSER\tKNOWN SINCE", func(e rest.ClientEnv) string {
				return fmt.Sprintf("%s\t%s\t%s\t%s", e.ID, named(e.OSName, e.OSVersion), named(e.BrowserName, e.BrowserVersion),
					time.UnixMilli(e.CreatedMs).UTC().Format(time.RFC3339))
			})
		},
	}
	w.flags(cmd)
	out.Flag(cmd, "text")
	return cmd
}

// named puts a name and a version together, as far as they are known. Clients say what they are called.
func named(name, version string) string {
	switch {
	case name == "":
		return "-"
	case version == "":
		return command.Word(name)
	}
	return command.Word(name) + " " + command.Word(version)
}

func newUserEnvironmentsForget(terminal command.Terminal) *cobra.Command {
	var w whose
	cmd := &cobra.Command{
		Use:   "forget <environment ID>",
		Short: "Forget what is remembered of a user in one browser or app",
		Long: `What was remembered of the user there, which passkeys are at hand and what failed,
counts in no decision from now on. Bars of the environment stay, its handle is known
still, and what happens there from now on is remembered anew. Events name the ID of
an environment, and so does keyward user environments list. One that is forgotten
already is left as it is.`,
		Example: "  keyward user environments forget env-1234567890 --project pro-1 --user usr-4693224802260150919",
		Args:    command.OneArgument("the environment ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := call(cmd, terminal, &w, ident.EnvironmentID(args[0]), remote.CeremonyClient.DeleteClientEnv)
			if err != nil {
				return fmt.Errorf("forget %s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is forgotten\n", args[0])
			return err
		},
	}
	w.flags(cmd)
	return cmd
}
