// Package bundledir reads bundles from directories that commands are given. It touches nothing else.
package bundledir

import (
	"fmt"
	"os"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/packed"
)

// Read returns the files of a bundle in a directory.
func Read(dir string) (packed.Files, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, command.Usage(err)
	case !info.IsDir():
		return nil, command.Usage(fmt.Errorf("%s is not a directory", dir))
	}
	files, err := packed.Read(plainfile.Dir(dir))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return files, nil
}
