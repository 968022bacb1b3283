package historycache

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// Horizon is how long what was seen is kept. No counter that looks further back is ever complete.
const Horizon = entry.Horizon

// partOfSets is the part of the memory for histories that sets of sightings may take beside it: one in so many.
const partOfSets = 2

// sightings is the shard whose epoch says which sets may be whole. It is that of some users too, whose failed writes cost a rebuild.
const sightings uint8 = 0

// setKeeper keeps sets of sightings. What cannot be read is missing, and no error.
type setKeeper interface {
	// Look reads sets by themselves.
	Look(ctx context.Context, l *entry.Looked) error
	// See adds what was seen, to the totals of projects too if it is new.
	See(ctx context.Context, horizon time.Duration, isNew bool, all ...entry.Sighted) error
	// Forget removes what was seen of somebody, and whole sets. It reports whether a rebuild may have read before what it has yet to add.
	Forget(ctx context.Context, gone []entry.Sighted, sets ...sighting.Key) (again bool, err error)
	// Rebuild makes sets whole under the epoch, of the kinds that are wanted, with what find finds, beside who adds meanwhile; nothing if
	// they are.
	Rebuild(ctx context.Context, epoch uint64, wanted *entry.Settled, find entry.Finder) error
}

// seen is what was seen and is on its way.
type seen struct {
	clock  func() time.Time
	log    *slog.Logger
	queue  chan entry.Sighted
	lostMs atomic.Int64 // when something last found no room, or could not be written
	began  int64        // Unix ms: since when something is taken up
	doubts chan struct{}
}

// seenQueue bounds what is on its way.
const seenQueue = 4096

func newSeen(clock func() time.Time, log *slog.Logger) *seen {
	return &seen{
		clock: clock, log: log, queue: make(chan entry.Sighted, seenQueue), began: clock().UnixMilli(), doubts: make(chan struct{}, 1),
	}
}

// Want says of which kinds this process reads sets from now on: of others none need be written. Until it is said, and for a while after a
// kind is wanted no more, all are; and one that begins to be wanted is not whole until its sets have been found in the log.
func (c *Cache) Want(kinds sighting.Kinds) { c.wanted.Want(kinds) }

// ReadWith is Read, and reads sets of sightings in the same round trip; of no user, those alone. What of them cannot be read is no error:
// the reading says since when nothing is missing.
func (c *Cache) ReadWith(
	ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string, sets []sighting.Key,
) (sighting.Reading, error) {
	epoch, unknown := c.epochs.Current(ctx, sightings)
	if unknown != nil {
		epoch = 0
	}
	l := entry.NewLooked(project, sets, epoch, c.generations(ctx, len(sets), unknown))
	var found sighting.Reading
	var err error
	switch {
	case user != "":
		found.Reading, err = c.read(ctx, project, user, accountStamp, l)
	case len(sets) > 0:
		_ = c.sets.Look(ctx, l) // what is not found is missing
	}
	found.Seen = l.Seen
	if unknown != nil {
		found.Since = sighting.NeverSince()
	}
	found.Since.Unknown = max(found.Since.Unknown, c.seen.lostMs.Load())
	return found, err
}

// generations returns for which sets may be whole; none if nothing is read, or the epoch of nothing is known.
func (c *Cache) generations(ctx context.Context, sets int, unknown error) entry.Generations {
	if sets == 0 || unknown != nil {
		return entry.Generations{}
	}
	return c.wanted.Now(ctx)
}

// history reads an entry, with sets along.
func (c *Cache) history(
	ctx context.Context, of entry.Owner, epoch uint64, accountStamp string, along *entry.Looked,
) (event.Reading, entry.Trust, error) {
	if c.shared != nil {
		return c.shared.HistoryWith(ctx, of, epoch, accountStamp, along)
	}
	read, result, err := c.kept.History(ctx, of, epoch, accountStamp)
	if along != nil {
		err = errors.Join(err, c.sets.Look(ctx, along))
	}
	return read, result, err
}

// SeeReported takes up an event that is in the log and in no history: a login that a caller reported.
func (c *Cache) SeeReported(ctx context.Context, e event.Event) error {
	sighted, counts := entry.SightedIn(&e)
	if !counts {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), entry.Patience(ctx))
	defer cancel()
	if err := c.sets.See(ctx, Horizon, true, sighted); err != nil {
		return c.distrust(ctx, e.Project, e.User, err)
	}
	return nil
}

// SeeUnknown takes up that a login was asked for with a name that is no user's. It does not wait, and is not in the log: what there is no
// room for is missing, and said to be.
func (c *Cache) SeeUnknown(e event.Event) {
	if e.Sighted == nil {
		return
	}
	one := entry.Sighted{
		Sighting: sighting.New(sighting.LoginUnknown, &e), Project: e.Project, Keys: sighting.Keys(e.Project, e.Sighted, sighting.Bad),
	}
	select {
	case c.seen.queue <- one:
	default:
		c.lost(1)
	}
}

// doubt has it looked soon whether sets are whole, since an epoch was raised: at a start, for one, when nobody should be told for a second
// that something may be missing.
func (s *seen) doubt() {
	select {
	case s.doubts <- struct{}{}:
	default:
	}
}

func (s *seen) lost() { s.lostMs.Store(s.clock().UnixMilli()) }

// lost counts names of nobody that nobody will find again, and says from when on they are missing.
func (c *Cache) lost(n int) {
	c.metrics.LostSightings.Add(float64(n))
	c.seen.lost()
}

// seeUnknown writes what SeeUnknown was told, until ctx ends.
func (c *Cache) seeUnknown(ctx context.Context) {
	const most = 256
	for {
		var batch []entry.Sighted
		select {
		case <-ctx.Done():
			return
		case one := <-c.seen.queue:
			batch = append(batch, one)
		}
		for len(batch) < most && len(c.seen.queue) > 0 {
			batch = append(batch, <-c.seen.queue)
		}
		ctx, cancel := context.WithTimeout(ctx, entry.MostPatience)
		if err := c.sets.See(ctx, Horizon, true, batch...); err != nil {
			c.lost(len(batch))
		}
		cancel()
	}
}

// checkPause is how often it is looked whether sets are whole, soonPause how long until it is after a doubt, and retryPause until it is
// tried again to make them so.
const (
	checkPause = time.Second
	soonPause  = 50 * time.Millisecond
	retryPause = 10 * time.Second
)

// keepWhole makes sets whole whenever something may be missing from them, until ctx ends.
func (c *Cache) keepWhole(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	soon := false // doubts that go on and on do not put it off
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.seen.doubts:
			if !soon {
				next.Reset(soonPause)
			}
			soon = true
			continue
		case <-next.C:
			soon = false
		}
		pause := checkPause
		c.forgetAgain(ctx)
		if c.shared != nil && c.shared.Sets().Refresh(ctx, c.seen.lostMs.Load()) != nil {
			c.seen.lost()
		}
		if err := c.makeWhole(ctx); err != nil && ctx.Err() == nil {
			c.seen.log.WarnContext(ctx, "what is counted may be less than there was, and could not be found again yet", "error", err)
			pause = retryPause
		} else if c.wanted.Settled().Generations != c.wanted.Now(ctx) {
			pause = soonPause // until it is
		}
		c.forgetAgain(ctx) // what was being found again while somebody was forgotten
		next.Reset(pause)
	}
}

// makeWhole finds what was seen in the log. The epoch was current, and what is wanted settled, before the log is read, so that whatever was
// bumped away or left out is in it.
func (c *Cache) makeWhole(ctx context.Context) error {
	wanted := c.wanted.Settled()
	epoch, err := c.epochs.Current(ctx, sightings)
	if err != nil {
		return err
	}
	find := func(
		ctx context.Context, kinds sighting.Kinds, add func(context.Context, ...entry.Sighted) error,
	) (sighting.Since, error) {
		began := c.seen.clock()
		found := sighting.Since{Logged: began.UnixMilli(), Unknown: began.UnixMilli()}
		limited, cancel := context.WithTimeout(ctx, entry.RebuildLimit)
		defer cancel()
		since, first, err := c.log.Seen(limited, began.Add(-Horizon), adder(limited, kinds, add))
		switch {
		case err == nil:
			found = sighting.Since{Logged: since, Unknown: c.unknownSince(began.UnixMilli(), first)}
		case limited.Err() == nil || ctx.Err() != nil:
			return sighting.Since{}, err
		}
		return found, nil
	}
	return c.sets.Rebuild(ctx, epoch, &wanted, find)
}

// unknownSince returns since when no name of nobody is missing, of sets that are looked after now, by when the log got its first event.
func (c *Cache) unknownSince(now, first int64) int64 {
	switch {
	case first == math.MaxInt64: // where there is nobody, nobody has tried names
		return 0
	case c.alone == nil: // what others took up may be lost
		return now
	case first >= c.seen.began:
		return 0
	default:
		return c.seen.began
	}
}

// adder adds what was seen some at a time, to sets of the kinds.
func adder(ctx context.Context, kinds sighting.Kinds, add func(context.Context, ...entry.Sighted) error) func(event.Event) error {
	return func(e event.Event) error {
		one, counts := entry.SightedIn(&e)
		if one.Keys = kinds.Of(one.Keys); !counts || len(one.Keys) == 0 {
			return nil
		}
		return add(ctx, one)
	}
}

// doubtSets has sets found anew: an event may be in the log that is in none of them.
func (c *Cache) doubtSets(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bumpLimit)
	defer cancel()
	if err := c.epochs.Announce(ctx, sightings); err != nil {
		c.metrics.WriteFailures.Inc()
	}
}

// SeeAgain takes up an event that may be in the log since an earlier attempt: of what was counted of it already, nothing is counted twice.
func (c *Cache) SeeAgain(ctx context.Context, e event.Event) error {
	sighted, counts := entry.SightedIn(&e)
	if !counts {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), entry.Patience(ctx))
	defer cancel()
	if err := c.sets.See(ctx, Horizon, false, sighted); err != nil {
		return c.distrust(ctx, e.Project, e.User, err)
	}
	return nil
}
