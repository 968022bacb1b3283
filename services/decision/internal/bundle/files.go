package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/loader/filter"
)

// Limits on what is read, so that a wrong directory is refused rather than swallowed.
const (
	maxFiles      = 2_000
	maxTotalBytes = 32 << 20
	maxLinks      = 3 // directories reached by way of links, one below the other
)

// manifestFile says what of the data and the policies is the bundle's.
const manifestFile = ".manifest"

// files is a bundle's content as it was at one moment, by slash-separated path from its root.
type files map[string][]byte

// read takes what belongs to a bundle. Names that begin with a dot are left out: Kubernetes keeps the copies behind a mounted ConfigMap there, and links to
// them; editors, file systems and other systems' copies leave locks and attributes beside the files.
func read(fsys fs.FS) (files, error) {
	r := reader{found: files{}}
	if err := r.directory(fsys, "", 0); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	if len(r.found) == 0 {
		return nil, &Error{Message: "read bundle: no policy, data or schema file", Advice: adviseFiles}
	}
	return r.found, nil
}

// Read returns the files of the bundle in fsys as they are now, by slash-separated path from its root.
func Read(fsys fs.FS) (map[string][]byte, error) { return read(fsys) }

// HashOf returns what Load would set as Hash for these files.
func HashOf(content map[string][]byte) string { return files(content).revision() }

// reader is a read under way.
type reader struct {
	found files
	total int64
}

// directory reads what lies in fsys, which is the bundle's directory of that name. Links to directories are followed to a bounded depth.
func (r *reader) directory(fsys fs.FS, name string, depth int) error {
	return fs.WalkDir(fsys, ".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if at != "." && strings.HasPrefix(entry.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		full := path.Join(name, at)
		if entry.Type()&fs.ModeSymlink != 0 && !strings.HasPrefix(entry.Name(), ".") {
			if info, err := fs.Stat(fsys, at); err == nil && info.IsDir() && depth < maxLinks {
				below, err := fs.Sub(fsys, at)
				if err != nil {
					return err
				}
				return r.directory(below, full, depth+1)
			}
		}
		if !belongs(full) {
			return nil
		}
		return r.file(fsys, at, full)
	})
}

func (r *reader) file(fsys fs.FS, at, full string) error {
	info, err := fs.Stat(fsys, at)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	if r.total += info.Size(); len(r.found) == maxFiles || r.total > maxTotalBytes {
		return &Error{Message: fmt.Sprintf("more than %d files or %d bytes", maxFiles, maxTotalBytes), Advice: adviseFiles}
	}
	r.found[full], err = fs.ReadFile(fsys, at)
	return err
}

func belongs(name string) bool {
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml", manifestFile, ".signatures.json":
		return true
	}
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	return path.Ext(name) == ".rego" || (strings.HasPrefix(name, schemaDir) && path.Ext(name) == ".json")
}

func (f files) names() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// revision is a hash of names and contents, so that the same files are the same revision everywhere.
func (f files) revision() string {
	const shown = 12
	sum := sha256.New()
	for _, name := range f.names() {
		fmt.Fprintf(sum, "%d %s %d ", len(name), name, len(f[name]))
		sum.Write(f[name])
	}
	return hex.EncodeToString(sum.Sum(nil))[:shown]
}

// checkJSON reports the first JSON file that does not parse, with its line, which OPA's reader does not tell.
func (f files) checkJSON() error {
	for _, name := range f.names() {
		if path.Ext(name) != ".json" && path.Base(name) != manifestFile {
			continue
		}
		var value any
		err := json.Unmarshal(f[name], &value)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return &Error{File: name, Line: lineAt(f[name], int(syntax.Offset)), Message: syntax.Error(), Advice: adviseJSON}
		}
	}
	return nil
}

// locate finds the line of a key in a JSON document, or of its nearest ancestor; 1 if there is none.
func locate(document []byte, keys []string) int {
	decoder := json.NewDecoder(bytes.NewReader(document))
	line := 1
	for _, key := range keys {
		if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
			return line
		}
		found := false
		for decoder.More() && !found {
			token, err := decoder.Token()
			if err != nil {
				return line
			}
			if found = token == key; found {
				line = lineAt(document, int(decoder.InputOffset()))
				continue
			}
			var skipped json.RawMessage
			if decoder.Decode(&skipped) != nil {
				return line
			}
		}
		if !found {
			return line
		}
	}
	return line
}

func lineAt(document []byte, offset int) int {
	return 1 + bytes.Count(document[:min(offset, len(document))], []byte{'\n'})
}

// loader hands the files to OPA's bundle reader.
type loader struct {
	files files
	names []string
}

func (f files) loader() *loader {
	names := slices.DeleteFunc(f.names(), func(name string) bool { return strings.HasPrefix(name, schemaDir) })
	return &loader{files: f, names: names}
}

// NextFile implements bundle.DirectoryLoader.
func (l *loader) NextFile() (*bundle.Descriptor, error) {
	if len(l.names) == 0 {
		return nil, io.EOF
	}
	name := l.names[0]
	l.names = l.names[1:]
	return bundle.NewDescriptor(name, name, bytes.NewReader(l.files[name])), nil
}

// The reader's options have no bearing on files that are in memory already.

// WithFilter implements bundle.DirectoryLoader.
func (l *loader) WithFilter(filter.LoaderFilter) bundle.DirectoryLoader { return l }

// WithPathFormat implements bundle.DirectoryLoader.
func (l *loader) WithPathFormat(bundle.PathFormat) bundle.DirectoryLoader { return l }

// WithSizeLimitBytes implements bundle.DirectoryLoader.
func (l *loader) WithSizeLimitBytes(int64) bundle.DirectoryLoader { return l }

// WithFollowSymlinks implements bundle.DirectoryLoader.
func (l *loader) WithFollowSymlinks(bool) bundle.DirectoryLoader { return l }
