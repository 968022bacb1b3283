// Package envelope encrypts backups, in the format of age (age-encryption.org/v1): for whoever has a key or a passphrase. It promises that
// bytes that were changed or cut off are refused. It touches what it is given to read and write.
package envelope

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"

	"github.com/keyward/keyward/core/backup"
)

// Why a backup cannot be opened.
var (
	ErrNoKey    = errors.New("there is neither a key nor a passphrase in it")
	ErrWrongKey = errors.New("it is encrypted for another key or passphrase")
	ErrPublic   = errors.New("that key can encrypt only; to restore, the file with AGE-SECRET-KEY- in it is needed")
)

// Secret encrypts and decrypts. Make it with Key or Passphrase.
type Secret struct {
	recipients []age.Recipient
	identities []age.Identity
}

// NewKey returns a random key as Key takes it: the secret, and as a comment what is enough to encrypt.
func NewKey() (string, error) {
	made, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return fmt.Sprintf("# public key: %s\n%s\n", made.Recipient(), made), nil
}

// Key reads what age-keygen or NewKey makes: a secret key, or public keys, with which nothing can be opened.
func Key(text []byte) (Secret, error) {
	var s Secret
	if ids, err := age.ParseIdentities(bytes.NewReader(text)); err == nil {
		s.identities = ids
		for _, id := range ids {
			switch id := id.(type) {
			case *age.X25519Identity:
				s.recipients = append(s.recipients, id.Recipient())
			case *age.HybridIdentity:
				s.recipients = append(s.recipients, id.Recipient())
			}
		}
		return s, nil
	}
	recipients, err := age.ParseRecipients(bytes.NewReader(text))
	if err != nil {
		return Secret{}, fmt.Errorf("%w: a line with AGE-SECRET-KEY-1 or age1 is needed, as keyward backup --make-key writes it", ErrNoKey)
	}
	s.recipients = recipients
	return s, nil
}

// MinPassphrase is how many bytes a passphrase has at least: a backup can be tried offline by whoever has it.
const MinPassphrase = 12

// Passphrase reads a passphrase: the first line, as editors leave one behind it.
func Passphrase(text []byte) (Secret, error) {
	line, _, _ := strings.Cut(string(text), "\n")
	line = strings.TrimSuffix(line, "\r")
	if len(line) < MinPassphrase {
		return Secret{}, fmt.Errorf("%w: a passphrase has at least %d bytes", ErrNoKey, MinPassphrase)
	}
	recipient, err := age.NewScryptRecipient(line)
	if err != nil {
		return Secret{}, fmt.Errorf("take the passphrase: %w", err)
	}
	identity, err := age.NewScryptIdentity(line)
	if err != nil {
		return Secret{}, fmt.Errorf("take the passphrase: %w", err)
	}
	return Secret{recipients: []age.Recipient{recipient}, identities: []age.Identity{identity}}, nil
}

// Seal returns a writer of what is to be encrypted. Closing it ends the backup; w stays open.
func (s Secret) Seal(w io.Writer) (io.WriteCloser, error) {
	sealed, err := age.Encrypt(w, s.recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	return sealed, nil
}

// Open returns what was encrypted, of so many bytes. The errors are those above and of package backup.
func (s Secret) Open(r io.ReaderAt, size int64) (io.ReaderAt, int64, error) {
	if len(s.identities) == 0 {
		return nil, 0, ErrPublic
	}
	head := make([]byte, len(intro))
	if n, _ := r.ReadAt(head, 0); n < len(head) && strings.HasPrefix(intro, string(head[:n])) {
		return nil, 0, backup.ErrCutShort
	}
	if string(head) != intro {
		return nil, 0, backup.ErrNotABackup
	}
	opened, length, err := age.DecryptReaderAt(r, size, s.identities...)
	var none *age.NoIdentityMatchError
	switch {
	case errors.As(err, &none):
		return nil, 0, ErrWrongKey
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w: its end is missing, or it was changed", backup.ErrDamaged, err)
	}
	return authentic{opened}, length, nil
}

const intro = "age-encryption.org/v1\n"

// authentic says of what was changed that it was.
type authentic struct{ r io.ReaderAt }

// ReadAt implements io.ReaderAt.
func (a authentic) ReadAt(p []byte, at int64) (int, error) {
	n, err := a.r.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	return n, err
}
