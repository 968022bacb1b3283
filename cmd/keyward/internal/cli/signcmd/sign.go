// Package signcmd is "keyward policy sign": it signs the bundle in a directory with a private key, and touches nothing else.
package signcmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/bundledir"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/packed"
)

// sign is what "keyward policy sign" was asked for.
type sign struct {
	key, id, archive string
	out              command.Output
}

// New returns the command.
func New() *cobra.Command {
	var s sign
	cmd := &cobra.Command{
		Use:   "sign <directory>",
		Short: "Sign the files of a bundle, as OPA signs them",
		Long: `Signs every file of the bundle in a directory, schemas too, and adds the signature to
its .signatures.json. Those of other keys stay if they are of the same files. The key is a
private one in PEM: Ed25519, an elliptic curve's or RSA. Its ID is that of the public key
in policy_signature_keys, which is called as the file is unless --key-id says otherwise.

It needs no server. OPA itself verifies bundles with one signature, "keyward serve" with
any number; policy_signatures_required says how many there must be.`,
		Example: `  keyward policy sign policies --key ci.pem
  keyward policy sign policies --key review.pem --key-id review-2026 --archive bundle.tar.gz`,
		Args: command.OneArgument("the directory of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error { return s.do(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&s.key, "key", "", "`file` with the private key in PEM")
	cmd.Flags().StringVar(&s.id, "key-id", "", "ID of the key; the name of the file, without its ending, if there is none")
	cmd.Flags().StringVar(&s.archive, "archive", "", "`file` to write the signed bundle to, too, as a gzipped tar")
	s.out.Flag(cmd, "text")
	return cmd
}

// signed is what came of a signing, as JSON.
type signed struct {
	Key     string `json:"key"`
	Files   int    `json:"files"`
	Dropped int    `json:"dropped"` // signatures of other files than these
}

func (s *sign) do(cmd *cobra.Command, dir string) error {
	if s.key == "" {
		return command.Usage(errors.New("--key is needed: the file with the private key"))
	}
	private, err := plainfile.ReadOnce(s.key, plainfile.MaxText)
	if err != nil {
		return command.Usage(fmt.Errorf("--key: %w", err))
	}
	files, err := bundledir.Read(dir)
	if err != nil {
		return err
	}
	done := signed{Key: s.id}
	if done.Key == "" {
		done.Key = packed.KeyID(s.key)
	}
	content, dropped, err := packed.Sign(files, done.Key, private)
	if err != nil {
		return fmt.Errorf("%s: %w", s.key, err)
	}
	delete(files, packed.SignaturesFile)
	done.Files, done.Dropped = len(files), dropped
	files[packed.SignaturesFile] = content
	if err := replaceFile(filepath.Join(dir, packed.SignaturesFile), content); err != nil {
		return err
	}
	if s.archive != "" {
		raw, err := packed.Pack(files)
		if err == nil {
			err = replaceFile(s.archive, raw)
		}
		if err != nil {
			return fmt.Errorf("--archive: %w", err)
		}
	}
	if s.out.JSON() {
		return command.WriteJSON(cmd, done)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Signed the %d files of %s by the key %s.\n", done.Files, dir, command.Word(done.Key))
	if err == nil && dropped > 0 {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Dropped %d signatures, which were of other files than these.\n", dropped)
	}
	return err
}

// replaceFile writes a file that is there in whole or not at all: a server may be watching it.
func replaceFile(path string, content []byte) error {
	written, err := os.CreateTemp(filepath.Dir(path), ".keyward-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(written.Name()) }() // it is gone once it has its name
	const readable = 0o644
	_, err = written.Write(content)
	if err = errors.Join(err, written.Chmod(readable), written.Close()); err != nil {
		return err
	}
	return os.Rename(written.Name(), path)
}
