package admit

import (
	"fmt"
	"io/fs"

	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/given"
)

// Against adds to the advice what callers may send with the bundle in a directory, and not with this one, which is good. Without a
// directory it adds nothing.
func (r *Report) Against(dir string, bundle fs.FS) error {
	if dir == "" || len(r.Refused) > 0 {
		return nil
	}
	schemas := make([]*given.Schema, 0, 2) //nolint:mnd // of the one before, and of this one
	for _, source := range []fs.FS{plainfile.Dir(dir), bundle} {
		files, err := bundlefile.Read(source)
		if err != nil {
			return fmt.Errorf("read the bundle that it is compared with: %w", err)
		}
		schema, err := given.Learn(files)
		if err != nil {
			return fmt.Errorf("read what the bundle before says of the context: %w", err)
		}
		schemas = append(schemas, schema)
	}
	for _, narrower := range given.Narrowed(schemas[0], schemas[1]) {
		r.Advice = append(r.Advice, "Callers that send what the bundle before allows get 400: "+narrower+".")
	}
	return nil
}
