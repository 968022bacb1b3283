package setcmd

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
)

// NewLists returns "keyward lists".
func NewLists(terminal command.Terminal) *cobra.Command {
	return group("lists", "Add entries to lists that rules know, without a release",
		`Adds entries to lists beside those that the bundle or a file has. Rules read a list by
its name, as input.request.lists.<name>, where the bundle declares it with the same
kind. It counts from the next call on, on every instance, until it expires or is removed.`,
		newListLists(terminal), newAdd(terminal), newRemove(terminal), newShowList(terminal), newListHistory(terminal))
}

func newListLists(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use: "list", Short: "List what was added to lists", Args: command.NoArguments,
		Long: "Lists the lists to which operators have added something.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, terminal, out, func(ctx context.Context, api *operatorclient.Client) (operator.OperatorListList, error) {
				return api.ListLists(ctx)
			}, func(all operator.OperatorListList) error {
				return command.WriteRows(cmd, out, all.Lists, "NAME\tKIND\tENTRIES", func(l operator.OperatorList) string {
					return fmt.Sprintf("%s\t%s\t%d", l.Name, l.Kind, len(l.Entries))
				})
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newAdd(terminal command.Terminal) *cobra.Command {
	var h how
	kind := ""
	cmd := &cobra.Command{
		Use:   "add <list> <entry>...",
		Short: "Add entries to a list",
		Long: `Adds networks or addresses, numbers of autonomous systems, countries in two letters, or
IDs of environments. The first time --kind says which of them the list is of. An entry
that is there already gets the new expiry.`,
		Example: `  keyward lists add bad 198.51.100.0/24 --kind address --for 24h --reason "INC-1234"`,
		Args:    needs("the name of a list, and entries", true),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := h.seconds()
			if err != nil {
				return err
			}
			entries := args[1:]
			change := operator.OperatorListChangeReq{Add: &entries, Seconds: seconds, Reason: h.why()}
			if kind != "" {
				change.Kind = new(operator.OperatorListChangeReqKind(kind))
			}
			return changeList(cmd, terminal, h.out, args[0], change)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "what the list is of: address, asn, country, environment, identifier or label")
	h.flags(cmd, "how long the entries count; 0 = for ever")
	return cmd
}

func newRemove(terminal command.Terminal) *cobra.Command {
	var h how
	cmd := &cobra.Command{
		Use:     "remove <list> <entry>...",
		Short:   "Remove entries that were added to a list",
		Long:    "Removes what operators have added. What the bundle or a file lists stays.",
		Example: "  keyward lists remove bad 198.51.100.0/24",
		Args:    needs("the name of a list, and entries", true),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries := args[1:]
			return changeList(cmd, terminal, h.out, args[0], operator.OperatorListChangeReq{Remove: &entries, Reason: h.why()})
		},
	}
	h.flags(cmd, "")
	return cmd
}

func changeList(
	cmd *cobra.Command, terminal command.Terminal, out command.Output, name string, change operator.OperatorListChangeReq,
) error {
	return ask(cmd, terminal, out, func(ctx context.Context, api *operatorclient.Client) (operator.OperatorList, error) {
		return api.ChangeList(ctx, name, change)
	}, func(l operator.OperatorList) error {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "The list %s has %d entries that were added to it.\n", l.Name, len(l.Entries)); err != nil {
			return err
		}
		if l.Warning != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "keyward: warning:", *l.Warning)
		}
		return everywhere(cmd, l.Everywhere)
	})
}

func getList(name string) func(context.Context, *operatorclient.Client) (operator.OperatorList, error) {
	return func(ctx context.Context, api *operatorclient.Client) (operator.OperatorList, error) {
		return api.GetList(ctx, name)
	}
}

func newShowList(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use: "show <list>", Short: "Show what was added to a list", Long: "Shows what operators have added to a list and has not expired.",
		Args: command.OneArgument("the name of a list"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, terminal, out, getList(args[0]), func(l operator.OperatorList) error {
				return command.WriteRows(cmd, out, l.Entries, "ENTRY\tUNTIL\tBY\tAT\tREASON", func(e operator.OperatorListEntry) string {
					return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", command.Word(e.Entry), over(e.Until), command.Word(e.By.Name), at(e.At), value(e.Reason))
				})
			})
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func newListHistory(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use: "history <list>", Short: "Show who added and removed what", Args: command.OneArgument("the name of a list"),
		Long: "Shows what operators have added to a list and removed, the newest first.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return ask(cmd, terminal, out, getList(args[0]), func(l operator.OperatorList) error { return writeHistory(cmd, out, l.History) })
		},
	}
	out.Flag(cmd, "text")
	return cmd
}
