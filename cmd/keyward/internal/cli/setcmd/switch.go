package setcmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/operatorclient"
)

// NewSwitch returns "keyward switch".
func NewSwitch(terminal command.Terminal) *cobra.Command {
	return group("switch", "Stop offering passkeys somewhere, without a release",
		`Turns switches on and off. While one is on, no passkey is offered where it is about,
whatever the rules say: decisions have the tag switched-off and the rule switch:<name>.
It counts from the next call on, on every instance.`,
		newOn(terminal), newOff(terminal), newListSwitches(terminal))
}

func newOn(terminal command.Terminal) *cobra.Command {
	var h how
	var project, action, os, browser string
	cmd := &cobra.Command{
		Use:   "on <name>",
		Short: "Turn a switch on",
		Long: `Stops offers of a project, of an action, on an operating system or in a browser: where
all of those that are named fit. Without any, no passkey is offered at all.`,
		Example: `  keyward switch on no-ios --os ios --for 2h --reason "INC-1234"`,
		Args:    command.OneArgument("the name of the switch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seconds, err := h.seconds()
			if err != nil {
				return err
			}
			about := operator.SwitchAbout{}
			for into, text := range map[**string]string{&about.ProjectID: project, &about.Browser: browser} {
				if text != "" {
					*into = &text
				}
			}
			if action != "" {
				about.Action = new(operator.SwitchAboutAction(action))
			}
			if os != "" {
				about.OS = new(operator.SwitchAboutOS(os))
			}
			return turn(cmd, terminal, h.out, args[0], operator.SwitchReq{On: true, About: &about, Seconds: seconds, Reason: h.why()})
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "ID of the project; empty = all")
	cmd.Flags().StringVar(&action, "action", "", "login, append or mediation; empty = all")
	cmd.Flags().StringVar(&os, "os", "", "operating system, such as ios; empty = all")
	cmd.Flags().StringVar(&browser, "browser", "", "browser, such as chrome; empty = all")
	h.flags(cmd, "how long it stays on; 0 = until it is turned off")
	return cmd
}

func newOff(terminal command.Terminal) *cobra.Command {
	var h how
	cmd := &cobra.Command{
		Use: "off <name>", Short: "Turn a switch off", Long: "Has the rules decide again where the switch is about.",
		Args: command.OneArgument("the name of the switch"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return turn(cmd, terminal, h.out, args[0], operator.SwitchReq{Reason: h.why()})
		},
	}
	h.flags(cmd, "")
	return cmd
}

func turn(cmd *cobra.Command, terminal command.Terminal, out command.Output, name string, to operator.SwitchReq) error {
	return ask(cmd, terminal, out, func(ctx context.Context, api *operatorclient.Client) (operator.Switch, error) {
		return api.TurnSwitch(ctx, name, to)
	}, func(s operator.Switch) error {
		state := "off"
		if s.On {
			state = "on, about " + about(s.About)
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "The switch %s is %s.\n", s.Name, state); err != nil {
			return err
		}
		return everywhere(cmd, s.Everywhere)
	})
}

// about says what a switch is about.
func about(a operator.SwitchAbout) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+command.Word(value))
		}
	}
	if a.ProjectID != nil {
		add("project", *a.ProjectID)
	}
	if a.Action != nil {
		add("action", string(*a.Action))
	}
	if a.OS != nil {
		add("os", string(*a.OS))
	}
	if a.Browser != nil {
		add("browser", *a.Browser)
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, " ")
}

func newListSwitches(terminal command.Terminal) *cobra.Command {
	var out command.Output
	history := ""
	cmd := &cobra.Command{
		Use: "list", Short: "List the switches, or what was done to one", Args: command.NoArguments,
		Long: "Lists every switch that was ever turned on. With --history it shows who turned one on and off.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask(cmd, terminal, out, func(ctx context.Context, api *operatorclient.Client) (operator.SwitchList, error) {
				return api.ListSwitches(ctx)
			}, func(all operator.SwitchList) error {
				if history != "" {
					return historyOf(cmd, out, all, history)
				}
				return command.WriteRows(cmd, out, all.Switches, "NAME\tON\tABOUT\tUNTIL\tBY\tAT\tREASON", func(s operator.Switch) string {
					return fmt.Sprintf("%s\t%t\t%s\t%s\t%s\t%s\t%s", s.Name, s.On, about(s.About), over(s.Until), command.Word(s.By.Name), at(s.At),
						value(s.Reason))
				})
			})
		},
	}
	cmd.Flags().StringVar(&history, "history", "", "`name` of a switch")
	out.Flag(cmd, "text")
	return cmd
}

func historyOf(cmd *cobra.Command, out command.Output, all operator.SwitchList, name string) error {
	for _, s := range all.Switches {
		if s.Name == name {
			return writeHistory(cmd, out, s.History)
		}
	}
	return fmt.Errorf("there is no switch %s", command.Word(name))
}
