package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

func TestKeysAreFetchedAgainAfterFiveMinutesInUse(t *testing.T) {
	t.Parallel()
	with, next := ecKey("one"), ecKey("two")
	p := newProvider(t, with)
	s := verifier(t, p)
	long := map[string]any{"exp": started.Add(72 * time.Hour).Unix()}
	token := with.sign(p.claims(long), nil)
	accepted(t, s, token)
	s.clock.advance(5*time.Minute - time.Second)
	p.rotate(next)
	accepted(t, s, token)
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times before it was time", n)
	}
	s.clock.advance(time.Second)
	_, err := s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusUnauthorized, "does not publish")
	accepted(t, s, next.sign(p.claims(long), nil))
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}

func TestANewKeyIsTakenUpAtItsFirstToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, next signer }{
		"by its ID":     {ecKey("one"), ecKey("two")},
		"without an ID": {ecKey(""), ecKey("")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, c.old)
			s := verifier(t, p)
			accepted(t, s, c.old.sign(p.claims(nil), nil))
			s.clock.advance(10 * time.Second)
			p.rotate(c.next)
			accepted(t, s, c.next.sign(p.claims(nil), nil))
			if n := p.fetches.Load(); n != 2 {
				t.Errorf("fetched %d times", n)
			}
		})
	}
}

func TestForgedKeyIDsDoNotHammerTheIssuer(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	good := with.sign(p.claims(nil), nil)
	var calls sync.WaitGroup
	for minute := range 3 {
		for i := range 50 {
			token := ecKey(fmt.Sprintf("swordfish-%d-%d", minute, i)).sign(p.claims(nil), nil)
			calls.Go(func() {
				_, err := s.Verify(t.Context(), token, "")
				refused(t, err, http.StatusUnauthorized, "does not publish")
			})
			calls.Go(func() { accepted(t, s, good) })
		}
		calls.Wait()
		// Within ten seconds of the last fetch there is no other, whoever asks.
		if n := p.fetches.Load(); n != int64(minute+1) {
			t.Errorf("after %d times ten seconds the keys were fetched %d times", minute, n)
		}
		s.clock.advance(10 * time.Second)
	}
}

func TestCallersShareAFetch(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	open := make(chan struct{})
	p.change(func() { p.gate = func() { <-open } })
	token := with.sign(p.claims(nil), nil)
	var calls sync.WaitGroup
	for range 100 {
		calls.Go(func() { accepted(t, s, token) })
	}
	until(t, func() bool { return p.fetches.Load() == 1 })
	close(open)
	calls.Wait()
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestACallerThatGoesDoesNotEndTheFetch(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	open := make(chan struct{})
	p.change(func() { p.gate = func() { <-open } })
	token := with.sign(p.claims(nil), nil)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := s.Verify(ctx, token, "")
		gone <- err
	}()
	until(t, func() bool { return p.fetches.Load() == 1 })
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that went got %v", err)
	}
	close(open)
	accepted(t, s, token)
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestKeysOutliveAnIssuerThatIsAwayByADay(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	token := with.sign(p.claims(map[string]any{"exp": started.Add(72 * time.Hour).Unix()}), nil)
	stranger := ecKey("swordfish").sign(p.claims(map[string]any{"exp": started.Add(72 * time.Hour).Unix()}), nil)
	accepted(t, s, token)
	p.change(func() { p.status = http.StatusBadGateway })
	s.clock.advance(5 * time.Minute)
	accepted(t, s, token) // it waited for the fetch
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
	_, err := s.Verify(t.Context(), stranger, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")
	if !strings.Contains(s.log.String(), "answers 502") || strings.Count(s.log.String(), "\n") != 1 {
		t.Errorf("logged: %s", s.log)
	}

	// Nobody waits to learn that it is still away.
	open := make(chan struct{})
	p.change(func() { p.gate = func() { <-open } })
	s.clock.advance(10 * time.Second)
	accepted(t, s, token)
	until(t, func() bool { return p.fetches.Load() == 3 })
	close(open)
	p.change(func() { p.gate = nil })
	until(t, func() bool { return strings.Count(s.log.String(), "\n") == 2 })

	s.clock.advance(24*time.Hour - 5*time.Minute - 10*time.Second)
	accepted(t, s, token)
	until(t, func() bool { return strings.Count(s.log.String(), "\n") == 3 })
	s.clock.advance(time.Second)
	_, err = s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")

	p.change(func() { p.status = 0 })
	s.clock.advance(10 * time.Second)
	accepted(t, s, token)
}

func TestWithoutKeysTheCallerMayTryAgain(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	token := with.sign(p.claims(nil), nil)
	p.change(func() { p.status = http.StatusInternalServerError })
	for range 3 {
		_, err := s.Verify(t.Context(), token, "")
		refused(t, err, http.StatusServiceUnavailable, "cannot be had")
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	p.change(func() { p.status = 0 })
	s.clock.advance(10 * time.Second)
	accepted(t, s, token)

	p.rotate()
	s.clock.advance(5 * time.Minute)
	_, err := s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")

	p.Close()
	s.clock.advance(time.Minute)
	_, err = s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")
}

func TestASlowIssuerIsNotWaitedForWithoutEnd(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	s := verifier(t, p)
	s.Limit(50 * time.Millisecond)
	open := make(chan struct{})
	t.Cleanup(func() { close(open) })
	p.change(func() { p.gate = func() { <-open } })
	token := with.sign(p.claims(nil), nil)
	_, err := s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")
	if !strings.Contains(s.log.String(), "deadline exceeded") {
		t.Errorf("logged: %s", s.log)
	}
}

func TestClosingEndsFetches(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	known := &projects{}
	known.take(t, "pro-1", p.URL, "keyward", project.IssuerOptions{})
	// With the client of its own: what it leaves behind would be found when the tests end.
	v := issuer.New(issuer.Deps{Issuers: known.issuers, Now: newClock().now, Log: slog.New(slog.DiscardHandler)})
	token := with.sign(p.claims(nil), nil)
	if _, err := v.Verify(t.Context(), token, ""); err != nil {
		t.Error(err)
	}
	v.Close()

	s := verifier(t, p)
	open := make(chan struct{})
	t.Cleanup(func() { close(open) })
	p.change(func() { p.gate = func() { <-open } })
	before := p.fetches.Load()
	answered := make(chan error)
	go func() {
		_, err := s.Verify(t.Context(), token, "")
		answered <- err
	}()
	until(t, func() bool { return p.fetches.Load() == before+1 })
	s.Close()
	refused(t, <-answered, http.StatusServiceUnavailable, "cannot be had")
	s.clock.advance(time.Minute)
	_, err := s.Verify(t.Context(), token, "")
	refused(t, err, http.StatusServiceUnavailable, "cannot be had")
	if s.log.String() != "" || p.fetches.Load() != before+1 {
		t.Errorf("after it was closed: %s", s.log)
	}
}
