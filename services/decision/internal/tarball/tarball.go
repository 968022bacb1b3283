// Package tarball reads and writes bundles as gzipped tars, the form of "opa build" and of OPA's bundle service, and reads them as ZIP
// archives. It is pure, and promises that what it reads is bounded, whatever an archive says of itself.
package tarball

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// Bounds of what is read, as of a directory.
const (
	maxFiles = 2_000
	maxBytes = 32 << 20
)

// What is no archive of a bundle.
var (
	ErrForm     = errors.New("it is neither a gzipped tar nor a ZIP archive, or was cut short")
	ErrTooLarge = fmt.Errorf("it has more than %d files or %d bytes", maxFiles, maxBytes)
	ErrName     = errors.New("it has a file outside of the bundle")
	ErrEmpty    = errors.New("it has no policy, data or schema file")
)

// Read returns the files in an archive that belong to a bundle. The errors are or wrap those above.
func Read(raw []byte) (bundlefile.Files, error) {
	r := reader{files: bundlefile.Files{}}
	var err error
	switch {
	case bytes.HasPrefix(raw, []byte{0x1f, 0x8b}): // RFC 1952 §2.3.1
		err = r.tar(raw)
	case bytes.HasPrefix(raw, []byte("PK")):
		err = r.zip(raw)
	default:
		err = ErrForm
	}
	if err == nil && len(r.files) == 0 {
		err = ErrEmpty
	}
	if err != nil {
		return nil, err
	}
	return r.files, nil
}

type reader struct {
	files bundlefile.Files
	seen  int
	bytes int64
}

func (r *reader) tar(raw []byte) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	// What belongs to no bundle costs to be skipped, too.
	limited := &io.LimitedReader{R: unzipped, N: 2*maxBytes + 1}
	for entries := tar.NewReader(limited); ; {
		entry, err := entries.Next()
		switch {
		case limited.N <= 0:
			return ErrTooLarge
		case errors.Is(err, io.EOF):
			return r.end(limited)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrForm, err)
		}
		if entry.Typeflag != tar.TypeReg {
			continue
		}
		if err := r.file(entry.Name, entries); err != nil {
			return err
		}
	}
}

// end reads what follows the last file, so that a checksum which is wrong is found.
func (r *reader) end(rest io.Reader) error {
	if _, err := io.Copy(io.Discard, rest); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	return nil
}

func (r *reader) zip(raw []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	for _, entry := range archive.File {
		if !entry.Mode().IsRegular() {
			continue
		}
		content, err := entry.Open()
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrForm, entry.Name, err)
		}
		err = r.file(entry.Name, content)
		if closed := content.Close(); err == nil && closed != nil {
			err = fmt.Errorf("%w: %s: %w", ErrForm, entry.Name, closed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file takes up a file if it belongs to a bundle. OPA writes names from the root.
func (r *reader) file(name string, content io.Reader) error {
	if r.seen++; r.seen > maxFiles {
		return ErrTooLarge
	}
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains(clean, "\\") {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	if hidden(clean) || !bundlefile.Belongs(clean) {
		return nil
	}
	if _, twice := r.files[clean]; twice {
		return fmt.Errorf("%w: %s is there twice", ErrForm, clean)
	}
	read, err := io.ReadAll(io.LimitReader(content, maxBytes-r.bytes+1))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrForm, clean, err)
	}
	if r.bytes += int64(len(read)); r.bytes > maxBytes {
		return ErrTooLarge
	}
	r.files[clean] = read
	return nil
}

// hidden reports whether a file lies in a directory that is left out of bundles.
func hidden(name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if strings.HasPrefix(path.Base(dir), ".") {
			return true
		}
	}
	return false
}

// Write returns files as a gzipped tar: the same bytes for the same files.
func Write(files bundlefile.Files) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	entries := tar.NewWriter(zipped)
	for _, name := range files.Names() {
		const readable = 0o644
		header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: readable, Size: int64(len(files[name])), Format: tar.FormatPAX}
		if err := entries.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		if _, err := entries.Write(files[name]); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := errors.Join(entries.Close(), zipped.Close()); err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return out.Bytes(), nil
}
