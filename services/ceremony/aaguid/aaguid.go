// Package aaguid names models of authenticators and credential providers, as a policy bundle does. It reads the bundle and touches nothing
// else.
package aaguid

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// namesAge is how long names are given without a look at whether the files have changed.
const namesAge = 2 * time.Second

// namesFiles are where the root of a bundle may have its table. Bundles from before the first have it in the second.
var namesFiles = [...]string{"aaguids.json", "data.json"}

// BundleNames is an AAGUIDs that follows the policy bundle: a changed file counts within two seconds of the next question. Names of a
// file that cannot be read are those it had before. It has no background work.
type BundleNames struct {
	bundle fs.FS
	now    func() time.Time
	log    *slog.Logger

	names  atomic.Pointer[AAGUIDNames]
	looked atomic.Int64 // Unix ns
	mu     sync.Mutex   // guards seen
	seen   stamps
}

// stamps tell versions of the files apart.
type stamps [len(namesFiles)]stamp

// stamp tells versions of a file apart; zero if there is none.
type stamp struct {
	modified time.Time
	size     int64
}

// NewBundleNames reads the names of a bundle (see LoadAAGUIDNames), or, as long as they cannot be read, those of another one, and fails if
// neither can.
func NewBundleNames(bundle, otherwise fs.FS, now func() time.Time, log *slog.Logger) (*BundleNames, error) {
	b := &BundleNames{bundle: bundle, now: now, log: log}
	// The stamp is taken first: should the file change now, it is read once more.
	b.seen = b.stamp()
	names, err := LoadAAGUIDNames(bundle)
	if err != nil {
		log.Warn("the names of authenticators are not those of the policy's directory", "error", err)
		if names, err = LoadAAGUIDNames(otherwise); err != nil {
			return nil, err
		}
	}
	b.names.Store(&names)
	b.looked.Store(now().UnixNano())
	return b, nil
}

// Name implements AAGUIDs.
func (b *BundleNames) Name(aaguid string) string {
	looked, now := b.looked.Load(), b.now().UnixNano()
	if now-looked >= int64(namesAge) && b.looked.CompareAndSwap(looked, now) {
		b.refresh()
	}
	return b.names.Load().Name(aaguid)
}

func (b *BundleNames) refresh() {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.stamp()
	if current == b.seen {
		return
	}
	b.seen = current
	names, err := LoadAAGUIDNames(b.bundle)
	if err != nil {
		b.log.Warn("the names of authenticators stay as they were", "error", err)
		return
	}
	b.names.Store(&names)
}

func (b *BundleNames) stamp() (all stamps) {
	for i, name := range namesFiles {
		if info, err := fs.Stat(b.bundle, name); err == nil {
			all[i] = stamp{modified: info.ModTime(), size: info.Size()}
		}
	}
	return all
}

// PasswordManager implements AAGUIDs.
func (b *BundleNames) PasswordManager(aaguid string) bool {
	b.Name(aaguid) // follows the bundle
	return b.names.Load().PasswordManager(aaguid)
}

// AAGUIDNames is an AAGUIDs in memory, by AAGUID in lower-case UUID form.
type AAGUIDNames map[string]Authenticator

// Authenticator is what a policy bundle says of a model of authenticator or a credential provider.
type Authenticator struct {
	Name  string `json:"name"`
	Class string `json:"class"` // see the decision service
}

const classPasswordManager = "password-manager"

// Name implements AAGUIDs.
func (n AAGUIDNames) Name(aaguid string) string { return n[aaguid].Name }

// PasswordManager implements AAGUIDs.
func (n AAGUIDNames) PasswordManager(aaguid string) bool {
	return n[aaguid].Class == classPasswordManager
}

// LoadAAGUIDNames reads what a policy bundle says of authenticators: keyward.aaguids.<AAGUID> in the aaguids.json at its root, or else in
// its data.json. A bundle without such a file or table says nothing; one that is not JSON is an error.
func LoadAAGUIDNames(bundle fs.FS) (AAGUIDNames, error) {
	for _, name := range namesFiles {
		table, err := readTable(bundle, name)
		if err != nil {
			return nil, fmt.Errorf("read AAGUID names: %s: %w", name, err)
		}
		if table == nil {
			continue
		}
		names := make(AAGUIDNames, len(table))
		for aaguid, entry := range table {
			names[strings.ToLower(aaguid)] = entry
		}
		return names, nil
	}
	return AAGUIDNames{}, nil
}

// readTable returns the table of a file, nil if there is none.
func readTable(bundle fs.FS, name string) (AAGUIDNames, error) {
	raw, err := fs.ReadFile(bundle, name)
	if errors.Is(err, fs.ErrNotExist) {
		return AAGUIDNames(nil), nil
	}
	if err != nil {
		return nil, err
	}
	var data struct {
		Keyward struct {
			AAGUIDs AAGUIDNames `json:"aaguids"`
		} `json:"keyward"`
	}
	err = json.Unmarshal(raw, &data)
	return data.Keyward.AAGUIDs, err
}
