package historycache

import (
	"context"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/epochs"
	"github.com/keyward/keyward/core/ident"
)

// Read returns the user's events as they count, each once and without what was deleted, oldest first, and the stamp of the account if an
// entry vouches for it. With a stamp it says whether that still holds, and if not, no events. An error is the log's: what is wrong with
// the cache costs time, and no answer.
func (c *Cache) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (event.Reading, error) {
	return c.read(ctx, project, user, accountStamp, nil)
}

func (c *Cache) read(
	ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string, along *entry.Looked,
) (event.Reading, error) {
	epoch, err := c.epochs.Current(ctx, epochs.ShardOf(project, user))
	if err != nil {
		c.metrics.NoEpoch.Inc()
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.fromLog(ctx, project, user) })
	}
	read, result, err := c.history(ctx, entry.Of(project, user), epoch, accountStamp, along)
	if err != nil {
		c.metrics.Failed.Inc()
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.fromLog(ctx, project, user) })
	}
	if result == entry.Large {
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.fromLog(ctx, project, user) })
	}
	if result != entry.Trusted {
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.readThrough(ctx, project, user, epoch) })
	}
	if accountStamp != "" && accountStamp != read.AccountStamp {
		c.metrics.Stale.Inc()
		return event.Reading{AccountStamp: read.AccountStamp, AccountStale: true}, nil
	}
	return read, nil
}

// AccountVouched reports whether a stamp of an account still holds, if that is known in memory: then it is as good for what begins now as
// one that came with Read. Where there is Redis it would have to be asked.
func (c *Cache) AccountVouched(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) bool {
	epoch, known := c.epochAlone(ctx, project, user)
	return known && c.alone.Vouches(entry.Of(project, user), epoch, stamp)
}

// AccountUsed is AccountChanged if AccountVouched, in one step: no change that was told meanwhile is lost. Otherwise it does nothing, and
// returns "".
func (c *Cache) AccountUsed(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) (now string) {
	epoch, known := c.epochAlone(ctx, project, user)
	if !known {
		return ""
	}
	return c.alone.AccountUsed(entry.Of(project, user), epoch, stamp)
}

// epochAlone returns the epoch of a user's entry in memory.
func (c *Cache) epochAlone(ctx context.Context, project ident.ProjectID, user ident.UserID) (epoch uint64, known bool) {
	if c.alone == nil {
		return 0, false
	}
	epoch, err := c.epochs.Current(ctx, epochs.ShardOf(project, user))
	return epoch, err == nil
}

// unlessStamped reads where no entry vouches for an account. Who has one that needs it is to read the account first, and come again.
func (c *Cache) unlessStamped(accountStamp string, read func() (event.Reading, error)) (event.Reading, error) {
	if accountStamp != "" {
		c.metrics.Stale.Inc()
		return event.Reading{AccountStale: true}, nil
	}
	return read()
}

func (c *Cache) fromLog(ctx context.Context, project ident.ProjectID, user ident.UserID) (event.Reading, error) {
	events, _, err := c.log.Read(ctx, project, user, 1)
	if err != nil {
		return event.Reading{}, err
	}
	return event.Reading{Events: event.NewSet(events)}, nil
}

// readThrough reads the log and fills the cache with it. The epoch was current before the log is read, so that whatever was bumped away
// is in what is read.
func (c *Cache) readThrough(ctx context.Context, project ident.ProjectID, user ident.UserID, epoch uint64) (event.Reading, error) {
	at := entry.Shelf{Owner: entry.Of(project, user)}
	events, next, err := c.log.Read(ctx, project, user, 1)
	if err != nil {
		return event.Reading{}, err
	}
	read := event.Reading{Events: event.NewSet(events)}
	if !c.startFilling(at) {
		return read, nil
	}
	defer c.stopFilling(at)
	stamp, err := c.kept.Fill(ctx, at, epoch, events, func() ([]event.Event, error) {
		late, _, err := c.log.Read(ctx, project, user, next)
		return late, err
	})
	if err != nil {
		c.metrics.FillFailures.Inc()
	}
	read.AccountStamp = stamp
	return read, nil
}

// startFilling reports whether nobody in this process fills the entry already. Others read the log for themselves: what the filler read
// may be too old for them.
func (c *Cache) startFilling(at entry.Shelf) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filling[at] {
		return false
	}
	c.filling[at] = true
	return true
}

func (c *Cache) stopFilling(at entry.Shelf) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.filling, at)
}
