package releasecmd

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/releasecmd/internal/bound"
)

// trial is what commands that try a revision were asked for.
type trial struct {
	change
	share    string
	projects []string
	users    []string
	bounds   []string
}

func newCanary(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Have a revision judge some users before it is live",
		Long: `A canary is a revision that judges some users, while what is live judges the others: a
share of them, by a hash of the user that is salted anew for each canary, and users
that are named. The end of a ceremony is judged by what judged its start. If the
revision fails at a decision, what is live answers, and a canary that passes one of
its bounds is over by itself within a second.`,
		Args: command.NoArguments,
	}
	cmd.AddCommand(newCanaryBegin(terminal), newCanaryRaise(terminal))
	for _, step := range []struct {
		name     operator.PolicyCanaryReqStep
		short    string
		long     string
		finished string
	}{
		{
			operator.PolicyCanaryReqStepHold, "Keep the canary as it is",
			`Keeps the canary as it is: it is not promoted until it is raised, be it to the share
that it has. It is over if it passes a bound.`, "is held",
		},
		{
			operator.PolicyCanaryReqStepPromote, "Make live what the canary tries",
			`Makes live what the canary tries, for everybody. keyward policy rollback takes it back.`, "",
		},
		{
			operator.PolicyCanaryReqStepEnd, "End the canary",
			`Has what is live judge everybody again. Ceremonies that the canary has begun end by it.`, "is over",
		},
	} {
		cmd.AddCommand(newCanaryStep(terminal, step.name, step.short, step.long, step.finished))
	}
	cmd.AddCommand(newCanaryShow(terminal))
	return cmd
}

func newCanaryBegin(terminal command.Terminal) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:   "begin <number>",
		Short: "Begin a canary of a revision",
		Long: `Begins a canary of a revision in the store. Of the bounds that are not given the
defaults hold: errors=0, defaultDeny=0.01, allow=0.1, completed=0.02, p99Factor=3,
p99FloorMs=5, settleSeconds=60, confidence=0.99, leastEvaluations=1000; the Operator
API tells what each means.`,
		Example: `  keyward policy canary begin 7 --share 5% --reason "CHG-1234" --wait
  keyward policy canary begin 7 --user usr-4711 --share 0
  keyward policy canary begin 7 --share 10% --project pro-1 --bound completed=0.05`,
		Args: command.OneArgument("the number of the revision"),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := t.begin(args[0])
			if err != nil {
				return err
			}
			return t.steer(cmd, terminal, canaryStep(asked), beganCanary)
		},
	}
	cmd.Flags().StringVar(&t.share, "share", "", "share of users, for example 5%")
	cmd.Flags().StringArrayVar(&t.projects, "project", nil, "the only projects whose users are divided")
	cmd.Flags().StringArrayVar(&t.users, "user", nil, "users who are judged by it whatever the share")
	cmd.Flags().StringArrayVar(&t.bounds, "bound", nil, "a bound and its figure, for example completed=0.05")
	t.flags(cmd)
	return cmd
}

func beganCanary(c operator.PolicyChange) string {
	if c.Canary == nil {
		return fmt.Sprintf("Change %d, by %s.", c.Number, by(c.By))
	}
	return fmt.Sprintf("Revision %d judges %s of users beside revision %d: change %d, by %s.",
		c.Canary.Revision, percent(c.Canary.Share), c.Revision, c.Number, by(c.By))
}

func (t *trial) begin(text string) (operator.PolicyCanaryReq, error) {
	asked := operator.PolicyCanaryReq{Step: operator.PolicyCanaryReqStepBegin}
	number, err := parseNumber(text)
	if err != nil {
		return asked, err
	}
	asked.Revision = &number
	if t.share != "" {
		if asked.Share, err = parseShare(t.share); err != nil {
			return asked, err
		}
	}
	if len(t.projects) > 0 {
		asked.Projects = &t.projects
	}
	if len(t.users) > 0 {
		asked.Users = &t.users
	}
	if len(t.bounds) > 0 {
		asked.Bounds, err = bound.Parse(t.bounds)
	}
	return asked, err
}

// parseShare reads a share: 5%, or 0.05.
func parseShare(text string) (*float64, error) {
	const hundred = 100
	number, isPercent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		share /= hundred
	}
	if err != nil || !(share >= 0 && share <= 1) {
		return nil, command.Usage(fmt.Errorf("--share %q: must be a share from 0%% to 100%%, for example 5%%", text))
	}
	return &share, nil
}

func percent(share float64) string {
	const hundred, digits = 100, 6
	return strconv.FormatFloat(share*hundred, 'g', digits, 64) + " %"
}

func newCanaryRaise(terminal command.Terminal) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use:     "raise <share>",
		Short:   "Have the canary judge more users",
		Long:    `Has the canary judge more users. Who was judged by it is so still.`,
		Example: `  keyward policy canary raise 25% --wait`,
		Args:    command.OneArgument("the share of users"),
		RunE: func(cmd *cobra.Command, args []string) error {
			share, err := parseShare(args[0])
			if err != nil {
				return err
			}
			asked := operator.PolicyCanaryReq{Step: operator.PolicyCanaryReqStepRaise, Share: share}
			return t.steer(cmd, terminal, canaryStep(asked), beganCanary)
		},
	}
	t.flags(cmd)
	return cmd
}

func newCanaryStep(terminal command.Terminal, step operator.PolicyCanaryReqStep, short, long, finished string) *cobra.Command {
	var t trial
	cmd := &cobra.Command{
		Use: string(step), Short: short, Long: long, Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.steer(cmd, terminal, canaryStep(operator.PolicyCanaryReq{Step: step}), func(c operator.PolicyChange) string {
				if finished == "" {
					return becameLive(c)
				}
				return fmt.Sprintf("The canary %s: change %d, by %s. Revision %d is live.", finished, c.Number, by(c.By), c.Revision)
			})
		},
	}
	t.flags(cmd)
	return cmd
}

// step asks for a step with what is tried, for a reason; nil = none was given.
type step = func(ctx context.Context, api api, reason *string) (operator.PolicyChange, error)

func canaryStep(asked operator.PolicyCanaryReq) step {
	return func(ctx context.Context, api api, reason *string) (operator.PolicyChange, error) {
		asked.Reason = reason
		return api.SteerCanary(ctx, asked)
	}
}

// steer takes a step, tells of it, and waits for it if it was told to.
func (t *trial) steer(cmd *cobra.Command, terminal command.Terminal, take step, told func(operator.PolicyChange) string) error {
	if err := t.check(); err != nil {
		return err
	}
	api, err := connect(cmd, terminal)
	if err != nil {
		return err
	}
	var reason *string
	if t.reason != "" {
		reason = &t.reason
	}
	made, err := take(cmd.Context(), api, reason)
	if err != nil {
		return err
	}
	if t.out.JSON() {
		err = command.WriteJSON(cmd, made)
	} else {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), told(made))
	}
	if err != nil {
		return err
	}
	return t.await(cmd, api, made)
}

func newCanaryShow(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what has become of both sides of the canary",
		Long:  "Shows what the canary tries, by whom, and what has become of both sides on all instances.",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			canary, err := api.GetCanary(cmd.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, canary)
			}
			return writeCanary(cmd, out, canary)
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

func writeCanary(cmd *cobra.Command, out command.Output, c operator.PolicyCanary) error {
	held := ""
	if c.Division.Held {
		held = ", and is held"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Revision %d judges %s of users since %s, by change %d%s.\n\n",
		c.Division.Revision, percent(c.Division.Share), at(c.Begun), c.Division.Change, held)
	if err != nil {
		return err
	}
	type row struct {
		name string
		side operator.PolicySide
	}
	heading := "SIDE\tDECISIONS\tERRORS\tBY DEFAULT\tALLOWED\tCOMPLETED\tP99"
	err = command.WriteRows(cmd, out, []row{{"base", c.Base}, {"canary", c.Canary}}, heading, func(r row) string {
		s := r.side
		return fmt.Sprintf("%s\t%d\t%d\t%s\t%s\t%s\t%s", r.name, s.Decisions, s.Errors,
			ofAll(s.Denied, s.Decisions), ofAll(s.Allowed, s.Asked), ofAll(s.Completed, s.Offered), strconv.FormatFloat(s.P99Ms, 'g', 3, 64)+" ms")
	})
	if err == nil && c.Passed != nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nIt has passed a bound: %s.\n", printable(*c.Passed))
	}
	return err
}

func ofAll(some, all int32) string {
	if all == 0 {
		return "-"
	}
	const tenths = 1
	return strconv.FormatFloat(100*float64(some)/float64(all), 'f', tenths, 64) + fmt.Sprintf(" %% of %d", all)
}
