// Package outside holds what operators keep in files beside the policy: lists of addresses. It promises that what was read last and was
// good counts until there is something better, that lookups wait for nothing, and that what is wrong is told with file and line. It looks
// at the files that it is given.
package outside

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/services/decision/internal/follow"
	"github.com/keyward/keyward/services/decision/internal/lists"
)

// Config says where the files are.
type Config struct {
	ListsDir string // that files of lists are below; empty = there are none
}

// Sources are the files. They are safe for concurrent use.
type Sources struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex // guards the files, and looks at them
	listed map[string]*follow.File[*lists.Addresses]
	wanted []string

	now atomic.Pointer[View]
}

// View is what the files say at a moment. It is immutable.
type View struct {
	Files     lists.Files
	Revisions map[string]string // by the file's name
	Wrong     []error           // what is not as the files are now, in the order of their names
}

// ErrNoDirectory says that a list is in a file, and nobody said where files are.
var ErrNoDirectory = errors.New("lists_dir is not set")

// maxList bounds a file of a list: lists.MaxEntries networks of IPv6, with some room for comments.
const maxList = 512 << 20

// New returns sources that have looked at nothing yet.
func New(cfg Config, log *slog.Logger) *Sources {
	s := &Sources{cfg: cfg, log: log, listed: map[string]*follow.File[*lists.Addresses]{}}
	s.now.Store(&View{})
	return s
}

// Now returns what the files say.
func (s *Sources) Now() *View { return s.now.Load() }

// Want says in which files there are lists, and looks at those that are new.
func (s *Sources) Want(ctx context.Context, files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = files
	followed := make(map[string]*follow.File[*lists.Addresses], len(files))
	for _, name := range files {
		if s.cfg.ListsDir == "" {
			continue
		}
		if followed[name] = s.listed[name]; followed[name] == nil {
			followed[name] = follow.New(filepath.Join(s.cfg.ListsDir, name), maxList, readList)
			s.look(ctx, name, followed[name])
		}
	}
	s.listed = followed
	s.tell()
}

func readList(content []byte) (*lists.Addresses, error) {
	return lists.ReadAddresses(bytes.NewReader(content))
}

// Run looks at the files in a rhythm until ctx ends.
func (s *Sources) Run(ctx context.Context, pause time.Duration) {
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			s.Look(ctx)
		}
	}
}

// Look looks at all files once.
func (s *Sources) Look(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.listed)) {
		s.look(ctx, name, s.listed[name])
	}
	s.tell()
}

func (s *Sources) look(ctx context.Context, name string, file *follow.File[*lists.Addresses]) {
	before := file.Err()
	read := file.Look()
	switch err := file.Err(); {
	case err != nil && (read || before == nil):
		s.log.ErrorContext(ctx, "a file of the operator cannot be used, what was read before stays", "file", name, "error", placed(file))
	case err == nil && read:
		s.log.InfoContext(ctx, "a file of the operator was read", "file", name, "revision", file.Good().Revision)
	}
}

// placed returns why a file cannot be used, with file:line where a line is to blame.
func placed[T any](file *follow.File[T]) error {
	err := file.Err()
	var at *lists.LineError
	if !errors.As(err, &at) {
		return err
	}
	return fmt.Errorf("%s:%d: %s%w", file.Path(), at.Line, at.Message, said{err})
}

// said is an error whose words have been told.
type said struct{ error }

func (said) Error() string { return "" }

func (s said) Unwrap() error { return s.error }

// tell makes known what the files say now.
func (s *Sources) tell() {
	v := &View{Files: lists.Files{}, Revisions: map[string]string{}}
	for _, name := range s.wanted {
		file := s.listed[name]
		if file == nil {
			v.Wrong = append(v.Wrong, fmt.Errorf("%s: %w", name, ErrNoDirectory))
			continue
		}
		if good := file.Good(); good != nil {
			v.Files[name], v.Revisions[name] = good.Value, good.Revision
		}
		if err := placed(file); err != nil {
			v.Wrong = append(v.Wrong, err)
		}
	}
	slices.SortFunc(v.Wrong, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	s.now.Store(v)
}
