// Package backupcmd is the commands that back up what is stored and restore it. It reads and writes the files that it is told to, the data
// directory, and NATS.
package backupcmd

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/backup/envelope"
	"github.com/keyward/keyward/core/plainfile"
)

// errNoSecret says what a backup is encrypted with.
var errNoSecret = command.Usage(errors.New("--key-file or --passphrase-file is needed; keyward backup --make-key FILE makes a key"))

// secretFlags name what a backup is encrypted with.
type secretFlags struct{ key, passphrase string }

func (f *secretFlags) add(cmd *cobra.Command, key string) {
	cmd.Flags().StringVar(&f.key, "key-file", "", key)
	cmd.Flags().StringVar(&f.passphrase, "passphrase-file", "", "file with a passphrase in its first line, in place of a key")
	cmd.MarkFlagsMutuallyExclusive("key-file", "passphrase-file")
}

func (f *secretFlags) read() (envelope.Secret, error) {
	flag, path, parse := "--key-file", f.key, envelope.Key
	if f.passphrase != "" {
		flag, path, parse = "--passphrase-file", f.passphrase, envelope.Passphrase
	}
	if path == "" {
		return envelope.Secret{}, errNoSecret
	}
	text, err := plainfile.Read(path, plainfile.MaxText)
	if err != nil {
		return envelope.Secret{}, command.Usage(fmt.Errorf("%s: %w", flag, err))
	}
	secret, err := parse(text)
	if err != nil {
		return envelope.Secret{}, command.Usage(fmt.Errorf("%s %s: %w", flag, path, err))
	}
	return secret, nil
}

// makeKey writes a random key that its owner alone can read.
func makeKey(cmd *cobra.Command, path string) error {
	text, err := envelope.NewKey()
	if err != nil {
		return err
	}
	if err := writeNew(path, text); err != nil {
		return fmt.Errorf("--make-key: %w", err)
	}
	_, err = fmt.Fprintf(
		cmd.OutOrStdout(), "%s holds a key; without it no backup can be restored that is made with it: keep it elsewhere too\n", path,
	)
	return err
}

// writeNew writes a file that must not be there, for its owner alone.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
