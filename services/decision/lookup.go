package decision

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/authenticators"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/outside"
)

// looked is what was looked up for a question.
type looked struct {
	engine.Evidence
	accountStamp string
	stale        bool // the account that came with the question may be out of date; nothing else was looked up then
}

// lookUp reads what has happened to the user. A read that fails, or takes too long, makes the evidence incomplete; it is not an error of
// the decision: who waits for a store that changes its leader is answered by what needs no history, while there is time.
func (s *Service) lookUp(ctx context.Context, by *course.Policy, q service.Question, now time.Time, withOffers bool) looked {
	around := s.around(q.Project, q.Client.RemoteAddress, now)
	found := looked{Evidence: engine.Evidence{Complete: true, Now: now, Around: around}}
	if q.LookupFailed {
		return found
	}
	user, sets := ident.UserID(""), by.Plan().Of(&q)
	if q.Account != nil {
		user = q.Account.ID
	} else if len(sets) == 0 {
		return found
	}
	err := s.lookups.Wait(ctx, func(ctx context.Context) error {
		read, err := s.read(ctx, q.Project, user, q.AccountStamp, sets)
		found.Events, found.Seen = read.Events, read.Seen
		found.Seen.By = sighting.VersionOf(q.Sighted)
		found.accountStamp, found.stale = read.AccountStamp, read.AccountStale
		if user == "" {
			return err
		}
		if err == nil && withOffers && q.Process != "" && !found.stale {
			found.Offers, err = s.deps.Events.Offers(ctx, q.Project, q.Account.ID, q.Process)
		}
		return err
	})
	if err != nil {
		s.metrics.LookupFailures.Inc()
		s.deps.Log.WarnContext(ctx, "history could not be read, facts are incomplete", "error", err)
		return looked{Evidence: engine.Evidence{Now: now, Around: around}}
	}
	return found
}

// sets reads the sets of sightings that a policy counts, beside what was looked up for another one.
func (s *Service) sets(ctx context.Context, by *course.Policy, q *service.Question, at time.Time) sighting.Seen {
	return s.lookUp(ctx, by, *q, at, false).Seen
}

// around is what the operator's files tell now of a client that calls from an address, what operators have set, and the metadata of
// authenticators.
func (s *Service) around(project ident.ProjectID, from string, now time.Time) engine.Around {
	view, models, set := s.outside.Now(), s.deps.Metadata.Now(), s.board.At(now)
	told := engine.Around{Files: view.Files, Place: view.Place(from), Revisions: view.Revisions, Off: set.Offs(project)}
	if set != nil {
		told.Added = set.Lists
	}
	if models != nil {
		told.Standing = func(c *account.Credential) metadata.Standing { return models.Of(c.AAGUID, c.Chain(), now) }
	}
	if models != nil || set != nil && set.Revision != "" {
		told.Revisions = s.revisions.of(view, models, set)
	}
	return told
}

// revisions holds what decisions are recorded to rest on, for as long as that stays the same. The zero value holds nothing yet.
type revisions struct {
	last atomic.Pointer[outsideRevisions]
}

type outsideRevisions struct {
	files  *outside.View
	models *metadata.Snapshot
	set    *control.View
	byName map[string]string
}

func (r *revisions) of(files *outside.View, models *metadata.Snapshot, set *control.View) map[string]string {
	last := r.last.Load()
	if last == nil || last.files != files || last.models != models || last.set != set {
		last = &outsideRevisions{files: files, models: models, set: set, byName: maps.Clone(files.Revisions)}
		if last.byName == nil {
			last.byName = map[string]string{}
		}
		if models != nil {
			last.byName[authenticators.Setting] = models.Revision
		}
		if set != nil && set.Revision != "" {
			last.byName[control.Name] = set.Revision
		}
		r.last.Store(last)
	}
	return last.byName
}

// read reads what has happened to the user, and what was seen, in one round trip.
func (s *Service) read(
	ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string, sets []sighting.Key,
) (sighting.Reading, error) {
	if s.deps.Sightings != nil {
		return s.deps.Sightings.ReadWith(ctx, project, user, accountStamp, sets)
	}
	found := sighting.Reading{Seen: sighting.Seen{Since: sighting.NeverSince()}}
	var err error
	if user != "" {
		found.Reading, err = s.deps.Events.Read(ctx, project, user, accountStamp)
	}
	return found, err
}

// seeUnknown takes up a login with a name that is no user's. A call that is repeated is one.
func (s *Service) seeUnknown(q *service.LoginQuestion, now time.Time) {
	if s.deps.Sightings == nil || (q.Account != nil && !q.Unknown) || q.LookupFailed || q.Sighted == nil || q.Sighted.User == "" {
		return
	}
	s.deps.Sightings.SeeUnknown(event.Event{
		ID: ident.EventID(string(q.RequestID) + "/" + q.Sighted.User), Project: q.Project, CreatedMs: now.UnixMilli(), Sighted: q.Sighted,
	})
}

// keep returns what the record keeps of the question, and of what was looked up for it.
func (l looked) keep(q *service.Question) *kept.Question {
	k := kept.Keep(q, l.Around.Standing)
	if k.Account != nil && l.Complete && !q.LookupFailed {
		k.Read = kept.NewRead(l.Events, l.Offers, q.Process)
	}
	return k
}

// unjudged is the verdict on a question whose account may be out of date: none, and not recorded.
func (l looked) unjudged() service.Verdict {
	return service.Verdict{Stale: true, AccountStamp: l.accountStamp}
}
