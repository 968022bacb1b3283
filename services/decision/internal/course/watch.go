package course

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/keyward/keyward/services/decision/internal/release"
)

// Store is where instances tell each other what they have counted. release.Store is one.
type Store interface {
	// Tell says what an instance has counted of both sides of a canary.
	Tell(ctx context.Context, change int, instance string, told release.Told) error
	// Told returns what all instances have, added up.
	Told(ctx context.Context, change int) (release.Told, error)
	// Return ends a canary because of what it says; false if it is over already.
	Return(ctx context.Context, change int, reason string, nowMs int64) (release.Change, bool, error)
}

// Watching is what Watch is done with.
type Watching struct {
	Store    Store
	Instance string
	Log      *slog.Logger
	// Returned is told when this instance has ended a canary.
	Returned func(ctx context.Context, tried *Policy, c release.Change)
}

// looks is how often it is looked whether a bound was passed: a canary is to be over within a second of that.
const looks = 250 * time.Millisecond

// Watch tells others what was counted here, and ends a canary that has passed a bound, until ctx ends.
func (c *Course) Watch(ctx context.Context, w Watching) {
	tick := time.NewTicker(looks)
	defer tick.Stop()
	var told telling
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.passed:
		}
		now := c.current.Load()
		if now == nil || now.canary == nil {
			c.forget()
			continue
		}
		if err := c.look(ctx, now.canary, w, &told); err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "it cannot be told whether a canary passes its bounds", "change", now.canary.Change, "error", err)
		}
	}
}

// telling is what others were told last.
type telling struct {
	change int
	told   release.Told
}

func (c *Course) look(ctx context.Context, t *trial, w Watching, last *telling) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	own := release.Told{Base: t.tallies[base].Counts(c.now()), Canary: t.tallies[tried].Counts(c.now())}
	all, err := exchange(limited, t, w, own, last)
	// What was counted here may be enough by itself.
	passed := t.Bounds.Passed(all.Base, all.Canary)
	if passed == "" {
		return err
	}
	made, ended, err := w.Store.Return(limited, t.Change, passed, c.now().UnixMilli())
	if err != nil || !ended {
		return err
	}
	w.Log.WarnContext(ctx, "the canary is over: it has passed a bound", "revision", t.Revision, "change", made.Number, "bound", passed)
	c.halt(t)
	w.Returned(ctx, t.tried, made)
	return nil
}

// exchange tells others what was counted here, and returns what all have counted; failing that, what was counted here.
func exchange(ctx context.Context, t *trial, w Watching, own release.Told, last *telling) (release.Told, error) {
	if last.change != t.Change || !reflect.DeepEqual(own, last.told) {
		if err := w.Store.Tell(ctx, t.Change, w.Instance, own); err != nil {
			return own, err
		}
		*last = telling{t.Change, own}
	}
	all, err := w.Store.Told(ctx, t.Change)
	if err != nil {
		return own, err
	}
	return all, nil
}

// patience is how long the store may take.
const patience = 5 * time.Second

// halt has what is live judge everybody at once, before the follower hears of it.
func (c *Course) halt(t *trial) {
	if now := c.current.Load(); now != nil && now.canary != nil && now.canary.Change == t.Change {
		c.Set(nil, nil, nil)
	}
}
