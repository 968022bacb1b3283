package code

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Guesses says how often a wrong value may be given, and how long it takes then until the next one is looked at (NIST SP 800-63B-4
// §3.2.2). The zero value limits nothing.
type Guesses struct {
	Free    int           // wrong values before the first wait
	First   time.Duration // the first wait; each further one is twice as long
	Longest time.Duration // no wait is longer
	Forget  time.Duration // how long after the last wrong value the count begins anew
}

// On reports whether there is a limit.
func (g Guesses) On() bool { return g.Free > 0 && g.First > 0 }

// pause is how long nothing more is looked at after so many wrong values.
func (g Guesses) pause(wrong int) time.Duration {
	if wrong < g.Free {
		return 0
	}
	pause := g.First
	for range wrong - g.Free {
		if pause *= 2; pause >= g.Longest {
			return g.Longest
		}
	}
	return min(pause, g.Longest)
}

// Guesser is whom values are counted for with waits: an account, an identifier, or an address.
type Guesser struct{ key string }

// Account is the guesser of a user's codes, whoever gives the values. The count goes with the user.
func Account(project ident.ProjectID, user ident.UserID) Guesser {
	return Guesser{prefix(project, user) + "guesses"}
}

// Stranger is the guesser behind a text in the alphabet of keys that stands for an identifier or for an address.
func Stranger(project ident.ProjectID, stands string) Guesser {
	return Guesser{prefix(project, "sign-in") + "guesses-" + stands}
}

// guesses is what is kept of a guesser.
type guesses struct {
	Wrong   int   `json:"wrong,omitempty"`
	LastMs  int64 `json:"lastMs,omitempty"`
	UntilMs int64 `json:"untilMs,omitempty"` // nothing is looked at before
}

// charge counts a value unless there is a wait. Calls of one moment come in any order of their clocks: only a wait is kept as a time before
// which nothing is looked at, so that without one nobody is refused for having come at the same time as somebody else.
func (known *guesses) charge(g Guesses, now time.Time) (wait time.Duration) {
	stale := known.LastMs <= now.Add(-g.Forget).UnixMilli()
	if wait = time.UnixMilli(known.UntilMs).Sub(now); wait > 0 {
		return min(wait, g.Longest) // a clock that was set back does not make it longer
	}
	if stale {
		known.Wrong = 0
	}
	known.Wrong++
	known.LastMs, known.UntilMs = max(known.LastMs, now.UnixMilli()), 0
	if pause := g.pause(known.Wrong); pause > 0 {
		known.UntilMs = now.Add(pause).UnixMilli()
	}
	return 0
}

// refund takes back one value, and with it the wait that it began.
func (known *guesses) refund() { known.Wrong, known.UntilMs = max(known.Wrong-1, 0), 0 }

// Charge counts a value as wrong before it is looked at, so that of many at once none comes free; it says how long the guesser has to wait
// instead, in which case nothing was counted. What turns out to be right is taken back by Acquit or Refund.
func (s *Store) Charge(ctx context.Context, who Guesser, g Guesses, now time.Time) (wait time.Duration, err error) {
	if !g.On() {
		return 0, nil
	}
	_, err = s.guesses.Upsert(ctx, who.key, func(known *guesses) error {
		wait = known.charge(g, now)
		return nil
	})
	return wait, err
}

// Nobody is an identifier that no account has. What is counted for it is kept as long as an account keeps what is counted for it: for good,
// among the newest million.
type Nobody struct{ key string }

// NobodyOf returns the identifier behind a text in the alphabet of keys that stands for it.
func NobodyOf(project ident.ProjectID, stands string) Nobody {
	return Nobody{string(project) + "." + stands}
}

// missed is what is kept of one.
type missed struct {
	Wrong int `json:"wrong"`
}

// Miss counts a value that was wrong, without waits, as accounts do.
func (s *Store) Miss(ctx context.Context, who Nobody) error {
	_, err := s.nobody.Upsert(ctx, who.key, func(known *missed) error {
		known.Wrong++
		return nil
	})
	return err
}

// Missed returns how many values Miss has counted.
func (s *Store) Missed(ctx context.Context, who Nobody) (int, error) {
	known, err := s.nobody.Get(ctx, who.key)
	if errors.Is(err, kv.ErrNotFound) {
		return 0, nil
	}
	return known.Value.Wrong, err
}

// Acquit forgets what was counted: the value was right, so it was the user who gave it.
func (s *Store) Acquit(ctx context.Context, who Guesser) error { return s.guesses.Delete(ctx, who.key) }

// Refund takes back one value: it was right, or was not looked at. What was wrong before stays counted.
func (s *Store) Refund(ctx context.Context, who Guesser) error {
	_, err := s.guesses.Upsert(ctx, who.key, func(known *guesses) error {
		known.refund()
		return nil
	})
	return err
}
