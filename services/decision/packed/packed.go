// Package packed carries bundles between those who write them and a server: it reads the files of a directory that belong to one, and packs
// and unpacks them as the Operator API does, and signs them. It is pure but for the file system that it is given.
package packed

import (
	"io/fs"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/tarball"
)

// Files are the files of a bundle, by slash-separated path from its root. No path leads out of that.
type Files map[string][]byte

// Read returns what belongs to the bundle in a directory. The error says what to do if there is none.
func Read(dir fs.FS) (Files, error) {
	files, err := bundlefile.Read(dir)
	return Files(files), err
}

// Pack returns files as a gzipped tar: the same bytes for the same files.
func Pack(files Files) ([]byte, error) { return tarball.Write(bundlefile.Files(files)) }

// Unpack returns the files in a gzipped tar or a ZIP archive that belong to a bundle.
func Unpack(raw []byte) (Files, error) {
	files, err := tarball.Read(raw)
	return Files(files), err
}
