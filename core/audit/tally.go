package audit

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/ident"
)

// tallyPeriod is how long what happens often is added up: a reader learns of it within a minute, and of a flood as little as of one.
const tallyPeriod = time.Minute

// tally adds up what may happen at every request. What it holds is bounded by the projects that there are.
type tally struct {
	mu     sync.Mutex
	from   time.Time
	counts map[counted]int
}

// counted is what is added up apart.
type counted struct {
	kind    Type
	project ident.ProjectID
	limit   string
}

func (t *tally) add(what counted, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.counts) == 0 {
		t.counts, t.from = map[counted]int{}, now
	}
	t.counts[what]++
}

// take returns what has been added up since the last time.
func (t *tally) take(now time.Time) []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := make([]Event, 0, len(t.counts))
	for what, n := range t.counts {
		told = append(told, Event{
			Type: what.kind, Project: what.project, Limit: what.limit, Count: n, FromMs: t.from.UnixMilli(), ToMs: now.UnixMilli(),
		})
	}
	t.counts = nil
	slices.SortFunc(told, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Limit, b.Limit))
	})
	return told
}

// LimitHit counts a call that was refused by a limit, by the setting's name; without a project it is of none.
func (q *Queue) LimitHit(project ident.ProjectID, limit string) {
	q.tally.add(counted{LimitHit, project, limit}, q.recorder.now())
}

// CodesGuessed counts an account of a project that so many wrong codes were given for that no more is taken.
func (q *Queue) CodesGuessed(project ident.ProjectID) {
	q.tally.add(counted{CodesGuessed, project, ""}, q.recorder.now())
}

// tell has recorded what was counted.
func (q *Queue) tell(ctx context.Context) { q.Add(ctx, q.tally.take(q.recorder.now())...) }
