package settings

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/keyward/keyward/core/atrest"
)

// EncryptionKeys returns the keys that secrets are stored under, or nil if they are stored as they are: those of the setting,
// and with the embedded NATS that of the file beside the data.
func (c Config) EncryptionKeys() (*atrest.Keys, error) { return c.encryptionKeys(atrest.File) }

// MakeEncryptionKeys is EncryptionKeys for a start: if neither names a key, the file is made.
func (c Config) MakeEncryptionKeys() (*atrest.Keys, error) {
	if c.EncryptionKey != "" {
		return c.EncryptionKeys()
	}
	return c.encryptionKeys(atrest.MakeFile)
}

// With the embedded NATS what is not encrypted is taken over as it is: who can write there can read the file. Elsewhere an
// operator has to say so, since a service that may write less than this one could otherwise have it take over keys that it made.
func (c Config) encryptionKeys(file func(dir string) (string, error)) (*atrest.Keys, error) {
	text := c.EncryptionKey.Reveal()
	if c.NATS.URL == "" {
		beside, err := file(c.NATS.DataDir)
		if err != nil {
			return nil, err
		}
		text += "\n" + beside + "\n" + atrest.Plain
	}
	keys, err := atrest.Parse(text)
	switch {
	case errors.Is(err, atrest.ErrNone):
		return nil, nil
	case err != nil && c.EncryptionKey == "":
		return nil, fmt.Errorf("%s: %w", filepath.Join(c.NATS.DataDir, atrest.FileName), err)
	case err != nil:
		return nil, fmt.Errorf("encryption_key: %w", err)
	}
	return keys, nil
}
