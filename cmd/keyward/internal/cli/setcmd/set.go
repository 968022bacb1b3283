// Package setcmd is the commands "keyward lists" and "keyward switch": what operators set without a release. It calls the Operator API.
package setcmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
)

// group is a command whose subcommands call the Operator API.
func group(use, short, long string, all ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, below := range all {
		command.OperatorFlags(below.Flags())
		below.Long = strings.TrimSpace(below.Long) + "\n\n" + command.OperatorTokenHelp
	}
	cmd.AddCommand(all...)
	return cmd
}

// how are the flags of what is set.
type how struct {
	lifetime time.Duration
	reason   string
	out      command.Output
}

func (h *how) flags(cmd *cobra.Command, expires string) {
	if expires != "" {
		cmd.Flags().DurationVar(&h.lifetime, "for", 0, expires)
	}
	cmd.Flags().StringVar(&h.reason, "reason", "", "why, as history and security events will say")
	h.out.Flag(cmd, "text")
}

// longest is the longest time that the server takes.
const longest = 10 * 365 * 24 * time.Hour

// seconds is how long what is set counts; nil = for ever.
func (h *how) seconds() (*int32, error) {
	switch {
	case h.lifetime == 0:
		return nil, nil //nolint:nilnil // it is for ever
	case h.lifetime < time.Second || h.lifetime > longest:
		return nil, command.Usage(errors.New("--for: must be from 1s to ten years"))
	}
	return new(int32(h.lifetime / time.Second)), nil
}

func (h *how) why() *string {
	if h.reason == "" {
		return nil
	}
	return &h.reason
}

// ask calls the Operator API, and prints the answer as JSON or by tell.
func ask[T any](
	cmd *cobra.Command, terminal command.Terminal, out command.Output, call func(context.Context, *operatorclient.Client) (T, error),
	tell func(T) error,
) error {
	client, err := command.FindOperatorAPI(cmd, terminal)
	if err != nil {
		return err
	}
	got, err := call(cmd.Context(), client)
	switch {
	case err != nil:
		return err
	case out.JSON():
		return command.WriteJSON(cmd, got)
	}
	return tell(got)
}

// everywhere says where a change counts.
func everywhere(cmd *cobra.Command, known *operator.Everywhere) error {
	if known != nil && *known {
		_, err := fmt.Fprintln(cmd.ErrOrStderr(), "Every instance has it.")
		return err
	}
	_, err := fmt.Fprintln(cmd.ErrOrStderr(),
		"Not every instance has said yet that it has it: each takes it up as soon as it can; keyward policy status shows which there are.")
	return err
}

// needs is that a command has a name, and more after it if it must.
func needs(what string, more bool) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || more && len(args) == 1 {
			return command.Usage(fmt.Errorf("needs %s; see %s --help", what, cmd.CommandPath()))
		}
		return nil
	}
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func over(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return at(*t)
}

func value(text *string) string {
	if text == nil {
		return "-"
	}
	return command.Word(*text)
}

// writeHistory writes what was done, the newest first.
func writeHistory(cmd *cobra.Command, out command.Output, history *[]operator.OperatorAct) error {
	var all []operator.OperatorAct
	if history != nil {
		all = *history
	}
	return command.WriteRows(cmd, out, all, "AT\tBY\tWHAT\tENTRY\tUNTIL\tREASON", func(a operator.OperatorAct) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", at(a.At), command.Word(a.By.Name), a.What, value(a.Entry), over(a.Until), value(a.Reason))
	})
}
