// Package counted is what the log of a scenario counts for: sets of sightings, as a store of them would have them. It is pure.
package counted

import "github.com/keyward/keyward/core/sighting"

// Seen is something that is counted, and the sets that it is in.
type Seen struct {
	sighting.Sighting
	Keys []sighting.Key
}

// Log is all that was seen.
type Log struct {
	Seen  []Seen
	Since sighting.Since // nothing is missing
}

// Evidence returns what a question of the scenario is judged by, of the sets with these keys and of the whole project.
func (l Log) Evidence(keys []sighting.Key) sighting.Seen {
	members := make([][]sighting.Sighting, len(keys))
	totals, told := map[sighting.Bucket]int{}, map[uint64]bool{}
	for i := range l.Seen {
		one := &l.Seen[i]
		for at, key := range keys {
			for _, in := range one.Keys {
				if in == key {
					members[at] = append(members[at], one.Sighting)
				}
			}
		}
		if told[one.Event] {
			continue
		}
		told[one.Event] = true
		for _, bucket := range sighting.Buckets(one.Type, one.Ms) {
			totals[bucket]++
		}
	}
	found := sighting.Seen{Sets: make([]sighting.Set, len(keys)), Totals: sighting.NewTotals(totals), Since: l.Since}
	for at := range members {
		found.Sets[at] = sighting.NewSet(members[at])
	}
	return found
}
