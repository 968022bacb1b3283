// Package download follows a bundle that somebody else serves: a server of bundles over HTTP, as OPA's own downloader calls it, or a
// registry of OCI images.
//
// It promises that what it hands on has come in whole, and touches the network, and the file in which the last good bundle is kept. It
// calls by OPA's own client, so that credentials, TLS and headers are configured as with OPA. OPA's downloader itself parses and verifies
// what it has fetched within the process, and knows one signature; here bundles go the way of all others, which are checked in a process
// of their own.
package download

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/internal/retry"
)

// ErrAway says that whoever has the bundle does not answer with one.
var ErrAway = errors.New("the bundle could not be fetched")

// source is where a bundle is.
type source interface {
	// get returns the bundle if it is another one than is known.
	get(ctx context.Context, known state) (fetched, error)
}

// state is what is known of the bundle that was fetched last.
type state struct {
	tag   string // by which whoever has it tells bundles apart
	waits bool   // whether it keeps a call open until it has another one
}

// fetched is what came. Without raw it is what is known.
type fetched struct {
	raw   []byte
	state state
}

// Policy is what answers. One goroutine at a time calls Take.
type Policy interface {
	// Take makes a bundle answer that was fetched at a moment, or says why it does not; then what answers stays. Zero is at none in
	// particular.
	Take(ctx context.Context, raw []byte, at time.Time) error
	// Refuse is told why what was fetched is not taken.
	Refuse(ctx context.Context, err error)
	// Unfinished reports whether what was refused may be found good another time.
	Unfinished() bool
}

// Follower follows the bundle. Its methods may be called at once.
type Follower struct {
	cfg    Config
	source source
	policy Policy
	limits Limits

	// Of Begin and Run alone:
	known state
	sum   [sha256.Size]byte // of what was fetched last
	raw   []byte            // that, while it is not what answers

	confirmed atomic.Int64 // when what answers was last known to be what is served, in nanoseconds of Unix time
	mu        sync.Mutex
	away      error // why the last fetch failed
}

// Limits are how long things may take, and who is told.
type Limits struct {
	RetryLongest time.Duration // the longest wait until something is tried again
	MaxAge       time.Duration // how long another bundle may answer than what is served; 0 = for ever
	Now          func() time.Time
	Log          *slog.Logger
}

// Follow returns a follower, which begins with Begin and goes on with Run.
func Follow(cfg Config, limits Limits, policy Policy) (*Follower, error) {
	from, err := cfg.open()
	if err != nil {
		return nil, err
	}
	f := &Follower{cfg: cfg, source: from, policy: policy, limits: limits}
	f.confirmed.Store(limits.Now().UnixNano())
	return f, nil
}

// Begin has the policy take what is served or, if that cannot be had or is refused, the last good bundle on disk. The error says why
// neither is of use; otherwise what is served and refused is told to the policy.
func (f *Follower) Begin(ctx context.Context) error {
	refused := f.fetch(ctx)
	if refused == nil {
		return nil
	}
	kept, err := f.kept()
	if err == nil {
		err = f.policy.Take(ctx, kept, time.Time{})
	}
	if err != nil {
		return errors.Join(refused, fmt.Errorf("the last good bundle on disk: %w", err))
	}
	f.tell(ctx, refused)
	return nil
}

// tell passes on that what is served is refused. That it could not be fetched is told by Behind.
func (f *Follower) tell(ctx context.Context, err error) {
	if err != nil && !errors.Is(err, ErrAway) && ctx.Err() == nil {
		f.policy.Refuse(ctx, err)
	}
}

// fetch has the policy take what is served if it is another bundle than was fetched last.
func (f *Follower) fetch(ctx context.Context) error {
	got, err := f.source.get(ctx, f.known)
	if err != nil {
		err = fmt.Errorf("%w from %s: %w", ErrAway, f.cfg.URL, err)
	}
	f.mu.Lock()
	news := (err == nil) != (f.away == nil)
	f.away = err
	f.mu.Unlock()
	switch {
	case err != nil && news && ctx.Err() == nil:
		f.limits.Log.WarnContext(ctx, "the last good policy answers", "error", err)
		return err
	case err != nil:
		return err
	case news:
		f.limits.Log.InfoContext(ctx, "policies can be fetched again", "from", f.cfg.URL)
	}
	f.known = got.state
	// Not every server says by a tag that it is the same.
	if sum := sha256.Sum256(got.raw); got.raw != nil && sum != f.sum {
		f.sum, f.raw = sum, got.raw
		return f.take(ctx)
	}
	if f.raw == nil {
		f.confirmed.Store(f.limits.Now().UnixNano())
	}
	return nil
}

// take has the policy take what was fetched last, and keeps it on disk if it does.
func (f *Follower) take(ctx context.Context) error {
	now := f.limits.Now()
	if err := f.policy.Take(ctx, f.raw, now); err != nil {
		return fmt.Errorf("the bundle from %s: %w", f.cfg.URL, err)
	}
	f.confirmed.Store(now.UnixNano())
	if err := f.keep(f.raw); err != nil {
		f.limits.Log.WarnContext(ctx, "the policy that was fetched could not be kept on disk", "error", err)
	}
	f.raw = nil
	return nil
}

// Run has the policy take what is served, until ctx ends. What could not be fetched or taken is tried again, after waits that double.
func (f *Follower) Run(ctx context.Context) {
	failed := retry.New(f.cfg.Poll, max(f.limits.RetryLongest, f.cfg.Poll))
	defer failed.Stop()
	unfinished := retry.New(f.cfg.Poll, max(f.limits.RetryLongest, f.cfg.Poll))
	defer unfinished.Stop()
	unfinished.Next(f.raw != nil && f.policy.Unfinished())
	poll := time.NewTimer(f.pause())
	defer poll.Stop()
	for {
		before, again := f.sum, false
		var err error
		select {
		case <-ctx.Done():
			return
		case <-unfinished.C:
			if again = f.raw != nil; again {
				err = f.take(ctx)
			}
		case <-poll.C:
			err = f.fetch(ctx)
		case <-failed.C:
			err = f.fetch(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		f.tell(ctx, err)
		if errors.Is(err, ErrAway) {
			poll.Stop()
			failed.Next(true)
			continue
		}
		failed.Reset()
		if !again {
			poll.Reset(f.pause())
		}
		if before != f.sum {
			unfinished.Reset()
		}
		if again || before != f.sum {
			unfinished.Next(f.raw != nil && f.policy.Unfinished())
		}
	}
}

// pause is until the next call: whoever keeps it open has it follow at once.
func (f *Follower) pause() time.Duration {
	if f.known.waits {
		return 0
	}
	return f.cfg.Poll
}

// Lapsed reports whether what answers has not been known to be what is served for too long.
func (f *Follower) Lapsed(now time.Time) bool {
	return f.limits.MaxAge != 0 && now.UnixNano()-f.confirmed.Load() > int64(f.limits.MaxAge)
}

// Behind says that what is served is not known; nil if it is.
func (f *Follower) Behind() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away
}

var errNowhere = errors.New("it is kept nowhere")

// kept returns the last good bundle.
func (f *Follower) kept() ([]byte, error) {
	if f.cfg.File == "" {
		return nil, errNowhere
	}
	return plainfile.Read(f.cfg.File, maxArchive)
}

// keep puts a bundle in the place of the last good one, in whole or not at all.
func (f *Follower) keep(raw []byte) error {
	if f.cfg.File == "" {
		return nil
	}
	written, err := os.CreateTemp(filepath.Dir(f.cfg.File), filepath.Base(f.cfg.File)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(written.Name()) }() // it is gone once it has its name
	_, err = written.Write(raw)
	if err = errors.Join(err, written.Sync(), written.Close()); err != nil {
		return err
	}
	return os.Rename(written.Name(), f.cfg.File)
}
