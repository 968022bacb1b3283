package providers

import (
	"errors"
	"fmt"
	"io/fs"
)

// tables are where a bundle may have its table: in a file of its own, in the one at the root, or in one of a folder named after the keys.
var tables = []struct {
	name string
	keys []string
}{
	{"aaguids.json", []string{"keyward", "aaguids"}},
	{"data.json", []string{"keyward", "aaguids"}},
	{"keyward/data.json", []string{"aaguids"}},
	{"keyward/aaguids/data.json", nil},
}

// Bring applies a list to the file of a bundle that has its table, and returns the file's name and what became of it. It is ErrNoTable if
// no file has one.
func Bring(bundle fs.FS, list List, class string) (string, Update, error) {
	for _, table := range tables {
		content, err := fs.ReadFile(bundle, table.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return "", Update{}, err
		}
		update, err := Apply(content, table.keys, list, class)
		if errors.Is(err, ErrNoTable) {
			continue
		} else if err != nil {
			return "", Update{}, fmt.Errorf("%s: %w", table.name, err)
		}
		return table.name, update, nil
	}
	return "", Update{}, ErrNoTable
}
