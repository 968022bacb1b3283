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
	"github.com/keyward/keyward/core/ident"
)

// Log is where the truth is. Read returns the user's events from a sequence on, and the sequence from which on there are none yet. Offers
// returns the user's login offers and denials, newest first.
type Log interface {
	Read(ctx context.Context, project ident.ProjectID, user ident.UserID, from uint64) (events []event.Event, next uint64, err error)
	Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error)
}

// Deps is what a Cache works on. All are required.
type Deps struct {
	Log     Log
	Epochs  jetstream.KeyValue    // bucket "cache-epochs"; its reads must come from the leader
	Redis   redis.UniversalClient // may be out of reach; its timeouts should be short
	Metrics prometheus.Registerer
	Clock   func() time.Time // with a monotonic reading, as time.Now gives it
	Logger  *slog.Logger
}

// Cache reads histories through Redis, and is told of what changes them. It is safe for concurrent use. One is enough for all services of
// a process.
//
// Who changes something tells it after the change is stored and before anybody is told of it. The methods that are told go on for a
// moment after ctx ends, so that the cache does not fall behind. An error of theirs says that an entry may still be trusted that should
// not be.
type Cache struct {
	log     Log
	entries *entries
	near    near
	epochs  *epochs
	metrics *metrics

	mu      sync.Mutex
	filling map[string]bool // keys that this process is filling
}

// New returns a cache. Redis is not asked for anything yet.
func New(deps Deps, config Config) (*Cache, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	kept, err := newNear(config.Near)
	if err != nil {
		return nil, fmt.Errorf("make room for events: %w", err)
	}
	c := &Cache{log: deps.Log, near: kept, metrics: m, filling: make(map[string]bool)}
	c.epochs = newEpochs(deps.Epochs, deps.Clock, config, m.bumps.Inc)
	c.entries = newEntries(deps.Redis, config, func(from, to gobreaker.State, cause error) {
		deps.Logger.Warn("redis circuit changed", "from", from.String(), "to", to.String(), "cause", cause)
	})
	return c, nil
}

// Run keeps the view of the epochs fresh until ctx ends. Reads work without it, at the price of a round trip to NATS now and then.
func (c *Cache) Run(ctx context.Context) { c.epochs.run(ctx) }

// Degraded returns why reads go to the log at the moment, or nil.
func (c *Cache) Degraded() error {
	if state := c.entries.breaker.State(); state == gobreaker.StateOpen {
		return fmt.Errorf("redis failed too often; events are read from the log: %w", c.entries.cause())
	}
	return nil
}

// Add takes up an event that is in the log, in JSON too, and was not there before.
func (c *Cache) Add(ctx context.Context, e event.Event, raw []byte) error {
	entry := key(e.Project, e.User)
	said, err := told(ctx, func(ctx context.Context) (control, error) { return c.entries.add(ctx, entry, byID(&e), raw) })
	if err != nil {
		return c.distrust(ctx, e.Project, e.User, err)
	}
	if k := c.near.get(entry); k != nil {
		c.near.keep(entry, k.with(e, said))
	}
	return nil
}

// Remove makes the next reader ask the log.
func (c *Cache) Remove(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := c.remove(ctx, key(project, user)); err != nil {
		return c.distrust(ctx, project, user, err)
	}
	return nil
}

// Uncertain is for an event of which its writer does not know whether it was stored: it does what Remove does if Redis can be reached.
func (c *Cache) Uncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	if err := c.remove(ctx, key(project, user)); err != nil {
		c.metrics.writeFailures.Inc()
	}
}

func (c *Cache) remove(ctx context.Context, keys ...string) error {
	_, err := told(ctx, func(ctx context.Context) (control, error) { return control{}, c.entries.remove(ctx, keys...) })
	return err
}

// AccountChanged makes sure that no read vouches for the user's account as it was. It returns the stamp of the account as it is now, or
// "" if that is not known.
func (c *Cache) AccountChanged(ctx context.Context, project ident.ProjectID, user ident.UserID) (stamp string, err error) {
	said, err := c.noteAccount(ctx, project, user)
	if err != nil {
		return "", c.distrust(ctx, project, user, err)
	}
	return c.vouched(said), nil
}

// AccountGone does what AccountChanged does for an account that has been removed, by removing the user's entries: whatever is filled later
// has another stamp.
func (c *Cache) AccountGone(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	c.near.drop(key(project, user))
	if err := c.remove(ctx, key(project, user), offersKey(project, user)); err != nil {
		return c.distrust(ctx, project, user, err)
	}
	return nil
}

// AccountUncertain is for a change of which its writer does not know whether it was stored: it does what AccountChanged does if Redis can
// be reached.
func (c *Cache) AccountUncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	if _, err := c.noteAccount(ctx, project, user); err != nil {
		c.metrics.writeFailures.Inc()
	}
}

func (c *Cache) noteAccount(ctx context.Context, project ident.ProjectID, user ident.UserID) (control, error) {
	return told(ctx, func(ctx context.Context) (control, error) { return c.entries.noteAccount(ctx, key(project, user)) })
}

// DistrustAll makes every entry be filled anew.
func (c *Cache) DistrustAll(ctx context.Context) error {
	all := make([]uint8, shards)
	for i := range all {
		all[i] = uint8(i)
	}
	return c.epochs.bump(ctx, all...)
}

// distrust withdraws an entry that could not be written, through its epoch.
func (c *Cache) distrust(ctx context.Context, project ident.ProjectID, user ident.UserID, cause error) error {
	return c.withdraw(ctx, project, user, cause, c.epochs.bump)
}

func (c *Cache) withdraw(
	ctx context.Context, project ident.ProjectID, user ident.UserID, cause error, raise func(context.Context, ...uint8) error,
) error {
	c.metrics.writeFailures.Inc()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bumpLimit)
	defer cancel()
	if err := raise(ctx, shardOf(project, user)); err != nil {
		return errors.Join(err, cause)
	}
	return nil
}
