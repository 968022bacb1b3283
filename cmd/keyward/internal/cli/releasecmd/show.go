package releasecmd

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

func newList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the revisions in the store, the newest first",
		Long:  "Lists every revision of the policy that was ever pushed. The one that is live has a star.",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			all, err := api.ListRevisions(cmd.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, all)
			}
			heading := "NUMBER\tNAME\tCONTENT\tAUTHOR\tPUSHED\tTESTS\tSCENARIOS\tMESSAGE"
			return command.WriteRows(cmd, out, all.Revisions, heading, func(r operator.PolicyRevision) string {
				star := ""
				if all.Live != nil && *all.Live == r.Number {
					star = "*"
				}
				return fmt.Sprintf("%d%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s", r.Number, star, command.Word(r.Name), r.Content, by(r.Author), at(r.Created),
					r.Tests, scenariosOf(r), firstLine(r.Message))
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

// scenariosOf says what came of the scenarios of a revision.
func scenariosOf(r operator.PolicyRevision) string {
	switch {
	case r.Scenarios == nil:
		return "-"
	case r.Scenarios.Failed > 0:
		return fmt.Sprintf("%d, %d failed", r.Scenarios.Passed+r.Scenarios.Failed, r.Scenarios.Failed)
	}
	return fmt.Sprint(r.Scenarios.Passed)
}

func newShow(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:     "show <number>",
		Short:   "Show a revision in the store",
		Long:    "Shows who pushed a revision, when and why, and what its check found. In place of a number, live is the one that is live.",
		Example: "  keyward policy show 7\n  keyward policy show live",
		Args:    command.OneArgument("the number of the revision, or live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			number, err := api.number(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			r, err := api.GetRevision(cmd.Context(), number)
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, r)
			}
			return writeRevision(cmd.OutOrStdout(), r)
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func writeRevision(w io.Writer, r operator.PolicyRevision) error {
	_, err := fmt.Fprintf(w,
		"revision   %d\nname       %s\ncontent    %s\nparent     %s\nauthor     %s (%s)\npushed     %s\ntests      %d\nscenarios  %s\n",
		r.Number, command.Word(r.Name), r.Digest, optional(r.Parent), by(r.Author), r.Author.OperatorID, at(r.Created), r.Tests, scenariosOf(r))
	if err == nil && r.Signatures != nil {
		_, err = fmt.Fprintf(w, "signed by  %s\n", printable(strings.Join(*r.Signatures, ", ")))
	}
	if err == nil && r.Advice != nil {
		for _, advice := range *r.Advice {
			if _, err = fmt.Fprintf(w, "advice     %s\n", printable(advice)); err != nil {
				return err
			}
		}
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "\n%s\n", printable(r.Message))
	}
	return err
}

func newHistory(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show which revision was live when, the newest first",
		Long:  "Shows every time that a revision was made live: by whom, and why.",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			all, err := api.ListChanges(cmd.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, all)
			}
			heading := "CHANGE\tREVISION\tBEFORE\tKIND\tBY\tAT\tREASON"
			return command.WriteRows(cmd, out, all.Changes, heading, func(c operator.PolicyChange) string {
				return fmt.Sprintf("%d\t%d\t%s\t%s\t%s\t%s\t%s", c.Number, c.Revision, optional(c.Before), c.Kind, by(c.By), at(c.At),
					firstLine(value(c.Reason)))
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newStatus(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show by which revision every instance answers",
		Long: `Shows what is live, and by what each instance of the decision service answers: since
when, and if that is something else, why. An instance that has not been heard of for
15 seconds is left out.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			status, err := api.Status(cmd.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, status)
			}
			if err := writeLive(cmd.OutOrStdout(), status.Live); err != nil {
				return err
			}
			heading := "INSTANCE\tHOST\tSOURCE\tREVISION\tCONTENT\tSINCE\tSTATE"
			return command.WriteRows(cmd, out, status.Instances, heading, func(i operator.PolicyInstance) string {
				return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", i.Instance, command.Word(i.Host), i.Source, optional(i.Revision), i.Content,
					at(i.Since), stateOf(i))
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func writeLive(w io.Writer, c *operator.PolicyChange) error {
	if c == nil {
		_, err := fmt.Fprint(w, "No revision is live yet.\n\n")
		return err
	}
	_, err := fmt.Fprintf(w, "Revision %d is live since %s, by change %d (%s) of %s.\n\n", c.Revision, at(c.At), c.Number, c.Kind, by(c.By))
	return err
}

// stateOf says how an instance is.
func stateOf(i operator.PolicyInstance) string {
	switch {
	case i.Lapsed != nil && *i.Lapsed:
		return "answers by the safe defaults" + why(i)
	case i.Source == operator.PolicyInstanceSourceDirectory, i.Source == operator.PolicyInstanceSourceRemote:
		return "does not follow the store" + why(i)
	case i.Behind:
		return "behind" + why(i)
	}
	return "ok" + why(i)
}

func why(i operator.PolicyInstance) string {
	if i.Refused == nil {
		return ""
	}
	return ": refused: " + firstLine(*i.Refused)
}
