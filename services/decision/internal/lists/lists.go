// Package lists knows what operators list by name: networks, autonomous systems, countries, environments, identifiers and labels of users.
// It promises that an entry which
// can be none of its list is refused, that a list answers in less than a microsecond however long it is, and that what a list cannot tell
// is not told: one of a file that has never been read is left out. It is pure; files are read elsewhere.
package lists

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Kind is what a list has entries of.
type Kind string

// The kinds.
const (
	OfAddresses    Kind = "address"     // networks and addresses
	OfASNs         Kind = "asn"         // numbers of autonomous systems
	OfCountries    Kind = "country"     // ISO 3166-1, two letters
	OfEnvironments Kind = "environment" // IDs of browser profiles and app installations
	OfIdentifiers  Kind = "identifier"  // what users log in with, or the @domain of their email addresses
	OfLabels       Kind = "label"       // that callers gave users
)

var kinds = [...]Kind{OfAddresses, OfASNs, OfCountries, OfEnvironments, OfIdentifiers, OfLabels}

// Key is where a bundle's data has its lists, below keyward.
const Key = "lists"

// list is one as a bundle declares it.
type list struct {
	Name    string
	Kind    Kind
	File    string // that has its addresses; empty = the bundle has its entries
	Texts   map[string]bool
	Numbers map[int]bool
	Within  *Addresses
}

// Lists are all that a bundle declares, sorted by name. They are immutable; the nil Lists are none.
type Lists struct{ all []list }

// Files are the addresses of files, by their names. What has never been read is not among them.
type Files map[string]*Addresses

// Request is what lists are asked about.
type Request struct {
	Address     netip.Addr
	Country     string           // empty = not known
	ASN         int              // 0 = not known
	Environment string           // empty = not known
	User        *account.Account // nil = nobody is known
	Files       Files
	Added       Added
}

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

// Learn reads the lists in data.keyward; a bundle need not have any. An error is a *document.MisfitError.
func Learn(space map[string]any) (*Lists, error) {
	if _, given := space[Key]; !given {
		return nil, nil
	}
	var written map[string]struct {
		Kind    Kind   `json:"kind"`
		Entries []any  `json:"entries,omitempty"`
		File    string `json:"file,omitempty"`
	}
	if err := document.Decode(space, Key, &written); err != nil {
		return nil, err
	}
	l := &Lists{}
	for _, name := range slices.Sorted(maps.Keys(written)) {
		given := written[name]
		one, at, err := learn(list{Name: name, Kind: given.Kind, File: given.File}, given.Entries)
		if err != nil {
			return nil, &document.MisfitError{Keys: append([]string{"keyward", Key, name}, at...), Message: fmt.Sprintf("list %s: %v", name, err)}
		}
		l.all = append(l.all, one)
	}
	return l, nil
}

// learn reads the entries of a list. With an error it returns where in the list the fault is.
func learn(one list, entries []any) (list, []string, error) {
	switch {
	case !slices.Contains(kinds[:], one.Kind):
		return one, []string{"kind"}, fmt.Errorf("kind %q: want one of %v", one.Kind, kinds)
	case one.File != "" && len(entries) > 0:
		return one, []string{"file"}, fmt.Errorf("has a file and entries: take one of them")
	case one.File != "" && one.Kind != OfAddresses:
		return one, []string{"file"}, fmt.Errorf("only a list of kind %s can be in a file", OfAddresses)
	case one.File != "" && !filepath.IsLocal(one.File):
		return one, []string{"file"}, fmt.Errorf("%q is no file below lists_dir", one.File)
	case one.File != "":
		return one, nil, nil
	}
	one.Texts, one.Numbers = map[string]bool{}, map[int]bool{}
	var prefixes []netip.Prefix
	for i, entry := range entries {
		prefix, err := one.read(entry)
		if err != nil {
			return one, []string{"entries", strconv.Itoa(i)}, err
		}
		prefixes = append(prefixes, prefix)
	}
	if one.Kind == OfAddresses {
		one.Within = NewAddresses(prefixes)
	}
	return one, nil, nil
}

// read takes up an entry, or returns it if it is a network.
func (o *list) read(entry any) (netip.Prefix, error) {
	text, isText := entry.(string)
	number, isNumber := entry.(float64)
	switch o.Kind {
	case OfAddresses:
		return Network(text)
	case OfASNs:
		if whole := uint32(number); !isNumber || whole == 0 || float64(whole) != number {
			return netip.Prefix{}, fmt.Errorf("%v: not the number of an autonomous system, such as 64500", entry)
		}
		o.Numbers[int(number)] = true
	case OfCountries:
		if !countryForm.MatchString(text) {
			return netip.Prefix{}, fmt.Errorf("%v: not a country of ISO 3166-1 in two capital letters, such as DE", entry)
		}
		o.Texts[text] = true
	case OfEnvironments:
		if !isText || text == "" {
			return netip.Prefix{}, fmt.Errorf("%v: not the ID of an environment", entry)
		}
		o.Texts[text] = true
	case OfIdentifiers:
		form, err := identifier(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		o.Texts[form] = true
	case OfLabels:
		if !isText || text == "" {
			return netip.Prefix{}, fmt.Errorf("%v: not a label of users", entry)
		}
		o.Texts[text] = true
	}
	return netip.Prefix{}, nil
}

// Names returns the names of all lists, sorted.
func (l *Lists) Names() []string {
	if l == nil {
		return nil
	}
	names := make([]string, len(l.all))
	for i := range l.all {
		names[i] = l.all[i].Name
	}
	return names
}

// Kinds returns of what kind each list is, by name.
func (l *Lists) Kinds() map[string]string {
	kinds := map[string]string{}
	if l != nil {
		for i := range l.all {
			kinds[l.all[i].Name] = string(l.all[i].Kind)
		}
	}
	return kinds
}

// FileNames returns the names of the files that lists are in, sorted.
func (l *Lists) FileNames() []string {
	if l == nil {
		return nil
	}
	var names []string
	for i := range l.all {
		if l.all[i].File != "" {
			names = append(names, l.all[i].File)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Check returns a *document.MisfitError for the first of the names, which stand at keys of the data, that no list has.
func (l *Lists) Check(names []string, keys ...string) error {
	known := l.Names()
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		message := fmt.Sprintf("there is no list %q in data.keyward.lists", name)
		if len(known) > 0 {
			message += fmt.Sprintf("; there are %v", known)
		}
		return &document.MisfitError{Keys: keys, Message: message}
	}
	return nil
}

// Find returns which of the lists a request is in, by their names, sorted.
func (l *Lists) Find(r *Request) facts.Labels {
	if l == nil || len(l.all) == 0 {
		return nil
	}
	found := make(facts.Labels, 0, len(l.all))
	for i := range l.all {
		one := &l.all[i]
		within := one.Within
		if one.File != "" {
			read, there := r.Files[one.File]
			if !there && !r.Added.has(one, r) {
				continue
			}
			within = read
		}
		found = append(found, facts.Label{Name: one.Name, Has: one.has(r, within) || r.Added.has(one, r)})
	}
	return found
}

func (o *list) has(r *Request, within *Addresses) bool {
	switch o.Kind {
	case OfASNs:
		return o.Numbers[r.ASN]
	case OfCountries:
		return o.Texts[r.Country]
	case OfEnvironments:
		return o.Texts[r.Environment]
	case OfIdentifiers:
		return r.User != nil && slices.ContainsFunc(r.User.Identifiers, o.names)
	case OfLabels:
		return r.User != nil && slices.ContainsFunc(r.User.Labels, func(label string) bool { return o.Texts[label] })
	default:
		return within.Contains(r.Address)
	}
}

// ErrAddressNotKept says that a list can tell the addresses of a network apart, of which only the network is known, or identifiers, of
// which nothing is.
var ErrAddressNotKept = errors.New("a list tells addresses of its network or identifiers apart, and those were not kept")

// Again returns which of the lists a request was in of whose address the network alone is known, or not even that, if it was left out. Was
// is what the lists then found; own are those, nil if they are not known any more. What they do not tell is looked up again, or the error
// is ErrAddressNotKept.
func (l *Lists) Again(was facts.Labels, own *Lists, r *Request, network netip.Prefix, leftOut bool) (facts.Labels, error) {
	if l == nil || len(l.all) == 0 {
		return nil, nil
	}
	found := make(facts.Labels, 0, len(l.all))
	for i := range l.all {
		one := &l.all[i]
		at := slices.IndexFunc(was, func(l facts.Label) bool { return l.Name == one.Name })
		if at >= 0 && own.has(one) {
			found = append(found, was[at])
			continue
		}
		if one.Kind == OfIdentifiers && len(one.Texts) > 0 {
			return nil, fmt.Errorf("list %s: %w", one.Name, ErrAddressNotKept)
		}
		if one.Kind != OfAddresses {
			found = append(found, facts.Label{Name: one.Name, Has: one.has(r, nil)})
			continue
		}
		some, all := one.Within.overlaps(network)
		if leftOut {
			some, all = !one.Within.Equal(NewAddresses(nil)), false
		}
		if one.File != "" || some != all {
			return nil, fmt.Errorf("list %s: %w", one.Name, ErrAddressNotKept)
		}
		found = append(found, facts.Label{Name: one.Name, Has: all})
	}
	return found, nil
}

// has reports whether a list is one of these, with the same entries. What is not known any more is taken to have been.
func (l *Lists) has(one *list) bool {
	return l == nil || slices.ContainsFunc(l.all, func(other list) bool { return reflect.DeepEqual(&other, one) })
}

// Same reports whether two bundles list alike.
func (l *Lists) Same(other *Lists) bool { return reflect.DeepEqual(l, other) }
