package atrest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileName is the name of the file in the data directory that holds the key of what is stored beside it.
const FileName = "encryption-key"

// File returns what the key file of a data directory holds, or "" if there is none.
func File(dir string) (string, error) {
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the encryption key: %w", err)
	}
	return string(raw), nil
}

// MakeFile is File, but makes one with a random key, which its owner alone can read, if there is none. The file appears whole
// and on disk: what is encrypted under the key is lost without it.
func MakeFile(dir string) (string, error) {
	found, err := File(dir)
	if found != "" || err != nil {
		return found, err
	}
	made := NewKey() + "\n"
	if err := write(filepath.Join(dir, FileName), made); err != nil {
		return "", fmt.Errorf("keep the encryption key: %w", err)
	}
	return made, nil
}

func write(path, text string) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
