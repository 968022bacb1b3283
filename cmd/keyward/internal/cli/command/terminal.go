// Package command is what the commands of keyward have in common: the terminal, errors of usage, forms of output, and how a running server
// is found. It knows none of the commands.
package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Terminal is what a command reads and writes.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string // "KEY=value"
	Program  string   // this very program, to be run once more; empty = it cannot be
}

// UsageError marks what the caller can only mend by another command line or configuration.
type UsageError struct{ error }

// Usage marks an error as one of usage.
func Usage(err error) error { return UsageError{err} }

func (u UsageError) Unwrap() error { return u.error }

// NoArguments refuses every argument.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return Usage(fmt.Errorf("unknown argument %q; see %s --help", args[0], cmd.CommandPath()))
}

// OneArgument asks for exactly one argument, which messages call name.
func OneArgument(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return Usage(fmt.Errorf("needs one argument, %s; see %s --help", name, cmd.CommandPath()))
	}
}

// TwoArguments is for commands that need these two.
func TwoArguments(names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 { //nolint:mnd // as its name says
			return nil
		}
		return Usage(fmt.Errorf("needs two arguments, %s; see %s --help", names, cmd.CommandPath()))
	}
}

// IsTerminal reports whether a person is likely to sit at f.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	if !ok {
		return false
	}
	return term.IsTerminal(int(file.Fd()))
}

// TakesColours reports whether w is a terminal that shows colours, and its user has not asked for none (NO_COLOR).
func TakesColours(w io.Writer, environ []string) bool {
	return IsTerminal(w) && !slices.Contains(environ, "TERM=dumb") &&
		!slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") && v != "NO_COLOR=" })
}

// OpenInput opens the file and tells its size, -1 of standard input.
func OpenInput(terminal Terminal, file string) (io.ReadCloser, int64, error) {
	if file == "-" {
		return io.NopCloser(terminal.In), -1, nil
	}
	input, err := os.Open(file)
	if err != nil {
		return nil, 0, Usage(err)
	}
	info, err := input.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", file, err)
	}
	return input, info.Size(), nil
}
