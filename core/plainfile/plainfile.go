// Package plainfile reads files that an operator names. It promises to read no more than it is told to, and never to wait for who holds the
// other end: opening a pipe that nobody writes to waits for ever, and with it a start, a reload or a shutdown. It touches the file system,
// for reading.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Why a file is not read.
var (
	// ErrNotAFile says that what is at a path holds no content of its own, as pipes, devices and directories do.
	ErrNotAFile = errors.New("it is no regular file")
	// ErrTooLarge says that there is more than was asked for.
	ErrTooLarge = errors.New("the file is too large")
	// ErrNothing says that nothing came out of a pipe.
	ErrNothing = errors.New("it is a pipe that nobody writes to")
)

// Patience is how long ReadOnce waits for what comes out of a pipe.
const Patience = 10 * time.Second

// MaxText is how many bytes a file of settings, keys or certificates may have.
const MaxText = 1 << 20

// Open opens a regular file.
func Open(path string) (*os.File, error) {
	file, kind, err := open(path)
	if err == nil && !kind.IsRegular() {
		err = errors.Join(&fs.PathError{Op: "open", Path: path, Err: ErrNotAFile}, file.Close())
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// open waits for no writer: what is not regular is for the caller to judge.
func open(path string) (*os.File, fs.FileMode, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Mode(), nil
}

// Read returns the content of a regular file of at most so many bytes.
func Read(path string, most int64) ([]byte, error) {
	file, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return upTo(file, path, most)
}

// ReadOnce is Read of what is read at a start alone, and so may come out of a pipe or a device: shells pass the output of a command as one,
// and the null device has nothing in it. Of a pipe that nobody writes to it is ErrNothing.
func ReadOnce(path string, most int64) ([]byte, error) {
	file, kind, err := open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	switch {
	case kind.IsDir():
		return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotAFile}
	case kind&fs.ModeNamedPipe == 0:
		return upTo(file, path, most)
	}
	_ = file.SetReadDeadline(time.Now().Add(Patience)) // of a pipe that is open without waiting there is one
	content, err := upTo(file, path, most)
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && len(content) == 0 {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNothing}
	}
	return content, err
}

func upTo(file io.Reader, path string, most int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(content)) > most {
		return nil, fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLarge, most)
	}
	return content, err
}

// Dir is os.DirFS of regular files and directories.
func Dir(dir string) fs.FS { return tree{dir} }

type tree struct{ dir string }

// Open implements fs.FS.
func (t tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	file, kind, err := open(filepath.Join(t.dir, filepath.FromSlash(name)))
	switch {
	case err != nil:
		return nil, err
	case kind.IsRegular() || kind.IsDir():
		return file, nil
	default:
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: ErrNotAFile}, file.Close())
	}
}

// Stat implements fs.StatFS: whether something is a pipe is seen without opening it.
func (t tree) Stat(name string) (fs.FileInfo, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return os.Stat(filepath.Join(t.dir, filepath.FromSlash(name)))
}
