package events

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
)

// The stream of an installation that has been used for a while.
const (
	manyUsers  = 200_000
	manyEvents = 1_000_000
	coldReads  = 2000
)

// compareMany measures starts on a stream with many events, and reads of users whom no cache knows.
func (f measurement) compareMany(ctx context.Context) error {
	dir := filepath.Join(f.Dir, "many")
	bytes, err := fill(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("\nA stream of %d events of %d users, %.0f bytes an event on disk\n\n", manyEvents, manyUsers, float64(bytes)/manyEvents)
	t := fleet.NewTable("ready ms", "memory MiB")
	for _, start := range []struct {
		name string
		end  os.Signal // how the process is stopped afterwards
	}{{"first start", os.Interrupt}, {"after a clean stop", syscall.SIGKILL}, {"after a kill", os.Interrupt}} {
		c := &fleet.Contender{Name: start.name}
		began := time.Now()
		ready, err := f.Keyward(c, fleet.FreeAddress(), "all", []string{"KEYWARD_DATA_DIR=" + dir, "KEYWARD_NATS_ADDR=off"})
		if err != nil {
			return err
		}
		if err := fleet.Answering(ctx, ready); err != nil {
			return err
		}
		t.Row(c.Name, "%.0f", float64(time.Since(began).Milliseconds()), "%.0f", c.Memory())
		process := c.Processes[0]
		if err := process.Process.Signal(start.end); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		_ = process.Wait()
		f.Started = slices.DeleteFunc(f.Started, func(p *exec.Cmd) bool { return p == process })
	}
	if err := t.Print(); err != nil {
		return err
	}
	return f.readCold(ctx, dir)
}

// fill writes the stream with what an event is on the wire, flushed now and then: how it got there makes no difference to who reads it.
func fill(ctx context.Context, dir string) (bytes uint64, err error) {
	config := bus.DefaultConfig()
	config.DataDir, config.SyncInterval = dir, time.Minute
	b, err := bus.Open(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, fmt.Errorf("open the bus: %w", err)
	}
	defer b.Close()
	for n := range manyEvents {
		msg := wire(someEvent(n%manyUsers + 1))
		if _, err := b.JS.PublishMsgAsync(msg); err != nil {
			return 0, fmt.Errorf("fill the stream: %w", err)
		}
	}
	select {
	case <-b.JS.PublishAsyncComplete():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	stream, err := b.Stream(ctx, bus.EventsStream)
	if err != nil {
		return 0, err
	}
	if got := stream.CachedInfo().State.Msgs; got != manyEvents {
		return 0, fmt.Errorf("the stream holds %d events", got)
	}
	return stream.CachedInfo().State.Bytes, nil
}

// readCold reads users in no order whom no cache knows yet.
func (f measurement) readCold(ctx context.Context, dir string) (err error) {
	s, err := openStorage(ctx, dir)
	if err != nil {
		return err
	}
	defer s.close()
	seen := fleet.Histogram()
	const stride = 7919 // a prime, so that neighbours on disk are not read one after the other
	for n := range coldReads {
		user := ident.UserID(fmt.Sprintf("usr-%d", n*stride%manyUsers+1))
		began := time.Now()
		events, err := s.store.Events(ctx, fleet.Project, user)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := seen.RecordValue(time.Since(began).Microseconds()); err != nil {
			return fmt.Errorf("record: %w", err)
		}
		if len(events) != manyEvents/manyUsers {
			return fmt.Errorf("%s has %d events", user, len(events))
		}
	}
	fmt.Printf(
		"\ncold reads of one user each, cache filled by them: p50 %.2f ms, p99 %.2f ms\n", float64(seen.ValueAtQuantile(50))/1000,
		float64(seen.ValueAtQuantile(99))/1000,
	)
	return nil
}
