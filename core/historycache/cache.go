package historycache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/epochs"
	"github.com/keyward/keyward/core/historycache/internal/inmemory"
	"github.com/keyward/keyward/core/historycache/internal/inredis"
	"github.com/keyward/keyward/core/historycache/internal/wanted"
	"github.com/keyward/keyward/core/ident"
)

// Log is where the truth is. Read returns the user's events from a sequence on, and the sequence from which on there are none yet. Offers
// returns the user's login offers and denials, newest first.
type Log interface {
	Read(ctx context.Context, project ident.ProjectID, user ident.UserID, from uint64) (events []event.Event, next uint64, err error)
	Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error)
	// Seen hands events of all users that may be counted to visit, from a time on, and returns since when none is missing, in Unix ms,
	// and when the first was stored that there ever was: 0 if it is gone, and the end of time if there was none.
	Seen(ctx context.Context, from time.Time, visit func(event.Event) error) (since, first int64, err error)
}

// Deps is what a Cache works on. All but Redis are required.
type Deps struct {
	Log     Log
	Epochs  jetstream.KeyValue    // bucket "cache-epochs"; its reads must come from the leader
	Redis   redis.UniversalClient // may be out of reach; its timeouts should be short. Nil = the memory of this process, see the package
	Metrics prometheus.Registerer
	Clock   func() time.Time // with a monotonic reading, as time.Now gives it
	Logger  *slog.Logger
}

// Cache reads histories through Redis or the memory of this process, and is told of what changes them. It is safe for concurrent use. One
// is enough for all services of a process, and in memory there must be one alone.
//
// Who changes something tells it after the change is stored and before anybody is told of it. The methods that are told go on for a
// moment after ctx ends, so that the cache does not fall behind. An error of theirs says that an entry may still be trusted that should
// not be.
type Cache struct {
	log        Log
	kept       keeper
	alone      *inmemory.Memory // what is kept, if that is in the memory of this process
	shared     *inredis.Shared  // what is kept, if that is in Redis
	sets       setKeeper
	seen       *seen
	forgetting forgetting
	epochs     *epochs.Epochs
	wanted     *wanted.Wanted
	metrics    *entry.Metrics

	mu      sync.Mutex
	filling map[entry.Shelf]bool // what this process is filling
}

// keeper keeps entries: one of each user's events, and one of the login offers and denials. Every method but History, Offers and Fill goes
// on for a moment after ctx ends. An error says that nothing may be concluded of what was done.
type keeper interface {
	// History returns the events of an entry that can be trusted under the epoch, and the stamp of the account. If that is not the given
	// one, it may leave out the events.
	History(ctx context.Context, of entry.Owner, epoch uint64, accountStamp string) (event.Reading, entry.Trust, error)
	// Offers returns the newest offers of an entry that can be trusted under the epoch, newest first: all, or at least those that have one
	// of the texts for a value.
	Offers(ctx context.Context, of entry.Owner, epoch uint64, about []string) ([]event.Event, entry.Trust, error)

	// Add takes up an event, in JSON too, and AddOffer an offer. It reports whether it is time to make an entry of offers whole that nobody
	// has asked for.
	Add(ctx context.Context, e *event.Event, raw []byte) error
	AddOffer(ctx context.Context, e *event.Event) (incomplete bool, err error)
	// AccountChanged returns the stamp that the account has now, or "" if no entry vouches for it.
	AccountChanged(ctx context.Context, of entry.Owner) (stamp string, err error)
	// Fill makes an entry whole: events is what the log held, more reads what it got since. It returns the stamp of the account, or "" if
	// something came in between.
	Fill(ctx context.Context, at entry.Shelf, epoch uint64, events []event.Event, more func() ([]event.Event, error)) (stamp string, err error)
	Remove(ctx context.Context, of entry.Owner, offersToo bool) error

	// Degraded returns why nothing is asked of the keeper at the moment, or nil.
	Degraded() error
}

// New returns a cache. Redis is not asked for anything yet.
func New(deps Deps, config Config) (*Cache, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m, err := entry.NewMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	c := &Cache{log: deps.Log, metrics: m, filling: make(map[entry.Shelf]bool)}
	c.seen = newSeen(deps.Clock, deps.Logger)
	c.epochs = epochs.New(deps.Epochs, deps.Clock, epochs.Config{Lease: config.Lease, Poll: config.Poll}, func() {
		m.Bumps.Inc()
		c.seen.doubt()
	})
	c.wanted = wanted.New(deps.Epochs, deps.Clock, config.Wanted, c.seen.doubt)
	if deps.Redis == nil {
		c.alone = inmemory.New(config.TTL, config.Memory, deps.Clock, m)
		c.kept, c.sets = c.alone, inmemory.NewSets(config.Memory/partOfSets, deps.Clock, c.wanted.Written)
		return c, nil
	}
	c.shared, err = inredis.New(deps.Redis, config.redis(), deps.Clock, m, c.wanted.Written, func(from, to gobreaker.State, cause error) {
		deps.Logger.Warn("redis circuit changed", "from", from.String(), "to", to.String(), "cause", cause)
	})
	if err != nil {
		return nil, fmt.Errorf("make room for events: %w", err)
	}
	c.kept, c.sets = c.shared, c.shared.Sets()
	return c, nil
}

// Run keeps the view of the epochs fresh until ctx ends. Reads work without it, at the price of a round trip to NATS now and then.
func (c *Cache) Run(ctx context.Context) {
	var owned sync.WaitGroup
	owned.Go(func() { c.wanted.Run(ctx) })
	owned.Go(func() { c.seeUnknown(ctx) })
	owned.Go(func() { c.keepWhole(ctx) })
	c.epochs.Run(ctx)
	owned.Wait()
}

// Degraded returns why reads go to the log at the moment, or nil.
func (c *Cache) Degraded() error { return c.kept.Degraded() }

// Add takes up an event that is in the log, in JSON too, and was not there before.
func (c *Cache) Add(ctx context.Context, e event.Event, raw []byte) error {
	if err := c.kept.Add(ctx, &e, raw); err != nil {
		return c.distrust(ctx, e.Project, e.User, err)
	}
	if sighted, counts := entry.SightedIn(&e); counts && c.alone != nil {
		return c.sets.See(ctx, Horizon, true, sighted)
	}
	return nil
}

// Remove makes the next reader ask the log.
func (c *Cache) Remove(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := c.kept.Remove(ctx, entry.Of(project, user), false); err != nil {
		return c.distrust(ctx, project, user, err)
	}
	return nil
}

// Uncertain is for an event of which its writer does not know whether it was stored: it does what Remove does if Redis can be reached.
func (c *Cache) Uncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	c.doubtSets(ctx)
	if err := c.kept.Remove(ctx, entry.Of(project, user), false); err != nil {
		c.metrics.WriteFailures.Inc()
	}
}

// AccountChanged makes sure that no read vouches for the user's account as it was. It returns the stamp of the account as it is now, or
// "" if that is not known.
func (c *Cache) AccountChanged(ctx context.Context, project ident.ProjectID, user ident.UserID) (stamp string, err error) {
	if stamp, err = c.kept.AccountChanged(ctx, entry.Of(project, user)); err != nil {
		return "", c.distrust(ctx, project, user, err)
	}
	return stamp, nil
}

// AccountGone does what AccountChanged does for an account that has been removed, by removing the user's entries: whatever is filled later
// has another stamp.
func (c *Cache) AccountGone(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := c.kept.Remove(ctx, entry.Of(project, user), true); err != nil {
		return c.distrust(ctx, project, user, err)
	}
	return nil
}

// AccountUncertain is for a change of which its writer does not know whether it was stored: it does what AccountChanged does if Redis can
// be reached.
func (c *Cache) AccountUncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	if _, err := c.kept.AccountChanged(ctx, entry.Of(project, user)); err != nil {
		c.metrics.WriteFailures.Inc()
	}
}

// DistrustAll makes every entry be filled anew.
func (c *Cache) DistrustAll(ctx context.Context) error {
	all := make([]uint8, epochs.Shards)
	for i := range all {
		all[i] = uint8(i)
	}
	return c.epochs.Bump(ctx, all...)
}

// bumpLimit is how long withdrawing an entry may take.
const bumpLimit = 5 * time.Second

// distrust withdraws an entry that could not be written, through its epoch.
func (c *Cache) distrust(ctx context.Context, project ident.ProjectID, user ident.UserID, cause error) error {
	return c.withdraw(ctx, project, user, cause, c.epochs.Bump)
}

func (c *Cache) withdraw(
	ctx context.Context, project ident.ProjectID, user ident.UserID, cause error, raise func(context.Context, ...uint8) error,
) error {
	c.metrics.WriteFailures.Inc()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bumpLimit)
	defer cancel()
	if err := raise(ctx, epochs.ShardOf(project, user), sightings); err != nil {
		return errors.Join(err, cause)
	}
	return nil
}
