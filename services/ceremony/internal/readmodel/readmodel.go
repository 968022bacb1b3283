// Package readmodel keeps lists of users, identifiers, social accounts, sessions and connect tokens in an SQLite file, in the order and
// under the filters that callers can ask for, so that a page costs the same however many there are. The file is a projection of the
// buckets "accounts", "sessions" and "connect-tokens": it holds nothing that they do not, and is made anew from them whenever it is
// missing, damaged, of another version, or of other streams than it came from. It touches those buckets, reading without consumers, and
// its directory.
//
// Read your writes: what had been stored in a bucket when a list was asked for is in the list. Each list asks the bucket's stream for its
// last sequence and waits until the rows have come as far. While nobody waits, changes are gathered for a moment and written together; what
// changes no row is not written at all.
//
// What a killed process has written is there when the next begins; a machine that loses its power may take the file back to a state that it
// had, of some changes before, from where it follows on.
package readmodel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/pages"
)

// Deps is what a read model works with. All are required but Dir, Upkeep and Gather.
type Deps struct {
	JetStream jetstream.JetStream
	Dir       string // where the file is kept, of this process only; empty = a directory of its own, removed by Close
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Upkeep    time.Duration // between looks for rows whose entries are gone; 0 = one minute
	Gather    time.Duration // for which changes that nobody waits for are gathered; 0 = a tenth of a second
}

func (d Deps) validate() error {
	if d.JetStream == nil || d.Now == nil || d.Log == nil || d.Metrics == nil {
		return errors.New("read model: a dependency is missing")
	}
	return nil
}

// Store answers lists while Run runs. It is safe for concurrent use. Close it after Run has ended.
type Store struct {
	deps      Deps
	dir       string
	temporary bool
	lock      *flock.Flock
	metrics   *metrics
	progress  *progress
	totals    *pages.Totals

	mu        sync.RWMutex // held for reading while file is read
	file      *listdb.File // nil: there is nothing to read yet
	broken    string       // why the file is to be made anew; empty: it is not
	interrupt context.CancelFunc
}

const (
	lockName         = "lock" // of the directory
	temporaryPattern = "keyward-readmodel-"
	ownerOnly        = 0o700
)

// Open takes the directory and returns at once: it is Run that reads what is there. An error says what is wrong; another process that
// uses the directory is one.
func Open(deps Deps) (*Store, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	deps.Upkeep, deps.Gather = cmp.Or(deps.Upkeep, upkeepInterval), cmp.Or(deps.Gather, gatherTime)
	s := &Store{deps: deps, dir: deps.Dir, temporary: deps.Dir == "", progress: newProgress(), totals: pages.NewTotals()}
	var err error
	if s.metrics, err = newMetrics(deps.Metrics); err != nil {
		return nil, err
	}
	if s.temporary {
		sweep(os.TempDir())
		if s.dir, err = os.MkdirTemp("", temporaryPattern); err != nil {
			return nil, fmt.Errorf("make the read model's directory: %w", err)
		}
	}
	if err := os.MkdirAll(s.dir, ownerOnly); err != nil {
		return nil, fmt.Errorf("make the read model's directory: %w", err)
	}
	s.lock = flock.New(filepath.Join(s.dir, lockName))
	locked, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the read model's directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("read model: the directory %s is in use by another keyward", s.dir)
	}
	return s, nil
}

// sweep removes directories that processes which were killed have left.
func sweep(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, temporaryPattern+"*"))
	for _, dir := range left {
		lock := flock.New(filepath.Join(dir, lockName), flock.SetFlag(os.O_RDWR))
		// A directory without a lock file may be another process's that is just starting.
		if locked, err := lock.TryLock(); err != nil || !locked {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = lock.Unlock()
	}
}

// Close gives the directory up.
func (s *Store) Close() error {
	var err error
	if s.temporary {
		err = os.RemoveAll(s.dir)
	}
	return errors.Join(err, s.lock.Unlock())
}

func (s *Store) path() string { return filepath.Join(s.dir, listdb.FileName) }

// Building reports whether lists have to wait because their rows are being read, and how far that has come: "" or for example "120000 of
// 1000000 entries".
func (s *Store) Building() (detail string, building bool) { return s.progress.building() }

// FileSize returns how many bytes the rows take on disk.
func (s *Store) FileSize() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.file == nil {
		return 0
	}
	return s.file.Size()
}

// install lets f be read.
func (s *Store) install(f *listdb.File, interrupt context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.interrupt, s.broken, s.totals = f, interrupt, "", pages.NewTotals()
}

// withdraw waits for those who read and lets nobody read any more.
func (s *Store) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file, s.interrupt = nil, nil
}

// renew has the file that is read now made anew.
func (s *Store) renew(f *listdb.File, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != f || s.interrupt == nil {
		return
	}
	s.broken = reason
	s.interrupt()
}

func (s *Store) takeBroken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := s.broken
	s.broken = ""
	return reason
}
