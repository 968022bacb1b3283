package policycmd

import (
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/reference"
)

func newPolicyParameters() *cobra.Command {
	return newReference(reference.WriteParameters, "parameters", "Print the reference of a bundle's parameters, as Markdown",
		`Lists the figures and switches in data.json with what schemas/parameters.jsonschema says
of them: what each is for, what it may be, and what it is.`)
}

func newPolicyTables() *cobra.Command {
	return newReference(reference.WriteTables, "tables", "Print a bundle's decision tables, as Markdown",
		`Lists the lines of each table from the top: the row, what it answers, and when it
holds, in the words of the rules' titles.`)
}

// newReference makes a command that writes what a bundle says of itself. Of one that would be refused nobody can say what holds.
func newReference(write func(io.Writer, fs.FS) error, use, short, long string) *cobra.Command {
	var from bundleFlag
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		Long:    long,
		Example: "  keyward policy " + use + " --bundle policies",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := openBundle(cmd.Context(), from); err != nil {
				return err
			}
			source, err := from.open()
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), source)
		},
	}
	from.flag(cmd)
	return cmd
}
