package cli

import (
	"github.com/spf13/cobra"
)

// policyCommands are what "keyward policy" can do, in the order of its help.
func policyCommands(terminal Terminal) []*cobra.Command {
	return []*cobra.Command{}
}

func newPolicy(terminal Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, test and explain the rules that decide",
		Long: `The rules are a bundle: a directory with Rego files, data.json and schemas. These
commands judge with them as the server does, and need none unless they say so.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyCommands(terminal)...)
	return cmd
}
