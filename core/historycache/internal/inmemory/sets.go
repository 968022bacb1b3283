package inmemory

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// perSighting is what a sighting takes, once as it is kept and once as it is read, and perSet what a set takes beside them, in bytes.
const (
	perSighting = 112
	perSet      = 300
)

// Sets keeps sets of sightings, within a bound: if there is more, the set that was used least lately goes, and that nothing is missing is
// then said of what happened after its newest sighting alone. It is safe for concurrent use.
type Sets struct {
	most    int64 // bytes, about
	clock   func() time.Time
	written func() sighting.Kinds // what is not to be left out

	mu     sync.Mutex
	order  *list.List
	all    map[sighting.Key]*list.Element
	taken  int64
	totals map[ident.ProjectID]*totals
	drawn  int // fills that began
	under  int // fills that have not ended
	whole  int // the one that found the sets whole, of the kinds that say so
	epoch  uint64
	kinds  entry.Whole
}

// set is the members of one, newest last. The lock guards it.
type set struct {
	key     sighting.Key
	members []sighting.Sighting
	told    *sighting.Set // of the members as they are; nil = nobody has asked since they changed
}

// tell returns the set as it is read.
func (s *set) tell() sighting.Set {
	if s.told == nil {
		newestFirst := slices.Clone(s.members)
		slices.Reverse(newestFirst)
		s.told = new(sighting.NewSet(newestFirst))
	}
	return *s.told
}

// totals are those of a project. What was told of them last is not changed.
type totals struct {
	buckets map[sighting.Bucket]int
	told    *sighting.Totals
	at      time.Time
}

// NewSets returns sets for so many bytes, about.
func NewSets(most int64, clock func() time.Time, written func() sighting.Kinds) *Sets {
	return &Sets{
		most: most, clock: clock, written: written, order: list.New(),
		all: map[sighting.Key]*list.Element{}, totals: map[ident.ProjectID]*totals{},
	}
}

// Look reads sets.
func (s *Sets) Look(_ context.Context, l *entry.Looked) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, key := range l.Keys {
		if element := s.all[key]; element != nil {
			s.order.MoveToFront(element)
			l.Seen.Sets[i] = element.Value.(*set).tell() //nolint:forcetypeassert // nothing else is in it
		}
	}
	if s.whole != 0 && s.epoch == l.Epoch {
		l.Seen.Since = s.sinceOf(l)
	}
	l.Seen.Totals = s.tell(l.Project)
	return nil
}

// sinceOf returns since when nothing is missing from the sets that are read; if none is named, from any that is wanted.
func (s *Sets) sinceOf(l *entry.Looked) sighting.Since {
	var since sighting.Since
	named := false
	for i := range l.Keys {
		if l.Keys[i] != (sighting.Key{}) {
			since, named = entry.Later(since, s.kinds.Of(l.Keys[i].Kind(), &l.Wanted)), true
		}
	}
	if named {
		return since
	}
	for _, kind := range sighting.AllKinds() {
		if l.Wanted[kind.Number()] != 0 {
			since = entry.Later(since, s.kinds.Of(kind, &l.Wanted))
		}
	}
	return since
}

// tell returns the totals of a project, as they were within the last second. The lock is held.
func (s *Sets) tell(project ident.ProjectID) *sighting.Totals {
	t := s.totals[project]
	if t == nil {
		return nil
	}
	now := s.clock()
	if t.told == nil || now.Sub(t.at) >= time.Second || now.Before(t.at) {
		t.told, t.at = sighting.NewTotals(t.buckets), now
	}
	return t.told
}

// See adds what was seen, to totals too if it is new.
func (s *Sets) See(_ context.Context, horizon time.Duration, isNew bool, all ...entry.Sighted) error {
	kinds := s.written()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range all {
		for _, key := range kinds.Of(all[i].Keys) {
			s.add(key, all[i].Sighting)
		}
		if isNew {
			s.count(&all[i], horizon)
		}
	}
	return nil
}

func (s *Sets) add(key sighting.Key, one sighting.Sighting) {
	element := s.all[key]
	if element == nil {
		element = s.order.PushFront(&set{key: key})
		s.all[key] = element
		s.taken += perSet
	}
	in := element.Value.(*set) //nolint:forcetypeassert // nothing else is in it
	at, there := slices.BinarySearchFunc(in.members, one, func(a, b sighting.Sighting) int { return -sighting.NewestFirst(a, b) })
	if there {
		return
	}
	s.order.MoveToFront(element)
	in.members, in.told = slices.Insert(in.members, at, one), nil
	s.taken += perSighting
	if over := len(in.members) - sighting.Cap; over > 0 {
		in.members = slices.Delete(in.members, 0, over)
		s.taken -= int64(over) * perSighting
	}
	s.makeRoom()
}

// makeRoom drops what was used least lately: only what happened after that is known not to be missing.
func (s *Sets) makeRoom() {
	for s.taken > s.most && s.order.Len() > 1 {
		oldest := s.order.Back()
		for _, one := range oldest.Value.(*set).members { //nolint:forcetypeassert // nothing else is in it
			for k := range s.kinds {
				s.kinds[k].Since = entry.Later(s.kinds[k].Since, sighting.Since{Logged: one.Ms + 1, Unknown: one.Ms + 1})
			}
		}
		s.drop(oldest)
	}
}

func (s *Sets) drop(element *list.Element) {
	in := s.order.Remove(element).(*set) //nolint:forcetypeassert // nothing else is in it
	delete(s.all, in.key)
	s.taken -= perSet + int64(len(in.members))*perSighting
}

func (s *Sets) count(one *entry.Sighted, horizon time.Duration) {
	if one.TakenBack { // nothing has happened; what has stays in totals, which only go up
		return
	}
	t := s.totals[one.Project]
	if t == nil {
		t = &totals{buckets: map[sighting.Bucket]int{}}
		s.totals[one.Project] = t
	}
	for _, bucket := range sighting.Buckets(one.Type, one.Ms) {
		if t.buckets[bucket]++; t.buckets[bucket] > 1 {
			continue
		}
		for old := range t.buckets { // as often as time goes on by a bucket
			if old.Over(s.clock(), horizon) {
				delete(t.buckets, old)
			}
		}
	}
}

// Forget removes what was seen of somebody, and whole sets. It reports whether a fill is under way, which may bring some of it back.
func (s *Sets) Forget(_ context.Context, gone []entry.Sighted, sets ...sighting.Key) (again bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range gone {
		for _, key := range gone[i].Keys {
			element := s.all[key]
			if element == nil {
				continue
			}
			in := element.Value.(*set) //nolint:forcetypeassert // nothing else is in it
			before := len(in.members)
			in.told = nil
			in.members = slices.DeleteFunc(in.members, func(m sighting.Sighting) bool { return m == gone[i].Sighting })
			s.taken -= int64(before-len(in.members)) * perSighting
		}
	}
	for _, key := range sets {
		if element := s.all[key]; element != nil {
			s.drop(element)
		}
	}
	return s.under > 0, nil
}

// Rebuild makes the sets of the kinds that are wanted whole under the epoch with what find finds, unless they are. Who adds meanwhile adds
// beside it.
func (s *Sets) Rebuild(ctx context.Context, epoch uint64, wanted *entry.Settled, find entry.Finder) error {
	s.mu.Lock()
	if s.whole == 0 || s.epoch != epoch {
		s.whole = 0
		for k := range s.kinds { // names of nobody that were dropped are found nowhere
			s.kinds[k].Generation, s.kinds[k].Since.Logged = 0, 0
		}
	}
	lacking := s.kinds.Lacks(&wanted.Generations)
	if lacking == 0 {
		s.mu.Unlock()
		return nil
	}
	s.drawn++
	s.under++
	defer s.ended()
	mine := s.drawn
	for k := range s.kinds {
		if lacking&(1<<k) != 0 {
			s.kinds[k].Generation, s.kinds[k].Since.Logged = 0, 0
		}
	}
	s.mu.Unlock()
	since, err := find(ctx, lacking, func(ctx context.Context, all ...entry.Sighted) error { return s.See(ctx, 0, false, all...) })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drawn == mine {
		dropped := s.kinds // what was dropped for want of room meanwhile is missing all the same
		s.kinds.Found(lacking, wanted, since)
		for k := range s.kinds {
			s.kinds[k].Since = entry.Later(s.kinds[k].Since, dropped[k].Since)
		}
		s.whole, s.epoch = mine, epoch
	}
	return nil
}

func (s *Sets) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
}
