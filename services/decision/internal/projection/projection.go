// Package projection keeps files that are made of streams, and nothing else, up with them.
//
// It promises that a file takes up every message that a stream still has, in order and once, whatever happens in between: messages and the
// position after them are stored as one. A file that is damaged, that somebody has removed, or that was made of a stream that is no more
// is made anew. It reads streams, and touches no file itself.
package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
)

// Position is where a file stands in a stream.
type Position struct {
	Made     time.Time // when the stream was made, which tells it from another of the same name; zero = nothing was taken up
	Sequence uint64
}

// Source is a stream, or a part of it, that a file is made of.
type Source struct {
	Stream  string
	Subject string
	// From is since when a new file needs messages of it, given the present; zero = as long as there are any
	From func(now time.Time) time.Time
}

// Batch is what a file takes up at once.
type Batch struct {
	Source   int // index of the source
	Messages []direct.Message
	Position Position // after them
	Pending  uint64   // messages that are known to follow
}

// File is a file that is made of streams. Take is called by a goroutine for each source; the rest while none runs.
type File interface {
	// Open opens the file, or makes it anew if there is none, and returns where it stands in each source.
	Open(ctx context.Context) ([]Position, error)
	// Take takes messages up with their position, all or nothing. It is called without any if there are none at first.
	Take(ctx context.Context, b Batch) error
	// Gone reports whether the file is to be made anew: somebody has removed it, or it was found damaged.
	Gone() bool
	// Close closes the file.
	Close() error
	// Remove removes the file. It is closed.
	Remove() error
	// Damaged reports whether an error says that the file is to be made anew.
	Damaged(error) bool
}

// ErrAnew is why a file is made anew that is not damaged.
var ErrAnew = errors.New("the file is made anew")

// Keeper keeps a file up.
type Keeper struct {
	JS      jetstream.JetStream
	File    File
	Sources []Source
	Now     func() time.Time
	Log     *slog.Logger
	Name    string // of the file, in logs
	Most    int    // messages of a batch
	// Gather is how long what comes is waited for once all that there was has been taken up, so that much is stored at once.
	Gather time.Duration
	Anew   func() // told when a file is made anew
}

const (
	retry = 250 * time.Millisecond // after a failure
	looks = time.Second            // whether the file is still there
	idle  = 250 * time.Millisecond // longest wait for signs of something new
)

// Run keeps the file up until ctx ends. It is closed then.
func (k *Keeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := k.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrAnew) || errors.Is(err, direct.ErrReset) || k.File.Damaged(err) {
			k.Log.Warn("a file is made anew", "file", k.Name, "error", err)
			if k.Anew != nil {
				k.Anew()
			}
			if err := k.File.Remove(); err != nil {
				k.Log.Error("a file cannot be removed to be made anew", "file", k.Name, "error", err)
			}
		} else {
			k.Log.Warn("a file is not kept up with its streams; it is tried again", "file", k.Name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

// once opens the file and follows until something fails.
func (k *Keeper) once(ctx context.Context) (err error) {
	positions, err := k.File.Open(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("open: %w", err), k.File.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var following sync.WaitGroup
	for i := range k.Sources {
		following.Go(func() { cancel(k.follow(ctx, i, positions[i])) })
	}
	following.Go(func() { cancel(k.look(ctx)) })
	following.Wait()
	cancel(nil)
	return errors.Join(context.Cause(ctx), k.File.Close())
}

// look returns when the file is gone.
func (k *Keeper) look(ctx context.Context) error {
	tick := time.NewTicker(looks)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if k.File.Gone() {
				return fmt.Errorf("%w: it has been removed, or is damaged", ErrAnew)
			}
		}
	}
}

func (k *Keeper) follow(ctx context.Context, index int, at Position) error {
	source := k.Sources[index]
	opened, err := k.JS.Stream(ctx, source.Stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", source.Stream, err)
	}
	made := opened.CachedInfo().Created
	if !at.Made.IsZero() && !at.Made.Equal(made) {
		return fmt.Errorf("%w: stream %s is another", ErrAnew, source.Stream)
	}
	if last := opened.CachedInfo().State.LastSeq; at.Sequence > last {
		return fmt.Errorf("%w: stream %s ends at %d, %d was read", ErrAnew, source.Stream, last, at.Sequence)
	}
	stream, err := direct.Open(ctx, k.JS, source.Stream)
	if err != nil {
		return err
	}
	at.Made = made
	if at.Sequence == 0 && source.From != nil {
		if at.Sequence, err = k.before(ctx, opened, source); err != nil {
			return err
		}
	}
	if at.Sequence >= opened.CachedInfo().State.LastSeq {
		// There is nothing to take up, which is worth to know, too.
		if err := k.File.Take(ctx, Batch{Source: index, Position: at}); err != nil {
			return err
		}
	}
	cursor, err := stream.Cursor(source.Subject, at.Sequence, idle)
	if err != nil {
		return err
	}
	defer cursor.Close()
	for {
		messages, err := k.read(ctx, cursor)
		if len(messages) > 0 {
			last := messages[len(messages)-1]
			at.Sequence = last.Sequence
			taken := k.File.Take(ctx, Batch{Source: index, Messages: messages, Position: at, Pending: last.Pending})
			if err = errors.Join(err, taken); err == nil && last.Pending == 0 {
				cursor.Rest(ctx, k.Gather)
			}
		}
		if err != nil {
			return err
		}
	}
}

// read returns as many messages as are taken up at once, or fewer, if there are no more, as far as that is known: what a leader answers
// does not say how many follow.
func (k *Keeper) read(ctx context.Context, cursor *direct.Cursor) (messages []direct.Message, err error) {
	take := func(m direct.Message) error {
		messages = append(messages, m)
		return nil
	}
	if err := cursor.Next(ctx, k.Most, take); err != nil {
		return messages, err
	}
	more, cancel := context.WithTimeout(ctx, k.Gather)
	defer cancel()
	for len(messages) < k.Most && messages[len(messages)-1].Pending > 0 {
		err := cursor.Next(more, k.Most-len(messages), take)
		if err != nil && ctx.Err() == nil && more.Err() != nil {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
	}
	return messages, nil
}

// before returns the position before the first message that a new file needs.
func (k *Keeper) before(ctx context.Context, stream jetstream.Stream, source Source) (uint64, error) {
	state := stream.CachedInfo().State
	since := source.From(k.Now())
	if state.Msgs == 0 || state.LastTime.Before(since) {
		return state.LastSeq, nil
	}
	read, err := direct.Open(ctx, k.JS, source.Stream)
	if err != nil {
		return 0, err
	}
	first := state.LastSeq
	err = read.Each(ctx, source.Subject, direct.Since(since), func(m direct.Message) (bool, error) {
		first = m.Sequence - 1
		return false, nil
	})
	return first, err
}
