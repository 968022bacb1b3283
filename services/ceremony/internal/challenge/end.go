package challenge

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/service"
)

// End appends the event that completes a login, and so spends its challenge unless a mark has. Of any number of callers, on whichever
// instances, one succeeds and the others get ErrUsed. judge is asked for the event before each attempt, with the user's completed logins
// beyond the sequence up to which the caller knows them; its error ends it, and nothing has been spent. End returns what was judged, and
// the event behind it. The user is that of the passkey: a mediation's challenge names none.
func (s *Store) End(
	ctx context.Context, t Taken, user ident.UserID, known uint64, judge func([]eventlog.Found) (event.Event, error),
) (_ []eventlog.Found, err error) {
	if t, err = s.Unended(ctx, t, user, known); err != nil {
		return nil, err
	}
	attempt := rand.Text()
	for round := 0; ; round++ {
		judged := t.unknown()
		e, err := judge(judged)
		if err != nil {
			return nil, err
		}
		done, err := s.places.Ends.Conclude(ctx, service.Conclusion{Event: e, After: t.ends.Last, Attempt: attempt})
		switch {
		case err != nil:
			return nil, err
		case done.Ended:
			return nil, ErrUsed
		case !done.Moved:
			return append(judged, eventlog.Found{Event: e, Sequence: done.Sequence}), nil
		}
		if err := pause(ctx, round); err != nil {
			return nil, err
		}
		if t, err = s.look(ctx, t.Record, user, known, true); err != nil {
			return nil, err
		}
	}
}

// Unended returns a challenge that has been taken and was answered for a user, unless it has completed a login of that user, as far as the
// log tells: then it is ErrUsed. End would say the same.
func (s *Store) Unended(ctx context.Context, t Taken, user ident.UserID, known uint64) (Taken, error) {
	if t.ends != nil && t.whose == user && t.asked == known {
		return t, nil
	}
	return s.look(ctx, t.Record, user, known, false)
}

// pause waits for a moment of random length, so that those who met do not meet again.
func pause(ctx context.Context, round int) error {
	const shortest, longest = time.Millisecond, 50 * time.Millisecond
	bound := min(shortest<<min(round, 10), longest)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(mathrand.N(bound)): //nolint:gosec // secret from nobody
		return nil
	}
}

// unknown returns what the log tells beyond what the caller knew.
func (t Taken) unknown() []eventlog.Found {
	return slices.DeleteFunc(slices.Clone(t.ends.Events), func(e eventlog.Found) bool { return e.Sequence <= t.known })
}

// unspent returns a challenge that its event spends, unless it is spent already, or somebody has set its status.
func (s *Store) unspent(ctx context.Context, r Record, known uint64) (Taken, error) {
	marked := make(chan error, 1)
	go func() { marked <- s.unmarked(ctx, r) }()
	t, err := s.look(ctx, r, r.User, known, false)
	if mark := <-marked; mark != nil {
		return Taken{Record: r}, mark
	}
	return t, err
}

// unmarked returns ErrUsed of a challenge that a mark has spent, or whose status somebody has set.
func (s *Store) unmarked(ctx context.Context, r Record) error {
	_, err := s.marks.Get(ctx, r.markKey())
	switch {
	case err == nil:
		return ErrUsed
	case errors.Is(err, kv.ErrNotFound):
		return nil
	default:
		return err
	}
}

// look reads the user's completed logins that may have been this one, or are not known. The clock of the log may differ from that of the
// instance that gave out the challenge by as long as challenges are kept. Nobody but the user can make them more; what is refused is not
// read, since anybody can cause that who knows a user's name.
func (s *Store) look(ctx context.Context, r Record, user ident.UserID, known uint64, latest bool) (Taken, error) {
	since := time.UnixMilli(r.Created).Add(-s.places.Keep)
	ends, err := s.places.Log.Recent(
		ctx, r.Project, user, eventlog.Span{After: known, Since: since, Latest: latest}, event.LoginCompleted,
	)
	if err != nil {
		return Taken{Record: r}, err
	}
	for _, e := range ends.Events {
		if e.Ceremony == r.ID {
			return Taken{Record: r}, ErrUsed
		}
	}
	t := Taken{Record: r, ends: &ends, whose: user, asked: known, known: known}
	if known > ends.Last {
		t.known = 0 // of a log that was, of which an older backup was restored
	}
	return t, nil
}
