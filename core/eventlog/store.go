package eventlog

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

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Config holds what may be tuned. Every instance of an installation must have the same Lease.
type Config struct {
	TTL             time.Duration // of a cache entry, from its filling on
	Lease           time.Duration // how long a view of the epochs is taken for current; what a write costs more while Redis is away
	Poll            time.Duration // how often the view is renewed while there are readers; below Lease
	Near            int           // events that this process keeps decoded beside Redis, of all users; 0 = none
	BreakerFailures uint32        // failures in a row after which Redis is left alone
	BreakerPause    time.Duration // for so long
}

// DefaultConfig returns the figures for production. The events kept decoded take about 40 MB.
func DefaultConfig() Config {
	return Config{
		TTL: time.Hour, Lease: 100 * time.Millisecond, Poll: 30 * time.Millisecond, Near: 100_000, BreakerFailures: 3, BreakerPause: time.Second,
	}
}

// Validate reports every figure that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.TTL < time.Second {
		errs = append(errs, errors.New("events_cache_ttl: must be at least one second"))
	}
	if c.Poll <= 0 || c.Poll >= c.Lease {
		errs = append(errs, errors.New("epochs_poll: must be above zero and below the lease"))
	}
	if c.Near < 0 {
		errs = append(errs, errors.New("events_near_cache: must not be negative"))
	}
	if c.BreakerFailures == 0 || c.BreakerPause <= 0 {
		errs = append(errs, errors.New("redis_breaker: failures and pause must be above zero"))
	}
	return errors.Join(errs...)
}

// Deps is what a Store works on. All are required.
type Deps struct {
	JetStream jetstream.JetStream
	Epochs    jetstream.KeyValue // bucket "cache-epochs"; its reads must come from the leader
	Redis     *redis.Client      // may be out of reach; its timeouts should be short
	Metrics   prometheus.Registerer
	Clock     func() time.Time // with a monotonic reading, as time.Now gives it
	Log       *slog.Logger
}

// Store appends and reads events, and keeps the promise of the package. It is safe for concurrent use. One is enough for all services of a process.
type Store struct {
	log     *Log
	cache   *entries
	near    near
	epochs  *epochs
	metrics *metrics
	logger  *slog.Logger

	mu      sync.Mutex
	filling map[string]bool // keys that this process is filling
}

// Open returns a store on streams and a bucket that must exist. Redis is not asked for anything yet.
func Open(ctx context.Context, deps Deps, config Config) (*Store, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	log, err := NewLog(ctx, deps.JetStream)
	if err != nil {
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
	s := &Store{log: log, near: kept, metrics: m, logger: deps.Log, filling: make(map[string]bool)}
	s.epochs = newEpochs(deps.Epochs, deps.Clock, config, m.bumps.Inc)
	s.cache = newCache(deps.Redis, config, func(from, to gobreaker.State) {
		deps.Log.Warn("redis circuit changed", "from", from.String(), "to", to.String())
	})
	return s, nil
}

// Run keeps the view of the epochs fresh until ctx ends. Reads work without it, at the price of a round trip to NATS now and then.
func (s *Store) Run(ctx context.Context) { s.epochs.run(ctx) }

// Degraded returns why reads go to the log at the moment, or nil.
func (s *Store) Degraded() error {
	if state := s.cache.breaker.State(); state == gobreaker.StateOpen {
		return errors.New("redis does not answer; events are read from the log")
	}
	return nil
}

// Append stores e; see the package's promise. A duplicate is no error, and the event that was there first stays. It goes on for a moment after ctx ends, so that
// the cache does not fall behind the log. Events of the account go to the log alone, since no read of a history holds them.
func (s *Store) Append(ctx context.Context, e event.Event) (Receipt, error) {
	msg, err := message(bus.EventsPrefix, event.Offer{Event: e})
	if err != nil {
		return Receipt{}, unstored(err)
	}
	receipt, err := s.log.commits.publish(ctx, msg, string(e.ID))
	if e.Type.OfAccount() {
		if err != nil {
			return Receipt{}, unstored(err)
		}
		return receipt, nil
	}
	entry := key(e.Project, e.User)
	if err != nil {
		// It may be stored all the same. Without its entry the next reader asks the log.
		after, cancel := detached(ctx)
		defer cancel()
		if removeErr := s.cache.remove(after, entry); removeErr != nil {
			s.metrics.writeFailures.Inc()
		}
		return Receipt{}, unstored(err)
	}
	after, cancel := detached(ctx)
	defer cancel()
	if !receipt.Duplicate {
		err = s.add(after, entry, e, msg.Data)
	} else {
		// What is in the log need not be what the caller has now.
		err = s.cache.remove(after, entry)
	}
	if err == nil {
		return receipt, nil
	}
	s.metrics.writeFailures.Inc()
	if bumpErr := s.epochs.bump(after, shardOf(e.Project, e.User)); bumpErr != nil {
		return Receipt{}, fault.Unavailable(retryAfter, "the event could not be announced").Because(errors.Join(bumpErr, err))
	}
	return receipt, nil
}

// Newest returns where the user's newest event is in the log, of the account's events too, and when the log got it; of no event, zeros.
func (s *Store) Newest(ctx context.Context, project ident.ProjectID, user ident.UserID) (sequence uint64, at time.Time, err error) {
	if sequence, at, err = s.log.Newest(ctx, project, user); err != nil {
		return 0, time.Time{}, unread(err)
	}
	return sequence, at, nil
}

// add puts an event into the cache and into what this process keeps of it.
func (s *Store) add(ctx context.Context, entry string, e event.Event, raw []byte) error {
	said, err := s.cache.add(ctx, entry, e.ID, raw)
	if err != nil {
		return err
	}
	if k := s.near.get(entry); k != nil {
		s.near.keep(entry, k.with(e, said))
	}
	return nil
}

// AccountChanged must be called after every change of a user's account and before anybody is told of it: when it has returned without error, no read that
// begins afterwards, on whichever instance, vouches for the account as it was. It returns the stamp of the account as it is now, or "" if that is not
// known. It goes on for a moment after ctx ends.
func (s *Store) AccountChanged(ctx context.Context, project ident.ProjectID, user ident.UserID) (stamp string, err error) {
	after, cancel := detached(ctx)
	defer cancel()
	said, err := s.cache.noteAccount(after, key(project, user))
	if err == nil {
		return s.vouched(said), nil
	}
	s.metrics.writeFailures.Inc()
	if bumpErr := s.epochs.bump(after, shardOf(project, user)); bumpErr != nil {
		return "", fault.Unavailable(retryAfter, "the change of the account could not be announced").Because(errors.Join(bumpErr, err))
	}
	return "", nil
}

// AccountGone does what AccountChanged does for an account that has been removed, by removing the user's entry: whatever is filled later has another stamp.
func (s *Store) AccountGone(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	after, cancel := detached(ctx)
	defer cancel()
	s.near.drop(key(project, user))
	err := s.cache.remove(after, key(project, user))
	if err == nil {
		return nil
	}
	s.metrics.writeFailures.Inc()
	if bumpErr := s.epochs.bump(after, shardOf(project, user)); bumpErr != nil {
		return fault.Unavailable(retryAfter, "the removal of the account could not be announced").Because(errors.Join(bumpErr, err))
	}
	return nil
}

// AccountUncertain is for a change of which its writer does not know whether it was stored: it does what AccountChanged does if Redis can be reached.
func (s *Store) AccountUncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	after, cancel := detached(ctx)
	defer cancel()
	if _, err := s.cache.noteAccount(after, key(project, user)); err != nil {
		s.metrics.writeFailures.Inc()
	}
}

// afterLimit is for the part of a write that must not be left half done.
const afterLimit = 5 * time.Second

// PublishOffer stores a login-offered or login-denied event.
func (s *Store) PublishOffer(ctx context.Context, e event.Event) error {
	if err := s.log.PublishOffer(ctx, e); err != nil {
		return unstored(err)
	}
	return nil
}

// PublishPending stores a login offer together with what its ceremony needs to be finished.
func (s *Store) PublishPending(ctx context.Context, o event.Offer) error {
	if err := s.log.PublishPending(ctx, o); err != nil {
		return unstored(err)
	}
	return nil
}

// Pending returns the user's login offers that were published with something pending, oldest first, as many as the stream keeps; with a challenge, only those of it.
// It holds every offer whose PublishPending has returned before.
func (s *Store) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	offers, err := s.log.Pending(ctx, project, user, challenge)
	if err != nil {
		return nil, unread(err)
	}
	return offers, nil
}

const retryAfter = time.Second

func unstored(err error) error {
	if errors.Is(err, errMalformed) {
		return fault.Internal(err)
	}
	return fault.Unavailable(retryAfter, "the event could not be stored").Because(err)
}

func unread(err error) error {
	if errors.Is(err, errMalformed) {
		return fault.Internal(err)
	}
	return fault.Unavailable(retryAfter, "the events could not be read").Because(err)
}

// Offers implements service.EventReader.
func (s *Store) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	offers, err := s.log.Offers(ctx, project, user)
	if err != nil {
		return nil, unread(err)
	}
	return offers, nil
}

// Events implements service.EventReader: the events as they count, each once and without what was deleted, oldest first.
func (s *Store) Events(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	read, err := s.Read(ctx, project, user, "")
	return read.Events, err
}

// Read implements service.EventReader.
func (s *Store) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (event.Reading, error) {
	entry := key(project, user)
	epoch, err := s.epochs.current(ctx, shardOf(project, user))
	if err != nil {
		s.metrics.noEpoch.Inc()
		return s.unlessStamped(accountStamp, func() (event.Reading, error) { return s.fromLog(ctx, project, user) })
	}
	k, result, err := s.fromCache(ctx, entry, epoch, accountStamp)
	if err != nil {
		s.metrics.failed.Inc()
		return s.unlessStamped(accountStamp, func() (event.Reading, error) { return s.fromLog(ctx, project, user) })
	}
	if result == trusted {
		if accountStamp != "" && accountStamp != k.accountStamp {
			s.metrics.stale.Inc()
			return event.Reading{AccountStamp: k.accountStamp, AccountStale: true}, nil
		}
		return event.Reading{Events: k.events, AccountStamp: k.accountStamp}, nil
	}
	return s.unlessStamped(accountStamp, func() (event.Reading, error) { return s.readThrough(ctx, project, user, epoch) })
}

// unlessStamped reads where no entry vouches for an account. Who has one that needs it is to read the account first, and come again.
func (s *Store) unlessStamped(accountStamp string, read func() (event.Reading, error)) (event.Reading, error) {
	if accountStamp != "" {
		s.metrics.stale.Inc()
		return event.Reading{AccountStale: true}, nil
	}
	return read()
}

// fromCache returns the entry if it can be trusted. What is kept of it here spares its transport and decoding; so does an account that is stale anyway, and
// then the entry comes without its events.
func (s *Store) fromCache(ctx context.Context, entry string, epoch uint64, accountStamp string) (*known, trust, error) {
	if kept := s.near.get(entry); kept != nil {
		said, result, err := s.cache.look(ctx, entry, epoch)
		if err != nil || result != trusted {
			s.metrics.read(result, err)
			return nil, result, err
		}
		if k := kept.now(said); k != nil {
			s.metrics.near.Inc()
			if k != kept {
				s.near.keep(entry, k)
			}
			return k, trusted, nil
		}
		if stamp := said.stamp(); accountStamp != "" && accountStamp != stamp {
			return &known{control: said, accountStamp: stamp}, trusted, nil
		}
	}
	k, result, err := s.cache.read(ctx, entry, epoch)
	s.metrics.read(result, err)
	s.near.keep(entry, k)
	return k, result, err
}

func (s *Store) fromLog(ctx context.Context, project ident.ProjectID, user ident.UserID) (event.Reading, error) {
	events, _, err := s.log.Read(ctx, project, user, 1)
	if err != nil {
		return event.Reading{}, unread(err)
	}
	return event.Reading{Events: event.NewSet(events).Live()}, nil
}

// readThrough reads the log and fills the cache with it. The epoch was current before the log is read, so that whatever was bumped away is in what is read.
func (s *Store) readThrough(ctx context.Context, project ident.ProjectID, user ident.UserID, epoch uint64) (event.Reading, error) {
	entry := key(project, user)
	events, next, err := s.log.Read(ctx, project, user, 1)
	if err != nil {
		return event.Reading{}, unread(err)
	}
	read := event.Reading{Events: event.NewSet(events).Live()}
	if !s.startFilling(entry) {
		return read, nil
	}
	defer s.stopFilling(entry)
	said, err := s.cache.fill(ctx, entry, epoch, events, func() ([]event.Event, error) {
		late, _, err := s.log.Read(ctx, project, user, next)
		return late, err
	})
	if err != nil {
		s.metrics.fillFailures.Inc()
	} else {
		read.AccountStamp = s.vouched(said)
	}
	return read, nil
}

// vouched returns the stamp of an account that a whole entry vouches for. Whether its epoch and its run are current shows when the stamp is used.
func (s *Store) vouched(said control) string {
	if said.fill == "" || said.fill != said.ready {
		return ""
	}
	return said.stamp()
}

// startFilling reports whether nobody in this process fills the entry already. Others read the log for themselves: what the filler read may be too old for them.
func (s *Store) startFilling(entry string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.filling[entry] {
		return false
	}
	s.filling[entry] = true
	return true
}

func (s *Store) stopFilling(entry string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.filling, entry)
}

// DistrustAll makes every cache entry be filled anew. An events service calls it when it starts: one that died between the log and the cache left entries behind that lack an event.
func (s *Store) DistrustAll(ctx context.Context) error {
	all := make([]uint8, shards)
	for i := range all {
		all[i] = uint8(i)
	}
	return s.epochs.bump(ctx, all...)
}
