// Package outside holds what operators keep in files beside the policy: lists of addresses, databases of locations. It promises that what
// was read last and was good counts until there is something better, that lookups wait for nothing, and that what is wrong is told with
// file and line. It looks at the files that it is given.
package outside

import (
	"bytes"
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

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/services/decision/internal/follow"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/locations"
)

// Config says where the files are. An empty path = there is none.
type Config struct {
	ListsDir  string        // that files of lists are below
	CountryDB string        // database of the countries that addresses are in, in the MaxMind DB format
	CityDB    string        // the same of points, and of countries if there is no database of those
	ASNDB     string        // the same of autonomous systems
	MaxAge    time.Duration // after which a database is used all the same, and told to be old
}

// Names of the databases, as the settings have them.
const (
	CountryDB = "geo_country_db"
	CityDB    = "geo_city_db"
	ASNDB     = "geo_asn_db"
)

// DefaultMaxAge is three releases of databases that come out monthly.
const DefaultMaxAge = 90 * 24 * time.Hour

// Sources are the files. They are safe for concurrent use.
type Sources struct {
	cfg   Config
	clock func() time.Time
	log   *slog.Logger

	mu     sync.Mutex // guards the files, and looks at them
	listed map[string]*follow.File[*lists.Addresses]
	wanted []string
	placed map[string]*follow.File[*locations.Database] // by the name of the setting; two may be one file

	now atomic.Pointer[View]
}

// View is what the files say at a moment. It is immutable.
type View struct {
	Files     lists.Files
	Revisions map[string]string // by the file's name, or that of the setting
	Wrong     []error           // what is not as the files are now

	databases locations.Databases
}

// Place returns where an address is, which a client or its backend told.
func (v *View) Place(told string) place.Place {
	if v.databases == (locations.Databases{}) {
		return place.Place{}
	}
	from, _ := address.Client(told)
	return v.databases.Find(from)
}

// What is wrong with files beside their content.
var (
	// ErrNoDirectory says that a list is in a file, and nobody said where files are.
	ErrNoDirectory = errors.New("lists_dir is not set")
	// ErrOld says that a database is older than geo_max_age.
	ErrOld = errors.New("the database is older than geo_max_age, and used all the same")
)

const (
	maxList     = 512 << 20 // lists.MaxEntries networks of IPv6, with some room for comments
	maxDatabase = 1 << 30   // several times the largest that are sold
)

// New returns sources that have looked at nothing yet.
func New(cfg Config, clock func() time.Time, log *slog.Logger) *Sources {
	s := &Sources{cfg: cfg, clock: clock, log: log, listed: map[string]*follow.File[*lists.Addresses]{}}
	s.placed = map[string]*follow.File[*locations.Database]{}
	byPath := map[string]*follow.File[*locations.Database]{}
	for name, path := range map[string]string{CountryDB: cfg.CountryDB, CityDB: cfg.CityDB, ASNDB: cfg.ASNDB} {
		if path == "" {
			continue
		}
		if byPath[path] == nil {
			byPath[path] = follow.New(path, maxDatabase, locations.Read)
		}
		s.placed[name] = byPath[path]
	}
	s.now.Store(&View{})
	return s
}

// Now returns what the files say.
func (s *Sources) Now() *View { return s.now.Load() }

// Want says in which files there are lists, and looks at what has not been looked at yet.
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
			look(ctx, s, name, followed[name])
		}
	}
	s.listed = followed
	for _, name := range slices.Sorted(maps.Keys(s.placed)) {
		if file := s.placed[name]; file.Good() == nil && file.Err() == nil {
			look(ctx, s, name, file)
		}
	}
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
		look(ctx, s, name, s.listed[name])
	}
	looked := map[*follow.File[*locations.Database]]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.placed)) {
		if file := s.placed[name]; !looked[file] {
			looked[file] = true
			look(ctx, s, name, file)
		}
	}
	s.tell()
}

func look[T any](ctx context.Context, s *Sources, name string, file *follow.File[T]) {
	before := file.Err()
	read := file.Look()
	switch err := file.Err(); {
	case err != nil && (read || before == nil):
		s.log.ErrorContext(ctx, "a file of the operator cannot be used, what was read before stays", "file", name, "error", at(file))
	case err == nil && read:
		s.log.InfoContext(ctx, "a file of the operator was read", "file", name, "revision", file.Good().Revision)
	}
}

// at returns why a file cannot be used, with file:line where a line is to blame.
func at[T any](file *follow.File[T]) error {
	err := file.Err()
	var line *lists.LineError
	if !errors.As(err, &line) {
		return err
	}
	return fmt.Errorf("%s:%d: %s%w", file.Path(), line.Line, line.Message, said{err})
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
		if err := at(file); err != nil {
			v.Wrong = append(v.Wrong, err)
		}
	}
	v.databases = locations.Databases{Country: s.database(v, CountryDB), City: s.database(v, CityDB), ASN: s.database(v, ASNDB)}
	s.now.Store(v)
}

// database returns the one that a setting names, and adds to the view what is wrong with it.
func (s *Sources) database(v *View, name string) *locations.Database {
	file := s.placed[name]
	if file == nil {
		return nil
	}
	if err := file.Err(); err != nil {
		v.Wrong = append(v.Wrong, fmt.Errorf("%s: %w", name, err))
	}
	good := file.Good()
	if good == nil {
		return nil
	}
	v.Revisions[name] = good.Revision
	if built := good.Value.Built(); s.cfg.MaxAge > 0 && s.clock().Sub(built) > s.cfg.MaxAge {
		v.Wrong = append(v.Wrong, fmt.Errorf("%s: %s: %w: it was built on %s", name, file.Path(), ErrOld, built.UTC().Format(time.DateOnly)))
	}
	return good.Value
}
