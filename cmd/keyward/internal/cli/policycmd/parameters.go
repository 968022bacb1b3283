package policycmd

import (
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/reference"
)

func newPolicyParameters() *cobra.Command {
	var from bundleFlag
	cmd := &cobra.Command{
		Use:   "parameters",
		Short: "Print the reference of a bundle's parameters, as Markdown",
		Long: `Lists the figures and switches in data.json with what schemas/parameters.jsonschema says
of them: what each is for, what it may be, and what it is.`,
		Example: "  keyward policy parameters --bundle policies",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A bundle that would be refused has no parameters worth printing.
			if _, err := openBundle(cmd.Context(), from); err != nil {
				return err
			}
			source, err := from.open()
			if err != nil {
				return err
			}
			return reference.WriteParameters(cmd.OutOrStdout(), source)
		},
	}
	from.flag(cmd)
	return cmd
}
