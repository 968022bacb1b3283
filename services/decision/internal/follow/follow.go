// Package follow keeps what was read of a file that others change: it looks at the file when it is told to, and takes up a change that can
// be read. It promises that what was read last and was good stays, whatever becomes of the file: it is copied into memory, never mapped,
// and a change is taken up only when the file has been left alone from one look to the next. It touches the files that it is given.
package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/keyward/keyward/core/plainfile"
)

// ErrTooLarge says that a file has more bytes than are read.
var ErrTooLarge = errors.New("the file is too large")

// ErrNotAFile says that what is at a path holds no content of its own: opening a pipe may wait for ever.
var ErrNotAFile = plainfile.ErrNotAFile

// Read makes a value of the content of a file, which it may keep.
type Read[T any] func(content []byte) (T, error)

// Good is what was read of a file last.
type Good[T any] struct {
	Value    T
	Revision string // the beginning of the SHA-256 of the content
}

// File is a file that is followed. Good and Err may be called at any time, Look by one at a time.
type File[T any] struct {
	path  string
	bound int64
	read  Read[T]

	good atomic.Pointer[Good[T]]

	looking sync.Mutex
	looked  bool
	seen    fs.FileInfo // at the last look
	judged  state       // what was read last, whether it was good or not
	looks   int         // since the content was compared

	wrong atomic.Pointer[error]
}

// state is what tells a file from what it was.
type state struct {
	info fs.FileInfo // nil = it could not be read
	hash [sha256.Size]byte
}

// comparedEvery is how many looks go by until the content is compared, too: a file can be written in place so that neither size nor time
// tell. At a look every 2 s that is once a minute.
const comparedEvery = 30

// revision is how many bytes of a hash name a content.
const revision = 6

// New follows the file at a path, of which at most bound bytes are read.
func New[T any](path string, bound int64, read Read[T]) *File[T] {
	return &File[T]{path: path, bound: bound, read: read}
}

// Path returns where the file is.
func (f *File[T]) Path() string { return f.path }

// Good returns what was read of the file last and was good; nil if nothing ever was.
func (f *File[T]) Good() *Good[T] { return f.good.Load() }

// Err says why the file as it is now is not what Good returns; nil if it is.
func (f *File[T]) Err() error {
	if wrong := f.wrong.Load(); wrong != nil {
		return *wrong
	}
	return nil
}

// Look looks at the file, and takes up a change if it has been as it is since the last look. The first look takes what there is. It reports
// whether something was read, good or not.
func (f *File[T]) Look() bool {
	f.looking.Lock()
	defer f.looking.Unlock()
	first := !f.looked
	f.looked = true
	info, err := os.Stat(f.path)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotAFile
	}
	if err != nil {
		return f.lost(err)
	}
	settled := first || same(f.seen, info)
	f.seen = info
	f.looks++
	if !settled || (same(f.judged.info, info) && f.looks < comparedEvery) {
		return false
	}
	f.looks = 0
	hash, err := f.sum()
	if err != nil {
		return f.lost(err)
	}
	if f.judged.info != nil && hash == f.judged.hash {
		f.judged.info = info
		return false
	}
	content, err := f.content()
	if err != nil {
		return f.lost(err)
	}
	f.judged = state{info: info, hash: sha256.Sum256(content)}
	value, err := f.read(content)
	if err != nil {
		f.fail(err)
		return true
	}
	f.good.Store(&Good[T]{Value: value, Revision: hex.EncodeToString(f.judged.hash[:revision])})
	f.wrong.Store(nil)
	return true
}

// lost forgets what was judged, so that a file that can be read again is.
func (f *File[T]) lost(err error) bool {
	f.judged.info = nil
	f.fail(err)
	return false
}

func (f *File[T]) fail(err error) {
	err = fmt.Errorf("%s: %w", f.path, err)
	f.wrong.Store(&err)
}

// sum returns the hash of the content, which it does not keep.
func (f *File[T]) sum() (hash [sha256.Size]byte, err error) {
	digest := sha256.New()
	if err = f.copy(digest, func(int64) {}); err == nil {
		digest.Sum(hash[:0])
	}
	return hash, err
}

func (f *File[T]) content() ([]byte, error) {
	var content bytes.Buffer
	err := f.copy(&content, func(size int64) { content.Grow(int(size) + bytes.MinRead) })
	return content.Bytes(), err
}

func (f *File[T]) copy(to io.Writer, prepare func(size int64)) error {
	file, err := plainfile.Open(f.path) // it may have become a pipe since it was looked at
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() <= f.bound {
		prepare(info.Size())
	}
	read, err := io.Copy(to, io.LimitReader(file, f.bound+1))
	if err == nil && read > f.bound {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, f.bound)
	}
	return err
}

// same reports whether two looks saw a file unchanged.
func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}
