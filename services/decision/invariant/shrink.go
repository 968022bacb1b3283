package invariant

// maxTries bounds the search for the smallest situation that breaks an invariant.
const maxTries = 2000

// shrink leaves out of the situation what is not needed to break the claim.
func (t *trial) shrink(c *claim) []asked {
	broken := c.broken(t)
	for tries, smaller := 0, true; smaller && tries < maxTries; {
		smaller = false
		for _, s := range t.s.Simpler() {
			if tries++; tries > maxTries || t.ended() {
				return broken
			}
			simpler := t.of(s)
			if found := c.broken(simpler); found != nil {
				t, broken, smaller = simpler, found, true
				break
			}
		}
	}
	return broken
}
