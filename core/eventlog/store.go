package eventlog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// Deps is what a Store works on. All but Redis are required.
type Deps struct {
	JetStream jetstream.JetStream
	Epochs    jetstream.KeyValue    // bucket "cache-epochs"; its reads must come from the leader
	Redis     redis.UniversalClient // may be out of reach; its timeouts should be short. Nil = the memory of this process, see historycache
	Metrics   prometheus.Registerer
	Clock     func() time.Time // with a monotonic reading, as time.Now gives it
	Log       *slog.Logger
}

// Store appends and reads events, and keeps the promise of the package. It is safe for concurrent use. One is enough for all services of
// a process.
type Store struct {
	log   *Log
	cache *historycache.Cache
}

// Open returns a store on streams and a bucket that must exist. Redis is not asked for anything yet.
func Open(ctx context.Context, deps Deps, config historycache.Config) (*Store, error) {
	log, err := NewLog(ctx, deps.JetStream)
	if err != nil {
		return nil, err
	}
	cache, err := historycache.New(historycache.Deps{
		Log: log, Epochs: deps.Epochs, Redis: deps.Redis, Metrics: deps.Metrics, Clock: deps.Clock, Logger: deps.Log,
	}, config)
	if err != nil {
		return nil, err
	}
	if deps.Redis == nil {
		if err := log.observe(deps.Metrics); err != nil {
			return nil, err
		}
	}
	return &Store{log: log, cache: cache}, nil
}

// Run keeps what is known of the cache fresh until ctx ends, and has offers leave in the background where one process is all there is. All
// works without it, at the price of round trips to NATS.
func (s *Store) Run(ctx context.Context) {
	var owned sync.WaitGroup
	if s.log.offers != nil {
		owned.Go(func() { s.log.offers.Run(ctx) })
	}
	s.cache.Run(ctx)
	owned.Wait()
}

// Want says of which kinds this process reads sets of sightings from now on; see historycache.
func (s *Store) Want(kinds sighting.Kinds) { s.cache.Want(kinds) }

// Degraded returns why reads go to the log at the moment, or nil.
func (s *Store) Degraded() error { return s.cache.Degraded() }

// Append stores e; see the package's promise. A duplicate is no error, and the event that was there first stays. It goes on for a moment
// after ctx ends, so that the cache does not fall behind the log. Events of the account go to the log alone, since no read of a history
// holds them.
func (s *Store) Append(ctx context.Context, e event.Event) (Receipt, error) {
	stored, receipt, err := s.log.append(ctx, e)
	if errors.Is(err, cloudevent.ErrMalformed) {
		return Receipt{}, unstored(err)
	}
	if err != nil {
		if !e.Type.OfAccount() {
			// It may be stored all the same. Without its entry the next reader asks the log.
			s.cache.Uncertain(ctx, e.Project, e.User)
		}
		return Receipt{}, unstored(err)
	}
	switch {
	case receipt.Duplicate || receipt.Unsure:
		// What is in the log need not be what the caller has now.
		err = errors.Join(s.cache.Remove(ctx, e.Project, e.User), s.cache.SeeAgain(ctx, e))
	case e.Type.OfAccount():
		err = s.cache.SeeReported(ctx, e)
	default:
		err = s.cache.Add(ctx, e, stored)
	}
	if err != nil {
		return Receipt{}, fault.Unavailable(retryAfter, "the event could not be announced").Because(err)
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

// AccountChanged must be called after every change of a user's account and before anybody is told of it: when it has returned without
// error, no read that begins afterwards, on whichever instance, vouches for the account as it was. It returns the stamp of the account as
// it is now, or "" if that is not known. It goes on for a moment after ctx ends.
func (s *Store) AccountChanged(ctx context.Context, project ident.ProjectID, user ident.UserID) (stamp string, err error) {
	if stamp, err = s.cache.AccountChanged(ctx, project, user); err != nil {
		return "", fault.Unavailable(retryAfter, "the change of the account could not be announced").Because(err)
	}
	return stamp, nil
}

// AccountGone does what AccountChanged does for an account that has been removed, by removing the user's entry: whatever is filled later
// has another stamp.
func (s *Store) AccountGone(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := s.cache.AccountGone(ctx, project, user); err != nil {
		return fault.Unavailable(retryAfter, "the removal of the account could not be announced").Because(err)
	}
	return nil
}

// AccountUncertain is for a change of which its writer does not know whether it was stored: it does what AccountChanged does if Redis can
// be reached.
func (s *Store) AccountUncertain(ctx context.Context, project ident.ProjectID, user ident.UserID) {
	s.cache.AccountUncertain(ctx, project, user)
}

// AccountVouched reports whether a stamp of an account still holds, if the memory of this process knows that.
func (s *Store) AccountVouched(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) bool {
	return s.cache.AccountVouched(ctx, project, user, stamp)
}

// AccountUsed is AccountChanged if AccountVouched, and otherwise returns "".
func (s *Store) AccountUsed(ctx context.Context, project ident.ProjectID, user ident.UserID, stamp string) (now string) {
	return s.cache.AccountUsed(ctx, project, user, stamp)
}

// PublishOffer takes a login-offered or login-denied event. Once it has returned without error, Offers, AllOffers and Pending know of it.
// It is stored, or, where one process is all there is, on its way.
func (s *Store) PublishOffer(ctx context.Context, e event.Event) error {
	return s.PublishPending(ctx, event.Offer{Event: e})
}

// PublishPending takes a login offer together with what its ceremony needs to be finished, as PublishOffer does.
func (s *Store) PublishPending(ctx context.Context, o event.Offer) error {
	if err := s.log.PublishPending(ctx, o); err != nil {
		return unstored(err)
	}
	if err := s.cache.AddOffer(ctx, o.Event); err != nil {
		return fault.Unavailable(retryAfter, "the offer could not be announced").Because(err)
	}
	return nil
}

// Pending returns the user's login offers that were published with something pending, oldest first, as many as the stream keeps; with a
// challenge, only those of it. It holds every offer whose PublishPending has returned before.
func (s *Store) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	offers, err := s.log.Pending(ctx, project, user, challenge)
	if err != nil {
		return nil, unread(err)
	}
	return offers, nil
}

const retryAfter = time.Second

func unstored(err error) error {
	if errors.Is(err, cloudevent.ErrMalformed) {
		return fault.Internal(err)
	}
	return fault.Unavailable(retryAfter, "the event could not be stored").Because(err)
}

func unread(err error) error {
	if errors.Is(err, cloudevent.ErrMalformed) {
		return fault.Internal(err)
	}
	return fault.Unavailable(retryAfter, "the events could not be read").Because(err)
}

// AllOffers returns the user's login-offered and login-denied events of the last hours, newest first: as many as the stream keeps. It reads
// the log, and costs the more the more others have happened between them.
func (s *Store) AllOffers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	offers, err := s.log.Offers(ctx, project, user)
	if err != nil {
		return nil, unread(err)
	}
	return offers, nil
}

// Offers implements service.EventReader.
func (s *Store) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID, about ...string) ([]event.Event, error) {
	offers, err := s.cache.Offers(ctx, project, user, about...)
	if err != nil {
		return nil, unread(err)
	}
	return offers, nil
}

// Events implements service.EventReader: the events as they count, each once and without what was deleted, oldest first.
func (s *Store) Events(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	read, err := s.Read(ctx, project, user, "")
	return read.Events.All(), err
}

// Read implements service.EventReader.
func (s *Store) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string) (event.Reading, error) {
	read, err := s.cache.Read(ctx, project, user, accountStamp)
	if err != nil {
		return event.Reading{}, unread(err)
	}
	return read, nil
}

// DistrustAll makes every cache entry be filled anew. An events service calls it when it starts: one that died between the log and the
// cache left entries behind that lack an event.
func (s *Store) DistrustAll(ctx context.Context) error { return s.cache.DistrustAll(ctx) }
