package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyward/keyward/core/deadline"
)

type key struct{}

// TestAContextEndsAsOneWithATimeoutDoes lets the same happen to both, whoever waits for them.
func TestAContextEndsAsOneWithATimeoutDoes(t *testing.T) {
	t.Parallel()
	const after = time.Second
	for _, c := range []struct {
		name    string
		parent  time.Duration // what its parent has; 0 = no bound
		happens func(parent, end func())
		want    error
	}{
		{"nothing has happened", 0, func(func(), func()) {}, nil},
		{"its time has passed", 0, func(func(), func()) { <-time.After(after) }, context.DeadlineExceeded},
		{"its parent's time has passed", after / 2, func(func(), func()) { <-time.After(after / 2) }, context.DeadlineExceeded},
		{"its parent has more time", 2 * after, func(func(), func()) { <-time.After(after) }, context.DeadlineExceeded},
		{"its parent was cancelled", 0, func(parent, _ func()) { parent() }, context.Canceled},
		{"it was ended", 0, func(_, end func()) { end() }, context.Canceled},
		{"it was ended after its time", 0, func(_, end func()) { <-time.After(2 * after); end() }, context.DeadlineExceeded},
	} {
		for waits, wait := range map[string]func(context.Context){
			"nobody waits":             func(context.Context) {},
			"somebody asks before":     func(ctx context.Context) { _ = ctx.Err() },
			"somebody waits":           func(ctx context.Context) { _ = ctx.Done() },
			"a context is derived":     func(ctx context.Context) { context.AfterFunc(ctx, func() {}) },
			"somebody waits for a key": func(ctx context.Context) { _ = ctx.Value(key{}); _ = ctx.Done() },
		} {
			t.Run(c.name+", and "+waits, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					parent, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "kept"))
					defer cancel()
					if c.parent > 0 {
						var stop func()
						parent, stop = context.WithTimeout(parent, c.parent)
						defer stop()
					}
					ctx := deadline.With(parent, after)
					defer ctx.End()
					like, end := context.WithTimeout(parent, after)
					defer end()
					if got, _ := ctx.Deadline(); !got.Equal(until(like)) {
						t.Errorf("deadline %v, not %v", got, until(like))
					}
					wait(ctx)
					c.happens(cancel, func() { ctx.End(); end() })
					synctest.Wait()
					for range 2 { // an end stays what it was
						if got := ctx.Err(); !errors.Is(got, c.want) || !errors.Is(like.Err(), c.want) {
							t.Errorf("error %v, and %v of the other, not %v", got, like.Err(), c.want)
						}
						if ended := done(ctx); ended != (c.want != nil) {
							t.Errorf("ended: %v", ended)
						}
						if ctx.Value(key{}) != "kept" {
							t.Error("a value is gone")
						}
					}
				})
			})
		}
	}
}

func until(ctx context.Context) time.Time {
	at, _ := ctx.Deadline()
	return at
}

func done(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

func TestAContextThatIsDerivedEndsWithItWithoutAGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := deadline.With(context.Background(), time.Second)
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx.End()
		if derived.Err() == nil { // at once: a goroutine would need its turn
			t.Error("it has not ended")
		}
	})
}

func TestNobodyWhoDoesNotWaitPaysForATimer(t *testing.T) {
	parent, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if got := testing.AllocsPerRun(100, func() {
		ctx := deadline.With(parent, time.Minute)
		_ = ctx.Err()
		ctx.End()
	}); got > 1 {
		t.Errorf("%v allocations", got)
	}
}
