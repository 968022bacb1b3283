package historycache

import (
	"context"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/epochs"
	"github.com/keyward/keyward/core/ident"
)

// RecentOffers is how many of a user's login offers and denials are told of.
const RecentOffers = entry.RecentOffers

// AddOffer takes up a login offer or denial that is in the log. Who is offered a login is not kept waiting if Redis cannot be reached: then
// other instances know of the offer a lease later.
func (c *Cache) AddOffer(ctx context.Context, e event.Event) error {
	incomplete, err := c.kept.AddOffer(ctx, &e)
	if err != nil {
		return c.withdraw(ctx, e.Project, e.User, err, c.epochs.Announce)
	}
	if incomplete {
		c.completeOffers(ctx, e.Project, e.User)
	}
	return nil
}

// completeOffers makes an entry that nobody has asked for whole while the log has few of the user's offers to look for: when somebody asks,
// they may lie hours apart. What fails is left to the next writer or reader.
func (c *Cache) completeOffers(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), entry.Patience(ctx))
	defer cancel()
	if epoch, err := c.epochs.Current(ctx, epochs.ShardOf(project, user)); err == nil {
		_, _ = c.fillOffers(ctx, project, user, epoch)
	}
}

// Offers returns the user's newest login offers and denials, as many as RecentOffers, newest first; if texts are given, at least those of
// them that have one for a value. It knows of every offer whose AddOffer has returned before, but for what is
// said there. An error is the log's.
func (c *Cache) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID, about ...string) ([]event.Event, error) {
	epoch, err := c.epochs.Current(ctx, epochs.ShardOf(project, user))
	if err != nil {
		return c.offersOfLog(ctx, project, user)
	}
	offers, result, err := c.kept.Offers(ctx, entry.Of(project, user), epoch, about)
	if err != nil {
		return c.offersOfLog(ctx, project, user)
	}
	if result == entry.Trusted {
		return offers, nil
	}
	return c.fillOffers(ctx, project, user, epoch)
}

func (c *Cache) offersOfLog(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	offers, err := c.log.Offers(ctx, project, user)
	return offers[:min(len(offers), RecentOffers)], err
}

// fillOffers reads the log and makes the entry whole with it. The mark is there before the log is read, so there is nothing to be written
// with it.
func (c *Cache) fillOffers(
	ctx context.Context, project ident.ProjectID, user ident.UserID, epoch uint64,
) (offers []event.Event, err error) {
	at, read := entry.Shelf{Owner: entry.Of(project, user), Offers: true}, false
	fromLog := func() ([]event.Event, error) {
		read = true
		offers, err = c.offersOfLog(ctx, project, user)
		return offers, err
	}
	if c.startFilling(at) {
		defer c.stopFilling(at)
		if _, failed := c.kept.Fill(ctx, at, epoch, nil, fromLog); failed != nil {
			c.metrics.FillFailures.Inc()
		}
	}
	if !read {
		return fromLog()
	}
	return offers, err
}
