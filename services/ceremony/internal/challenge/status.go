package challenge

import (
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// known is what tells the status of a user's challenges.
type known struct {
	marks     map[string]rest.PasskeyChallengeStatus // by key
	completed map[ident.ChallengeID]bool
}

// status is what has become of a challenge. What somebody has set it to comes first. Then one is completed if the log has the event of
// that, or if its mark says so, as earlier versions made it; and consumed if a mark has spent it otherwise.
func (k known) status(r Record) rest.PasskeyChallengeStatus {
	if set, ok := k.marks[r.setKey()]; ok && set != taken {
		return set
	}
	marked, spent := k.marks[r.markKey()]
	switch {
	case k.completed[r.ID]:
		return rest.PasskeyChallengeStatusCompleted
	case spent && marked == taken:
		return rest.PasskeyChallengeStatusConsumed
	case spent:
		return marked
	default:
		return r.Status
	}
}

// setKey names the mark by which a status is set once the challenge is spent.
func (r Record) setKey() string { return key(r.Project, r.User, string(r.ID)) }

// statuses reads what tells the status of a user's challenges.
func (s *Store) statuses(ctx context.Context, project ident.ProjectID, user ident.UserID, now time.Time) (known, error) {
	k := known{marks: map[string]rest.PasskeyChallengeStatus{}, completed: map[ident.ChallengeID]bool{}}
	for e, err := range s.marks.All(ctx, key(project, user, "*")) {
		if err != nil {
			return known{}, err
		}
		k.marks[e.Key] = e.Value
	}
	// Challenges are listed for as long as they are kept; that the clock of the log may differ is allowed for as much again.
	since := eventlog.Span{After: eventlog.Never, Since: now.Add(-2 * s.places.Keep), Latest: true}
	ends, err := s.places.Log.Recent(ctx, project, user, since, event.LoginCompleted, event.AppendCompleted)
	if err != nil {
		return known{}, err
	}
	for _, e := range ends.Events {
		k.completed[e.Ceremony] = true
	}
	return k, nil
}

// List returns every challenge of a user that is young enough to be shown, in no particular order.
func (s *Store) List(ctx context.Context, project ident.ProjectID, user ident.UserID, now time.Time) ([]Record, error) {
	// Records before what tells their status: a challenge that is finished meanwhile is not shown as one that never was.
	records, err := s.all(ctx, project, user, now)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	k, err := s.statuses(ctx, project, user, now)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		records[i].Status = k.status(r)
	}
	return records, nil
}

// Advance moves a user's challenge to a later status. An unknown one is the fault "passkeyChallengeID: does not exist"; going
// back is a fault of "status".
func (s *Store) Advance(
	ctx context.Context, project ident.ProjectID, user ident.UserID, id ident.ChallengeID, to rest.PasskeyChallengeStatus, now time.Time,
) (Record, error) {
	records, err := s.List(ctx, project, user, now)
	if err != nil {
		return Record{}, err
	}
	i := slices.IndexFunc(records, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return Record{}, fault.Unknown("passkeyChallengeID")
	}
	r := records[i]
	mark := r.markKey()
	if r.Status == rest.PasskeyChallengeStatusCompleted {
		mark = r.setKey() // the other one has spent it
	}
	_, err = s.marks.Upsert(ctx, mark, func(status *rest.PasskeyChallengeStatus) error {
		from := r.Status
		if *status != "" && rank(*status) > rank(from) {
			from = *status // meanwhile
		}
		if rank(to) < rank(from) {
			return fault.Field("status", "cannot go back from %s to %s", from, to)
		}
		if to != from { // a pending one needs no mark
			*status = to
		}
		return nil
	})
	if err != nil {
		return Record{}, err
	}
	r.Status = to
	return r, nil
}
