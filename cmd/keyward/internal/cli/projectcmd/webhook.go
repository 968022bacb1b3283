package projectcmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newProjectWebhook(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "List webhook endpoints, and have deliveries wait and go on",
		Long: `Backends make webhook endpoints over the API. Here they are listed; while one is paused,
nothing is sent to it, and what happens meanwhile is delivered, in order, when it is
resumed. These commands call the Operator API.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newWebhookList(terminal), newWebhookPause(terminal, "pause", "Have deliveries to an endpoint wait", true),
		newWebhookPause(terminal, "resume", "Deliver to an endpoint again, what has waited first", false),
	)
	for _, sub := range cmd.Commands() {
		command.OperatorFlags(sub.Flags())
		sub.Long = strings.TrimSpace(sub.Long + "\n\n" + command.OperatorTokenHelp)
	}
	return cmd
}

func newWebhookList(terminal command.Terminal) *cobra.Command {
	var id string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the webhook endpoints of a project, the oldest first",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			client, err := command.FindOperatorAPI(cmd, terminal)
			if err != nil {
				return err
			}
			found, err := client.ListWebhooks(cmd.Context(), id)
			if err != nil {
				return err
			}
			return command.WriteRows(cmd, out, found.Webhooks, "ID\tURL\tEVENTS\tSTATE", func(w api.ProjectWebhook) string {
				return strings.Join([]string{w.WebhookEndpointID, w.URL, strings.Join(w.SubscribedEvents, " "), stateOf(&w)}, "\t")
			})
		},
	}
	command.ProjectFlag(cmd, &id)
	out.Flag(cmd, "text")
	return cmd
}

func stateOf(w *api.ProjectWebhook) string {
	switch {
	case w.Gone != nil:
		return "gone since " + w.Gone.UTC().Format(time.RFC3339)
	case w.Paused != nil:
		return "paused since " + w.Paused.UTC().Format(time.RFC3339)
	default:
		return "in use"
	}
}

func newWebhookPause(terminal command.Terminal, name, short string, paused bool) *cobra.Command {
	var id, reason string
	var out command.Output
	cmd := &cobra.Command{
		Use:   name + " <webhook endpoint ID>",
		Short: short,
		Args:  command.OneArgument("the webhook endpoint ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if id == "" {
				return command.ErrNoProject
			}
			client, err := command.FindOperatorAPI(cmd, terminal)
			if err != nil {
				return err
			}
			asked := api.WebhookPauseReq{Paused: paused}
			if reason != "" {
				asked.Reason = &reason
			}
			if err := client.PauseWebhook(cmd.Context(), id, args[0], asked); err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, map[string]any{"id": args[0], "paused": paused})
			}
			said := "Resumed %s: what has waited is delivered now.\n"
			if paused {
				said = "Paused %s: what happens waits until it is resumed.\n"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), said, args[0])
			return err
		},
	}
	command.ProjectFlag(cmd, &id)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the security event")
	out.Flag(cmd, "text")
	return cmd
}
