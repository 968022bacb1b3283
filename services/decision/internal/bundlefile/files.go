// Package bundlefile reads what belongs to a policy bundle: the files in a directory as they were at one moment, with bounds on their
// number and size. It says where in a file something is wrong, and hands the files to OPA. It touches nothing but the file system that it
// is given.
package bundlefile

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
	"strconv"
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

// schemaDir is where a bundle's schemas lie.
const schemaDir = "schemas/"

// schemaEnding is how the names of schemas end: OPA takes a .json for data wherever it is not told that a directory is a bundle, and
// the members of schemas beside each other would be one document's. Bundles that are older have .json.
const (
	schemaEnding    = ".jsonschema"
	oldSchemaEnding = ".json"
)

// ManifestFile says what of the data and the policies is the bundle's.
const ManifestFile = ".manifest"

// SignaturesFile is who vouches for the files, as OPA signs bundles.
const SignaturesFile = ".signatures.json"

// What to do about errors, for someone who writes rules and not Go.
const (
	adviseFiles = "name the directory that holds .manifest, data.json, schemas and the rules"
	adviseTwice = "keep the one that describes what your rules read, under the name that ends in " + schemaEnding
	adviseJSON  = "correct the JSON there or just before: a comma, a quote or a bracket is missing or too many"
)

// Files is a bundle's content as it was at one moment, by slash-separated path from its root.
type Files map[string][]byte

// Read takes what belongs to the bundle in fsys. The error is an Error if it is none. Names that begin with a dot are left out: Kubernetes
// keeps the copies behind a mounted ConfigMap there, and links to them; editors, file systems and other systems' copies leave locks and
// attributes beside the files.
func Read(fsys fs.FS) (Files, error) {
	r := reader{found: Files{}}
	if err := r.directory(fsys, "", 0); err != nil {
		return nil, fmt.Errorf("read bundle: %w", err)
	}
	if len(r.found) == 0 {
		return nil, &Error{Message: "read bundle: no policy, data or schema file", Advice: adviseFiles}
	}
	return r.found, nil
}

// Hash returns the hash of the bundle in fsys as it is now.
func Hash(fsys fs.FS) (string, error) {
	content, err := Read(fsys)
	if err != nil {
		return "", err
	}
	return content.Hash(), nil
}

// reader is a read under way.
type reader struct {
	found Files
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
		if !Belongs(full) {
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
	switch {
	case info.IsDir():
		return nil
	case !info.Mode().IsRegular():
		return &Error{File: full, Message: "is no regular file", Advice: "put a file there, or nothing"}
	}
	if r.total += info.Size(); len(r.found) == maxFiles || r.total > maxTotalBytes {
		return &Error{Message: fmt.Sprintf("more than %d files or %d bytes", maxFiles, maxTotalBytes), Advice: adviseFiles}
	}
	r.found[full], err = fs.ReadFile(fsys, at)
	return err
}

// Belongs reports whether a file of that name, in the bundle's directory, is part of a bundle.
func Belongs(name string) bool {
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml", ManifestFile, SignaturesFile:
		return true
	}
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	if name == ProvidersFile {
		return true
	}
	return path.Ext(name) == ".rego" || isSchema(name)
}

func isSchema(file string) bool {
	_, ok := SchemaName(file)
	return ok
}

// SchemaName returns the name of the schema in a file, such as login or output/login; false if there is none in files of that name.
func SchemaName(file string) (string, bool) {
	name, ok := strings.CutPrefix(file, schemaDir)
	if !ok {
		return "", false
	}
	if short, ok := strings.CutSuffix(name, schemaEnding); ok {
		return short, true
	}
	return strings.CutSuffix(name, oldSchemaEnding)
}

// Schema returns the file that holds the schema of that name, and what is in it. If there is none, the content is nil and the file is the
// one to add.
func (f Files) Schema(name string) (file string, content []byte) {
	for _, ending := range []string{schemaEnding, oldSchemaEnding} {
		if content, ok := f[schemaDir+name+ending]; ok {
			return schemaDir + name + ending, content
		}
	}
	return schemaDir + name + schemaEnding, nil
}

// CheckSchemas reports a schema that is there twice, under its name of today and that of older bundles: one of them would change nothing.
func (f Files) CheckSchemas() error {
	for _, file := range f.Names() {
		if name, ok := SchemaName(file); ok {
			if used, _ := f.Schema(name); used != file {
				return &Error{File: file, Message: "is the same schema as " + used, Advice: adviseTwice}
			}
		}
	}
	return nil
}

// Names returns the names in order.
func (f Files) Names() []string {
	names := make([]string, 0, len(f))
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Hash is a hash of names and contents, so that the same files are the same revision everywhere.
func (f Files) Hash() string {
	const shown = 12
	return f.Digest()[:shown]
}

// Digest is the whole of what Hash begins with: SHA-256, in hexadecimal digits.
func (f Files) Digest() string {
	sum := sha256.New()
	for _, name := range f.Names() {
		fmt.Fprintf(sum, "%d %s %d ", len(name), name, len(f[name]))
		sum.Write(f[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Size is how many bytes the files have together.
func (f Files) Size() int {
	total := 0
	for _, content := range f {
		total += len(content)
	}
	return total
}

// CheckJSON reports the first JSON file that does not parse, with its line, which OPA's reader does not tell.
func (f Files) CheckJSON() error {
	for _, name := range f.Names() {
		if path.Ext(name) != ".json" && path.Base(name) != ManifestFile && !isSchema(name) {
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

// Locate finds the line of a key in a JSON document, indexes of arrays among them, or of its nearest ancestor; 1 if there is none.
func Locate(document []byte, keys []string) int {
	decoder := json.NewDecoder(bytes.NewReader(document))
	line := 1
	for _, key := range keys {
		opening, err := decoder.Token()
		if err != nil || !find(decoder, opening, key) {
			return line
		}
		begin := int(decoder.InputOffset())
		if opening == json.Delim('[') {
			begin += len(document[begin:]) - len(bytes.TrimLeft(document[begin:], ", \t\r\n"))
		}
		line = lineAt(document, begin)
	}
	return line
}

// find leaves the decoder, which stands after the token that opens something, before what has the key or the index in it.
func find(decoder *json.Decoder, opening json.Token, key string) bool {
	switch opening {
	case json.Delim('{'):
		return member(decoder, key)
	case json.Delim('['):
		return element(decoder, key)
	default:
		return false
	}
}

// member leaves the decoder before the value of an object's key.
func member(decoder *json.Decoder, key string) bool {
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil || token == key {
			return err == nil
		}
		if skip(decoder) != nil {
			return false
		}
	}
	return false
}

// element leaves the decoder before the element of an array.
func element(decoder *json.Decoder, index string) bool {
	at, err := strconv.Atoi(index)
	for range at {
		if err != nil || !decoder.More() {
			return false
		}
		err = skip(decoder)
	}
	return err == nil && decoder.More()
}

func skip(decoder *json.Decoder) error {
	var skipped json.RawMessage
	return decoder.Decode(&skipped)
}

func lineAt(document []byte, offset int) int {
	return 1 + bytes.Count(document[:min(offset, len(document))], []byte{'\n'})
}

// loader is a reading of the files.
type loader struct {
	files Files
	names []string
}

// Loader hands the files to OPA's bundle reader, but for the schemas.
func (f Files) Loader() bundle.DirectoryLoader {
	names := slices.DeleteFunc(f.Names(), func(name string) bool { return strings.HasPrefix(name, schemaDir) })
	return &loader{files: f, names: names}
}

// NextFile implements bundle.DirectoryLoader.
func (l *loader) NextFile() (*bundle.Descriptor, error) {
	for len(l.names) > 0 {
		name := l.names[0]
		l.names = l.names[1:]
		if as, content, ok := l.files.forOPA(name); ok {
			return bundle.NewDescriptor(as, as, bytes.NewReader(content)), nil
		}
	}
	return nil, io.EOF
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
