package releasecmd

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/services/decision/packed"
)

func newPull(terminal command.Terminal) *cobra.Command {
	var dir string
	var out command.Output
	cmd := &cobra.Command{
		Use:   "pull <number>",
		Short: "Write the files of a revision to a directory",
		Long: `Writes the files of a revision, as they were pushed, to a directory that is not there
yet, or empty. In place of a number, live is the one that is live.`,
		Example: "  keyward policy pull live --out policies",
		Args:    command.OneArgument("the number of the revision, or live"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return command.Usage(errors.New("--out is needed: the directory to write to"))
			}
			if err := mustBeEmpty(dir); err != nil {
				return err
			}
			api, err := connect(cmd, terminal)
			if err != nil {
				return err
			}
			number, err := api.number(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			files, err := api.files(cmd.Context(), number)
			if err != nil {
				return err
			}
			if err := write(dir, files); err != nil {
				return err
			}
			if out.JSON() {
				return command.WriteJSON(cmd, map[string]any{"revision": number, "files": slices.Sorted(maps.Keys(files))})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Wrote the %d files of revision %d to %s.\n", len(files), number, dir)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "out", "", "`directory` to write to")
	out.Flag(cmd, "text")
	return cmd
}

// mustBeEmpty refuses a directory in which something would be overwritten, or be taken for part of the revision.
func mustBeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return command.Usage(fmt.Errorf("--out: %w", err))
	case len(entries) > 0:
		return command.Usage(fmt.Errorf("--out: %s is not empty", dir))
	}
	return nil
}

// write writes files below a directory, and nowhere else whatever they are called.
func write(dir string, files packed.Files) error {
	const ofOwner, readable = 0o750, 0o640
	if err := os.MkdirAll(dir, ofOwner); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for name, content := range files {
		local := filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(local), ofOwner); err != nil {
			return err
		}
		if err := root.WriteFile(local, content, readable); err != nil {
			return err
		}
	}
	return nil
}
