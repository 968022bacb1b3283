package facts

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/cells"
	"github.com/keyward/keyward/services/decision/internal/naming"
)

// Projection writes some of the facts as bytes: two facts give the same bytes if and only if they agree on the projection's paths. It is
// immutable.
type Projection struct {
	steps []step
	paths []string
}

// step writes one value, or skips what follows if a part of the facts is absent.
type step struct {
	*member
	skip  int          // of an optional member: how many steps belong to it
	cells *cells.Cells // of a number or text of which only this counts; nil = its value does
	arm   string       // of what bundles name: the only one that counts; empty = all
	each  []*itemField // of items: the values that count of each
	at    string       // where it is in the facts, dotted
}

// NewProjection returns the projection on the paths in the policy's input, the empty path being all of it. A path that no facts have does
// not matter, since what is there is always undefined.
func NewProjection(paths [][]string) *Projection {
	p := &Projection{}
	p.add(&root, nil, paths)
	return p
}

// Paths returns the values that count, dotted and in the order of the facts.
func (p *Projection) Paths() []string { return slices.Clone(p.paths) }

// add appends the steps for the part of m that the paths, which begin at m, ask for.
func (p *Projection) add(m *member, at []string, paths [][]string) {
	if len(paths) == 0 {
		return
	}
	whole := slices.ContainsFunc(paths, func(path []string) bool { return len(path) == 0 || path[0] == EachItem && m.kind != items })
	optional := -1
	if m.present != nil {
		optional = len(p.steps)
		p.steps = append(p.steps, step{member: m})
	}
	switch {
	case m.kind == items && !whole:
		p.each(step{member: m}, at, paths)
	case m.named() && !whole:
		for _, path := range paths {
			p.leaf(step{member: m, arm: path[0]}, slices.Concat(at, path[:1]))
		}
	case m.kind != object:
		p.leaf(step{member: m}, at)
	default:
		for i := range m.members {
			inner := &m.members[i]
			below := [][]string{{}}
			if !whole {
				below = under(paths, inner.name)
			}
			p.add(inner, slices.Concat(at, []string{inner.name}), below)
		}
	}
	if optional >= 0 {
		p.steps[optional].skip = len(p.steps) - optional - 1
	}
}

// each adds the step of a list of which the paths ask for some values of whichever is in it.
func (p *Projection) each(s step, at []string, paths [][]string) {
	var names []string
	for _, path := range paths {
		if path[0] != EachItem || len(path) == 1 {
			names = nil
			break
		}
		names = append(names, path[1])
	}
	s.each = fieldsOf(names)
	p.steps = append(p.steps, s)
	all := strings.Join(at, ".")
	if len(names) == 0 {
		p.paths = append(p.paths, all)
	}
	for _, name := range names {
		p.paths = append(p.paths, all+EachItem+"."+name)
	}
}

func (m *member) named() bool {
	return m.kind == arms || m.kind == names || m.kind == tallies || m.kind == added
}

func (p *Projection) leaf(s step, at []string) {
	s.at = strings.Join(at, ".")
	if s.kind == items {
		s.each = fieldsOf(nil)
	}
	p.steps = append(p.steps, s)
	p.paths = append(p.paths, s.at)
}

// In returns the projection to which of some values only the cells count that they are in. Of is asked about each number and text. If it
// has the same answers as for this one, this one is returned.
func (p *Projection) In(of func(path string) *cells.Cells) *Projection {
	divided := p
	for i := range p.steps {
		if s := &p.steps[i]; s.skip == 0 && s.divides() {
			if in := of(s.at); !in.Equal(s.cells) {
				if divided == p {
					divided = &Projection{steps: slices.Clone(p.steps), paths: p.paths}
				}
				divided.steps[i].cells = in
			}
		}
	}
	return divided
}

func (s *step) divides() bool {
	return s.kind == integer || s.kind == text || s.kind == tallies && s.arm != "" && s.arm != naming.CompleteCounters
}

// under returns the rest of the paths that begin with the name.
func under(paths [][]string, name string) [][]string {
	var below [][]string
	for _, path := range paths {
		if path[0] == name {
			below = append(below, path[1:])
		}
	}
	return below
}

// Append appends the bytes. Every value ends where the projection says or where its own length says, so no two facts share them by chance.
func (p *Projection) Append(to []byte, f *Facts) []byte {
	for i := 0; i < len(p.steps); i++ {
		s := &p.steps[i]
		if s.skip > 0 {
			there := s.present(f)
			to = naming.AppendBool(to, there)
			if !there {
				i += s.skip
			}
			continue
		}
		switch s.kind {
		case boolean:
			to = naming.AppendBool(to, s.boolean(f))
		case integer:
			to = s.appendNumber(to, s.integer(f))
		case text:
			to = s.appendText(to, s.text(f))
		case arms:
			to = s.appendArms(to, f)
		case names:
			to = s.appendNames(to, f)
		case items:
			to = s.items(f).appendKey(to, s.each)
		case tallies:
			to = s.tallies(f).AppendKey(to, s.arm, s.cells)
		case added:
			to = s.added(f).AppendKey(to, s.arm)
		}
	}
	return to
}

func (s *step) appendNumber(to []byte, n int) []byte {
	if s.cells != nil {
		return s.cells.AppendNumber(to, int64(n))
	}
	return binary.AppendVarint(to, int64(n))
}

func (s *step) appendText(to []byte, text string) []byte {
	if s.cells != nil {
		return s.cells.AppendText(to, text)
	}
	return naming.AppendString(to, text)
}

func (s *step) appendArms(to []byte, f *Facts) []byte {
	all := s.arms(f)
	if s.arm == "" {
		to = binary.AppendUvarint(to, uint64(len(all)))
	}
	for _, one := range all {
		switch s.arm {
		case "":
			to = naming.AppendString(to, one.Experiment)
			to = naming.AppendString(to, string(one.Arm))
		case one.Experiment:
			return naming.AppendString(append(to, 1), string(one.Arm))
		}
	}
	if s.arm != "" {
		to = append(to, 0)
	}
	return to
}

func (s *step) appendNames(to []byte, f *Facts) []byte {
	all := s.names(f)
	if s.arm == "" {
		to = binary.AppendUvarint(to, uint64(len(all)))
		for _, one := range all {
			to = naming.AppendBool(naming.AppendString(to, one.Name), one.Has)
		}
		return to
	}
	const absent = 2
	for _, one := range all {
		if one.Name == s.arm {
			return naming.AppendBool(to, one.Has)
		}
	}
	return append(to, absent)
}
