package command

import (
	"encoding/json"
	"fmt"

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

// WriteJSON prints a value, indented.
func WriteJSON(cmd *cobra.Command, value any) error {
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
