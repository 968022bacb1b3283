// Package usercmd is "keyward user": it moves users in and out of a running server, and has it forget what it knows of one in a browser.
package usercmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/fault"
)

func New(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Move users in and out, answer requests for data, and forget browsers",
		Long: `Users, their identifiers, passkeys with public keys, and events travel as JSON
Lines, one record a line. These commands need a running server, and find it through
--data-dir or --nats-url.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newUserImport(terminal), newUserExport(terminal))
	for _, sub := range cmd.Commands() {
		command.ServerFlags(sub.Flags())
	}
	cmd.AddCommand(newUserEnvironments(terminal), newUserLabels(terminal))
	return cmd
}

// newBar returns a progress bar of bytes or things, which shows itself to people only.
func newBar(terminal command.Terminal, total int64, description string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(
		total,
		progressbar.OptionSetWriter(
			terminal.Err,
		),
		progressbar.OptionSetDescription(description),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100e6),
		progressbar.OptionSetVisibility(command.IsTerminal(terminal.Err)),
	)
}

// notes keeps how far a transfer has come beside the file that it reads or writes, so that the same command goes on where an interrupted
// one stopped.
type notes struct{ path string }

func notesFor(file string) notes {
	if file == "" || file == "-" {
		return notes{}
	}
	return notes{file + ".progress"}
}

// read reports whether there are notes of an earlier run, and reads them.
func (n notes) read(into any) (bool, error) {
	if n.path == "" {
		return false, nil
	}
	raw, err := os.ReadFile(n.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read how far the earlier run came: %w", err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("%s does not say how far the earlier run came; remove it to begin anew: %w", n.path, err)
	}
	return true, nil
}

// write replaces the notes as a whole, so that a crash leaves the old ones or the new.
func (n notes) write(progress any) error {
	if n.path == "" {
		return nil
	}
	raw, err := json.Marshal(progress)
	if err != nil {
		return fmt.Errorf("encode the progress: %w", err)
	}
	const ownerOnly = 0o600
	if err := os.WriteFile(n.path+".new", raw, ownerOnly); err != nil {
		return fmt.Errorf("note the progress: %w", err)
	}
	if err := os.Rename(n.path+".new", n.path); err != nil {
		return fmt.Errorf("note the progress: %w", err)
	}
	return nil
}

func (n notes) remove() error {
	if n.path == "" {
		return nil
	}
	if err := os.Remove(n.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the notes of progress: %w", err)
	}
	return nil
}

// writeFaults prints what is wrong with a line, a fault a line.
func writeFaults(w io.Writer, line int, faults []fault.FieldError) error {
	for _, f := range faults {
		if _, err := fmt.Fprintf(w, "line %d: %s\n", line, strings.TrimPrefix(f.Field+": "+f.Message, ": ")); err != nil {
			return fmt.Errorf("report a bad line: %w", err)
		}
	}
	return nil
}
