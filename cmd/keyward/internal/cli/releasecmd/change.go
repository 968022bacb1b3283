package releasecmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
)

// pollEvery is how often a wait looks: instances switch within a second.
const pollEvery = 100 * time.Millisecond

// change is what commands that make a revision live were asked for.
type change struct {
	reason  string
	wait    bool
	timeout time.Duration
	out     command.Output
}

func (c *change) waitFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&c.wait, "wait", false, "wait until every instance that follows the store answers by it")
	cmd.Flags().DurationVar(&c.timeout, "timeout", time.Minute, "longest time to wait")
}

func (c *change) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.reason, "reason", "", "why, as history and security events will say")
	c.waitFlags(cmd)
	c.out.Flag(cmd, "text")
}

func (c *change) check() error {
	if c.timeout <= 0 {
		return command.Usage(errors.New("--timeout: must be above 0"))
	}
	return nil
}

func newActivate(terminal command.Terminal) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:   "activate <number>",
		Short: "Make a revision live, on every instance that follows the store",
		Long: `Makes a revision in the store live: every instance that follows the store answers by
it within a second. With --wait it returns when all do, and fails at once if one
refuses, with the reason; what is live is not taken back by that.`,
		Example: `  keyward policy activate 7 --reason "CHG-1234" --wait`,
		Args:    command.OneArgument("the number of the revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := parseNumber(args[0])
			if err != nil {
				return err
			}
			return c.do(cmd, terminal, func(context.Context, api) (operator.PolicyChangeReq, error) {
				return operator.PolicyChangeReq{Revision: &number}, nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

func newRollback(terminal command.Terminal) *cobra.Command {
	var c change
	cmd := &cobra.Command{
		Use:   "rollback [number]",
		Short: "Make the revision live again that was live before",
		Long: `Takes back what was made live last: the revision that was live before it is live
again, or the one of the number. Of two who take it back at once, one is told that it
has been taken back.`,
		Example: `  keyward policy rollback --reason "fewer logins than before" --wait`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return command.NoArguments(cmd, args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var named *int32
			if len(args) > 0 {
				number, err := parseNumber(args[0])
				if err != nil {
					return err
				}
				named = &number
			}
			return c.do(cmd, terminal, func(ctx context.Context, api api) (operator.PolicyChangeReq, error) {
				status, err := api.Status(ctx)
				if err == nil && status.Live == nil {
					err = errNothingLive
				}
				if err != nil {
					return operator.PolicyChangeReq{}, err
				}
				return operator.PolicyChangeReq{Revision: named, Expected: &status.Live.Number}, nil
			})
		},
	}
	c.flags(cmd)
	return cmd
}

// do asks for the change that is wanted, and waits for it if it was told to.
func (c *change) do(
	cmd *cobra.Command, terminal command.Terminal, wanted func(context.Context, api) (operator.PolicyChangeReq, error),
) error {
	if err := c.check(); err != nil {
		return err
	}
	api, err := connect(cmd, terminal)
	if err != nil {
		return err
	}
	asked, err := wanted(cmd.Context(), api)
	if err != nil {
		return err
	}
	if c.reason != "" {
		asked.Reason = &c.reason
	}
	made, err := api.Change(cmd.Context(), asked)
	if err != nil {
		return err
	}
	if c.out.JSON() {
		err = command.WriteJSON(cmd, made)
	} else {
		err = tellChange(cmd, made)
	}
	if err != nil {
		return err
	}
	return c.await(cmd, api, made)
}

func tellChange(cmd *cobra.Command, c operator.PolicyChange) error {
	_, err := fmt.Fprintln(cmd.OutOrStdout(), becameLive(c))
	return err
}

func becameLive(c operator.PolicyChange) string {
	before := ""
	if c.Before != nil {
		before = fmt.Sprintf(", and revision %d no longer", *c.Before)
	}
	return fmt.Sprintf("Revision %d is live%s: change %d, by %s.", c.Revision, before, c.Number, by(c.By))
}

// await returns when every instance that follows the store answers by a change, or by a later one. Those that do not follow it are named.
func (c *change) await(cmd *cobra.Command, api api, made operator.PolicyChange) error {
	if !c.wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
	defer cancel()
	var last standing
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		status, err := api.Status(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("change %d is made; whether every instance answers by it cannot be found out: %w", made.Number, err)
		}
		if err == nil {
			last = standingOf(status, made.Number)
		}
		switch {
		case len(last.refused) > 0:
			return fmt.Errorf("change %d is made, %s, and refused:\n%s", made.Number, whatIs(made), strings.Join(last.refused, "\n"))
		case last.done():
			return last.tell(cmd, made)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("change %d is made, %s, and %s", made.Number, whatIs(made), last.missing())
		case <-tick.C:
		}
	}
}

// whatIs says what a change leaves: which revision is live, and what is tried beside it.
func whatIs(made operator.PolicyChange) string {
	text := fmt.Sprintf("by which revision %d is live", made.Revision)
	if c := made.Canary; c != nil {
		text += fmt.Sprintf(", revision %d judges %s of users", c.Revision, percent(c.Share))
	}
	if s := made.Shadow; s != nil {
		text += fmt.Sprintf(", revision %d judges %s of decisions beside it", s.Revision, percent(s.Share))
	}
	return text
}

// standing is how far instances are with a change, each by its name.
type standing struct {
	answers, behind, refused, others []string
}

func standingOf(status operator.PolicyStatus, change int32) (s standing) {
	for _, i := range status.Instances {
		name := i.Instance + " on " + command.Word(i.Host)
		reached := i.Change != nil && *i.Change >= change
		switch {
		case i.Source == operator.PolicyInstanceSourceDirectory, i.Source == operator.PolicyInstanceSourceRemote:
			s.others = append(s.others, name)
		case reached && i.Refused != nil:
			s.refused = append(s.refused, name+": "+printable(*i.Refused))
		case reached && !i.Behind:
			s.answers = append(s.answers, name)
		default:
			s.behind = append(s.behind, name)
		}
	}
	return s
}

// done reports whether some instance answers by the change, and none that should does not.
func (s standing) done() bool { return len(s.answers) > 0 && len(s.behind)+len(s.refused) == 0 }

func (s standing) missing() string {
	switch {
	case len(s.behind) > 0:
		return fmt.Sprintf("%d of %d instances do not answer by it in time: %s", len(s.behind), len(s.behind)+len(s.answers),
			strings.Join(s.behind, ", "))
	case len(s.others) > 0:
		return "no instance follows the store; each answers by its policies or policy_source: " + strings.Join(s.others, ", ")
	}
	return "no instance of the decision service was heard of in time"
}

func (s standing) tell(cmd *cobra.Command, made operator.PolicyChange) error {
	out := cmd.ErrOrStderr() // what was asked for is on the other
	_, err := fmt.Fprintf(
		out, "Every instance that follows the store has taken up change %d, %s: %s.\n", made.Number, whatIs(made), strings.Join(s.answers, ", "),
	)
	if err == nil && len(s.others) > 0 {
		_, err = fmt.Fprintf(
			out, "By policies or a policy_source of their own, and not by the store, answer: %s.\n", strings.Join(s.others, ", "),
		)
	}
	return err
}
