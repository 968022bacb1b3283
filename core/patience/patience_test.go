package patience_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/patience"
)

var errOther = errors.New("another")

// silent answers nothing.
func silent(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func fails(err error) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return 0, err }
}

func answers(context.Context) (int, error) { return 1, nil }

func TestWhatNobodyAnsweredIsAskedAgainWhileTheCallerWaits(t *testing.T) {
	t.Parallel()
	type asks []func(context.Context) (int, error)
	for name, c := range map[string]struct {
		asks    asks
		asked   int
		err     error
		noLimit bool
	}{
		"it is answered":                    {asks: asks{answers}, asked: 1},
		"the leader went with the question": {asks: asks{silent, answers}, asked: 2},
		"there is no leader":                {asks: asks{fails(jetstream.ErrNoStreamResponse), fails(nats.ErrNoResponders), answers}, asked: 3},
		"a server does not know who leads":  {asks: asks{fails(&jetstream.APIError{Code: 503, ErrorCode: 10008}), answers}, asked: 2},
		"there is none for long":            {asks: asks{silent, silent, silent, silent}, asked: 4, err: context.DeadlineExceeded},
		"a leader refuses":                  {asks: asks{fails(errOther)}, asked: 1, err: errOther},
		"another error of the system": {
			asks: asks{fails(&jetstream.APIError{ErrorCode: 10014})}, asked: 1, err: jetstream.ErrConsumerNotFound,
		},
		"a caller without a limit asks once": {asks: asks{fails(nats.ErrNoResponders)}, asked: 1, err: nats.ErrNoResponders, noLimit: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if !c.noLimit {
					limited, cancel := context.WithTimeout(ctx, 2*time.Second)
					defer cancel()
					ctx = limited
				}
				asked := 0
				_, err := patience.Ask(ctx, func(ctx context.Context) (int, error) {
					asked++
					return c.asks[asked-1](ctx)
				})
				if asked != c.asked || !errors.Is(err, c.err) {
					t.Errorf("asked %d times: %v", asked, err)
				}
			})
		})
	}
}

func TestOnceSomebodyWaitedInVainOneAtATimeFindsOutWhetherTheStoreIsWell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := patience.New(time.Second)
		wait := func(limit time.Duration, step func(context.Context) error) time.Duration {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			_ = p.Wait(ctx, step)
			return time.Since(began)
		}
		hangs := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		well := func(context.Context) error { return nil }
		for _, step := range []struct {
			name   string
			limit  time.Duration
			do     func(context.Context) error
			beside bool // while another finds out
			want   time.Duration
		}{
			{"the first waits a third of what it has", 2400 * time.Millisecond, hangs, false, 800 * time.Millisecond},
			{"the next finds out, and waits no longer than that", time.Minute, hangs, false, time.Second},
			{"beside one that finds out the others wait for a moment", time.Minute, hangs, true, 50 * time.Millisecond},
			{"the store is well", time.Minute, well, false, 0},
			{"then others wait again", time.Minute, hangs, false, time.Second},
			{"it refuses", time.Minute, func(context.Context) error { return fault.Unavailable(time.Second, "away") }, false, 0},
			{"that wears too", time.Minute, hangs, true, 50 * time.Millisecond},
			{"one that answers otherwise is well", time.Minute, func(context.Context) error { return errOther }, false, 0},
			{"so that nobody finds out", time.Minute, hangs, true, time.Second},
		} {
			release := make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				if step.beside {
					wait(time.Hour, func(ctx context.Context) error { <-release; return context.DeadlineExceeded })
				}
			}()
			synctest.Wait()
			if got := wait(step.limit, step.do); got != step.want {
				t.Errorf("%s: %s, want %s", step.name, got, step.want)
			}
			close(release)
			<-done
		}
	})
}

func TestACallerWhoLeavesSaysNothingAboutTheStore(t *testing.T) {
	t.Parallel()
	p := patience.New(time.Minute)
	ctx, leave := context.WithCancel(t.Context())
	_ = p.Wait(ctx, func(ctx context.Context) error {
		leave()
		<-ctx.Done()
		return fault.Unavailable(time.Second, "cancelled")
	})
	for range 2 { // if the store were taken to be away, the second would have little time beside the first
		_ = p.Wait(t.Context(), func(ctx context.Context) error {
			return p.Wait(t.Context(), func(ctx context.Context) error {
				if deadline, _ := ctx.Deadline(); time.Until(deadline) < time.Second {
					t.Error("patience is worn")
				}
				return nil
			})
		})
	}
}

func TestWhoWaitsForOneLeaderComesBackAtAnotherTimeThanTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, at := time.Now(), map[time.Duration]bool{}
		for range 20 {
			if !patience.Pause(t.Context()) {
				t.Error("it does not come back")
			}
			at[time.Since(began)] = true
			began = time.Now()
		}
		if len(at) < 2 {
			t.Errorf("all come back after %v", at)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if patience.Pause(gone) {
			t.Error("it comes back when its caller is gone")
		}
	})
}
