// Package providers brings a published list of passkey providers into a bundle's table of AAGUIDs, data.keyward.aaguids. It reads
// files that it is given, returns their new content and touches nothing.
//
// What the list says of a provider is its name. Its class and platforms, by which rules expect passkeys somewhere, are the bundle's own
// word and stay; a provider that the bundle lacks gets a class that the caller chooses. Nothing is removed.
package providers

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostEntries = 10_000
	mostName    = 200 // runes
)

// ErrList is of every error that lies in the published list, not in the bundle.
var ErrList = errors.New("the list of providers")

// form is an AAGUID in lower case, RFC 9562 §4.
var form = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// silent is the AAGUID of authenticators that do not say what they are.
const silent = "00000000-0000-0000-0000-000000000000"

// Provider is what a list says of an AAGUID. Class and platforms are there only in lists that know a bundle's form.
type Provider struct {
	Name      string   `json:"name"`
	Class     string   `json:"class"`
	Platforms []string `json:"platforms"`
}

// List is a published list, by AAGUID in lower case.
type List map[string]Provider

// Read reads a published list: an object with an object for each AAGUID, whose member "name" counts and whose icons and the like do not; or
// one that holds such an object as its member "aaguids", below "keyward" or not, as bundles and copies of their tables do. Errors name the
// AAGUID and are ErrList.
func Read(raw []byte) (List, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("%w: not a JSON object: %w", ErrList, err)
	}
	for _, member := range [...]string{"keyward", "aaguids"} {
		inner, ok := whole[member]
		if !ok {
			continue
		}
		whole = nil
		if err := json.Unmarshal(inner, &whole); err != nil {
			return nil, fmt.Errorf("%w: %s: not a JSON object: %w", ErrList, member, err)
		}
	}
	if len(whole) == 0 || len(whole) > mostEntries {
		return nil, fmt.Errorf("%w: it has %d entries, want 1 to %d", ErrList, len(whole), mostEntries)
	}
	list := make(List, len(whole))
	for key, entry := range whole {
		id := strings.ToLower(key)
		var provider Provider
		switch err := json.Unmarshal(entry, &provider); {
		case !form.MatchString(id):
			return nil, fmt.Errorf("%w: %.60q is not an AAGUID", ErrList, key)
		case id == silent:
			return nil, fmt.Errorf("%w: %s: authenticators of every kind have it", ErrList, id)
		case err != nil:
			return nil, fmt.Errorf("%w: %s: %w", ErrList, id, err)
		}
		if provider.Name = strings.TrimSpace(provider.Name); !usable(provider.Name) {
			return nil, fmt.Errorf("%w: %s: name: want 1 to %d printable characters", ErrList, id, mostName)
		}
		if _, twice := list[id]; twice {
			return nil, fmt.Errorf("%w: %s is there twice", ErrList, id)
		}
		list[id] = provider
	}
	return list, nil
}

func usable(name string) bool {
	length := utf8.RuneCountInString(name)
	return utf8.ValidString(name) && length >= 1 && length <= mostName &&
		!strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Change is an AAGUID whose entry is another.
type Change struct {
	AAGUID string `json:"aaguid"`
	Name   string `json:"name"`
	Before string `json:"before,omitempty"` // its name before; empty = it was not there
	Class  string `json:"class"`
}

// Update is what became of a table.
type Update struct {
	Added   []Change `json:"added"`   // by AAGUID
	Renamed []Change `json:"renamed"` // by AAGUID
	Same    int      `json:"same"`    // of the list, as they were
	Kept    int      `json:"kept"`    // of the bundle, which the list does not name

	Content []byte `json:"-"` // of the file; the one given if nothing changed
}

// Apply returns the content of a file of the bundle whose table, at keys from the file's root, has the names of a list. Providers that are
// new are of the class given, unless the list states one. All else in the file stays as it is written.
func Apply(content []byte, keys []string, list List, class string) (Update, error) {
	at, err := find(content, keys)
	if err != nil {
		return Update{}, err
	}
	var table map[string]json.RawMessage
	if err := json.Unmarshal(content[at.from:at.to], &table); err != nil {
		return Update{}, fmt.Errorf("aaguids: %w", err)
	}
	update := Update{Added: []Change{}, Renamed: []Change{}, Content: content}
	for _, id := range slices.Sorted(maps.Keys(list)) {
		if err := update.take(table, id, list[id], class); err != nil {
			return Update{}, fmt.Errorf("aaguids: %s: %w", id, err)
		}
	}
	for id := range table {
		if _, named := list[id]; !named {
			update.Kept++
		}
	}
	if len(update.Added)+len(update.Renamed) > 0 {
		update.Content = slices.Concat(content[:at.from], written(table, at.indent), content[at.to:])
	}
	return update, nil
}

// take brings one provider into the table.
func (u *Update) take(table map[string]json.RawMessage, id string, provider Provider, class string) error {
	var entry struct{ Name, Class string }
	members := map[string]json.RawMessage{}
	known, there := table[id]
	if there {
		if err := errors.Join(json.Unmarshal(known, &entry), json.Unmarshal(known, &members)); err != nil {
			return err
		}
	}
	if there && entry.Name == provider.Name {
		u.Same++
		return nil
	}
	members["name"] = text(provider.Name)
	change := Change{AAGUID: id, Name: provider.Name, Before: entry.Name, Class: entry.Class}
	if there {
		u.Renamed = append(u.Renamed, change)
	} else {
		change.Class = cmp.Or(provider.Class, class)
		members["class"] = text(change.Class)
		if len(provider.Platforms) > 0 && provider.Class != "" {
			members["platforms"] = texts(provider.Platforms)
		}
		u.Added = append(u.Added, change)
	}
	table[id] = line(members)
	return nil
}
