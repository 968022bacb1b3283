package policycmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/published"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/providers"
)

func newPolicyAAGUIDs(terminal command.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aaguids",
		Short: "Keep a bundle's table of passkey providers up to date",
		Args:  command.NoArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyAAGUIDsUpdate(terminal))
	return cmd
}

// aaguidsUpdate is what "keyward policy aaguids update" was asked for.
type aaguidsUpdate struct {
	dir    string
	class  string
	dryRun bool
	json   bool
}

func newPolicyAAGUIDsUpdate(terminal command.Terminal) *cobra.Command {
	var u aaguidsUpdate
	cmd := &cobra.Command{
		Use:   "update FILE|URL",
		Short: "Bring a published list of providers into a bundle",
		Long: `Takes the names in a published list of passkey providers, an object with an AAGUID
for each name, into the table of a bundle (aaguids.json, or data.json of one from before),
and says what changed. Classes and platforms stay the bundle's own word, and nothing is
removed: a provider that the bundle lacks becomes an unknown-provider with a name, whose
passkeys are expected nowhere for certain, until you give it a class. The bundle is loaded
before its file is replaced, so that a server never sees one that it would refuse.`,
		Example: `  keyward policy aaguids update aaguid.json --bundle policies --dry-run
  keyward policy aaguids update aaguid.json --bundle policies`,
		Args: command.OneArgument("FILE or URL"),
		RunE: func(cmd *cobra.Command, args []string) error { return u.do(cmd, args[0], terminal.In) },
	}
	cmd.Flags().StringVar(&u.dir, "bundle", "", "directory of the bundle (required)")
	cmd.Flags().StringVar(&u.class, "class", "unknown-provider", "class of providers that are new; docs/policies.md tells them")
	cmd.Flags().BoolVar(&u.dryRun, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&u.json, "json", false, "print what changed as JSON")
	return cmd
}

func (u *aaguidsUpdate) do(cmd *cobra.Command, from string, in io.Reader) error {
	if u.dir == "" {
		return command.Usage(errors.New("--bundle is needed: the bundle in this binary cannot be changed"))
	}
	source, err := (&bundleFlag{dir: u.dir}).open()
	if err != nil {
		return err
	}
	raw, err := published.Read(cmd.Context(), from, in)
	if err != nil {
		return command.Usage(err)
	}
	list, err := providers.Read(raw)
	if err != nil {
		return command.Usage(fmt.Errorf("%s: %w", from, err))
	}
	name, update, err := providers.Bring(source, list, u.class)
	if errors.Is(err, providers.ErrNoTable) {
		return fmt.Errorf(`%s: %w; write {"keyward": {"aaguids": {}}} to aaguids.json there`, u.dir, err)
	} else if err != nil {
		return err
	}
	if len(update.Added)+len(update.Renamed) > 0 {
		if _, err := explain.Reload(cmd.Context(), edited{FS: source, name: name, content: update.Content}); err != nil {
			return fmt.Errorf("with the list the bundle would be refused:\n%w", err)
		}
		if !u.dryRun {
			if err := replaceFile(filepath.Join(u.dir, filepath.FromSlash(name)), update.Content); err != nil {
				return err
			}
		}
	}
	if u.json {
		return command.WriteJSON(cmd, update)
	}
	return u.write(cmd.OutOrStdout(), name, update)
}

func (u *aaguidsUpdate) write(w io.Writer, name string, update providers.Update) error {
	for _, change := range update.Added {
		if _, err := fmt.Fprintf(w, "+ %s  %s  (%s)\n", change.AAGUID, change.Name, change.Class); err != nil {
			return err
		}
	}
	for _, change := range update.Renamed {
		if _, err := fmt.Fprintf(w, "~ %s  %s, was %q  (%s)\n", change.AAGUID, change.Name, change.Before, change.Class); err != nil {
			return err
		}
	}
	verdict := name + " is written"
	switch {
	case len(update.Added)+len(update.Renamed) == 0:
		verdict = "nothing to change"
	case u.dryRun:
		verdict = "nothing is written"
	}
	_, err := fmt.Fprintf(w, "%d new, %d renamed, %d the same, %d of the bundle alone: %s\n",
		len(update.Added), len(update.Renamed), update.Same, update.Kept, verdict)
	return err
}

// edited is a bundle with other content of one file.
type edited struct {
	fs.FS
	name    string
	content []byte
}

// ReadFile implements fs.ReadFileFS.
func (e edited) ReadFile(name string) ([]byte, error) {
	if name == e.name {
		return e.content, nil
	}
	return fs.ReadFile(e.FS, name)
}

// replaceFile puts a file in the place of another at once, since a server may read it at any time. A link stays one.
func replaceFile(path string, content []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", content, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
