package usercmd

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/mover"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service/remote"
)

// userImport is what "keyward user import" was asked for.
type userImport struct {
	project string
	dryRun  bool
	restart bool
	out     command.Output
}

// importTimeout is how long one call may take: some users with many passkeys, each write on disk.
const importTimeout = 30 * time.Second

func newUserImport(terminal command.Terminal) *cobra.Command {
	var i userImport
	cmd := &cobra.Command{
		Use:   "import <file>",
		Short: "Import users, identifiers, passkeys and events from JSON Lines",
		Long: `Reads one record a line, {"user": {...}} or {"event": {...}}, from a file or, for -,
from standard input, and stores it. docs/moving.md describes the records. A line that
is wrong is reported and passed over; the exit code is then 1. A user who is there
already is left as it is, so a file can be imported again.

An import from a file that was interrupted goes on where it stopped: how far it came
is kept beside the file. --dry-run stores nothing and reports every bad line.`,
		Example: "  keyward user import --project pro-1 --dry-run users.jsonl\n  keyward user import --project pro-1 users.jsonl",
		Args:    command.OneArgument("the file"),
		RunE:    func(cmd *cobra.Command, args []string) error { return i.do(cmd, terminal, args[0]) },
	}
	command.ProjectFlag(cmd, &i.project)
	cmd.Flags().BoolVar(&i.dryRun, "dry-run", false, "check every line and store nothing")
	cmd.Flags().BoolVar(&i.restart, "restart", false, "begin anew, though an earlier import of the file was interrupted")
	i.out.Flag(cmd, "text")
	return cmd
}

// importNotes is what is kept of an interrupted import.
type importNotes struct {
	Size int64 `json:"size"` // of the file, to notice another one
	mover.Progress
}

func (i *userImport) do(cmd *cobra.Command, terminal command.Terminal, file string) error {
	project, err := command.ParseProject(i.project)
	if err != nil {
		return err
	}
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	input, size, err := command.OpenInput(terminal, file)
	if err != nil {
		return err
	}
	defer func() { _ = input.Close() }()
	kept := notesFor(file)
	if i.dryRun {
		kept = notes{}
	}
	from, err := i.resume(kept, input, size)
	if err != nil {
		return err
	}
	conn, err := admin.Connect(server, "keyward user import")
	if err != nil {
		return fmt.Errorf("find the server: %w", err)
	}
	defer conn.Close()

	bar := newBar(terminal, size, "importing")
	run := mover.Import{
		Project: project, DryRun: i.dryRun,
		Users: remote.NewCeremonyClient(conn, rpc.Within(importTimeout)), Events: remote.NewEventsClient(conn, rpc.Within(importTimeout)),
		Refused: func(bad mover.BadLine) error {
			_ = bar.Clear()
			if i.out.JSON() {
				return command.WriteJSON(cmd, bad)
			}
			return writeFaults(cmd.ErrOrStderr(), bad.Line, bad.Faults)
		},
		Done: func(p mover.Progress) error {
			_ = bar.Set64(p.Offset)
			return kept.write(importNotes{size, p})
		},
	}
	done, err := run.Run(cmd.Context(), input, from)
	_ = bar.Finish()
	if err != nil {
		return fmt.Errorf("%w; %d lines are done, and the same command goes on from there", err, done.Line)
	}
	if err := kept.remove(); err != nil {
		return err
	}
	return i.report(cmd, done)
}

func (i *userImport) resume(kept notes, input io.Reader, size int64) (mover.Progress, error) {
	var earlier importNotes
	found, err := kept.read(&earlier)
	if err != nil || !found || i.restart {
		return mover.Progress{}, err
	}
	if earlier.Size != size {
		return mover.Progress{}, command.Usage(
			fmt.Errorf("the file has changed since an earlier import of it was interrupted; begin anew with --restart"),
		)
	}
	seeker, ok := input.(io.Seeker)
	if !ok {
		return mover.Progress{}, nil
	}
	if _, err := seeker.Seek(earlier.Offset, io.SeekStart); err != nil {
		return mover.Progress{}, fmt.Errorf("go on where the earlier import stopped: %w", err)
	}
	return earlier.Progress, nil
}

var errRefused = errors.New("some lines were not imported")

func (i *userImport) report(cmd *cobra.Command, done mover.Progress) error {
	var err error
	if i.out.JSON() {
		err = command.WriteJSON(cmd, done)
	} else {
		verb := "imported"
		if i.dryRun {
			verb = "would be imported"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d users and %d events %s, %d records there already, %d lines refused\n",
			done.Counts.Users, done.Counts.Events, verb, done.Counts.Unchanged, done.Counts.Refused)
	}
	if err == nil && done.Counts.Refused > 0 {
		return errRefused
	}
	return err
}
