package releasecmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/bundledir"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/releasecmd/internal/textdiff"
	"github.com/keyward/keyward/services/decision/packed"
)

func newDiff(terminal command.Terminal) *cobra.Command {
	var out command.Output
	cmd := &cobra.Command{
		Use:   "diff <a> <b>",
		Short: "Show what differs between two revisions, or a revision and a directory",
		Long: `Shows which files were added, removed and changed from one bundle to another, what of
the parameters in data.json is another by path, and the rest line by line. Each is the
number of a revision, live, or a directory. Two directories need no server. The exit code is
0 whether or not anything differs.`,
		Example: `  keyward policy diff live policies
  keyward policy diff 6 7 -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 { //nolint:mnd // a and b
				return command.Usage(fmt.Errorf("needs two arguments, what was and what is; see %s --help", cmd.CommandPath()))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			sides := sides{cmd: cmd, terminal: terminal}
			before, err := sides.open(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			after, err := sides.open(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			found := compare(before, after)
			if out.JSON() {
				return command.WriteJSON(cmd, found)
			}
			return found.write(cmd.OutOrStdout(), args[0], args[1])
		},
	}
	out.Flag(cmd, "text")
	return cmd
}

// sides opens what is compared, and looks for a server when one is needed.
type sides struct {
	cmd      *cobra.Command
	terminal command.Terminal
	api      *api
}

func (s *sides) open(ctx context.Context, named string) (packed.Files, error) {
	if _, err := strconv.Atoi(named); err != nil && named != live {
		return bundledir.Read(named)
	}
	if s.api == nil {
		found, err := connect(s.cmd, s.terminal)
		if err != nil {
			return nil, err
		}
		s.api = &found
	}
	number, err := s.api.number(ctx, named)
	if err != nil {
		return nil, err
	}
	return s.api.files(ctx, number)
}

// differences are what differs between two bundles.
type differences struct {
	Added   []string      `json:"added"`
	Removed []string      `json:"removed"`
	Changed []changedFile `json:"changed"`
}

// changedFile is a file that both have: of JSON data the parameters that differ, of others the lines.
type changedFile struct {
	File       string            `json:"file"`
	Parameters []textdiff.Member `json:"parameters,omitempty"`
	Diff       string            `json:"diff,omitempty"`
}

func compare(before, after packed.Files) differences {
	found := differences{Added: []string{}, Removed: []string{}, Changed: []changedFile{}}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		is, both := after[name]
		switch {
		case !both:
			found.Removed = append(found.Removed, name)
		case !bytes.Equal(before[name], is):
			found.Changed = append(found.Changed, compareFile(name, before[name], is))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, both := before[name]; !both {
			found.Added = append(found.Added, name)
		}
	}
	return found
}

func compareFile(name string, before, after []byte) changedFile {
	if path.Base(name) == "data.json" {
		// Where it is another text of the same data, or no JSON, its lines tell more.
		if members, err := textdiff.Members(before, after); err == nil && len(members) > 0 {
			return changedFile{File: name, Parameters: members}
		}
	}
	return changedFile{File: name, Diff: textdiff.Unified(string(before), string(after))}
}

func (d differences) write(w io.Writer, before, after string) error {
	if len(d.Added)+len(d.Removed)+len(d.Changed) == 0 {
		_, err := fmt.Fprintf(w, "%s and %s have the same files.\n", before, after)
		return err
	}
	var errs []error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format, args...)
		errs = append(errs, err)
	}
	for _, name := range d.Removed {
		say("removed  %s\n", command.Word(name))
	}
	for _, name := range d.Added {
		say("added    %s\n", command.Word(name))
	}
	for _, c := range d.Changed {
		say("changed  %s\n", command.Word(c.File))
		for _, m := range c.Parameters {
			say("  %s: %s -> %s\n", printable(m.Path), orAbsent(m.Before), orAbsent(m.After))
		}
		if c.Diff != "" {
			say("--- %s\n+++ %s\n%s", command.Word(c.File), command.Word(c.File), printable(c.Diff))
		}
	}
	return errors.Join(errs...)
}

func orAbsent(value string) string {
	if value == "" {
		return "(absent)"
	}
	return printable(value)
}
