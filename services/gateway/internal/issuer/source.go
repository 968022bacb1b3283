package issuer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keyward/keyward/core/fault"
)

const (
	fresh = 5 * time.Minute // that keys are used for before they are fetched again
	stale = 24 * time.Hour  // that keys are used for if they cannot be
	// From the beginning of a fetch to that of the next one, whatever tokens come: nobody makes Keyward a hammer by forging them
	pause = 10 * time.Second
)

// source keeps the keys of one issuer.
type source struct {
	verifier *Verifier
	url      string

	mu      sync.Mutex
	set     *keySet       // nil: none was ever fetched. It never changes
	fetched time.Time     // when the fetch of the set began
	began   time.Time     // when the last fetch began
	away    bool          // that one failed
	flight  chan struct{} // closed when the fetch under way has ended; nil: there is none
}

// keys returns the keys that are known, fetched anew if it is time. If the issuer is away, the older ones are good for a day. Errors are
// 503 and that of ctx.
func (s *source) keys(ctx context.Context) (*keySet, error) {
	now := s.verifier.deps.Now()
	s.mu.Lock()
	set := s.usable(now)
	if set != nil && now.Sub(s.fetched) < fresh {
		s.mu.Unlock()
		return set, nil
	}
	away := s.away
	flight := s.fetch(now)
	s.mu.Unlock()
	if set != nil && (flight == nil || away) {
		// Whether an issuer that was away is back is not worth the wait at each of its tokens.
		return set, nil
	}
	if err := await(ctx, flight); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.usable(now); set != nil {
		return set, nil
	}
	return nil, s.unavailable(now)
}

// newer returns keys that were fetched after an older set was, or the older one if it is too early to ask again. If the issuer is away
// nobody can tell: 503.
func (s *source) newer(ctx context.Context, than *keySet) (*keySet, error) {
	now := s.verifier.deps.Now()
	s.mu.Lock()
	var flight chan struct{}
	if s.set == than {
		flight = s.fetch(now)
	}
	s.mu.Unlock()
	if err := await(ctx, flight); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, s.unavailable(now)
	}
	return s.set, nil
}

// usable returns the keys if there are any that are not too old.
func (s *source) usable(now time.Time) *keySet {
	if s.set == nil || len(s.set.keys) == 0 || now.Sub(s.fetched) > stale {
		return nil
	}
	return s.set
}

func (s *source) unavailable(now time.Time) error {
	return fault.Unavailable(
		max(s.began.Add(pause).Sub(now), time.Second), "the keys of the access token's issuer cannot be had at the moment",
	)
}

// fetch begins to fetch the keys, unless somebody does already, and returns what is closed in the end; nil if it is too early. The caller
// holds the lock.
//
// The fetch outlives the call that began it: others wait for it as well, and a client that hangs up must not spend the one that is allowed
// for the time.
func (s *source) fetch(now time.Time) chan struct{} {
	if s.flight != nil || !s.began.IsZero() && now.Sub(s.began) < pause {
		return s.flight
	}
	flight := make(chan struct{})
	if !s.verifier.start(func(life context.Context) { s.land(life, now, flight) }) {
		return nil
	}
	s.flight, s.began = flight, now
	return flight
}

// land fetches the keys and puts them where they belong.
func (s *source) land(life context.Context, began time.Time, flight chan struct{}) {
	set, err := s.verifier.fetcher.keys(life, s.url)
	if err != nil && life.Err() == nil {
		s.verifier.deps.Log.Warn(
			"the keys of an issuer cannot be fetched; its tokens are verified with those known, for a day", "issuer", s.url, "error", err,
		)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, s.away = nil, err != nil
	if err == nil {
		s.set, s.fetched = set, began
	}
	close(flight)
}

// await waits for a fetch, if there is one.
func await(ctx context.Context, flight chan struct{}) error {
	if flight == nil {
		return nil
	}
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the keys of an issuer: %w", ctx.Err())
	}
}
