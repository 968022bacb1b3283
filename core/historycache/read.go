package historycache

import (
	"context"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Read returns the user's events as they count, each once and without what was deleted, oldest first, and the stamp of the account if an
// entry vouches for it. With a stamp it says whether that still holds, and if not, no events. An error is the log's: what is wrong with
// the cache costs time, and no answer.
func (c *Cache) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (event.Reading, error) {
	entry := key(project, user)
	epoch, err := c.epochs.current(ctx, shardOf(project, user))
	if err != nil {
		c.metrics.noEpoch.Inc()
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.fromLog(ctx, project, user) })
	}
	k, result, err := c.fromEntry(ctx, entry, epoch, accountStamp)
	if err != nil {
		c.metrics.failed.Inc()
		return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.fromLog(ctx, project, user) })
	}
	if result == trusted {
		if accountStamp != "" && accountStamp != k.accountStamp {
			c.metrics.stale.Inc()
			return event.Reading{AccountStamp: k.accountStamp, AccountStale: true}, nil
		}
		return event.Reading{Events: k.events, AccountStamp: k.accountStamp}, nil
	}
	return c.unlessStamped(accountStamp, func() (event.Reading, error) { return c.readThrough(ctx, project, user, epoch) })
}

// unlessStamped reads where no entry vouches for an account. Who has one that needs it is to read the account first, and come again.
func (c *Cache) unlessStamped(accountStamp string, read func() (event.Reading, error)) (event.Reading, error) {
	if accountStamp != "" {
		c.metrics.stale.Inc()
		return event.Reading{AccountStale: true}, nil
	}
	return read()
}

// fromEntry returns the entry if it can be trusted. What is kept of it here spares its transport and decoding; so does an account that is
// stale anyway, and then the entry comes without its events.
func (c *Cache) fromEntry(ctx context.Context, entry string, epoch uint64, accountStamp string) (*known, trust, error) {
	ctx, cancel := asked(ctx)
	defer cancel()
	if kept := c.near.get(entry); kept != nil {
		said, result, err := c.entries.look(ctx, entry, epoch)
		if err != nil || result != trusted {
			c.metrics.read(result, err)
			return nil, result, err
		}
		if k := kept.now(said); k != nil {
			c.metrics.near.Inc()
			if k != kept {
				c.near.keep(entry, k)
			}
			return k, trusted, nil
		}
		if stamp := said.stamp(); accountStamp != "" && accountStamp != stamp {
			return &known{control: said, accountStamp: stamp}, trusted, nil
		}
	}
	k, result, err := c.entries.read(ctx, entry, epoch)
	c.metrics.read(result, err)
	c.near.keep(entry, k)
	return k, result, err
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
	entry := key(project, user)
	events, next, err := c.log.Read(ctx, project, user, 1)
	if err != nil {
		return event.Reading{}, err
	}
	read := event.Reading{Events: event.NewSet(events)}
	if !c.startFilling(entry) {
		return read, nil
	}
	defer c.stopFilling(entry)
	filling, cancel := asked(ctx)
	defer cancel()
	said, err := c.entries.fill(filling, entry, epoch, byID, events, func() ([]event.Event, error) {
		late, _, err := c.log.Read(ctx, project, user, next)
		return late, err
	})
	if err != nil {
		c.metrics.fillFailures.Inc()
	} else {
		read.AccountStamp = c.vouched(said)
	}
	return read, nil
}

// vouched returns the stamp of an account that a whole entry vouches for. Whether its epoch and its run are current shows when the stamp
// is used.
func (c *Cache) vouched(said control) string {
	if said.fill == "" || said.fill != said.ready {
		return ""
	}
	return said.stamp()
}

// startFilling reports whether nobody in this process fills the entry already. Others read the log for themselves: what the filler read
// may be too old for them.
func (c *Cache) startFilling(entry string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.filling[entry] {
		return false
	}
	c.filling[entry] = true
	return true
}

func (c *Cache) stopFilling(entry string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.filling, entry)
}
