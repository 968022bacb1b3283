package sighting

import "slices"

// Kind is of what subject and family a set is.
type Kind struct {
	Subject Subject // User, Address, Network or Environment
	Family  Family
}

// kept are the subjects that have sets, in the order of their kinds' numbers, which are in what is stored.
var kept = [...]Subject{User, Address, Network, Environment}

// KindCount is how many kinds there are.
const KindCount = 2 * len(kept)

// AllKinds returns all kinds, in the order of their numbers.
func AllKinds() []Kind {
	all := make([]Kind, 0, KindCount)
	for _, subject := range kept {
		for _, family := range Families() {
			all = append(all, Kind{subject, family})
		}
	}
	return all
}

// Number returns the number of a kind, from 0 on.
func (k Kind) Number() int { return 2*slices.Index(kept[:], k.Subject) + int(k.Family) }

// Kind returns of which kind a set is.
func (k Key) Kind() Kind { return Kind{k.Subject, k.Family} }

// Kinds are some of the kinds, each by the bit of its number.
type Kinds uint8

// KindsOf returns kinds as one.
func KindsOf(all ...Kind) Kinds {
	var some Kinds
	for _, k := range all {
		some |= 1 << k.Number()
	}
	return some
}

// Has reports whether a kind is among them.
func (s Kinds) Has(k Kind) bool { return s&(1<<k.Number()) != 0 }

// EveryKind is all of them.
const EveryKind Kinds = 1<<KindCount - 1

// Of returns those keys that are of the kinds. The argument is left as it is.
func (s Kinds) Of(keys []Key) []Key {
	lacks := func(k Key) bool { return !s.Has(k.Kind()) }
	if s == EveryKind || !slices.ContainsFunc(keys, lacks) {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), lacks)
}
