package facts

import (
	"slices"
	"strings"
)

// Paths returns the paths of all facts, such as client.os, sorted. One that ends with a dot has members that bundles name.
func Paths() []string {
	var all []string
	for i := range root.members {
		all = root.members[i].paths("", all)
	}
	slices.Sort(all)
	return all
}

func (m *member) paths(above string, all []string) []string {
	switch m.kind {
	case object:
		for i := range m.members {
			all = m.members[i].paths(above+m.name+".", all)
		}
		return all
	case items: // scenarios name passkeys, and not their places
		return all
	case arms, names, tallies, added:
		return append(all, above+m.name+".")
	default:
		return append(all, above+m.name)
	}
}

// KnownPath reports whether there is a fact at a path.
func KnownPath(path string) bool {
	return slices.ContainsFunc(Paths(), func(known string) bool {
		return known == path || (strings.HasSuffix(known, ".") && strings.HasPrefix(path, known) && len(path) > len(known))
	})
}

// Steps returns the only values that a fact moves in, smallest first; nil of those that move in none.
func Steps(path string) []int {
	m := &root
	for name := range strings.SplitSeq(path, ".") {
		at := slices.IndexFunc(m.members, func(inner member) bool { return inner.name == name })
		if at < 0 {
			return nil
		}
		m = &m.members[at]
	}
	return slices.Clone(m.steps)
}

// Flat returns the facts by their paths: each is a bool, an int64 or a string.
func (f *Facts) Flat() map[string]any {
	flat := map[string]any{}
	root.flatten("", f, flat)
	return flat
}

func (m *member) flatten(at string, f *Facts, into map[string]any) {
	switch m.kind {
	case boolean:
		into[at] = m.boolean(f)
	case integer:
		into[at] = int64(m.integer(f))
	case text:
		into[at] = m.text(f)
	case arms:
		m.arms(f).Flat(at, into)
	case names:
		for _, one := range m.names(f) {
			into[at+"."+one.Name] = one.Has
		}
	case items:
	case tallies:
		m.tallies(f).Flat(at, into)
	case added:
		m.added(f).Flat(at, into)
	default:
		for i := range m.members {
			inner := &m.members[i]
			if inner.present == nil || inner.present(f) {
				inner.flatten(strings.TrimPrefix(at+"."+inner.name, "."), f, into)
			}
		}
	}
}
