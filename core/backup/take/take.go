// Package take writes backups of a store that goes on being written. It promises that what was acknowledged before a cut is in it, and that
// what is in it is what the store held at one moment. It reads the streams of Keyward by consumers that nobody else sees, and changes
// nothing.
//
// The moment is one of the clock of whoever takes the backup. The server, or of a cluster each leader, is asked for its own, several times,
// and the shortest answer counts: by half of what that took, at most, the moments of two streams on two servers differ. Those of one server
// do not.
package take

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/backup/kept"
	"github.com/keyward/keyward/core/bus"
)

// Why there is no backup.
var (
	ErrNothing  = errors.New("that NATS holds nothing of Keyward")
	ErrRestless = errors.New("the store changes faster than it can be read from here; take the backup nearer to NATS, or at a quieter time")
)

// Options of a backup.
type Options struct {
	Keyward       string        // version
	EncryptionKey string        // to be kept with it; empty = it is kept elsewhere
	For           time.Duration // how long it goes on after the first cut
	Every         time.Duration // how long from a cut to the next, if it goes on
	PerSecond     int           // how many messages are read at most, so that others are served meanwhile; 0 = as many as there are
	Now           func() time.Time
}

// Done is what was taken.
type Done struct {
	First, Last time.Time // cuts
	Cuts        int
	Messages    uint64
}

// restless is how long a cut is tried for, and pause how long after one that failed it is tried again.
const (
	restless = time.Minute
	pause    = 25 * time.Millisecond
)

// perSecondBursts is into how many bursts a second is divided in which as many messages as may be read are.
const perSecondBursts = 50

type taker struct {
	js        jetstream.JetStream
	opts      Options
	limit     *rate.Limiter
	followers []*follower

	mu     sync.Mutex
	writer *backup.Writer
	done   Done
}

// Take writes a backup to w.
func Take(ctx context.Context, js jetstream.JetStream, w io.Writer, opts Options) (Done, error) {
	t := &taker{js: js, opts: opts, limit: rate.NewLimiter(rate.Inf, 0)}
	if opts.PerSecond > 0 {
		t.limit = rate.NewLimiter(rate.Limit(opts.PerSecond), max(1, opts.PerSecond/perSecondBursts))
	}
	var running sync.WaitGroup
	defer func() {
		for _, f := range t.followers {
			f.messages.Stop()
		}
		running.Wait()
	}()
	if err := t.open(ctx, w); err != nil {
		return Done{}, err
	}
	for _, f := range t.followers {
		running.Go(func() {
			f.run(func(stream int, m backup.Message) error {
				if err := t.limit.Wait(ctx); err != nil {
					return err
				}
				return t.add(stream, m)
			})
		})
	}
	if err := t.cuts(ctx); err != nil {
		return Done{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.writer.Close()
	t.writer = nil
	return t.done, err
}

func (t *taker) open(ctx context.Context, w io.Writer) error {
	header := backup.Header{
		Schema: backup.Schema, Keyward: t.opts.Keyward, Made: t.opts.Now().UTC(), EncryptionKey: t.opts.EncryptionKey,
	}
	for _, name := range kept.Streams() {
		f, err := follow(ctx, t.js, len(t.followers), name)
		if errors.Is(err, jetstream.ErrStreamNotFound) && name != bus.EventsStream {
			continue // of a later version
		}
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return ErrNothing
		}
		if err != nil {
			return err
		}
		t.followers = append(t.followers, f)
		header.Streams = append(header.Streams, backup.Stream{Name: name, Metadata: f.stream.CachedInfo().Config.Metadata})
	}
	if _, err := t.js.Stream(ctx, bus.RestoringStream); err == nil {
		return bus.ErrRestoring
	}
	var err error
	t.writer, err = backup.NewWriter(w, header)
	return err
}

func (t *taker) add(stream int, m backup.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.writer == nil {
		return nil // the backup is done
	}
	t.done.Messages++
	return t.writer.Add(stream, m)
}

// cuts makes the first cut as soon as everything was read, and the others.
func (t *taker) cuts(ctx context.Context) error {
	for _, f := range t.followers {
		info, err := f.stream.Info(ctx)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", f.name, err)
		}
		if err := f.reach(ctx, info.State.LastSeq); err != nil {
			return err
		}
	}
	began := t.opts.Now()
	for {
		next := t.opts.Now().Add(t.opts.Every)
		if err := t.cut(ctx); err != nil {
			return err
		}
		if next.Sub(began) > t.opts.For || t.opts.Every <= 0 {
			return nil
		}
		if err := wait(ctx, next.Sub(t.opts.Now())); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// cut makes one as soon as there is a moment of which all is known.
func (t *taker) cut(ctx context.Context) error {
	tries, cancel := context.WithTimeoutCause(ctx, restless, ErrRestless)
	defer cancel()
	for {
		cut, ok, err := t.try(tries)
		if err != nil {
			return err
		}
		if !ok {
			if err := wait(tries, pause); err != nil {
				return err
			}
			continue
		}
		t.mu.Lock()
		err = t.writer.Cut(cut)
		t.mu.Unlock()
		if t.done.Cuts == 0 {
			t.done.First = cut.At
		}
		t.done.Last = cut.At
		t.done.Cuts++
		return err
	}
}

// clock is how far a server's clock is ahead of ours, as it seemed, and by how much that may be wrong.
type clock struct{ ahead, wrong time.Duration }

// try finds out what belongs to this moment.
func (t *taker) try(ctx context.Context) (backup.Cut, bool, error) {
	moment := t.opts.Now()
	clocks, leaders := make(map[string]clock), make([]string, len(t.followers))
	cut := backup.Cut{Streams: make([]backup.Position, len(t.followers))}
	ends := make([]uint64, len(t.followers))
	for i, f := range t.followers {
		asked := t.opts.Now()
		info, err := f.stream.Info(ctx)
		if err != nil {
			return cut, false, fmt.Errorf("read stream %s: %w", f.name, err)
		}
		took := t.opts.Now().Sub(asked)
		if info.Cluster != nil {
			leaders[i] = info.Cluster.Leader
		}
		if c, measured := clocks[leaders[i]]; !measured || took/2 < c.wrong {
			clocks[leaders[i]] = clock{ahead: info.TimeStamp.Sub(asked.Add(took / 2)), wrong: took / 2}
		}
		ends[i] = info.State.LastSeq
		if cut.Streams[i].Consumers, err = consumers(ctx, f.stream); err != nil {
			return cut, false, fmt.Errorf("read stream %s: %w", f.name, err)
		}
	}
	var wrong time.Duration
	for _, c := range clocks {
		wrong = max(wrong, c.wrong)
	}
	cut.At = moment.Add(-wrong).UTC()
	whole := true
	for i, f := range t.followers {
		if err := f.reach(ctx, ends[i]); err != nil {
			return cut, false, err
		}
		last, ok := f.at(moment.Add(clocks[leaders[i]].ahead).UnixNano())
		cut.Streams[i].Last = last
		whole = whole && ok
	}
	return cut, whole, nil
}

// consumers returns the durable ones of others: up to where subscribers have got.
func consumers(ctx context.Context, stream jetstream.Stream) ([]backup.Consumer, error) {
	if stream.CachedInfo().Config.Name != bus.EventsStream {
		return nil, nil
	}
	var all []backup.Consumer
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable == "" || slices.Contains([]string{bus.ErasureConsumer}, info.Name) {
			continue
		}
		raw, err := json.Marshal(info.Config)
		if err != nil {
			return nil, err
		}
		all = append(all, backup.Consumer{Config: raw, Acknowledged: info.AckFloor.Stream, Delivered: info.AckFloor.Consumer})
	}
	return all, list.Err()
}
