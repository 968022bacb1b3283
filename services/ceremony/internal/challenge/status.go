package challenge

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// known is what tells the status of a user's challenges.
type known struct {
	marks     map[string]rest.PasskeyChallengeStatus // by key
	completed map[ident.ChallengeID]bool
	account   *account.Account // read before the records were
}

// status is what has become of a challenge. What somebody has set it to comes first. Then one is completed if the log has the event of
// that, if the account has or had the passkey, which may lack its event, or if its mark says so, as earlier versions made it; and consumed
// if a mark or the account has spent it otherwise.
func (k known) status(r Record) rest.PasskeyChallengeStatus {
	if set, ok := k.marks[r.setKey()]; ok && set != taken {
		return set
	}
	marked, spent := k.marks[r.markKey()]
	outcome := r.Outcome(k.account)
	switch {
	case k.completed[r.ID], outcome == rest.PasskeyChallengeStatusCompleted:
		return rest.PasskeyChallengeStatusCompleted
	case spent && marked == taken:
		return rest.PasskeyChallengeStatusConsumed
	case spent:
		return marked
	case outcome != rest.PasskeyChallengeStatusPending:
		return outcome
	default:
		return r.Status
	}
}

// setKey names the mark by which a status is set once the challenge is spent.
func (r Record) setKey() string { return key(r.Project, r.User, string(r.ID)) }

// statuses reads what tells the status of a user's challenges.
func (s *Store) statuses(ctx context.Context, a *account.Account, now time.Time) (known, error) {
	k := known{marks: map[string]rest.PasskeyChallengeStatus{}, completed: map[ident.ChallengeID]bool{}, account: a}
	for e, err := range s.marks.All(ctx, key(a.Project, a.ID, "*")) {
		if err != nil {
			return known{}, err
		}
		k.marks[e.Key] = e.Value
	}
	// Challenges are listed for as long as they are kept; that the clock of the log may differ is allowed for as much again.
	since := eventlog.Span{After: eventlog.Never, Since: now.Add(-2 * s.places.Keep), Latest: true}
	ends, err := s.places.Log.Recent(ctx, a.Project, a.ID, since, event.LoginCompleted, event.AppendCompleted)
	if err != nil {
		return known{}, err
	}
	for _, e := range ends.Events {
		k.completed[e.Ceremony] = true
	}
	return k, nil
}

// List returns every challenge of a user, whose account was just read, that is young enough to be shown, in no particular order. The
// challenges of one call that was repeated are one: that which has come furthest, or else the latest.
func (s *Store) List(ctx context.Context, a *account.Account, now time.Time) ([]Record, error) {
	records, err := s.told(ctx, a, now)
	return once(records), err
}

// once leaves one record of those with the same ID.
func once(records []Record) []Record {
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(rank(b.Status), rank(a.Status)), cmp.Compare(b.Created, a.Created))
	})
	return slices.CompactFunc(records, func(a, b Record) bool { return a.ID == b.ID })
}

// told returns the records with their status.
func (s *Store) told(ctx context.Context, a *account.Account, now time.Time) ([]Record, error) {
	// Records before what tells their status: a challenge that is finished meanwhile is not shown as one that never was.
	records, err := s.all(ctx, a.Project, a.ID, now)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	k, err := s.statuses(ctx, a, now)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		records[i].Status = k.status(r)
	}
	return records, nil
}

// Advance moves a user's challenge to a later status, with those of repeats of its call: any of them may have been given out. An unknown
// one is the fault "passkeyChallengeID: does not exist"; going back is a fault of "status".
func (s *Store) Advance(
	ctx context.Context, a *account.Account, id ident.ChallengeID, to rest.PasskeyChallengeStatus, now time.Time,
) (Record, error) {
	records, err := s.told(ctx, a, now)
	if err != nil {
		return Record{}, err
	}
	records = slices.DeleteFunc(records, func(r Record) bool { return r.ID != id })
	if len(records) == 0 {
		return Record{}, fault.Unknown("passkeyChallengeID")
	}
	var marks []string
	for _, r := range records {
		marks = append(marks, r.markKey())
	}
	r := once(records)[0]
	if r.Status == rest.PasskeyChallengeStatusCompleted {
		marks = []string{r.setKey()} // the other ones have spent it
	}
	for _, mark := range marks {
		if err := s.advance(ctx, mark, r.Status, to); err != nil {
			return Record{}, err
		}
	}
	r.Status = to
	return r, nil
}

func (s *Store) advance(ctx context.Context, mark string, from, to rest.PasskeyChallengeStatus) error {
	_, err := s.marks.Upsert(ctx, mark, func(status *rest.PasskeyChallengeStatus) error {
		from := from
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
	return err
}
