// Package sqlitefile is what all SQLite files of Keyward have in common, each of which is a copy that can be made anew: how one is named to
// the driver, how it is removed with what belongs to it, and whether an error says that it is damaged. It touches the file it is told of.
package sqlitefile

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Driver is the name under which database/sql knows SQLite.
const Driver = "sqlite"

// busyTimeout is how long a statement waits for another connection to be done.
const busyTimeout = 10 * time.Second

// DSN names a file to the driver. Each connection begins with the pragmas.
func DSN(path string, pragmas ...string) string {
	query := url.Values{"_pragma": append(pragmas, "busy_timeout("+strconv.FormatInt(busyTimeout.Milliseconds(), 10)+")")}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: query.Encode()}).String()
}

// Remove removes a file with what belongs to it. Nobody may have it open.
func Remove(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return nil
}

// Size returns how many bytes a file takes with its log of changes.
func Size(path string) int64 {
	var total int64
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(filepath.Clean(path + suffix)); err == nil {
			total += info.Size()
		}
	}
	return total
}

// IsDamage reports whether err says that the file is not what was written.
func IsDamage(err error) bool {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return false
	}
	if failure.Code() == sqlite3.SQLITE_IOERR_SHORT_READ {
		return true
	}
	const primary = 0xff // the rest of a code is detail
	switch failure.Code() & primary {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return true
	}
	return false
}
