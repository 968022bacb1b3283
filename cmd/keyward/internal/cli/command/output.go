package command

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// Output is the flag -o.
type Output struct{ format string }

// Flag adds the flag to a command, with the form that is meant unless -o names another.
func (o *Output) Flag(cmd *cobra.Command, otherwise string) {
	o.format = otherwise
	cmd.Flags().VarP(o, "output", "o", "form of the output: "+otherwise+" or json")
}

// String implements pflag.Value.
func (o *Output) String() string { return o.format }

// Set implements pflag.Value.
func (o *Output) Set(text string) error {
	if text != "json" && text != o.format {
		return fmt.Errorf("must be %s or json", o.format)
	}
	o.format = text
	return nil
}

// Type implements pflag.Value.
func (o *Output) Type() string { return "form" }

// JSON reports whether JSON was asked for.
func (o *Output) JSON() bool { return o.format == "json" }

// WriteRows prints rows as JSON, if that was asked for, or as a table. The cells of a line, as of the heading, have tabs between them.
func WriteRows[T any](cmd *cobra.Command, out Output, rows []T, heading string, line func(T) string) error {
	if out.JSON() {
		return WriteJSON(cmd, rows)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, heading)
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, line(row))
	}
	return table.Flush()
}

// WriteJSON prints a value, indented.
func WriteJSON(cmd *cobra.Command, value any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
