package lists

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Added are what operators have added to lists, by the names of those.
type Added map[string]*Entries

// Entries are of one list. They are immutable; the nil Entries are none.
type Entries struct{ list }

// Entry reads what an operator writes as an entry of a kind, and returns its one form: numbers of autonomous systems may begin with AS.
func Entry(kind Kind, text string) (string, error) {
	if !slices.Contains(kinds[:], kind) {
		return "", fmt.Errorf("kind %q: want one of %v", kind, kinds)
	}
	if kind == OfASNs {
		number, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(text), "AS"), 10, 32)
		if err != nil || number == 0 {
			return "", fmt.Errorf("%q: not the number of an autonomous system, such as 64500", text)
		}
		return strconv.FormatUint(number, 10), nil
	}
	prefix, err := (&list{Kind: kind, Texts: map[string]bool{}}).read(text)
	if err == nil && kind == OfAddresses {
		text = prefix.String()
	}
	if err == nil && kind == OfIdentifiers {
		text, err = identifier(text)
	}
	return text, err
}

// NewEntries returns entries in their one form. One that can be none of the kind is left out.
func NewEntries(kind Kind, texts []string) *Entries {
	e := &Entries{list{Kind: kind, Texts: map[string]bool{}, Numbers: map[int]bool{}}}
	var prefixes []netip.Prefix
	for _, text := range texts {
		var entry any = text
		if kind == OfASNs {
			number, _ := strconv.ParseUint(text, 10, 32)
			entry = float64(number)
		}
		if prefix, err := e.read(entry); err == nil && kind == OfAddresses {
			prefixes = append(prefixes, prefix)
		}
	}
	e.Within = NewAddresses(prefixes)
	return e
}

// has reports whether a request is in what was added to a list of that kind.
func (a Added) has(one *list, r *Request) bool {
	e := a[one.Name]
	return e != nil && e.Kind == one.Kind && e.list.has(r, e.Within)
}

// Names returns the names of the lists to which something was added, sorted.
func (a Added) Names() []string { return slices.Sorted(maps.Keys(a)) }
