package invariant

import (
	"slices"

	"github.com/keyward/keyward/services/decision/invariant/internal/situation"
)

// batch is how many situations are sampled before what was found in them is told: enough to keep many processors at work.
const batch = 512

// sampler holds claims against situations.
type sampler struct {
	base   *trial
	claims []claim
	opts   Options
	waived map[string]string
}

// finding is what was found in a situation.
type finding struct {
	broken []int // claims, by their place
	cut    bool  // the time ran out: what is said of broken may be wrong
}

// hold returns what is found in some situations, in their order.
func (s *sampler) hold(first, count int) []finding {
	found := make([]finding, count)
	one := func(i int) { found[i] = s.one(first + i) }
	if s.opts.Each != nil {
		s.opts.Each(count, one)
		return found
	}
	for i := range found {
		one(i)
	}
	return found
}

// trial puts questions about the situation of a number.
func (s *sampler) trial(number int) *trial {
	return s.base.of(situation.Sample(s.opts.Seed, uint64(number), s.opts.Parameters))
}

func (s *sampler) one(number int) finding {
	t := s.trial(number)
	var broken []int
	for i := range s.claims {
		c := &s.claims[i]
		// What is broken is broken again, unless the time of the first answer ran out.
		if s.waived[c.name] == "" && c.broken(t) != nil && c.broken(t.of(t.s)) != nil {
			broken = append(broken, i)
		}
		if t.ended() {
			return finding{cut: true}
		}
	}
	return finding{broken: slices.Clip(broken)}
}
