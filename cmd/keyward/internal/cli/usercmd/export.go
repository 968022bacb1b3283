package usercmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/mover"
	"github.com/keyward/keyward/core/ident"
)

// userExport is what "keyward user export" was asked for.
type userExport struct {
	project string
	user    string
	out     string
	restart bool
}

func newUserExport(terminal command.Terminal) *cobra.Command {
	var e userExport
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export users, identifiers, passkeys and events as JSON Lines",
		Long: `Writes every user of a project, with identifiers, social accounts, passkeys and client
environments, and then every passkey event, one record a line, in the form that
keyward user import reads. With --user it writes all that is kept of one user:
login offers, decisions, sessions and webhook deliveries too, which answers a
request for access.

An export to a file that was interrupted goes on where it stopped.`,
		Example: "  keyward user export --project pro-1 --out users.jsonl\n  keyward user export --project pro-1 --user usr-4693224802260150919",
		Args:    command.NoArguments,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.do(cmd, terminal) },
	}
	command.ProjectFlag(cmd, &e.project)
	cmd.Flags().StringVar(&e.user, "user", "", "only this user, with all that is kept of them")
	cmd.Flags().StringVar(&e.out, "out", "", "file to write; empty = standard output")
	cmd.Flags().BoolVar(&e.restart, "restart", false, "begin anew, though an earlier export to the file was interrupted")
	return cmd
}

// exportNotes is what is kept of an interrupted export.
type exportNotes struct {
	Size int64 `json:"size"` // bytes of the file that belong to the position
	mover.Position
}

func (e *userExport) do(cmd *cobra.Command, terminal command.Terminal) error {
	project, err := command.ParseProject(e.project)
	if err != nil {
		return err
	}
	var user ident.UserID
	if e.user != "" {
		if user, err = ident.ParseUserID(e.user); err != nil {
			return command.Usage(fmt.Errorf("--user: %w", err))
		}
	}
	server, err := command.FindServer(terminal, cmd.Flags())
	if err != nil {
		return err
	}
	js, closes, err := admin.JetStream(server, "keyward user export")
	if err != nil {
		return err
	}
	defer closes()
	run := mover.Export{Project: project, JS: js}
	switch {
	case user != "":
		return e.one(cmd, run, user)
	case e.out == "":
		return writeAll(cmd, run, cmd.OutOrStdout())
	default:
		return e.toFile(cmd, terminal, run)
	}
}

// one writes what is kept of one user.
func (e *userExport) one(cmd *cobra.Command, run mover.Export, user ident.UserID) (err error) {
	out := cmd.OutOrStdout()
	if e.out != "" {
		file, created := os.Create(e.out)
		if created != nil {
			return command.Usage(created)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	run.Done = func(mover.Position) error { return nil }
	if err := run.User(cmd.Context(), out, user); err != nil {
		return fmt.Errorf("export %s: %w", user, admin.Plain(err))
	}
	return nil
}

func writeAll(cmd *cobra.Command, run mover.Export, out io.Writer) error {
	buffered := bufio.NewWriter(out)
	run.Done = func(mover.Position) error { return buffered.Flush() }
	_, err := run.Run(cmd.Context(), buffered, mover.Position{})
	return errors.Join(err, buffered.Flush())
}

// toFile writes to a file, and notes now and then how far it has come.
func (e *userExport) toFile(cmd *cobra.Command, terminal command.Terminal, run mover.Export) (err error) {
	kept := notesFor(e.out)
	var earlier exportNotes
	if !e.restart {
		if _, err := kept.read(&earlier); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(e.out, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return command.Usage(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// What was written after the last note is written again.
	if err := file.Truncate(earlier.Size); err != nil {
		return fmt.Errorf("go on with %s: %w", e.out, err)
	}
	if _, err := file.Seek(earlier.Size, io.SeekStart); err != nil {
		return fmt.Errorf("go on with %s: %w", e.out, err)
	}
	buffered := bufio.NewWriter(file)
	var bar *progressbar.ProgressBar
	run.Done = func(at mover.Position) error {
		if bar == nil {
			bar = newBar(terminal, int64(at.Total), "exporting")
		}
		bar.ChangeMax(at.Total)
		_ = bar.Set(at.Written)
		if err := buffered.Flush(); err != nil {
			return fmt.Errorf("write %s: %w", e.out, err)
		}
		size, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("write %s: %w", e.out, err)
		}
		return kept.write(exportNotes{size, at})
	}
	from := earlier.Position
	from.Total = from.Written
	done, err := run.Run(cmd.Context(), buffered, from)
	if err != nil {
		return fmt.Errorf("%w; the same command goes on from where it stopped", err)
	}
	if bar != nil {
		_ = bar.Finish()
	}
	if err := kept.remove(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%d records written to %s\n", done.Written, e.out)
	return err
}
