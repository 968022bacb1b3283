package riskfacts

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// past is what the successes of a user's events tell, whoever asks and whenever: it is worked out once for a set of events.
type past struct {
	successes    []*event.Event // oldest first
	networks     networks
	countries    known[string]
	systems      known[int] // of which addresses are a part
	environments known[string]
	logins       known[string] // by the passkey that they were made with
	located      *event.Event  // the newest of which it is known where it was; nil = there is none
}

// never is before every event.
const never = math.MinInt64

// known are values that something was done with, sorted, and when. The zero value of one is none.
type known[T cmp.Ordered] struct {
	all           []times[T]
	newest, other int64 // when any was last seen, in Unix ms, and when another one than that was
	last          T
}

type times[T any] struct {
	value         T
	first, newest int64 // Unix ms
}

func (k *known[T]) find(value T) *times[T] {
	at, there := slices.BinarySearchFunc(k.all, value, func(t times[T], value T) int { return cmp.Compare(t.value, value) })
	if !there {
		return nil
	}
	return &k.all[at]
}

// when returns when a value was last seen.
func (k *known[T]) when(value T) int64 {
	if t := k.find(value); t != nil {
		return t.newest
	}
	return never
}

// besides returns when another value was last seen.
func (k *known[T]) besides(value T) int64 {
	if value == k.last {
		return k.other
	}
	return k.newest
}

// gathering makes known of what is told oldest first.
type gathering[T cmp.Ordered] map[T]times[T]

func (g gathering[T]) add(value T, atMs int64) {
	var none T
	if value == none {
		return
	}
	seen, before := g[value]
	if !before {
		seen = times[T]{value: value, first: atMs}
	}
	seen.newest = atMs
	g[value] = seen
}

func (g gathering[T]) known() known[T] {
	k := known[T]{newest: never, other: never}
	if len(g) == 0 {
		return k
	}
	k.all = make([]times[T], 0, len(g))
	for _, seen := range g {
		k.all = append(k.all, seen)
	}
	slices.SortFunc(k.all, func(a, b times[T]) int { return cmp.Compare(a.value, b.value) })
	for i := range k.all {
		if seen := &k.all[i]; seen.newest > k.newest {
			k.last, k.newest = seen.value, seen.newest
		}
	}
	for i := range k.all {
		if seen := &k.all[i]; seen.value != k.last {
			k.other = max(k.other, seen.newest)
		}
	}
	return k
}

func pastOf(in *Input) *past { return event.Derived(in.Events, learn) }

// learn is the one pass over the events.
func learn(events event.Set) *past {
	p := &past{successes: events.Successes()}
	networks, countries, environments, logins := gatherNetworks(), gathering[string]{}, gathering[string]{}, gathering[string]{}
	systems := gathering[int]{}
	for _, e := range p.successes {
		networks.add(e)
		environments.add(string(e.Environment), e.CreatedMs)
		was := e.Origin.Place()
		countries.add(was.Country, e.CreatedMs)
		systems.add(was.ASN, e.CreatedMs)
		if was.Point != nil {
			p.located = e
		}
		if e.Type == event.LoginCompleted {
			logins.add(e.Credential, e.CreatedMs)
		}
	}
	p.networks, p.countries, p.environments, p.logins = networks.known(), countries.known(), environments.known(), logins.known()
	p.systems = systems.known()
	return p
}

// since returns how many successes are later than a moment.
func (p *past) since(ms int64) int {
	return len(p.successes) - sort.Search(len(p.successes), func(i int) bool { return p.successes[i].CreatedMs > ms })
}

// first returns when something first succeeded in an environment after a moment.
func (p *past) first(in ident.EnvironmentID, after int64) (ms int64, ever bool) {
	seen := p.environments.find(string(in))
	if seen == nil || seen.newest <= after {
		return 0, false
	}
	if seen.first > after {
		return seen.first, true
	}
	for _, e := range p.successes[len(p.successes)-p.since(after):] {
		if e.Environment == in {
			return e.CreatedMs, true
		}
	}
	return 0, false
}

// newest returns the newest success of which it is known where it was, if somebody may come from there; nil if there is none.
func (p *past) newest(now time.Time) *event.Event {
	if p.located == nil || p.located.CreatedMs <= now.Add(-whence).UnixMilli() {
		return nil
	}
	return p.located
}
